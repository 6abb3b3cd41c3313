"""Derivatives whose steps have their stages one by one, against those with them in a loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus
from sciml_lux.ops.solve.steps import _written_out
from sciml_lux.ops.solve.steps._written_out import is_written_out
from tests.conftest import X64, needs_x64

any_precision = pytest.mark.any_precision
FINE = lean.with_fine_interpolant(tableaus.TSIT5)
# The initial state and a parameter, one more, t0, t1 and two times inside.
POINT = np.array([0.7, -0.4, 0.8, 2.3, 0.1, 1.9, 0.5, 1.2])


def field(t, u, p):
    x, z, rate = u["x"], u["z"], jnp.tanh(p[1])
    return {"x": p[0] * z.real - jnp.sin(t) * x, "z": jax.lax.complex(-rate * z.imag, x * z.real)}


def loss(x, capacity=32):
    y0 = {"x": x[0], "z": jax.lax.complex(x[1], x[2])}
    found = lean.solve(
        field, x[4], x[5], y0, (x[3], x[2]), ts=x[6:], tableau=FINE, rtol=1e-5, atol=1e-5,
        dt0=0.3, max_steps=32, capacity=capacity,
    )  # fmt: skip
    return sum(jnp.sum(jnp.cos(v.real) + v.imag**2) for v in [*found.ys.values(), found.y1["x"]])


def in_both_ways(monkeypatch, function, *args):
    """The results with the stages written out, and with a loop over them."""
    results, programs = [], []
    monkeypatch.setattr(_written_out, "LEAST_BYTES", 0)
    for most in (10**6, 0):
        monkeypatch.setattr(_written_out, "MOST_EQUATIONS", most)
        lowered = jax.jit(lambda *args: function(*args)).lower(*args)  # noqa: PLW0108
        programs.append(lowered.as_text())
        results.append(lowered.compile()(*args))
    assert programs[0].count("while") < programs[1].count("while")
    return results


@needs_x64
@pytest.mark.parametrize("capacity", [32, pytest.param(4, marks=pytest.mark.slow)])
def test_derivatives_are_those_of_the_loop(monkeypatch, capacity):
    x, v = jnp.asarray(POINT), jnp.cos(jnp.arange(8.0))
    at = functools.partial(loss, capacity=capacity)

    def derivatives(x):
        (_, gradient), (forward, product) = jax.jvp(jax.value_and_grad(at), (x,), (v,))
        return gradient, forward, product

    (gradient, forward, product), others = in_both_ways(monkeypatch, derivatives, x)
    np.testing.assert_allclose(forward, gradient @ v, rtol=1e-12)
    for found, want in zip((gradient, forward, product), others, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@needs_x64
def test_reverse_over_reverse_is_forward_over_reverse(monkeypatch):
    x, v = jnp.asarray(POINT), jnp.cos(jnp.arange(8.0))
    twice = jax.grad(lambda x: jax.grad(loss)(x) @ v)
    found, other = in_both_ways(monkeypatch, twice, x)
    want = jax.jit(lambda x: jax.jvp(jax.grad(loss), (x,), (v,))[1])(x)
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(other, want, rtol=1e-10, atol=1e-11)


@any_precision
def test_batch_has_the_gradients_of_each_by_itself(monkeypatch):
    batch = jnp.asarray(POINT * np.array([[1.0], [0.6], [1.3]]))
    found, other = in_both_ways(monkeypatch, jax.vmap(jax.grad(loss)), batch)
    alone = jax.jit(jax.grad(loss))
    want = np.stack([alone(x) for x in batch])
    close = {"rtol": 1e-11, "atol": 1e-11} if X64 else {"rtol": 1e-3, "atol": 1e-3}
    np.testing.assert_allclose(found, want, **close)
    np.testing.assert_allclose(other, want, **close)


@any_precision
def test_half_precision_is_added_up_in_float32(monkeypatch):
    steps, half = 512, jnp.bfloat16

    def end(scale):
        zero = jnp.zeros(())
        found = lean.solve(
            lambda t, u, scale: scale * half(0.5), zero, zero + 1, half(0), scale,
            tableau=tableaus.TSIT5, control=lean.Fixed(), dt0=1 / steps, max_steps=steps,
        )  # fmt: skip
        return found.y1

    for found in in_both_ways(monkeypatch, jax.grad(end), half(1)):
        assert found.dtype == half and float(found) == 0.5


@any_precision
def test_stages_of_states_inside_matter_where_one_is_wanted(monkeypatch):
    monkeypatch.setattr(_written_out, "LEAST_BYTES", 0)
    # The field is not defined where the second step has a stage of the states inside.
    node = float(FINE.float64.extra_c[0])
    assert not np.isclose(FINE.float64.c, node, atol=0.01).any()

    def end(scale):
        bad = lambda t: jnp.abs(t - (0.25 + 0.25 * node)) < 1e-4
        zero = jnp.zeros(())
        found = lean.solve(
            lambda t, u, scale: -u * scale * jnp.where(bad(t), jnp.nan, 1.0),
            zero, zero + 1, zero + 1, scale, ts=jnp.asarray([0.9]), tableau=FINE,
            control=lean.Fixed(), dt0=0.25, max_steps=8,
        )  # fmt: skip
        return found.y1 + found.ys[0]

    np.testing.assert_allclose(jax.grad(end)(1.0), -np.exp(-1) - 0.9 * np.exp(-0.9), rtol=1e-4)


@any_precision
@pytest.mark.parametrize(
    "field, tableau, expected",
    [
        (lambda u: jnp.sin(jnp.cos(u)), tableaus.TSIT5, True),
        (jax.jit(jax.jit(jnp.sin)), tableaus.TSIT5, True),
        (lambda u: functools.reduce(lambda u, _: jnp.sin(u), range(18), u), tableaus.TSIT5, True),
        (lambda u: functools.reduce(lambda u, _: jnp.sin(u), range(19), u), tableaus.TSIT5, False),
        (lambda u: functools.reduce(lambda u, _: jnp.sin(u), range(18), u), tableaus.VERN9, False),
        (lambda u: jax.lax.fori_loop(0, 3, lambda _, u: jnp.sin(u), u), tableaus.TSIT5, False),
        (lambda u: jax.lax.cond(u[0] > 0, jnp.sin, jnp.cos, u), tableaus.TSIT5, False),
    ],
    ids=["short", "nested", "most", "more", "many-stages", "loop", "branches"],
)
def test_short_programs_without_loops_are_written_out(monkeypatch, field, tableau, expected):
    monkeypatch.setattr(_written_out, "LEAST_BYTES", 0)
    assert is_written_out(jax.make_jaxpr(field)(jnp.ones(2, jnp.float32)), tableau) is expected


@any_precision
@pytest.mark.parametrize(
    "size, expected",
    [
        (2**15 // 28, False),
        (2**15 // 28 + 1, True),
        (2**19 // 28, True),
        (2**19 // 28 + 1, False),
    ],
)
def test_small_and_large_results_are_not(size, expected):
    program = jax.make_jaxpr(jnp.sin)(jnp.ones(size, jnp.float32))
    assert is_written_out(program, tableaus.TSIT5) is expected
