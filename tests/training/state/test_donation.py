"""A state that was donated, used again."""

import copy
import pickle

import jax
import jax.numpy as jnp
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.training.models import AD, assert_same_bits

pytestmark = pytest.mark.any_precision
LOSS = losses.MSELoss()
DATA = jnp.ones((4, 2), jnp.float32), jnp.zeros((4, 1), jnp.float32)
OPTIMIZER = optax.inject_hyperparams(optax.adam)(1e-2)
GONE = (
    r"`TrainState`: the array at `parameters.weight` was deleted, as a step with donate=True .*"
    r"Go on with the returned state, or take the step with donate=False"
)


def fresh():
    model = nn.Dense(2, 1)
    return training.TrainState(model, *lux.setup(0, model), OPTIMIZER)


def donated():
    """A state before a donated step, the parameters it was made of, and the state after it."""
    model = nn.Dense(2, 1)
    ps, st = lux.setup(0, model)
    before = training.TrainState(model, ps, st, OPTIMIZER)
    after = training.single_train_step(AD, LOSS, DATA, before, donate=True)[3]
    return before, ps, after


def test_the_same_step_with_and_without_donation():
    kept, given, last = fresh(), fresh(), fresh()
    for tstate, donate in ((kept, False), (given, True), (last, False)):
        training.single_train_step(AD, LOSS, DATA, tstate, donate=donate)
    assert given.flat[1][0].is_deleted()
    assert not any(leaf.is_deleted() for leaf in (*kept.flat[1], *last.flat[1]))


USES = {
    "compute_gradients": lambda t: training.compute_gradients(AD, LOSS, DATA, t),
    "apply_gradients": lambda t: training.apply_gradients(t, fresh().parameters),
    "single_train_step": lambda t: training.single_train_step(AD, LOSS, DATA, t),
    "donated step": lambda t: training.single_train_step(AD, LOSS, DATA, t, donate=True),
    "train_steps": lambda t: training.train_steps(AD, LOSS, DATA, t, steps=2),
    "fit": lambda t: training.fit(t, LOSS, DATA, steps=2, progress=False),
    "minimise": lambda t: training.minimise(t, LOSS, DATA, steps=2, progress=False),
    "parameters": lambda t: t.parameters,
    "states": lambda t: t.states,
    "step": lambda t: t.step,
    "replace": lambda t: t.replace(step=3),
    "adjust": lambda t: training.adjust(t, learning_rate=1e-3),
    "with_optimizer": lambda t: t.with_optimizer(optax.sgd(0.1)),
    "tree": jax.tree.leaves,
    "jit": jax.jit(lambda t: t.step),
    "pickle": pickle.dumps,
    "testmode": lux.testmode,
}


@pytest.fixture(scope="module")
def gone():
    return donated()[0]


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_every_use_of_a_donated_state_says_what_to_do(gone, use):
    with pytest.raises(training.DonatedStateError, match=GONE):
        use(gone)


def test_donated_state_is_not_saved(gone, tmp_path):
    with pytest.raises(training.DonatedStateError, match=GONE):
        training.save_checkpoint(tmp_path / "state.ckpt", {}, tstate=gone)
    assert not list(tmp_path.iterdir())


def test_donated_state_prints_that_it_is(gone):
    assert repr(gone) == "TrainState(Dense(2, 1), 3 parameters, given to a step with donate=True)"


def test_state_made_of_donated_parameters_is_refused():
    before, ps, after = donated()
    with pytest.raises(training.DonatedStateError, match=GONE):
        training.TrainState(before.model, ps, lux.Record(), optax.sgd(0.1))
    # What shares arrays with a state goes with it.
    sibling = after.replace(step=5)
    training.apply_gradients(after, jax.tree.map(jnp.ones_like, after.parameters), donate=True)
    with pytest.raises(training.DonatedStateError, match=GONE):
        training.single_train_step(AD, LOSS, DATA, sibling)


def test_deleted_data_are_not_taken_for_a_donated_state():
    x = jnp.ones((4, 2), jnp.float32)
    x.delete()
    with pytest.raises(RuntimeError, match="deleted") as caught:
        training.single_train_step(AD, LOSS, (x, DATA[1]), fresh())
    assert not isinstance(caught.value, training.DonatedStateError)


def test_state_without_donation_is_used_twice_and_survives_copy_and_pickle():
    model = nn.Dense(2, 1)
    picklable = optax.GradientTransformation(_no_state, _unchanged)
    tstate = training.TrainState(model, *lux.setup(0, model), picklable)
    training.single_train_step(AD, LOSS, DATA, tstate)
    training.single_train_step(AD, LOSS, DATA, tstate)
    for twin in (pickle.loads(pickle.dumps(tstate)), copy.deepcopy(tstate)):
        assert_same_bits(twin.trees, tstate.trees)
        assert twin.model == model


def _no_state(parameters):
    return ()


def _unchanged(updates, state, parameters=None):
    return updates, state
