import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

X0 = (0.1, -2.0)


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


class Remembering(lux.Layer):
    """y = x; the state remembers what came before, less and less."""

    def initial_states(self, key, dtype):
        return lux.Record(past=jnp.zeros((2,), dtype))

    def __call__(self, x, ps, st):
        return x, st | {"past": st.past / 2 + jnp.mean(x, axis=0)}


@any_precision
def test_positive_definite_is_psi_of_the_difference_plus_r(dtype):
    inner = nn.Dense(2, 3, nn.tanh)
    model = nn.PositiveDefinite(inner, X0)
    ps, st = made(model, dtype)
    x = jax.random.normal(jax.random.key(1), (4, 2), dtype)
    x0 = jnp.asarray(X0, dtype)
    gap = inner(x, ps, st)[0] - inner(x0, ps, st)[0][None]
    want = jnp.sum(gap**2, axis=-1) + jnp.sum((x - x0[None]) ** 2, axis=-1)
    y, _ = model(x, ps, st)
    assert y.shape == (4, 1) and list(ps) == ["weight", "bias"]
    np.testing.assert_allclose(y[:, 0], want, rtol=1e-5)


@any_precision
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_positive_definite_is_zero_at_its_point_and_positive_elsewhere(dtype):
    model = nn.PositiveDefinite(nn.Dense(2, 3, nn.tanh), X0)
    ps, st = made(model, dtype)
    x0 = jnp.asarray(X0, dtype)
    value, slope = jax.value_and_grad(lambda x: model(x, ps, st)[0][0])(x0)
    assert value == 0 and (slope == 0).all()
    others = x0[None] + jnp.asarray([[0.5, 0.0], [0.0, -0.25], [4.0, 4.0]], dtype)
    assert (jax.jit(model)(others, ps, st)[0] > 0).all()


def test_positive_definite_is_psi_of_a_rounding_error_at_its_point_in_a_batch(dtype):
    inner = nn.Chain(nn.Dense(2, 16, nn.tanh), nn.Dense(16, 16, nn.tanh), nn.Dense(16, 4))
    model = nn.PositiveDefinite(inner, X0)
    ps, st = made(model, dtype)
    x0 = jnp.asarray(X0, dtype)
    batch = jnp.broadcast_to(x0, (5, 2))
    values = [jax.jit(model)(batch, ps, st)[0], jax.jit(lambda x: model(x, ps, st)[0])(x0)]
    rounding = 8 * float(jnp.finfo(dtype).eps)
    assert all((value >= 0).all() and (value <= 4 * rounding**2).all() for value in values)


def test_positive_definite_takes_forms_of_ones_own(dtype):
    psi = lambda z: jnp.sum(jnp.abs(z), axis=-1)
    model = nn.PositiveDefinite(nn.NoOpLayer(), [1.0, 1.0], psi=psi, r=lambda x, y: psi(x - y) * 2)
    y, _ = model(jnp.asarray([[3.0, 0.0]], dtype), *made(model))
    np.testing.assert_array_equal(y, [[9.0]])


def test_positive_definite_form_of_another_shape_is_an_error():
    model = nn.PositiveDefinite(nn.NoOpLayer(), X0, psi=lambda z: z)
    text = r"`psi` and `r` to give one number .*, \(4,\), got shapes \(4, 2\) and \(4,\)"
    with pytest.raises(ValueError, match=text):
        model(jnp.ones((4, 2), jnp.float32), *made(model))


def test_shift_to_gives_the_value_at_the_point_and_shifts_the_rest(dtype):
    inner = nn.Dense(2, 3, nn.tanh)
    model = nn.ShiftTo(inner, X0, (1.0, 2.0, 3.0))
    ps, st = made(model, dtype)
    x = jnp.concatenate(
        [jnp.asarray([X0], dtype), jax.random.normal(jax.random.key(1), (3, 2), dtype)]
    )
    y, _ = model(x, ps, st)
    np.testing.assert_allclose(y[0], [1.0, 2.0, 3.0], rtol=1e-6)
    moved = y - inner(x, ps, st)[0]
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:1], (4, 3)), atol=1e-6)
    np.testing.assert_allclose(model(x[0], ps, st)[0], [1.0, 2.0, 3.0], rtol=1e-6)


@needs_x64
def test_both_are_as_wide_as_input_and_parameters():
    for model in (
        nn.PositiveDefinite(nn.Dense(2, 2), X0),
        nn.ShiftTo(nn.Dense(2, 2), X0, (0.1, 0.2)),
    ):
        ps, st = made(model, jnp.float64)
        x = jnp.asarray(X0, jnp.float32)
        y, _ = model(x, ps, st)
        want = [0.0] if isinstance(model, nn.PositiveDefinite) else [0.1, 0.2]
        assert y.dtype == jnp.float64
        np.testing.assert_allclose(y, want, atol=1e-16)


def test_state_passes_through_the_point_first_and_the_input_then():
    for model in (
        nn.PositiveDefinite(Remembering(), X0),
        nn.ShiftTo(Remembering(), X0, (0.0, 0.0)),
    ):
        ps, st = made(model)
        new = model(jnp.ones((4, 2), jnp.float32), ps, st)[1]
        np.testing.assert_allclose(new.past, np.asarray(X0) / 2 + 1, rtol=1e-6)


MODELS = [nn.PositiveDefinite(nn.NoOpLayer(), X0), nn.ShiftTo(nn.NoOpLayer(), X0, X0)]


@pytest.mark.parametrize("model", MODELS)
def test_bad_inputs_are_errors(model):
    with pytest.raises(ValueError, match=r"last axis of `x` to be 2, as `(x0|in_val)` is, got .*3"):
        model(jnp.ones((4, 3), jnp.float32), *made(model))
    with pytest.raises(TypeError, match="`x` to be real and floating, got int32. Convert"):
        model(jnp.ones(2, jnp.int32), *made(model))


def test_shift_of_a_layer_with_another_size_is_an_error():
    model = nn.ShiftTo(nn.NoOpLayer(), X0, (1.0,))
    with pytest.raises(
        ValueError, match=r"`model` to give \(4, 1\), as `out_val` is, got .*\(4, 2\)"
    ):
        model(jnp.ones((4, 2), jnp.float32), *made(model))
