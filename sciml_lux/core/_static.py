"""Static: a flag inside a tree that decides the program rather than flowing through it."""

from typing import Any

from ._static_value import StaticValue


class Static(StaticValue):
    """A hashable value in a state tree that JAX treats as part of the tree's structure.

    Train and test mode is one: layers may write `if st.training:` under `jit`, and changing it
    compiles once more.

    Example:
        >>> import jax
        >>> jax.tree.leaves({"training": Static(True)}), bool(Static(False))
        ([], False)
    """

    value: Any

    def __bool__(self) -> bool:
        return bool(self.value)
