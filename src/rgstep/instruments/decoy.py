"""Does a training spend its weights on the lattice, or on strong noise that has nothing to do with it? The decoy test.

Beside the N spins of the lattice the network sees N/2 decoys, N/4 isolated pairs that are independent of all else,

    p(t, t′) ∝ exp(K_pair t t′),    ⟨t t′⟩ = tanh K_pair = 0.964 for K_pair = 2,

and is trained on both. A pair is the strongest correlation in the data, and means nothing at long distance. Measured is

    share = Σ_{i decoy, a} W_ia² / Σ_{i, a} W_ia²,    per_site = (Σ_decoy W² / N_decoy) / (Σ_lattice W² / N).

A renormalization step acts on the lattice alone: 0 and 0, by construction for maps made by hand. Gaussian weights of
one variance: 1/3 and 1. A perfect generative model must hold the pairs too; the one with a hidden unit for each bond,
W = ½ arcosh e^{2K} at both of its ends, has 0.541 and 2.36 at K_c and K_pair = 2 (`exact_model`). That the variables to
keep are those that know of far ones, not the strongest, is the idea of Koch-Janusz and Ringel (2018, arXiv:1704.06279)
and of Lenggenhager et al. (2020, arXiv:1809.09632).
"""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rgstep import memory
from rgstep.arguments import InputError, is_number, require_positive
from rgstep.ensemble import Ensemble
from rgstep.estimates import Estimate, jackknife
from rgstep.instruments.base import Instrument, Row, Subject, of_all
from rgstep.ising import Ising
from rgstep.lattice import as_vectors
from rgstep.nets.assessment import at_temperature
from rgstep.nets.presets import settings
from rgstep.nets.rbm import RBM
from rgstep.nets.training import as_seeds, load_checkpoints, train_rbm
from rgstep.packed import PackedSpins
from rgstep.results import Diagnostic, finite
from rgstep.samplers.stream import IsingStream
from rgstep.streams import stream
from rgstep.types import Progress, Rng, Spins

PAIR_COUPLING = 2.0  # by default: ⟨t t′⟩ = 0.964, more than any two spins of the lattice have at T_c
SAMPLES = 20_000  # configurations taken from a stream
KEY = "decoy"  # where `RBM.origin` keeps it


@dataclass(frozen=True, eq=False)
class DecoyTest:
    """What `decoy_test` found; errors are standard errors over seeds, with one seed jackknifed over hidden units.

    `share` and `per_site` as in the module; `units_on_decoys` is the share of hidden units with more than half of
    their Σ_i W_ia² on decoys. `curve` holds `step`, `share`, `share_error` and `per_site` at the checkpoints of the
    training, the first before any update; `record` says what was trained, in plain values.
    """

    share: Estimate
    per_site: Estimate
    units_on_decoys: Estimate
    curve: Mapping[str, np.ndarray]
    record: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, as it is stored with a network; None for what is not a number."""
        numbers = {name: [finite(e.value), finite(e.error)] for name, e in self.estimates.items()}
        curve = {name: [finite(x) for x in values] for name, values in self.curve.items()}
        return {**self.record, **numbers, "curve": curve}

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The three numbers by name."""
        return {"share": self.share, "per_site": self.per_site, "units_on_decoys": self.units_on_decoys}

    def __str__(self) -> str:
        """Return a line."""
        made = self.record
        return (
            f"decoys hold {self.share} of the weights, {self.per_site} times the lattice's per site, and "
            f"{self.units_on_decoys} of the units; {made['preset']}, {made['steps']} steps, seeds {made['seeds']}"
        )


def decoy_test(
    data: Ensemble | IsingStream,
    hidden: int | None = None,
    seed: int | Sequence[int] = 0,
    *,
    preset: str = "default",
    pair_coupling: float = PAIR_COUPLING,
    progress: Progress | None = None,
    **overrides: Any,  # the fields of `Training`
) -> DecoyTest:
    """Train on the lattice and N/2 decoys with the given settings, and return where the weights went.

    Args:
        data: configurations; of a stream the first 20,000.
        hidden: the number of hidden units, by default N/4: one for each pair, or for each 2×2 block.
        seed: decides the decoys (the first, of several), the first weights and every draw; several are trained side by
            side and give the error.
        preset: a name of `PRESETS`.
        pair_coupling: K_pair ≥ 0; 0 gives independent fair spins, which no training has a reason to weigh.
        progress: called as the training goes on.
        **overrides: settings of `Training` that replace the preset's.

    Raises:
        InputError: as `train_rbm`, or for a coupling below 0.
    """
    seeds = as_seeds(seed)
    if not is_number(pair_coupling) or not 0 <= pair_coupling < math.inf:
        message = f"pair_coupling = {pair_coupling!r}: must be a finite number ≥ 0; 2 makes pairs with <tt> = 0.964"
        raise InputError(message)
    system = data.system
    sites = system.size**2
    units = require_positive("hidden", hidden if hidden is not None else sites // 4)
    spins = with_decoys(data, stream(seeds[0], "decoys", sites), float(pair_coupling))
    with tempfile.TemporaryDirectory() as folder:
        train_rbm(spins, units, seed=seeds, preset=preset, checkpoints=folder, progress=progress, **overrides)
        runs = [load_checkpoints(folder, i) for i in range(len(seeds))]
    record = {
        "preset": preset,
        "size": system.size,
        "temperature": system.temperature if math.isfinite(system.temperature) else "inf",
        "hidden": units,
        "seeds": seeds,
        "samples": len(spins),
        "pair_coupling": float(pair_coupling),
        **settings(preset, overrides).plain(),
    }
    curves = {name: over_seeds([[f(rbm, sites) for rbm in run] for run in runs]) for name, f in MEASURES.items()}
    ends = {name: last(values, [run[-1] for run in runs], name, sites) for name, values in curves.items()}
    curve = {
        "step": np.array([rbm.origin["steps"] for rbm in runs[0]], dtype=np.float64),
        "share": np.asarray(curves["share"].value),
        "share_error": np.asarray(curves["share"].error),
        "per_site": np.asarray(curves["per_site"].value),
    }
    return DecoyTest(ends["share"], ends["per_site"], ends["units_on_decoys"], curve, record)


def with_decoys(data: Ensemble | IsingStream, rng: Rng, pair_coupling: float = PAIR_COUPLING) -> Spins:
    """Return configurations with decoys, int8 ±1 `(sample, N + N/2)`: the lattice row by row, then pair after pair."""
    system = data.system
    sites = system.size**2
    count = SAMPLES if isinstance(data, IsingStream) else len(data)
    memory.require(
        3 * count * sites, f"{count} configurations of {sites} spins with decoys, unpacked,", "give fewer of them"
    )
    packed = data.packed if isinstance(data, Ensemble) else PackedSpins(data.bits(0, count), system.size)
    first = rng.integers(0, 2, (count, sites // 4), dtype=np.int8) * np.int8(2) - np.int8(1)
    unlike = rng.random(first.shape, dtype=np.float32) >= (1 + math.tanh(pair_coupling)) / 2
    pairs = np.stack([first, np.where(unlike, -first, first)], axis=2)
    return np.concatenate([as_vectors(packed.unpack()), as_vectors(pairs)], axis=1)


def norms(rbm: RBM, sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ_i W_ia² of each hidden unit over the decoys, and over the first `sites` visible units."""
    squared = rbm.weights.astype(np.float64) ** 2
    return squared[sites:].sum(axis=0), squared[:sites].sum(axis=0)


def share(rbm: RBM, sites: int) -> float:
    """Return the share of the decoys in Σ W²; 0 where all weights are."""
    decoys, lattice = (part.sum() for part in norms(rbm, sites))
    return float(decoys / (decoys + lattice)) if decoys > 0 else 0.0


def per_site(rbm: RBM, sites: int) -> float:
    """Return the mean of W² over decoys in units of that over sites of the lattice."""
    decoys, lattice = (part.sum() for part in norms(rbm, sites))
    return float(decoys / (rbm.visible - sites) / (lattice / sites)) if lattice > 0 else math.nan


def units_on_decoys(rbm: RBM, sites: int) -> float:
    """Return the share of hidden units with more than half of their Σ_i W_ia² on decoys."""
    decoys, lattice = norms(rbm, sites)
    return float((decoys > lattice).mean())


MEASURES = {"share": share, "per_site": per_site, "units_on_decoys": units_on_decoys}


def over_seeds(values: Sequence[Sequence[float]]) -> Estimate:
    """Return mean and standard error over seeds of curves `(seed, checkpoint)`; no error with one seed."""
    table = np.array(values)
    n = len(table)
    error = table.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else np.full(table.shape[1], math.nan)
    return Estimate(table.mean(axis=0), error)


def last(curve: Estimate, trained: Sequence[RBM], name: str, sites: int) -> Estimate:
    """Return the end of a curve; with one network the error is a jackknife over its hidden units."""
    value, error = (float(np.asarray(x)[-1]) for x in (curve.value, curve.error))
    if len(trained) > 1:
        return Estimate(value, error)
    (rbm,) = trained
    left_out = (
        MEASURES[name](
            replace(rbm, weights=np.delete(rbm.weights, a, 1), hidden_bias=np.delete(rbm.hidden_bias, a)), sites
        )
        for a in range(rbm.hidden if rbm.hidden > 1 else 0)
    )
    return jackknife(value, left_out)


def exact_model(system: Ising, pair_coupling: float = PAIR_COUPLING) -> dict[str, float]:
    """Return share and per_site of the network with a hidden unit for each bond and each pair, W = ½ arcosh e^{2K}.

    Its law is exact: 2 cosh(W(s + s′)) ∝ e^{K s s′} for cosh 2W = e^{2K}. At T = 0, where its weights diverge, 0 and 0.
    """
    if math.isinf(system.coupling):
        return {"share": 0.0, "per_site": 0.0}
    bond, pair = (0.5 * math.acosh(math.exp(2 * K)) for K in (system.coupling, pair_coupling))
    ratio = pair**2 / (4 * bond**2) if bond > 0 else math.inf  # of two units a site, and one end of each pair
    return {"share": ratio / (ratio + 2) if bond > 0 else 1.0, "per_site": ratio}


def with_decoy(rbm: RBM, result: DecoyTest) -> RBM:
    """Return the network with the test of its training in its record, so that it is stored and shown with it.

    Raises:
        InputError: if the test was made at another size.
    """
    if rbm.visible != result.record["size"] ** 2:
        message = f"a decoy test at size {result.record['size']} given to a network of {rbm.visible} visible units"
        raise InputError(message)
    return replace(rbm, origin={**rbm.origin, KEY: result.to_dict()})


def stored(rbm: RBM, temperature: float) -> Mapping[str, Any] | None:
    """Return the decoy test in a network's record, None if there is none or it was made at another temperature."""
    return at_temperature(rbm.origin.get(KEY), temperature)


def measure(subject: Subject) -> Row | None:
    """Return the decoy test that a network's record holds; None where there is none: retraining is not judging."""
    system = subject.system
    found = stored(subject.original, system.temperature) if isinstance(subject.original, RBM) else None
    if found is None:
        return None
    pairs = {name: np.array(found[name], dtype=np.float64) for name in MEASURES}  # None becomes NaN
    estimates = {name: Estimate(float(value), float(error)) for name, (value, error) in pairs.items()}
    exact, seeds = exact_model(system, found["pair_coupling"]), len(found["seeds"])
    why = (
        f"of the training ({found['preset']}, {found['steps']} steps) repeated with decoys, not of this network; 0 for "
        f"maps made by hand, 1/3 and 1 per site for weights that learnt nothing, {exact['share']:.3g} and "
        f"{exact['per_site']:.3g} for the exact model of the data with a unit for each bond and pair; error "
        f"{f'over {seeds} seeds' if seeds > 1 else 'over hidden units, with one seed'}"
    )
    curve = {name: np.array(values, dtype=np.float64) for name, values in found["curve"].items()}
    return Diagnostic(None, why, of_all(estimates)), curve


INSTRUMENT = Instrument(
    name="decoy",
    question=(
        "It tells whether a training, repeated with strongly coupled but meaningless pairs of spins beside the "
        "lattice, puts its weights on the lattice or on them. It is a test of the training and not of this very "
        "network, and a small share does not say that the weights on the lattice make block spins."
    ),
    measure=measure,
)
