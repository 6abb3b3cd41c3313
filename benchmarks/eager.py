"""eager: the time of one call without `jit`, and of tracing a long chain.

Rows `dense` and `chain` call `Dense(32, 32, tanh)` and a chain of five of them eagerly, on eight
samples; the baseline is the same `jnp` expressions. Rows `trace` trace a chain of fifty; the
baseline is the same functions of arrays in a loop. All give the same numbers.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sciml_lux import nn, setup
from sciml_lux.ops import fused_dense_bias_activation

from ._measure import Case, Run, device_name

_WIDTH = 32
_BATCH = 8
_LONG = 50


class Problem(NamedTuple):
    """Where every peer starts: our model, its parameters and states, and the input."""

    model: Any
    ps: Any
    st: Any
    x: jax.Array

    @property
    def weights(self) -> list[tuple[jax.Array, jax.Array]]:
        """Weight (out_dims, in_dims) and bias of each layer."""
        layers = self.ps.values() if isinstance(self.model, nn.Chain) else [self.ps]
        return [(layer.weight, layer.bias) for layer in layers]


def cases() -> list[Case]:
    """The peers for one layer and for five, and the tracing of fifty."""
    device = device_name()
    rows = []
    for name, depth in (("dense", 1), ("chain-5", 5)):
        row, problem = f"{name}/{_WIDTH}/float32/eager/{device}", _problem(depth)
        rows += [
            Case(row, "jnp", _repeated(lambda p=problem: _plain(p.weights, p.x))),
            Case(row, "sciml_lux", _repeated(lambda p=problem: p.model(p.x, p.ps, p.st)[0])),
            Case(row, "equinox", _if_installed("equinox", _equinox, problem)),
            Case(row, "flax.linen", _if_installed("flax", _linen, problem)),
            Case(row, "flax.nnx", _if_installed("flax", _nnx, problem)),
        ]
    row, problem = f"chain-{_LONG}/{_WIDTH}/float32/trace/{device}", _problem(_LONG)
    model = problem.model
    return [
        *rows,
        Case(row, "the same functions", _traced(_functions, problem.weights, problem.x), 3),
        Case(
            row,
            "sciml_lux",
            _traced(lambda ps, x: model(x, ps, problem.st)[0], problem.ps, problem.x),
            3,
        ),
    ]


def _problem(depth: int) -> Problem:
    layers = [nn.Dense(_WIDTH, _WIDTH, nn.tanh) for _ in range(depth)]
    model = nn.Chain(*layers) if depth > 1 else layers[0]
    ps, st = setup(0, model)
    return Problem(model, ps, st, jax.random.normal(jax.random.key(1), (_BATCH, _WIDTH)))


def _if_installed(package: str, make: Callable[[Problem], Any], problem: Problem) -> Run | None:
    return _repeated(make(problem)) if importlib.util.find_spec(package) else None


def _repeated(call: Callable[[], jax.Array]) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call()
        return jnp.mean(jnp.square(jax.block_until_ready(call())))

    return run


def _traced(function: Callable[..., jax.Array], tree: Any, x: jax.Array) -> Run:
    loss = float(jnp.mean(jnp.square(function(tree, x))))

    def run(n: int) -> Any:
        for _ in range(n):
            jax.make_jaxpr(lambda tree, x: function(tree, x))(tree, x)  # noqa: PLW0108
        return loss

    return run


def _plain(weights: Any, x: jax.Array) -> jax.Array:
    for weight, bias in weights:
        x = jnp.tanh(x @ weight.T + bias)
    return x


def _functions(weights: Any, x: jax.Array) -> jax.Array:
    for weight, bias in weights:
        x = fused_dense_bias_activation(nn.tanh, weight, x, bias)
    return x


def _equinox(problem: Problem) -> Callable[[], jax.Array]:
    import equinox as eqx

    layers = []
    for weight, bias in problem.weights:
        linear = eqx.nn.Linear(_WIDTH, _WIDTH, key=jax.random.key(0))
        where = lambda layer: (layer.weight, layer.bias)  # noqa: E731
        layers += [eqx.tree_at(where, linear, (weight, bias)), eqx.nn.Lambda(jnp.tanh)]
    network = jax.vmap(eqx.nn.Sequential(layers))
    return lambda: network(problem.x)


def _linen(problem: Problem) -> Callable[[], jax.Array]:
    from flax import linen  # pyright: ignore[reportMissingImports]  (only with the extra `bench`)

    depth = len(problem.weights)
    network = linen.Sequential(
        [layer for _ in range(depth) for layer in (linen.Dense(_WIDTH), jnp.tanh)]
    )
    params = {
        f"layers_{2 * i}": {"kernel": weight.T, "bias": bias}
        for i, (weight, bias) in enumerate(problem.weights)
    }
    return lambda: network.apply({"params": params}, problem.x)  # pyright: ignore[reportReturnType]


def _nnx(problem: Problem) -> Callable[[], jax.Array]:
    from flax import nnx  # pyright: ignore[reportMissingImports]  (only with the extra `bench`)

    layers = []
    for weight, bias in problem.weights:
        linear = nnx.Linear(_WIDTH, _WIDTH, rngs=nnx.Rngs(0))
        linear.kernel[...] = weight.T
        linear.bias[...] = bias  # pyright: ignore[reportOptionalSubscript]
        layers += [linear, jnp.tanh]
    network = nnx.Sequential(*layers)
    return lambda: network(problem.x)
