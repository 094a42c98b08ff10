"""Sets of every kernel and mode against exact numbers: u and c (Kaufman), |m| and m² (transfer matrix, L ≤ 8)."""

import math

import numpy as np
import pytest

import rgstep as rg
from rgstep.ensemble import Ensemble
from rgstep.exact import torus
from rgstep.ising import Ising
from rgstep.samplers.chains import KINDS

pytestmark = pytest.mark.usefixtures("as_users_run")  # the checks of types take most of the time here

TC = rg.CRITICAL_TEMPERATURE
LOCAL = {  # size → temperatures; at T = 1 smaller lattices have too few excitations
    4: (1.5, 1.8, TC, 4.0),
    8: (1.5, 2.0, TC, 2.6, 5.0),
    16: (1.0, 1.8, TC, 3.0),
    32: (1.0, 1.5, TC, 2.6),
}
SLOWER = {4: (1.5, TC, 3.0), 8: (1.8, TC, 2.6), 16: (2.0,)}
THINNED = {4: (1.8, 3.0), 8: (1.5, TC, 4.0), 16: (2.6,)}
SETS = {
    ("metropolis", "iid"): (1024, LOCAL),
    ("metropolis", "thin"): (4096, {4: (1.8, TC, 5.0), 8: (1.5, TC, 3.0), 16: (1.0, 4.0), 32: (1.5, 3.0)}),
    ("heat-bath", "iid"): (1024, {4: (2.0, 3.0, 20.0), 8: (1.8, TC, 4.0, 20.0), 16: (1.5, 2.6, 8.0), 32: (3.0, 20.0)}),
    ("heat-bath", "thin"): (4096, THINNED),
    ("single", "iid"): (1024, SLOWER),
    ("single", "thin"): (1024, THINNED),
    ("swendsen-wang", "iid"): (1024, SLOWER),
    ("swendsen-wang", "thin"): (1024, THINNED),
    ("wolff", "iid"): (1024, SLOWER),
    ("wolff", "thin"): (1024, THINNED),
    ("metropolis-philox", "iid"): (1024, SLOWER),
    ("metropolis-philox", "thin"): (2048, {4: (TC,), 8: (1.8, 3.0)}),
    ("auto", "exact"): (
        2048,
        {4: (TC, 2.6, 3.0, 4.0, 5.0, 8.0, 20.0), 8: (TC, 2.6, 3.0, 4.0, 5.0, 8.0, 20.0)}
        | {16: (2.6, 3.0, 5.0, 8.0), 32: (3.0, 4.0, 5.0, 20.0)},
    ),
}
CELLS = [(*made, size) for made, (_, sizes) in SETS.items() for size in sizes]
SEED = 2026


def scores(ensemble):
    """Return the z-scores of one set: exact standard errors but for c, which is N K² (e − u)² with its own."""
    size, K, n = ensemble.system.size, ensemble.system.coupling, len(ensemble)
    excess = ensemble.energies - torus.energy(size, K)
    z = {"u": excess.mean() / math.sqrt(torus.energy_variance(size, K) / n)}
    c = size**2 * K**2 * excess**2
    z["c"] = (c.mean() - torus.specific_heat(size, K)) / (c.std(ddof=1) / math.sqrt(n))
    if size <= 8:
        exact, m = torus.magnetisation_moments(size, K), ensemble.magnetisations
        z["|m|"] = (abs(m).mean() - exact.abs_m) / math.sqrt((exact.m2 - exact.abs_m**2) / n)
        z["m²"] = ((m**2).mean() - exact.m2) / math.sqrt((exact.m4 - exact.m2**2) / n)
    return list(z.values())


def measured(kernel, mode, size, seed=SEED):
    """Return the z-scores of the sets of a kernel, mode and size, as an array."""
    samples, temperatures = SETS[kernel, mode]
    made = rg.sample(size, temperatures[size], samples, seed, mode=mode, kernel=kernel, threads=1)
    return np.array([z for ensemble in made for z in scores(ensemble)])


@pytest.fixture
def kept(tmp_path_factory, worker_id):
    """The same, made once by all the workers of a run: what one has made, the others read."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent

    def read_or_make(*cell):
        path = folder / f"z-scores-{'-'.join(map(str, cell))}.npy"
        if not path.exists():
            z = measured(*cell)
            part = folder / f"{worker_id}-{path.name}"
            np.save(part, z)
            part.rename(path)
        return np.load(path)

    return read_or_make


def test_every_kernel_and_mode_is_scored():
    kernels, modes, sizes = (set(names) for names in zip(*CELLS, strict=True))
    assert kernels == {*KINDS, "auto"}
    assert modes == {"iid", "thin", "exact"}
    assert sizes == {4, 8, 16, 32}
    assert len({t for _, cells in SETS.values() for temperatures in cells.values() for t in temperatures}) >= 8


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(map(str, cell)))
def test_sets_agree_with_exact_numbers(kept, cell):
    """The scores of one set are correlated, up to four alike; hence the wide band."""
    z = kept(*cell)
    assert np.abs(z).max() < 4.5
    assert np.sqrt(np.mean(z**2)) < 1 + 4 / math.sqrt(len(z))


def test_all_scores_together(kept):
    z = np.concatenate([kept(*cell) for cell in CELLS])
    assert len(z) >= 300
    assert 0.9 < np.sqrt(np.mean(z**2)) < 1.1
    assert abs(z.mean()) < 0.2
    assert np.abs(z).max() < 4.5


def test_another_temperature_does_not_agree():
    """The twin: sets sampled at 2 % another coupling than they say."""
    z = []
    for ensemble in rg.sample(8, (1.8, TC, 3.0, 5.0), 4096, SEED):
        said = Ising(8, 0.98 * ensemble.system.coupling)
        z += scores(Ensemble(ensemble.packed, said, independent=True))
    assert np.sqrt(np.mean(np.square(z))) > 2
    assert np.abs(z).max() > 4.5


def test_repeated_configurations_do_not_agree():
    """The twin: each configuration eight times, which no mean reveals, but exact errors do."""
    z = []
    for ensemble in rg.sample(8, (1.5, TC, 3.0, 5.0), 512, SEED):
        rows = np.repeat(np.arange(512), 8)
        z += scores(Ensemble(ensemble.packed.take(rows), ensemble.system, independent=True))
    assert np.sqrt(np.mean(np.square(z))) > 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*do not trust this set")  # one z of thousands may be beyond 4
def test_all_scores_with_fresh_seeds():
    """Some 3000 z-scores, of which about half are independent."""
    seed = int(np.random.SeedSequence().generate_state(1)[0])
    z = np.concatenate([measured(*cell, seed + k) for k in range(8) for cell in CELLS])
    assert 0.94 < np.sqrt(np.mean(z**2)) < 1.06, f"seed {seed}"
    assert abs(z.mean()) < 0.1, f"seed {seed}"
    assert np.abs(z).max() < 5.5, f"seed {seed}"
