"""Every public layer, op and loss once. The generic tests of `test_catalogue.py` run over it."""

import dataclasses
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sciml_lux import losses, nn, ode, ops
from sciml_lux.core import Layer


@dataclasses.dataclass(frozen=True)
class LayerEntry:
    """A layer, the shape of its input (a tree of shapes), and what it must be.

    `batched` says that the leading axis of the input is a batch whose members do not mix;
    `gradient_error` is what the layer's own tolerance leaves of its gradient.
    """

    layer: Layer
    x: Any
    y: Any
    parameters: int
    states: int = 0
    batched: bool = True
    gradient_error: float = 0.0
    dtypes: tuple[str, ...] = ("float16", "bfloat16", "float32", "float64")

    @property
    def name(self) -> str:
        return repr(self.layer)


def _logistic(t, u, physics, terms):
    return physics.growth * u - terms.loss(u)


_MLP = nn.Chain(nn.Dense(2, 4, nn.tanh), nn.Dense(4, 2))

LAYERS = [
    LayerEntry(nn.Dense(3, 2), (4, 3), (4, 2), 8),
    LayerEntry(nn.Dense(3, 2, nn.tanh, use_bias=False), (4, 3), (4, 2), 6),
    LayerEntry(nn.Dense(3, 2, nn.gelu), (4, 5, 3), (4, 5, 2), 8),
    LayerEntry(_MLP, (4, 2), (4, 2), 22),
    LayerEntry(nn.Chain(first=nn.Dense(2, 3), then=nn.relu), (4, 2), (4, 3), 9),
    LayerEntry(nn.Chain(), (4, 2), (4, 2), 0),
    LayerEntry(nn.NoOpLayer(), (4, 2), (4, 2), 0),
    LayerEntry(nn.WrappedFunction(nn.softplus), (4, 2), (4, 2), 0),
    LayerEntry(nn.SkipConnection(nn.Dense(2, 2, nn.tanh), operator.add), (4, 2), (4, 2), 6),
    LayerEntry(
        nn.SkipConnection(
            nn.Dense(2, 2), nn.Parallel(operator.sub, nn.Dense(2, 3), nn.Dense(2, 3))
        ),
        (4, 2),
        (4, 3),
        24,
    ),
    LayerEntry(nn.Parallel(None, nn.Dense(2, 3), nn.NoOpLayer()), (4, 2), ((4, 3), (4, 2)), 9),
    LayerEntry(
        nn.Parallel(operator.mul, a=nn.Dense(2, 3), b=nn.Dense(4, 3)), ((5, 2), (5, 4)), (5, 3), 24
    ),
    LayerEntry(
        nn.Parallel(
            nn.Parallel(operator.add, nn.Dense(3, 1), nn.Dense(3, 1)),
            nn.Dense(2, 3),
            nn.Dense(2, 3),
        ),
        (4, 2),
        (4, 1),
        26,
    ),
]

# A solve is dear to compile: one solver, few steps, and only what float16 can hold.
SOLVES = [
    LayerEntry(
        ode.NeuralODE(_MLP, (0.0, 1.0), saveat=(0.0, 0.5, 1.0)),
        (2,),
        (3, 2),
        22,
        batched=False,
        gradient_error=1e-5,
        dtypes=("float32", "float64"),
    ),
    LayerEntry(
        ode.UDE(
            _logistic,
            {"loss": nn.Dense(2, 2)},
            (0.0, 1.0),
            {"growth": ode.Positive(0.5)},
        ),
        (2,),
        (2,),
        7,
        batched=False,
        gradient_error=1e-5,
        dtypes=("float32", "float64"),
    ),
]


@dataclasses.dataclass(frozen=True)
class OpEntry:
    """A function of arrays, its inputs' shapes, and a range that keeps away from its kinks."""

    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((7,),)
    reference: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        return self.function.__name__


ACTIVATIONS = [
    OpEntry(ops.celu),
    OpEntry(ops.elu),
    OpEntry(ops.gelu),
    OpEntry(ops.gelu_erf),
    OpEntry(ops.gelu_sigmoid),
    OpEntry(ops.gelu_tanh),
    OpEntry(ops.hardsigmoid),
    OpEntry(ops.hardswish),
    OpEntry(ops.hardtanh),
    OpEntry(ops.identity),
    OpEntry(ops.leakyrelu),
    OpEntry(ops.lisht),
    OpEntry(ops.logcosh),
    OpEntry(ops.logsigmoid),
    OpEntry(ops.mish),
    OpEntry(ops.relu),
    OpEntry(ops.relu6),
    OpEntry(ops.selu),
    OpEntry(ops.sigmoid),
    OpEntry(ops.softplus),
    OpEntry(ops.softshrink),
    OpEntry(ops.softsign),
    OpEntry(ops.swish),
    OpEntry(ops.tanh),
    OpEntry(ops.tanhshrink),
    OpEntry(ops.trelu),
]


def _dense(weight, x, bias):
    return ops.fused_dense_bias_activation(ops.tanh, weight, x, bias)


_dense.__name__ = "fused_dense_bias_activation"

OPS = [*ACTIVATIONS, OpEntry(_dense, ((2, 3), (4, 3), (2,)))]

LOSSES = [losses.MSELoss(), losses.MSELoss(agg=losses.total), losses.MSELoss(agg=None)]


def example_input(shapes: Any, dtype: Any, seed: int = 0) -> Any:
    """Arrays of the given shapes with entries in (-2, 2)."""
    is_shape = lambda node: isinstance(node, tuple) and all(isinstance(n, int) for n in node)
    leaves, treedef = jax.tree.flatten(shapes, is_leaf=is_shape)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    arrays = [
        jax.random.uniform(key, shape, jnp.float32, -2.0, 2.0).astype(dtype)
        for key, shape in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(treedef, arrays)
