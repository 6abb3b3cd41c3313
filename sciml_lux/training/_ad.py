"""How gradients are computed: small values, passed to the training functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..core import Frozen, SharedDefault


class AutoReverse(Frozen, metaclass=SharedDefault):
    """Reverse mode, `jax.value_and_grad`.

    Where parameters are complex, the gradient is the direction of steepest ascent, dL/dRe + i
    dL/dIm, as optimisers need it; `jax.grad` alone returns its conjugate.

    Source: takes the place of `AutoZygote`, `AutoEnzyme` and `AutoReactant` of Lux.
    """

    def value_and_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function(ps) -> (loss, aux)` to `ps -> ((loss, aux), gradient)`."""
        differentiate = jax.value_and_grad(function, has_aux=True)

        def value_and_gradient(ps: Any) -> Any:
            value, gradient = differentiate(ps)
            return value, jax.tree.map(_ascent, gradient)

        return value_and_gradient


def _ascent(gradient: Any) -> Any:
    return jnp.conj(gradient) if jnp.iscomplexobj(gradient) else gradient
