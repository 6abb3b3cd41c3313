"""How gradients are computed: small values, passed to the training functions."""

from collections.abc import Callable
from typing import Any

import jax

from ..core import Frozen, SharedDefault


class AutoReverse(Frozen, metaclass=SharedDefault):
    """Reverse mode, `jax.value_and_grad`.

    Source: takes the place of `AutoZygote`, `AutoEnzyme` and `AutoReactant` of Lux.
    """

    def value_and_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function(ps) -> (loss, aux)` to `ps -> ((loss, aux), gradient)`."""
        return jax.value_and_grad(function, has_aux=True)
