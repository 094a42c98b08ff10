"""The restricted Boltzmann machine with ±1 units on both layers: its energy, its two conditional laws, Gibbs sampling.

    E(v, h) = −vᵀ W h − aᵀ v − bᵀ h,        p(v, h) ∝ exp(−E)
    ⟨h_a⟩_v = tanh(Σ_i W_ia v_i + b_a),     p(h_a = +1 | v) = ½ (1 + ⟨h_a⟩_v),    and likewise for v given h
    F(v) = −aᵀ v − Σ_a ln 2 cosh(Σ_i W_ia v_i + b_a),     p(v) ∝ exp(−F(v))

(Smolensky 1986; Hinton 2002 in 0/1 units.) Its p(h | v) makes it a coarse graining whose units have no given places.

Names of the functions on `Weights`: `inputs_h_from_v` (Wᵀv + b, for real v, in full precision), `mean_h_from_v` and
`sample_h_from_v` (for v of ±1, whose products `products` makes faster), and the same with v and h exchanged.

A unit of mean m is drawn by one number u uniform on (−1, 1), as +1 where u < m. The numbers come from a counter: unit i
of a draw takes the hash of i under the draw's key, so that a draw depends on its key alone. The hash is three rounds of
multiplication and shift (constants: Wellons 2018, "triple32"), the key's first word added to the counter, the second,
hashed, drawn into the second round; the keys themselves are split by JAX's threefry. It passes the tests of
tests/test_gibbs.py; its cost beside threefry's is in docs/design-notes.md.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from rgstep import memory
from rgstep.arguments import (
    CONFIGURATIONS,
    COUNT,
    GENERATOR,
    PARAMETERS,
    PLAIN,
    REALS,
    SCALE,
    SEED,
    InputError,
    checked,
    instance,
    mapping,
)
from rgstep.blocking import signs_with_mean
from rgstep.lattice import as_vectors
from rgstep.nets import products
from rgstep.nets.devices import mesh_of, on_each, split
from rgstep.notebook import card
from rgstep.types import Field, Rng, Samples, Spins

MomentSums: TypeAlias = Callable[[Spins, np.ndarray], tuple[np.ndarray, ...]]
UNTRAINED_WEIGHTS_SD = 0.05  # the start of the published training (arXiv:1906.05212)

# Of the hash: the step of its counter, 2^32 over the golden ratio; shifts and factors of its rounds; the last shift.
COUNTER_STEP = 0x9E3779B9
HASH_ROUNDS = ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB))
HASH_LAST_SHIFT = 14


class Weights(NamedTuple):
    """The parameters as a JAX pytree: `w` (visible, hidden), `a` (visible,), `b` (hidden,)."""

    w: jax.Array
    a: jax.Array
    b: jax.Array


def inputs_h_from_v(weights: Weights, v: jax.Array) -> jax.Array:
    """Return Wᵀv + b for real v, `(n, visible)` → `(n, hidden)`; in full precision: a GPU would round W."""
    return jnp.matmul(v, weights.w, precision="highest") + weights.b


def inputs_v_from_h(weights: Weights, h: jax.Array) -> jax.Array:
    """Return W h + a for real h, `(n, hidden)` → `(n, visible)`, in full precision."""
    return jnp.matmul(h, weights.w.T, precision="highest") + weights.a


@checked(
    weights=PARAMETERS,
    visible_bias=PARAMETERS,
    hidden_bias=PARAMETERS,
    origin=PLAIN,
    history=mapping("give the training curves by name, one array each", REALS),
)
@dataclass(frozen=True, eq=False)
class RBM:
    """A ±1 RBM: `weights` (visible, hidden), `visible_bias`, `hidden_bias`, float32 and read-only.

    `origin` says how it was made, in plain values; `history` holds the training curves, one array per name, each
    beside `history["step"]`.

    Examples:
        >>> weights, fields = np.zeros((16, 4), np.float32), np.full(4, 0.5, np.float32)
        >>> rbm = rg.RBM(weights, np.zeros(16, np.float32), fields)
        >>> rbm.mean_h(np.ones((1, 4, 4), np.int8)).round(3)  # tanh(c + v W)
        array([[0.462, 0.462, 0.462, 0.462]], dtype=float32)
    """

    weights: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray
    origin: Mapping[str, Any] = field(default_factory=dict)
    history: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the three shapes belong together and make the arrays read-only."""
        shapes = (self.weights.shape, self.visible_bias.shape, self.hidden_bias.shape)
        if self.weights.ndim != 2 or shapes[1:] != (self.weights.shape[:1], self.weights.shape[1:]):
            message = f"weights, visible_bias, hidden_bias of shapes {shapes}: expected (n, m), (n,), (m,)"
            raise InputError(message)
        for name in ("weights", "visible_bias", "hidden_bias"):
            array = np.array(getattr(self, name), dtype=np.float32)
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def visible(self) -> int:
        """The number of visible units."""
        return int(self.weights.shape[0])

    @property
    def hidden(self) -> int:
        """The number of hidden units."""
        return int(self.weights.shape[1])

    @property
    def parameters(self) -> Weights:
        """The parameters as a JAX pytree."""
        return Weights(jnp.asarray(self.weights), jnp.asarray(self.visible_bias), jnp.asarray(self.hidden_bias))

    def __repr__(self) -> str:
        """Return a line with the layer sizes and how the network was made."""
        made = ", ".join(f"{key}={self.origin[key]}" for key in ("preset", "steps", "seed") if key in self.origin)
        return f"RBM({self.visible} visible, {self.hidden} hidden{', ' + made if made else ''})"

    def _repr_html_(self) -> str:
        """Return the network as a notebook shows it."""
        made = {name: self.origin[name] for name in ("preset", "method", "steps", "seed") if name in self.origin}
        facts = [
            ("units", f"{self.visible} visible, {self.hidden} hidden"),
            (
                "weights",
                f"rms {float(np.sqrt(np.mean(self.weights**2))):.3g}, largest {np.abs(self.weights).max():.3g}",
            ),
            *made.items(),
            ("curves", ", ".join(self.history) or "none"),
        ]
        return card("RBM", facts)

    @checked(v=CONFIGURATIONS)
    def mean_h(self, v: Spins) -> Field:
        """Return E[h | v], `(sample, hidden)`, for `(sample, row, column)` or `(sample, visible)`."""
        return np.asarray(_mean_of_inputs(inputs_h_from_v, self.parameters, self._rows(v)))

    @checked(rng=GENERATOR)
    def sample_h(self, v: Spins, rng: Rng) -> Spins:
        """Draw h from p(h | v), int8 ±1, `(sample, hidden)`."""
        return signs_with_mean(self.mean_h(v), rng)

    @checked(h=CONFIGURATIONS)
    def mean_v(self, h: Samples) -> Field:
        """Return E[v | h], `(sample, visible)`; rows put end to end."""
        units = as_vectors(h)
        if units.shape[1] != self.hidden:
            message = f"{units.shape[1]} hidden variables given to a network of {self.hidden} hidden units"
            raise InputError(message)
        return np.asarray(_mean_of_inputs(inputs_v_from_h, self.parameters, units))

    @checked(rng=GENERATOR)
    def sample_v(self, h: Samples, rng: Rng) -> Spins:
        """Draw v from p(v | h), int8 ±1, `(sample, visible)`."""
        return signs_with_mean(self.mean_v(h), rng)

    @checked(v=CONFIGURATIONS)
    def free_energy(self, v: Samples) -> Field:
        """Return F(v) with p(v) ∝ exp(−F(v)), float64 `(sample,)`."""
        rows = self._rows(v).astype(np.float64)
        inputs = rows @ self.weights.astype(np.float64) + self.hidden_bias
        return np.asarray(-rows @ self.visible_bias.astype(np.float64) - log_2cosh(inputs).sum(axis=1))

    def moment_sums(self, devices: int) -> MomentSums:
        """Return the function of v and a constant c, `(hidden,)`, that sums over samples split among devices.

        With h = E[h | v] − c it gives Σ h vᵀ `(hidden, visible)`, Σ v, Σ h and Σ h² in float32, and Σ (Σ_i v_i)²; c is
        rounded to float32.

        Raises:
            InputError: if JAX shows fewer devices.
        """
        mesh = mesh_of(devices)
        weights = on_each(self.parameters, mesh)

        def sums(v: Spins, c: np.ndarray) -> tuple[np.ndarray, ...]:
            rows = self._rows(v)
            filled = np.zeros((-(-len(rows) // devices) * devices, self.visible), np.int8)  # to equal shares
            filled[: len(rows)] = rows
            counted = (np.arange(len(filled)) < len(rows)).astype(np.float32)
            shares = (split(x, mesh, axis=0) for x in (filled, counted))
            *found, magnetisation = jax.device_get(_moments_of_shares(weights, *shares, np.asarray(c, np.float32)))
            return *found, np.asarray(np.square(magnetisation, dtype=np.float64).sum())

        return sums

    def _rows(self, v: Samples) -> Samples:
        rows = as_vectors(v)
        if rows.shape[1] != self.visible:
            message = f"configurations of {rows.shape[1]} sites given to a network of {self.visible} visible units"
            raise InputError(message)
        return rows


@partial(jax.jit, static_argnums=0)
def _mean_of_inputs(inputs: Callable[[Weights, jax.Array], jax.Array], weights: Weights, layer: jax.Array) -> jax.Array:
    return jnp.tanh(inputs(weights, layer.astype(jnp.float32)))


@jax.jit
def _moments_of_shares(
    weights: Weights, v: jax.Array, counted: jax.Array, c: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
    """Return the sums of `moment_sums`, and Σ_i v_i of each sample; a row that is not counted fills a share, v = 0."""
    spins = v.astype(jnp.float32)
    h = (jnp.tanh(inputs_h_from_v(weights, spins)) - c) * counted[:, None]
    vh = jnp.matmul(h.T, spins, precision="highest")
    return vh, spins.sum(axis=0), h.sum(axis=0), (h**2).sum(axis=0), spins.sum(axis=1)


def log_2cosh(x: Any, xp: Any = np) -> Any:
    """Return ln(2 cosh x) without overflow; `xp` is the module that computes, `numpy` or `jax.numpy`."""
    size = xp.abs(x)
    return size + xp.log1p(xp.exp(-2 * size))


NETWORK = instance(RBM, "give a network, as of rgstep.train_rbm or rgstep.load_rbm")


@checked(visible=COUNT, hidden=COUNT, seed=SEED, weights_sd=SCALE)
def untrained_rbm(visible: int, hidden: int, seed: int = 0, weights_sd: float = UNTRAINED_WEIGHTS_SD) -> RBM:
    """Return a network that saw no data: W ~ N(0, weights_sd²), zero biases. The null of every claim about training.

    Raises:
        InputError: for sizes that are not whole numbers above 0, or too large for this computer.

    Examples:
        >>> rbm = rg.untrained_rbm(visible=64, hidden=16, seed=0)
        >>> round(float(rbm.weights.std()), 2)
        0.05
    """
    require_room(visible, hidden, copies=2)
    rng = np.random.default_rng([seed, visible, hidden])
    weights = (weights_sd * rng.standard_normal((visible, hidden))).astype(np.float32)
    origin = {"preset": "untrained", "seed": seed, "weights_sd": weights_sd, "steps": 0}
    return RBM(weights, np.zeros(visible, np.float32), np.zeros(hidden, np.float32), origin)


def require_room(visible: int, hidden: int, copies: int) -> None:
    """Raise `InputError` unless `copies` float32 arrays of the shape of W fit in memory."""
    memory.require(
        4 * copies * visible * hidden,
        f"a network of {visible} visible and {hidden} hidden units",
        f"at most hidden = {memory.available() // (4 * copies * visible)} units fit",
    )


# --- Gibbs sampling, compiled


def hashed(word: jax.Array, key: jax.Array) -> jax.Array:
    """Return the hash of 32-bit words, `key` drawn into the second round."""
    for turn, (shift, factor) in enumerate(HASH_ROUNDS):
        word ^= word >> jnp.uint32(shift)
        if turn == 1:
            word ^= key
        word *= jnp.uint32(factor)
    result: jax.Array = word ^ word >> jnp.uint32(HASH_LAST_SHIFT)
    return result


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return independent uniform numbers on (−1, 1), float32, none of them 0 or ±1: odd multiples of 2^−24.

    At most 2^32 of them. The key's second word is hashed before it is drawn in: the rounds that are left do not spread
    its high bits, and keys made from neighbouring seeds, which JAX does not mix, would give numbers that look alike.
    """
    first, second = jax.random.key_data(key).astype(jnp.uint32)
    counter = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape) * jnp.uint32(COUNTER_STEP) + first
    word = hashed(counter, hashed(second, jnp.uint32(0)))
    odd = (word.astype(jnp.int32) >> 7) | 1  # 25 bits with sign, of which 24 are random
    result: jax.Array = odd.astype(jnp.float32) * jnp.float32(2.0**-24)
    return result


def signs(key: jax.Array, mean: jax.Array) -> jax.Array:
    """Draw ±1 units of given means, float32."""
    result: jax.Array = jnp.where(uniform(key, mean.shape) < mean, jnp.float32(1), jnp.float32(-1))
    return result


def mean_h_from_v(weights: Weights, v: jax.Array) -> jax.Array:
    """Return ⟨h⟩ given v of ±1, `(n, visible)` → `(n, hidden)`."""
    return jnp.tanh(products.times(v, weights.w) + weights.b)


def mean_v_from_h(weights: Weights, h: jax.Array) -> jax.Array:
    """Return ⟨v⟩ given h of ±1, `(n, hidden)` → `(n, visible)`."""
    return jnp.tanh(products.times_transposed(h, weights.w) + weights.a)


def sample_h_from_v(weights: Weights, v: jax.Array, key: jax.Array) -> jax.Array:
    """Draw h given v of ±1, `(n, visible)` → `(n, hidden)`."""
    return signs(key, mean_h_from_v(weights, v))


def sample_v_from_h(weights: Weights, h: jax.Array, key: jax.Array) -> jax.Array:
    """Draw v given h of ±1, `(n, hidden)` → `(n, visible)`."""
    return signs(key, mean_v_from_h(weights, h))


def gibbs_steps(weights: Weights, v: jax.Array, k: jax.Array, key: jax.Array) -> jax.Array:
    """Return v after k steps v → h → v, every unit sampled; k may be traced."""

    def step(i: jax.Array, v: jax.Array) -> jax.Array:
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        return sample_v_from_h(weights, sample_h_from_v(weights, v, key_h), key_v)

    result: jax.Array = jax.lax.fori_loop(0, k, step, v)
    return result
