"""Options that are not numbers, or not such numbers: errors when the layer is built."""

import decimal
import re

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import nn, ode, setup

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
LAYERS = {
    "NeuralODE": lambda **options: ode.NeuralODE(nn.Dense(2, 2), (0.0, 1.0), **options),
    "UDE": lambda **options: ode.UDE(
        lambda t, u, physics, terms: terms.rest(u), {"rest": nn.Dense(2, 2)}, (0.0, 1.0), **options
    ),
}
NOT_NUMBERS = ["1e-3", True, 1e-3j, [1e-3], (1e-3, 1e-3), decimal.Decimal("1e-3"), nn.tanh]
ARRAYS = [np.array(1e-3), np.array([1e-3, 1e-4]), jnp.ones((), jnp.float32), np.bool_(True)]


@pytest.mark.parametrize("layer", list(LAYERS))
@pytest.mark.parametrize("option", ["rtol", "atol", "dt0"])
def test_what_is_not_a_number_is_refused_by_name(layer, option):
    for value in [*NOT_NUMBERS, *ARRAYS, *([] if option == "dt0" else [None])]:
        limit = "" if option == "dt0" else " above 0"
        text = f"`{layer}` expects `{option}` to be a number{limit}, got {value!r}."
        with pytest.raises(TypeError, match=f"^{re.escape(text)}") as error:
            LAYERS[layer](**{option: value})
        assert str(error.value).endswith("Write float(array).") == hasattr(value, "shape")


@pytest.mark.parametrize("option", ["rtol", "atol", "dt0"])
def test_traced_number_is_refused_by_name(option):
    text = f"`NeuralODE` expects `{option}` to be a number.*, got .*Tracer"
    with pytest.raises(TypeError, match=text):
        jax.jit(lambda x: LAYERS["NeuralODE"](**{option: x}) and 0)(1e-3)


@pytest.mark.parametrize("option", ["rtol", "atol"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "to be a number above 0, got 0"),
        (-1e-3, "to be a number above 0, got -0.001"),
        (float("nan"), "to be a number above 0, got nan"),
        (float("inf"), "to be finite, got inf"),
        (10**400, "to be finite, got 1000"),
    ],
)
def test_tolerance_out_of_range_is_refused(option, value, text):
    with pytest.raises(ValueError, match=f"`NeuralODE` expects `{option}` {text}"):
        LAYERS["NeuralODE"](**{option: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400, -(10**400)])
def test_first_step_that_is_not_finite_is_refused(value):
    text = (
        f"`NeuralODE` expects `dt0` to be {'a number' if str(value) == 'nan' else 'finite'}, got "
    )
    with pytest.raises(ValueError, match=text):
        LAYERS["NeuralODE"](dt0=value)


def test_relative_tolerance_above_all_of_the_state_is_refused():
    with pytest.raises(ValueError, match="`NeuralODE` expects `rtol` to be at most 1, .* got 1e"):
        LAYERS["NeuralODE"](rtol=1e30)


def test_more_steps_than_int32_counts_are_refused():
    with pytest.raises(ValueError, match="`max_steps` to be at most 2147483647, .*got 2147483648"):
        LAYERS["NeuralODE"](max_steps=2**31)


@pytest.mark.parametrize(
    ("option", "value", "dtype"),
    [("atol", 1e-60, "float32"), ("atol", 1e-8, "float16"), ("dt0", 1e-60, "float32")],
)
def test_number_that_vanishes_in_the_dtype_of_the_state_is_refused(option, value, dtype):
    node = LAYERS["NeuralODE"](**({"rtol": 1e-3, "atol": 1e-3} | {option: value}))
    ps, st = setup(jax.random.key(0), node, dtype=dtype)
    text = f"`NeuralODE` has {option}={value}, which is 0 in {dtype}. Enlarge `{option}`, or take"
    with pytest.raises(ValueError, match=re.escape(text)):
        node(jnp.zeros(2, dtype), ps, st)


def test_max_steps_and_throw_of_another_kind_are_refused():
    for value in (None, "3", 3.0, True):
        text = f"`NeuralODE` expects `max_steps` to be an integer of at least 1, got {value!r}"
        with pytest.raises(TypeError, match=re.escape(text)):
            LAYERS["NeuralODE"](max_steps=value)
    for value in (None, "no", 1):
        text = f'`NeuralODE` expects `throw` to be True, False or "callback", got {value!r}'
        with pytest.raises(TypeError, match=re.escape(text)):
            LAYERS["NeuralODE"](throw=value)


@pytest.mark.parametrize("value", [1, 1e-3, np.float32(0.5), np.float64(1e-3), np.int64(1)])
def test_numbers_of_python_and_numpy_are_taken(value):
    layer = LAYERS["NeuralODE"](rtol=value, atol=value, dt0=value)
    assert layer.rtol == layer.atol == layer.dt0 == float(value)


@pytest.mark.parametrize(
    "times", [("0", "1"), "01", (False, True), (0j, 1j), np.asarray([0, 1], "M8[Y]")]
)
def test_times_that_numpy_would_make_numbers_of_are_refused(times):
    for option in ("tspan", "saveat"):
        options = {"tspan": (0.0, 1.0)} | {option: times}
        with pytest.raises(TypeError, match=f"`NeuralODE` expects `{option}` to be numbers, got"):
            ode.NeuralODE(nn.Dense(2, 2), **options)


@pytest.mark.parametrize("value", ["2", None, True, ["2"], [True], []])
def test_positive_of_what_is_not_a_number_is_refused(value):
    text = f"`Positive` expects `initial` to be a number above 0, got {value!r}"
    with pytest.raises(TypeError, match=re.escape(text)):
        ode.Positive(value)


def test_fixed_steps_without_a_size_are_an_error():
    with pytest.raises(ValueError, match="Euler has fixed steps; pass their size as `dt0`"):
        LAYERS["NeuralODE"](solver=diffrax.Euler())


def test_model_that_is_not_a_layer_is_an_error():
    with pytest.raises(
        TypeError, match="`NeuralODE` expects `model` to be a layer such as .* got 3"
    ):
        ode.NeuralODE(3, (0.0, 1.0))


def test_option_without_a_hash_is_compared_by_identity():
    controllers = [diffrax.PIDController(rtol=1e-3, atol=np.ones(2)) for _ in range(2)]
    one, same, other = (
        LAYERS["NeuralODE"](stepsize_controller=controller)
        for controller in [controllers[0], controllers[0], controllers[1]]
    )
    assert one == same and hash(one) == hash(same) and one.method == same.method
    assert one != other and repr(one.method) == repr(other.method)


@pytest.mark.parametrize(
    "solver",
    [diffrax.KenCarp5(), diffrax.SemiImplicitEuler(), diffrax.ItoMilstein(), diffrax.ShARK()],
    ids=lambda solver: type(solver).__name__,
)
def test_solver_of_several_terms_is_refused(solver):
    text = f"expects `solver` to be one for du/dt = f(t, u), got {type(solver).__name__}, which"
    with pytest.raises(ValueError, match=f"^`NeuralODE` {re.escape(text)} takes several terms"):
        LAYERS["NeuralODE"](solver=solver, dt0=0.1)


@pytest.mark.parametrize("value", [np.array([1e-3, -1e-3]), float("nan"), {"a": float("inf")}, -1])
@pytest.mark.parametrize("option", ["rtol", "atol"])
def test_tolerances_of_a_controller_are_numbers_from_0(option, value):
    text = f"`Method` expects `{option}` of its `stepsize_controller` to be finite and at least 0"
    controller = diffrax.PIDController(**{"rtol": 1e-3, "atol": 1e-3, option: value})
    with pytest.raises(ValueError, match=text):
        ode.Method(stepsize_controller=controller)


def decay(t, u, rate):
    return -rate * u


def with_tolerance(tolerance, rate):
    """u(1), by a controller that holds the tolerance, which may be traced."""
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    problem = ode.Problem(jnp.ones((), "float32"), tspan=(0.0, 1.0))
    method = ode.Method(stepsize_controller=controller)
    return ode.solve(decay, problem, rate, method=method).ys[-1]


def test_traced_tolerances_of_a_controller_do_not_outlive_the_trace():
    """What was compiled for `decay` is kept with it, but not with a tracer inside."""
    tolerances, rate = jnp.asarray([1e-2, 1e-5], "float32"), jnp.ones((), "float32")
    with jax.checking_leaks():
        batch = jax.jit(jax.vmap(with_tolerance, (0, None)))(tolerances, rate)
        by_tolerance, by_rate = jax.jit(jax.grad(with_tolerance, (0, 1)))(tolerances[1], rate)
    np.testing.assert_allclose([by_tolerance, by_rate], [0.0, -np.exp(-1)], rtol=1e-4)
    alone = [with_tolerance(float(tolerance), rate) for tolerance in tolerances]
    # Of the error, from which steps follow, the sums of a batch may round otherwise.
    np.testing.assert_allclose(batch, alone, rtol=1e-5)
