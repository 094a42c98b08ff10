"""Measure what docs/sampling.md says and draw its figures: python docs/draw_sampling.py, six minutes on two cores.

Prints the tables in Markdown and writes sampling-*.png beside this file. Seeds are fixed, so the numbers return; only
the time at the end differs.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numba import njit
from scipy.special import betaincinv, ndtri

import rgstep as rg
from rgstep.drawing import COLOURS, MARKERS, STYLE
from rgstep.estimates import Estimate, autocorrelation_time, grouped_mean, jackknife
from rgstep.exact import torus
from rgstep.ising import ising
from rgstep.samplers.chains import BURN_IN_TAUS, EXTRA_SWEEPS, KINDS, Chains, Request, check, expected_seconds, spoken
from rgstep.samplers.cluster import Wolff
from rgstep.samplers.multispin import Metropolis
from rgstep.samplers.rng import Purpose, seed_sequence
from rgstep.samplers.sample import follow

FOLDER = Path(__file__).parent
TC = rg.CRITICAL_TEMPERATURE
BLUE, RED, GREEN, PINK, ORANGE, SKY = COLOURS[:6]
REPLICAS = 512

# kernel, mode, samples a set: as many as a few seconds make
SETS = (
    ("metropolis", "iid", 20_000),
    ("metropolis", "thin", 20_000),
    ("heat-bath", "iid", 6_000),
    ("single", "iid", 2_000),
    ("swendsen-wang", "iid", 2_000),
    ("swendsen-wang", "thin", 4_000),
    ("wolff", "iid", 2_000),
    ("metropolis-philox", "iid", 2_000),
    ("auto", "exact", 3_000),
)
SCORED_SIZES = (8, 16, 32)
SCORED_TEMPERATURES = (1.5, 2.0, TC, 2.6, 5.0)


def parallel(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Return what each call returns; kernels hold no interpreter lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def table(head: str, rows: Iterable[Iterable[object]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {head} |\n|{'---|' * (head.count('|') + 1)}")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


def save(figure: Figure, name: str) -> None:
    """Write a figure beside the page."""
    figure.savefig(FOLDER / f"sampling-{name}.png", dpi=110)


def z_line(axes: Axes) -> None:
    """Draw the exact answer, z = 0, and the band of two standard errors about it."""
    axes.axhspan(-2, 2, color="0.92", zorder=0)
    axes.axhline(0, color="0.5", linewidth=0.8, zorder=0)


# --- z-scores


def scores(ensemble: Any) -> list[float]:
    """Return z of u, c and the sign of m, and up to L = 8 of |m| and m², with the exact variances."""
    z = [check.z for check in ensemble.checks.values()]
    system = ensemble.system
    if system.size <= 8:
        exact, m = torus.magnetisation_moments(system.size, system.coupling), np.abs(ensemble.magnetisations)
        z.append((m.mean() - exact.abs_m) / math.sqrt((exact.m2 - exact.abs_m**2) / len(m)))
        z.append(((m**2).mean() - exact.m2) / math.sqrt((exact.m4 - exact.m2**2) / len(m)))
    return z


def rms(of_sets: list[list[float]]) -> Estimate:
    """Return the root mean square of z; scores of one set are correlated, so the jackknife leaves out sets."""
    sums = np.array([[sum(z**2 for z in one), len(one)] for one in of_sets])
    total, left = sums.sum(axis=0), sums.sum(axis=0) - sums
    return jackknife(math.sqrt(total[0] / total[1]), np.sqrt(left[:, 0] / left[:, 1]))


def measure_scores() -> None:
    """Hold every kernel and mode against the exact values."""
    rows, everything, starts = [], [], []
    for seed, (kernel, mode, samples) in enumerate(SETS):
        made = [
            ensemble
            for size in SCORED_SIZES
            for ensemble in rg.sample(
                size,
                [t for t in SCORED_TEMPERATURES if mode != "exact" or t >= TC],
                samples,
                seed,
                mode=mode,
                kernel=kernel,
            )
        ]
        of_sets = [scores(ensemble) for ensemble in made]
        hot_cold = [list(ensemble.certificate.hot_cold.values()) for ensemble in made]
        everything += of_sets
        starts += [z for z in hot_cold if z]
        z = np.concatenate(of_sets)
        spread, largest = rms([z for z in hot_cold if z]) if mode != "exact" else "–", np.abs(z).max()
        rows.append(
            [made[0].certificate.kernel, mode, samples, len(made), len(z), rms(of_sets), f"{largest:.2f}", spread]
        )
    z, hot_cold = np.concatenate(everything), np.concatenate(starts)
    rows.append(["**all**", "", "", len(everything), len(z), rms(everything), f"{np.abs(z).max():.2f}", rms(starts)])
    table("kernel | mode | samples a set | sets | scores | rms z | largest z | rms z, hot − cold", rows)
    print(f"hot − cold: {len(hot_cold)} scores, largest {np.abs(hot_cold).max():.2f}")
    print(f"mean z {z.mean():+.3f}; share beyond 2: {(np.abs(z) > 2).mean():.3f}, Gaussian 0.046", flush=True)
    draw_scores(np.sort(z))


def measure_again() -> None:
    """Score two kernels again, with other seeds: single runs found their rows high."""
    for kernel, samples in (("metropolis", 20_000), ("metropolis-philox", 2_000)):
        of_sets = [
            scores(ensemble)
            for seed in range(100, 200 if kernel == "metropolis" else 110)
            for size in (8, 16)
            for ensemble in rg.sample(size, SCORED_TEMPERATURES, samples, seed, kernel=kernel)
        ]
        count, largest = sum(map(len, of_sets)), max(abs(z) for one in of_sets for z in one)
        print(f"{kernel} again: {len(of_sets)} sets, {count} scores, rms {rms(of_sets)}, largest {largest:.2f}")


def measure_readings() -> None:
    """τ of e and m² at L = 32, T = 2.5 with a reading every sweep, as in the pilot, and every eight."""
    system = ising(32, 2.5)
    for stride in (1, 8):
        chains = KINDS["metropolis"].start(system, seed_sequence(system, 9, Purpose.PILOT), False, REPLICAS)
        chains.advance(300)
        series = np.concatenate([follow(chains, stride) for _ in range(8)], axis=-1)
        found = [autocorrelation_time(x) for x in series]
        e, m2 = (Estimate(float(t.value) * stride, float(t.error) * stride) for t in found)
        print(f"L = 32, T = 2.5, a reading every {stride}: τ of e {e}, of m² {m2}", flush=True)


def draw_scores(z: np.ndarray) -> None:
    """Draw sorted scores as a histogram and as a normal probability plot."""
    n = len(z)
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = np.arange(-4, 4.01, 0.5)
    counts, centres, x = np.histogram(z, edges)[0], edges[:-1] + 0.25, np.linspace(-4, 4, 200)
    left.bar(centres, counts, width=0.46, color=SKY)
    left.errorbar(centres, counts, np.sqrt(counts), fmt="none", ecolor="0.25", elinewidth=1.0)
    left.plot(x, 0.5 * n * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi), color=RED, label="unit Gaussian")
    left.set(xlabel="z = (measured − exact) / error", ylabel="scores per bin of 0.5", title=f"{n} scores")
    left.legend(loc="upper left", fontsize="small")
    k = np.arange(1, n + 1)
    expected = ndtri((k - 0.5) / n)
    low, high = (ndtri(betaincinv(k, n + 1 - k, p)) for p in (0.025, 0.975))
    right.fill_between(expected, low, high, color="0.88", lw=0, label="95 % band, if independent")
    right.plot(expected, expected, color=RED, linewidth=1.0, label="unit Gaussian")
    right.plot(expected, z, ".", color=BLUE, markersize=4)
    right.set(xlabel="expected z of this rank", ylabel="measured z", title="normal probability plot")
    right.legend(loc="upper left", fontsize="small")
    save(figure, "scores")


# --- trap: random start below T_c


def stripes_left(kernel: str, temperature: float, chains: int, sweeps: list[int]) -> tuple[list[float], np.ndarray]:
    """Return the fraction of chains from a random start with |m| < ½ after so many sweeps, and one such chain."""
    system, groups = ising(32, temperature), []
    size = KINDS[kernel].group(32)
    for g in range(chains // size):
        groups.append(KINDS[kernel].start(system, seed_sequence(system, 0, Purpose.HOT, g), True, size))
    done, fractions, striped = 0, [], np.zeros((32, 32))
    for target in sweeps:
        parallel(partial(one.advance, target - done) for one in groups)
        done = target
        read = [one.read() for one in groups]
        m = np.abs(np.concatenate([packed.magnetisations() for packed in read]))
        fractions.append(float((m < 0.5).mean()))
        if done == 1_000 and (m < 0.5).any():
            k = int(np.flatnonzero(m < 0.5)[0])
            striped = read[k // size].unpack(k % size, k % size + 1)[0]
    return fractions, striped


def measure_stripes() -> None:
    """Random start and local updates below T_c."""
    chains, sweeps = 2_048, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    axes, picture = figure.subplots(1, 2, width_ratios=(2.2, 1))
    rows, shown = [], None
    for k, temperature in enumerate((0.5, 1.0, 1.5)):
        fractions, striped = stripes_left("metropolis", temperature, chains, sweeps)
        shown = striped if shown is None else shown
        errors = [math.sqrt(f * (1 - f) / chains) for f in fractions]
        axes.errorbar(
            sweeps,
            fractions,
            errors,
            color=COLOURS[k],
            marker=MARKERS[k],
            markersize=5,
            label=f"Metropolis, T = {temperature:g}",
        )
        at = [sweeps.index(n) for n in (100, 1_000, 10_000)]
        rows.append(
            [f"Metropolis, {temperature:g}", *(f"{100 * fractions[i]:.1f}({100 * errors[i]:.1f}) %" for i in at)]
        )
    short = [n for n in sweeps if n <= 100]
    fractions, _ = stripes_left("swendsen-wang", 0.5, chains, short)
    axes.plot(short, fractions, "--", color="0.35", marker="x", label="Swendsen–Wang, T = 0.5")
    rows.append(["Swendsen–Wang, 0.5", f"{100 * fractions[-1]:.1f} %", "", ""])
    axes.set(
        xscale="log",
        ylim=(-0.02, 1.02),
        xlabel="sweeps after a random start",
        ylabel="fraction with |m| < 0.5",
        title=f"L = 32, {chains:,} chains; the law itself has next to none",
    )
    axes.legend()
    picture.imshow(shown, cmap="gray_r", interpolation="nearest")
    picture.spines[:].set_visible(True)
    picture.set(xticks=[], yticks=[])
    picture.set_title("Metropolis, T = 0.5: 1,000 sweeps\nafter a random start", fontsize="medium")
    save(figure, "stripes")
    table("random start, T | 100 sweeps | 1,000 | 10,000", rows)


# --- trap: Wolff alternates


def measure_wolff() -> None:
    """Successive states of Wolff's algorithm at low temperature, as they are and each with a fair flip."""
    system, steps = ising(32, 0.5), 10_000
    chain = Wolff(system, seed_sequence(system, 0), False, 1, 1)
    raw, flipped = np.empty(steps), np.empty(steps)
    for k in range(steps):
        chain.advance(1)
        raw[k], flipped[k] = chain.lattices.mean(), chain.read().magnetisations()[0]
    figure = Figure(figsize=(9.6, 3.2), layout="constrained")
    for axes, m, title in zip(
        figure.subplots(1, 2, sharey=True),
        (raw, flipped),
        ("as the clusters leave it", "each with a fair flip"),
        strict=True,
    ):
        up = m > 0
        k = np.arange(1, 41)
        axes.plot(k, m[:40], color="0.75", linewidth=0.8)
        axes.plot(k[up[:40]], m[:40][up[:40]], "o", color=BLUE, markersize=5)
        axes.plot(k[~up[:40]], m[:40][~up[:40]], "s", color=RED, markersize=5)
        axes.set(xlabel="clusters flipped", ylim=(-1.25, 1.25), title=f"Wolff, L = 32, T = 0.5: {title}")
        axes.title.set_size("medium")
        axes.axhline(0, color="0.5", linewidth=0.8, zorder=0)
    figure.axes[0].set_ylabel("magnetisation per site m")
    save(figure, "wolff")
    rows = []
    for name, m in (("as it is", raw), ("with a fair flip", flipped)):
        sign = np.sign(m)
        second = grouped_mean(sign[1::2] > 0)
        rows.append([name, f"{np.mean(sign[1:] * sign[:-1]):+.4f}", f"{np.mean(sign):+.4f}", second])
    table("Wolff at T = 0.5 | ⟨sign m_k · sign m_{k+1}⟩ | ⟨sign m⟩ | share up of every second state", rows)


# --- trap: burn-in


def measure_burn_in() -> None:
    """⟨e⟩ of 20,480 Metropolis chains at T_c, L = 32, against the number of sweeps."""
    system, groups = ising(32, TC), 40
    grid = [0, 10, 20, 30, 50, 70, 100, 150, 200, 250, 300, 400, 500, 600, 700, 800, 900, 1_000]
    u, variance = torus.energy(32, system.coupling), torus.energy_variance(32, system.coupling)
    error = math.sqrt(variance / (groups * REPLICAS))

    def relax(hot: bool, group: int) -> list[float]:
        chains = KINDS["metropolis"].start(system, seed_sequence(system, 1 + hot, Purpose.DATA, group), hot, REPLICAS)
        means = []
        for sweeps in np.diff(grid, prepend=0):
            chains.advance(int(sweeps))
            means.append(float(chains.read().energies().mean()))
        return means

    z = {
        hot: (np.mean(parallel(partial(relax, hot, g) for g in range(groups)), axis=0) - u) / error
        for hot in (False, True)
    }
    used = rg.sample(32, TC, 64, seed=0, kernel="metropolis").certificate.burn_in_sweeps
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    z_line(axes)
    axes.errorbar(grid, z[False], 1.0, fmt="o-", color=BLUE, markersize=4, linewidth=1.0, label="ordered start")
    axes.errorbar(grid, z[True], 1.0, fmt="s-", color=RED, markersize=4, linewidth=1.0, label="random start")
    axes.axvline(used, color=GREEN, linestyle="--", label=f"burn-in of rgstep.sample: {used:.0f} sweeps")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(-2_000, 4_000)
    axes.minorticks_off()
    axes.set(
        xlabel="sweeps from the start",
        ylabel="(⟨e⟩ − exact) / standard error",
        title=f"Metropolis at $T_c$, L = 32, {groups * REPLICAS:,} chains; grey: ±2",
    )
    ticks = (-1000, -100, -10, -5, 0, 5, 10, 100, 1000)
    axes.set_yticks(ticks, [f"{tick}".replace("-", "−") for tick in ticks])
    axes.legend(loc="lower right", bbox_to_anchor=(0.69, 0.02))
    save(figure, "burn-in")
    table(
        "sweeps | z of ⟨e⟩, ordered start | random start",
        (
            [n, f"{z[False][k]:+.1f}", f"{z[True][k]:+.1f}"]
            for k, n in enumerate(grid)
            if n in (0, 30, 100, 200, 300, 500, 800)
        ),
    )
    print(
        f"one standard error of {groups * REPLICAS} chains: {error:.2g} J; burn-in used: {used:.0f} sweeps", flush=True
    )


# --- trap: shared random numbers


@njit(nogil=True)
def seed_numba(seed: int) -> None:
    """Seed the generator of this thread."""
    np.random.seed(seed)  # noqa: NPY002 — the one that numba has


@njit(nogil=True)
def shared_metropolis(spins, one, none, sweeps, width):
    """Sweep a group of `multispin` with one uniform number for each site, the same for all replicas."""
    size, n = spins.shape[1:]
    ones, zeros = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
    for _ in range(sweeps):
        for colour in range(2):
            for i in range(size):
                here, side = spins[colour, i], spins[1 - colour, i]
                above, below = spins[1 - colour, (i - 1) % size], spins[1 - colour, (i + 1) % size]
                step = width if (i + colour) & 1 else n - width
                for first in range(0, n, width):
                    u = np.random.random()  # noqa: NPY002
                    wide, narrow = ones if u < one else zeros, ones if u < none else zeros
                    for x in range(first, first + width):
                        s = here[x]
                        a, b, c, d = s ^ above[x], s ^ below[x], s ^ side[x], s ^ side[(x + step) % n]
                        some, two = a | b | c | d, (a & b) | (c & d) | ((a | b) & (c | d))
                        here[x] = s ^ (two | (some & wide) | (~some & narrow))


class Shared(Metropolis):
    """Chains of Metropolis that share their random numbers."""

    def advance(self, sweeps: int) -> None:
        """Sweep every chain."""
        K = self.coupling
        shared_metropolis(self.spins, math.exp(-4 * K), math.exp(-8 * K), sweeps, self.width)


def inflation(temperature: float, readings: int = 3_000) -> tuple[list[Estimate], list[Estimate], int]:
    """Return 512 Var(mean of 512 replicas) / Var(one replica) of e and m², shared and not, and the states left."""
    system = ising(32, temperature)
    spacing = max(1, math.ceil(KINDS["metropolis"].tau(system) / 4))
    own = Metropolis(system, seed_sequence(system, 3), False, REPLICAS)
    own.advance(EXTRA_SWEEPS + math.ceil(BURN_IN_TAUS * KINDS["metropolis"].tau(system)))
    shared = Shared(system, seed_sequence(system, 4), False, REPLICAS)
    shared.coupling = system.coupling
    shared.spins[:] = own.spins  # 512 independent states to begin with
    seed_numba(5)
    shared.advance(500 * spacing)

    def read(chains: Chains) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        means, squares = np.empty((2, readings)), np.empty((2, readings))
        for k in range(readings):
            chains.advance(spacing)
            packed = chains.read()
            e, m2 = packed.energies(), packed.magnetisations() ** 2
            means[:, k], squares[:, k] = (e.mean(), m2.mean()), (np.mean(e**2), np.mean(m2**2))
        return means, squares.mean(axis=1), packed.bits

    means, squares, _ = read(own)
    centre = np.array([torus.energy(32, system.coupling), means[1].mean()])
    variance = np.array([torus.energy_variance(32, system.coupling), squares[1] - centre[1] ** 2])
    together, _, bits = read(shared)
    result = [
        [grouped_mean(REPLICAS * (x - c) ** 2 / v, 20) for x, c, v in zip(m, centre, variance, strict=True)]
        for m in (together, means)
    ]
    return result[0], result[1], states_left(bits)


def states_left(bits: np.ndarray) -> int:
    """Return how many of the configurations differ by more than a global flip."""
    return len(np.unique(np.where(bits[:, :1] & 0x80, bits, ~bits), axis=0))


def measure_sharing() -> None:
    """512 replicas at one temperature that share their random numbers."""
    temperatures = (1.0, 1.5, 2.0, TC, 2.6, 3.0, 4.0, 5.0, 6.0)
    results = parallel(partial(inflation, t) for t in temperatures)
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    series = (("shared", 0, "-"), ("own random numbers (rgstep)", 1, "--"))
    for name, which, line in series:
        for k, quantity in enumerate(("e", "m²")):
            values = [result[which][k] for result in results]
            axes.errorbar(
                temperatures,
                [v.value for v in values],
                [v.error for v in values],
                color=(BLUE, RED)[k],
                marker=MARKERS[k + 2 * which],
                linestyle=line,
                markersize=5,
                label=f"{quantity}, {name}",
            )
    axes.axhline(REPLICAS, color="0.6", linewidth=0.8, linestyle=":")
    axes.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    axes.text(6.1, REPLICAS * 1.06, "all replicas are one", ha="right", va="bottom", color="0.35", size="small")
    axes.text(6.1, 0.8, "independent", ha="right", va="top", color="0.35", size="small")
    axes.axvline(TC, color="0.8", linewidth=0.8, zorder=0)
    axes.text(TC + 0.04, 0.62, "$T_c$", color="0.35", size="small")
    axes.set(
        yscale="log",
        ylim=(0.55, 1_000),
        xlabel=r"temperature T ($J/k_B$)",
        ylabel=r"512 Var(mean of 512) / Var(one)",
        title="Metropolis, L = 32: variance inflation by shared random numbers",
    )
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.42), fontsize="small")
    save(figure, "shared")
    table(
        "T | e, shared | m², shared | states left of 512 | e, own | m², own",
        ([f"{t:.4g}", *shared, left, *own] for t, (shared, own, left) in zip(temperatures, results, strict=True)),
    )


# --- cost at T_c

FITTED = 32  # the smallest L of the fits
METROPOLIS_RUNS = {
    8: (512, 6),
    16: (512, 6),
    32: (512, 16),
    48: (512, 12),
    64: (512, 12),
    96: (64, 10),
    128: (64, 10),
}
CLUSTER_RUNS = {8: (64, 15), 16: (64, 15), 32: (64, 15), 64: (64, 10), 128: (16, 20), 256: (8, 24), 512: (4, 20)}
# kernel, its name, L → chains in each of two groups and how often `follow` reads them, the slower of e and m²
RUNS = (
    ("metropolis", "Metropolis, m²", METROPOLIS_RUNS, 1),
    ("swendsen-wang", "Swendsen–Wang, e", CLUSTER_RUNS, 0),
)


def times(kernel: str, size: int, chains: int, rounds: int) -> tuple[Estimate, Estimate]:
    """Return τ of e and m² in sweeps at T_c, as the pilot of `sample` does, from more reads."""
    request = Request(ising(size, TC), 1, 6, "iid", kernel)
    tau = request.kind.tau(request.system)
    stride = 2 ** max(0, math.floor(math.log2(tau / 6)))

    def run(group: int) -> np.ndarray:
        one = request.start(Purpose.PILOT, group, chains=chains)
        one.advance(EXTRA_SWEEPS + math.ceil(BURN_IN_TAUS * tau / 2))
        return np.concatenate([follow(one, stride) for _ in range(rounds)], axis=-1)

    energies, squares = np.concatenate(parallel(partial(run, g) for g in range(2)), axis=1)
    found = [autocorrelation_time(x) for x in (energies, squares)]
    return tuple(Estimate(float(t.value) * stride, float(t.error) * stride) for t in found)


def power_law(sizes: np.ndarray, taus: list[Estimate]) -> tuple[float, Estimate, float]:
    """Return A, z and χ² per degree of freedom of τ = A L^z by weighted least squares of the logarithms."""
    y = np.log([t.value for t in taus])
    w = np.array([t.value / t.error for t in taus])
    design = np.stack([np.ones(len(sizes)), np.log(sizes)], axis=1)
    covariance = np.linalg.inv((design * w[:, None] ** 2).T @ design)
    solution = covariance @ (design * w[:, None] ** 2).T @ y
    chi2 = float(np.sum((w * (y - design @ solution)) ** 2)) / max(1, len(sizes) - 2)
    return math.exp(solution[0]), Estimate(float(solution[1]), math.sqrt(covariance[1, 1])), chi2


def milliseconds(kernel: str, size: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """Return the cost of one configuration in mode iid, by the table of costs."""
    return (EXTRA_SWEEPS + BURN_IN_TAUS * tau) * size**2 * KINDS[kernel].nanoseconds * 1e-6


def measure_cost() -> None:
    """τ and the cost of a configuration at T_c against L."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    line, fits, columns = np.geomspace(8, 512, 300), {}, {}
    for k, (kernel, name, runs, slow) in enumerate(RUNS):
        found = {size: times(kernel, size, *runs[size]) for size in runs}
        sizes = np.array(list(found))
        taus = [found[size][slow] for size in found]
        fitted = sizes >= FITTED
        A, z, chi2 = power_law(sizes[fitted], [t for t, use in zip(taus, fitted, strict=True) if use])
        fits[kernel] = (A, float(z.value))
        value, error = np.array([[t.value, t.error] for t in taus]).T
        style: Any = {"color": COLOURS[k], "marker": MARKERS[k], "markersize": 5, "linestyle": "none"}
        left.errorbar(sizes, value, error, label=f"{name}: $z$ = {z}", **style)
        left.plot(line, A * line ** fits[kernel][1], color=COLOURS[k], linewidth=1.0)
        cost = milliseconds(kernel, sizes, value)
        right.errorbar(sizes, cost, cost * error / value, label=name.split(",")[0], **style)
        right.plot(line, milliseconds(kernel, line, A * line ** fits[kernel][1]), color=COLOURS[k], linewidth=1.0)
        model = [KINDS[kernel].tau(ising(int(size), TC)) for size in sizes]
        columns[name] = dict(zip(found, taus, strict=True))
        print("measured / model: " + ", ".join(f"{v / m:.2f}" for v, m in zip(value, model, strict=True)))
        print(f"{name}: z = {z}, A = {A:.4f}, χ²/dof = {chi2:.2f}, L ≥ {FITTED}", flush=True)
    curves = {kernel: milliseconds(kernel, line, A * line**z) for kernel, (A, z) in fits.items()}
    crossing = float(line[np.flatnonzero(curves["metropolis"] > curves["swendsen-wang"])[0]])
    print(f"the costs cross at L = {crossing:.0f} by the table of costs")
    left.set(xlabel="L", ylabel="τ (sweeps)", ylim=(0.3, 2e5), title="autocorrelation time at $T_c$")
    right.set(xlabel="L", ylabel="milliseconds, one core", title="one independent configuration at $T_c$")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log")
        axes.set_xticks([8, 16, 32, 64, 128, 256, 512], ["8", "16", "32", "64", "128", "256", "512"])
        axes.minorticks_off()
        axes.legend(fontsize="small")
    save(figure, "cost")
    sizes = sorted(set().union(*columns.values()))
    table("L | " + " | ".join(columns), ([L, *(column.get(L, "") for column in columns.values())] for L in sizes))


def show_choices() -> None:
    """What "auto" takes, and how long it says that takes, in mode iid."""
    rows = []
    for size in (32, 64, 128, 256, 512):
        row: list[object] = [size]
        for samples in (10_000, 16):
            for temperature in (1.5, TC, 3.0):
                request = check(size, temperature, samples, 0, "iid", "auto")
                row.append(f"{request.kernel}, {spoken(expected_seconds(request))}")
        rows.append(row)
    table("L | 10,000 samples, T = 1.5 | T_c | 3 | 16 samples, T = 1.5 | T_c | 3", rows)
    for kernel in ("metropolis", "swendsen-wang"):
        for size in (32, 64, 128, 256):
            hot = math.prod(KINDS[kernel].pilot(size))
            bias = 4 * math.sqrt(1 / hot + 1 / 1024)
            print(f"{kernel}, L = {size}: {hot} hot chains and 1,024 cold ones reach |z| = 4 at a bias of {bias:.2f} σ")


PARTS = {
    "scores": measure_scores,
    "again": measure_again,
    "readings": measure_readings,
    "stripes": measure_stripes,
    "wolff": measure_wolff,
    "burn-in": measure_burn_in,
    "shared": measure_sharing,
    "cost": measure_cost,
    "choices": show_choices,
}

if __name__ == "__main__":
    with rc_context(STYLE):
        for name in sys.argv[1:] or PARTS:
            began = time.perf_counter()
            print(f"## {name}", flush=True)
            PARTS[name]()
            print(f"({time.perf_counter() - began:.0f} s)", flush=True)
