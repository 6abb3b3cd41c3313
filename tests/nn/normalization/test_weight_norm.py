import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn

pytestmark = pytest.mark.any_precision
X = jnp.asarray([[1.0, -2.0], [0.5, 3.0]], jnp.float32)
DENSE = nn.Dense(2, 3, nn.tanh)


def made(layer):
    return lux.setup(jax.random.key(0), layer)


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_weight_norm_starts_as_its_layer(axis):
    layer = nn.WeightNorm(DENSE, ("weight", "bias"), axis=(axis, None))
    ps, st = made(layer)
    want, _ = DENSE(X, *made(DENSE))
    np.testing.assert_allclose(layer(X, ps, st)[0], want, rtol=1e-6)
    assert list(ps.normalized) == ["weight_g", "weight_v", "bias_g", "bias_v"]
    assert list(ps.unnormalized) == []
    shape = {None: (1, 1), 0: (3, 1), -1: (1, 2)}[axis]
    assert ps.normalized.weight_g.shape == shape and ps.normalized.bias_g.shape == (1,)


def test_weight_norm_default_is_one_norm_of_the_whole_array():
    ps, _ = made(nn.WeightNorm(DENSE, "weight"))
    norm = np.linalg.norm(np.asarray(made(DENSE)[0].weight))
    np.testing.assert_allclose(ps.normalized.weight_g, [[norm]], rtol=1e-6)


def test_weight_norm_does_not_feel_the_length_of_v():
    layer = nn.WeightNorm(DENSE, ("weight",), axis=0)
    ps, st = made(layer)
    longer = {"weight_v": 7 * ps.normalized.weight_v}
    y, _ = layer(X, ps | {"normalized": ps.normalized | longer}, st)
    np.testing.assert_allclose(y, layer(X, ps, st)[0], rtol=1e-5)
    of_v = jax.grad(lambda ps: jnp.sum(layer(X, ps, st)[0]))(ps).normalized.weight_v
    # The gradient is orthogonal to each row of v.
    np.testing.assert_allclose(jnp.sum(of_v * ps.normalized.weight_v, 1), 0, atol=1e-6)


def test_weight_norm_passes_states_through():
    layer = nn.WeightNorm(nn.BatchNorm(2), "scale")
    ps, st = made(layer)
    _, new = layer(X, ps, st)
    assert list(new) == ["running_mean", "running_var", "training"]
    np.testing.assert_allclose(new.running_mean, 0.1 * np.mean(X, 0), rtol=1e-6)


def test_weight_norm_takes_a_flat_vector_of_parameters():
    layer = nn.WeightNorm(DENSE, "weight", axis=0)
    ps, st = made(layer)
    np.testing.assert_array_equal(layer(X, lux.ComponentArray(ps), st)[0], layer(X, ps, st)[0])


def test_weight_norm_messages_name_the_layer_inside():
    layer = nn.Chain(nn.WeightNorm(DENSE, "weight"))
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1`\) expects the last axis"):
        layer(jnp.ones((2, 5), jnp.float32), *made(layer))


def test_weight_norm_of_zeros_is_an_error_at_setup_unless_traced():
    layer = nn.WeightNorm(nn.Dense(2, 3, init_weight=initializers.zeros), "weight")
    text = "`WeightNorm` expects parameters with a direction, got `weight` with a norm of zero"
    with pytest.raises(ValueError, match=text):
        made(layer)
    assert lux.parameter_length(layer) == 10
    ps, st = jax.jit(lambda key: lux.setup(key, layer))(jax.random.key(0))
    assert jnp.isfinite(layer(X, ps, st)[0]).all()


@pytest.mark.parametrize(
    ("layer", "name"), [(DENSE, "kernel"), (nn.Chain(DENSE), "layer_1"), (nn.NoOpLayer(), "weight")]
)
def test_weight_norm_of_an_unknown_name_is_an_error(layer, name):
    owner = lux.core.layer_name(layer)
    text = f"among the parameters of `{owner}`, which are .*; got `{name}`"
    with pytest.raises(ValueError, match=text):
        made(nn.WeightNorm(layer, name))


def test_weight_norm_of_what_is_not_a_layer_is_an_error():
    with pytest.raises(
        TypeError, match="`WeightNorm` expects `layer` to be a layer such as .* got 3"
    ):
        nn.WeightNorm(3, "weight")


@pytest.mark.parametrize(
    ("names", "axis", "error", "text"),
    [
        (1, None, TypeError, r"`which_params` to be the names .* got \(?1"),
        (("weight", 2), None, TypeError, r"`which_params` to be the names .* got \('weight', 2\)"),
        ((), None, ValueError, r"one or more `which_params`, .* got \(\) and None"),
        (("weight",), (0, 1), ValueError, r"in a tuple `axis` one for each, got .* and \(0, 1\)"),
        (
            "weight",
            "rows",
            TypeError,
            "`axis` to be an axis, None, or a tuple of these, got 'rows'",
        ),
    ],
)
def test_weight_norm_of_wrong_names_or_axes_is_an_error(names, axis, error, text):
    with pytest.raises(error, match=text):
        nn.WeightNorm(DENSE, names, axis=axis)
