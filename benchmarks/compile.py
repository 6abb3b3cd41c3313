"""compile: the time from a Python function to a compiled program, traced anew each time.

The gradient of a mean squared error with respect to the parameters. `chain-20`: a chain of 20
layers against the same network in `jax.jit` on lists of arrays. `repeated`: one layer 200 times
against the same layer twice, which should take the same time.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sciml_lux import apply, initializers, nn, setup

from ._measure import Case, Run, device_name

_WIDTH = 32
_BATCH = 64
_DEPTH = 20
_PRECISION = jax.lax.Precision.HIGHEST


def cases() -> list[Case]:
    """The rows, in float32."""
    device = device_name()
    chain = f"compile/chain-{_DEPTH}-dense-{_WIDTH}/float32/gradient/{device}"
    repeated = f"compile/repeated-dense-{_WIDTH}/float32/gradient/{device}"
    return [
        Case(chain, "raw jax.jit", _raw(_chain()), steps=1),
        Case(chain, "sciml_lux", _ours(_chain()), steps=1),
        Case(repeated, "2 repeats", _ours(_repeated(2)), steps=1),
        Case(repeated, "200 repeats", _ours(_repeated(200)), steps=1),
    ]


def _chain() -> nn.Chain:
    hidden = nn.Dense(_WIDTH, _WIDTH, nn.tanh)
    return nn.Chain(*[hidden] * (_DEPTH - 1), nn.Dense(_WIDTH, _WIDTH))


def _repeated(repeats: int) -> nn.RepeatedLayer:
    # However often it is applied, the output is that of one application.
    identity = initializers.Initializer(_identity)
    layer = nn.Dense(_WIDTH, _WIDTH, nn.relu, init_weight=identity, init_bias=initializers.zeros)
    return nn.RepeatedLayer(layer, repeats)


def _identity(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    return jnp.eye(*shape, dtype=dtype)


def _data() -> tuple[jax.Array, jax.Array]:
    keys = jax.random.key(1), jax.random.key(2)
    x, y = (jax.random.normal(key, (_BATCH, _WIDTH), jnp.float32) for key in keys)
    return x, y


def _compiled(make: Callable[[], Callable[[Any], jax.Array]], ps: Any) -> Run:
    """`run(n)` that compiles the gradient of a function made anew, which no cache knows."""

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            jax.jit(jax.value_and_grad(make())).lower(ps).compile()
        return jax.jit(jax.value_and_grad(make())).lower(ps).compile()(ps)[0]

    return run


def _ours(model: Any) -> Run:
    ps, st = setup(0, model)
    x, y = _data()

    def make() -> Callable[[Any], jax.Array]:
        return lambda ps: jnp.mean((apply(model, x, ps, st)[0] - y) ** 2)

    return _compiled(make, ps)


def _raw(model: nn.Chain) -> Run:
    weights = [(layer.weight, layer.bias) for layer in setup(0, model)[0].values()]
    x, y = _data()

    def make() -> Callable[[Any], jax.Array]:
        def loss(weights: Any) -> jax.Array:
            *hidden, last = weights
            out = x
            for weight, bias in hidden:
                out = jnp.tanh(jnp.matmul(out, weight.T, precision=_PRECISION) + bias)
            weight, bias = last
            return jnp.mean((jnp.matmul(out, weight.T, precision=_PRECISION) + bias - y) ** 2)

        return loss

    return _compiled(make, weights)
