"""The Swendsen–Wang cluster algorithm, compiled.

Between equal neighbours a bond is opened with probability p = 1 − exp(−2K); every connected cluster then takes a
fair coin for its sign (Swendsen and Wang 1987). At T_c the autocorrelation time grows only like L^0.25 or slower.

Random numbers are a pure function of a 64-bit counter (the SplitMix64 finaliser of Steele, Lea and Flood 2014 over
a Weyl sequence), so a chain's numbers depend on nothing but where its counter starts: one draw serves the two bonds
of a site, 32 bits each. Starts are random 64-bit words; two of 64 chains of 10¹⁰ draws overlap with probability 4e-6.

Kernels and their helpers stay in this one file: numba's cache looks at nothing else.
"""

import typing

import numpy as np
from numba import njit

WEYL = np.uint64(0x9E3779B97F4A7C15)
BITS32 = np.uint64(0xFFFFFFFF)


def bond_threshold(coupling: float) -> np.uint64:
    """Return p·2³² for p = 1 − exp(−2K): a 32-bit draw below it opens a bond; at K = ∞ every draw is below it."""
    return np.uint64(-np.expm1(-2.0 * coupling) * 2.0**32)


@njit(inline="always")
@typing.no_type_check
def draw(counter):
    """Return the random 64-bit word at a place of the Weyl sequence (SplitMix64)."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(inline="always")
@typing.no_type_check
def root(parent, x):
    """Return the root of x, halving the path on the way."""
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@njit(inline="always")
@typing.no_type_check
def join(parent, x, y):
    """Unite two clusters; the smaller site index becomes the root."""
    x = root(parent, x)
    y = root(parent, y)
    if x < y:
        parent[y] = x
    else:
        parent[x] = y


@njit(inline="always")
@typing.no_type_check
def open_bonds(spins, threshold, z, right, down):
    """Open bonds between equal neighbours; plain row loops, so that they vectorise."""
    L = spins.shape[0]
    for i in range(L):
        here = spins[i]
        below = spins[i + 1 if i + 1 < L else 0]
        for j in range(L - 1):
            u = draw(z + np.uint64(j) * WEYL)
            right[i, j] = np.uint8(here[j] == here[j + 1]) & np.uint8((u >> np.uint64(32)) < threshold)
            down[i, j] = np.uint8(here[j] == below[j]) & np.uint8((u & BITS32) < threshold)
        u = draw(z + np.uint64(L - 1) * WEYL)
        right[i, L - 1] = np.uint8(here[L - 1] == here[0]) & np.uint8((u >> np.uint64(32)) < threshold)
        down[i, L - 1] = np.uint8(here[L - 1] == below[L - 1]) & np.uint8((u & BITS32) < threshold)
        z += np.uint64(L) * WEYL
    return z


@njit(inline="always")
@typing.no_type_check
def label_clusters(right, down, parent):
    """Link every site to its cluster: runs along rows first (no search), then the bonds between rows."""
    L = right.shape[0]
    for i in range(L):
        label = i * L
        parent[label] = label
        for j in range(1, L):
            if right[i, j - 1] == 0:
                label = i * L + j
            parent[i * L + j] = label
        if right[i, L - 1]:
            join(parent, i * L, i * L + L - 1)
    for i in range(L):
        next_row = i + 1 if i + 1 < L else 0
        for j in range(L):
            # A bond beside one that joins the same two runs adds nothing.
            known = j > 0 and right[i, j - 1] and right[next_row, j - 1] and down[i, j - 1]
            if down[i, j] and not known:
                join(parent, i * L + j, next_row * L + j)


@njit(inline="always")
@typing.no_type_check
def toss_clusters(spins, parent, z):
    """Multiply each cluster by a fair coin: bit x of a stream of words, at the cluster's root x."""
    L = spins.shape[0]
    word = np.uint64(0)
    for i in range(L):
        for j in range(L):
            x = i * L + j
            if x & 63 == 0:
                word = draw(z)
                z += WEYL
            if parent[x] == x:
                parent[x] = -1 - np.int32((word >> np.uint64(x & 63)) & np.uint64(1))
            else:  # roots precede their members, so a parent already holds its coin
                parent[x] = parent[parent[x]]
            if parent[x] == -2:
                spins[i, j] = -spins[i, j]
    return z


@njit(inline="always")
@typing.no_type_check
def sweep(spins, threshold, z, parent, right, down):
    """Do one Swendsen–Wang sweep in place; returns the advanced counter."""
    z = open_bonds(spins, threshold, z, right, down)
    label_clusters(right, down, parent)
    return toss_clusters(spins, parent, z)


@njit(cache=True, nogil=True)
@typing.no_type_check
def record(spins, threshold, counter, energies, squares):
    """Sweep one lattice `(L, L)` and write the energy per site and m² after each sweep.

    Cost: one sweep (8 to 10 ns a site at T_c, L = 32, one core) and a pass of 1 ns a site for each entry.
    """
    L = spins.shape[0]
    parent = np.empty(L * L, np.int32)
    right = np.empty((L, L), np.uint8)
    down = np.empty((L, L), np.uint8)
    z = counter[0]
    for t in range(energies.size):
        z = sweep(spins, threshold, z, parent, right, down)
        bonds = 0
        total = 0
        for i in range(L):
            below = spins[i + 1 if i + 1 < L else 0]
            for j in range(L):
                bonds += spins[i, j] * (below[j] + spins[i, j + 1 if j + 1 < L else 0])
                total += spins[i, j]
        energies[t] = -bonds / (L * L)
        squares[t] = (total / (L * L)) ** 2
    counter[0] = z


@njit(cache=True, nogil=True)
@typing.no_type_check
def emit(spins, threshold, counter, spacing, out):
    """Write one configuration into `out` `(n, L, L)` after every `spacing` sweeps, each with a fair global flip.

    Cost: `spacing` sweeps a configuration.
    """
    L = spins.shape[0]
    parent = np.empty(L * L, np.int32)
    right = np.empty((L, L), np.uint8)
    down = np.empty((L, L), np.uint8)
    z = counter[0]
    for k in range(out.shape[0]):
        for _ in range(spacing):
            z = sweep(spins, threshold, z, parent, right, down)
        coin = np.int8(1) if draw(z) >> np.uint64(63) else np.int8(-1)
        z += WEYL
        for i in range(L):
            for j in range(L):
                out[k, i, j] = coin * spins[i, j]
    counter[0] = z
