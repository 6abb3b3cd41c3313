import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def draw(*shapes, dtype):
    keys = jax.random.split(jax.random.key(1), len(shapes))
    return tuple(jax.random.normal(k, s, dtype) for k, s in zip(keys, shapes, strict=True))


def test_block_follows_the_equations_of_the_paper(dtype):
    block = nn.PirateNetBlock(2, 3)
    ps, st = made(block, dtype)
    ps = ps | {"alpha": jnp.asarray(0.3, dtype)}
    x, u, v = (np.asarray(a) for a in draw((4, 2), (4, 3), (4, 3), dtype=dtype))
    dense = lambda p, x: np.tanh(x @ np.asarray(p.weight).T + np.asarray(p.bias))
    f = dense(ps.dense_1, x)
    z = f * u + (1 - f) * v
    g = dense(ps.dense_2, z)
    z = g * u + (1 - g) * v
    want = 0.3 * dense(ps.dense_3, z) + 0.7 * x
    np.testing.assert_allclose(block((x, u, v), ps, st)[0], want, atol=1e-6)


@any_precision
def test_block_starts_as_the_identity_and_is_not_stuck_there(dtype):
    block = nn.PirateNetBlock(2, 3, nn.gelu)
    ps, st = made(block, dtype)
    inputs = draw((4, 2), (4, 3), (4, 3), dtype=dtype)
    assert ps.alpha.shape == () and ps.alpha == 0

    def total(ps):
        y, _ = block(inputs, ps, st)
        return jnp.sum(y), y

    grads, y = jax.jit(jax.grad(total, has_aux=True))(ps)
    np.testing.assert_array_equal(y, inputs[0])
    assert grads.alpha != 0


@any_precision
def test_network_starts_linear_in_its_fourier_features(dtype):
    model = nn.PirateNet(2, 6, 1, 3, scale=0.5)
    ps, st = made(model, dtype)
    (x,) = draw((4, 2), dtype=dtype)
    features, _ = nn.FourierFeatures(2, 3, scale=0.5)(x, lux.Record(), st.embedding)
    np.testing.assert_allclose(
        model(x, ps, st)[0], features @ ps.output.weight.T, atol=64 * jnp.finfo(dtype).eps
    )
    assert list(ps.output) == ["weight"]


@any_precision
def test_network_passes_gates_of_the_features_to_every_block(dtype):
    model = nn.PirateNet(2, 4, 1, 2)
    ps, st = made(model, dtype)
    ps = ps | {
        name: ps[name] | {"alpha": jnp.asarray(0.5, dtype)} for name in ("block_1", "block_2")
    }
    (x,) = draw((3, 2), dtype=dtype)
    run = lambda name, x: model.sublayers()[name](x, ps[name], st[name])[0]
    y = run("embedding", x)
    u, v = run("gate_u", y), run("gate_v", y)
    for name in ("block_1", "block_2"):
        y = run(name, (y, u, v))
    np.testing.assert_array_equal(model(x, ps, st)[0], run("output", y))


@any_precision
def test_dense_layers_can_be_factorized():
    model = nn.PirateNet(2, 4, 1, 1, dense=nn.RandomWeightFactorization)
    ps, st = made(model)
    assert list(ps.gate_u) == list(ps.block_1.dense_2) == ["log_scale", "direction", "bias"]
    assert model(jnp.ones(2, jnp.float32), ps, st)[0].shape == (1,)
    assert repr(model) == "PirateNet(2, 4, 1, 1, dense=RandomWeightFactorization)"


@pytest.mark.parametrize(
    "inputs",
    [((4, 2), (4, 3), (4, 2)), ((4, 2), (4, 3), (3,)), ((4, 3), (4, 3), (4, 3)), ((4, 2), (4, 3))],
)
def test_block_of_other_shapes_is_an_error(inputs):
    block = nn.PirateNetBlock(2, 3)
    text = (
        r"`PirateNetBlock` expects the tuple \(x, u, v\) of shapes \(\.\.\., 2\), .* got float32\["
    )
    with pytest.raises(ValueError, match=text):
        block(draw(*inputs, dtype=jnp.float32), *made(block))
    with pytest.raises(ValueError, match=text):
        block(jnp.ones((4, 2), jnp.float32), *made(block))


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: nn.PirateNet(2, 3, 1, 1), ValueError, "`hidden_dims` to be even, .* got 3"),
        (
            lambda: nn.PirateNet(2, 4, 1, 0),
            ValueError,
            "`num_blocks` to be an integer of at least 1, got 0",
        ),
        (
            lambda: nn.PirateNet(2, 4.0, 1, 1),
            TypeError,
            "`hidden_dims` to be an integer.*, got 4.0",
        ),
        (
            lambda: nn.PirateNet(2, 4, 1, 1, scale=-1.0),
            ValueError,
            "`scale` to be a number above 0, got -1",
        ),
        (
            lambda: nn.PirateNetBlock(0, 3),
            ValueError,
            "`in_dims` to be an integer of at least 1, got 0",
        ),
    ],
)
def test_bad_arguments_are_errors(build, error, text):
    with pytest.raises(error, match=f"`PirateNet(Block)?` expects {text}"):
        build()


def test_network_of_a_wrong_feature_size_is_an_error():
    model = nn.PirateNet(2, 4, 1, 1)
    with pytest.raises(
        ValueError, match=r"`PirateNet` expects the last axis of `x` to be 2 .* got"
    ):
        model(jnp.ones((5, 3), jnp.float32), *made(model))
