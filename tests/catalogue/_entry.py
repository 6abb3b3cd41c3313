"""What a catalogue line says, and inputs made from it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux.core import Layer

DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class Indices:
    """An input of integers in [0, bound)."""

    shape: tuple[int, ...]
    bound: int


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """A layer, the shape of its input (a tree of shapes), and what it must be.

    Attributes:
        layer: the layer.
        x: a shape, or a tree of shapes and `Indices`.
        y: the shapes of the output.
        parameters, states: how many numbers.
        bad: an input of a wrong shape, which must be answered with the layer's name, what it
            expects and what it got; None where every shape will do.
        batched: the leading axis of the input is a batch whose members do not mix.
        converts: changing the dtype inside is the purpose of the layer.
        widens: sums over float16 and bfloat16 accumulate in float32, interpolation has its weights
            in it, and dropout draws in it, so that p has its digits. No other layer may.
        typed: `repr` is what one would type.
        gradient_error: what the layer's own tolerance leaves of its gradient.
        dtypes: those it is meant for.
    """

    layer: Layer
    x: Any
    y: Any
    parameters: int
    states: int = 0
    _: dataclasses.KW_ONLY
    bad: Any = None
    batched: bool = True
    converts: bool = False
    widens: bool = False
    typed: bool = True
    gradient_error: float = 0.0
    dtypes: tuple[str, ...] = DTYPES

    @property
    def name(self) -> str:
        """The test's identifier."""
        return " ".join(repr(self.layer).split())


@dataclasses.dataclass(frozen=True)
class OpEntry:
    """A public function of arrays, and the shapes of its inputs.

    `call` is the function of these inputs alone, where the op has other arguments; its output is
    a tree of arrays. It is a module-level function. `widens` as for layers.
    """

    op: Callable[..., Any]
    shapes: tuple[Any, ...] = ((7,),)
    call: Callable[..., Any] | None = None
    _: dataclasses.KW_ONLY
    widens: bool = False
    dtypes: tuple[str, ...] = DTYPES

    @property
    def name(self) -> str:
        """The test's identifier."""
        return self.op.__name__

    @property
    def function(self) -> Callable[..., Any]:
        """The function of the inputs alone."""
        return self.call or self.op


def is_shape(node: Any) -> bool:
    """Whether a node of a tree of shapes is one shape."""
    return isinstance(node, Indices) or (
        isinstance(node, tuple) and all(isinstance(n, int) for n in node)
    )


def example_input(shapes: Any, dtype: Any, seed: int = 0) -> Any:
    """Arrays of the given shapes with entries in (-2, 2), or indices; NumPy draws without JAX."""
    generator = np.random.default_rng(seed)

    def example(shape: Any) -> jax.Array:
        if isinstance(shape, Indices):
            return jnp.asarray(generator.integers(0, shape.bound, shape.shape, np.int32))
        return jnp.asarray(generator.uniform(-2.0, 2.0, shape).astype(jnp.dtype(dtype)))

    return jax.tree.map(example, shapes, is_leaf=is_shape)


def split_floats(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The floating leaves of a tree, and the function that puts such leaves back."""
    leaves, treedef = jax.tree.flatten(tree)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]

    def join(floats: list[Any]) -> Any:
        joined = list(leaves)
        for place, leaf in zip(places, floats, strict=True):
            joined[place] = leaf
        return jax.tree.unflatten(treedef, joined)

    return [leaves[i] for i in places], join


def with_empty_batch(shapes: Any) -> Any:
    """The same shapes with a leading axis of 0."""

    def empty(shape: Any) -> Any:
        if isinstance(shape, Indices):
            return Indices((0, *shape.shape[1:]), shape.bound)
        return (0, *shape[1:])

    return jax.tree.map(empty, shapes, is_leaf=is_shape)
