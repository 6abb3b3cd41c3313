"""A table of the outputs and parameters of each layer."""

from typing import NamedTuple

import jax
from jaxtyping import PyTree

from ._contract import layer_name, sublayers_of
from ._guard import Observation, observer
from ._setup import output_structure, parameter_length
from ._tree import describe
from ._types import LayerLike, Parameters


class SummaryRow(NamedTuple):
    """A layer: its path, name, outputs (`dtype[shape]`), number of parameters and their bytes."""

    path: str
    layer: str
    output: str
    parameters: int
    bytes: int


class Summary:
    """The rows of `summary`, printed as a table.

    Attributes:
        rows: a `SummaryRow` for each layer, in the order of the calls.
        total: the `SummaryRow` of the whole model.
    """

    def __init__(self, rows: tuple[SummaryRow, ...], total: SummaryRow) -> None:
        self.rows = rows
        self.total = total

    def __repr__(self) -> str:
        head = ("path", "layer", "output", "parameters", "bytes")
        total = self.total._replace(path="total")
        cells = [head, *(_cells(row) for row in (*self.rows, total))]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        left = 3
        lines = [
            "  ".join(
                text.ljust(width) if i < left else text.rjust(width)
                for i, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _cells(row: SummaryRow) -> tuple[str, ...]:
    return (row.path, row.layer, row.output, f"{row.parameters:_}", f"{row.bytes:_}")


def summary(model: LayerLike, x: PyTree) -> Summary:
    """The output of each layer of `model` for the input `x`: shape, dtype, parameters, bytes.

    Args:
        model: the layer.
        x: an array or `jax.ShapeDtypeStruct`, or a tree of them; parameters are counted in its
            dtype. Nothing is computed, and no array is allocated.

    Returns:
        A `Summary`, which prints as a table and has `rows` and `total`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> summary(nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 1)),
        ...         jax.ShapeDtypeStruct((16, 2), jnp.float32))
        path     layer              output         parameters  bytes
        ------------------------------------------------------------
        layer_1  Dense(2, 8, tanh)  float32[16,8]          24     96
        layer_2  Dense(8, 1)        float32[16,1]           9     36
        ------------------------------------------------------------
        total    Chain              float32[16,1]          33    132
    """
    rows: dict[tuple[str, str], SummaryRow] = {}

    def observe(seen: Observation) -> None:
        if not all(map(_has_children, seen.around)):
            return  # A layer that hides its children has the only row.
        has_children = _has_children(seen.layer)
        if has_children and not (seen.path and getattr(seen.layer, "has_summary_row", False)):
            return  # Its children have rows, and the model has the total.
        name = layer_name(seen.layer) if has_children else repr(seen.layer)
        # By path and name: a layer that is called many times, as in a solve, has one row, and a
        # wrapper has the path of the layer inside.
        rows[seen.path, name] = _row(seen.path, name, seen.y, seen.ps)

    token = observer.set(observe)
    try:
        y, ps = output_structure(model, x)
    finally:
        observer.reset(token)
    return Summary(tuple(rows.values()), _row("", layer_name(model), y, ps))


def _has_children(layer: LayerLike) -> bool:
    return bool(sublayers_of(layer))


def _row(path: str, layer: str, y: PyTree, ps: Parameters) -> SummaryRow:
    output = ", ".join(describe(leaf) for leaf in jax.tree.leaves(y))
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(ps))
    return SummaryRow(path, layer, output, parameter_length(ps), size)
