"""Arrays that differ between devices where the points do, as inside `jax.shard_map`."""

import jax
from jax import lax
from jaxtyping import Array


def varying_as(like: Array, array: Array) -> Array:
    """`array`, said to differ between the devices between which `like` does.

    JAX refuses to combine or to transpose a tangent that is the same on all devices, of points that
    are not.
    """
    axes = _varying_axes(like) - _varying_axes(array)
    return lax.pcast(array, tuple(axes), to="varying") if axes else array


def _varying_axes(array: Array) -> frozenset[str]:
    return jax.typeof(array).manual_axis_type.varying
