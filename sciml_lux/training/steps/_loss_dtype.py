"""A check of the dtype of a loss: one with fewer digits than the parameters is refused."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ...core import Parameters


def check_loss_dtype(loss: ArrayLike, parameters: Parameters) -> None:
    """Raise if `loss` has fewer digits than `parameters`, since its gradient would have no more.

    A loss of more digits is fine, as float32 is for parameters in half precision.

    Raises:
        TypeError: it has fewer digits, or is not floating.
    """
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(parameters)]
    reals = [jnp.finfo(dtype).dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.inexact)]
    widest = min(reals, key=_resolution, default=None)
    got = jnp.result_type(loss)
    if widest is None or (
        jnp.issubdtype(got, jnp.inexact) and _resolution(got) <= _resolution(widest)
    ):
        return
    raise TypeError(
        f"the objective must return a loss with the digits of the parameters, {widest} or wider, "
        f"got {got}: the gradient would be {widest} with the digits of {got}. Remove the cast "
        "in the model or loss, convert the model's output before the loss is taken, or train "
        "parameters of that dtype, for example precision.f32(ps)."
    )


def _resolution(dtype: np.dtype) -> float:
    return float(jnp.finfo(dtype).eps)
