"""The identity table: `interpret` gives back each program of the library, to the equation."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, ode, precision, training
from sciml_lux.programs import bind, interpret
from tests.catalogue import LAYERS, LOSSES, OPS, SOLVES, example_input, split_floats
from tests.programs._same import first_difference

pytestmark = pytest.mark.any_precision
# A call with its own expansion is kept whole, so that programs can be compared.
IDENTITY = {"call_hi_primitive": bind}


def again(program):
    """A function of flat arguments that interprets `program` by the identity table."""
    return lambda *args: interpret(program, args, IDENTITY, default=bind)


def check_same(f, *args):
    """Compare the program of `f` and its interpretation; returns both as flat functions."""
    program = jax.make_jaxpr(f)(*args)
    leaves = jax.tree.leaves(args)
    assert first_difference(program, jax.make_jaxpr(again(program))(*leaves)) is None
    return program, leaves


def gradient(f):
    """The gradient of the sum of the floats that `f` returns, by all floating arguments."""

    def of(*args):
        leaves, rebuild = precision.internal.floating_leaves(args)

        def total(leaves):
            found = precision.internal.floating_leaves(f(*rebuild(leaves)))[0]
            sums = [jnp.sum(jnp.real(leaf)) for leaf in found]
            return sum(s.astype(precision.result_dtype(*sums)) for s in sums)

        return jax.grad(total)(leaves)

    return of


def listed(entries):
    return [pytest.param(entry, id=entry.name) for entry in entries]


@pytest.mark.parametrize("entry", listed([*LAYERS, *SOLVES]))
def test_layer_and_its_gradient(entry, dtype):
    ps = lux.core.parameter_structure(entry.layer, dtype)
    st = entry.layer.initial_states(jax.random.key(0), dtype)  # A layer may read them.
    x, join = split_floats(example_input(entry.x, dtype))
    f = lambda x, ps: entry.layer(join(x), ps, st)
    check_same(f, x, ps)
    check_same(gradient(f), x, ps)


def is_differentiable(f, args):
    found = precision.internal.floating_leaves(jax.eval_shape(f, *args))[0]
    return bool(precision.internal.floating_leaves(args)[0] and found)


@pytest.mark.parametrize("entry", listed(OPS))
def test_op_and_its_gradient(entry, dtype):
    args = [example_input(shape, dtype) for shape in entry.shapes]
    check_same(entry.function, *args)
    if is_differentiable(entry.function, args):
        check_same(gradient(entry.function), *args)


@pytest.mark.parametrize("entry", listed(LOSSES))
def test_loss_and_its_gradient(entry, dtype):
    check_same(entry.loss, *entry.inputs(dtype))
    check_same(gradient(entry.loss), *entry.inputs(dtype))


def assert_same_bits(f, *args):
    program, leaves = check_same(f, *args)
    found = jax.jit(again(program))(*leaves)
    for a, b in zip(found, jax.tree.leaves(jax.jit(f)(*args)), strict=True):
        np.testing.assert_array_equal(a, b)


LBFGS = optax.lbfgs()


@pytest.mark.parametrize("optimizer", [optax.adamw(1e-2), LBFGS], ids=["adamw", "lbfgs"])
def test_optax_step_agrees_to_the_bit(optimizer, dtype):
    model = nn.Chain(nn.Dense(2, 3, nn.gelu), nn.BatchNorm(3), nn.Dropout(0.5))
    ps, st = lux.setup(0, model, dtype=dtype)
    x = example_input((5, 2), dtype)

    def loss(ps):
        return jnp.mean(model(x, ps, st)[0] ** 2)

    def step(ps, state):
        value, grads = jax.value_and_grad(loss)(ps)
        extra = {} if optimizer is not LBFGS else {"value": value, "grad": grads, "value_fn": loss}
        updates, state = optimizer.update(grads, state, ps, **extra)
        return optax.apply_updates(ps, updates), state, value

    with jax.numpy_dtype_promotion("standard"):
        assert_same_bits(step, ps, optimizer.init(ps))


def test_training_step_agrees_to_the_bit(dtype):
    model = nn.Dense(2, 2)
    tstate = training.TrainState(model, *lux.setup(0, model, dtype=dtype), optax.adam(1e-2))
    data = example_input(((4, 2), (4, 2)), dtype)
    step = lambda data: training.single_train_step(
        training.AutoReverse(), losses.MSELoss(), data, tstate
    )[:2]
    assert_same_bits(step, data)


EXPLICIT = pytest.param(diffrax.Tsit5(), assert_same_bits, id="explicit")
IMPLICIT = pytest.param(diffrax.Kvaerno3(), check_same, id="implicit")
IMPLICIT_BITS = pytest.param(
    diffrax.Kvaerno3(), assert_same_bits, id="implicit bits", marks=pytest.mark.slow
)


@pytest.mark.parametrize(("solver", "check"), [EXPLICIT, IMPLICIT, IMPLICIT_BITS])
def test_diffrax_solve_and_its_gradient(solver, check, dtype):
    node = ode.NeuralODE(nn.Dense(2, 2, nn.tanh), (0.0, 1.0), solver=solver, rtol=1e-3, atol=1e-3)
    ps, st = lux.setup(0, node, dtype=dtype)
    f = lambda u, ps: node(u, ps, st)[0]
    u = example_input((2,), dtype)
    check(f, u, ps)
    check(gradient(f), u, ps)


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_keys_are_kept(impl):
    key = jax.random.key(0, impl=impl)

    def f(key):
        step = lambda key, _: (jax.random.split(key)[0], jax.random.normal(key, (2,), jnp.float32))
        return jax.lax.scan(step, key, length=3)

    program, leaves = check_same(f, key)
    last, _ = again(program)(*leaves)
    assert last.dtype == key.dtype and jax.random.key_impl(last) == impl


def test_effects_and_callbacks_are_kept(capfd):
    seen = []

    def f(x):
        def body(total, x):
            jax.debug.print("x = {}", x, ordered=True)
            return total + jax.pure_callback(np.sin, x, x), None

        jax.debug.callback(seen.append, x[0])
        return jax.lax.scan(body, x[0], x)[0]

    x = jnp.ones(2, jnp.float32)
    program, _ = check_same(f, x)
    found = jax.jit(again(program))(x)[0]
    jax.effects_barrier()
    assert float(found) == float(1 + 2 * jnp.sin(x[0]))
    assert len(seen) == 1
    assert capfd.readouterr().out == "x = 1.0\n" * 2


def test_settings_around_an_equation_are_kept():
    def f(x):
        with jax.named_scope("inner"):
            return jnp.sin(x)

    program = jax.make_jaxpr(f)(0.5)
    new = jax.make_jaxpr(again(program))(0.5)
    (one,), (other,) = program.eqns, new.eqns
    assert str(one.source_info.name_stack) == str(other.source_info.name_stack) == "inner"
    assert one.source_info.traceback is other.source_info.traceback
