import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import precision, training
from sciml_lux.training import schedules
from sciml_lux.training._optimizer_audit import check_optimizer
from tests.conftest import needs_x64
from tests.training.models import tiny_state

LOSING = {
    "exponential schedule": lambda: optax.adam(optax.exponential_decay(0.1, 10, 0.9)),
    "one-cycle schedule": lambda: optax.adam(optax.cosine_onecycle_schedule(50, 0.1)),
    "MultiSteps": lambda: optax.MultiSteps(optax.adam(1e-2), 3).gradient_transformation(),
    "NumPy float32 rate": lambda: optax.adam(np.float32(1e-2)),
    "JAX float32 rate": lambda: optax.adam(jnp.float32(1e-2)),
}
CLEAN = {
    "adam": lambda: optax.adam(1e-2),
    "exact schedule": lambda: optax.adam(schedules.exponential_decay(0.1, 10, 0.9)),
    "cosine": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 50)),
    "chain": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3)),
    "multi_steps": lambda: training.multi_steps(optax.adam(1e-2), 3),
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "lbfgs": optax.lbfgs,
}


@needs_x64
@pytest.mark.parametrize("name", sorted(LOSING))
def test_optimizer_that_loses_digits_is_warned_about(name):
    text = "`TrainState`: the optimiser loses digits .* schedules as training.schedules"
    with pytest.warns(training.OptimizerPrecisionWarning, match=text):
        tiny_state(jnp.float64, LOSING[name]())


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
def test_parameters_of_two_dtypes_pass_in_silence():
    ps = {"wide": jnp.ones(2, jnp.float64), "narrow": jnp.ones(2, jnp.float32)}
    check_optimizer(optax.adam(1e-2), ps, optax.adam(1e-2).init(ps))
