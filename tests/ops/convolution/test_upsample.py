import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64
from tests.references import load

any_precision = pytest.mark.any_precision

LINEAR = [(ops.upsample_linear, 1), (ops.upsample_bilinear, 2), (ops.upsample_trilinear, 3)]
ALL = [(ops.upsample_nearest, 2), *LINEAR]


def image(axes, dtype=jnp.float32):
    return jnp.ones((1, *(3,) * axes, 2), dtype)


def listed(y):
    return y[0, :, 0].tolist()


def test_upsample_nearest_repeats_pixels():
    x = jnp.asarray([[1, 2], [3, 4]], jnp.int32).reshape(1, 2, 2, 1)
    y = ops.upsample_nearest(x, (2, 3))
    np.testing.assert_array_equal(y[0, :, :, 0], np.kron([[1, 2], [3, 4]], np.ones((2, 3))))
    assert y.dtype == jnp.int32


def test_upsample_linear_by_hand():
    x = jnp.asarray([0.0, 8.0], jnp.float32).reshape(1, 2, 1)
    # Centres of four cells at -1/4, 1/4, 3/4 and 5/4 of the old ones, moved into the axis.
    assert listed(ops.upsample_linear(x, 2)) == [0.0, 2.0, 6.0, 8.0]
    assert listed(ops.upsample_linear(x, size=5, align_corners=True)) == [0.0, 2.0, 4.0, 6.0, 8.0]


@needs_x64
@pytest.mark.parametrize("case", ["linear", "bilinear", "trilinear"])
@pytest.mark.parametrize("corners", ["corners", "cells"])
@pytest.mark.parametrize("to", ["up", "down"])
def test_linear_upsampling_equals_torch(case, corners, to):
    torch = load(f"resizing/{case}-{corners}-{to}")
    upsample = getattr(ops, f"upsample_{case}")
    size = torch["y"].shape[1:-1]

    def loss(x):
        y = upsample(x, size=size, align_corners=corners == "corners")
        return jnp.sum(torch["weight"] * y), y

    program = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, y), gradient = program(jnp.asarray(torch["x"]))
    np.testing.assert_allclose(y, torch["y"], rtol=0, atol=1e-14)
    np.testing.assert_allclose(gradient, torch["gradient"], rtol=0, atol=1e-14)


@needs_x64
@pytest.mark.parametrize("case", ["nearest-up", "nearest-down"])
def test_nearest_upsampling_equals_torch(case):
    torch = load(f"resizing/{case}")
    y = ops.upsample_nearest(jnp.asarray(torch["x"]), size=torch["y"].shape[1:-1])
    np.testing.assert_array_equal(y, torch["y"])


@needs_x64
@pytest.mark.parametrize(("upsample", "axes"), LINEAR)
@pytest.mark.parametrize("align_corners", [True, False])
def test_linear_upsampling_keeps_constants_and_inner_slopes(upsample, axes, align_corners):
    np.testing.assert_allclose(
        upsample(image(axes, jnp.float64), 7 / 3, align_corners=align_corners), 1.0, rtol=1e-15
    )
    slope = jnp.broadcast_to(
        jnp.arange(3.0).reshape(3, *(1,) * axes), (1, 3, *(3,) * (axes - 1), 1)
    )
    y = upsample(slope, size=9, align_corners=align_corners)
    want = 0.25 if align_corners else 1 / 3
    np.testing.assert_allclose(np.diff(y, axis=1)[:, 2:-2], want, rtol=1e-14)


@any_precision
@pytest.mark.parametrize(("upsample", "axes"), ALL)
def test_scale_and_size_agree(upsample, axes, dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, *(3,) * axes, 2)), dtype)
    np.testing.assert_array_equal(upsample(x, 2), upsample(x, size=6))
    np.testing.assert_array_equal(upsample(x, (2.5,) * axes), upsample(x, size=(7,) * axes))
    np.testing.assert_array_equal(upsample(x, 1), x)


@any_precision
@pytest.mark.parametrize(("upsample", "axes"), ALL)
def test_upsampling_of_an_empty_batch_is_empty(upsample, axes):
    x = jnp.ones((0, *(3,) * axes, 2), jnp.float32)
    assert upsample(x, 2).shape == (0, *(6,) * axes, 2)


@any_precision
@pytest.mark.parametrize(("upsample", "axes"), ALL)
def test_size_one_takes_one_element(upsample, axes):
    assert upsample(image(axes), size=1).shape == (1, *(1,) * axes, 2)


@pytest.mark.parametrize(("upsample", "axes"), ALL)
def test_exactly_one_of_scale_and_size(upsample, axes):
    with pytest.raises(ValueError, match="expects one of `scale` and `size`, got None and None"):
        upsample(image(axes))
    with pytest.raises(ValueError, match="expects one of `scale` and `size`, got 2 and 3"):
        upsample(image(axes), 2, size=3)


@pytest.mark.parametrize(("upsample", "axes"), ALL)
@pytest.mark.parametrize("scale", [0, -1, (1, 2, 3, 4), float("nan"), float("inf"), "2"])
def test_scale_that_does_not_fit_is_an_error(upsample, axes, scale):
    with pytest.raises(ValueError, match=rf"expects `scale` above 0: .* for each of {axes}"):
        upsample(image(axes), scale)


@pytest.mark.parametrize(("upsample", "axes"), ALL)
def test_sizes_are_whole_and_positive(upsample, axes):
    with pytest.raises(ValueError, match=r"whole sizes of at least 1, got \(2\.5,.*`size`"):
        upsample(image(axes), size=2.5)
    with pytest.raises(ValueError, match=r"whole sizes of at least 1, got \(0,.*`scale`"):
        upsample(image(axes), 0.1)


@pytest.mark.parametrize(("upsample", "axes"), LINEAR)
def test_linear_upsampling_of_other_shapes_and_dtypes_is_an_error(upsample, axes):
    with pytest.raises(ValueError, match=rf"with {axes} spatial axes, got shape \(1, 3,"):
        upsample(image(axes + 1), 2)
    with pytest.raises(TypeError, match="floating or complex, got int32"):
        upsample(image(axes, jnp.int32), 2)


def test_upsampling_needs_pixels():
    with pytest.raises(ValueError, match=r"spatial axes of at least 1, got shape \(2, 3\)"):
        ops.upsample_nearest(jnp.ones((2, 3), jnp.float32), 2)
    with pytest.raises(ValueError, match=r"spatial axes of at least 1, got shape \(1, 0, 1\)"):
        ops.upsample_linear(jnp.ones((1, 0, 1), jnp.float32), 2)


@needs_x64
def test_linear_upsampling_has_its_digits_and_a_contaminated_one_has_not():
    x = np.random.default_rng(3).normal(size=(1, 4, 1))
    want = np.interp(np.linspace(0, 3, 8), np.arange(4), x[0, :, 0])

    def error(x):
        y = ops.upsample_linear(x.astype(jnp.float64), size=8, align_corners=True)
        return np.abs(y[0, :, 0] - want).max()

    assert error(jnp.asarray(x)) < 1e-14
    assert error(jnp.asarray(x, jnp.float32)) > 1e-9
