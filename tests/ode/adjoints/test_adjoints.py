"""Adjoints beyond the matrix: the published gradient, other dtypes, nesting, options, failures."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64, slow

pytestmark = pytest.mark.traced
OURS = {
    "discrete": ode.DiscreteAdjoint(),
    "interpolating": ode.InterpolatingAdjoint(),
    "Gauss": ode.GaussAdjoint(),
    "backsolve": ode.BacksolveAdjoint(),
    "reversible": ode.ReversibleAdjoint(),
    "forward": ode.ForwardSensitivity(),
    "forward, error controlled": ode.ForwardSensitivity(control_error=True),
}
PUBLISHED = np.asarray([8.30536266, -159.48429272, 75.20350821, -339.19509277])
# At rtol 1e-9, relative to each number; the reversible steps are those of another method.
BOUNDS = dict.fromkeys(OURS, 1e-6) | {"reversible": 1e-4, "recursive checkpoint": 1e-6}
THEIRS = {"recursive checkpoint": diffrax.RecursiveCheckpointAdjoint()}


def some_slow(names, fast):
    return [pytest.param(n, marks=[] if n in fast else [slow]) for n in names]


def lotka_volterra(t, u, p):
    return jnp.stack([p[0] * u[0] - p[1] * u[0] * u[1], p[3] * u[0] * u[1] - p[2] * u[1]])


@needs_x64
@pytest.mark.parametrize("name", some_slow(OURS | THEIRS, ("Gauss", "forward")))
def test_published_gradient(name):
    method = ode.Method(adjoint=(OURS | THEIRS)[name], rtol=1e-9, atol=1e-9)
    problem = ode.Problem(jnp.ones(2), ts=jnp.linspace(0.0, 10.0, 101))
    total = lambda p: jnp.sum(ode.solve(lotka_volterra, problem, p, method=method).ys)
    found = jax.jit(jax.grad(total))(jnp.asarray([1.5, 1.0, 3.0, 1.0]))
    np.testing.assert_allclose(found, PUBLISHED, rtol=BOUNDS[name])


def decay(t, u, rate):
    return -rate * u


def end(x, method):
    """x exp(-x) in exact arithmetic."""
    return ode.solve(decay, ode.Problem(x, tspan=(0.0, 1.0)), x, method=method).final.u


@pytest.mark.any_precision
@pytest.mark.parametrize("name", some_slow(OURS, ("backsolve",)))
@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=slow)])
def test_gradient_has_the_dtype_of_what_it_is_by(name, dtype):
    x = jnp.asarray(0.75, dtype)
    tolerance = 1e-5 if dtype == "float32" else 1e-3
    method = ode.Method(adjoint=OURS[name], rtol=tolerance, atol=tolerance)
    value, found = jax.jit(jax.value_and_grad(functools.partial(end, method=method)))(x)
    assert value.dtype == found.dtype == dtype
    # Of its two parts, of 0.47 and 0.35, each is rounded.
    rtol = 1e-3 if dtype == "float32" else 6e-2
    np.testing.assert_allclose(np.float64(found), 0.25 * np.exp(-0.75), rtol=rtol)


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


NESTINGS = {
    "forward": forward,
    "forward over reverse": lambda f: forward(jax.grad(f)),
    "reverse over reverse": lambda f: jax.grad(jax.grad(f)),
    "reverse over forward": lambda f: jax.grad(forward(f)),
    "forward over forward": lambda f: forward(forward(f)),
}


@needs_x64
@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("name", some_slow(OURS, ()))
def test_derivatives_nest(name, nesting):
    check_nesting(name, nesting)


@needs_x64
def test_hessian_through_the_adjoint_equation():
    check_nesting("interpolating", "forward over reverse")


def check_nesting(name, nesting):
    method = ode.Method(adjoint=OURS[name], rtol=1e-9, atol=1e-9)
    f = functools.partial(end, method=method)
    found = jax.jit(NESTINGS[nesting](f))(jnp.asarray(0.75))
    expected = NESTINGS[nesting](lambda x: x * jnp.exp(-x))(jnp.asarray(0.75))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@needs_x64
@slow
@pytest.mark.parametrize("name", OURS)
def test_batch_of_gradients_is_the_gradient_of_a_batch(name):
    method = ode.Method(adjoint=OURS[name])
    f = functools.partial(end, method=method)
    xs = jnp.asarray([0.3, 0.75, 2.0])
    one_by_one = [jax.jit(jax.grad(f))(x) for x in xs]
    of_batch = jax.jit(jax.grad(lambda xs: jnp.sum(jax.vmap(f)(xs))))(xs)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(f)))(xs), one_by_one, rtol=1e-9)
    np.testing.assert_allclose(of_batch, one_by_one, rtol=1e-9)


def branches(t, u, a):
    return jnp.stack([a[0] - u[0] * u[1], a[1] * u[0] - u[1]])


def steady(a, t1=40.0, **options):
    problem = ode.Problem(jnp.ones(2), tspan=(0.0, t1))
    method = ode.Method(adjoint=ode.SteadyStateAdjoint(), **options)
    return ode.solve(branches, problem, a, method=method).final.u


@needs_x64
def test_steady_state_has_the_derivatives_of_the_root():
    a = jnp.asarray([2.0, 3.0])
    root = lambda a: jnp.stack([jnp.sqrt(a[0] / a[1]), jnp.sqrt(a[0] * a[1])])
    expected = jax.jacrev(root)(a)
    np.testing.assert_allclose(jax.jit(jax.jacrev(steady))(a), expected, rtol=1e-10)


@needs_x64
@slow
def test_steady_state_has_second_derivatives_and_forward_mode():
    a = jnp.asarray([2.0, 3.0])
    root = lambda a: jnp.sqrt(a[0] / a[1])
    first = lambda a: steady(a)[0]
    np.testing.assert_allclose(jax.jacfwd(first)(a), jax.jacfwd(root)(a), rtol=1e-10)
    np.testing.assert_allclose(jax.hessian(first)(a), jax.hessian(root)(a), rtol=1e-6)


@needs_x64
def test_state_that_is_not_steady_is_refused():
    with pytest.raises(RuntimeError, match=r"t1=0\.5 is not near a root of the vector field, as"):
        steady(jnp.asarray([2.0, 3.0]), 0.5)


@needs_x64
@slow
def test_state_that_is_not_steady_has_no_gradient():
    value, found = jax.jit(jax.value_and_grad(lambda a: jnp.sum(steady(a, 0.5))))(
        jnp.asarray([2.0, 3.0])
    )
    assert np.isnan(value) and np.all(np.isnan(found))


@pytest.mark.any_precision
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ts": (0.0, 1.0)}, "wanted times"),
        ({"running_cost": lambda t, u, du, p: jnp.sum(u)}, "a running cost"),
        ({"is_complex": True}, "a complex state"),
        ({"dense": True}, "`dense=True`"),
    ],
    ids=["times", "cost", "complex", "dense"],
)
def test_steady_state_refuses_what_it_does_not_have(more, words):
    u0 = jnp.ones(2, "complex64" if more.get("is_complex") else "float32")
    problem = ode.Problem(u0, ts=more.get("ts"), tspan=(0.0, 1.0))
    method = ode.Method(adjoint=ode.SteadyStateAdjoint(), dense=more.get("dense", False))
    with pytest.raises(ValueError, match=f"`SteadyStateAdjoint` does not .* with {words}. Leave"):
        ode.solve(lambda t, u, p: -u, problem, method=method, running_cost=more.get("running_cost"))


@pytest.mark.any_precision
def test_solver_of_diffrax_refuses_our_adjoint():
    method = ode.Method(adjoint=ode.GaussAdjoint(), solver=diffrax.Kvaerno5())
    words = r"`GaussAdjoint` expects a solve of the lean engine, got solver=Kvaerno5\(\).* Take"
    with pytest.raises(ValueError, match=words):
        end(jnp.asarray(0.75, jnp.float32), method)


@pytest.mark.any_precision
def test_backsolve_of_diffrax_refuses_complex_states():
    method = ode.Method(adjoint=diffrax.BacksolveAdjoint())
    with pytest.raises(ValueError, match=r"complex. Take ode\.BacksolveAdjoint\(\)"):
        end(jnp.asarray(0.75, jnp.complex64), method)


@pytest.mark.any_precision
@pytest.mark.parametrize("nesting", [*NESTINGS])
@pytest.mark.parametrize(
    "name", [pytest.param("BacksolveAdjoint", marks=slow), "RecursiveCheckpointAdjoint"]
)
def test_adjoint_of_diffrax_without_a_mode_says_so_by_name(name, nesting):
    method = ode.Method(
        adjoint=getattr(diffrax, name)(), solver=diffrax.Euler(), dt0=0.5, max_steps=4
    )
    x = jnp.asarray(0.75, jnp.float32)
    what = "forward mode" if nesting == "forward" else "second derivatives"
    words = rf"`diffrax\.{name}` has no {what}\. Take adjoint=ode\.DiscreteAdjoint\(\)"
    with pytest.raises(ValueError, match=words):
        jax.jit(NESTINGS[nesting](functools.partial(end, method=method))).lower(x)


@pytest.mark.any_precision
def test_auto_chooses_by_memory_and_engine():
    problem = ode.Problem(jnp.ones(4, jnp.float32), tspan=(0.0, 1.0))
    rate = jnp.ones((), jnp.float32)

    def ran(**options):
        return ode.solve(decay, problem, rate, method=ode.Method(**options)).stats.adjoint.value

    assert ran() == ran(adjoint="auto") == "DiscreteAdjoint"
    small = ode.AutoAdjoint(memory=1000)
    assert ran(adjoint=small) == "ReversibleAdjoint"
    assert ran(adjoint=small, dense=True) == "DiscreteAdjoint"
    assert ode.Method(adjoint="auto") == ode.Method(adjoint=ode.AutoAdjoint())


@pytest.mark.any_precision
@slow
@pytest.mark.parametrize("adjoint", ["auto", ode.DiscreteAdjoint(), None], ids=str)
def test_diffrax_has_recursive_checkpoints_where_it_solves(adjoint):
    method = ode.Method(adjoint=adjoint, solver=diffrax.ImplicitEuler(), dt0=0.5)
    problem = ode.Problem(jnp.ones(4, jnp.float32), tspan=(0.0, 1.0))
    solution = ode.solve(decay, problem, jnp.ones((), jnp.float32), method=method)
    assert solution.stats.adjoint.value == "RecursiveCheckpointAdjoint"


@pytest.mark.any_precision
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ode.ReversibleAdjoint(1.5), ValueError, "`coupling` to be at most 1, got 1.5"),
        (lambda: ode.ReversibleAdjoint(0.0), ValueError, "`coupling`"),
        (lambda: ode.GaussAdjoint(rtol=0.0), ValueError, "`GaussAdjoint` expects `rtol`"),
        (lambda: ode.GaussAdjoint(rtol=np.inf), ValueError, "`rtol` to be finite, got inf"),
        (lambda: ode.BacksolveAdjoint(atol=True), TypeError, "`BacksolveAdjoint` expects `atol`"),
        (lambda: ode.AutoAdjoint(0), ValueError, "`AutoAdjoint` expects `memory`"),
        (lambda: ode.SteadyStateAdjoint(-1.0), ValueError, "`SteadyStateAdjoint` expects"),
        (lambda: ode.ForwardSensitivity(1), TypeError, "`control_error` to be True or False"),
        (lambda: ode.Method(adjoint="best"), TypeError, "\"auto\", one of `ode`, .* got 'best'"),
    ],
    ids=[
        "coupling",
        "no coupling",
        "rtol",
        "infinite",
        "atol",
        "memory",
        "tolerance",
        "switch",
        "name",
    ],
)
def test_option_out_of_range_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def stiff(t, u, rate):
    return -rate * (u - jnp.cos(t))


@needs_x64
@slow
def test_reversible_gradient_that_lost_its_way_back_is_not_a_number():
    method = ode.Method(adjoint=ode.ReversibleAdjoint(0.5), rtol=1e-9, atol=1e-9)
    problem = ode.Problem(jnp.ones(()), tspan=(0.0, 10.0))
    loss = lambda rate: ode.solve(stiff, problem, rate, method=method).final.u
    value, found = jax.jit(jax.value_and_grad(loss))(jnp.asarray(1.0))
    assert np.isfinite(value) and np.isnan(found)


@needs_x64
@slow
def test_backward_solve_that_fails_has_no_gradient():
    method = ode.Method(adjoint=ode.BacksolveAdjoint(rtol=1e-13, atol=1e-13), max_steps=40)
    problem = ode.Problem(jnp.ones(()), tspan=(0.0, 5.0))
    loss = lambda rate: ode.solve(stiff, problem, rate, method=method).final.u
    value, found = jax.jit(jax.value_and_grad(loss))(jnp.asarray(1.0))
    assert np.isfinite(value) and np.isnan(found)


@needs_x64
@slow
def test_cost_of_adjoints():
    problem = ode.Problem(jnp.ones(2), ts=jnp.linspace(0.0, 3.0, 4))
    rates = jnp.asarray([1.5, 1.0, 3.0, 1.0])
    cost = {
        name: ode.adjoint_cost(
            lotka_volterra, problem, rates, method=ode.Method(adjoint=OURS[name], max_steps=1024)
        )
        for name in ("discrete", "interpolating", "backsolve", "reversible", "forward")
    }
    solution = ode.solve(lotka_volterra, problem, rates, method=ode.Method(max_steps=1024))
    for name in ("discrete", "interpolating", "backsolve", "forward"):
        assert cost[name].solve_evaluations == int(solution.stats.num_field_evaluations)
        assert cost[name].adjoint.value == type(OURS[name]).__name__
    assert cost["forward"].evaluations == cost["forward"].solve_evaluations
    assert cost["reversible"].memory < cost["discrete"].memory < cost["interpolating"].memory
    assert cost["backsolve"].memory < cost["discrete"].memory
