"""Measure your own network: a NumPy function, a JAX function and, where PyTorch is installed, a PyTorch encoder.

    python examples/own_map.py
    rgstep compare --map examples/own_map.py:majority_of_four --map examples/own_map.py:jax_encoder

A map is any function v → h, or any object with `mean_h(v)` and `sample_h(v, rng)`. v has shape (sample, row, column).
"""

# %%
import jax.numpy as jnp
import numpy as np

import rgstep as rg


def majority_of_four(v: np.ndarray) -> np.ndarray:
    """Return a block rule written by hand: each 2×2 block's sign, ties broken by its first spin."""
    sums = v[:, ::2, ::2] + v[:, 1::2, ::2] + v[:, ::2, 1::2] + v[:, 1::2, 1::2]
    return np.where(sums == 0, v[:, ::2, ::2], np.sign(sums))


def jax_encoder(v: jnp.ndarray) -> jnp.ndarray:
    """Return 16 units with random weights, in JAX: no places, shape (sample, unit)."""
    weights = np.random.default_rng(0).normal(0, 0.1, (v[0].size, 16))
    return jnp.tanh(v.reshape(len(v), -1) @ weights)


# %%
def main() -> None:
    """Measure the three beside the majority rule."""
    ensemble = rg.sample(size=16, temperature=rg.CRITICAL_TEMPERATURE, samples=5_000, seed=0)
    maps = {"majority": rg.Majority(), "by hand": majority_of_four, "jax": jax_encoder}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: pip install 'rgstep[torch]'")
    else:
        torch.manual_seed(0)
        maps["torch"] = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 64), torch.nn.Tanh())
    print(rg.judge(ensemble, maps, seed=0))


if __name__ == "__main__":
    main()
