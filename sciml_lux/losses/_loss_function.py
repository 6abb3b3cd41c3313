"""LossFunction: what all losses share, the two forms of call."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Frozen, Record, SharedDefault, apply, describe
from ..precision import promote, require_x64_for, require_x64_of


@require_x64_of("values")
def mean(values: Array) -> Array:
    """The mean of all elements.

    Raises:
        ValueError: there are none.
    """
    if values.size == 0:
        raise ValueError(
            f"`mean` of an empty batch has no value, got losses of shape {values.shape}. Leave the "
            "batch out, or set `agg`."
        )
    return jnp.mean(values)


@require_x64_of("values")
def total(values: Array) -> Array:
    """The sum of all elements."""
    return jnp.sum(values)


class LossFunction(Frozen, metaclass=SharedDefault):
    """Base of losses: a subclass writes `elementwise(y_pred, y)`, which `agg` makes one number.

    Args:
        agg: how the elements become one number: `mean`, `total`, any function of the array, or
            None for the array itself.

    Inputs: `loss(y_pred, y)` with two arrays of one shape, or `loss(model, ps, st, (x, y))`.

    Returns: the loss, or `loss, st, stats` in the second form. In float16 and bfloat16 our losses
        square and average in float32, and come back. Targets have gradients too; take
        them out with `jax.lax.stop_gradient(y)` where they come from a model.

    Raises:
        ValueError: the shapes differ. Nothing is broadcast: (n,) against (n, 1) would be (n, n).
        TypeError: called with neither two nor four arguments; `y_pred` is no array of floating or
            complex numbers, or `y` no array.

    Source: `AbstractLossFunction` of Lux 1.31.
    """

    agg: Callable[[Array], Array] | None = mean
    # Whether complex numbers mean nothing to it.
    real_only: ClassVar[bool] = False

    def __call__(self, *arguments: Any) -> Any:
        """The loss of a prediction, or of a model on data."""
        if len(arguments) == 2:
            return self._of_prediction(*arguments)
        if len(arguments) == 4:
            return self._of_model(*arguments)
        raise TypeError(
            f"`{type(self).__name__}` is called as loss(y_pred, y) or "
            f"loss(model, ps, st, (x, y)), got {len(arguments)} arguments."
        )

    def targets(self, y_pred: Array, y: Any) -> Any:
        """`y` in the form that `elementwise` takes, for losses that know several."""
        return y

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The loss of each element, or of each sample."""
        raise TypeError(f"`{type(self).__name__}` defines no `elementwise(y_pred, y)`.")

    def _of_prediction(self, y_pred: Any, y: Any) -> Inexact[Array, "..."]:
        for name, array in (("y_pred", y_pred), ("y", y)):
            require_x64_for(array, f"`{type(self).__name__}`: `{name}`")
        if not (hasattr(y_pred, "dtype") and jnp.issubdtype(y_pred.dtype, jnp.inexact)):
            raise TypeError(
                f"`{type(self).__name__}` expects `y_pred` to be a floating or complex array, got "
                f"{getattr(y_pred, 'dtype', type(y_pred).__name__)}. Convert it: "
                "jnp.asarray(y_pred, dtype)."
            )
        y = self.targets(y_pred, y)
        if not hasattr(y, "dtype"):
            raise TypeError(
                f"`{type(self).__name__}` expects `y` to be an array, got {type(y).__name__}. "
                "Convert it: jnp.asarray(y, dtype)."
            )
        if jnp.shape(y_pred) != jnp.shape(y):
            raise ValueError(
                f"`{type(self).__name__}` expects `y_pred` and `y` of one shape, got "
                f"{describe(y_pred)} and {describe(y)}. Reshape one of them; nothing is broadcast."
            )
        y_pred, y = promote(y_pred, y)
        if self.real_only and jnp.iscomplexobj(y_pred):
            raise TypeError(
                f"`{type(self).__name__}` expects real numbers, got {y_pred.dtype}. Pass real and "
                "imaginary part, or the absolute value."
            )
        losses = self.elementwise(y_pred, y)
        loss = losses if self.agg is None else self.agg(losses)
        # What `elementwise` widened comes back only here: a mean fits where its terms do not.
        is_wide = jnp.finfo(y_pred.dtype).bits < 32 and losses.dtype == jnp.float32
        return loss.astype(y_pred.dtype) if is_wide else loss

    def _of_model(self, model: Any, ps: Any, st: Any, data: Any) -> tuple[Array, Any, Record]:
        if not (isinstance(data, tuple | list) and len(data) == 2):
            # An array without axes has `__len__` and no length.
            has_length = hasattr(data, "__len__") and getattr(data, "shape", None) != ()
            length = f" of {len(data)}" if has_length else ""
            raise TypeError(
                f"`{type(self).__name__}` expects `data` to be the pair (x, y), got "
                f"{type(data).__name__}{length}."
            )
        x, y = data
        y_pred, st = apply(model, x, ps, st)
        return self._of_prediction(y_pred, y), st, Record()
