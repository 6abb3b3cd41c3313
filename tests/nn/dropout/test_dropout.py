import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

X = jnp.ones((6, 8), jnp.float32)
PLAIN = [nn.Dropout, nn.AlphaDropout]


def made(layer):
    return lux.setup(jax.random.key(0), layer)


def same_key(left, right):
    return bool((jax.random.key_data(left) == jax.random.key_data(right)).all())


@pytest.mark.parametrize("kind", PLAIN)
def test_dropout_draws_anew_at_each_call(kind):
    layer = kind(0.5)
    ps, st = made(layer)
    assert list(st) == ["rng", "training"] and st.training.value is True
    first, new = layer(X, ps, st)
    second, _ = layer(X, ps, new)
    assert not same_key(new.rng, st.rng) and (first != second).any()
    np.testing.assert_array_equal(layer(X, ps, st)[0], first)


@pytest.mark.parametrize("layer", [kind(0.5) for kind in PLAIN])
def test_dropout_in_test_mode_keeps_input_and_key(layer):
    ps, st = made(layer)
    y, new = layer(X, ps, lux.testmode(st))
    assert y is X and same_key(new.rng, st.rng)
    assert (layer(X, ps, lux.trainmode(lux.testmode(st)))[0] != X).any()


@pytest.mark.parametrize("kind", PLAIN)
def test_dropout_of_zero_passes_on_and_of_one_is_zero(kind):
    for p, want in ((0.0, X), (1.0, jnp.zeros_like(X)), (0, X), (1, jnp.zeros_like(X))):
        np.testing.assert_array_equal(kind(p)(X, *made(kind(p)))[0], want)


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.0), nn.AlphaDropout(0), nn.VariationalHiddenDropout(0, (6, 8))]
)
def test_dropout_of_zero_changes_no_state(layer):
    f = lux.StatefulLuxLayer(layer, *made(layer))  # A changed state would be an error.
    np.testing.assert_array_equal(f(X), X)


def test_dropout_along_an_axis_drops_whole_rows():
    layer = nn.Dropout(0.5, axes=0)
    y, _ = layer(X, *made(layer))
    assert {tuple(row) for row in y.tolist()} == {(0.0,) * 8, (2.0,) * 8}


def test_dropouts_of_a_chain_have_keys_of_their_own():
    layer = nn.Chain(nn.Dropout(0.5), nn.Dropout(0.5))
    _, st = made(layer)
    assert not same_key(st.layer_1.rng, st.layer_2.rng)


def test_dropout_states_are_counted_as_in_lux():
    assert [lux.state_length(kind(0.5)) for kind in PLAIN] == [2, 2]


ALL = [*PLAIN, lambda p: nn.VariationalHiddenDropout(p, (1, 8))]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("p", [-0.1, 1.5, "0.5", None])
def test_dropout_chance_out_of_range_is_an_error(kind, p):
    error = ValueError if isinstance(p, float) else TypeError
    with pytest.raises(error, match=r"Dropout` expects `p` to be a number in \[0, 1\], got"):
        kind(p)


def test_dropout_axes_are_integers():
    with pytest.raises(TypeError, match="`Dropout` expects `axes` to be None, an axis or a tuple"):
        nn.Dropout(0.5, axes="rows")


def test_dropout_of_integers_names_the_layer():
    layer = nn.Dropout(0.5)
    with pytest.raises(TypeError, match="got int32. Convert") as caught:
        layer(jnp.ones(3, jnp.int32), *made(layer))
    assert "while calling `Dropout`" in caught.value.__notes__[0]


def test_variational_dropout_keeps_its_mask_until_told():
    layer = nn.VariationalHiddenDropout(0.5, (1, 8))
    ps, st = made(layer)
    assert list(st) == ["rng", "training", "mask", "update_mask"] and st.update_mask
    first, st = layer(X, ps, st)
    assert not st.update_mask
    assert {tuple(column) for column in first.T.tolist()} == {(0.0,) * 6, (2.0,) * 6}
    np.testing.assert_array_equal(st.mask[0], first[0] != 0)
    for _ in range(3):
        again, st = layer(X, ps, st)
        np.testing.assert_array_equal(again, first)
    other, st = layer(X, ps, lux.update_state(st, "update_mask", True))
    assert (other != first).any() and not st.update_mask


def test_variational_dropout_is_carried_by_a_scan_with_one_mask():
    layer = nn.VariationalHiddenDropout(0.5, (6, 8))
    ps, st = made(layer)
    st, ys = jax.lax.scan(lambda st, _: layer(X, ps, st)[::-1], st, None, length=4)
    np.testing.assert_array_equal(ys, np.broadcast_to(ys[0], ys.shape))
    np.testing.assert_array_equal(ys[0], layer(X, ps, made(layer)[1])[0])
    assert 0 < (ys[0] == 0).sum() < ys[0].size


def test_variational_dropout_in_test_mode_keeps_input_and_states():
    layer = nn.VariationalHiddenDropout(0.5, (1, 8))
    ps, st = made(layer)
    tested = lux.testmode(st)
    y, new = layer(X, ps, tested)
    assert y is X and new is tested


def test_variational_dropout_of_zero_and_of_one():
    for p, want in ((0.0, X), (1.0, jnp.zeros_like(X))):
        layer = nn.VariationalHiddenDropout(p, (6, 8))
        ps, st = made(layer)
        for _ in range(2):
            y, st = layer(X, ps, st)
            np.testing.assert_array_equal(y, want)


def test_variational_dropout_scale_has_the_digits_of_the_input(dtype):
    layer = nn.VariationalHiddenDropout(0.3, (1, 8))
    ps, st = made(layer)  # The states are made for float32.
    x = jnp.ones((6, 8), dtype)
    for _ in range(2):
        y, st = layer(x, ps, st)
        assert y.dtype == dtype and y.max() == jnp.asarray(1 / (1 - 0.3), dtype)


@pytest.mark.parametrize("shape", [(6, 7), (8,), (6, 8, 1)])
def test_variational_dropout_of_another_shape_is_an_error(shape):
    layer = nn.VariationalHiddenDropout(0.5, shape)
    with pytest.raises(ValueError, match=r"expects `x` of shape .* got shape \(6, 8\)"):
        layer(X, *made(layer))


@pytest.mark.parametrize("shape", [8, (1, "8"), None])
def test_variational_dropout_shape_is_a_tuple_of_sizes(shape):
    with pytest.raises(TypeError, match=r"`shape` to be a tuple of sizes such as \(1, 8\), got"):
        nn.VariationalHiddenDropout(0.5, shape)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.Dropout(0), nn.AlphaDropout(0.5)], ids=repr)
def test_what_is_no_array_is_an_error(layer):
    model = nn.Chain(nn.MultiHeadAttention(4), layer)
    text = (
        rf"`{type(layer).__name__}` \(at `layer_2`\) expects `x` to be an array, got tuple\. Conv"
    )
    with pytest.raises(TypeError, match=text):
        model(jnp.ones((1, 2, 4), jnp.float32), *lux.setup(jax.random.key(0), model))
