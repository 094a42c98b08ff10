"""Networks that many tests use: with random parameters, the one that is the Ising model, and all states of a layer."""

import numpy as np

from rgstep import RBM


def random_parameters(visible, hidden, sd, seed=0):
    """Return W, a, b, float64, all N(0, sd²)."""
    rng = np.random.default_rng([seed, visible, hidden])
    return [sd * rng.standard_normal(shape) for shape in ((visible, hidden), visible, hidden)]


def network(visible, hidden, sd, seed=0, biases=1.0):
    """Return a network with weights N(0, sd²) and biases N(0, (biases · sd)²)."""
    w, a, b = random_parameters(visible, hidden, sd, seed)
    return RBM(w, biases * a, biases * b)


def ising_network(size, coupling, origin=None):
    """Return the network that is the Ising model: a hidden unit on each bond, weights (w, w) with ½ ln cosh 2w = K."""
    w = np.arccosh(np.exp(2 * coupling)) / 2
    site = np.arange(size**2).reshape(size, size)
    ends = np.concatenate([np.stack([site, np.roll(site, -1, axis)]).reshape(2, -1) for axis in (0, 1)], axis=1)
    weights = np.zeros((size**2, 2 * size**2))
    weights[ends, np.arange(2 * size**2)] = w
    return RBM(weights, np.zeros(size**2), np.zeros(2 * size**2), origin or {})


def states(units, values=(-1, 1)):
    """Return all 2^units states of a layer, int8, in the order of their binary numbers, unit 0 the lowest bit."""
    return np.array(values, np.int8)[(np.arange(1 << units)[:, None] >> np.arange(units)) & 1]
