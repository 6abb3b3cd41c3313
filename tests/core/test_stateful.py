import copy
import pickle

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import (
    ComponentArray,
    Layer,
    Record,
    StateChangedError,
    StatefulLuxLayer,
    nn,
    setup,
    testmode,
)
from tests.core.layers import Returns, Running, Scale

X = jnp.asarray([1.0, 2.0], jnp.float32)
MLP = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1))
CHANGED = "`StatefulLuxLayer` of `Running`: the state changed in this call"


def mlp():
    return StatefulLuxLayer(MLP, *setup(0, MLP))


def running():
    return StatefulLuxLayer(Running(2), *setup(0, Running(2)))


def returns(function):
    return StatefulLuxLayer(Returns(function), *setup(0, Returns(function)))


def test_call_gives_y():
    f = mlp()
    np.testing.assert_array_equal(f(X), MLP(X, f.ps, f.st)[0])


def test_call_with_other_parameters():
    f = mlp()
    other = jax.tree.map(lambda v: 2 * v, f.ps)
    np.testing.assert_array_equal(f(X, other), MLP(X, other, f.st)[0])
    np.testing.assert_array_equal(f(X, ps=other), f(X, other))
    np.testing.assert_array_equal(f(X, ComponentArray(other)), f(X, other))


def test_call_without_parameters_raises():
    f = StatefulLuxLayer(MLP, None, mlp().st)
    text = r"`StatefulLuxLayer` of `Chain` holds no parameters; pass them: f\(x, ps\)\."
    with pytest.raises(TypeError, match=text):
        f(X)
    with pytest.raises(TypeError, match=text):
        f.call(X)
    np.testing.assert_array_equal(f(X, mlp().ps), mlp()(X))


def test_call_method_returns_the_next_function():
    f = running()
    y, g = f.call(X)
    _, h = g.call(X)
    np.testing.assert_array_equal(y, [0.0, 0.0])
    assert [f.st.count.item(), g.st.count.item(), h.st.count.item()] == [0, 1, 2]
    np.testing.assert_array_equal(h.st.mean, 2 * X)
    assert g.ps is f.ps and g.model is f.model


def test_call_method_with_other_parameters_keeps_its_own():
    f = mlp()
    _, g = f.call(X, jax.tree.map(jnp.zeros_like, f.ps))
    assert g.ps is f.ps


@pytest.mark.parametrize("name", ["ps", "st", "model", "other"])
def test_attributes_cannot_be_set(name):
    with pytest.raises(
        AttributeError, match=rf"`StatefulLuxLayer` is immutable: cannot set `{name}"
    ):
        setattr(mlp(), name, 1)


def test_dropping_a_changed_state_raises():
    with pytest.raises(
        StateChangedError, match=CHANGED + r" \(a value differs\), and f\(x\) would"
    ):
        running()(X)
    with pytest.raises(
        StateChangedError, match=r"Use `y, f = f.call\(x\)` to keep it, or testmode"
    ):
        running()(X)


def test_dropping_a_changed_state_raises_under_jit():
    with pytest.raises(StateChangedError, match=CHANGED):
        jax.jit(lambda f, x: f(x))(running(), X)
    f = running()
    with pytest.raises(StateChangedError, match=CHANGED):
        jax.jit(lambda x: 2 * f(x))(X)
    with pytest.raises(StateChangedError, match=CHANGED):
        jax.vmap(f)(X[None])


def test_changed_flag_raises_naming_it():
    f = returns(lambda x, ps, st: (x, st | {"mean": st.mean + 1}))
    with pytest.raises(StateChangedError, match=r"of `Returns`: .* \(a value differs\)"):
        f(X)


def test_unchanged_state_passes():
    f = testmode(running())
    np.testing.assert_array_equal(f(X), X)
    np.testing.assert_array_equal(jax.jit(lambda f, x: f(x))(f, X), X)


@pytest.mark.parametrize("start", [0.0, np.nan])
def test_state_rebuilt_with_equal_values_passes(start):
    f = returns(lambda x, ps, st: (x, Record(mean=jnp.copy(st.mean))))
    f = StatefulLuxLayer(f.model, f.ps, Record(mean=jnp.full(2, start, jnp.float32)))
    np.testing.assert_array_equal(f(X), X)


def test_bfloat16_state_rebuilt_with_equal_nan_passes():
    f = returns(lambda x, ps, st: (x, Record(mean=jnp.copy(st.mean))))
    f = StatefulLuxLayer(f.model, f.ps, Record(mean=jnp.full(2, np.nan, jnp.bfloat16)))
    np.testing.assert_array_equal(f(X), X)


def test_state_rebuilt_around_the_same_arrays_passes_under_jit():
    f = returns(lambda x, ps, st: (x, Record(mean=st.mean)))
    np.testing.assert_array_equal(jax.jit(lambda f, x: f(x))(f, X), X)


class KeyUser(Layer):
    advance: bool

    def initial_states(self, key, dtype):
        return Record(key=key)

    def __call__(self, x, ps, st):
        key = jax.random.fold_in(st.key, 1) if self.advance else jax.random.clone(st.key)
        return x, Record(key=key)


def test_random_keys_are_compared_by_their_data():
    f = StatefulLuxLayer(KeyUser(False), *setup(0, KeyUser(False)))
    np.testing.assert_array_equal(f(X), X)
    f = StatefulLuxLayer(KeyUser(True), *setup(0, KeyUser(True)))
    with pytest.raises(StateChangedError, match="`StatefulLuxLayer` of `KeyUser`"):
        f(X)


def test_call_leaks_no_tracer():
    f = running()
    with jax.checking_leaks():
        y, g = jax.jit(lambda f, x: f.call(x))(f, X)
        jax.grad(lambda x: jnp.sum(testmode(f)(x)))(X)
    np.testing.assert_array_equal(y, [0.0, 0.0])
    assert f.st.count.item() == 0 and g.st.count.item() == 1


def test_leaves_are_those_of_parameters_and_states():
    f = mlp()
    assert jax.tree.leaves(f)[0] is f.ps.layer_1.weight
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(f)]
    assert paths[0] == ".ps['layer_1']['weight']" and len(paths) == 4


def test_crosses_jit_as_an_argument_and_equal_models_share_a_trace():
    traces = []

    @jax.jit
    def forward(f, x):
        traces.append(1)
        return f(x)

    np.testing.assert_allclose(forward(mlp(), X), mlp()(X), rtol=1e-6)
    forward(mlp(), X)
    assert len(traces) == 1


def test_jit_of_the_function_itself():
    np.testing.assert_allclose(jax.jit(mlp())(X), mlp()(X), rtol=1e-6)


def test_gradient_for_the_function_is_the_gradient_for_its_parameters():
    f = mlp()
    by_f = jax.grad(lambda f: f(X)[0])(f)
    by_ps = jax.grad(lambda ps: MLP(X, ps, f.st)[0][0])(f.ps)
    assert type(by_f) is StatefulLuxLayer
    for left, right in zip(jax.tree.leaves(by_f.ps), jax.tree.leaves(by_ps), strict=True):
        np.testing.assert_array_equal(left, right)


def test_vmap_over_inputs_and_over_functions():
    f = mlp()
    xs = jnp.stack([X, 2 * X])
    np.testing.assert_allclose(jax.vmap(f)(xs), jnp.stack([f(X), f(2 * X)]), rtol=1e-6)
    g = jax.tree.map(lambda v: 2 * v, f)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), f, g)
    np.testing.assert_allclose(jax.vmap(lambda f: f(X))(both), jnp.stack([f(X), g(X)]), rtol=1e-6)


def test_scan_carries_the_function():
    def step(f, x):
        y, f = f.call(x)
        return f, y

    f, ys = jax.lax.scan(step, running(), jnp.stack([X, X, X]))
    assert f.st.count.item() == 3
    np.testing.assert_array_equal(ys, [[0.0, 0.0], -X, -2 * X])


def test_vector_field_of_one_euler_step():
    f = StatefulLuxLayer(Scale(2), Record(scale=jnp.asarray([2.0, -1.0], jnp.float32)), Record())
    term = diffrax.ODETerm(lambda t, y, args: args(y))
    h = jnp.asarray(0.25, jnp.float32)
    solution = diffrax.diffeqsolve(
        term, diffrax.Euler(), 0 * h, h, h, X, f, adjoint=diffrax.DirectAdjoint(), max_steps=2
    )
    assert solution.ys is not None
    np.testing.assert_allclose(solution.ys[0], [1.0 + 0.25 * 2.0, 2.0 - 0.25 * 2.0], rtol=1e-6)


def test_second_derivatives_match_the_closed_form(dtype):
    f = StatefulLuxLayer(MLP, *setup(1, MLP, dtype))
    x = jnp.asarray([0.3, -0.2], dtype)
    w, b = np.asarray(f.ps.layer_1.weight), np.asarray(f.ps.layer_1.bias)
    v = np.asarray(f.ps.layer_2.weight)[0]
    t = np.tanh(w @ np.asarray(x) + b)
    expected = np.einsum("k,k,ki,kj->ij", v, -2 * t * (1 - t**2), w, w)
    hessian = jax.hessian(lambda x: f(x)[0])(x)
    assert hessian.dtype == dtype
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    np.testing.assert_allclose(hessian, expected, rtol=tolerance, atol=tolerance)


def test_pickle_and_copies():
    f = mlp()
    for twin in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
        assert twin.model == f.model
        np.testing.assert_array_equal(twin(X), f(X))


def test_repr_shows_the_model():
    text = "StatefulLuxLayer(Chain(Dense(2, 3, tanh), Dense(3, 1)), ps, st)"
    assert repr(mlp()) == text


def test_numpy_memory_is_copied():
    ps, st = setup(0, Running(2))
    weight, mean = np.ones((1, 2), np.float32), np.ones(2, np.float32)
    f = StatefulLuxLayer(nn.Dense(2, 1, use_bias=False), Record(weight=weight), Record())
    running = StatefulLuxLayer(Running(2), ps, st | {"mean": mean})
    weight[:] = mean[:] = 7.0
    np.testing.assert_array_equal(f(jnp.ones(2, jnp.float32)), [2.0])
    np.testing.assert_array_equal(running.st.mean, [1.0, 1.0])
