"""Values and gradients of the normalisations against torch, float64, the same epsilon."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests import references
from tests.conftest import needs_x64

pytestmark = [pytest.mark.any_precision, needs_x64]

STATELESS = {
    "group_norm": nn.GroupNorm(6, 3),
    "layer_norm": nn.LayerNorm((2, 3)),
    "rms_norm": nn.RMSNorm(3),
}
TRACKED = {
    "batch_norm": nn.BatchNorm(3),
    "batch_norm_images": nn.BatchNorm(2),
    "instance_norm": nn.InstanceNorm(2, affine=True, track_stats=True),
}


def close(found, want):
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def compare(layer, case, ps, st, prefix=""):
    def loss(x, ps):
        y, new = layer(x, ps, st)
        return jnp.sum(case[f"{prefix}seed"] * y), (y, new)

    gradient = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (of_x, of_ps), (y, new) = gradient(jnp.asarray(case["x"]), ps)
    close(y, case[f"{prefix}y"])
    close(of_x, case[f"{prefix}x_gradient"])
    for name in ps:
        close(of_ps[name], case[f"{prefix}{name}_gradient"])
    return new


def parameters(case, *names):
    return lux.Record({name: jnp.asarray(case[name]) for name in names})


@pytest.mark.parametrize("name", STATELESS)
def test_norm_is_that_of_torch(name):
    case = references.load(f"normalization/{name}")
    ps = parameters(case, "scale", *(["bias"] if name != "rms_norm" else []))
    compare(STATELESS[name], case, ps, lux.Record())


@pytest.mark.parametrize("name", TRACKED)
def test_two_steps_of_training_and_test_mode_are_those_of_torch(name):
    case, layer = references.load(f"normalization/{name}"), TRACKED[name]
    ps = parameters(case, "scale", "bias")
    _, st = lux.setup(0, layer, dtype=jnp.float64)
    _, st = layer(jnp.asarray(case["first"]), ps, st)
    st = compare(layer, case, ps, st)
    close(st.running_mean, case["running_mean"])
    close(st.running_var, case["running_var"])
    compare(layer, case, ps, lux.testmode(st), "test_")


@pytest.mark.parametrize(("name", "axis"), [("weight_norm", 0), ("weight_norm_whole", None)])
def test_weight_norm_is_that_of_torch(name, axis):
    case = references.load(f"normalization/{name}")
    layer = nn.WeightNorm(nn.Dense(2, 3, nn.tanh, use_bias=False), "weight", axis=axis)

    def loss(x, v, g):
        ps = lux.Record(normalized=lux.Record(weight_v=v, weight_g=g), unnormalized=lux.Record())
        y, _ = layer(x, ps, lux.Record())
        return jnp.sum(case["seed"] * y), y

    arguments = [jnp.asarray(case[argument]) for argument in ("x", "v", "g")]
    gradients, y = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(*arguments)
    close(y, case["y"])
    for argument, gradient in zip(("x", "v", "g"), gradients, strict=True):
        close(gradient, case[f"{argument}_gradient"])
