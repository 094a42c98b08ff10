"""Gibbs sampling of an RBM, compiled: one uniform number from a counter, compared with a mean.

A layer is drawn whole, given the other. For a unit with mean m = tanh(x) one number u uniform on (−1, 1) decides,
+1 where u < m. The numbers come from a counter: unit i of a draw takes the hash of i under the draw's key, so that a
draw depends on its key alone. The hash is three rounds of multiplication and shift (constants: Wellons 2018,
"triple32"), the key's first word added to the counter, the second, hashed, drawn into the second round; the keys
themselves are split by JAX's threefry.
It passes the tests of tests/test_gibbs.py; its cost beside threefry's is in docs/design-notes.md. The means are
those of `rbm` for layers of ±1, which `products` makes faster.
"""

import jax
import jax.numpy as jnp

from rgstep.nets import products
from rgstep.nets.rbm import Weights

GOLDEN = 0x9E3779B9
ROUNDS = ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB))
LAST_SHIFT = 14


def hashed(word: jax.Array, key: jax.Array) -> jax.Array:
    """Return the hash of 32-bit words, `key` drawn into the second round."""
    for turn, (shift, factor) in enumerate(ROUNDS):
        word ^= word >> jnp.uint32(shift)
        if turn == 1:
            word ^= key
        word *= jnp.uint32(factor)
    result: jax.Array = word ^ word >> jnp.uint32(LAST_SHIFT)
    return result


def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return independent uniform numbers on (−1, 1), float32, none of them 0 or ±1: odd multiples of 2^−24.

    At most 2^32 of them. The key's second word is hashed before it is drawn in: the rounds that are left do not spread
    its high bits, and keys made from neighbouring seeds, which JAX does not mix, would give numbers that look alike.
    """
    first, second = jax.random.key_data(key).astype(jnp.uint32)
    size = 1
    for length in shape:
        size *= length
    counter = jax.lax.iota(jnp.uint32, size).reshape(shape) * jnp.uint32(GOLDEN) + first
    word = hashed(counter, hashed(second, jnp.uint32(0)))
    odd = (word.astype(jnp.int32) >> 7) | 1  # 25 bits with sign, of which 24 are random
    result: jax.Array = odd.astype(jnp.float32) * jnp.float32(2.0**-24)
    return result


def signs(key: jax.Array, mean: jax.Array) -> jax.Array:
    """Draw ±1 units of given means, float32."""
    result: jax.Array = jnp.where(uniform(key, mean.shape) < mean, jnp.float32(1), jnp.float32(-1))
    return result


def mean_h_from_spins(weights: Weights, v: jax.Array) -> jax.Array:
    """Return ⟨h⟩ given v of ±1, `(n, visible)` → `(n, hidden)`."""
    return jnp.tanh(products.times(v, weights.w) + weights.b)


def mean_v_from_spins(weights: Weights, h: jax.Array) -> jax.Array:
    """Return ⟨v⟩ given h of ±1, `(n, hidden)` → `(n, visible)`."""
    return jnp.tanh(products.times_transposed(h, weights.w) + weights.a)


def sample_h(weights: Weights, v: jax.Array, key: jax.Array) -> jax.Array:
    """Draw h given v, `(n, visible)` → `(n, hidden)`."""
    return signs(key, mean_h_from_spins(weights, v))


def sample_v(weights: Weights, h: jax.Array, key: jax.Array) -> jax.Array:
    """Draw v given h, `(n, hidden)` → `(n, visible)`."""
    return signs(key, mean_v_from_spins(weights, h))


def gibbs(weights: Weights, v: jax.Array, k: jax.Array, key: jax.Array) -> jax.Array:
    """Return v after k steps v → h → v, every unit sampled; k may be traced."""

    def step(i: jax.Array, v: jax.Array) -> jax.Array:
        key_h, key_v = jax.random.split(jax.random.fold_in(key, i))
        return sample_v(weights, sample_h(weights, v, key_h), key_v)

    result: jax.Array = jax.lax.fori_loop(0, k, step, v)
    return result
