"""⟨v_i h_a⟩ between the spins and the coarse variables, and two-point functions within each.

    ⟨v_i h_a⟩ = (1/n) Σ_k v_i^(k) h_a^(k),        connected: ⟨v_i h_a⟩ − ⟨v_i⟩⟨h_a⟩,

over n configurations v^(k), with h = E[h | v] where a map is given (the same expectation as sampled h, less noise).
Row a of the result is the picture of hidden unit a over the lattice (arXiv:1906.05212).

The samples are streamed a piece at a time into the means of G contiguous groups, from which every quantity here and
in `patterns` takes its jackknife error; memory grows with G · hidden · sites, not with the number of samples.

NumPy makes the sums. Those of a network can be shared among JAX's devices, h and all, each device with its share of the
samples of a piece (`moment_sums` of an RBM).
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft

from rgstep import arguments, memory
from rgstep.adapters import as_map, require_shape, sound_answer
from rgstep.adapters import given as of_the_user
from rgstep.arguments import InputError, read_array
from rgstep.ensemble import Ensemble, Level, Source, pieces, read
from rgstep.estimates import GROUPS, Estimate, Groups, estimated, jackknife
from rgstep.lattice import as_lattice, as_spins, as_vectors
from rgstep.types import CoarseGraining, Field, Progress, Samples

Hidden: TypeAlias = Callable[[int, Samples], Field]
MapLike: TypeAlias = CoarseGraining | Callable[[Any], Any]  # a function of arrays of any library
Sums: TypeAlias = Callable[[int, Samples], "Means"]  # over a piece of samples
GROUP_BYTES = 2**29  # room for the group means; large lattices take fewer groups
FEWEST_GROUPS = 8
LOOKED_AT = 64  # samples that tell where h lies
FAR = 8.0  # standard deviations of h from 0, beyond which its second moments are summed from elsewhere


class Means(NamedTuple):
    """First and second moments of (v, h) over one set of samples."""

    vh: np.ndarray  # (hidden, site) ⟨v_i h_a⟩
    v: np.ndarray  # (site,)         ⟨v_i⟩
    h: np.ndarray  # (hidden,)       ⟨h_a⟩
    hh: np.ndarray  # (hidden,)      ⟨h_a²⟩
    mm: np.ndarray  # ()             ⟨M²⟩, M = Σ_i v_i

    @property
    def connected(self) -> np.ndarray:
        """⟨v_i h_a⟩ − ⟨v_i⟩⟨h_a⟩, `(hidden, site)`."""
        return np.asarray(self.vh - self.h[:, None] * self.v)


@dataclass(frozen=True, eq=False)
class Moments:
    """The `Means` of G contiguous groups of samples, group axis first, and how many samples each group has."""

    groups: Means
    counts: np.ndarray
    size: int
    hidden_shape: tuple[int, ...]

    def all(self) -> Means:
        """Return the means over all samples, float64."""
        return self._all

    @cached_property
    def _all(self) -> Means:  # asked for by every statistic
        weights = self.counts / self.counts.sum()
        return Means(*(weighted_sum(weights, part) for part in self.groups))

    def left_out(self) -> Iterator[Means]:
        """Yield the means with one group left out, group after group; nothing if there is one group."""
        total, n = self.all(), self.counts.sum()
        for g in range(len(self.counts) if len(self.counts) > 1 else 0):
            share = self.counts[g] / n
            yield Means(*((a - share * part[g]) / (1 - share) for a, part in zip(total, self.groups, strict=True)))

    def estimate(self, statistic: Callable[[Means], np.ndarray], correct_bias: bool = False) -> Estimate:
        """Return any function of the means with its jackknife error."""
        return jackknife(statistic(self.all()), (statistic(means) for means in self.left_out()), correct_bias)

    def estimates(
        self, statistics: Callable[[Means], dict[str, np.ndarray]], corrected: Collection[str] = ()
    ) -> dict[str, Estimate]:
        """Return several functions of the means, computed together, each with its jackknife error.

        Those named in `corrected` are corrected for their O(1/n) bias.
        """
        full = statistics(self.all())
        rest = [statistics(means) for means in self.left_out()]
        return {
            name: jackknife(value, (other[name] for other in rest), name in corrected) for name, value in full.items()
        }


def weighted_sum(weights: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return Σ_g w_g x_g in float64, a group at a time: no second copy of all groups."""
    total = np.zeros(parts.shape[1:])
    for weight, part in zip(weights, parts, strict=True):
        total += weight * part
    return total


@arguments.checked(connected=arguments.FLAG, devices=arguments.COUNT)
def visible_hidden(
    v: Ensemble | ArrayLike,
    h: MapLike | ArrayLike,
    connected: bool = False,
    devices: int = 1,
) -> Estimate:
    """Return ⟨v_i h_a⟩ with its jackknife error; value and error have shape `(hidden, row, column)`.

    Args:
        v: an `Ensemble`, or ±1 configurations `(sample, row, column)` or `(sample, site)`.
        h: a coarse graining, a function v → h, or the hidden variables themselves, `(sample, unit)` or
            `(sample, coarse row, coarse column)`; unit a counts row by row.
        connected: subtract ⟨v_i⟩⟨h_a⟩.
        devices: how many of JAX's devices share the samples; more than one for an `RBM` alone.

    Raises:
        InputError: if v is not ±1 on a square lattice, h is not finite or has another number of samples, or the samples
            of h cannot be shared among so many devices.

    Examples:
        >>> pictures = rg.visible_hidden(rg.sample(8, samples=1_000, seed=0), rg.Majority())
        >>> pictures.value.shape, pictures.error.shape
        ((16, 8, 8), (16, 8, 8))
    """
    moments = measure(v, h, devices=devices)
    estimate = moments.estimate(lambda means: means.connected if connected else means.vh)
    shape = (-1, moments.size, moments.size)
    return Estimate(np.reshape(estimate.value, shape), np.reshape(estimate.error, shape))


def measure(
    v: Ensemble | Level | ArrayLike,
    h: MapLike | ArrayLike,
    *,
    name: str = "h",
    groups: int | None = None,
    devices: int = 1,
    progress: Progress | None = None,
) -> Moments:
    """Stream the samples once and return the moments of (v, h) by group; see `visible_hidden` for the arguments."""
    source = v if isinstance(v, Ensemble | Level) else as_lattice(as_spins(v))
    n, one = len(source), read(source, 0, 1)
    mean_h = hidden_of(n, h, name)
    first = mean_h(0, one)
    sites, hidden = one.size, first[0].size
    groups = groups or number_of_groups(sites, hidden)
    shift = far_origin(source, mean_h)
    precision = np.result_type(first.dtype, np.float32 if shift is None else np.float64)
    memory.require(
        groups * sites * hidden * precision.itemsize,
        f"⟨v h⟩ of {sites} spins and {hidden} hidden units in {groups} groups of samples",
        "use a smaller size or fewer hidden units",
    )

    def same_shape(start: int, v: Samples) -> Samples:
        return require_shape(mean_h(start, v), first.shape[1:], name)

    sums = (
        sums_by_numpy(same_shape, precision, shift)
        if devices == 1
        else sums_on_devices(h, name, devices, precision, shift)
    )
    each = Groups.of(n, groups)
    parts = []
    for group in each.bounds:
        parts.append(means_of(source, sums, group, shift))
        if progress:
            progress(f"⟨v h⟩ of {name}", group[1], n, f"{hidden} units")
    stacked = Means(*(np.stack(column) for column in zip(*parts, strict=True)))
    return Moments(stacked, each.counts, one.shape[1], first.shape[1:])


def hidden_of(samples: int, h: object, name: str) -> Hidden:
    """Return the function (start, v) → E[h | v] of the samples from `start` on, checked, for a map or given arrays."""
    if isinstance(h, CoarseGraining) or callable(h):
        coarse = as_map(h, name)
        return lambda _, v: coarse.mean_h(v)
    values = given(h, name)
    if len(values) != samples:
        message = f"{name} has {len(values)} rows for {samples} configurations: one row for each is needed"
        raise InputError(message)
    return lambda start, v: values[start : start + len(v)]


def given(values: object, name: str, places: bool = False) -> Samples:
    """Return a user's array of coarse variables, checked; `places` asks for (sample, row, column)."""
    if values is None or isinstance(values, str):
        message = f"{name} = {arguments.shown(values)}: expected a coarse graining, a function v -> h, or an array"
        raise InputError(message)
    array = read_array(name, values)
    if places and (array.ndim != 3 or array.shape[1] != array.shape[2]):
        message = f"{name} has shape {array.shape}: a two-point function needs (sample, row, column), rows = columns"
        raise InputError(message)
    return sound_answer(array, len(array) if array.ndim else 0, f"{name} has")


def number_of_groups(sites: int, hidden: int) -> int:
    """Return how many groups of float32 means fit in their room, between 8 and 64."""
    return int(np.clip(GROUP_BYTES // (4 * sites * hidden), FEWEST_GROUPS, GROUPS))


def far_origin(source: Source, mean_h: Hidden) -> np.ndarray | None:
    """Return a constant near each unit's h, float64 `(hidden,)`, if any varies little beside it; else None.

    The first `LOOKED_AT` samples tell. Second moments of h + c cancel to rounding where c is large: they are summed
    of h less that constant, which is put back in float64.
    """
    h = as_vectors(mean_h(0, read(source, 0, LOOKED_AT))).astype(np.float64)
    centre = h.mean(axis=0)
    far = np.abs(centre) > FAR * h.std(axis=0)
    return np.where(far, centre, 0.0) if (far & (centre != 0)).any() else None


def sums_by_numpy(mean_h: Hidden, precision: np.dtype[np.floating], shift: np.ndarray | None) -> Sums:
    """Return the function (start, v) → sums of (v, h − shift) over the samples of a piece.

    Cost: one matrix product of 2 · hidden · sites operations a sample, and one conversion of the spins to floats.
    """

    def sums(start: int, lattice: Samples) -> Means:
        v = as_vectors(lattice).astype(precision)
        h = as_vectors(mean_h(start, lattice)).astype(precision, copy=False)
        h = h if shift is None else h - shift
        magnetisation = (v @ np.ones(v.shape[1], precision)).astype(np.float64)  # whole numbers: exact
        ones = np.ones(len(v), precision)
        return Means(h.T @ v, ones @ v, ones @ h, np.einsum("na,na->a", h, h), magnetisation @ magnetisation)

    return sums


def sums_on_devices(
    h: object, name: str, devices: int, precision: np.dtype[np.floating], shift: np.ndarray | None
) -> Sums:
    """Return the same function of a network's h, whose samples are split among devices; its sums are float32 there.

    Raises:
        InputError: if h is not that of a network, or JAX shows fewer devices.
    """
    network: Any = of_the_user(h) if isinstance(h, CoarseGraining) else None
    if not hasattr(network, "moment_sums"):
        message = f"devices = {devices}: {name} is no RBM, and NumPy sums it on one device; leave devices out"
        raise InputError(message)
    of_shares = network.moment_sums(devices)
    c = np.zeros(()) if shift is None else shift

    def sums(_: int, lattice: Samples) -> Means:
        found = Means(*of_shares(lattice, c))
        return Means(*(x.astype(precision) for x in found))._replace(mm=found.mm)

    return sums


def means_of(source: Source, sums: Sums, group: tuple[int, int], shift: np.ndarray | None = None) -> Means:
    """Return the means over a group of samples [start, stop), a piece at a time; `shift` is `far_origin`."""
    total: Means | None = None
    for start, lattice in pieces(source, *group):
        part = sums(start, lattice)
        total = part if total is None else Means(*(x + y for x, y in zip(total, part, strict=True)))
    if total is None:
        message = "no samples: at least one configuration is needed"
        raise InputError(message)
    means = Means(*(np.asarray(x / (group[1] - group[0])) for x in total))
    return means if shift is None else shifted(means, shift)


def shifted(means: Means, c: np.ndarray) -> Means:
    """Return the means of h + c from those of h, c `(hidden,)`."""
    hh = means.hh + 2 * c * means.h + c**2
    return means._replace(vh=means.vh + c[:, None] * means.v, h=means.h + c, hh=hh)


@arguments.checked(connected=arguments.FLAG)
def two_point(field: Ensemble | Level | ArrayLike, connected: bool = False) -> Estimate:
    """Return G(d) = (1/N) Σ_x ⟨s_x s_{x+d}⟩ on the torus by FFT, with jackknife errors, `(row, column)` of d.

    Args:
        field: an `Ensemble`, or a lattice-valued field such as a block map's h, `(sample, row, column)`.
        connected: subtract ⟨s⟩², s averaged over sites and samples.

    Raises:
        InputError: if the field is not lattice-valued (hidden units without places have no displacements).

    Examples:
        >>> found = rg.two_point(rg.sample(8, temperature=3.0, samples=1_000, seed=0))
        >>> found.value.shape
        (8, 8)
        >>> round(float(found.value[0, 0]), 6)  # ⟨s²⟩
        1.0
    """
    source = field if isinstance(field, Ensemble | Level) else given(field, "the field", places=True)
    groups = Groups.of(len(source))
    products, sums = (
        np.stack(part) for part in zip(*(correlation_sums(source, *g) for g in groups.bounds), strict=True)
    )
    product, mean = groups.over_counts(products), groups.over_counts(sums)
    return estimated(product - (mean[:, None, None] ** 2 if connected else 0.0))


def correlation_sums(source: Source, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (1/N) Σ_x s_x s_{x+d}, `(row, column)` of d, and (1/N) Σ_x s_x, summed over samples start … stop."""
    size = read(source, 0, 1).shape[1]
    power, total = np.zeros((size, size // 2 + 1)), np.zeros(())
    for _, values in pieces(source, start, stop):
        power += (np.abs(fft.rfft2(values.astype(np.float32))) ** 2).sum(axis=0, dtype=np.float64)
        total += values.sum(dtype=np.float64) / size**2
    return np.asarray(fft.irfft2(power / size**2, s=(size, size))), total
