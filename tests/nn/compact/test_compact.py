"""Compact layers: what the body computes, and that it is a layer like any other."""

import copy
import dataclasses
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, ode, precision, training
from tests.conftest import needs_x64
from tests.core.layers import Running

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32, seed=0):
    return lux.setup(jax.random.key(seed), layer, dtype=dtype)


def mlp(width=4):
    @nn.compact(
        w1=nn.Dense(1, width),
        w2=[nn.Dense(width, width) for _ in range(3)],
        w3=nn.Dense(width, 1),
        act=nn.relu,
    )
    def net(m, x):
        x = m.act(m.w1(x))
        for w in m.w2:
            x = m.act(w(x))
        return m.w3(x)

    return net


@nn.compact(w=jnp.asarray([1.0, 2.0], jnp.float32), inner=nn.Dense(2, 2), kinds=("a", 1))
def decorated(m, x):
    """Found by name when it is pickled."""
    return m.inner(x) * jnp.broadcast_to(m.w, x.shape)


def plain(m, x):
    return x * m.w


class Tagged(nn.CompactLuxLayer):
    """A class to dispatch on."""


@any_precision
def test_linear_regression_with_ones():
    model = nn.compact(lambda m, x: m.w * x, w=jnp.ones(3, jnp.float32))
    ps, st = made(model)
    y, new = model(jnp.asarray([1.0, 2.0, 3.0], jnp.float32), ps, st)
    np.testing.assert_array_equal(y, [1.0, 2.0, 3.0])
    assert new is st and len(st) == 0 and lux.parameter_length(model) == 3
    gradient = jax.grad(lambda x: jnp.sum(model(x, ps, st)[0]))(jnp.ones(3, jnp.float32))
    np.testing.assert_array_equal(gradient, ps.w)


def test_bias_and_activation_make_a_dense(dtype):
    @nn.compact(weight=jnp.ones((3, 5), dtype), bias=jnp.zeros(3, dtype), act=nn.relu)
    def dense(m, x):
        return m.act(x @ m.weight.T + jnp.broadcast_to(m.bias, (*x.shape[:-1], 3)))

    ps, st = made(dense, dtype)
    assert lux.parameter_length(dense) == 18
    x = jnp.arange(10, dtype=dtype).reshape(2, 5) - 4
    np.testing.assert_array_equal(dense(x, ps, st)[0], nn.Dense(5, 3, nn.relu)(x, ps, st)[0])


@any_precision
def test_multilayer_perceptron_with_a_list_equals_the_chain():
    net = mlp()
    ps, st = made(net)
    assert list(ps) == ["w1", "w2", "w3"] and list(ps.w2) == ["layer_1", "layer_2", "layer_3"]
    assert not np.array_equal(ps.w2.layer_1.weight, ps.w2.layer_2.weight)
    hidden = {f"layer_{i}": nn.Dense(4, 4, nn.relu) for i in (2, 3, 4)}
    chain = nn.Chain(nn.Dense(1, 4, nn.relu), *hidden.values(), nn.Dense(4, 1))
    same = zip(hidden, ps.w2.values(), strict=True)
    chain_ps = lux.Record(layer_1=ps.w1, **dict(same), layer_5=ps.w3)
    x = jnp.linspace(-1.0, 1.0, 7, dtype=jnp.float32)[:, None]
    np.testing.assert_array_equal(net(x, ps, st)[0], chain(x, chain_ps, made(chain)[1])[0])


@any_precision
def test_state_counter_in_a_call_a_scan_and_under_jit():
    @nn.compact(incr=1, total=0.0)
    def scaled(m, x):
        m.incr *= 10
        m.total = m.total + 0.5
        return x * m.total

    ps, st = made(scaled)
    assert st.incr == 1 and st.incr.dtype == jnp.int32 and st.total.dtype == jnp.float32
    y, once = scaled(jnp.ones(2, jnp.float32), ps, st)
    assert once.incr == 10 and y.dtype == jnp.float32
    _, twice = jax.jit(scaled)(jnp.ones(2, jnp.float32), ps, once)
    assert twice.incr == 100 and twice.total == 1.0 and st.incr == 1
    step = lambda st, x: scaled(x, ps, st)[::-1]
    last, ys = jax.lax.scan(step, st, jnp.ones((3, 2), jnp.float32))
    assert last.incr == 1000 and ys.shape == (3, 2)


def test_the_second_call_of_a_sub_layer_sees_the_state_after_the_first():
    model = nn.compact(lambda m, x: m.counter(m.counter(x)), counter=Running(2))
    ps, st = made(model)
    _, new = model(jnp.ones(2, jnp.float32), ps, st)
    assert new.counter.count == 2 and st.counter.count == 0
    testing = lux.testmode(st)
    assert model(jnp.ones(2, jnp.float32), ps, testing)[1] is testing


def test_states_of_layers_in_lists_and_dicts_are_threaded():
    @nn.compact(some=[Running(2), Running(2)], others={"a": Running(2)})
    def model(m, x):
        for layer in (*m.some, m.some[0], m.others.a):
            x = layer(x)
        return m.others["a"](x)

    ps, st = made(model)
    st = model(jnp.ones(2, jnp.float32), ps, st)[1]
    assert [int(s.count) for s in st.some.values()] == [2, 1] and st.others.a.count == 2


def test_third_argument_is_ps_and_a_sub_layer_takes_other_parameters():
    def field(m, x, ps):
        assert ps.model.weight is m.model.ps.weight
        return m.model(x, jax.tree.map(lambda leaf: 2 * leaf, ps.model)) - 2 * m.model(x)

    model = nn.compact(field, model=nn.Dense(2, 2))
    np.testing.assert_array_equal(model(jnp.ones(2, jnp.float32), *made(model))[0], [0.0, 0.0])


def test_hypernetwork_whose_core_has_no_parameters_of_its_own():
    class HyperNet(nn.CompactLuxLayer):
        def initial_parameters(self, key, dtype):
            return lux.Record(
                generator=dict(self.layers)["generator"].initial_parameters(key, dtype)
            )

    @nn.compact(generator=nn.Dense(1, 6), core=nn.Dense(2, 2), dispatch=HyperNet)
    def net(m, inputs):
        x, y = inputs
        flat = m.generator(x)
        return m.core(y, lux.Record(weight=flat[:4].reshape(2, 2), bias=flat[4:]))

    assert isinstance(net, HyperNet)
    ps, st = made(net)
    assert list(ps) == ["generator"]
    inputs = jnp.ones(1, jnp.float32), jnp.ones(2, jnp.float32)
    assert net(inputs, ps, st)[0].shape == (2,)


def test_several_inputs_are_a_tuple():
    @nn.compact(w=nn.Dense(2, 1))
    def model(m, inputs):
        x, y = inputs
        return m.w(x) + y

    ps, st = made(model)
    y, _ = model((jnp.ones((3, 2), jnp.float32), jnp.ones((3, 1), jnp.float32)), ps, st)
    assert y.shape == (3, 1)


def test_compact_layers_nest_and_errors_name_the_path():
    inner = nn.compact(lambda m, x: m.b(m.a(x)), a=nn.Dense(2, 2), b=nn.Dense(2, 2))
    outer = nn.Chain(nn.compact(lambda m, x: m.rest[1](m.net(x)), net=inner, rest=[mlp(), mlp()]))
    ps, st = made(outer)
    assert list(ps.layer_1.net) == ["a", "b"]
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1.net.a`\) expects the last axis"):
        outer(jnp.ones((3, 5), jnp.float32), ps, st)
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1.rest.layer_2.w1`\) expects"):
        outer(jnp.ones((3, 2), jnp.float32), ps, st)


@pytest.mark.parametrize("container", [list, tuple])
def test_arrays_in_lists_are_parameters_as_given(container):
    weights = [jnp.full((2, 2), v, jnp.float16) for v in (1.0, 2.0)]
    model = nn.compact(lambda m, x: m.w[1] @ (m.w[0] @ x), w=container(weights))
    ps, st = made(model)
    assert list(ps.w) == ["array_1", "array_2"] and ps.w.array_2.dtype == jnp.float16
    np.testing.assert_array_equal(model(jnp.ones(2, jnp.float16), ps, st)[0], [8.0, 8.0])
    vector = lux.ComponentArray(ps)
    np.testing.assert_array_equal(model(jnp.ones(2, jnp.float16), vector, st)[0], [8.0, 8.0])


@needs_x64
def test_parameters_keep_their_dtype_and_states_theirs():
    @nn.compact(w=np.ones(2), h=nn.non_trainable(jnp.zeros(2, jnp.float16)), t=0.0, z=1j, on=True)
    def model(m, x):
        m.t += 1
        m.z = m.z * 2
        m.on = ~m.on
        return x * m.w

    ps, st = made(model, jnp.float32)
    assert ps.w.dtype == jnp.float64
    dtypes = {name: leaf.dtype.name for name, leaf in st.items()}
    assert dtypes == {"h": "float16", "t": "float32", "z": "complex64", "on": "bool"}
    assert made(model, jnp.float64)[1].z.dtype == jnp.complex128
    assert made(model, jnp.complex64)[1].t.dtype == jnp.complex64
    assert model(np.ones(2), ps, st)[1].t == 1.0


def test_policy_for_dtypes_covers_parameters_in_lists_and_spares_indices():
    halves = [jnp.ones(2, jnp.float16)]
    model = nn.compact(lambda m, x: x * m.w[0], w=halves)
    with pytest.raises(precision.EltypeMismatchError, match="`compact` has parameters of float16"):
        model(jnp.ones(2, jnp.bfloat16), *made(model))
    table = jnp.arange(6, dtype=jnp.float32).reshape(3, 2)
    pick = nn.compact(lambda m, i: m.table[i], table=table, takes_indices=True)
    np.testing.assert_array_equal(pick(jnp.asarray([2, 0]), *made(pick))[0], [[4, 5], [0, 1]])
    rows = nn.compact(lambda m, i: m.rows[0][i], rows=[table], takes_indices=True)
    np.testing.assert_array_equal(rows(jnp.asarray(1), *made(rows))[0], [2, 3])


@any_precision
def test_vmap_remat_and_gradient_of_a_stateful_model():
    net = nn.compact(lambda m, x: nn.tanh(m.scale * m.dense(x)), scale=2.0, dense=nn.Dense(2, 1))
    ps, st = made(net)
    x = jnp.ones((3, 2), jnp.float32)
    loss = lambda ps: jnp.sum(net(x, ps, st)[0])
    plain, saved = jax.grad(loss)(ps), jax.grad(jax.checkpoint(loss))(ps)
    np.testing.assert_allclose(plain.dense.weight, saved.dense.weight, rtol=1e-6)
    rows = jax.vmap(lambda x: net(x, ps, st)[0])(x)
    np.testing.assert_allclose(rows, net(x, ps, st)[0], rtol=1e-6)


def test_nothing_of_a_trace_outlives_it():
    net = nn.compact(lambda m, x: m.dense(m.running(x)), running=Running(2), dense=nn.Dense(2, 1))
    ps, st = made(net)
    kept = []

    def loss(ps, st):
        y, st = nn.compact(lambda m, x: kept.append(m) or m.net(x), net=net)(
            jnp.ones(2, jnp.float32), lux.Record(net=ps), lux.Record(net=st)
        )
        return jnp.sum(y), st

    with jax.checking_leaks():
        (_, new), _ = jax.jit(jax.value_and_grad(loss, has_aux=True))(ps, st)
    assert new.net.running.count == 1 and len(kept) == 1


def test_equal_models_share_one_compiled_program():
    ones = lambda: jnp.ones(3, jnp.float32)
    models = [nn.compact(plain, w=ones()) for _ in range(2)]
    traces = []

    @jax.jit
    def call(model, x, ps, st):
        traces.append(1)
        return model(x, ps, st)[0]

    for model in models:
        call(model, ones(), *made(model))
    assert len(traces) == 1 and models[0] == models[1] and hash(models[0]) == hash(models[1])
    assert models[0] != nn.compact(plain, w=2 * ones())
    assert models[0] != nn.compact(plain, w=ones().astype(jnp.float16))
    assert models[0] != nn.compact(plain, w=ones()[None])
    assert nn.compact(plain, w=1) != nn.compact(plain, w=1.0)


def test_initial_arrays_survive_donation():
    model = nn.compact(plain, w=np.asarray([1.0, 2.0], np.float32))
    ps, _ = made(model)
    np.testing.assert_array_equal(ps.w, [1.0, 2.0])
    jax.jit(lambda ps: jax.tree.map(lambda leaf: leaf * 0, ps), donate_argnums=0)(ps)
    np.testing.assert_array_equal(made(model)[0].w, [1.0, 2.0])


def test_initial_arrays_of_another_byte_order_are_refused():
    with pytest.raises(TypeError, match="`w` is an array of >f4, another byte order. Convert it"):
        nn.compact(plain, w=np.asarray([1.0, 2.0], ">f4"))


def test_decorated_functions_and_models_of_module_functions_pickle():
    assert pickle.loads(pickle.dumps(decorated)) is decorated is copy.deepcopy(decorated)
    model = nn.Chain(nn.compact(plain, w=jnp.ones(2, jnp.bfloat16), name="P"), decorated)
    assert pickle.loads(pickle.dumps(model)) == model
    renamed = dataclasses.replace(decorated, name="Renamed")
    assert pickle.loads(pickle.dumps(renamed)) == renamed != decorated
    tagged = nn.compact(plain, w=1, dispatch=Tagged)
    assert type(pickle.loads(pickle.dumps(tagged))) is Tagged
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object|<lambda>"):
        pickle.dumps(nn.compact(lambda m, x: x, w=1))


@any_precision
def test_stateful_lux_layer_of_a_compact_model():
    net = mlp()
    f = lux.StatefulLuxLayer(net, *made(net))
    assert jax.jacobian(f)(jnp.ones(1, jnp.float32)).shape == (1, 1)

    def count(m, x):
        m.count = m.count + 1
        return x

    f = lux.StatefulLuxLayer(*(model := nn.compact(count, count=0), *made(model)))
    with pytest.raises(lux.StateChangedError, match="`StatefulLuxLayer` of `count`"):
        f(jnp.ones(1, jnp.float32))
    assert f.call(jnp.ones(1, jnp.float32))[1].st.count == 1


@any_precision
def test_training_a_compact_model_lowers_the_loss(dtype):
    @nn.compact(hidden=nn.Dense(1, 8, nn.tanh), out=nn.Dense(8, 1), scale=jnp.ones((), dtype), n=0)
    def net(m, x):
        m.n = m.n + 1
        return m.scale * m.out(m.hidden(x))

    x = jnp.linspace(-2.0, 2.0, 21, dtype=dtype)[:, None]
    data = x, 2 * x - x**3
    ps, st = made(net, dtype)
    first = losses.MSELoss()(net(x, ps, st)[0], data[1])
    tstate = training.TrainState(net, ps, st, optax.adam(3e-2))
    for _ in range(100):
        _, loss, _, tstate = training.single_train_step(
            training.AutoReverse(), losses.MSELoss(), data, tstate
        )
    assert loss < first / 4 and tstate.states.n == 100
    assert tstate.parameters.scale.dtype == dtype and tstate.parameters.scale != 1


@any_precision
def test_compact_field_of_a_neural_ode_and_a_neural_ode_in_a_compact_model(dtype):
    decay = nn.compact(lambda m, u: -m.rate * u, rate=jnp.asarray(0.5, dtype))
    node = ode.NeuralODE(decay, (0.0, 2.0), rtol=1e-6, atol=1e-6)
    model = nn.compact(lambda m, u: m.head * m.node(u), node=node, head=jnp.asarray(3.0, dtype))
    ps, st = made(model, dtype)
    loss = lambda ps: jnp.sum(model(jnp.ones(1, dtype), ps, st)[0])
    y, gradient = jax.value_and_grad(loss)(ps)
    np.testing.assert_allclose(y, 3 * np.exp(-1.0), rtol=1e-5)
    np.testing.assert_allclose(gradient.node.rate, -6 * np.exp(-1.0), rtol=1e-4)
    np.testing.assert_allclose(gradient.head, np.exp(-1.0), rtol=1e-5)
