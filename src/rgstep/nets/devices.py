"""Several devices: each holds the parameters and works on its share of the samples.

JAX splits a program among devices by where its arrays lie: what has a sample axis is *split* along it, one share for
each device, what belongs to the network is *whole* on each. Where shares are added up, as in a gradient, the devices
exchange their sums. What XLA cannot split, a call of our own kernel, is done share by share (`by_share`).

One device needs none of this: its `mesh` is None, and every function here then leaves things as they are.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from rgstep.arguments import InputError

SHARES = "rgstep_shares"  # the axis of a mesh that samples are split along; no mesh of a user's own has it
spec, psum = cast(Any, PartitionSpec), cast(Any, jax.lax.psum)  # without types
T = TypeVar("T")  # an array, or a tree of them


def mesh_of(devices: int) -> Mesh | None:
    """Return the first `devices` that JAX shows this process, in a row; None for one, which needs no mesh.

    Raises:
        InputError: if JAX shows fewer.
    """
    if devices == 1:
        return None
    shown = jax.local_devices()
    if devices > len(shown):
        message = f"devices = {devices}: JAX shows {len(shown)} here ({shown[0].platform}); take at most so many"
        raise InputError(message)
    return Mesh(np.array(shown[:devices]), (SHARES,))


def require_shares(devices: int, **samples: int) -> None:
    """Raise `InputError` unless each number of samples, by its name, makes equal shares for the devices."""
    uneven = next((name for name, count in samples.items() if count % devices), None)
    if uneven is not None:
        fit = next(n for n in range(devices, 0, -1) if not any(count % n for count in samples.values()))
        message = (
            f"devices = {devices}: {uneven} = {samples[uneven]} makes no equal shares for them; "
            f"take devices = {fit}, or {uneven} = {-(-samples[uneven] // devices) * devices}"
        )
        raise InputError(message)


def at_work(mesh: Mesh | None) -> AbstractContextManager[Any]:
    """Return a context in which programs that are compiled are split among the devices."""
    return nullcontext() if mesh is None else jax.set_mesh(mesh)


def split(array: jax.Array | np.ndarray, mesh: Mesh | None, axis: int) -> jax.Array:
    """Return an array, on several devices split along an axis of samples, which must make equal shares."""
    if mesh is None:
        return jnp.asarray(array)
    place = NamedSharding(mesh, spec(*[None] * (axis % array.ndim), SHARES))
    shares: jax.Array = jax.device_put(array, place)
    return shares


def on_each(tree: T, mesh: Mesh | None) -> T:
    """Return arrays, on several devices a copy of all of them on each."""
    return tree if mesh is None else jax.device_put(tree, NamedSharding(mesh, spec()))


def on_one(tree: T, mesh: Mesh | None) -> T:
    """Return arrays of several devices together on the first, for work that is not shared."""
    return tree if mesh is None else jax.device_put(tree, mesh.devices.flat[0])


def by_share(
    function: Callable[..., jax.Array], samples: Sequence[bool], summed: bool = False
) -> Callable[..., jax.Array]:
    """Return a function that does its work share by share where a program is split, and is itself elsewhere.

    Args:
        function: of arrays, without a state; compiled programs only.
        samples: of each argument, whether its first axis is that of the samples.
        summed: whether results are summed over the shares; if not, they have the sample axis.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not is_split(mesh):
        return function

    def of_share(*arrays: jax.Array) -> jax.Array:
        result = function(*arrays)
        return psum(result, SHARES) if summed else result

    shares, all_of_it = spec(SHARES), spec()
    places = tuple(shares if of_samples else all_of_it for of_samples in samples)
    # Our kernel, unlike XLA's own operations, does not say whether its results differ between devices: no check.
    return jax.shard_map(of_share, in_specs=places, out_specs=all_of_it if summed else shares, check_vma=False)


def is_split(mesh: AbstractMesh) -> bool:
    """Whether the program being compiled is split among devices, and not a share of one already."""
    return SHARES in mesh.axis_names and SHARES not in mesh.manual_axes
