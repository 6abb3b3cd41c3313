"""Stats: what an objective returns beside its loss, step by step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core import Record
from ...core.internal import describe, path_name

_MAX_BYTES = 2**26


@dataclasses.dataclass(frozen=True)
class Stats:
    """The stats of the last steps of a fit.

    Attributes:
        names: the path of each leaf, as `path_name` gives it; empty for stats that are one leaf.
        arrays: NumPy arrays with a leading axis of steps.
        treedef: of what the objective returned; None until this process has taken a step.
    """

    names: tuple[str, ...] = ()
    arrays: tuple[np.ndarray, ...] = ()
    treedef: Any = None

    @staticmethod
    def of(tree: PyTree, steps: int | None = None) -> "Stats":
        """Stats from a tree of arrays with a leading axis of steps, of which the first `steps`."""
        found, treedef = jax.tree_util.tree_flatten_with_path(tree)
        names = tuple(path_name(path) for path, _ in found)
        return Stats(names, tuple(np.array(np.asarray(leaf)[:steps]) for _, leaf in found), treedef)

    def then(self, new: "Stats") -> "Stats":
        """These followed by `new`; `new` alone where names, shapes or dtypes differ."""
        if not self._goes_with(new):
            return new
        pairs = zip(self.arrays, new.arrays, strict=True)
        return dataclasses.replace(new, arrays=tuple(np.concatenate(pair) for pair in pairs))

    def without_last(self) -> "Stats":
        """These without those of the last step."""
        return dataclasses.replace(self, arrays=tuple(array[:-1] for array in self.arrays))

    def after(self, history: PyTree) -> Any:
        """The tree, after that of an earlier result where names, shapes and dtypes agree."""
        if self.treedef is None and not self.arrays:
            return history  # No step was taken.
        return Stats.of(history).then(self).tree

    def _goes_with(self, new: "Stats") -> bool:
        kinds = [
            (stats.names, [(array.shape[1:], array.dtype) for array in stats.arrays])
            for stats in (self, new)
        ]
        return kinds[0] == kinds[1] and (self.treedef is None or self.treedef == new.treedef)

    def shaped_as(self, tree: PyTree) -> "Stats":
        """These with the structure of `tree`, the stats of one step, if the names are the same."""
        found, treedef = jax.tree_util.tree_flatten_with_path(tree)
        same = self.names == tuple(path_name(path) for path, _ in found)
        return dataclasses.replace(self, treedef=treedef) if same else self

    @property
    def tree(self) -> Any:
        """As the objective returned them, each leaf with a leading axis of steps.

        By name where the structure is not known: in a fit that was resumed, before its first step.
        """
        if self.treedef is not None:
            return jax.tree.unflatten(self.treedef, self.arrays)
        return self.stored if self.arrays else Record()

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The real scalars by name, (steps,)."""
        return {
            name: array
            for name, array in zip(self.names, self.arrays, strict=True)
            if array.ndim == 1 and not jnp.iscomplexobj(array)
        }

    @property
    def stored(self) -> Any:
        """A tree for a checkpoint, which `loaded` reads."""
        return self.arrays[0] if self.names == ("",) else dict(zip(self.names, self.arrays))  # noqa: B905

    @staticmethod
    def loaded(leaves: dict[str, PyTree]) -> "Stats":
        """The stats among the leaves of a checkpoint; their structure is known after a step."""
        found = {
            path.removeprefix("stats").removeprefix("."): leaf
            for path, leaf in leaves.items()
            if path == "stats" or path.startswith("stats.")
        }
        return Stats(tuple(found), tuple(np.asarray(leaf) for leaf in found.values()))


def check_stats(stats: PyTree) -> None:
    """Raise if `stats` hold something else than numbers and arrays of numbers.

    Raises:
        TypeError: names the first path.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(stats):
        dtype = getattr(leaf, "dtype", None)
        numbers = dtype is not None and not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)
        if not numbers and not isinstance(leaf, bool | int | float | complex):
            where = f" at `{path_name(path)}`" if path else ""
            raise TypeError(
                "`fit` keeps the stats of the objective and expects them to be a tree of numbers "
                f"and arrays, got {describe(leaf)}{where}. Leave it out, or make it a number."
            )


def room_for(stats: PyTree, most: int) -> int:
    """For how many steps stats are kept on the device: `most`, or as many as memory allows."""
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(stats))
    return max(1, min(most, _MAX_BYTES // max(size, 1)))
