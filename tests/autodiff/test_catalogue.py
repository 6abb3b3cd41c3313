"""Every layer of the catalogue on points: the forward Laplacian is the trace of the Hessian."""

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


def test_watched_layer_keeps_samples_apart():
    layer = nn.debug_mode(nn.Dense(3, 2, nn.tanh))
    f = StatefulLuxLayer(layer, *setup(0, layer))
    assert autodiff.jacobian(f, jnp.ones((4, 3), jnp.float32)).shape == (4, 2, 3)
