"""Ways to differentiate: forward mode and central differences against reverse mode."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.conftest import X64, needs_x64
from tests.training.models import line_data, tiny_state

pytestmark = pytest.mark.any_precision
LOSS = losses.MSELoss()


def gradient(ad, dtype):
    return training.compute_gradients(ad, LOSS, line_data(dtype), tiny_state(dtype))


def test_forward_mode_gives_the_gradient_of_reverse_mode(dtype):
    (forward, loss, _, _), (reverse, expected, _, _) = (
        gradient(ad, dtype) for ad in (training.AutoForward(), training.AutoReverse())
    )
    assert loss == expected
    for f, r in zip(jax.tree.leaves(forward), jax.tree.leaves(reverse), strict=True):
        assert f.dtype == r.dtype == dtype
        np.testing.assert_allclose(f, r, rtol=1e-12 if X64 else 1e-5, atol=1e-12 if X64 else 1e-6)


@pytest.mark.parametrize("step", [None, 1e-4 if X64 else 1e-2])
def test_central_differences_come_near(dtype, step):
    found, loss, _, _ = gradient(training.AutoFiniteDiff(step=step), dtype)
    expected, reference, _, _ = gradient(training.AutoReverse(), dtype)
    assert loss == reference
    for f, r in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert f.dtype == r.dtype == dtype
        np.testing.assert_allclose(f, r, atol=1e-7 if X64 else 5e-3)


@pytest.mark.parametrize("ad", [training.AutoForward(), training.AutoFiniteDiff()])
def test_training_takes_any_of_them(dtype, ad):
    tstate = tiny_state(dtype, optax.sgd(0.1))
    before = LOSS(tstate.model, tstate.parameters, tstate.states, line_data(dtype))[0]
    for _ in range(3):
        _, loss, _, tstate = training.single_train_step(ad, LOSS, line_data(dtype), tstate)
    assert loss < before


def test_names_of_lux_say_what_they_map_to():
    for name in ("AutoZygote", "AutoEnzyme", "AutoReactant", "AutoReverseDiff"):
        assert repr(getattr(training, name)()) == "AutoReverse()"
    assert training.AutoTracker is training.AutoMooncake is training.AutoReverse
    assert repr(training.AutoForwardDiff()) == "AutoForward()"


@pytest.mark.parametrize("ad", [training.AutoForward(), training.AutoFiniteDiff()])
def test_complex_parameters_name_the_leaf_and_the_remedy(ad):
    model = nn.Dense(1, 1)
    ps, st = lux.setup(0, model, dtype=jnp.complex64)
    tstate = training.TrainState(model, ps, st, optax.sgd(0.1))
    text = r"expects real parameters, got complex64 at `weight`. Take AutoReverse"
    with pytest.raises(TypeError, match=text):
        training.compute_gradients(ad, LOSS, line_data(jnp.float32), tstate)


@needs_x64
def test_central_differences_of_several_dtypes_are_an_error():
    model = nn.Chain(nn.Dense(1, 1), nn.Dense(1, 1))
    ps, st = lux.setup(0, model)
    ps = ps | {"layer_2": lux.precision.f64(ps.layer_2)}
    tstate = training.TrainState(model, ps, st, optax.sgd(0.1))
    with pytest.raises(TypeError, match="parameters of one dtype, got float32, float64"):
        training.compute_gradients(training.AutoFiniteDiff(), LOSS, line_data(jnp.float32), tstate)
