import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64
from tests.references import load

any_precision = pytest.mark.any_precision

attention = ops.scaled_dot_product_attention


def operands(dtype, seed=0, heads=2, groups=2):
    rng = np.random.default_rng(seed)
    shapes = (3, 4, heads, 2), (3, 5, groups, 2), (3, 5, groups, 3)
    return tuple(jnp.asarray(rng.normal(size=s), dtype) for s in shapes)


def weighted(y):
    return jnp.sum(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape) * y)


def reference(query, key, value, scale, bias=0.0):
    """The formula in NumPy, a sum for every head."""
    query, key, value = (np.asarray(a, np.float64) for a in (query, key, value))
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) * scale + np.asarray(bias, np.float64)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    weights = powers / powers.sum(-1, keepdims=True)
    return np.einsum("bhqk,bkhd->bqhd", weights, value), weights


def test_attention_gives_the_numbers_of_luxlibs_tests(dtype):
    x = jnp.asarray(np.arange(1, 13).reshape(1, 3, 2, 2) / 12, dtype)
    y, weights = attention(x, x, x)
    want = [0.429754, 0.513087, 0.613791, 0.697125, 0.46431, 0.547644]
    want += [0.647876, 0.73121, 0.49773, 0.581064, 0.680455, 0.763788]
    np.testing.assert_allclose(y.ravel(), want, atol=1e-6)
    want = [0.313896, 0.332948, 0.353157, 0.264431, 0.328206, 0.407362, 0.219215, 0.31838]
    want += [0.462405, 0.288691, 0.331243, 0.380066, 0.241239, 0.323893, 0.434868]
    np.testing.assert_allclose(weights.ravel(), [*want, 0.198438, 0.311761, 0.489801], atol=1e-6)


@needs_x64
@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("plain", {}),
        ("scaled", {"scale": 0.3}),
        ("causal", {"is_causal": True}),
        ("mask", {}),
        ("grouped", {}),
    ],
)
def test_attention_has_torchs_values_and_gradients(case, options):
    stored = load(f"attention/{case}")
    options = options | ({"mask": jnp.asarray(stored["mask"])} if case == "mask" else {})
    inputs = {name: jnp.asarray(stored[name]) for name in ("query", "key", "value")}

    def loss(inputs):
        y, _ = attention(**inputs, **options)
        return weighted(y), y

    gradients, y = jax.jit(jax.grad(loss, has_aux=True))(inputs)
    np.testing.assert_allclose(y, stored["y"], rtol=1e-12, atol=1e-12)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, stored[f"grad_{name}"], rtol=1e-12, atol=1e-12)


@needs_x64
def test_attention_of_values_cut_to_float32_is_seen_at_the_same_tolerance():
    stored = load("attention/plain")
    query, key, value = (jnp.asarray(stored[name]) for name in ("query", "key", "value"))
    y, _ = attention(query.astype(jnp.float32).astype(query.dtype), key, value)
    assert np.abs(y - stored["y"]).max() > 1e-10


@any_precision
def test_attention_scale_is_a_factor_and_bias_is_added(dtype):
    query, key, value = operands(dtype)
    bias = jnp.asarray(np.random.default_rng(1).normal(size=(2, 4, 5)), dtype)[None]
    y, weights = attention(query, key, value, scale=2.0, bias=bias)
    want = reference(query, key, value, 2.0, bias)
    np.testing.assert_allclose(y, want[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights, want[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


def test_attention_default_scale_is_one_over_the_root_of_the_size(dtype):
    query, key, value = operands(dtype)
    want = attention(query, key, value, scale=1 / 2**0.5)[0]
    np.testing.assert_array_equal(attention(query, key, value)[0], want)


@any_precision
def test_attention_shares_a_group_among_neighbouring_heads(dtype):
    query, key, value = operands(dtype, heads=4, groups=2)
    whole, _ = attention(query, key, value)
    for head in range(4):
        group = slice(head // 2, head // 2 + 1)
        alone, _ = attention(query[:, :, head : head + 1], key[:, :, group], value[:, :, group])
        np.testing.assert_allclose(whole[:, :, head : head + 1], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (3, 1, 4, 5), (1, 2, 4, 1)])
def test_attention_mask_keeps_where_true(shape, dtype):
    # Random masks with the first key kept by every query.
    mask = np.random.default_rng(2).random(shape) < 0.5
    mask[..., 0] = True
    _, weights = attention(*operands(dtype), mask=jnp.asarray(mask))
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(mask, (3, 2, 4, 5)))
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


def test_attention_bias_is_masked_too(dtype):
    mask = jnp.asarray([[True, False, True, True, True]])
    huge = jnp.asarray([[0.0, 1e4, 0.0, 0.0, 0.0]], dtype)
    _, weights = attention(*operands(dtype), mask=mask, bias=huge)
    assert (weights[..., 1] == 0).all() and (weights[..., 0] > 0).all()


def test_causal_attention_sees_nothing_of_the_future(dtype):
    query, key, value = operands(dtype)
    y, weights = attention(query, key, value, is_causal=True)
    later = value.at[:, 2:].set(7.0)
    changed, _ = attention(query, key, later, is_causal=True)
    np.testing.assert_array_equal(changed[:, :2], y[:, :2])
    assert (changed[:, 2:] != y[:, 2:]).any()
    np.testing.assert_array_equal(weights > 0, np.broadcast_to(np.tri(4, 5) > 0, (3, 2, 4, 5)))
    np.testing.assert_array_equal(y[:, 0], value[:, 0])


@any_precision
def test_attention_of_a_query_without_keys_is_zero_with_zero_gradients(dtype):
    inputs = operands(dtype)
    mask = jnp.ones((4, 5), bool).at[1].set(False)
    loss = lambda *inputs: jnp.sum(attention(*inputs, mask=mask)[0] ** 2)

    @jax.jit
    def computed(*inputs):
        _, second = jax.jvp(jax.grad(loss), inputs, inputs)
        return attention(*inputs, mask=mask), jax.grad(loss, (0, 1, 2))(*inputs), second

    (y, weights), gradients, second = jax.tree.map(np.asarray, computed(*inputs))
    assert (y[:, 1] == 0).all() and (weights[:, :, 1] == 0).all() and (y[:, 0] != 0).all()
    assert (gradients[0][:, 1] == 0).all() and (gradients[0][:, 0] != 0).any()
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert np.isfinite(second).all() and (second[:, 1] == 0).all()


def test_attention_with_a_bias_of_minus_infinity_is_finite(dtype):
    query, key, value = operands(dtype)
    bias = jnp.zeros((4, 5), dtype).at[1].set(-jnp.inf).at[2, 3].set(-jnp.inf)
    loss = lambda query, bias: jnp.sum(attention(query, key, value, bias=bias)[0] ** 2)
    y, _ = attention(query, key, value, bias=bias)
    assert (y[:, 1] == 0).all() and jnp.isfinite(y).all()
    assert all(jnp.isfinite(g).all() for g in jax.grad(loss, (0, 1))(query, bias))


@any_precision
def test_attention_to_no_keys_at_all_is_zero(dtype):
    query, key, value = operands(dtype)
    y, weights = attention(query, key[:, :0], value[:, :0])
    assert y.shape == (3, 4, 2, 3) and weights.shape == (3, 2, 4, 0) and (y == 0).all()


def test_attention_of_huge_scores_is_finite(dtype):
    query, key, value = operands(dtype)
    loss = lambda query: jnp.sum(attention(1e4 * query, 1e4 * key, value)[0])
    y, weights = attention(1e4 * query, 1e4 * key, value)
    np.testing.assert_allclose(weights.max(-1), 1, rtol=1e-5)
    assert jnp.isfinite(y).all() and jnp.isfinite(jax.grad(loss)(query)).all()


@any_precision
def test_attention_without_batch_and_with_two_batch_axes(dtype):
    query, key, value = operands(dtype)
    y, weights = attention(query, key, value)
    alone = attention(query[1], key[1], value[1])
    np.testing.assert_allclose(alone[0], y[1], rtol=1e-5)
    np.testing.assert_allclose(alone[1], weights[1], rtol=1e-5)
    more = attention(query[None], key[None], value[None])
    np.testing.assert_array_equal(more[0][0], y)


def test_attention_without_weights_returns_the_output_alone(dtype):
    inputs = operands(dtype)
    y = attention(*inputs, return_weights=False)
    np.testing.assert_array_equal(y, attention(*inputs)[0])


@any_precision
def test_attention_dropout_drops_with_the_probability_and_keeps_the_mean():
    x = jnp.ones((10, 30, 2, 5), jnp.float32)
    y, weights = attention(x, x, x, dropout=(jax.random.key(0), 0.25))
    kept = weights > 0
    assert 0.73 < kept.mean() < 0.77
    np.testing.assert_allclose(weights[kept], 1 / 30 / 0.75, rtol=1e-5)
    np.testing.assert_allclose(y[..., 0], weights.sum(-1).transpose(0, 2, 1), rtol=1e-5)


def test_attention_dropout_by_a_function_and_at_the_ends(dtype):
    inputs = operands(dtype)
    y, weights = attention(*inputs)
    halved = attention(*inputs, dropout=lambda w: w / 2)
    np.testing.assert_allclose(halved[0], y / 2, rtol=1e-6)
    np.testing.assert_array_equal(halved[1], weights / 2)
    np.testing.assert_array_equal(attention(*inputs, dropout=(jax.random.key(0), 0.0))[0], y)
    assert (attention(*inputs, dropout=(jax.random.key(0), 1.0))[0] == 0).all()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_attention_of_half_precision_accumulates_in_float32(dtype):
    rng = np.random.default_rng(4)
    query, key, value = (jnp.asarray(2 * rng.normal(size=(1, 50, 1, 32)), dtype) for _ in range(3))
    y, weights = attention(query, key, value)
    want, exact = reference(query, key, value, 32**-0.5)
    eps = float(jnp.finfo(dtype).eps)
    big = exact > 0.01
    assert y.dtype == weights.dtype == dtype

    def error(weights):
        return float((np.abs(np.asarray(weights, np.float64) - exact) / exact)[big].max())

    # Only the weights themselves are rounded. A softmax of scores in half precision is not so near.
    assert error(weights) < 0.6 * eps
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) * 32**-0.5
    assert error(jax.nn.softmax(scores)) > 1.5 * eps
    np.testing.assert_allclose(np.asarray(y, np.float64), want, atol=8 * eps)


def test_attention_products_ask_for_full_precision():
    inputs = operands(jnp.float32)
    text = str(
        jax.make_jaxpr(jax.grad(lambda q: weighted(attention(q, *inputs[1:])[0])))(inputs[0])
    )
    assert text.count("dot_general") == text.count("(Precision.HIGHEST, Precision.HIGHEST)") > 2
    assert "HIGHEST" not in str(
        jax.make_jaxpr(lambda *a: attention(*a, precision="default"))(*inputs)
    )


@needs_x64
def test_attention_of_mixed_dtypes_is_as_wide_as_the_widest():
    query, key, value = operands(jnp.float64)
    y, weights = attention(query.astype(jnp.float32), key, value.astype(jnp.float32))
    assert y.dtype == weights.dtype == jnp.float64


def test_causal_mask_by_hand():
    want = [[True, False, False], [True, True, False], [True, True, True]]
    assert ops.make_causal_mask(3).tolist() == want
    assert ops.make_causal_mask(1, 3).tolist() == want[:1]
    assert ops.make_causal_mask(3, 2).tolist() == [[True, False], [True, True], [True, True]]


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((3, 4, 2, 2), (3, 5, 2, 3), (3, 5, 2, 2)),
        ((3, 4, 2, 2), (3, 5, 2, 2), (3, 6, 2, 2)),
        ((3, 4, 2, 2), (2, 5, 2, 2), (2, 5, 2, 2)),
        ((3, 4, 2, 2), (1, 5, 2, 2), (1, 5, 2, 2)),
        ((3, 4, 3, 2), (3, 5, 2, 2), (3, 5, 2, 2)),
        ((3, 4, 2, 2), (3, 5, 0, 2), (3, 5, 0, 2)),
        ((4, 2, 2), (3, 5, 2, 2), (3, 5, 2, 2)),
        ((4, 2), (5, 2), (5, 2)),
    ],
)
def test_attention_of_shapes_that_do_not_fit_is_an_error(query, key, value):
    query, key, value = (jax.ShapeDtypeStruct(s, jnp.float32) for s in (query, key, value))
    with pytest.raises(
        ValueError, match=r"`query` \(\.\.\., queries, heads, dim\), `key`.* got \("
    ):
        jax.eval_shape(attention, query, key, value)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (3, 4, 5), (2, 1, 4, 5), (1, 3, 2, 4, 5)])
def test_attention_mask_or_bias_of_another_shape_is_an_error(shape):
    inputs = operands(jnp.float32)
    text = r"`{}` to be \(queries, keys\) = \(4, 5\) or .* = \(3, 2, 4, 5\), .* got shape \("
    with pytest.raises(ValueError, match=text.format("mask")):
        attention(*inputs, mask=jnp.ones(shape, bool))
    with pytest.raises(ValueError, match=text.format("bias")):
        attention(*inputs, bias=jnp.ones(shape, jnp.float32))


def test_attention_refuses_what_it_cannot_mean():
    query, key, value = operands(jnp.float32)
    with pytest.raises(ValueError, match="expects `mask` or `is_causal`, got both"):
        attention(query, key, value, mask=jnp.ones((4, 5), bool), is_causal=True)
    with pytest.raises(TypeError, match="`mask` to be boolean, .* got float32. Pass numbers"):
        attention(query, key, value, mask=jnp.ones((4, 5), jnp.float32))
    with pytest.raises(TypeError, match="expects `key` to be floating, got int32"):
        attention(query, key.astype(jnp.int32), value)
    with pytest.raises(ValueError, match=r"`dropout` expects `p` .* in \[0, 1\], got 1.5"):
        attention(query, key, value, dropout=(jax.random.key(0), 1.5))
