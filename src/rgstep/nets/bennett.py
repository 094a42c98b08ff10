"""Two neighbours on a ladder of networks: the ratio of their partition functions, and their overlap.

With n configurations of each of the two and D = F_{l+1} − F_l, x = ln Z_{l+1} − ln Z_l solves

    Σ_{v of l} 1 / (1 + exp(D(v) + x)) = Σ_{v of l+1} 1 / (1 + exp(−D(v) − x)),

the estimate of least variance from both (Bennett 1976, J. Comput. Phys. 22, 245; its likelihood: Shirts, Bair, Hooker,
Pande 2003, Phys. Rev. Lett. 91, 140601). The sum of x along a ladder that begins with independent spins, of which

    ln Z_0 = Σ_i ln 2 cosh a_i + Σ_a ln 2 cosh b_a,

is ln Z of the last network. Free energies are taken in float64 on the host. The configurations of one chain of the
ladder are correlated in time and through the exchanges; chains are not, and the error is the jackknife's over them.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import expit

from rgstep.arguments import InputError, is_whole, require_positive
from rgstep.estimates import GROUPS, Estimate, group_bounds, jackknife
from rgstep.nets.rbm import RBM, Weights, log_2cosh
from rgstep.nets.tempering import LadderState, Seed, as_key, from_independent, require_acceptance, stacked, temper
from rgstep.types import Progress, Spins

Differences = Float[np.ndarray, "pair 2 *draw chain"]  # D at configurations of the lower and of the upper level

FEWEST_CHAINS = 8  # from which an error is given
FEWEST_ACCEPTED = 10  # exchanges expected among the draws of a pair, below which its ratio is refused
DRAWS_FOR_CHOICE = 10  # configurations of a chain and level from which the choice of checkpoints is made


def log_ratio(of_lower: np.ndarray, of_upper: np.ndarray) -> float:
    """Return ln(Z_upper / Z_lower) by Bennett's acceptance ratio.

    Args:
        of_lower: D = F_upper − F_lower at configurations drawn from the lower network, any shape.
        of_upper: the same at configurations drawn from the upper network; their number may differ.
    """
    lower, upper = np.ravel(of_lower), np.ravel(of_upper)
    offset = float(np.log(len(lower) / len(upper)))
    # Beyond all D the surplus has the sign of the one sum that is left.
    least, most = min(lower.min(), upper.min()), max(lower.max(), upper.max())
    margin = abs(offset) + 1.0
    ends = -offset - most - margin, -offset - least + margin
    return float(brentq(surplus, *ends, args=(lower + offset, upper + offset), xtol=1e-12))


def surplus(x: float, lower: np.ndarray, upper: np.ndarray) -> float:
    """Return how far the sum over the lower level exceeds that over the upper one; it falls with x."""
    return float(expit(-(lower + x)).sum() - expit(upper + x).sum())


def independent_log_partition(rbm: RBM) -> float:
    """Return ln Z of a network with W = 0, Σ ln 2 cosh a + Σ ln 2 cosh b.

    Raises:
        InputError: if a weight is not zero.
    """
    if rbm.weights.any():
        message = (
            f"the first level has weights up to {np.abs(rbm.weights).max():.3g}: ln Z is known where all are 0, begin "
            f"with beta = 0 or use trajectory_ladder"
        )
        raise InputError(message)
    biases = np.concatenate([rbm.visible_bias, rbm.hidden_bias]).astype(np.float64)
    return float(log_2cosh(biases).sum())


def networks_of(ladder: Weights) -> list[RBM]:
    """Return the network of every level."""
    w, a, b = (np.asarray(array) for array in ladder)
    return [RBM(w[level], a[level], b[level]) for level in range(len(w))]


def bennett_log_partition(
    ladder: Weights,
    seed: Seed = 0,
    *,
    chains: int = 64,
    steps: int = 1000,
    sweeps: int = 1,
    spacing: int = 10,
    settle: int | None = None,
    start: LadderState | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """Return ln Z of the last network of a ladder, with its error.

    Args:
        ladder: the networks; the first has W = 0.
        seed: as in `temper`.
        chains: independent copies of the ladder, at least 8.
        steps: steps of tempering from which configurations are taken.
        sweeps: Gibbs steps between exchanges.
        spacing: steps between the configurations taken.
        settle: steps before them; as many as `steps` by default.
        start: where to go on from, as in `temper`; independent fair spins by default.
        progress: called after each draw.

    Raises:
        InputError: for a first level with weights, bad numbers, or two neighbours that hardly overlap.
    """
    levels = networks_of(ladder)
    first = independent_log_partition(levels[0])
    number = max(1, require_positive("steps", steps) // require_positive("spacing", spacing))
    settle = steps if settle is None else settle
    if not is_whole(settle) or settle < 0:
        message = f"settle = {settle!r}: must be a whole number, 0 or more"
        raise InputError(message)
    if require_positive("chains", chains) < FEWEST_CHAINS:
        message = f"chains = {chains}: the error comes from the scatter of chains, take at least {FEWEST_CHAINS}"
        raise InputError(message)
    found = []
    for v in draws(ladder, seed, chains, settle, number, spacing, sweeps, start):
        found.append(differences(levels, v))
        if progress:
            progress("Bennett ratios", len(found), number)
    ratios = summed(np.stack(found, axis=2))
    return Estimate(first + ratios.value, ratios.error)


def draws(
    ladder: Weights,
    seed: Seed,
    chains: int,
    settle: int,
    number: int,
    spacing: int,
    sweeps: int,
    start: LadderState | None,
) -> Iterator[Spins]:
    """Yield configurations of all levels, `(level, chain, visible)`, `spacing` steps apart, after `settle` steps."""
    key = as_key(seed)
    for draw, steps in enumerate([settle, *[spacing] * number]):
        if steps:
            start = temper(ladder, key, chains=chains, steps=steps, sweeps=sweeps, start=start, allow_cut=True).state
        if draw and start is not None:
            yield np.asarray(start.v.astype(jnp.int8))


def differences(levels: Sequence[RBM], v: Spins) -> Differences:
    """Return D = F_{l+1} − F_l at configurations of level l and of level l + 1, of all pairs, `(pair, 2, chain)`."""
    return np.array(
        [
            [hard.free_energy(at) - easy.free_energy(at) for at in both]
            for (easy, hard), both in zip(pairwise(levels), pairwise(v), strict=True)
        ]
    )


def summed(found: Differences) -> Estimate:
    """Return the sum over pairs of ln(Z_{l+1} / Z_l), with its error from groups of chains.

    Raises:
        InputError: if so few exchanges of a pair would be accepted that the ratio rests on a few configurations.
    """
    for pair, (of_lower, of_upper) in enumerate(found):
        # Other chains, so that the two configurations are independent.
        expected = np.exp(np.minimum(of_upper - np.roll(of_lower, 1, axis=1), 0.0)).sum()
        if expected < FEWEST_ACCEPTED:
            message = (
                f"levels {pair} and {pair + 1}: {expected:.2g} of {of_lower.size} exchanges would be accepted, at "
                f"least {FEWEST_ACCEPTED} are needed; put levels between them or take more steps"
            )
            raise InputError(message)

    def total(part: Differences) -> float:
        return sum(log_ratio(of_lower, of_upper) for of_lower, of_upper in part)

    bounds = group_bounds(found.shape[3], GROUPS)
    return jackknife(total(found), (total(np.delete(found, np.s_[a:b], axis=3)) for a, b in bounds))


def thin_trajectory(
    rbms: Sequence[RBM], acceptance: float = 0.3, seed: Seed = 0, *, chains: int = 64, steps: int = 200
) -> list[RBM]:
    """Return few checkpoints of a run with at least a given acceptance between neighbours, and the last of all.

    Each is followed by the farthest one before the acceptance falls below that wanted. Configurations come from a
    run over all checkpoints; the acceptance of any two is averaged over them.

    Args:
        rbms: checkpoints, earliest first; independent spins are put before them as in `trajectory_ladder`.
        acceptance: wanted between neighbours, between 0 and 1.
        seed: as in `temper`.
        chains: chains of the run.
        steps: steps of the run, and as many before it for the chains to settle.

    Raises:
        InputError: for a bad acceptance, or if neighbours as given do not reach it.
    """
    require_acceptance(acceptance)
    rungs = from_independent(rbms)
    spacing = max(1, require_positive("steps", steps) // DRAWS_FOR_CHOICE)
    v = np.concatenate([*draws(stacked(rungs), seed, chains, steps, DRAWS_FOR_CHOICE, spacing, 1, None)], axis=1)
    kept = [0]
    while (low := kept[-1]) < len(rungs) - 1:
        best = low
        for high in range(low + 1, len(rungs)):
            rate = acceptance_between(rungs[low], rungs[high], v[low], v[high])
            if rate < acceptance:
                break
            best = high
        if best == low:
            message = (
                f"acceptance {rate:.2g} between levels {low} and {low + 1}, below {acceptance}: save checkpoints more "
                f"often there, or ask for less"
            )
            raise InputError(message)
        kept.append(best)
    return [rungs[level] for level in kept]


def acceptance_between(first: RBM, second: RBM, v_first: Spins, v_second: Spins) -> float:
    """Return the mean of min(1, exp(D(v₂) − D(v₁))), D = F₂ − F₁, over all pairs of a v₁ of p₁ and a v₂ of p₂."""
    of_first, of_second = (second.free_energy(v) - first.free_energy(v) for v in (v_first, v_second))
    return float(np.exp(np.minimum(of_second[None, :] - of_first[:, None], 0.0)).mean())
