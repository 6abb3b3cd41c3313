"""dispatch: the time of a training step so small that its call from Python takes most of it.

A tanh network of three layers of 32 units, 64 samples, mean squared error, Adam. The program that
XLA runs is the same for every peer; the baseline is `jax.jit` on lists of arrays, with nothing
around it. Rows `step` hand out the loss, rows `step+gradients` the gradients as well.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sciml_lux import losses, nn, setup, training

from ._measure import Case, Run, device_name

_WIDTH = 32
_BATCH = 64
LEARNING_RATE = 1e-3
_PRECISION = jax.lax.Precision.HIGHEST


class Problem(NamedTuple):
    """Where every peer starts: our model, its parameters and states, and the data."""

    model: Any
    ps: Any
    st: Any
    x: jax.Array
    y: jax.Array

    @property
    def weights(self) -> list[tuple[jax.Array, jax.Array]]:
        """Weight (out_dims, in_dims) and bias of each layer."""
        return [(layer.weight, layer.bias) for layer in self.ps.values()]


def cases() -> list[Case]:
    """The peers, in float32 and, where x64 is on, in float64."""
    return [case for dtype in dtypes() for case in cases_of(dtype)]


def dtypes() -> list[str]:
    """The dtypes to measure."""
    x64 = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    return ["float32", "float64"] if x64 else ["float32"]


def cases_of(dtype: str) -> list[Case]:
    problem = problem_of(dtype)
    step, device = f"train/mlp-3x{_WIDTH}-batch-{_BATCH}/{dtype}/step", device_name()
    plain, with_gradients = f"{step}/{device}", f"{step}+gradients/{device}"
    return [
        Case(plain, "raw jax.jit", _raw(problem, False)),
        Case(plain, "sciml_lux", _ours(problem, False)),
        Case(plain, "equinox", _if_installed("equinox", _equinox, problem)),
        Case(plain, "flax.nnx", _if_installed("flax", _flax, problem)),
        Case(with_gradients, "raw jax.jit", _raw(problem, True)),
        Case(with_gradients, "sciml_lux", _ours(problem, True)),
    ]


def problem_of(dtype: str) -> Problem:
    hidden = nn.Dense(_WIDTH, _WIDTH, nn.tanh)
    model = nn.Chain(hidden, hidden, nn.Dense(_WIDTH, _WIDTH))
    ps, st = setup(0, model, dtype)
    # Each x has two targets, so that the loss stays away from zero however many the steps.
    x = jnp.tile(jax.random.normal(jax.random.key(1), (_BATCH // 2, _WIDTH), dtype), (2, 1))
    y = jax.random.normal(jax.random.key(2), (_BATCH, _WIDTH), dtype)
    return Problem(model, ps, st, x, y)


def _if_installed(package: str, make: Callable[[Problem], Run], problem: Problem) -> Run | None:
    return make(problem) if importlib.util.find_spec(package) else None


def _repeated(advance: Callable[[], jax.Array]) -> Run:
    """`run(n)` from one step that returns its loss, an output of the program that ends the step."""

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            advance()
        return jax.block_until_ready(advance())

    return run


def _raw(problem: Problem, return_gradients: bool) -> Run:
    optimizer = optax.adam(LEARNING_RATE)

    def loss_of(weights: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        *hidden, last = weights
        for weight, bias in hidden:
            x = jnp.tanh(jnp.matmul(x, weight.T, precision=_PRECISION) + bias)
        weight, bias = last
        return jnp.mean((jnp.matmul(x, weight.T, precision=_PRECISION) + bias - y) ** 2)

    @jax.jit
    def step(weights: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
        loss, grads = jax.value_and_grad(loss_of)(weights, x, y)
        updates, state = optimizer.update(grads, state, weights)
        weights = optax.apply_updates(weights, updates)
        return grads if return_gradients else None, loss, weights, state

    weights, x, y = problem.weights, problem.x, problem.y
    state = optimizer.init(weights)

    def advance() -> jax.Array:
        nonlocal weights, state
        _grads, loss, weights, state = step(weights, state, x, y)
        return loss

    return _repeated(advance)


def _ours(problem: Problem, return_gradients: bool) -> Run:
    model, ps, st, x, y = problem
    tstate = training.TrainState(model, ps, st, optax.adam(LEARNING_RATE))

    def advance() -> jax.Array:
        nonlocal tstate
        _grads, loss, _, tstate = training.single_train_step(
            training.AutoReverse(),
            losses.MSELoss(),
            (x, y),
            tstate,
            return_gradients=return_gradients,
        )
        return loss

    return _repeated(advance)


def _equinox(problem: Problem) -> Run:
    import equinox as eqx

    class Network(eqx.Module):
        layers: list[eqx.nn.Linear]

        def __call__(self, x: jax.Array) -> jax.Array:
            for layer in self.layers[:-1]:
                x = jnp.tanh(layer(x))
            return self.layers[-1](x)

    def layer_of(weight: jax.Array, bias: jax.Array) -> eqx.nn.Linear:
        linear = eqx.nn.Linear(_WIDTH, _WIDTH, dtype=weight.dtype, key=jax.random.key(0))
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), linear, (weight, bias))

    @eqx.filter_value_and_grad
    def loss_and_gradient(network: Network, x: jax.Array, y: jax.Array) -> jax.Array:
        # `Linear` takes no precision: on accelerators its own would be another arithmetic.
        with jax.default_matmul_precision("highest"):
            return jnp.mean((jax.vmap(network)(x) - y) ** 2)

    optimizer = optax.adam(LEARNING_RATE)

    @eqx.filter_jit
    def step(network: Network, state: Any, x: jax.Array, y: jax.Array) -> Any:
        loss, grads = loss_and_gradient(network, x, y)
        updates, state = optimizer.update(grads, state, eqx.filter(network, eqx.is_array))
        return loss, eqx.apply_updates(network, updates), state

    x, y = problem.x, problem.y
    network = Network([layer_of(weight, bias) for weight, bias in problem.weights])
    state = optimizer.init(eqx.filter(network, eqx.is_array))

    def advance() -> jax.Array:
        nonlocal network, state
        loss, network, state = step(network, state, x, y)
        return loss

    return _repeated(advance)


def _flax(problem: Problem) -> Run:
    from flax import nnx  # pyright: ignore[reportMissingImports]  (only with the extra `bench`)

    class Network(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.layers = nnx.List([self._layer(w, b, rngs) for w, b in problem.weights])

        def __call__(self, x: jax.Array) -> jax.Array:
            for layer in self.layers[:-1]:
                x = jnp.tanh(layer(x))
            return self.layers[-1](x)

        @staticmethod
        def _layer(weight: jax.Array, bias: jax.Array, rngs: nnx.Rngs) -> nnx.Linear:
            return nnx.Linear(
                _WIDTH,
                _WIDTH,
                param_dtype=weight.dtype,
                precision=_PRECISION,
                kernel_init=lambda *_: weight.T,
                bias_init=lambda *_: bias,
                rngs=rngs,
            )

    @nnx.jit
    def step(network: Network, optimizer: nnx.Optimizer, x: jax.Array, y: jax.Array) -> jax.Array:
        def loss_of(network: Network) -> jax.Array:
            return jnp.mean((network(x) - y) ** 2)

        loss, grads = nnx.value_and_grad(loss_of)(network)
        optimizer.update(network, grads)
        return loss

    x, y = problem.x, problem.y
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(LEARNING_RATE), wrt=nnx.Param)

    return _repeated(lambda: step(network, optimizer, x, y))
