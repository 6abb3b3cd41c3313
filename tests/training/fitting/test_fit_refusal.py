"""What is not finite is named, and the last good state is kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import io, losses, nn, training
from sciml_lux.training.state import _finite
from tests.training.models import assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
start = functools.cache(tiny_state)


def fit(tstate, data, steps, objective=MSE, **options):
    return training.fit(tstate, objective, data, steps=steps, progress=False, **options)


def with_nan(dtype, *index, value=np.nan):
    x, y = line_data(dtype)
    return {"x": x.at[index].set(value), "y": y}


def by_name(model, ps, st, data):
    return MSE(model, ps, st, (data["x"], data["y"]))


def test_the_loss_is_named(dtype):
    def objective(model, ps, st, data):
        loss, st, stats = MSE(model, ps, st, data)
        return loss / 0.0, st, stats

    text = r"the loss is not finite at step 0, so the update was refused\. Lower the learning rate"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(start(dtype), line_data(dtype), 3, objective)
    assert isinstance(caught.value, FloatingPointError)
    assert_same_bits(caught.value.result.tstate, start(dtype))


def test_the_parameter_whose_gradient_is_not_finite_is_named(tmp_path, dtype):
    def objective(model, ps, st, data):  # √ has an infinite slope at 0, here from step 2 on.
        loss, st, stats = MSE(model, ps, st, data[:2])
        root = jnp.sqrt(jnp.sum(ps.layer_2.bias * 0) + jnp.where(data[2] < 2, 1, 0))
        return loss + root, st, stats

    x, y = line_data(dtype)
    text = r"the gradient of `layer_2.bias` is not finite at step 2, so the update was taken back: "
    text += r"the state is again that of step 1; the last good state is in .*ckpt\. Lower"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(
            start(dtype),
            lambda step: (x, y, step.astype(dtype)),
            9,
            objective,
            checkpoint=tmp_path,
            validation=(x, y, jnp.ones((), dtype)),
            validation_every=1,
        )
    result = caught.value.result
    assert len(result.losses) == int(result.tstate.step) == 1
    assert result.validation.steps.tolist() == [1]
    kept = io.load_checkpoint(tmp_path).restore(start(dtype), "tstate")
    assert_same_bits(kept, result.tstate)
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 1 + 2


def overflow_at(step, dtype):
    """Plain descent whose rate overflows at `step` and is usual before."""
    huge = float(jnp.finfo(dtype).max)
    return optax.sgd(lambda count: jnp.where(count < step, 1e-2, huge).astype(dtype))


@pytest.mark.parametrize("step", [0, 5])
def test_an_update_that_overflows_is_refused(tmp_path, dtype, step):
    tstate = tiny_state(dtype, overflow_at(step, dtype))
    data = jax.tree.map(lambda a: 100 * a, line_data(dtype))
    text = rf"the new `layer_\d.\w+` is not finite at step {step}, so the update was refused"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(tstate, data, 50, checkpoint=tmp_path)
    result = caught.value.result
    assert len(result.losses) == step
    assert_same_bits(result.tstate, fit(tstate, data, step).tstate)


def test_a_parameter_that_never_was_finite_is_left_alone(dtype):
    tstate = start(dtype)
    bias = tstate.parameters.layer_2.bias
    spared = tstate.parameters | {
        "layer_2": tstate.parameters.layer_2 | {"bias": jnp.full_like(bias, jnp.inf)}
    }

    def objective(model, ps, st, data):
        finite = ps | {"layer_2": ps.layer_2 | {"bias": jnp.zeros_like(bias)}}
        return MSE(model, finite, st, data)

    assert len(fit(tstate.replace(parameters=spared), line_data(dtype), 3, objective).losses) == 3


def test_the_entry_of_the_data_is_named(dtype):
    text = r"the loss is not finite at step 0, .* refused\. `data\['x'\]\[5, 0\]` is nan: correct"
    with pytest.raises(training.NonFiniteError, match=text):
        fit(start(dtype), with_nan(dtype, 5, 0), 3, by_name)
    with pytest.raises(training.NonFiniteError, match=r"`data\[1\]\[2, 0\]` is -?inf: correct the"):
        x, y = line_data(dtype)
        fit(start(dtype), (x, y.at[2, 0].set(-jnp.inf)), 3)


def test_the_entry_is_counted_in_the_whole_data_of_batches(dtype):
    batches = training.Batches(with_nan(dtype, 6, 0), 2, key=3)
    rows = np.asarray(jax.random.permutation(jax.random.fold_in(jax.random.key(3), 0), 8))
    step = int(np.argwhere(rows == 6)[0, 0]) // 2
    text = rf"the loss is not finite at step {step}, .*`data\['x'\]\[6, 0\]` is nan"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(start(dtype), batches, 9, by_name)
    assert len(caught.value.result.losses) == step


def test_the_entry_of_a_stream_is_named_with_its_batch(dtype):
    good, bad = with_nan(dtype, 0, 0, value=0.0), with_nan(dtype, 1, 0)
    with pytest.raises(
        training.NonFiniteError, match=r"at step 2, .*batch 2: `data\['x'\]\[1, 0\]` is nan"
    ):
        fit(start(dtype), iter([good, good, bad, good]), 9, by_name)


def test_data_that_is_masked_may_hold_nan(dtype):
    def objective(model, ps, st, data):
        known = jnp.isfinite(data["x"])
        x = jnp.where(known, data["x"], 0)
        return MSE(model, ps, st, (x, data["y"]))

    assert len(fit(start(dtype), with_nan(dtype, 5, 0), 3, objective).losses) == 3


def tall(dtype):
    """A number that `dtype` holds and whose square it does not."""
    return float(jnp.finfo(dtype).max) ** 0.5 * 1.7


def test_a_state_that_overflows_is_refused_with_the_entry(tmp_path, dtype):
    model = nn.Chain(nn.BatchNorm(1), nn.Dense(1, 1, nn.tanh))
    x = jnp.linspace(-1, 1, 8, dtype=dtype)[:, None]
    batches = training.Batches((x.at[5, 0].set(10 * tall(dtype)), x), 4, shuffle=False)
    text = (
        r"the new state `layer_1.running_var` is not finite at step 1, .*; the last good state is "
        r".*ckpt\. `data\[0\]\[5, 0\]` is \d.*e\+\d+, whose square float\d\d cannot hold: "
    )
    tstate = tiny_state(dtype, model=model)
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(tstate, batches, 9, checkpoint=tmp_path / "a.ckpt")
    good = caught.value.result
    assert len(good.losses) == 1 and bool(jnp.isfinite(good.tstate.states.layer_1.running_var))
    assert_same_bits(good.tstate, fit(tstate, batches, 1).tstate)
    kept = training.load_checkpoint(tmp_path / "a.ckpt").restore(tstate, "tstate")
    assert_same_bits(kept, good.tstate)


@pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning")
@pytest.mark.parametrize("step", [0, 7])
def test_a_state_of_the_optimiser_that_overflows_is_refused(dtype, step):
    """Adam goes on with steps of 0 where a second moment is infinite."""

    def objective(model, ps, st, data):
        loss, st, stats = MSE(model, ps, st, data[:2])
        return loss + data[2] * ps.layer_2.bias[0], st, stats

    x, y = line_data(dtype)
    slope = lambda now: jnp.where(now == step, tall(dtype), 0).astype(dtype)
    text = rf"`0.nu.layer_2.bias` in the new state of the optimiser is not finite at step {step}, "
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(
            tiny_state(dtype, optax.adam(0.1, b2=0.0)),
            lambda now: (x, y, slope(now)),
            50,
            objective,
        )
    assert len(caught.value.result.losses) == step


def test_a_state_that_is_infinite_for_one_step_is_refused_at_that_step(dtype):
    """However the steps are cut: it is finite again at the end of the compiled loop."""

    class Latest(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(largest=jnp.zeros((), dtype))

        def __call__(self, x, ps, st):
            return x, st | {"largest": jnp.max(x)}

    def objective(model, ps, st, data):
        (
            _,
            first,
        ) = model[0](data[0], ps.layer_1, st.layer_1)
        loss, st, stats = MSE(model, ps, st, (data[1], data[1]))
        return loss, st | {"layer_1": first}, stats

    x, _ = line_data(dtype)
    spike = lambda step: (jnp.where(step == 9, jnp.inf, x).astype(dtype), x)
    tstate = tiny_state(dtype, model=nn.Chain(Latest(), nn.Dense(1, 1)))
    text = r"new state `layer_1.largest` is not finite at step 9, .*`data\[0\]\[0, 0\]` is inf: "
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(tstate, spike, 60, objective)
    assert len(caught.value.result.losses) == 9


def test_what_an_optimiser_begins_as_infinite_may_be_so_again(dtype):
    """The best value of a plateau, and the errors of a line search."""
    plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=2))
    began = plateau.init({"w": jnp.zeros(1, dtype)})
    assert any(np.isinf(leaf).any() for leaf in jax.tree.leaves(began))
    for optimizer in (plateau, optax.lbfgs()):
        tstate = tiny_state(dtype, optimizer)
        first = fit(tstate, line_data(dtype), 5)
        watched = _finite.watched_leaves(first.tstate)
        names = [_finite.checked_names(tstate)[index] for index in watched]
        assert not any("best_value" in name or "error" in name for name in names)
        assert any("layer_1.weight" in name for name in names)
        assert len(fit(first, line_data(dtype), 5).losses) == 10
