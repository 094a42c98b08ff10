"""Where does the flow of Veiga and Vicente's dense network end, and is that a state of the Ising model?

Their settings in full: L = 10, 25 temperatures, 1e-6, 0.25, 0.5, … 6, 2000 configurations each; 0/1 units, 100 hidden
ones, no bias, W ~ N(0, 0.1²), CD-1 with mean hidden units, plain descent at rate 0.01, batches of 100, 8000 epochs of
500 updates. Data sets beside theirs: "mean-field", independent spins of the mean-field m(T) at the same temperatures,
and "two", half T = 0, half T = ∞. Then v → h → v from 1000 configurations all up and from 1000 of fair spins: 40 steps
of drawn units, as published; on until it has converged; and 40 steps with every unit the sign of its mean. The end is
read by all thermometers at L = 10 (`temperatures`).
"""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import brentq

from rgstep.ensemble import Ensemble, ensemble_from_array
from rgstep.estimates import Estimate
from rgstep.experiments.base import (
    AGREES,
    CONFIRMED,
    DIFFERS,
    REFUTED,
    UNDECIDED,
    Conclusion,
    Experiment,
    Row,
    agreement,
    all_of,
    apart,
    averaged,
    over_seeds,
)
from rgstep.flows import Flow, flow
from rgstep.ising import CRITICAL_TEMPERATURE
from rgstep.nets.rbm import RBM
from rgstep.nets.training import train_rbm
from rgstep.parts import Part, Settings, Values, as_estimate, stored
from rgstep.samplers.sample import sample
from rgstep.streams import stream
from rgstep.temperatures import SYMBOLS, Temperatures, thermometers
from rgstep.types import Progress, Spins

SIZE, SAMPLES = 10, 2000
TEMPERATURES = (1e-6, *(0.25 * n for n in range(1, 25)))
BATCH, STATES = 100, 1000
UPDATES = len(TEMPERATURES) * SAMPLES // BATCH  # an epoch
MEAN_FIELD_CRITICAL = 4.0  # T_c of four neighbours in mean field
PUBLISHED, PUBLISHED_EPOCHS = 0.651, 8000  # |m| of the fixed point, after so long a training
FIRST = 1  # epoch: a network that has hardly learned
WAYS: Mapping[str, tuple[bool, int]] = {"40 steps": (True, 40), "to rest": (True, 2000), "signs": (False, 40)}
DECIDES = "40 steps"
STARTS = ("up", "random")
THERMOMETERS = ("abs_m", "u", "K_nn", "xi", "U4")


# --- what they trained on


def ising(seed: int) -> Spins:
    """Return configurations of all temperatures, int8 `(sample, row, column)`."""
    return np.concatenate([e.unpack() for e in sample(SIZE, TEMPERATURES, SAMPLES, seed)])


def mean_field(seed: int) -> Spins:
    """Return independent spins of the mean-field m(T), m = tanh(4m/T), each configuration with a fair sign."""
    rng, parts = stream(seed, "mean-field spins"), []
    for T in TEMPERATURES:
        sign = 2 * rng.integers(0, 2, (SAMPLES, 1, 1)) - 1
        up = rng.random((SAMPLES, SIZE, SIZE)) < (1 + mean_field_magnetisation(T)) / 2
        parts.append(sign * np.where(up, 1, -1))
    return np.concatenate(parts).astype(np.int8)


def mean_field_magnetisation(T: float) -> float:
    """Return the m ≥ 0 of m = tanh(4m/T) that is not 0 if there is one."""
    if T >= MEAN_FIELD_CRITICAL:
        return 0.0
    return 1.0 if T < 0.1 else float(brentq(lambda m: m - math.tanh(MEAN_FIELD_CRITICAL * m / T), 1e-9, 1.0))


def two(seed: int) -> Spins:
    """Return half all up or all down, half fair spins."""
    half = len(TEMPERATURES) * SAMPLES // 2
    return np.concatenate([e.unpack() for e in sample(SIZE, (0.0, math.inf), half, seed)])


DATA: Mapping[str, Callable[[int], Spins]] = {"ising": ising, "mean-field": mean_field, "two": two}
LABELS = {"ising": "Ising", "mean-field": "mean-field", "two": "T = 0 and ∞"}


def trained(
    data: Spins, epochs: Sequence[int], seed: int, checkpoints: Path, progress: Progress | None = None
) -> Iterator[tuple[int, RBM]]:
    """Yield the network after each of the numbers of epochs in turn, one run."""
    for number in sorted(epochs):
        steps = number * UPDATES
        rbm = train_rbm(
            data,
            SIZE**2,
            seed,
            preset="veiga2020",
            steps=steps,
            batch=BATCH,
            checkpoints=checkpoints,
            progress=progress,
        )
        yield number, rbm


def starts(seed: int) -> dict[str, Ensemble]:
    """Return what the flows start from: all up, and fair spins."""
    up = ensemble_from_array(np.ones((STATES, SIZE, SIZE), np.int8), 0.0)
    return {"up": up, "random": sample(SIZE, math.inf, STATES, seed + 1)}


def flows_of(rbm: RBM, way: str, seed: int) -> dict[str, Flow]:
    """Return the flows of a network from both starts."""
    sampled, steps = WAYS[way]
    return {name: flow(rbm, start, steps=steps, sampled=sampled, seed=seed) for name, start in starts(seed).items()}


# --- the parts


def parts(seed: int, quick: bool) -> list[Settings]:
    """Return the settings: networks of the Ising data over seeds, and one of each other kind of data."""
    networks, ours, others = (1, [1, 100, 200], [100]) if quick else (3, [1, 200, 500, 2000, 8000], [200, 500, 2000])
    found = [{"data": "ising", "epochs": ours, "seed": seed + s} for s in range(networks)]
    return [*found, *({"data": data, "epochs": others, "seed": seed} for data in DATA if data != "ising")]


def measure(settings: Settings, progress: Progress | None) -> Values:
    """Return what the thermometers say of the ends of all flows of one network, and of critical configurations."""
    seed = settings["seed"]
    critical = thermometers(sample(SIZE, CRITICAL_TEMPERATURE, STATES, seed + 2, mode="thin"))
    found: dict[str, Any] = {"critical": read(critical)}
    with tempfile.TemporaryDirectory() as folder:
        for number, rbm in trained(
            DATA[settings["data"]](seed), settings["epochs"], seed, Path(folder) / "run", progress
        ):
            found[str(number)] = {
                f"{way}, {start}": {**read(one.temperatures), "steps": one.steps, "rest": one.converged_at is not None}
                for way in WAYS
                for start, one in flows_of(rbm, way, seed).items()
            }
    return found


def read(of: Temperatures) -> dict[str, Any]:
    """Return observables and temperatures as plain values, and whether one temperature explains them all."""
    observables = {name: stored(reading.observable) for name, reading in of.readings.items()}
    temperatures = {name: [stored(T) for T in reading.temperatures] for name, reading in of.readings.items()}
    p = of.p_value if math.isfinite(of.p_value) else None
    return {"observables": observables, "temperatures": temperatures, "equilibrium": of.is_equilibrium, "p": p}


# --- what the parts say


def of_kind(found: Sequence[Part], data: str, epochs: int) -> list[Part]:
    """Return the parts of networks of some data that were trained so long."""
    return [part for part in found if part.settings["data"] == data and epochs in part.settings["epochs"]]


def published(networks: Sequence[Estimate]) -> Estimate:
    """Return the published number, which is of one network, with the error that our networks' scatter gives it."""
    return Estimate(PUBLISHED, float(np.std([float(e.value) for e in networks], ddof=1)) if len(networks) > 1 else 0.0)


def pooled(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over networks; with the error of one network's chains if there is one, or if it is larger."""
    of_chains, of_networks = averaged(estimates), over_seeds(estimates)
    return Estimate(of_chains.value, max(float(of_chains.error), float(of_networks.error)))


def row_of(found: Sequence[Part], data: str, epochs: int, way: str, start: str) -> Row:
    """Return |m| at the end of flows beside the temperatures that it, the energy and the coupling would have."""
    ends = [part.values[str(epochs)][f"{way}, {start}"] for part in of_kind(found, data, epochs)]
    ours = [as_estimate(end["observables"]["abs_m"]) for end in ends]
    beside = {}
    for name in THERMOMETERS:
        read = [end["temperatures"][name] for end in ends]
        if all(len(temperatures) == 1 for temperatures in read):  # of no network is there none
            beside[f"T by {SYMBOLS[name]}"] = pooled([as_estimate(temperatures[0]) for temperatures in read])
    words = f"|m| from {start}, {LABELS[data]}, {epochs} epoch{'s' if epochs > 1 else ''}, {way}"
    told = data == "ising" and way == DECIDES and epochs == PUBLISHED_EPOCHS
    return Row(words, pooled(ours), published(ours) if told else None, beside)


def decided(row: Row, networks: int, control: Row) -> Row:
    """Return a row beside the published number with its verdict: one network decides nothing, nor do useless errors."""
    if row.published is None:
        return row
    verdict = agreement(apart(row.ours, row.published)) if networks > 1 else UNDECIDED
    if verdict == CONFIRMED and abs(apart(control.ours, row.published)) < DIFFERS:
        verdict = UNDECIDED
    return replace(row, verdict=verdict)


def equilibrium_row(found: Sequence[Part], epochs: int) -> Row:
    """Return which share of the ends are equilibrium states, beside that of critical configurations."""
    ends = [
        part.values[str(epochs)][f"{way}, {start}"]
        for part in of_kind(found, "ising", epochs)
        for way in (DECIDES, "to rest")
        for start in STARTS
    ]
    share = sum(end["equilibrium"] is True for end in ends) / len(ends)
    control = sum(part.values["critical"]["equilibrium"] is True for part in found) / len(found)
    verdict = UNDECIDED
    if control == 1 and share in {0, 1}:
        verdict = CONFIRMED if share else REFUTED
    words = f"share of ends that are equilibrium states, Ising, {epochs} epochs"
    return Row(words, Estimate(share, 0.0), None, {"critical configurations": Estimate(control, 0.0)}, verdict)


def rows_of(found: Sequence[Part]) -> list[Row]:
    """Return |m| for every kind of data and length of training; to rest and by signs for the longest of theirs."""
    rows = []
    for data in DATA:
        lengths = sorted({n for part in found if part.settings["data"] == data for n in part.settings["epochs"]})
        for epochs in lengths:
            ways = WAYS if data == "ising" and epochs == lengths[-1] else [DECIDES]
            rows += [row_of(found, data, epochs, way, start) for way in ways for start in STARTS]
    return rows


def conclude(found: Sequence[Part]) -> Conclusion:
    """Return whether the flows of networks trained as published end where it is said, and whether that is a state."""
    longest = max(n for part in found if part.settings["data"] == "ising" for n in part.settings["epochs"])
    networks = len(of_kind(found, "ising", longest))
    control = row_of(found, "ising", FIRST, DECIDES, STARTS[0])
    rows = [decided(row, networks, control) for row in rows_of(found)]
    state = equilibrium_row(found, longest)
    ends = " and ".join(f"{row_of(found, 'ising', longest, DECIDES, start).ours} from {start}" for start in STARTS)
    hot = row_of(found, "ising", longest, DECIDES, STARTS[0]).beside
    temperatures = ", ".join(f"{T.value:.2f} {name.removeprefix('T ')}" for name, T in hot.items())
    short = "" if longest >= PUBLISHED_EPOCHS else f", not the published {PUBLISHED_EPOCHS}, so that nothing is decided"
    why = (
        f"after {longest} epochs{short}: |m| = {ends}, of {networks} network{'s' if networks > 1 else ''} "
        f"(published: {PUBLISHED}); apart from that, {float(state.ours.value):.0%} of the ends are equilibrium states, "
        f"T from all up is {temperatures}"
    )
    return Conclusion([*rows, state], all_of([row.verdict for row in rows if row.published]), why)


EXPERIMENT = Experiment(
    name="veiga-vicente",
    claim=f"v → h → v of a dense network trained at all temperatures, L = {SIZE}, comes to |m| = {PUBLISHED}.",
    source="Veiga and Vicente (2020), arXiv:2006.10176",
    rule=(
        f"For networks trained for {PUBLISHED_EPOCHS} epochs, from both starts: confirmed within {AGREES:.0f}σ, if an "
        f"epoch of training is farther, refuted beyond {DIFFERS:.0f}σ; the published number is of one network, and has "
        "the scatter of ours as its error. Whether the end is an equilibrium state has a verdict of its own."
    ),
    parts=parts,
    measure=measure,
    conclude=conclude,
    seconds=(73.0, 3900.0),
)
