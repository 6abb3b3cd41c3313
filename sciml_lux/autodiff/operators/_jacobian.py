"""First derivatives by the coordinates of each point."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...core.internal import check_choice, check_integer
from ..points._columns import forward_columns, reverse_rows
from ..points._points import Field, field_of
from ..primitives._types import ArrayFunction, Differentiable

MODES = "auto", "forward", "reverse"


def gradient(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    mode: str = "auto",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "*batch coordinates"]:
    """The gradient ∇f at each point, of a function with one value for each point.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        mode: "reverse", "forward", or "auto": reverse mode where there are several coordinates, the
            values are real, and no `while` loop computes them.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of `x`, in the wider of the dtypes of `x` and f(x).

    Raises:
        ValueError: more than one value for each point; `f` mixes samples.
        TypeError: the points are not real floats.
        StateChangedError: the model changes its states.

    Source: `gradient` inside a loss function in Lux 1.31, there of one number.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]], jnp.float32)
        >>> gradient(lambda x: x[:, 0] * x[:, 1] ** 2, x).tolist()
        [[4.0, 4.0], [16.0, 24.0]]
    """
    field = field_of("gradient", f, x, args, state_policy=state_policy, check_samples=check_samples)
    check_choice("gradient", "mode", mode, MODES)
    check_scalar("gradient", field)
    return gradient_function(field, mode)(field.x)


def jacobian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    *args: PyTree,
    mode: str = "auto",
    chunk_size: int | None = None,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "... coordinates"]:
    """The Jacobian ∂fᵢ/∂xⱼ at each point.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        *args: what `f` takes after `x`.
        mode: "forward" takes a pass for each coordinate, "reverse" one for each value, "auto" what
            takes fewer, and forward mode where a `while` loop has no other.
        chunk_size: how many passes are made at a time, to save memory; by default all.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x) with the coordinates as one more axis, the last.

    Raises:
        ValueError: `f` mixes samples.
        TypeError: the points are not real floats.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.array([[1.0, 2.0]], jnp.float32)
        >>> f = lambda x: jnp.stack([x[:, 0] * x[:, 1], x[:, 0]], axis=1)
        >>> jacobian(f, x).tolist()
        [[[2.0, 1.0], [1.0, 0.0]]]
    """
    field = field_of("jacobian", f, x, args, state_policy=state_policy, check_samples=check_samples)
    return _jacobian("jacobian", field, mode, chunk_size)


def batched_jacobian(
    f: Differentiable,
    x: Float[Array, "batch *coordinates"],
    *args: PyTree,
    mode: str = "auto",
    chunk_size: int | None = None,
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "batch ..."]:
    """The Jacobian of each sample, where a sample is an array of any shape.

    It is `jacobian` with one batch axis, the first; all others are coordinates.

    Args:
        f: a function `f(x, *args)` of all samples at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the samples, along the first axis.
        *args: what `f` takes after `x`.
        mode: "forward" takes a pass for each entry of a sample, "reverse" one for each entry of its
            value, "auto" what takes fewer, and forward mode where a `while` loop has no other.
        chunk_size: how many passes are made at a time, to save memory; by default all.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each sample by itself without reading its
            program.

    Returns:
        An array of shape (batch, *out, *coordinates).

    Raises:
        ValueError: `x` has less than two axes; `f` mixes samples.
        TypeError: the samples are not real floats.
        StateChangedError: the model changes its states.

    Source: `batched_jacobian` of Lux 1.31, which flattens samples and values.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import StatefulLuxLayer, nn, setup
        >>> model = nn.Dense(3, 2, nn.tanh)
        >>> f = StatefulLuxLayer(model, *setup(0, model))
        >>> batched_jacobian(f, jnp.ones((5, 3), jnp.float32)).shape
        (5, 2, 3)
    """
    if getattr(x, "ndim", 2) < 2:
        raise ValueError(
            "`batched_jacobian` expects `x` to have a batch axis and at least one more, got shape "
            f"{x.shape}. Pass one sample as x[None], or use `jacobian`."
        )
    field = field_of(
        "batched_jacobian",
        f,
        x,
        args,
        state_policy=state_policy,
        check_samples=check_samples,
        batch_axes=1,
    )
    return _jacobian("batched_jacobian", field, mode, chunk_size)


def check_scalar(owner: str, field: Field) -> None:
    """Raise unless the field has one value for each point.

    Raises:
        ValueError: it has more.
    """
    if math.prod(field.out) != 1:
        raise ValueError(
            f"`{owner}` expects `f` to have one value for each point, got values of shape "
            f"{field.out}. Use `jacobian` for all, or pick one in a function around `f`."
        )


def gradient_function(field: Field, mode: str = "auto") -> ArrayFunction:
    """The gradient of a field with one value for each point, as a function of the points."""
    rows = jacobian_function(field, mode)
    return lambda x: rows(x).reshape(*field.batch, *field.coordinates)


def jacobian_function(
    field: Field, mode: str = "auto", chunk_size: int | None = None
) -> ArrayFunction:
    """The Jacobian of a field, as a function of the points."""
    if mode == "auto":
        fewer = math.prod(field.coordinates) <= math.prod(field.out)
        possible = field.has_reverse_mode and jnp.issubdtype(field.dtype, jnp.floating)
        mode = "reverse" if possible and not fewer else "forward"
    columns = forward_columns if mode == "forward" else reverse_rows
    return lambda x: columns(field._replace(x=x), field.function, chunk_size)


def _jacobian(owner: str, field: Field, mode: str, chunk_size: int | None) -> jax.Array:
    check_choice(owner, "mode", mode, MODES)
    if chunk_size is not None:
        check_integer(owner, "chunk_size", chunk_size, least=1)
    return jacobian_function(field, mode, chunk_size)(field.x)
