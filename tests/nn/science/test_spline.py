import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import interpolate

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@needs_x64
@pytest.mark.parametrize("train_grid", [False, True])
def test_spline_layer_is_the_natural_cubic_through_its_values(train_grid):
    layer = nn.SplineLayer((3,), 0.0, 1.0, 0.1, "cubic", train_grid=train_grid)
    ps, st = made(layer, jnp.float64)
    grid = ps.grid if train_grid else st.grid
    np.testing.assert_allclose(grid, np.linspace(0, 1, 11), rtol=1e-15)
    x = np.random.default_rng(0).uniform(-0.2, 1.2, (2, 4))
    spline = interpolate.CubicSpline(
        np.asarray(grid), np.asarray(ps.saved_points), bc_type="natural"
    )
    y, _ = jax.jit(layer)(jnp.asarray(x), ps, st)
    np.testing.assert_allclose(y, spline(x), rtol=1e-11, atol=1e-12)


@any_precision
@pytest.mark.parametrize("basis", ["constant", "linear", "quadratic", "cubic"])
@pytest.mark.parametrize("in_dims", [(), (8,), (2, 3)])
def test_spline_layer_has_the_shape_of_the_points_then_in_dims(basis, in_dims, dtype):
    layer = nn.SplineLayer(in_dims, 0.0, 1.0, 0.25, basis)
    ps, st = made(layer, dtype)
    assert ps.saved_points.shape == (5, *in_dims)
    assert jax.eval_shape(layer, jnp.full((4,), 0.3, dtype), ps, st)[0].shape == (4, *in_dims)
    assert jax.eval_shape(layer, jnp.asarray(0.3, dtype), ps, st)[0].shape == in_dims


@pytest.mark.parametrize(
    ("low", "high", "step", "count", "last"),
    [
        (0.0, 0.3, 0.1, 4, 0.3),
        (-1.0, 1.0, 0.3, 7, 0.8),
        (0, 2, 1, 3, 2.0),
        (0.0, 1e3, 0.1, 10001, 1e3),
    ],
)
def test_spline_grid_goes_to_the_last_step_within(low, high, step, count, last, dtype):
    grid = made(nn.SplineLayer((), low, high, step, "linear"), dtype)[1].grid
    assert grid.shape == (count,) and grid.dtype == dtype
    np.testing.assert_allclose(grid[-1], last, rtol=2 * jnp.finfo(dtype).eps)


@needs_x64
@pytest.mark.parametrize("basis", ["linear", "quadratic", "cubic"])
def test_spline_gradients_reach_the_points_the_values_and_a_trained_grid(basis):
    layer = nn.SplineLayer((2,), 0.0, 1.0, 0.25, basis, train_grid=True)
    ps, st = made(layer, jnp.float64)
    x = jnp.asarray([0.1, 0.6, 0.9])
    loss = lambda x, ps: jnp.sum(layer(x, ps, st)[0] ** 2)
    by_x, by_ps = jax.jit(jax.grad(loss, (0, 1)))(x, ps)
    assert all(np.abs(g).max() > 0 for g in (by_x, by_ps.grid, by_ps.saved_points))
    assert np.isfinite(by_ps.grid).all()


def test_spline_values_start_normal_or_as_told():
    layer = nn.SplineLayer((50,), 0.0, 1.0, 0.01, "linear")
    values = made(layer)[0].saved_points
    assert abs(float(values.mean())) < 0.06 and abs(float(values.std()) - 1) < 0.05
    layer = nn.SplineLayer((), 0.0, 1.0, 0.5, "linear", init_saved_points=initializers.ones)
    assert made(layer)[0].saved_points.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((2, 0.0, 1.0, 0.1, "linear"), TypeError, "`in_dims` to be a tuple of integers, .* got 2"),
        (((2,), 0.0, 1.0, 0.1, "akima"), ValueError, "`basis` to be \"constant\", .*'akima'"),
        (((2,), 1.0, 0.0, 0.1, "linear"), ValueError, "`grid_min` <= `grid_max` and a positive"),
        (((2,), 0.0, 1.0, 0.0, "linear"), ValueError, "`grid_min` <= `grid_max` and a positive"),
        (
            ((2,), 0.0, 1.0, 0.6, "quadratic"),
            ValueError,
            "at least 3 knots .*, got 2. Use a smaller",
        ),
    ],
)
def test_spline_bad_arguments_are_errors(arguments, error, text):
    with pytest.raises(error, match=f"`SplineLayer` expects {text}"):
        nn.SplineLayer(*arguments)


def test_spline_parameters_of_another_layer_are_an_error():
    ps, st = made(nn.SplineLayer((2,), 0.0, 1.0, 0.5, "linear"))
    text = r"`saved_points` to be \(knots, \*in_dims\) = \(3, 4\), got shape \(3, 2\)"
    with pytest.raises(ValueError, match=text):
        nn.SplineLayer((4,), 0.0, 1.0, 0.5, "linear")(jnp.ones(1, jnp.float32), ps, st)


def test_what_is_no_array_is_an_error():
    layer = nn.SplineLayer((), 0.0, 1.0, 0.5, "linear")
    with pytest.raises(TypeError, match="`SplineLayer` expects `x` to be an array, got dict. Conv"):
        layer({"x": np.ones(1, np.float32)}, *made(layer))
