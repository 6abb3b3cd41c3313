from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.core.layers import Running

any_precision = pytest.mark.any_precision

X = jnp.asarray([[1.0, 2.0], [0.5, 3.0]], jnp.float32)
MODEL = nn.Chain(nn.Dense(2, 2), nn.Chain(nn.Dense(2, 2, nn.tanh), nn.Dense(2, 1)))
BOTH = [lambda f: f, jax.jit]


class Returns(lux.Layer):
    """A layer that returns whatever its function makes of `(x, st)`."""

    function: Any

    def initial_states(self, key, dtype):
        return lux.Record(mean=jnp.zeros(2, dtype))

    def __call__(self, x, ps, st):
        return self.function(x, st)


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def gradient(model):
    return jax.grad(lambda x, ps, st: jnp.sum(model(x, ps, st)[0]), (0, 1))


def raises(text):
    # JAX makes a ValueError of it where a compiled program is called for the second time.
    return pytest.raises((RuntimeError, ValueError), match=text)


def run(f, *args):
    return jax.block_until_ready(f(*args))


@any_precision
def test_debug_mode_wraps_leaves_and_keeps_the_trees():
    debug = nn.debug_mode(MODEL, nan_check="forward", error_check=False)
    options = {"nan_check": "forward", "error_check": False}
    wrap = lambda layer: nn.DebugLayer(layer, **options)
    inner = nn.Chain(wrap(nn.Dense(2, 2, nn.tanh)), wrap(nn.Dense(2, 1)))
    assert debug == nn.Chain(wrap(nn.Dense(2, 2)), inner)
    assert jax.tree.structure(made(debug)) == jax.tree.structure(made(MODEL))
    ps, _ = made(MODEL)
    np.testing.assert_array_equal(made(debug)[0].layer_1.weight, ps.layer_1.weight)


@any_precision
@pytest.mark.parametrize("nan_check", ["both", "forward", "backward", "none"])
def test_debug_mode_changes_no_value_and_no_gradient(nan_check, dtype):
    debug = nn.debug_mode(MODEL, nan_check=nan_check)
    ps, st = made(MODEL, dtype)
    x = X.astype(dtype)
    np.testing.assert_array_equal(debug(x, ps, st)[0], MODEL(x, ps, st)[0])
    got, want = gradient(debug)(x, ps, st), gradient(MODEL)(x, ps, st)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_array_equal(a, b)


@any_precision
def test_debug_mode_lets_forward_mode_and_higher_orders_through(dtype):
    debug = nn.debug_mode(MODEL)
    ps, st = made(MODEL, dtype)
    x = X[0].astype(dtype)
    eps = float(jnp.finfo(dtype).eps)
    for second in (
        jax.hessian,
        lambda f: jax.jacrev(jax.jacfwd(f)),
        lambda f: jax.jacrev(jax.grad(f)),
    ):
        got, want = (
            jax.jit(second(lambda x, m=model: m(x, ps, st)[0][0]))(x) for model in (debug, MODEL)
        )
        np.testing.assert_allclose(got, want, rtol=32 * eps, atol=eps)


@any_precision
@pytest.mark.parametrize("transform", BOTH)
def test_forward_check_names_the_layer_and_what_is_not_finite(transform):
    ps, st = made(MODEL)
    debug = transform(nn.debug_mode(MODEL))
    with raises(r"`Dense` \(at `layer_1`\): the input is not finite\."):
        run(debug, X.at[0, 1].set(jnp.nan), ps, st)
    bad = ps.layer_2 | {
        "layer_2": ps.layer_2.layer_2 | {"bias": jnp.asarray([jnp.inf], jnp.float32)}
    }
    with raises(r"`Dense` \(at `layer_2.layer_2`\): the parameter `bias` is not finite\."):
        run(debug, X, ps | {"layer_2": bad}, st)


@any_precision
@pytest.mark.parametrize("transform", BOTH)
def test_forward_check_names_output_and_states(transform):
    root = nn.Chain(nn.NoOpLayer(), jnp.sqrt)
    with raises(r"`WrappedFunction` \(at `layer_2`\): the output is not finite\."):
        run(transform(nn.debug_mode(root)), -X, *made(root))
    running = nn.Chain(Running(2), nn.NoOpLayer())
    ps, st = made(running)
    st = lux.update_state(st, "mean", jnp.asarray([0.0, jnp.nan], jnp.float32))
    with raises(r"`Running` \(at `layer_1`\): the state `mean` is not finite\."):
        run(transform(nn.debug_mode(running)), X[0], ps, st)
    model = nn.Chain(Returns(lambda x, st: (x, st | {"mean": jnp.log(st.mean)})))
    with raises(r"`Returns` \(at `layer_1`\): the new state `mean` is not finite\."):
        run(transform(nn.debug_mode(model)), X, *made(model))


def test_the_first_layer_with_a_bad_number_is_named():
    model = nn.debug_mode(nn.Chain(nn.NoOpLayer(), jnp.log, nn.Dense(2, 2)))
    with raises(r"`WrappedFunction` \(at `layer_2`\): the output is not finite"):
        run(jax.jit(model), -X, *made(model))


@any_precision
@pytest.mark.parametrize("transform", BOTH)
@pytest.mark.parametrize("nan_check", ["both", "backward"])
def test_backward_check_names_the_layer_where_a_gradient_breaks(transform, nan_check):
    # The root is finite at zero, its derivative is not.
    model = nn.Chain(nn.Dense(2, 2), jnp.sqrt, nn.Dense(2, 1))
    ps, st = made(model)
    ps = ps | {"layer_1": jax.tree.map(jnp.zeros_like, ps.layer_1)}
    debug = nn.debug_mode(model, nan_check=nan_check)
    assert jnp.isfinite(run(transform(debug), X, ps, st)[0]).all()
    with raises(r"`WrappedFunction` \(at `layer_2`\): the cotangent of the input is not finite\."):
        run(transform(gradient(debug)), X, ps, st)


@any_precision
@pytest.mark.parametrize("transform", BOTH)
def test_backward_check_names_a_cotangent_from_outside_and_of_a_parameter(transform):
    model = nn.debug_mode(nn.Chain(nn.Dense(2, 2)), nan_check="backward")
    ps, st = made(model)
    loss = lambda x, ps: jnp.sum(model(x, ps, st)[0]) * jnp.inf
    with raises(r"`Dense` \(at `layer_1`\): the cotangent of the output is not finite\."):
        run(transform(jax.grad(loss)), X, ps)

    class Root(nn.NoOpLayer):
        def initial_parameters(self, key, dtype):
            return lux.Record(scale=jnp.zeros((), dtype))

        def __call__(self, x, ps, st):
            return x * jnp.sqrt(ps.scale), st

    model = nn.debug_mode(nn.Chain(Root()))
    loss = lambda ps: jnp.sum(model(X, ps, lux.Record(layer_1=lux.Record()))[0])
    with raises(r"`Root` \(at `layer_1`\): the cotangent of the parameter `scale` is not finite"):
        run(transform(jax.grad(loss)), made(model)[0])


@pytest.mark.parametrize("nan_check", ["both", "forward"])
def test_a_value_that_the_gradient_does_not_need_is_checked_all_the_same(nan_check):
    # The gradient of a sum of a linear layer needs no value, so that XLA drops all of them.
    model = nn.debug_mode(nn.Chain(nn.NoOpLayer(), lambda x: 2 * x), nan_check=nan_check)
    bad = X.at[0, 0].set(jnp.nan)
    f = jax.jit(jax.grad(lambda x: jnp.sum(model(x, *made(model))[0])))
    np.testing.assert_array_equal(f(X), 2 * jnp.ones_like(X))
    with raises("the input is not finite"):
        run(f, bad)


def test_each_check_looks_at_its_own_direction_alone():
    root = nn.Chain(jnp.sqrt)
    zero = jnp.zeros((1, 2), jnp.float32)
    trees = made(root)
    assert jnp.isinf(run(gradient(nn.debug_mode(root, nan_check="forward")), zero, *trees)[0]).all()
    backward = nn.debug_mode(root, nan_check="backward")
    assert jnp.isnan(run(backward, zero - 1, *trees)[0]).all()
    assert jnp.isinf(run(gradient(nn.debug_mode(root, nan_check="none")), zero, *trees)[0]).all()


def test_outside_debug_mode_nothing_is_added():
    ps, st = made(MODEL)
    program = lambda model: str(jax.make_jaxpr(lambda ps: model(X, ps, st)[0])(ps))
    assert program(nn.debug_mode(MODEL, nan_check="none")) == program(MODEL)
    assert "watch_cotangent" in program(nn.debug_mode(MODEL))


@any_precision
def test_debug_mode_works_inside_loops_batches_and_training(dtype):
    debug = nn.RepeatedLayer(nn.debug_mode(nn.Dense(2, 2, nn.tanh)), 3)
    ps, st = made(debug, dtype)
    x = X.astype(dtype)
    assert run(jax.jit(jax.vmap(lambda x: debug(x, ps, st)[0])), x).shape == (2, 2)
    with raises("`Dense`: the input is not finite"):
        run(jax.jit(debug), x.at[0, 0].set(jnp.inf), ps, st)
    tstate = training.TrainState(debug, ps, st, optax.adam(1e-2))
    step = lambda tstate, y: training.single_train_step(
        training.AutoReverse(), losses.MSELoss(), (x, y), tstate
    )
    seen = []
    for _ in range(20):
        _, loss, _, tstate = step(tstate, jnp.zeros_like(x))
        seen.append(float(loss))
    assert seen[-1] < seen[0]
    with raises("`Dense`: the cotangent of the output is not finite"):
        run(lambda: step(tstate, jnp.full_like(x, jnp.nan))[1])


def test_error_check_asks_every_layer_for_its_states_structure():
    class Forgets(lux.Layer):
        """A container that repairs what its layer does to the state."""

        layer: Any

        def __call__(self, x, ps, st):
            return lux.apply(self.layer, x, ps.layer, st.layer)[0], st

    model = Forgets(Returns(lambda x, st: (x, lux.Record())))
    trees = made(model)
    model(X, *trees)
    text = (
        r"`Returns` \(at `layer`\) returned a state unlike the one it got, at `mean`: expected fl"
    )
    with pytest.raises(lux.StateStructureError, match=text):
        nn.debug_mode(model)(X, *trees)
    nn.debug_mode(model, error_check=False)(X, *trees)


def test_shape_errors_have_the_path_as_they_do_without():
    debug = nn.debug_mode(MODEL)
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1`\) expects the last axis of `x`"):
        debug(jnp.ones((2, 3), jnp.float32), *made(MODEL))


def test_integers_keys_and_layers_without_output_are_let_pass():
    model = nn.debug_mode(nn.Chain(Running(2), lambda x: ()))
    y, st = model(X[0], *made(model))
    assert y == () and st.layer_1.count == 1
    counts = nn.debug_mode(nn.NoOpLayer())
    np.testing.assert_array_equal(counts(jnp.arange(3), *made(counts))[0], [0, 1, 2])


def test_unknown_check_is_an_error():
    text = '`DebugLayer` expects `nan_check` to be "both", "forward", "backward" or "none", got'
    with pytest.raises(ValueError, match=text):
        nn.debug_mode(MODEL, nan_check="always")
