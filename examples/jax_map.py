"""Judge a map of your own, written in JAX: the mean of a strided convolution with a soft step.

    python examples/jax_map.py
    rgstep compare --map examples/jax_map.py:convolution

`Convolution` has the two methods of a coarse graining: E[h | v], here tanh of a weighted sum over a 4×4 window, and a
draw of h from it. A plain function would do as well, its h then counts as it is.
"""

import jax
import jax.numpy as jnp
import numpy as np

import rgstep as rg

KERNEL = jnp.array([[0.1, 0.2, 0.2, 0.1], [0.2, 1.0, 1.0, 0.2], [0.2, 1.0, 1.0, 0.2], [0.1, 0.2, 0.2, 0.1]])


@jax.jit
def window(v: jax.Array) -> jax.Array:
    """Return tanh of the weighted sum over each 4×4 window, at every second site, periodic."""
    padded = jnp.pad(v, ((0, 0), (1, 1), (1, 1)), mode="wrap")
    sums = jax.lax.conv_general_dilated(padded[:, None], KERNEL[None, None], window_strides=(2, 2), padding="VALID")
    return jnp.tanh(sums[:, 0])


class Convolution:
    """A block rule with a soft edge: h = ±1 with mean tanh(Σ w v)."""

    def mean_h(self, v: np.ndarray) -> np.ndarray:
        """Return E[h | v], (sample, L/2, L/2)."""
        return np.asarray(window(jnp.asarray(v, jnp.float32)))

    def sample_h(self, v: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw h, ±1."""
        mean = self.mean_h(v)
        return np.where(2 * rng.random(mean.shape) - 1 < mean, 1, -1).astype(np.int8)


convolution = Convolution()


def main() -> None:
    """Judge it beside the majority rule, on critical configurations."""
    ensemble = rg.sample(size=32, temperature=rg.CRITICAL_TEMPERATURE, samples=10_000, seed=0)
    print(rg.judge(ensemble, {"convolution": convolution, "majority": rg.Majority()}, seed=0))


if __name__ == "__main__":
    main()
