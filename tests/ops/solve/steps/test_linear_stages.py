"""Steps of Rosenbrock methods: the order of a solve, its derivative, and the linear systems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve.steps._linear_system import SMALL, product, solver_of
from sciml_lux.ops.solve.steps._vector import Vector
from sciml_lux.ops.solve.tableaus import RODAS5P, TSIT5
from tests.conftest import needs_x64

slow = pytest.mark.slow
END = 2.0


def field(t, y, rate):
    """Not linear, and not autonomous."""
    return jnp.stack([-2 * rate * t * y[0] ** 2, y[0] * jnp.cos(t) * y[1]])


def fixed(rate, steps, ts=None):
    return lean.solve(
        field, jnp.zeros(()), jnp.asarray(END), jnp.ones(2), rate, ts=ts, tableau=RODAS5P,
        dt0=END / steps, control=lean.Fixed(),
    )  # fmt: skip


@needs_x64
def test_solution_has_its_order_at_the_end_and_inside_steps():
    ts = np.linspace(0.0, END, 39)
    numpy_field = lambda t, y: [-2 * t * y[0] ** 2, y[0] * np.cos(t) * y[1]]
    want = solve_ivp(
        numpy_field, (0, END), [1, 1], method="DOP853", rtol=1e-13, atol=1e-14, t_eval=ts
    ).y.T
    solve = jax.jit(lambda steps: fixed(jnp.ones(()), steps, jnp.asarray(ts)))
    found = [solve(steps) for steps in (32.0, 64.0)]
    ends = [np.abs(f.y1 - want[-1]).max() for f in found]
    inside = [np.abs(f.ys - want).max() for f in found]
    assert 4.7 < np.log2(ends[0] / ends[1]) < 5.6
    assert 3.9 < np.log2(inside[0] / inside[1]) < 5.6
    assert found[0].num_evaluations == 32 * 8 + 1


@needs_x64
def test_gradient_of_fixed_steps_is_that_of_central_differences():
    end = jax.jit(lambda rate: fixed(rate, 12).y1[1])
    h = 1e-5
    want = (end(1.0 + h) - end(1.0 - h)) / (2 * h)
    np.testing.assert_allclose(jax.grad(end)(1.0), want, rtol=1e-7)
    np.testing.assert_allclose(jax.jvp(end, (1.0,), (1.0,))[1], want, rtol=1e-7)


@needs_x64
@slow
def test_gradient_is_the_same_from_a_record_that_is_thinned():
    def end(rate, capacity):
        found = lean.solve(
            field, jnp.zeros(()), jnp.asarray(END), jnp.ones(2), rate, tableau=RODAS5P,
            ts=jnp.asarray([0.3, 1.1]), rtol=1e-6, atol=1e-6, max_steps=256, capacity=capacity,
        )  # fmt: skip
        return jnp.sum(found.ys)

    found, want = (jax.grad(lambda r, c=c: end(r, c))(1.0) for c in (16, 256))
    np.testing.assert_allclose(found, want, rtol=1e-12)


@needs_x64
def test_leaves_of_several_dtypes_are_solved_together():
    y0 = {"a": jnp.ones(2, jnp.float32), "b": jnp.asarray(1.0 + 0.5j)}

    def of_both(t, y, args):
        a, b = y["a"], y["b"]
        return {
            "a": -a * jnp.abs(b).astype(a.dtype),
            "b": 1j * b - jnp.conj(b) * a[0].astype(b.dtype),
        }

    ends = [
        lean.solve(of_both, jnp.zeros(()), jnp.ones(()), y0, tableau=tableau, rtol=1e-7, atol=1e-7)
        for tableau in (RODAS5P, TSIT5)
    ]
    jax.tree.map(lambda u, v: np.testing.assert_allclose(u, v, rtol=1e-5), *(e.y1 for e in ends))
    assert [u.dtype for u in ends[0].y1.values()] == [u.dtype for u in y0.values()]


def test_mass_matrix_of_another_method_is_refused(dtype):
    with pytest.raises(ValueError, match="a Rosenbrock method for a mass matrix, got Tsit5"):
        lean.solve(
            lambda t, y, args: y, jnp.zeros((), dtype), jnp.ones((), dtype), jnp.ones(1, dtype),
            tableau=TSIT5, mass=jnp.eye(1, dtype=dtype),
        )  # fmt: skip


def test_estimates_with_a_mass_matrix_are_refused(dtype):
    with pytest.raises(ValueError, match="no estimates with a mass matrix"):
        lean.solve(
            lambda t, y, args: y, jnp.zeros((), dtype), jnp.ones((), dtype), jnp.ones(1, dtype),
            tableau=RODAS5P, mass=jnp.eye(1, dtype=dtype), estimates=True,
        )  # fmt: skip


SIZES = pytest.mark.parametrize("size", [1, 4, SMALL, SMALL + 3])


@SIZES
def test_systems_are_solved_with_their_derivatives(size, dtype):
    generator = np.random.default_rng(size)
    matrix = jnp.asarray(generator.normal(size=(size, size)), dtype)
    matrix = matrix.at[0, 0].set(0) if size > 1 else matrix  # So that it needs a pivot.
    right = jnp.asarray(generator.normal(size=size), dtype)

    def solved(matrix, right):
        return solver_of(matrix, lambda x: product(matrix, x))(right)

    def loss(solve):
        return lambda *given: jnp.sum(jnp.sin(solve(*given)))

    tolerance = 1e3 * float(jnp.finfo(dtype).eps) * float(jnp.linalg.cond(matrix))
    near = lambda u, v: np.testing.assert_allclose(u, v, rtol=tolerance, atol=tolerance)
    near(solved(matrix, right), jnp.linalg.solve(matrix, right))
    found = jax.grad(loss(solved), (0, 1))(matrix, right)
    want = jax.grad(loss(jnp.linalg.solve), (0, 1))(matrix, right)
    jax.tree.map(near, found, want)


@needs_x64
@SIZES
def test_what_the_matrix_has_rounded_away_is_in_the_solution(size):
    """(1 + 1e14 e eᵀ-like) matrices lose the 1; their product with a vector does not."""
    large = 1e14 * (jnp.eye(size) - jnp.full((size, size), 1 / size))

    def multiplied(x):
        return x + 1e14 * (x - jnp.mean(x))

    found = solver_of(jnp.eye(size) + large, multiplied)(jnp.ones(size))
    np.testing.assert_allclose(found, jnp.ones(size), rtol=1e-2)


def test_vector_has_real_and_imaginary_parts_and_gives_the_leaves_back(dtype):
    turned = jax.lax.complex(jnp.asarray(2.0, dtype), jnp.asarray(3.0, dtype))
    leaves = [jnp.ones((2, 1), dtype), turned, jnp.zeros((0, 3), dtype)]
    vector = Vector(leaves)
    joined = vector.joined(leaves)
    np.testing.assert_array_equal(joined, [1, 1, 2, 3])
    assert vector.size == 4
    for found, leaf in zip(vector.leaves(joined), leaves, strict=True):
        assert found.dtype == leaf.dtype
        np.testing.assert_array_equal(found, leaf)
