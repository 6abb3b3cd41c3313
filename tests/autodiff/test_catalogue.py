"""Every layer of the catalogue on points: operators against differences and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StatefulLuxLayer, autodiff, nn, setup, testmode
from tests.catalogue import LAYERS
from tests.conftest import needs_x64

ON_POINTS = [
    entry
    for entry in LAYERS
    if isinstance(entry.x, tuple) and len(entry.x) == 2 and all(isinstance(n, int) for n in entry.x)
]


def is_function_at_points(f, x):
    try:
        y = jax.eval_shape(f, x)
    except ValueError:  # Its state changes in test mode too.
        return False
    return isinstance(y, jax.ShapeDtypeStruct) and y.shape[:1] == x.shape[:1]


@needs_x64
@pytest.mark.slow
@pytest.mark.parametrize("entry", ON_POINTS, ids=lambda entry: entry.name)
def test_laplacian_of_each_layer_is_the_trace_of_its_hessian(entry, dtype):
    ps, st = setup(0, entry.layer, dtype=dtype)
    f = StatefulLuxLayer(entry.layer, ps, testmode(st))
    x = jax.random.normal(jax.random.key(3), entry.x, dtype)
    if not is_function_at_points(f, x):
        pytest.skip("has another form than a function at points")

    @jax.jit
    def both(x):
        hessian = autodiff.hessian(f, x)
        return autodiff.laplacian(f, x), jnp.trace(hessian, axis1=-2, axis2=-1)

    found, expected = both(x)
    scale = 1.0 + float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10 * scale)


def differences(compute, x, name, v, step=1e-3):
    """The derivative of one result along a direction, by differences of fourth order."""
    moved = lambda by: np.asarray(compute(x + by * v)[name])
    near, far = moved(step) - moved(-step), moved(2 * step) - moved(-2 * step)
    return (8 * near - far) / (12 * step)


@needs_x64
@pytest.mark.slow
@pytest.mark.parametrize("entry", ON_POINTS, ids=lambda entry: entry.name)
def test_operators_on_each_layer_are_differences_of_lower_ones(entry, dtype):
    ps, st = setup(0, entry.layer, dtype=dtype)
    f = StatefulLuxLayer(entry.layer, ps, testmode(st))
    x = np.random.default_rng(4).normal(size=entry.x)
    if not is_function_at_points(f, x):
        pytest.skip("has another form than a function at points")
    v = np.random.default_rng(5).normal(size=x.shape[1:])

    @jax.jit
    def compute(x):
        along = lambda order: autodiff.directional_derivative(f, x, v, order=order)
        return {
            "value": f(x),
            "first": along(1),
            "second": along(2),
            "third": along(3),
            "fourth": along(4),
            "product": autodiff.jacobian_vector_product(f, x, np.broadcast_to(v, x.shape)),
            "jacobian": autodiff.jacobian(f, x),
            "hessian": autodiff.hessian(f, x),
        }

    found = jax.tree.map(np.asarray, compute(x))
    scale = 1.0 + max(float(np.abs(leaf).max(initial=0.0)) for leaf in found.values())
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-8 * scale)
    for lower, higher in [("value", "first"), ("first", "second"), ("second", "third"),
                          ("third", "fourth")]:  # fmt: skip
        close(found[higher], differences(compute, x, lower, v))
    close(found["product"], found["first"])
    close(found["jacobian"] @ v, found["first"])
    close(found["hessian"] @ v, differences(compute, x, "jacobian", v))


def test_watched_layer_keeps_samples_apart():
    layer = nn.debug_mode(nn.Dense(3, 2, nn.tanh))
    f = StatefulLuxLayer(layer, *setup(0, layer))
    assert autodiff.jacobian(f, jnp.ones((4, 3), jnp.float32)).shape == (4, 2, 3)
