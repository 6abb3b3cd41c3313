"""PositiveDefinite and ShiftTo: layers with a prescribed value at one point."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core import Layer, Parameters, States, WrapperLayer, apply
from ...core.internal import subject
from ...precision import accumulating, promote
from .._array_check import check_array


def squared_norm(z: Float[Array, "... dims"]) -> Float[Array, "..."]:
    """‖z‖², over the last axis."""
    return jnp.sum(z * z, axis=-1)


def squared_distance(
    x: Float[Array, "... dims"], y: Float[Array, "... dims"]
) -> Float[Array, "..."]:
    """‖x - y‖², over the last axis."""
    return squared_norm(x - y)


class PositiveDefinite(WrapperLayer):
    """V(x) = ψ(φ(x) - φ(x₀)) + r(x, x₀), a Lyapunov function: 0 at x₀ and positive elsewhere.

    That holds for all parameters of the layer φ, if ψ is positive definite, and r is 0 for equal
    arguments and positive for others. In floats, φ(x₀) and φ(x) may differ by a rounding error δ
    even at x = x₀, as XLA adds in another order for a batch of another size and for constants. The
    value there is then ψ(δ), about 1e-13 for a small network in float32, and not below 0.

    Args:
        model: the layer φ, from (..., in_dims) to (..., out_dims).
        x0: the point where V is 0, a sequence of numbers.
        psi: function of an array (..., out_dims) that returns (...); by default ‖z‖².
        r: function of two arrays (..., in_dims) that returns (...); by default ‖x - y‖².

    Inputs: x (..., len(x0)), floating.

    Returns: (..., 1) in the widest of the dtypes of x and of φ.

    Parameters and States: exactly those of `model`, which is called first at x₀, with a batch of
        one, and then at x.

    Raises:
        ValueError: x of another shape; `psi` or `r` returns another shape.
        TypeError: x that is not real and floating.

    Source: `PositiveDefinite` of Boltz 1.7, which keeps x₀ in the states; arXiv 2109.13359.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.PositiveDefinite(nn.Dense(2, 4, nn.tanh), (1.0, 2.0))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.asarray([1.0, 2.0], jnp.float32), ps, st)[0].tolist()
        [0.0]
    """

    model: Layer
    x0: tuple[float, ...]
    _: dataclasses.KW_ONLY
    psi: Callable[[Array], Array] = squared_norm
    r: Callable[[Array, Array], Array] = squared_distance

    def __post_init__(self) -> None:
        """Store the point as Python numbers."""
        object.__setattr__(self, "x0", tuple(self.x0))

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... 1"], States]:
        """V, and the state of `model`."""
        check_array(self, x)
        if x.shape[-1:] != (len(self.x0),):
            raise ValueError(
                f"{subject(self)} expects the last axis of `x` to be {len(self.x0)}, as `x0` is, "
                f"got shape {x.shape}."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{subject(self)} expects `x` to be real and floating, got {x.dtype.name}. Convert "
                "it: x.astype(dtype)."
            )
        x0 = _point(self.x0, x)
        y0, st = apply(self.model, x0, ps, st)
        y, st = apply(self.model, x, ps, st)
        x, x0, y, y0 = promote(x, x0, y, y0)
        wide = self.psi(accumulating(jnp.subtract, y, y0))
        near = self.r(x, jnp.broadcast_to(x0, x.shape))
        if not wide.shape == near.shape == x.shape[:-1]:
            raise ValueError(
                f"{subject(self)} expects `psi` and `r` to give one number for each member of the "
                f"batch, {x.shape[:-1]}, got shapes {wide.shape} and {near.shape}."
            )
        return jnp.expand_dims(wide + near, -1), st


class ShiftTo(WrapperLayer):
    """y = φ(x) + (out_val - φ(in_val)): the layer φ, shifted to give `out_val` at `in_val`.

    Args:
        model: the layer φ, from (..., in_dims) to (..., out_dims).
        in_val: the point, a sequence of numbers.
        out_val: the value there, a sequence of numbers.

    Inputs: x (..., len(in_val)), floating.

    Returns: y (..., len(out_val)) in the widest of the dtypes of x and the parameters.

    Parameters and States: exactly those of `model`, which is called first at `in_val`, with a batch
        of one, and then at x.

    Raises:
        ValueError: x or the output of φ has another shape.
        TypeError: x that is not real and floating.

    Source: `ShiftTo` of Boltz 1.7, which keeps `in_val` and `out_val` in the states.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.ShiftTo(nn.Dense(2, 1, nn.tanh), (0.0, 0.0), (5.0,))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.zeros(2, jnp.float32), ps, st)[0].tolist()
        [5.0]
    """

    model: Layer
    in_val: tuple[float, ...]
    out_val: tuple[float, ...]

    def __post_init__(self) -> None:
        """Store point and value as Python numbers."""
        for name in ("in_val", "out_val"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... out_dims"], States]:
        """The shifted output, and the state of `model`."""
        check_array(self, x)
        if x.shape[-1:] != (len(self.in_val),):
            raise ValueError(
                f"{subject(self)} expects the last axis of `x` to be {len(self.in_val)}, as "
                f"`in_val` is, got shape {x.shape}."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{subject(self)} expects `x` to be real and floating, got {x.dtype.name}. Convert "
                "it: x.astype(dtype)."
            )
        there, st = apply(self.model, _point(self.in_val, x), ps, st)
        y, st = apply(self.model, x, ps, st)
        if y.shape != (*x.shape[:-1], len(self.out_val)):
            raise ValueError(
                f"{subject(self)} expects `model` to give {(*x.shape[:-1], len(self.out_val))}, as "
                f"`out_val` is, got shape {y.shape}."
            )
        y, there = promote(y, there)
        return accumulating(jnp.add, y, _point(self.out_val, y) - there), st


def _point(numbers: tuple[float, ...], like: Array) -> Array:
    """`numbers` as an array with the dtype and the number of axes of `like`."""
    shape = (1,) * (like.ndim - 1) + (len(numbers),)
    return jnp.asarray(numbers, like.dtype).reshape(shape)
