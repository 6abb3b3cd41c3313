"""watch_cotangent: the identity, which checks the cotangent that reverse mode sends back."""

from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Inexact, Int

from .._op import op
from ._raise_if import raise_if


@op("x")
def watch_cotangent(
    x: Inexact[Array, "..."],
    message: str | None,
    *,
    cause: Int[Array, ""] | int = 0,
    causes: tuple[str, ...] = (),
) -> Inexact[Array, "..."]:
    """`x`, with an error at run time where its cotangent is not finite.

    It is linear, so that forward mode, reverse mode and derivatives of every order pass through it
    unchanged.

    Args:
        x: an array.
        message: of the error; None not to look at the cotangent.
        cause: an int32 scalar; above 0, the error `causes[cause - 1]` is raised as soon as a
            cotangent comes back, whatever it is. Under `jit` a check of a value that no gradient
            needs is dropped with that value; this one is not.
        causes: messages.

    Returns:
        `x`.

    Raises:
        RuntimeError: at run time, in reverse mode.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):
        ...     return jnp.sqrt(watch_cotangent(x, "the gradient is not finite"))
        >>> jax.grad(f)(jnp.asarray(4.0, jnp.float32)).item()
        0.25
        >>> try:
        ...     jax.grad(f)(jnp.asarray(0.0, jnp.float32))
        ... except RuntimeError as error:
        ...     print(error)
        the gradient is not finite
    """
    messages = (message, *causes)
    return _watch.bind(x, jnp.asarray(cause, jnp.int32), messages=messages)


# A primitive of its own: a `custom_vjp` would close forward mode, and JAX's `linear_call` has no
# derivatives of higher order.
_watch = Primitive("watch_cotangent")
_watch.def_impl(lambda x, cause, *, messages: x)
_watch.def_abstract_eval(lambda x, cause, *, messages: x)


def _jvp(primals: Any, tangents: Any, *, messages: Any) -> tuple[Any, Any]:
    x, cause = primals
    tangent = tangents[0]
    if not isinstance(tangent, ad.Zero):
        tangent = _watch.bind(tangent, cause, messages=messages)
    return _watch.bind(x, cause, messages=messages), tangent


def _transpose(cotangent: Any, x: Any, cause: Any, *, messages: Any) -> list[Any]:
    if isinstance(cotangent, ad.Zero):
        return [cotangent, None]
    causes = messages[1:]
    if messages[0] is not None:
        found = ~jnp.isfinite(cotangent).all() & (cause == 0)
        cause = jnp.where(found, jnp.asarray(len(messages), jnp.int32), cause)
        causes = (*causes, messages[0])
    return [raise_if(cotangent, cause, causes), None]


def _batch(arguments: Any, axes: Any, *, messages: Any) -> tuple[Any, Any]:
    x, cause = arguments
    if axes[1] is not None:
        cause = jnp.max(cause, axis=axes[1])
    return _watch.bind(x, cause, messages=messages), axes[0]


ad.primitive_jvps[_watch] = _jvp
ad.primitive_transposes[_watch] = _transpose
batching.primitive_batchers[_watch] = _batch
mlir.register_lowering(_watch, lambda context, x, cause, *, messages: [x])
