"""AutoReverse, AutoForward, AutoFiniteDiff: how a training step differentiates."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from ...core import Parameters, StaticValue
from ...core.internal import SharedDefault, check_number, named_leaves


class AutoReverse(StaticValue, metaclass=SharedDefault):
    """Reverse mode, `jax.value_and_grad`.

    Where parameters are complex, the gradient is the direction of steepest ascent, dL/dRe + i
    dL/dIm, as optimisers need it; `jax.grad` alone returns its conjugate.

    Source: takes the place of `AutoZygote`, `AutoEnzyme`, `AutoReactant`, `AutoReverseDiff`,
        `AutoTracker` and `AutoMooncake` of Lux, which are other names for it here.

    Example:
        >>> def loss(ps):
        ...     return jnp.sum(ps**2), None
        >>> AutoReverse().value_and_gradient(loss)(jnp.asarray([3.0], jnp.float32))
        ((Array(9., dtype=float32), None), Array([6.], dtype=float32))
    """

    def value_and_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function(ps) -> (loss, aux)` to `ps -> ((loss, aux), gradient)`."""
        differentiate = jax.value_and_grad(function, has_aux=True)

        def value_and_gradient(ps: Parameters) -> Any:
            value, gradient = differentiate(ps)
            return value, jax.tree.map(_ascent, gradient)

        return value_and_gradient


class AutoForward(StaticValue, metaclass=SharedDefault):
    """Forward mode, one tangent for each parameter: for few of them, or rules without reverse.

    Raises:
        TypeError: a parameter is complex.

    Source: takes the place of `AutoForwardDiff` of Lux, which is another name for it here.

    Example:
        >>> def loss(ps):
        ...     return jnp.sum(ps**2), None
        >>> AutoForward().value_and_gradient(loss)(jnp.asarray([3.0], jnp.float32))
        ((Array(9., dtype=float32), None), Array([6.], dtype=float32))
    """

    def value_and_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function(ps) -> (loss, aux)` to `ps -> ((loss, aux), gradient)`."""

        def value_and_gradient(ps: Parameters) -> Any:
            _require_real(ps, "AutoForward")
            value = function(ps)
            return value, jax.jacfwd(lambda ps: function(ps)[0])(ps)

        return value_and_gradient


class AutoFiniteDiff(StaticValue, metaclass=SharedDefault):
    """Central differences, to check the others: two losses for each parameter, half the digits.

    Args:
        step: relative to the larger of 1 and the parameter's size; by default the cube root of
            the dtype's resolution, which balances truncation and rounding.

    Raises:
        TypeError: a parameter is complex, or they have several dtypes.

    Source: `AutoFiniteDiff` of ADTypes.jl.

    Example:
        >>> def loss(ps):
        ...     return jnp.sum(ps**2), None
        >>> _, gradient = AutoFiniteDiff().value_and_gradient(loss)(jnp.asarray([3.0], jnp.float32))
        >>> bool(abs(gradient[0] - 6) < 1e-2)
        True
    """

    step: float | None = None

    def __post_init__(self) -> None:
        """Check the step."""
        if self.step is not None:
            check_number("AutoFiniteDiff", "step", self.step, above=0)

    def value_and_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function(ps) -> (loss, aux)` to `ps -> ((loss, aux), gradient)`."""

        def value_and_gradient(ps: Parameters) -> Any:
            _require_real(ps, "AutoFiniteDiff")
            _require_one_dtype(ps)
            flat, unravel = ravel_pytree(ps)
            resolution = float(jnp.finfo(flat.dtype).eps)
            steps = (self.step or resolution ** (1 / 3)) * jnp.maximum(jnp.abs(flat), 1)

            def slope(index: jax.Array) -> jax.Array:
                ahead, behind = flat.at[index].add(steps[index]), flat.at[index].add(-steps[index])
                rise = function(unravel(ahead))[0] - function(unravel(behind))[0]
                # The steps as they are after rounding.
                return rise / (ahead[index] - behind[index])

            gradient = jax.lax.map(slope, jnp.arange(flat.size))
            return function(ps), unravel(gradient)

        return value_and_gradient


def _require_real(ps: Parameters, name: str) -> None:
    for path, leaf in named_leaves(ps).items():
        if jnp.iscomplexobj(leaf):
            raise TypeError(
                f"`{name}` expects real parameters, got {leaf.dtype} at `{path}`. Take "
                "AutoReverse()."
            )


def _require_one_dtype(ps: Parameters) -> None:
    dtypes = {leaf.dtype.name for leaf in jax.tree.leaves(ps)}
    if len(dtypes) > 1:
        raise TypeError(
            f"`AutoFiniteDiff` expects parameters of one dtype, got {', '.join(sorted(dtypes))}. "
            "Convert them, for example with precision.f64(ps)."
        )


def _ascent(gradient: PyTree) -> Any:
    return jnp.conj(gradient) if jnp.iscomplexobj(gradient) else gradient


AD = AutoReverse | AutoForward | AutoFiniteDiff
AutoZygote = AutoEnzyme = AutoReactant = AutoReverse
AutoReverseDiff = AutoTracker = AutoMooncake = AutoReverse
AutoForwardDiff = AutoForward


def check_ad(ad: object) -> None:
    """Raise if `ad` is not a way to differentiate."""
    if not isinstance(ad, AD):
        raise TypeError(
            "a training step expects a way to differentiate first, such as AutoReverse(), got "
            f"{ad!r}. The order is (AutoReverse(), objective, data, tstate)."
        )
