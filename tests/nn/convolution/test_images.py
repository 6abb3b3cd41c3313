"""What the generic tests do with rows, for layers whose input must have its batch axis."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.catalogue import _convolution, example_input

any_precision = pytest.mark.any_precision

ENTRIES = [pytest.param(entry, id=entry.name) for entry in _convolution.LAYERS]
# To these an image without a batch axis is a batch of lines.
ANY_AXES = (nn.GlobalMaxPool, nn.GlobalMeanPool, nn.GlobalLPPool, nn.PixelShuffle)
FIXED_AXES = [
    entry
    for entry in ENTRIES
    if not isinstance(entry.values[0].layer, ANY_AXES) and "scale" not in entry.id
]


def made(entry, dtype):
    ps, st = lux.setup(jax.random.key(0), entry.layer, dtype=dtype)
    return ps, st, lambda x: entry.layer(x, ps, st)[0]


@any_precision
@pytest.mark.parametrize("entry", ENTRIES)
def test_image_layer_does_not_mix_images_and_vmap_equals_loop(entry, dtype):
    _, _, f = made(entry, dtype)
    x, f = np.asarray(example_input((3, 2, *entry.x[1:]), dtype)), jax.jit(f)
    y = np.asarray(jax.jit(jax.vmap(f))(x))
    tolerance = 32 * float(jnp.finfo(dtype).eps)
    for stack, image in ((0, 0), (2, 1)):
        one = f(x[stack, image : image + 1])
        np.testing.assert_allclose(y[stack, image][None], one, rtol=tolerance, atol=tolerance)


@any_precision
@pytest.mark.parametrize("entry", ENTRIES)
def test_image_layer_takes_an_empty_batch_and_its_gradient_is_zero(entry, dtype):
    ps, st, f = made(entry, dtype)
    x = jnp.zeros((0, *entry.x[1:]), dtype)
    assert f(x).shape == (0, *entry.y[1:])
    grads = jax.jit(jax.grad(lambda x, ps: jnp.sum(entry.layer(x, ps, st)[0]), (0, 1)))(x, ps)
    assert lux.core.internal.first_difference((x, ps), grads) is None
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads))


@any_precision
@pytest.mark.parametrize("entry", FIXED_AXES)
def test_image_layer_without_batch_axis_is_an_error(entry):
    ps, st, _ = made(entry, jnp.float32)
    text = r"expects `x` \(batch, \*spatial, (channels|in_dims)\).*got shape"
    with pytest.raises(ValueError, match=text):
        entry.layer(jnp.zeros(entry.x[1:], jnp.float32), ps, st)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("x", [None, "x", {"a": 1j}])
def test_image_layer_of_something_else_than_an_array_is_an_error(entry, x):
    ps, st, _ = made(entry, jnp.float32)
    with pytest.raises(TypeError, match="expects `x` to be an array, got (NoneType|str|dict)"):
        entry.layer(x, ps, st)
