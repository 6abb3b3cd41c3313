"""Ties in which one matrix is the transpose of another."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training

X = jnp.asarray([[1.0, -2.0, 0.5], [0.5, 3.0, 1.0]], jnp.float32)
MODEL = nn.Chain(nn.Dense(3, 2, nn.tanh), nn.Dense(2, 3))
GROUPS = [("layer_1.weight", "layer_2.weight.T")]


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_decoder_has_the_transposed_weight_of_the_encoder():
    tied = nn.tie(MODEL, GROUPS)
    ps, st = made(tied)
    assert list(ps.layer_1) == ["weight", "bias"] and list(ps.layer_2) == ["bias"]
    whole = tied.expand(ps)
    np.testing.assert_array_equal(whole.layer_2.weight, np.asarray(ps.layer_1.weight).T)
    np.testing.assert_array_equal(tied(X, ps, st)[0], MODEL(X, whole, st)[0])
    w, x = np.asarray(ps.layer_1.weight), np.asarray(X)
    expected = np.tanh(x @ w.T + np.asarray(ps.layer_1.bias)) @ w + np.asarray(ps.layer_2.bias)
    np.testing.assert_allclose(tied(X, ps, st)[0], expected, rtol=1e-5)
    assert jax.tree.structure(tied.contract(whole)) == jax.tree.structure(ps)


def test_gradient_is_the_sum_of_both_places(dtype):
    tied = nn.tie(MODEL, GROUPS)
    ps, st = made(tied, dtype)
    x = X.astype(dtype)
    found = jax.grad(lambda ps: jnp.sum(tied(x, ps, st)[0] ** 2))(ps).layer_1.weight
    parts = jax.grad(lambda ps: jnp.sum(MODEL(x, ps, st)[0] ** 2))(tied.expand(ps))
    expected = parts.layer_1.weight + parts.layer_2.weight.T
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(parts.layer_2.weight).max() > 1e-3


def test_either_place_may_be_written_as_the_transpose():
    left = nn.tie(MODEL, [("layer_1.weight.T", "layer_2.weight")])
    right = nn.tie(MODEL, GROUPS)
    ps, st = made(right)
    np.testing.assert_array_equal(left(X, ps, st)[0], right(X, ps, st)[0])
    first = nn.tie(MODEL, [("layer_2.weight.T", "layer_1.weight")])
    kept, st = made(first)
    assert list(kept.layer_2) == ["weight", "bias"] and list(kept.layer_1) == ["bias"]
    np.testing.assert_array_equal(first.expand(kept).layer_1.weight, kept.layer_2.weight.T)


def test_three_places_of_which_one_is_transposed():
    model = nn.Chain(nn.Dense(2, 3), nn.Dense(3, 2), nn.Dense(2, 3))
    tied = nn.tie(model, [("layer_1.weight", "layer_2.weight.T", "layer_3.weight")])
    ps, _ = made(tied)
    whole = tied.expand(ps)
    np.testing.assert_array_equal(whole.layer_3.weight, ps.layer_1.weight)
    np.testing.assert_array_equal(whole.layer_2.weight, ps.layer_1.weight.T)


def test_autoencoder_with_a_tied_transpose_trains(dtype):
    tied = nn.tie(MODEL, GROUPS)
    tstate = training.TrainState(tied, *made(tied, dtype), optax.adam(1e-2))
    x = X.astype(dtype)
    result = training.fit(tstate, losses.MSELoss(), (x, x), steps=60, progress=False)
    assert result.losses[-1] < 0.6 * result.losses[0]


def test_embedding_and_output_are_tied_as_they_are():
    model = nn.Chain(nn.Embedding(5, 2), nn.Dense(2, 5, use_bias=False))
    tied = nn.tie(model, [("layer_1.weight", "layer_2.weight")])
    ps, st = made(tied)
    w = np.asarray(ps.layer_1.weight)
    y = tied(jnp.asarray([3, 0], jnp.int32), ps, st)[0]
    np.testing.assert_allclose(y, w[[3, 0]] @ w.T, rtol=1e-6)


def test_parameter_that_is_called_t_is_no_transpose():
    class Heated(lux.Layer):
        def initial_parameters(self, key, dtype):
            return lux.Record(T=jax.random.normal(key, (2, 2), dtype))

        def __call__(self, x, ps, st):
            return x @ ps.T, st

    tied = nn.tie(nn.Chain(Heated(), Heated()), [("layer_1.T", "layer_2.T")])
    ps, _ = made(tied)
    np.testing.assert_array_equal(tied.expand(ps).layer_2.T, ps.layer_1.T)
    turned = nn.tie(nn.Chain(Heated(), Heated()), [("layer_1.T", "layer_2.T.T")])
    np.testing.assert_array_equal(turned.expand(ps).layer_2.T, np.asarray(ps.layer_1.T).T)


def test_shared_parameters_may_be_transposed():
    ps = nn.share_parameters(made(MODEL)[0], GROUPS)
    np.testing.assert_array_equal(ps.layer_2.weight, ps.layer_1.weight.T)


def test_it_prints_and_pickles_as_written():
    tied = nn.tie(MODEL, GROUPS)
    assert repr(tied) == f"TiedLayer({MODEL!r}, (('layer_1.weight', 'layer_2.weight.T'),))"


BAD = [
    (
        [("layer_1.weight", "layer_2.weight")],
        r"expects `layer_1.weight` and `layer_2.weight` to have one structure, shape and dtype, "
        r"expected float32\[2,3\], got float32\[3,2\]",
    ),
    (
        [("layer_1.bias", "layer_2.bias.T")],
        r"expects a matrix at `layer_2.bias`, since `layer_2.bias.T` is its transpose, got float32",
    ),
    ([("layer_1", "layer_2.T")], "expects a matrix at `layer_2`, .* got a tree of parameters"),
    ([("layer_1.weight", "layer_1.weight.T")], "places that do not overlap, got `layer_1.weight`"),
]


@pytest.mark.parametrize(("groups", "text"), BAD)
def test_bad_transposes_are_errors(groups, text):
    with pytest.raises(ValueError, match=f"`TiedLayer` .*{text}"):
        nn.tie(MODEL, groups)
