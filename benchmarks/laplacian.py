"""laplacian: the Laplacian of a tanh network at many points, and the gradient of its mean square.

The network is D-64-64-64-1, at 1024 points. Rows `value` return the Laplacian at each point, rows
`gradient` the gradient with respect to the parameters of the mean of its squares. The peers are
ways to write it in JAX for one point, mapped over the points; `forward passes` are D + 2
evaluations of the network, which is about what the forward Laplacian computes. Rows `residual` are
those of equations in x and t, by `autodiff.derivatives` and by hand. The column
`difference` is the largest difference from the same in the widest dtype, in units of its largest
value.
"""

import functools
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sciml_lux import autodiff, nn, setup

from ._measure import Case, Run, device_name
from ._residuals import Residual, of_network, residuals
from .dispatch import dtypes

_WIDTH = 64
_POINTS = 1024
_PRECISION = jax.lax.Precision.HIGHEST
Laplacian = Callable[[Any, jax.Array], jax.Array]


class Problem(NamedTuple):
    """The network, its trees, and the points."""

    model: Any
    ps: Any
    st: Any
    x: jax.Array


def cases() -> list[Case]:
    """The peers for each number of coordinates, in float32 and, with x64 on, in float64."""
    laplacians = [
        case for dtype in dtypes() for count in (2, 10, 100) for case in _cases_of(count, dtype)
    ]
    return [*laplacians, *residual_cases()]


def residual_cases() -> list[Case]:
    """The residuals of equations, and their gradients."""
    return [
        case
        for dtype in dtypes()
        for name, peers in residuals().items()
        for case in _cases_of_residual(name, peers, dtype)
    ]


def _cases_of_residual(name: str, peers: dict[str, Residual], dtype: str) -> list[Case]:
    problem, wide = _problem(2, dtype), _problem(2, dtypes()[-1])
    row = f"residual/{name}-mlp-2-3x{_WIDTH}-points-{_POINTS}/{dtype}"
    by_hand = of_network(peers["nested jvp"], wide.model, wide.st)
    reference = by_hand(wide.ps, wide.x)
    found = []
    for peer, written in peers.items():
        residual = of_network(written, problem.model, problem.st)
        difference = _difference(residual(problem.ps, problem.x), reference)
        for kind, run in (("value", _run_value), ("gradient", _run_gradient)):
            case = f"{row}/{kind}/{device_name()}"
            found.append(Case(case, peer, run(residual, problem), 10, difference))
    return found


def _cases_of(count: int, dtype: str) -> list[Case]:
    problem = _problem(count, dtype)
    wide = _problem(count, dtypes()[-1])
    reference = _per_point(_trace_of_hessian)(wide.ps, wide.x.astype(wide.ps.layer_1.weight.dtype))
    row = f"laplacian/mlp-{count}-3x{_WIDTH}-points-{_POINTS}/{dtype}"
    value, gradient = (f"{row}/{kind}/{device_name()}" for kind in ("value", "gradient"))
    steps = 1 if count == 100 else 10  # Some peers take seconds.
    found = []
    for peer, laplacian in _peers(problem).items():
        if laplacian is None:
            found += [Case(value, peer, None, steps), Case(gradient, peer, None, steps)]
            continue
        difference = _difference(laplacian(problem.ps, problem.x), reference)
        found.append(Case(value, peer, _run_value(laplacian, problem), steps, difference))
        found.append(Case(gradient, peer, _run_gradient(laplacian, problem), steps, difference))
    passes = functools.partial(_forward_passes, count + 2)
    return [
        *found,
        Case(
            f"{row}-passes/value/{device_name()}",
            "forward passes",
            _run_value(passes, problem),
            steps,
        ),
    ]


def _problem(count: int, dtype: str) -> Problem:
    hidden = nn.Dense(_WIDTH, _WIDTH, nn.tanh)
    model = nn.Chain(nn.Dense(count, _WIDTH, nn.tanh), hidden, hidden, nn.Dense(_WIDTH, 1))
    ps, st = setup(0, model, "float32")
    x = jax.random.normal(jax.random.key(1), (_POINTS, count), "float32")
    return Problem(model, jax.tree.map(lambda a: a.astype(dtype), ps), st, x.astype(dtype))


def _peers(problem: Problem) -> dict[str, Laplacian | None]:
    model, st = problem.model, problem.st

    def ours(ps: Any, x: jax.Array) -> jax.Array:
        return autodiff.laplacian(model, x, ps, st)[:, 0]

    folx = _per_point(_of_folx) if importlib.util.find_spec("folx") else None
    return {
        "sciml_lux": ours,
        "folx": folx,
        "jvp of grad": _per_point(_jvp_of_grad),
        "hessian trace": _per_point(_trace_of_hessian),
    }


def _network(ps: Any, x: jax.Array) -> jax.Array:
    """The network at one point, in plain JAX."""
    *hidden, last = ps.values()
    for layer in hidden:
        x = jnp.tanh(jnp.matmul(layer.weight, x, precision=_PRECISION) + layer.bias)
    return (jnp.matmul(last.weight, x, precision=_PRECISION) + last.bias)[0]


def _per_point(laplacian: Laplacian) -> Laplacian:
    return jax.vmap(laplacian, (None, 0))


def _of_folx(ps: Any, x: jax.Array) -> jax.Array:
    import folx  # pyright: ignore[reportMissingImports]  (only where it is installed)

    return folx.forward_laplacian(functools.partial(_network, ps))(x).laplacian


def _jvp_of_grad(ps: Any, x: jax.Array) -> jax.Array:
    slope = jax.grad(functools.partial(_network, ps))

    def second(direction: jax.Array) -> jax.Array:
        return jnp.vdot(direction, jax.jvp(slope, (x,), (direction,))[1])

    return jnp.sum(jax.vmap(second)(jnp.eye(x.size, dtype=x.dtype)))


def _trace_of_hessian(ps: Any, x: jax.Array) -> jax.Array:
    return jnp.trace(jax.hessian(functools.partial(_network, ps))(x))


def _forward_passes(count: int, ps: Any, x: jax.Array) -> jax.Array:
    return jax.vmap(functools.partial(_network, ps))(jnp.tile(x, (count, 1)))


def _run_value(laplacian: Laplacian, problem: Problem) -> Run:
    _, ps, _, x = problem
    compiled, mean_square = jax.jit(laplacian), jax.jit(lambda found: jnp.mean(found**2))

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            jax.block_until_ready(compiled(ps, x))
        return mean_square(compiled(ps, x)).block_until_ready()

    return run


def _run_gradient(laplacian: Laplacian, problem: Problem) -> Run:
    _, ps, _, x = problem

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(ps: Any) -> jax.Array:
        return jnp.mean(laplacian(ps, x) ** 2)

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            jax.block_until_ready(loss_and_gradient(ps))
        return jax.block_until_ready(loss_and_gradient(ps))[0]

    return run


def _difference(found: jax.Array, reference: jax.Array) -> float:
    wide = found.astype(reference.dtype)
    return float(jnp.max(jnp.abs(wide - reference)) / jnp.max(jnp.abs(reference)))
