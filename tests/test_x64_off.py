"""With x64 off: every way in for what JAX would cut, float64 and integers of more than 32 bits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import initializers, losses, nn, ode, precision, training
from tests.conftest import needs_x32

KEY = jax.random.key(0)
WIDE = np.ones((1, 1))
MSE = losses.MSELoss()
LAYER = nn.Dense(1, 1, use_bias=False, init_weight=initializers.ones)
ROTARY = nn.RotaryPositionalEmbedding(4, max_sequence_length=8)


def shape(dtype):
    return jax.ShapeDtypeStruct((4, 2), dtype)


def state_of_training():
    return training.TrainState(LAYER, *lux.setup(0, LAYER), optax.sgd(0.1))


def summary_of_two_dtypes():
    model = nn.Parallel(jnp.add, nn.Dense(2, 3), nn.Dense(2, 3))
    return lux.summary(model, (shape(np.float32), shape(np.float64)))


def call_with_a_wide_state():
    ps, st = lux.setup(0, ROTARY)
    return ROTARY(np.ones((3, 2, 4), np.float32), ps, st | {"cos_cache": np.zeros((8, 2))})


FLOATS = {
    "input": lambda: LAYER(WIDE, *lux.setup(0, LAYER)),
    "parameters": lambda: LAYER(WIDE.astype(np.float32), lux.Record(weight=WIDE), lux.Record()),
    "state": call_with_a_wide_state,
    "setup": lambda: lux.setup(0, LAYER, dtype=jnp.float64),
    "conversion": lambda: precision.f64(lux.Record(weight=WIDE)),
    "initialiser": lambda: initializers.normal(KEY, (3, 3), jnp.float64),
    "structure of parameters": lambda: lux.core.parameter_structure(LAYER, jnp.float64),
    "structure of states": lambda: lux.core.state_structure(LAYER, "float64"),
    "parameters by hand": lambda: LAYER.initial_parameters(KEY, jnp.dtype("float64")),
    "summary": summary_of_two_dtypes,
    "shape": lambda: lux.core.output_size(LAYER, shape(np.float64)),
    "audit": lambda: precision.audit(jnp.sin, shape(np.float64)),
    "flat vector": lambda: lux.ComponentArray({"w": np.ones(1, np.float32)}).replace(np.ones(1)),
    "loss": lambda: MSE(WIDE, WIDE),
    "target": lambda: MSE(WIDE.astype(np.float32), WIDE),
    "training step": lambda: training.single_train_step(
        training.AutoReverse(), MSE, (WIDE, WIDE), state_of_training()
    ),
    "minimise": lambda: training.minimise(
        state_of_training(), MSE, (WIDE, WIDE), training.SciPy("BFGS")
    ),
    "stream": lambda: training.fit(
        state_of_training(), MSE, iter([(WIDE, WIDE)]), steps=1, progress=False
    ),
    "initial state": lambda: ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0))(WIDE, *lux.setup(0, LAYER)),
}


@needs_x32
@pytest.mark.parametrize("name", FLOATS)
def test_float64_is_an_error_that_names_the_switch(name):
    with pytest.raises(TypeError, match="is float64, but jax_enable_x64 is off"):
        FLOATS[name]()


LONG = 2**40 + 1
INTEGER = np.asarray([[LONG]])


def applied(layer, x):
    return layer(x, *lux.setup(0, layer))[0]


PROMOTED = {
    "dense": lambda: applied(LAYER, INTEGER),
    "repeated": lambda: applied(nn.RepeatedLayer(LAYER, 2), INTEGER),
    "loss": lambda: losses.MAELoss()(jnp.ones((1, 1), jnp.float32), INTEGER),
    "solve": lambda: applied(
        ode.NeuralODE(nn.Scale(1, init_weight=initializers.zeros), (0.0, 1.0)), INTEGER
    ),
}


@needs_x32
@pytest.mark.parametrize("name", PROMOTED)
def test_long_integers_are_promoted_with_their_value(name):
    np.testing.assert_allclose(np.squeeze(PROMOTED[name]()), LONG, rtol=1e-6)


@needs_x32
def test_position_of_a_long_integer_is_not_that_of_its_low_bits():
    positions = nn.SinusoidalPositionalEmbedding(4)
    at = lambda n: applied(positions, np.asarray([n]))
    np.testing.assert_allclose(at(2**32), np.asarray(at(np.float32(2**32))), atol=1e-6)
    assert not np.allclose(at(2**32 + 2**12), at(2**12), atol=1e-3)


ENTRIES = {
    "single_train_step": lambda data, ts: training.single_train_step(
        training.AutoReverse(), MSE, data, ts
    ),
    "train_steps": lambda data, ts: training.train_steps(
        training.AutoReverse(), MSE, data, ts, steps=2
    ),
    "compute_gradients": lambda data, ts: training.compute_gradients(
        training.AutoReverse(), MSE, data, ts
    ),
    "minimise": lambda data, ts: training.minimise(
        ts, MSE, data, training.SciPy("BFGS"), progress=False
    ),
    "fit": lambda data, ts: training.fit(ts, MSE, data, steps=1, progress=False),
    "batches": lambda data, ts: training.fit(
        ts, MSE, training.Batches(data, 1), steps=1, progress=False
    ),
    "stream": lambda data, ts: training.fit(ts, MSE, iter([data]), steps=1, progress=False),
}


@needs_x32
@pytest.mark.parametrize("name", ENTRIES)
def test_long_integers_as_data_are_an_error(name):
    text = r"`data`\[0\] has int64 numbers that int32 cannot hold, but jax_enable_x64 is off"
    with pytest.raises(TypeError, match=text):
        ENTRIES[name]((INTEGER, INTEGER), state_of_training())


@needs_x32
def test_short_integers_of_a_long_dtype_are_data():
    short = np.ones((1, 1), np.int64), np.ones((1, 1), np.float32)
    training.single_train_step(training.AutoReverse(), MSE, short, state_of_training())
    precision.require_uncut({"n": np.asarray([2**31 - 1]), "u": np.uint64(2**32 - 1)}, "`x`")
    with pytest.raises(TypeError, match=r"`x`\['u'\] has uint64 numbers that uint32 cannot hold"):
        precision.require_uncut({"u": np.asarray([2**32], np.uint64)}, "`x`")
