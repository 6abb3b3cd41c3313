import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from sciml_lux import precision, training
from sciml_lux.training import schedules
from sciml_lux.training.optimisers._optimizer_audit import check_optimizer
from tests.conftest import needs_x64
from tests.training.models import tiny_state

pytestmark = pytest.mark.any_precision
RAW = optax.exponential_decay(0.013, 10, 0.9)
LOSING = {
    "exponential schedule": lambda: optax.adam(optax.exponential_decay(0.1, 10, 0.9)),
    "one-cycle schedule": lambda: optax.adam(optax.cosine_onecycle_schedule(50, 0.1)),
    "MultiSteps": lambda: optax.MultiSteps(optax.adam(1e-2), 3).gradient_transformation(),
    "NumPy float32 rate": lambda: optax.adam(np.float32(1e-2)),
    "JAX float32 rate": lambda: optax.adam(jnp.float32(1e-2)),
    "line search": lambda: optax.lbfgs(RAW),
    "line search, accumulated": lambda: training.multi_steps(optax.lbfgs(RAW), 2),
    "momo": lambda: optax.contrib.momo_adam(RAW),
    "plateau": lambda: optax.chain(optax.adam(RAW), optax.contrib.reduce_on_plateau()),
    "Polyak step": lambda: optax.chain(optax.polyak_sgd(0.1), optax.scale_by_schedule(RAW)),
}
CLEAN = {
    "adam": lambda: optax.adam(1e-2),
    "exact schedule": lambda: optax.adam(schedules.exponential_decay(0.1, 10, 0.9)),
    "cosine": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 50)),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
    "multi_steps": lambda: training.multi_steps(optax.adam(1e-2), 3),
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "lbfgs": optax.lbfgs,
    "momo": lambda: optax.contrib.momo_adam(0.013),
    "plateau": lambda: optax.chain(optax.adam(0.013), optax.contrib.reduce_on_plateau()),
    "Polyak step": lambda: optax.polyak_sgd(0.1),
}
TWO_DTYPES = {"wide": np.ones(2, np.float64), "narrow": np.ones(2, np.float32)}


@needs_x64
@pytest.mark.parametrize("name", sorted(LOSING))
def test_optimizer_that_loses_digits_is_warned_about(name):
    text = "`TrainState`: the optimiser loses digits .* schedules as training.schedules"
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(jnp.float64, LOSING[name]())


@needs_x64
@pytest.mark.parametrize("wrap", [lambda schedule: schedule, training.exact_schedule])
def test_cast_in_a_schedule_of_the_users_is_told_with_its_line(wrap):
    def casting(count):
        return 0.5 * count.astype(jnp.float32)

    line = casting.__code__.co_firstlineno + 1
    text = rf"parameters: at .*test_optimizer_audit.py:{line} .* Otherwise remove the"
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(jnp.float64, optax.adam(wrap(casting)))


@needs_x64
@pytest.mark.parametrize(
    "make",
    [
        lambda: optax.adafactor(0.013),
        lambda: optax.contrib.madgrad(0.013),
        lambda: optax.contrib.schedule_free_adamw(0.01, warmup_steps=7),
        lambda: optax.adam(0.013, mu_dtype=jnp.float32),
    ],
)
def test_optimizer_that_itself_loses_digits_has_another_remedy(make):
    text = r"parameters: inside optax [^;]*\. Give .* set its dtype argument, such as mu_dty"
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(jnp.float64, make())


@needs_x64
def test_optimizer_that_loses_digits_is_an_error_in_mode_error():
    with (
        precision.match_eltype("error"),
        pytest.raises(
            precision.EltypeMismatchError, match=r"integer to float \(int32 -> float32\)"
        ),
    ):
        tiny_state(jnp.float64, LOSING["exponential schedule"]())


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_clean_optimizer_passes_in_silence(name, dtype):
    with precision.match_eltype("error"):
        tiny_state(dtype, CLEAN[name]())


@pytest.mark.parametrize("name", ["exponential schedule", "MultiSteps"])
def test_float32_parameters_have_nothing_to_lose(name):
    tiny_state(jnp.float32, LOSING[name]())


@needs_x64
@pytest.mark.parametrize("name", sorted(LOSING))
def test_optimizer_is_audited_with_parameters_of_two_dtypes(name):
    with pytest.warns(training.OptimizerPrecisionWarning, match="loses digits"):
        check_optimizer(LOSING[name](), TWO_DTYPES)


@needs_x64
@pytest.mark.parametrize("name", sorted(CLEAN))
def test_clean_optimizer_with_parameters_of_two_dtypes_passes_in_silence(name):
    check_optimizer(CLEAN[name](), TWO_DTYPES)


def test_optimizer_that_a_step_cannot_call_is_told_by_the_mode(dtype):
    text = (
        r"`TrainState`: the optimiser's update cannot be traced, .* obj_fn must be provided.* a "
        "training step gives it `value`, `grad` and `value_fn`"
    )
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(dtype, optax.contrib.sophia(1e-2))
    with (
        precision.match_eltype("error"),
        pytest.raises(precision.EltypeMismatchError, match=text),
    ):
        tiny_state(dtype, optax.contrib.sophia(1e-2))


@pytest.mark.parametrize("make", [optax.adam, optax.rmsprop, optax.adabelief])
def test_constant_that_is_0_in_float16_is_told(make):
    text = r"`TrainState`: the optimiser has constants that are 0 in float16, .*: 1e-.* eps=1e-4"
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(jnp.float16, make(1e-2))
    with (
        precision.match_eltype("error"),
        pytest.raises(precision.EltypeMismatchError, match=text),
    ):
        tiny_state(jnp.float16, make(1e-2))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optax.adam(1e-2, eps=1e-4),
        lambda: optax.adam(1e-2, mu_dtype=jnp.float32, eps=1e-4),
        lambda: optax.sgd(1e-2, momentum=0.9),
    ],
)
def test_constants_that_float16_has_pass_in_silence(optimizer):
    with precision.match_eltype("error"):
        tiny_state(jnp.float16, optimizer())


@pytest.mark.parametrize("half", [jnp.float16, jnp.bfloat16])
def test_moments_of_half_precision_may_be_in_float32(half):
    tstate = tiny_state(half, optax.adam(1e-2, eps=1e-4, mu_dtype=jnp.float32))
    grads = jax.tree.map(lambda p: jnp.full_like(p, 0.5), tstate.parameters)
    moved = training.apply_gradients(tstate, grads)
    for old, new in zip(*map(jax.tree.leaves, (tstate.parameters, moved.parameters)), strict=True):
        assert new.dtype == half
        # The first step of Adam has the size of its rate.
        want = (np.asarray(old, np.float32) - np.float32(1e-2 / (1 + 2e-4))).astype(half)
        found, want = np.asarray(new, np.float32), np.asarray(want, np.float32)
        np.testing.assert_allclose(found, want, rtol=float(jnp.finfo(half).eps))
