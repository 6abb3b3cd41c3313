import copy
import typing

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, precision, training
from sciml_lux.training.steps._loss_dtype import check_loss_dtype
from tests.conftest import needs_x32, needs_x64
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

MSE = losses.MSELoss()


def by_hand(tstate, data):
    """Gradient and loss of a Dense(1, 1) under the squared error."""
    x, y = (np.asarray(a, np.float64) for a in data)
    w, b = np.asarray(tstate.parameters.weight, np.float64), np.asarray(tstate.parameters.bias)
    error = x @ w.T + b - y
    return (2 * error * x).mean(), (2 * error).mean(), (error**2).mean()


def test_gradients_and_loss_agree_with_hand_computation(dtype):
    tstate, data = tiny_state(dtype, model=nn.Dense(1, 1)), line_data(dtype)
    grads, loss, stats, same = training.compute_gradients(AD, MSE, data, tstate)
    of_weight, of_bias, value = by_hand(tstate, data)
    rtol = 1e-12 if dtype == jnp.float64 else 1e-5
    np.testing.assert_allclose(grads.weight[0, 0], of_weight, rtol=rtol)
    np.testing.assert_allclose(grads.bias[0], of_bias, rtol=rtol)
    np.testing.assert_allclose(loss, value, rtol=rtol)
    assert len(stats) == 0 and int(same.step) == 0


def test_apply_gradients_takes_one_step_of_descent(dtype):
    tstate, data = tiny_state(dtype, optax.sgd(0.5), nn.Dense(1, 1)), line_data(dtype)
    grads, *_ = training.compute_gradients(AD, MSE, data, tstate)
    moved = training.apply_gradients(tstate, grads)
    want = tstate.parameters.weight - 0.5 * grads.weight
    np.testing.assert_allclose(moved.parameters.weight, want, rtol=1e-6)
    assert int(moved.step) == 1 and int(tstate.step) == 0


def test_single_step_equals_gradients_then_update(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    grads, loss, _, fused = training.single_train_step(AD, MSE, data, tstate)
    apart_grads, apart_loss, _, apart = training.compute_gradients(AD, MSE, data, tstate)
    apart = training.apply_gradients(apart, apart_grads)
    tolerance = {"rtol": 64 * jnp.finfo(dtype).eps, "atol": 1e-7}
    np.testing.assert_allclose(loss, apart_loss, **tolerance)
    for left, right in zip(
        jax.tree.leaves((fused, grads)), jax.tree.leaves((apart, apart_grads)), strict=True
    ):
        np.testing.assert_allclose(left, right, **tolerance)


def test_loss_belongs_to_the_parameters_before_the_step(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    want = MSE(tstate.model(data[0], tstate.parameters, tstate.states)[0], data[1])
    _, loss, _, _ = training.single_train_step(AD, MSE, data, tstate)
    np.testing.assert_allclose(loss, want, rtol=1e-5)


def test_gradients_can_be_left_out(dtype):
    grads, *_ = training.single_train_step(
        AD, MSE, line_data(dtype), tiny_state(dtype), return_gradients=False
    )
    assert grads is None


@pytest.mark.parametrize("optimizer", [optax.adam(1e-2), optax.sgd(0.1, momentum=0.9)])
def test_training_keeps_every_dtype(optimizer, dtype):
    tstate = before = tiny_state(dtype, optimizer)
    for _ in range(3):
        _, loss, _, tstate = training.single_train_step(AD, MSE, line_data(dtype), tstate)
    assert loss.dtype == dtype
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(tstate), strict=True):
        assert old.dtype == new.dtype and old.shape == new.shape


def test_equal_models_and_losses_trace_once(dtype):
    traces = []

    class Traced(lux.Layer):
        dims: int

        def initial_parameters(self, key, dtype):
            return lux.Record(weight=jnp.ones(self.dims, dtype))

        def __call__(self, x, ps, st):
            traces.append(1)
            return x * ps.weight[None], st

    optimizer = optax.sgd(0.1)
    data = jnp.ones((2, 1), dtype), jnp.zeros((2, 1), dtype)
    for _ in range(3):
        tstate = tiny_state(dtype, optimizer, nn.Chain(Traced(1)))
        for _ in range(2):
            _, _, _, tstate = training.single_train_step(
                training.AutoReverse(), losses.MSELoss(), data, tstate
            )
    assert len(traces) == 1


def test_states_advance_and_stats_come_back(dtype):
    class Counter(lux.Layer):
        def initial_parameters(self, key, dtype):
            return lux.Record(weight=jnp.ones((), dtype))

        def initial_states(self, key, dtype):
            return lux.Record(count=jnp.zeros((), jnp.int32), key=key)

        def __call__(self, x, ps, st):
            key, _ = jax.random.split(st.key)
            return x * ps.weight, st | {"count": st.count + 1, "key": key}

    def objective(model, ps, st, x):
        y, st = model(x, ps, st)
        return jnp.sum(y * y), st, {"largest": jnp.max(y)}

    tstate = tiny_state(dtype, model=Counter())
    for _ in range(2):
        _, _, stats, tstate = training.single_train_step(AD, objective, jnp.ones(3, dtype), tstate)
    assert int(tstate.states.count) == 2 and stats["largest"] < 1


class Pair(typing.NamedTuple):
    weight: jax.Array
    bias: jax.Array


class TenLines(lux.Layer):
    dims: int

    def initial_parameters(self, key, dtype):
        return lux.Record(shift=jnp.zeros(self.dims, dtype), scale=jnp.ones(self.dims, dtype))

    def __call__(self, x, ps, st):
        return x * ps.scale[None] + ps.shift[None], st


class NotALayer:
    """Keeps the contract without subclassing."""

    def initial_parameters(self, key, dtype):
        return {"weight": jnp.ones((1, 1), dtype)}

    def initial_states(self, key, dtype):
        return {}

    def __call__(self, x, ps, st):
        return x @ ps["weight"], st


def own_trees(layer, wrap, dtype):
    ps, st = lux.setup(jax.random.key(0), layer, dtype=dtype)
    return layer, wrap(ps), st


@pytest.mark.parametrize(
    ("layer", "wrap"),
    [
        (TenLines(1), lambda ps: ps),
        (NotALayer(), lambda ps: ps),
        (nn.Chain(NotALayer(), nn.Dense(1, 1)), lambda ps: ps),
        (nn.Dense(1, 1), lambda ps: Pair(ps.weight, ps.bias)),
        (nn.Chain(nn.Dense(1, 4, nn.tanh), nn.Dense(4, 1)), lux.ComponentArray),
    ],
    ids=["ten lines", "no subclass", "no subclass in a chain", "NamedTuple", "ComponentArray"],
)
def test_users_own_layers_and_parameter_types_train(layer, wrap, dtype):
    tstate = training.TrainState(*own_trees(layer, wrap, dtype), optax.adam(5e-2))
    kind = type(tstate.parameters)
    result = training.fit(tstate, MSE, line_data(dtype), steps=60, progress=False)
    assert result.losses[-1] < 0.75 * result.losses[0]
    assert type(result.tstate.parameters) is kind


def test_component_array_trains_to_the_same_parameters_as_a_record(dtype):
    model = nn.Chain(nn.Dense(1, 4, nn.tanh), nn.Dense(4, 1))
    found = []
    for wrap in (lambda ps: ps, lux.ComponentArray):
        tstate = training.TrainState(*own_trees(model, wrap, dtype), optax.adam(1e-2))
        for _ in range(3):
            _, _, _, tstate = training.single_train_step(AD, MSE, line_data(dtype), tstate)
        found.append(tstate.parameters)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == jnp.float32 else {"rtol": 1e-12}
    for left, right in zip(
        jax.tree.leaves(found[0]), jax.tree.leaves(found[1].as_record()), strict=True
    ):
        np.testing.assert_allclose(left, right, **tolerance)


@needs_x64
def test_adam_in_float64_follows_longdouble():
    tstate, data = tiny_state(jnp.float64, optax.adam(1e-2), nn.Dense(1, 1)), line_data(jnp.float64)
    x, y = (np.asarray(a, np.longdouble) for a in data)
    p = np.asarray([tstate.parameters.weight[0, 0], tstate.parameters.bias[0]], np.longdouble)
    m, v = np.zeros(2, np.longdouble), np.zeros(2, np.longdouble)
    b1, b2 = np.longdouble(0.9), np.longdouble(0.999)
    for k in range(1, 51):
        error = x * p[0] + p[1] - y
        g = np.asarray([(2 * error * x).mean(), (2 * error).mean()])
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        p = p - np.longdouble(1e-2) * (m / (1 - b1**k)) / (np.sqrt(v / (1 - b2**k)) + 1e-8)
        _, _, _, tstate = training.single_train_step(AD, MSE, data, tstate)
    found = np.asarray([tstate.parameters.weight[0, 0], tstate.parameters.bias[0]])
    np.testing.assert_allclose(found, p.astype(float), rtol=1e-12)


def test_gradients_like_no_parameters_name_the_first_path(dtype):
    tstate = tiny_state(dtype)
    grads = tstate.parameters | {"layer_2": lux.Record(weight=jnp.ones((1, 4), dtype))}
    text = r"`grads` to be a tree like the parameters, at `layer_2.bias`: .* got nothing"
    with pytest.raises(lux.StateStructureError, match=text):
        training.apply_gradients(tstate, grads)


def test_objective_that_is_no_scalar_is_an_error(dtype):
    with pytest.raises(TypeError, match=r"must return a scalar loss, got float..\[8,1\]. Take the"):
        training.single_train_step(
            AD, losses.MSELoss(agg=None), line_data(dtype), tiny_state(dtype)
        )


def test_optimizer_gets_only_the_extra_arguments_that_its_update_takes(dtype):
    found = []

    def taking(updates, state, params=None, *, value):
        found.append(value.dtype)
        return updates, state

    picky = optax.GradientTransformationExtraArgs(lambda ps: optax.EmptyState(), taking)
    training.single_train_step(AD, MSE, line_data(dtype), tiny_state(dtype, picky))
    assert set(found) == {dtype}

    sam = optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.01), sync_period=2)
    data, tstate = line_data(dtype), tiny_state(dtype, sam)
    result = training.fit(tstate, MSE, data, steps=40, progress=False)
    assert result.losses[-1] < 0.5 * result.losses[0]


def loss_in(loss_dtype):
    def objective(model, ps, st, data):
        y, st = model(data[0], ps, st)
        return jnp.mean((y - data[1]).astype(loss_dtype) ** 2), st, {}

    return objective


@pytest.mark.parametrize("ad", [AD, training.AutoForward(), training.AutoFiniteDiff()])
@pytest.mark.parametrize(("wide", "narrow"), [("float32", "bfloat16"), ("float64", "float32")])
def test_loss_in_fewer_digits_than_the_parameters_is_an_error(ad, wide, narrow):
    if wide == "float64" and not precision.internal.x64_enabled():
        pytest.skip("speaks of float64")
    data, tstate = line_data(wide), tiny_state(wide)
    text = rf"digits of the parameters, {wide} or wider, got {narrow}: .* Remove the cast"
    with pytest.raises(TypeError, match=text):
        training.compute_gradients(ad, loss_in(narrow), data, tstate)
    with pytest.raises(TypeError, match=text):
        training.single_train_step(ad, loss_in(narrow), data, tstate)
    with pytest.raises(TypeError, match=text):
        training.train_steps(ad, loss_in(narrow), data, tstate, steps=2)
    for optimizer in (optax.adam(1e-2), optax.lbfgs()):
        with pytest.raises(TypeError, match=text):
            switched = tstate.with_optimizer(optimizer)
            training.fit(switched, loss_in(narrow), data, steps=2, ad=ad, progress=False)


def test_loss_in_more_digits_than_the_parameters_trains():
    data, tstate = line_data(jnp.float16), tiny_state(jnp.float16, optax.sgd(1e-2))
    grads, loss, _, _ = training.single_train_step(AD, loss_in(jnp.float32), data, tstate)
    assert loss.dtype == jnp.float32 and grads.layer_1.weight.dtype == jnp.float16


def test_loss_dtype_is_held_against_the_widest_parameter(dtype):
    complex_ = jnp.complex128 if dtype == jnp.float64 else jnp.complex64
    ps = {"narrow": jnp.ones(1, jnp.float16), "wide": jnp.ones(1, complex_), "n": jnp.arange(1)}
    check_loss_dtype(jnp.ones((), dtype), ps)
    check_loss_dtype(jnp.ones((), jnp.int32), {"n": jnp.arange(1)})
    for narrow in ("bfloat16", "int32"):
        with pytest.raises(TypeError, match=f"{dtype.name} or wider, got {narrow}"):
            check_loss_dtype(jnp.ones((), narrow), ps)


def test_optimizer_that_changes_its_state_is_an_error(dtype):
    odd = optax.GradientTransformation(
        init=lambda ps: {"a": jnp.zeros(())}, update=lambda g, s, ps: (g, {"b": jnp.zeros(())})
    )
    with pytest.raises(lux.StateStructureError, match="optimiser's state differs at `a`"):
        training.single_train_step(AD, MSE, line_data(dtype), tiny_state(dtype, odd))


@needs_x64
def test_gradient_of_another_dtype_names_the_leaf():
    """JAX lets a custom_vjp return a float32 cotangent for a float64 parameter."""

    @jax.custom_vjp
    def square(w):
        return w * w

    square.defvjp(lambda w: (w * w, w), lambda w, ct: ((2 * ct * w).astype(jnp.float32),))

    def objective(model, ps, st, data):
        return jnp.sum(square(ps.weight)), st, {}

    tstate = tiny_state(jnp.float64, model=nn.Dense(1, 1))
    text = (
        r"the gradient differs at `weight`: expected float64\[1,1\], got float32\[1,1\]. Look for"
    )
    with pytest.raises(lux.StateStructureError, match=text):
        training.single_train_step(AD, objective, None, tstate)


@needs_x64
def test_update_of_another_dtype_names_the_leaf():
    """optax.apply_updates would cast it to the parameter's dtype in silence."""
    wide = optax.GradientTransformation(
        init=lambda ps: {},
        update=lambda g, s, ps: (jax.tree.map(lambda a: a * np.float64(0.1), g), s),
    )
    text = r"update differs at `layer_1.weight`: expected float32\[4,1\], got float64\[4,1\]"
    with pytest.raises(lux.StateStructureError, match=text):
        training.single_train_step(AD, MSE, line_data(jnp.float32), tiny_state(jnp.float32, wide))


@needs_x64
def test_state_of_another_dtype_names_the_leaf():
    class Drifts(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(mean=jnp.zeros((), dtype))

        def __call__(self, x, ps, st):
            return x, st | {"mean": st.mean.astype(jnp.float64)}

    model = nn.Chain(Drifts(), nn.Dense(1, 1))
    text = r"at `layer_1.mean`: expected float32\[\], got float64\[\]"
    with pytest.raises(lux.StateStructureError, match=text):
        training.fit(
            tiny_state(jnp.float32, model=model),
            MSE,
            line_data(jnp.float32),
            steps=1,
            progress=False,
        )


@needs_x32
def test_float64_numpy_data_with_x64_off_names_the_switch():
    data = np.ones((8, 1)), np.ones((8, 1))
    for step in (training.single_train_step, training.compute_gradients):
        with pytest.raises(
            TypeError, match=r"`data`\[0\], a NumPy array, is float64, but jax_enable"
        ):
            step(AD, MSE, data, tiny_state(jnp.float32))


def test_same_bits_helper_sees_one_bit():
    one = jnp.asarray(1.0, jnp.float32)
    with pytest.raises(AssertionError):
        assert_same_bits(one, jnp.nextafter(one, jnp.asarray(2.0, jnp.float32)))


def test_arguments_in_another_order_name_the_order(dtype):
    with pytest.raises(TypeError, match=r"AutoReverse\(\), got MSELoss\(\). The order is"):
        training.single_train_step(MSE, AD, line_data(dtype), tiny_state(dtype))
    with pytest.raises(TypeError, match="AutoReverse"):
        training.single_train_step(training.AutoReverse, MSE, line_data(dtype), tiny_state(dtype))


def test_train_state_copies_as_itself(dtype):
    tstate = tiny_state(dtype)
    assert copy.copy(tstate) is tstate
