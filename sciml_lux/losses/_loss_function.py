"""LossFunction: the base of all losses, with its two forms of call."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Inexact, PyTree

from ..core import LayerLike, Parameters, Record, States, StaticValue, apply
from ..core.internal import SharedDefault, describe
from ..ops.internal import op
from ..precision import promote
from ..precision.internal import own_memory, require_exact_floats
from ._weights import Count, checked_count, dtype_of, hidden, keyword_of, total_weight, weighed


@op("values")
def mean(values: Array) -> Array:
    """The mean of all elements.

    Raises:
        ValueError: the array is empty.

    Example:
        >>> import jax.numpy as jnp
        >>> mean(jnp.array([1.0, 3.0], jnp.float32)).item()
        2.0
    """
    if values.size == 0:
        raise ValueError(
            f"`mean` of an empty batch has no value, got losses of shape {values.shape}. Leave the "
            "batch out, or set `agg`."
        )
    return jnp.mean(values)


@op("values")
def total(values: Array) -> Array:
    """The sum of all elements.

    Example:
        >>> import jax.numpy as jnp
        >>> total(jnp.array([1.0, 3.0], jnp.float32)).item()
        4.0
    """
    return jnp.sum(values)


class LossFunction(StaticValue, metaclass=SharedDefault):
    """Base of losses: a subclass defines `elementwise(y_pred, y)`, and `agg` makes it one number.

    Args:
        agg: how the elements become one number: `mean`, `total`, any function of the array, or
            None to return the array.

    Inputs: `loss(y_pred, y)` with two arrays of one shape, or `loss(model, ps, st, (x, y))`.
        `loss(y_pred, y, weights=w)` counts each loss w times: the mean is Σ w l / Σ w, the total
        Σ w l. `loss(y_pred, y, where=mask)` ignores entries where the mask is False, even NaN: they
        count 0 times and have derivative 0. Weights and masks have the shape of the losses or of
        their leading axes: (batch,) has one for each sample. The mean is NaN if all weights are 0.
        In the second form they are a third entry of the data: `(x, y, w)`, or `(x, y, mask)` with a
        mask of bool, which hides y and the model's output; a NaN in x still goes through the model.

    Returns: the loss, or `loss, st, stats` in the second form. For float16 and bfloat16 our losses
        square and average in float32 and return the dtype of the data. Targets have gradients too;
        use `jax.lax.stop_gradient(y)` for targets that come from a model.

    Raises:
        ValueError: the shapes differ. Nothing is broadcast: (n,) against (n, 1) would be (n, n).
            Weights or a mask with an `agg` that is not `mean`, `total` or None.
        TypeError: called with neither two nor four arguments; `y_pred` is not a floating or complex
            array, or `y` is not an array; weights that are not real numbers, or a mask that is not
            of bool.

    Source: `AbstractLossFunction` of Lux 1.31. The mean with weights is that of
        torch's class weights, and of "mean_with_sample_weight" in Keras; masks are optax's `where`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import losses
        >>> y_pred, y = jnp.array([1.0, 2.0], jnp.float32), jnp.array([0.0, jnp.nan], jnp.float32)
        >>> losses.MSELoss()(y_pred, y, where=~jnp.isnan(y)).item()
        1.0
        >>> weights = jnp.array([1.0, 3.0], jnp.float32)
        >>> losses.MSELoss()(y_pred, jnp.zeros_like(y), weights=weights).item()
        3.25
    """

    agg: Callable[[Array], Array] | None = mean
    # Whether it is defined for real numbers alone.
    real_only: ClassVar[bool] = False

    def __call__(
        self, *arguments: PyTree, weights: Array | None = None, where: Array | None = None
    ) -> Any:
        """The loss of a prediction, or of a model on data."""
        if len(arguments) == 2:
            return self._of_prediction(*arguments, weights=weights, where=where)
        if len(arguments) == 4 and weights is None and where is None:
            return self._of_model(*arguments)
        keywords = [n for n, given in (("weights", weights), ("where", where)) if given is not None]
        got = " and ".join([f"{len(arguments)} arguments", *(f"`{name}`" for name in keywords)])
        raise TypeError(
            f"`{type(self).__name__}` is called as loss(y_pred, y) or "
            f"loss(model, ps, st, (x, y)), got {got}. The first takes weights=w and where=mask, "
            "the second one of the two as a third entry of the data."
        )

    def targets(self, y_pred: Array, y: Any) -> Any:
        """`y` in the form that `elementwise` takes, for losses that accept other forms."""
        return y

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The loss of each element, or of each sample."""
        raise TypeError(f"`{type(self).__name__}` defines no `elementwise(y_pred, y)`.")

    def class_weights_at(self, y: Array) -> Array | None:
        """The class weight of each loss, for losses that have class weights."""
        return None

    def over_entries(self, mask: Array, y_pred: Array) -> Array:
        """A mask of the losses, as a mask of the entries of `y_pred`."""
        return jax.lax.broadcast_in_dim(mask, y_pred.shape, tuple(range(mask.ndim)))

    def _of_prediction(
        self,
        y_pred: Array,
        y: ArrayLike,
        *,
        weights: Array | None = None,
        where: Array | None = None,
    ) -> Inexact[Array, "..."]:
        y_pred, y = self._checked(y_pred, y)
        count = Count()
        if weights is not None or where is not None:
            shape = jax.eval_shape(self.elementwise, y_pred, y).shape
            count = checked_count(type(self).__name__, shape, weights, where)
        if count.where is not None:
            seen = self.over_entries(count.where, y_pred)
            y_pred, y = hidden(y_pred, seen), hidden(y, seen)
        count = count._replace(inside=self.class_weights_at(y))
        losses = self.elementwise(y_pred, y)
        # What `elementwise` widened is narrowed only here: a mean may fit where its terms do not.
        is_half = jnp.finfo(y_pred.dtype).bits < 32
        dtype = dtype_of(y_pred.dtype if is_half else losses.dtype, count)
        if any(part is not None for part in count):
            return self._aggregated(losses, count, dtype)
        loss = losses if self.agg is None else self.agg(losses)
        return loss.astype(dtype) if is_half else loss

    def _aggregated(self, losses: Array, count: Count, dtype: DTypeLike) -> Array:
        terms = weighed(losses, count)
        if self.agg is None:
            return terms.astype(dtype)
        if self.agg is total:
            return total(terms).astype(dtype)
        if self.agg is mean:
            return (total(terms) / total_weight(count, terms.dtype)).astype(dtype)
        if count.weights is None and count.where is None:
            return self.agg(losses)
        raise ValueError(
            f"`{type(self).__name__}` expects `agg` to be mean, total or None where there are "
            f"weights or a mask, got {self.agg!r}. With None the weighted losses come back: "
            "aggregate these."
        )

    def _checked(self, y_pred: Array, y: Any) -> tuple[Array, Array]:
        """Prediction and targets as `elementwise` takes them."""
        for name, value in (("y_pred", y_pred), ("y", y)):
            require_exact_floats(value, f"`{type(self).__name__}`: `{name}`")
        y_pred, y = own_memory((y_pred, y))
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
        prediction, targets = promote(y_pred, y)
        if self.real_only and jnp.iscomplexobj(prediction):
            raise TypeError(
                f"`{type(self).__name__}` expects real numbers, got {prediction.dtype}. Pass real "
                "and imaginary part, or the absolute value."
            )
        return prediction, targets

    def _of_model(
        self, model: LayerLike, ps: Parameters, st: States, data: PyTree
    ) -> tuple[Array, Any, Record]:
        if not (isinstance(data, tuple | list) and len(data) in {2, 3}):
            # An array without axes has `__len__` but not a length.
            has_length = hasattr(data, "__len__") and getattr(data, "shape", None) != ()
            length = f" of {len(data)}" if has_length else ""
            raise TypeError(
                f"`{type(self).__name__}` expects `data` to be the pair (x, y), got "
                f"{type(data).__name__}{length}. A third entry is weights or a mask; a list of "
                "batches goes to `fit` as training.Stream(batches)."
            )
        x, y, *extra = data
        y_pred, st = apply(model, x, ps, st)
        counted = keyword_of(extra[0]) if extra else {}
        return self._of_prediction(y_pred, y, **counted), st, Record()
