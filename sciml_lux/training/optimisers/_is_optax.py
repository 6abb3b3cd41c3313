"""Whether something is an optimiser of optax, asked by its methods, as optax's own wrappers do."""

from typing import TypeGuard

import optax


def is_optax(optimizer: object) -> TypeGuard[optax.GradientTransformation]:
    """Whether `optimizer` has the methods of an optax gradient transformation."""
    return hasattr(optimizer, "init") and hasattr(optimizer, "update")


def check_optax(subject: str, optimizer: object) -> None:
    """Raise if `optimizer` is not an optimiser of optax.

    Raises:
        TypeError: it is not.
    """
    if not is_optax(optimizer):
        raise TypeError(
            f"`{subject}` expects an optax optimiser, got {type(optimizer).__name__}. Pass for "
            "example optax.adam(1e-3)."
        )
