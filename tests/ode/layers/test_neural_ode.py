import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, precision
from tests.conftest import X64, needs_x64
from tests.ode.models import Decay, Logistic, Returns, logistic

any_precision = pytest.mark.any_precision

TIGHT = {"rtol": 1e-10, "atol": 1e-10} if X64 else {}
EULER = {"solver": diffrax.Euler(), "dt0": 0.25}
TIMES = (0.0, 0.5, 1.0)


def made(node, dtype):
    return lux.setup(jax.random.key(0), node, dtype=dtype)


def test_solution_agrees_with_closed_form(dtype):
    node = ode.NeuralODE(Logistic(), (0.0, 2.0), saveat=(0.0, 0.3, 2.0), **TIGHT)
    ps, st = made(node, dtype)
    u0 = jnp.asarray([0.2, 0.9], dtype)
    us, _ = node(u0, ps, st)
    want = logistic(u0[None], ps.r, jnp.asarray([[0.0], [0.3], [2.0]], dtype))
    np.testing.assert_allclose(us, want, rtol=2e-9 if X64 else 2e-5)


@needs_x64
def test_gradient_agrees_with_closed_form_to_twelve_digits():
    node = ode.NeuralODE(
        Logistic(),
        (0.0, 2.0),
        solver=diffrax.Dopri8(),
        # Fixed steps: a controller at 1e-13 never gets past the noise of the contaminated twin.
        stepsize_controller=diffrax.ConstantStepSize(),
        dt0=0.05,
        max_steps=64,
    )
    ps, st = made(node, jnp.float64)
    u0 = jnp.asarray([0.2])

    def loss(u0, r):
        return jnp.sum(node(u0, lux.Record(r=r), st)[0])

    def reference(u0, r):
        return jnp.sum(logistic(u0, r, 2.0))

    found = jax.jit(jax.grad(loss, (0, 1)))(u0, ps.r)
    want = jax.grad(reference, (0, 1))(u0, ps.r)
    np.testing.assert_allclose(
        np.concatenate([found[0], found[1][None]]),
        np.concatenate([want[0], want[1][None]]),
        rtol=1e-12,
    )

    class Contaminated(Logistic):
        def __call__(self, u, ps, st):
            # XLA may leave out a cast to float32 and back.
            return super().__call__(jax.lax.reduce_precision(u, 8, 23), ps, st)

    twin = dataclasses.replace(node, model=Contaminated())
    wrong = jax.grad(lambda r: jnp.sum(twin(u0, lux.Record(r=r), st)[0]))(ps.r)
    assert abs(wrong / want[1] - 1) > 1e-10


@pytest.mark.filterwarnings("ignore:Complex dtype support in Diffrax")
@pytest.mark.parametrize("state", ["bfloat16", "float32"] + ["float64", "complex64"] * X64)
def test_state_and_clock_keep_the_dtype_of_the_state(state):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), saveat=TIMES, **EULER)
    real = {"complex64": "float32"}.get(state, state)
    ps, st = made(node, real)
    if state == "complex64":
        ps = lux.Record(rate=ps.rate.astype(state))
    u0 = jnp.ones(2, state)
    solution, _ = jax.eval_shape(node.solve, u0, ps, st)
    assert solution.ys.dtype == state and solution.ys.shape == (3, 2)
    assert solution.ts.dtype == real
    gradient = jax.eval_shape(jax.grad(lambda u: jnp.sum(node(u, ps, st)[0].real)), u0)
    assert gradient.dtype == state


@needs_x64
def test_float64_clock_has_all_its_digits():
    class Clock(lux.Layer):
        def __call__(self, tu, ps, st):
            t, u = tu
            return jnp.cos(t) * u, st

    node = ode.NeuralODE(
        Clock(), (0.0, 1.0), solver=diffrax.Dopri8(), rtol=1e-13, atol=1e-13, time_input=True
    )
    y, _ = node(jnp.ones(1), lux.Record(), lux.Record())
    np.testing.assert_allclose(y, np.exp(np.sin(1.0)), rtol=2e-14)


@any_precision
def test_time_input_concat_appends_the_time(dtype):
    field = nn.Dense(3, 2, use_bias=False)
    node = ode.NeuralODE(field, (0.0, 1.0), time_input="concat", solver=diffrax.Euler(), dt0=0.5)
    weight = jnp.asarray([[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]], dtype)
    y, _ = node(jnp.zeros((4, 2), dtype), lux.Record(weight=weight), lux.Record())
    np.testing.assert_allclose(y[0], [0.25, 0.5])  # Euler: 0.5 (0 + 0.5)


def test_output_is_the_end_without_saveat(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **EULER)
    y, _ = node(jnp.ones((4, 2), dtype), *made(node, dtype))
    np.testing.assert_allclose(y, np.full((4, 2), (1 - 0.7 / 4) ** 4), rtol=1e-5)


@any_precision
def test_backwards_in_time_undoes_forwards(dtype):
    there = ode.NeuralODE(Decay(), (0.0, 1.0), **TIGHT)
    back = ode.NeuralODE(Decay(), (1.0, 0.0), saveat=(1.0, 0.5, 0.0), **TIGHT)
    ps, st = made(there, dtype)
    u = jnp.asarray([0.3, 2.0], dtype)
    np.testing.assert_allclose(back(there(u, ps, st)[0], ps, st)[0][-1], u, rtol=1e-5)


@any_precision
def test_state_may_be_a_tree(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), saveat=TIMES, **EULER)
    u0 = {"a": jnp.ones(2, dtype), "b": jnp.ones((), dtype)}
    us, _ = node(u0, *made(node, dtype))
    assert us["a"].shape == (3, 2) and us["b"].shape == (3,)


@any_precision
def test_parameters_and_states_are_those_of_the_model(dtype):
    model = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 2))
    node = ode.NeuralODE(model, (0.0, 1.0))
    for ours, inner in zip(made(node, dtype), made(model, dtype), strict=True):
        assert jax.tree.structure(ours) == jax.tree.structure(inner)
        for left, right in zip(jax.tree.leaves(ours), jax.tree.leaves(inner), strict=True):
            np.testing.assert_array_equal(left, right)


@any_precision
def test_solve_reports_times_steps_and_result(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), saveat=TIMES, **EULER)
    solution, _ = node.solve(jnp.ones(2, dtype), *made(node, dtype))
    np.testing.assert_array_equal(solution.ts, TIMES)
    numbers = list(solution.stats.values())[:6]
    # Five evaluations: a look at the start, and one in each step of a quarter.
    assert [float(n) for n in numbers] == [4, 4, 0, 5, 0.25, 1]
    assert solution.stats.engine == lux.Static("lean")
    assert solution.stats.why_not_lean == lux.Static("")
    assert solution.result == ode.RESULTS.successful


def test_saveat_may_be_an_array_and_is_stored_as_floats():
    node = ode.NeuralODE(Decay(), (0, 1), saveat=np.linspace(0, 1, 3))
    assert node.saveat == (0.0, 0.5, 1.0) and node.tspan == (0.0, 1.0)
    assert node == ode.NeuralODE(Decay(), (0.0, 1.0), saveat=[0.0, 0.5, 1.0])


@any_precision
def test_node_is_a_layer_like_any_other(dtype):
    model = nn.Chain(
        nn.Dense(1, 2), ode.NeuralODE(nn.Dense(2, 2), (0.0, 1.0), **EULER), nn.Dense(2, 1)
    )
    ps, st = made(model, dtype)
    x = jnp.ones((4, 1), dtype)
    y, _ = jax.jit(lambda model, x, ps, st: model(x, ps, st))(model, x, ps, st)
    assert y.shape == (4, 1) and y.dtype == dtype
    rows = jax.vmap(lambda x: model(x, ps, st)[0])(x)
    np.testing.assert_allclose(rows, y, rtol=1e-5)


# ------------------------------------------------------------------------------------- errors


@any_precision
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"saveat": (0.0, 0.5, 0.4)},
            ValueError,
            r"`saveat` to be sorted from t0=0.0 to t1=1.0, got 0.5 before 0.4",
        ),
        ({"saveat": (0.0, 1.5)}, ValueError, r"`saveat` within `tspan` = \(0.0, 1.0\), got 1.5"),
        ({"saveat": (-0.5, 1.0)}, ValueError, r"`saveat` within `tspan` = \(0.0, 1.0\), got -0.5"),
        ({"saveat": ()}, ValueError, r"`saveat` to be a sequence of finite times, got \(\)"),
        ({"saveat": (0.0, float("nan"))}, ValueError, "`saveat` to be a sequence of finite times"),
        ({"saveat": "soon"}, TypeError, "`saveat` to be numbers, got 'soon'"),
        ({"tspan": (0.0, 1.0, 2.0)}, ValueError, r"`tspan` to be the pair \(t0, t1\), got"),
        ({"tspan": (0.0, float("inf"))}, ValueError, "`tspan` to be a sequence of finite times"),
        ({"rtol": 0.0}, ValueError, "`rtol` to be a number above 0, got 0.0"),
        ({"atol": -1e-3}, ValueError, "`atol` to be a number above 0, got -0.001"),
        ({"rtol": float("nan")}, ValueError, "`rtol` to be a number above 0, got nan"),
        ({"time_input": "append"}, ValueError, '`time_input` to be False, True or "concat", got'),
    ],
)
def test_bad_options_are_errors_when_the_layer_is_built(options, error, text):
    with pytest.raises(error, match=f"`NeuralODE` expects {text}"):
        ode.NeuralODE(Decay(), **({"tspan": (0.0, 1.0)} | options))


@any_precision
def test_traced_times_are_an_error():
    with pytest.raises(TypeError, match="`saveat` to be known when the layer is built"):
        jax.jit(lambda ts: ode.NeuralODE(Decay(), (0.0, 1.0), saveat=ts) and 0)(jnp.ones(2))
    with pytest.raises(TypeError, match="`tspan` to be known .* as data, in an ode.Problem"):
        jax.jit(lambda end: ode.NeuralODE(Decay(), (0.0, end)) and 0)(1.0)


@any_precision
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_state_that_is_not_finite_is_an_error(dtype, bad):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **EULER)
    u0 = {"a": jnp.ones(2, dtype), "b": jnp.asarray([1.0, bad], dtype)}
    with pytest.raises(
        ValueError, match="`NeuralODE`: the initial state is not finite at `b`, got"
    ):
        node(u0, *made(node, dtype))


def test_integer_state_is_taken_in_the_dtype_of_the_parameters(dtype):
    node = ode.NeuralODE(nn.Chain(nn.Dense(2, 2)), (0.0, 1.0), **EULER)
    assert node(jnp.ones(2, jnp.int32), *made(node, dtype))[0].dtype == dtype


def test_state_that_is_no_float_is_an_error():
    node = ode.NeuralODE(Returns("scalar"), (0.0, 1.0), **EULER)
    text = r"initial state to be floating or complex arrays, got int32\[2\] at `a`. Convert it"
    with pytest.raises(TypeError, match=text):
        node({"a": jnp.ones(2, jnp.int32)}, lux.Record(), lux.Record())


def test_state_of_two_dtypes_is_an_error():
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **EULER)
    u0 = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float16)}
    with pytest.raises(TypeError, match="initial state of one dtype, got .*float16 at `b`"):
        node(u0, *made(node, "float32"))


@needs_x64
def test_field_of_another_dtype_names_the_leaf():
    node = ode.NeuralODE(Returns("float32"), (0.0, 1.0), **EULER)
    text = r"return the shape and dtype of the state, expected float64\[2\], got float32"
    with pytest.raises(TypeError, match=text):
        node(jnp.ones(2), lux.Record(), lux.Record())


@needs_x64
def test_float64_parameters_with_float32_state_are_an_error():
    node = ode.NeuralODE(nn.Dense(2, 2), (0.0, 1.0), **EULER)
    ps, st = made(node, jnp.float64)
    text = r"dtype of the state, expected float32\[2\], got float64\[2\]. Give the parameters and"
    with pytest.raises(TypeError, match=text):
        node(jnp.ones(2, jnp.float32), ps, st)


@needs_x64
def test_field_names_the_leaf_of_another_dtype():
    class Widens(lux.Layer):
        def __call__(self, u, ps, st):
            return {"a": u["a"], "b": u["b"].astype(jnp.float64)}, st

    node = ode.NeuralODE(Widens(), (0.0, 1.0), **EULER)
    u0 = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float32)}
    with pytest.raises(
        TypeError, match=r"dtype of the state at `b`, expected float32\[2\], got float64"
    ):
        node(u0, lux.Record(), lux.Record())


@any_precision
def test_field_of_another_shape_is_an_error(dtype):
    node = ode.NeuralODE(Returns("scalar"), (0.0, 1.0), **EULER)
    with pytest.raises(
        ValueError, match=r"shape and dtype of the state, expected float..\[2\], got float..\[\]"
    ):
        node(jnp.ones(2, dtype), lux.Record(), lux.Record())


@any_precision
def test_field_of_another_tree_is_an_error(dtype):
    node = ode.NeuralODE(Returns("tree"), (0.0, 1.0), **EULER)
    with pytest.raises(ValueError, match="vector field must return a tree like the state"):
        node(jnp.ones(2, dtype), lux.Record(), lux.Record())


@any_precision
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"solver": "tsit5"}, TypeError, "`solver` to be a diffrax solver, such as .*got 'tsit5'"),
        ({"solver": diffrax.Euler}, TypeError, "`solver` to be a diffrax solver"),
        (
            {"adjoint": "x"},
            TypeError,
            "`adjoint` to be None, \"auto\", one of `ode`, such as .*got 'x'",
        ),
        ({"stepsize_controller": 3}, TypeError, "`stepsize_controller` to be None or a diffrax"),
        ({"max_steps": 0}, ValueError, "`max_steps` to be an integer of at least 1, got 0"),
        ({"max_steps": 2.5}, TypeError, "`max_steps` to be an integer of at least 1, got 2.5"),
        ({"dt0": -0.1}, ValueError, "`dt0` to lead from t0=0.0 towards t1=1.0, got -0.1"),
        ({"dt0": 0.0}, ValueError, "`dt0` to lead from t0=0.0 towards t1=1.0, got 0.0"),
        ({"time_input": 1, "dt0": None}, ValueError, "`time_input` to be False, True or"),
    ],
)
def test_options_of_another_kind_are_errors(options, error, text):
    with pytest.raises(error, match=text):
        ode.NeuralODE(Decay(), (0.0, 1.0), **options)


@pytest.mark.parametrize(
    ("state", "options"),
    [
        ("float32", {"tspan": (1e8, 1e8 + 1)}),
        ("float32", {"tspan": (1e7, 1e7 + 1.5)}),
        ("float32", {"tspan": (0.0, 3000.0), "saveat": (2000.0, 2000.00001, 2001.0)}),
        ("float16", {"tspan": (0.0, 1e5)}),
        ("bfloat16", {"tspan": (1e4, 1e4 + 1)}),
    ],
)
def test_times_that_the_clock_cannot_tell_apart_are_an_error(state, options):
    node = ode.NeuralODE(Decay(), solver=diffrax.Euler(), dt0=0.5, **options)
    text = f"`NeuralODE` cannot tell its times apart in {state}, the real dtype of the state"
    with pytest.raises(ValueError, match=text):
        node(jnp.ones(1, state), *made(node, state))


def test_tolerance_below_the_epsilon_of_the_dtype_may_still_be_met():
    node = ode.NeuralODE(Decay(), (0.0, 1.0), rtol=1e-8, atol=1e-8)
    ps, st = made(node, "float32")
    np.testing.assert_allclose(node(jnp.ones(1, jnp.float32), ps, st)[0], np.exp(-0.7), rtol=1e-6)


def test_tolerance_finer_than_the_dtype_is_an_error():
    node = ode.NeuralODE(Decay(), (0.0, 1.0))
    with pytest.raises(ValueError, match="rtol=1e-06, finer than float16 resolves"):
        node(jnp.ones(1, jnp.float16), *made(node, "float16"))


@any_precision
def test_adjoint_without_a_hash_is_held(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), adjoint=diffrax.BacksolveAdjoint(), rtol=1e-4)
    assert hash(node) == hash(node) and "Backsolve" in repr(node)
    ps, st = made(node, dtype)
    found = jax.grad(lambda r: node(jnp.ones(1, dtype), lux.Record(rate=r), st)[0][0])(ps.rate)
    np.testing.assert_allclose(found, -np.exp(-0.7), rtol=1e-3)


@any_precision
def test_summary_shows_the_solve_beside_its_field(dtype):
    model = nn.Chain(nn.Dense(1, 2), ode.NeuralODE(nn.Dense(2, 2), (0.0, 1.0), **EULER))
    rows = lux.summary(model, jax.ShapeDtypeStruct((4, 1), dtype)).rows
    assert [(row.path, row.layer) for row in rows] == [
        ("layer_1", "Dense(1, 2)"),
        ("layer_2", "Dense(2, 2)"),
        ("layer_2", "NeuralODE"),
    ]


@pytest.mark.parametrize("model", [nn.Dense(2, 2), nn.Chain(nn.Dense(2, 2))])
def test_state_of_another_dtype_than_the_model_warns_once_or_is_converted(model):
    node = ode.NeuralODE(model, (0.0, 1.0), **EULER)
    ps, st = jax.eval_shape(lambda: made(node, jnp.float16))
    solved = lambda: jax.eval_shape(node, jax.ShapeDtypeStruct((2,), jnp.float32), ps, st)[0]
    with precision.match_eltype("warn"):
        with pytest.warns(precision.EltypeMismatchWarning, match="^`Dense`.*float16") as caught:
            assert solved().dtype == jnp.float32
        assert len(caught) == 1
    with precision.match_eltype("convert"):
        assert solved().dtype == jnp.float16


@any_precision
def test_augmented_components_start_at_zero_and_come_last(dtype):
    node = ode.NeuralODE(nn.Dense(3, 3), (0.0, 1.0), saveat=(0.0, 1.0), augment=1)
    ps, st = made(node, dtype)
    u0 = jnp.asarray([[1.0, 2.0], [3.0, 4.0]], dtype)
    us, _ = node(u0, ps, st)
    plain = ode.NeuralODE(nn.Dense(3, 3), (0.0, 1.0), saveat=(0.0, 1.0))
    want, _ = plain(jnp.pad(u0, [(0, 0), (0, 1)]), ps, st)
    assert us.shape == (2, 2, 3) and us.dtype == dtype and not us[0, :, 2].any()
    np.testing.assert_array_equal(us, want)
    with pytest.raises(ValueError, match="augment=1 expects states with an axis of components"):
        node(jnp.ones((), dtype), ps, st)
    with pytest.raises(ValueError, match="`NeuralODE` expects `augment` to be an integer of at"):
        ode.NeuralODE(nn.Dense(3, 3), (0.0, 1.0), augment=-1)
