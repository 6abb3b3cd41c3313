import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@any_precision
def test_mlp_is_dense_layers_with_the_activation_in_all_but_the_last(dtype):
    model = nn.MLP(2, (4, 3), nn.tanh)
    ps, st = made(model, dtype)
    x = jnp.asarray([[0.5, -1.0]], dtype)
    hidden = np.tanh(x @ ps.block1.weight.T + ps.block1.bias[None])
    want = hidden @ ps.block2.weight.T + ps.block2.bias[None]
    assert list(ps) == ["block1", "block2"]
    np.testing.assert_allclose(model(x, ps, st)[0], want, rtol=1e-5)


def test_mlp_activation_is_relu_unless_another_is_given():
    assert nn.MLP(2, (4, 1)).chain["block1"] == nn.Dense(2, 4, nn.relu)


def test_mlp_last_layer_has_the_activation_on_request():
    assert nn.MLP(2, (4, 1), last_layer_activation=True).chain[1] == nn.Dense(4, 1, nn.relu)


def test_mlp_norm_comes_before_the_activation_in_every_block():
    model = nn.MLP(2, (4, 3), nn.tanh, norm_layer=nn.LayerNorm)
    first, last = model.chain
    assert first == nn.Chain(dense=nn.Dense(2, 4), norm=nn.LayerNorm(4), activation=nn.tanh)
    assert last == nn.Chain(dense=nn.Dense(4, 3), norm=nn.LayerNorm(3))


@any_precision
def test_mlp_dropout_comes_last_in_every_block_and_is_off_in_test_mode():
    model = nn.MLP(2, (4, 4), nn.tanh, dropout_rate=0.5)
    assert model.chain[0] == nn.Chain(dense=nn.Dense(2, 4, nn.tanh), dropout=nn.Dropout(0.5))
    ps, st = made(model)
    x = jnp.ones((64, 2), jnp.float32)
    y, new = model(x, ps, st)
    assert 0.2 < (y == 0).mean() < 0.8
    assert (model(x, ps, new)[0] != y).any()
    y, _ = model(x, ps, lux.testmode(st))
    plain = nn.MLP(2, (4, 4), nn.tanh)
    dense = lux.Record(block1=ps.block1.dense, block2=ps.block2.dense)
    np.testing.assert_array_equal(y, plain(x, dense, made(plain)[1])[0])


@any_precision
def test_mlp_keeps_the_running_statistics_of_its_norms():
    model = nn.MLP(2, (3, 1), nn.tanh, norm_layer=nn.BatchNorm)
    ps, st = made(model)
    _, new = model(jnp.ones((4, 2), jnp.float32), ps, st)
    assert lux.core.internal.first_difference(st, new) is None
    assert (new.block1.norm.running_mean != st.block1.norm.running_mean).any()


def test_mlp_residual_connections_are_around_blocks_that_keep_their_size(dtype):
    zero = {"init_weight": initializers.zeros, "init_bias": initializers.zeros}
    model = nn.MLP(2, (2, 3, 3), residual_connection=True, **zero)
    ps, st = made(model, dtype)
    kinds = [type(block).__name__ for block in model.chain]
    assert kinds == ["SkipConnection", "Dense", "SkipConnection"]
    assert list(ps.block1) == ["weight", "bias"]
    x = jnp.asarray([1.0, 2.0], dtype)
    np.testing.assert_array_equal(model(x, ps, st)[0], np.zeros(3))
    np.testing.assert_array_equal(model.chain[:1](x, ps, st)[0], x)


def test_mlp_hands_the_options_to_every_dense():
    model = nn.MLP(2, [3, 1], use_bias=False, init_weight=initializers.ones, precision="high")
    ps, _ = made(model)
    assert list(ps.block1) == list(ps.block2) == ["weight"]
    assert (ps.block2.weight == 1).all()
    assert {block.precision for block in model.chain} == {"high"}
    text = "MLP(2, (3, 1), use_bias=False, init_weight=ones, precision='high')"
    assert repr(model) == text


def test_mlp_wrong_feature_size_is_an_error():
    model = nn.MLP(2, (3,))
    with pytest.raises(ValueError, match=r"`MLP` expects the last axis of `x` to be 2 .*\(5, 4\)"):
        model(jnp.ones((5, 4), jnp.float32), *made(model))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((2, ()), {}, ValueError, r"`hidden_dims` to be at least one size, got \(\)"),
        ((2, (3, 0)), {}, ValueError, r"`hidden_dims` to be sizes of at least 1, got \(3, 0\)"),
        ((2, (3.0,)), {}, TypeError, r"`hidden_dims` to be integers, got \(3.0,\)"),
        (("2", (3,)), {}, TypeError, "`in_dims` to be an integer.*, got '2'"),
        ((True, (3,)), {}, TypeError, "`in_dims` to be an integer.*, got True"),
        ((2, (3,), "tanh"), {}, TypeError, "`activation` to be a function .*, got 'tanh'"),
        ((2, (3,)), {"norm_layer": 3}, TypeError, "`norm_layer` to be a function .*, got 3"),
        (
            (2, (3,)),
            {"dropout_rate": 1.5},
            ValueError,
            r"`dropout_rate` to be a number in \[0, 1\], got",
        ),
    ],
)
def test_mlp_bad_arguments_are_errors(arguments, options, error, text):
    with pytest.raises(error, match=f"`MLP` expects {text}"):
        nn.MLP(*arguments, **options)
