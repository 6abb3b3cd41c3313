import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import interpolate as scipy_interpolate

from sciml_lux import ops
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

GRID = np.asarray([-1.0, -0.4, 0.1, 1.2, 1.5, 2.0])
VALUES = np.random.default_rng(0).normal(size=(6, 3))
# Knots, points between them, and points beyond both ends.
POINTS = np.concatenate([GRID, np.linspace(-1.6, 2.7, 23)])
BASES = ("constant", "linear", "quadratic", "cubic")


def ours(basis, x=POINTS, grid=GRID, values=VALUES):
    return ops.interpolate(jnp.asarray(x), jnp.asarray(grid), jnp.asarray(values), basis)


def parabola(x):
    """Through the last knot not right of x and the two after it."""
    i = min(max(np.searchsorted(GRID, x, side="right") - 1, 0), 3)
    return scipy_interpolate.BarycentricInterpolator(GRID[i : i + 3], VALUES[i : i + 3])(x)


@needs_x64
def test_constant_is_the_value_at_the_left():
    index = np.clip(np.searchsorted(GRID, POINTS, side="right") - 1, 0, 5)
    np.testing.assert_array_equal(ours("constant"), VALUES[index])


@needs_x64
def test_linear_equals_scipy():
    spline = scipy_interpolate.make_interp_spline(GRID, VALUES, k=1)
    np.testing.assert_allclose(ours("linear"), spline(POINTS), rtol=1e-12, atol=1e-13)


@needs_x64
def test_quadratic_equals_the_parabola_through_three_knots():
    want = np.stack([parabola(x) for x in POINTS])
    np.testing.assert_allclose(ours("quadratic"), want, rtol=1e-12, atol=1e-13)


@needs_x64
@pytest.mark.parametrize("knots", [2, 3, 6])
def test_cubic_equals_scipy_with_its_derivatives(knots):
    grid, values = GRID[:knots], VALUES[:knots]
    spline = scipy_interpolate.CubicSpline(grid, values, bc_type="natural")
    np.testing.assert_allclose(
        ours("cubic", POINTS, grid, values), spline(POINTS), rtol=1e-12, atol=1e-12
    )
    at = jax.jit(jax.vmap(jax.jacfwd(lambda x: ours("cubic", x, grid, values))))
    np.testing.assert_allclose(at(jnp.asarray(POINTS)), spline(POINTS, 1), rtol=1e-11, atol=1e-11)


@needs_x64
def test_cubic_bends_nowhere_at_its_ends():
    bend = jax.jit(jax.jacrev(jax.jacfwd(lambda x: ours("cubic", x))))
    np.testing.assert_allclose(bend(jnp.asarray(GRID[0])), 0, atol=1e-12)
    np.testing.assert_allclose(bend(jnp.asarray(GRID[-1])), 0, atol=1e-12)


@needs_x64
@pytest.mark.parametrize(("basis", "degree"), [("constant", 0), ("linear", 1), ("quadratic", 2)])
def test_polynomials_up_to_the_degree_are_reproduced(basis, degree):
    y = ours(basis, values=(GRID + 0.3) ** degree)
    np.testing.assert_allclose(y, (POINTS + 0.3) ** degree, rtol=1e-13, atol=1e-14)


@any_precision
@pytest.mark.parametrize("basis", BASES)
def test_values_at_the_knots_are_met_and_nan_stays(basis, dtype):
    grid, values = jnp.asarray(GRID, dtype), jnp.asarray(VALUES, dtype)
    np.testing.assert_allclose(
        ops.interpolate(grid, grid, values, basis), values, atol=64 * jnp.finfo(dtype).eps
    )
    nan = jnp.asarray([jnp.nan, 0.0], dtype)
    assert jnp.isnan(ops.interpolate(nan, grid, values, basis)[:, 0]).tolist() == [True, False]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_cubic_in_halves_is_near_the_one_in_full(dtype):
    y = ours("cubic", *(a.astype(dtype) for a in (POINTS[:6], GRID, VALUES)))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.astype(jnp.float32), VALUES, atol=0.03)


@needs_x64
def test_interpolate_is_as_wide_as_the_widest():
    assert ours("linear", grid=GRID.astype(np.float32)).dtype == jnp.float64


@any_precision
@pytest.mark.parametrize("basis", BASES)
def test_shape_is_that_of_the_points_then_of_a_value(basis, dtype):
    grid = jnp.asarray(GRID, dtype)
    x = jnp.zeros((2, 4), dtype)
    assert ops.interpolate(x, grid, grid, basis).shape == (2, 4)
    values = jnp.zeros((6, 3, 5), dtype)
    assert ops.interpolate(x, grid, values, basis).shape == (2, 4, 3, 5)
    assert ops.interpolate(x[0, 0], grid, values, basis).shape == (3, 5)


def test_another_basis_is_an_error():
    text = '`basis` to be "constant", "linear", "quadratic" or "cubic", got .quintic.'
    with pytest.raises(ValueError, match=text):
        ours("quintic", *(a.astype(np.float32) for a in (POINTS, GRID, VALUES)))


@pytest.mark.parametrize(
    ("basis", "grid", "values"),
    [("linear", (1,), (1,)), ("quadratic", (2,), (2,)), ("cubic", (3,), (4,)), ("cubic", (), ())],
)
def test_too_few_knots_or_other_shapes_are_an_error(basis, grid, values):
    x = jnp.zeros(2, jnp.float32)
    with pytest.raises(
        ValueError, match=r"`grid` \(knots,\) and `values` \(knots, \.\.\.\) with at"
    ):
        ops.interpolate(x, jnp.zeros(grid, jnp.float32), jnp.zeros(values, jnp.float32), basis)
