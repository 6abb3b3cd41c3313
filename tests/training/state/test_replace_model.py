"""`TrainState.replace(model=...)`: another model with the same trees."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, ode, training
from tests.training.models import assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
LOSS = losses.MSELoss()
NARROW = nn.Chain(nn.Dense(1, 4), nn.BatchNorm(4), nn.Dense(4, 1))


def normalized(dtype):
    ps, st = lux.setup(0, NARROW, dtype=dtype)
    return training.TrainState(NARROW, ps, st, optax.adam(1e-2))


def test_growing_horizon_goes_on_with_parameters_and_optimizer(dtype):
    def horizon(end):
        times = tuple(np.linspace(0.0, end, 4).tolist())
        steps = {"solver": diffrax.Heun(), "stepsize_controller": diffrax.ConstantStepSize()}
        rate = nn.Dense(1, 1, use_bias=False)
        return ode.NeuralODE(rate, (0.0, end), saveat=times, dt0=0.1, max_steps=32, **steps)

    def data(end):
        times = jnp.linspace(0.0, end, 4, dtype=dtype)
        return jnp.ones(1, dtype), jnp.exp(-times)[:, None]

    short = tiny_state(dtype, optax.adam(5e-2), horizon(0.5))
    trained = training.fit(short, LOSS, data(0.5), steps=5, progress=False).tstate
    grown = trained.replace(model=horizon(2.0))
    assert grown.model == horizon(2.0) and grown.optimizer is trained.optimizer
    assert_same_bits(grown.trees, trained.trees)
    result = training.fit(grown, LOSS, data(2.0), steps=60, progress=False)
    assert int(result.tstate.step) == 65
    assert result.losses[-1] < 0.1 * result.losses[0]
    rate = float(result.tstate.parameters.weight[0, 0])
    assert abs(rate + 1) < 0.2


def test_flags_of_the_states_do_not_matter(dtype):
    tstate = lux.testmode(normalized(dtype))
    other = nn.Chain(nn.Dense(1, 4, nn.relu), nn.BatchNorm(4), nn.Dense(4, 1))
    moved = tstate.replace(model=other)
    assert moved.model == other and not moved.states.layer_2.training


def test_model_of_other_parameters_is_refused_at_its_path(dtype):
    wide = nn.Chain(nn.Dense(1, 4), nn.BatchNorm(4), nn.Dense(4, 2))
    text = (
        r"`TrainState.replace`: the parameters are not those of `Chain`, at `layer_3.weight`: "
        r"expected shape \(2, 4\), got shape \(1, 4\)"
    )
    with pytest.raises(lux.StateStructureError, match=text):
        normalized(dtype).replace(model=wide)


def test_model_of_other_states_is_refused_at_its_path(dtype):
    other = nn.Chain(nn.Dense(1, 4), nn.BatchNorm(4, track_stats=False), nn.Dense(4, 1))
    text = (
        r"`TrainState.replace`: the states are not those of `Chain`, at `layer_2.running_mean`: "
        r"expected nothing, got shape \(4,\)"
    )
    with pytest.raises(lux.StateStructureError, match=text):
        normalized(dtype).replace(model=other)


def test_optimizer_state_of_other_parameters_is_refused_at_its_path(dtype):
    wide = nn.Chain(nn.Dense(1, 4), nn.BatchNorm(4), nn.Dense(4, 2))
    ps, st = lux.setup(0, wide, dtype=dtype)
    text = (
        r"the optimiser's state is not that of these parameters, at `0.mu.layer_3.weight`: "
        r"expected float..\[2,4\], got float..\[1,4\]. Start afresh: TrainState\("
    )
    with pytest.raises(lux.StateStructureError, match=text):
        normalized(dtype).replace(model=wide, parameters=ps, states=st)
    fresh = training.TrainState(wide, ps, st, normalized(dtype).optimizer)
    whole = normalized(dtype).replace(
        model=wide, parameters=ps, states=st, optimizer_state=fresh.optimizer_state
    )
    assert jax.tree.structure(whole.parameters) == jax.tree.structure(ps)


def test_flat_parameters_stay_flat(dtype):
    model = nn.Dense(1, 2)
    ps, st = lux.setup(0, model, dtype=dtype)
    tstate = training.TrainState(model, lux.ComponentArray(ps), st, optax.sgd(0.1))
    moved = tstate.replace(model=nn.Dense(1, 2, nn.tanh))
    assert isinstance(moved.parameters, lux.ComponentArray)
    x, y = line_data(dtype)
    moved = training.fit(moved, LOSS, (x, jnp.tile(y, 2)), steps=2, progress=False).tstate
    assert int(moved.step) == 2
    with pytest.raises(lux.StateStructureError, match="parameters are not those of `Dense`"):
        tstate.replace(model=nn.Dense(2, 1))
