"""Several devices give what one gives: a CPU that is told to be four, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from several_devices import BASE, CASES, spins

from rgstep import InputError, Majority, train_rbm, untrained_rbm, visible_hidden
from rgstep.nets import devices

DRIVER = Path(__file__).parent / "several_devices.py"
ROUNDING = 1e-6  # measured: at most 2e-7 for numbers of up to 1
SEEN = 1e-3  # what is not rounding


def made_by(*cases):
    """What the driver prints of these cases."""
    command = [sys.executable, "-W", "error", str(DRIVER), *cases]
    four = {**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, env={**four, "JAX_PLATFORMS": "cpu"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def distance(one, other):
    """The largest difference of two lists of numbers, relative where these are above 1."""
    x, y = np.array(one), np.array(other)
    return np.max(np.abs(x - y) / np.maximum(1, np.abs(x)))


def require_same_on_all(found):
    """One, two and four devices agree, and what is wrong differs from them."""
    one, *more = found["same"].values()
    assert {"1", "2", "4"} <= set(found["same"])
    assert np.ptp(one) > SEEN
    for other in more:
        assert distance(one, other) < ROUNDING
    assert len(found["other"]) == 2
    for name, other in found["other"].items():
        assert distance(one, other) > SEEN, name


def test_a_gradient_and_the_moments_are_those_of_one_device():
    found = made_by("gradient", "moments")
    require_same_on_all(found["gradient"])
    require_same_on_all(found["moments"])
    assert found["gradient"]["shares"] == {"1": [1, 40], "2": [2, 20, 20], "4": [4, 10, 10, 10, 10]}


@pytest.mark.slow
def test_training_is_that_of_one_device():
    found = made_by(*CASES)
    for name, case in CASES.items():
        require_same_on_all(found[name])
        assert found[name]["weights"] == {n: [int(n)] + int(n) * [case.get("side", 4) ** 2] for n in ("1", "2", "4")}
        if case["method"] == "pcd":
            chains = case.get("chains", BASE["chains"])
            assert found[name]["chains"] == {n: [int(n)] + int(n) * [chains // int(n)] for n in ("1", "2", "4")}


@pytest.mark.slow
def test_a_training_goes_on_with_another_number_of_devices():
    """From checkpoints, training curves and all: 4 and then 1, 2 or 4, as one device without a cut."""
    found = made_by("checkpoints")["checkpoints"]
    assert "4, 1" in found["same"]
    require_same_on_all(found)


# --- the functions for users, on the devices that there are


SHOWN = jax.local_device_count()
BAD = {
    "too many": ({"devices": SHOWN + 1}, rf"devices = {SHOWN + 1}: JAX shows {SHOWN} here"),
    "none": ({"devices": 0}, "devices = 0: must be a whole number above 0"),
}


@pytest.mark.parametrize("which", BAD)
def test_devices_that_are_not_there(which):
    arguments, said = BAD[which]
    v = spins(8, 4)
    with pytest.raises(InputError, match=said):
        train_rbm(v, 4, steps=1, batch=4, chains=4, **arguments)
    with pytest.raises(InputError, match=said):
        visible_hidden(v, untrained_rbm(16, 4), **arguments)


@pytest.mark.parametrize(
    ("count", "samples", "said"),
    [
        (4, {"batch": 40, "chains": 10}, r"devices = 4: chains = 10 makes no .* take devices = 2, or chains = 12"),
        (4, {"batch": 50}, r"devices = 4: batch = 50 makes no .* take devices = 2, or batch = 52"),
        (3, {"batch": 100, "chains": 1}, r"devices = 3: batch = 100 makes no .* take devices = 1, or batch = 102"),
    ],
)
def test_samples_that_make_no_equal_shares(count, samples, said):
    with pytest.raises(InputError, match=said):
        devices.require_shares(count, **samples)


def test_samples_that_make_equal_shares():
    devices.require_shares(4, batch=100, chains=4)
    devices.require_shares(1, batch=7)


@pytest.mark.parametrize("h", [Majority(), np.sign, np.ones((8, 4))])
def test_what_is_no_network_is_not_shared(h):
    with pytest.raises(InputError, match=r"devices = 2: h is no RBM, .* leave devices out"):
        visible_hidden(spins(8, 4), h, devices=2)
