"""Static: a flag in a tree that is part of the program, not of its data."""

from typing import Any

from ._static_value import StaticValue


class Static(StaticValue):
    """A hashable value in a tree of states that JAX treats as part of the tree's structure.

    The flag of train and test mode is one: a layer can test `if st.training:` under `jit`, and a
    change of the flag compiles again.

    Example:
        >>> import jax
        >>> jax.tree.leaves({"training": Static(True)}), bool(Static(False))
        ([], False)
    """

    value: Any

    def __bool__(self) -> bool:
        return bool(self.value)
