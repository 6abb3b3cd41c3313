import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, ops
from tests.conftest import needs_x64
from tests.references import load

pytestmark = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def normal(*shape, dtype=jnp.float32, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def weighted(y):
    return jnp.sum(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape) * y)


def check_torch(layer, ps, inputs, mask, stored, names):
    """Values, and gradients of both outputs, of everything under the names torch has for it."""
    _, st = made(layer, jnp.float64)

    def loss(ps, inputs):
        (y, weights), _ = layer((*inputs, mask), ps, st)
        return weighted(y) + weighted(weights), (y, weights)

    (gradients, into), (y, weights) = jax.grad(loss, (0, 1), has_aux=True)(ps, inputs)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(y, stored["y"], **close)
    np.testing.assert_allclose(weights, stored["weights"], **close)
    for name, gradient in names(gradients).items():
        np.testing.assert_allclose(gradient, stored[f"grad_{name}"], **close, err_msg=name)
    return into


@needs_x64
def test_self_attention_is_torchs():
    stored = {name: jnp.asarray(a) for name, a in load("attention/self").items()}
    weights = jnp.split(stored["in_proj_weight"], 3)
    biases = jnp.split(stored["in_proj_bias"], 3)
    projections = ("q_proj", "k_proj", "v_proj")
    ps = {
        name: lux.Record(weight=w, bias=b)
        for name, w, b in zip(projections, weights, biases, strict=True)
    }
    out = lux.Record(weight=stored["out_proj_weight"], bias=stored["out_proj_bias"])
    ps = lux.Record(ps, attention_dropout=lux.Record(), out_proj=out)

    def names(gradients):
        return {
            "in_proj_weight": jnp.concatenate([gradients[p].weight for p in projections]),
            "in_proj_bias": jnp.concatenate([gradients[p].bias for p in projections]),
            "out_proj_weight": gradients.out_proj.weight,
            "out_proj_bias": gradients.out_proj.bias,
        }

    layer = nn.MultiHeadAttention(4, num_heads=2, use_bias=True)
    into = check_torch(layer, ps, (stored["query"],) * 3, None, stored, names)
    # One array plays all three parts there.
    np.testing.assert_allclose(sum(into), stored["grad_query"], rtol=1e-12, atol=1e-12)


@needs_x64
def test_cross_attention_is_torchs():
    stored = {name: jnp.asarray(a) for name, a in load("attention/cross").items()}
    projections = ("q_proj", "k_proj", "v_proj", "out_proj")
    ps = {name: lux.Record(weight=stored[f"{name}_weight"]) for name in projections}
    ps = lux.Record(ps, attention_dropout=lux.Record())
    layer = nn.MultiHeadAttention(((4, 3, 5), (4, 4), 4), num_heads=2)
    inputs = tuple(stored[name] for name in ("query", "key", "value"))
    mask = ops.make_causal_mask(3, 4)
    names = lambda gradients: {f"{name}_weight": gradients[name].weight for name in projections}
    into = check_torch(layer, ps, inputs, mask, stored, names)
    for name, gradient in zip(("query", "key", "value"), into, strict=True):
        np.testing.assert_allclose(gradient, stored[f"grad_{name}"], rtol=1e-12, atol=1e-12)


def test_inputs_of_every_form_are_the_same_call(dtype):
    layer = nn.MultiHeadAttention(4, num_heads=2)
    ps, st = made(layer, dtype)
    q, kv = normal(2, 3, 4, dtype=dtype), normal(2, 5, 4, dtype=dtype, seed=1)
    own, pair = layer(q, ps, st)[0], layer((q, kv), ps, st)[0]
    for left, right in (
        (own, layer((q, q, q), ps, st)[0]),
        (pair, layer((q, kv, kv), ps, st)[0]),
        (pair, layer((q, kv, kv, None), ps, st)[0]),
        (pair, layer((q, kv, kv, jnp.ones((3, 5), bool)), ps, st)[0]),
    ):
        jax.tree.map(np.testing.assert_array_equal, left, right)
    assert pair[0].shape == (2, 3, 4) and pair[1].shape == (2, 2, 3, 5)


@pytest.mark.parametrize(
    ("dims", "full"),
    [
        (4, ((4, 4, 4), (4, 4), 4)),
        ((4, 10, 5), ((4, 4, 4), (10, 10), 5)),
        ((4, (6, 2), 5), ((4, 4, 4), (6, 2), 5)),
        (((1, 2, 3), 4, 5), ((1, 2, 3), (4, 4), 5)),
    ],
)
def test_dims_of_every_form(dims, full):
    short, long = (nn.MultiHeadAttention(d, num_heads=2) for d in (dims, full))
    assert short.sublayers() == long.sublayers()
    (q_in, k_in, v_in), (qk, v), out = full
    sizes = [(s.in_dims, s.out_dims) for s in (short.q_proj, short.k_proj, short.v_proj)]
    assert sizes == [(q_in, qk), (k_in, qk), (v_in, v)]
    assert (short.out_proj.in_dims, short.out_proj.out_dims) == (v, out)


def test_defaults_are_one_head_without_bias_and_dropout():
    layer = nn.MultiHeadAttention(4)
    ps, st = made(layer)
    assert list(ps) == ["q_proj", "k_proj", "v_proj", "attention_dropout", "out_proj"]
    assert list(ps.q_proj) == ["weight"] and lux.state_length(st) == 0
    (_, weights), _ = layer(normal(2, 3, 4), ps, st)
    assert weights.shape == (2, 1, 3, 3) and (weights > 0).all()


def test_options_reach_the_projections():
    layer = nn.MultiHeadAttention(
        4,
        use_bias=True,
        init_weight=initializers.zeros,
        init_bias=initializers.ones,
        precision="default",
    )
    ps, st = made(layer)
    for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
        assert (ps[name].weight == 0).all() and (ps[name].bias == 1).all()
    assert "HIGHEST" not in str(jax.make_jaxpr(layer)(normal(2, 3, 4), ps, st))


def test_heads_see_their_own_features_alone(dtype):
    layer = nn.MultiHeadAttention(4, num_heads=2)
    ps, st = made(layer, dtype)
    x = normal(3, 4, dtype=dtype)
    cut = ps | {"k_proj": lux.Record(weight=ps.k_proj.weight.at[2:].set(0.0))}
    (_, weights), (_, changed) = layer(x, ps, st)[0], layer(x, cut, st)[0]
    np.testing.assert_array_equal(weights[0], changed[0])
    np.testing.assert_allclose(changed[1], 1 / 3, rtol=1e-6)


def test_unbatched_input_and_several_batch_axes(dtype):
    layer = nn.MultiHeadAttention(4, num_heads=2)
    ps, st = made(layer, dtype)
    x = normal(2, 3, 5, 4, dtype=dtype)
    y, weights = layer(x, ps, st)[0]
    alone = layer(x[1, 2], ps, st)[0]
    assert y.shape == x.shape and weights.shape == (2, 3, 2, 5, 5)
    np.testing.assert_allclose(alone[0], y[1, 2], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(alone[1], weights[1, 2], rtol=1e-5)


def test_causal_layer_equals_causal_mask_and_hides_the_future(dtype):
    ps, st = made(nn.MultiHeadAttention(4), dtype)
    x = normal(2, 3, 4, dtype=dtype)
    causal, _ = nn.MultiHeadAttention(4, is_causal=True)(x, ps, st)
    masked, _ = nn.MultiHeadAttention(4)((x, x, x, ops.make_causal_mask(3)), ps, st)
    jax.tree.map(np.testing.assert_array_equal, causal, masked)
    np.testing.assert_array_equal(causal[1], np.tril(causal[1]))


def test_query_without_keys_gives_zero_and_finite_gradients(dtype):
    layer = nn.MultiHeadAttention(4, num_heads=2)
    ps, st = made(layer, dtype)
    x, mask = normal(3, 4, dtype=dtype), jnp.ones((3, 3), bool).at[1].set(False)
    loss = lambda ps, x: jnp.sum(layer((x, x, x, mask), ps, st)[0][0] ** 2)
    assert (layer((x, x, x, mask), ps, st)[0][0][1] == 0).all()
    gradients = jax.jit(jax.grad(loss, (0, 1)))(ps, x)
    assert all(np.isfinite(gradient).all() for gradient in jax.tree.leaves(gradients))


def test_dropout_acts_in_training_and_draws_anew_at_each_call(dtype):
    layer = nn.MultiHeadAttention(4, attention_dropout_probability=0.5)
    ps, st = made(layer, dtype)
    x = normal(8, 10, 4, dtype=dtype)
    (_, first), new = layer(x, ps, st)
    (_, second), _ = layer(x, ps, new)
    assert 0.4 < (first > 0).mean() < 0.6 and ((first > 0) != (second > 0)).any()
    (y, whole), same = layer(x, ps, lux.testmode(st))
    assert (whole > 0).all() and lux.core.internal.first_difference(same, lux.testmode(st)) is None
    np.testing.assert_array_equal(
        y, nn.MultiHeadAttention(4)(x, ps, made(nn.MultiHeadAttention(4))[1])[0][0]
    )
    kept = first > 0
    np.testing.assert_allclose(first[kept], 2 * whole[kept], rtol=1e-5)


@needs_x64
def test_mixed_inputs_widen():
    layer = nn.MultiHeadAttention(4)
    ps, st = made(layer)
    (y, weights), _ = layer((normal(3, 4), normal(5, 4, dtype=jnp.float64)), ps, st)
    assert y.dtype == weights.dtype == jnp.float64


@pytest.mark.parametrize(
    "dims", ["4", 4.0, (4, 4), (4, (4, 4, 4), 4), ((4, 4), 4, 4), (4, None, 4)]
)
def test_dims_of_no_form_are_an_error(dims):
    with pytest.raises(TypeError, match=r"`MultiHeadAttention` expects `dims` .* \(in, qkv, out\)"):
        nn.MultiHeadAttention(dims)


def test_heads_that_do_not_divide_and_bad_probabilities_are_errors():
    with pytest.raises(ValueError, match="`num_heads` to divide .* got 3 for 4 and 6"):
        nn.MultiHeadAttention((4, (4, 6), 4), num_heads=3)
    with pytest.raises(ValueError, match="`num_heads` to divide .* got 0 for 4 and 4"):
        nn.MultiHeadAttention(4, num_heads=0)
    with pytest.raises(
        ValueError, match=r"`attention_dropout_probability` to be a number in \[0, 1\], got 2"
    ):
        nn.MultiHeadAttention(4, attention_dropout_probability=2)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3, 5),) * 3,
        ((2, 3, 4), (2, 5, 4), (2, 6, 4)),
        ((2, 3, 4), (1, 5, 4), (1, 5, 4)),
        ((3, 4), (2, 5, 4), (2, 5, 4)),
        ((4,), (4,), (4,)),
    ],
)
def test_inputs_of_other_shapes_are_an_error(shapes):
    layer = nn.MultiHeadAttention(4)
    text = r"`MultiHeadAttention` expects q \(batch, queries, 4\), k .* got shapes \("
    with pytest.raises(ValueError, match=text):
        layer(tuple(jnp.ones(shape, jnp.float32) for shape in shapes), *made(layer))


def test_inputs_of_another_kind_are_an_error():
    layer, x = nn.MultiHeadAttention(4), normal(3, 4)
    text = r"expects an array, or a tuple \(q, kv\), .* got a tuple of {}"
    for given, named in (((), "nothing"), ((x, "x"), "ArrayImpl, str"), ((x,) * 5, "ArrayImpl")):
        with pytest.raises(TypeError, match=text.format(named)):
            layer(given, *made(layer))
    with pytest.raises(TypeError, match="got str"):
        layer("x", *made(layer))


def test_mask_for_a_causal_layer_is_an_error():
    layer, x = nn.MultiHeadAttention(4, is_causal=True), normal(3, 4)
    with pytest.raises(ValueError, match=r"no mask where `is_causal` is set, got one of shape \(3"):
        layer((x, x, x, ops.make_causal_mask(3)), *made(layer))
