"""What every layer, op and loss must do, whatever it computes."""

import inspect
import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, losses, nn, ode, ops
from tests.catalogue import LAYERS, LOSSES, OPS, SOLVES, example_input
from tests.conftest import X64

DTYPES = ["float16", "bfloat16", "float32"] + ["float64"] * X64
ENTRIES = [pytest.param(entry, id=entry.name) for entry in LAYERS]
ALL_ENTRIES = [*ENTRIES, *(pytest.param(entry, id=entry.name) for entry in SOLVES)]
OP_ENTRIES = [pytest.param(entry, id=entry.name) for entry in OPS]
LOSS_ENTRIES = [pytest.param(loss, id=repr(loss)) for loss in LOSSES]


def made(entry, dtype, seed=0):
    ps, st = lux.setup(jax.random.key(seed), entry.layer, dtype=dtype)
    return example_input(entry.x, dtype), ps, st


def shapes(tree):
    return jax.tree.map(lambda leaf: leaf.shape, tree)


def dtypes(tree):
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree)}


def total(tree):
    """A scalar that depends on every number in a tree, each with another weight."""
    leaves = jax.tree.leaves(tree)
    weights = [
        jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape) for leaf in leaves
    ]
    return sum(jnp.sum(w * leaf) for w, leaf in zip(weights, leaves, strict=True))


def assert_close(got, want, dtype, factor=32.0):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    tolerance = factor * float(jnp.finfo(dtype).eps)
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_allclose(left, right, rtol=tolerance, atol=tolerance)


def central_difference(f, x, direction, step):
    ahead = jax.tree.map(lambda a, d: a + step * d, x, direction)
    behind = jax.tree.map(lambda a, d: a - step * d, x, direction)
    return (f(ahead) - f(behind)) / (2 * step)


def check_gradient(f, x, dtype, error=0.0):
    """The gradient along a random direction against central differences, reverse and forward."""
    direction = example_input(shapes(x), dtype, seed=3)
    step = 1e-6 if X64 else 1e-2
    f = jax.jit(f)
    expected = central_difference(f, x, direction, step)
    products = jax.tree.map(lambda g, d: jnp.sum(g * d), jax.grad(f)(x), direction)
    tolerance = max(error, 1e-7 if X64 else 2e-2)
    found = sum(jax.tree.leaves(products))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return found, direction


@pytest.mark.parametrize("entry", ALL_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_keeps_shape_dtype_and_state_structure(entry, dtype):
    if dtype not in entry.dtypes:
        pytest.skip("the solve is not meant for this dtype")
    x, ps, st = made(entry, dtype)
    y, new = jax.eval_shape(entry.layer, x, ps, st)
    assert shapes(y) == entry.y
    assert dtypes(y) == {dtype}
    assert dtypes(ps) <= {dtype}
    assert lux.core.first_difference(st, new) is None


@pytest.mark.parametrize("entry", ENTRIES)
def test_layer_jit_equals_eager(entry, dtype):
    x, ps, st = made(entry, dtype)
    apply = jax.jit(lambda model, x, ps, st: model(x, ps, st))
    assert_close(apply(entry.layer, x, ps, st), entry.layer(x, ps, st), dtype)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.values[0].batched])
def test_layer_vmap_equals_loop(entry, dtype):
    x, ps, st = made(entry, dtype)
    batched = jax.vmap(lambda x: entry.layer(x, ps, st)[0])(x)
    size = jax.tree.leaves(x)[0].shape[0]
    rows = [entry.layer(jax.tree.map(lambda a, i=i: a[i], x), ps, st)[0] for i in range(size)]
    assert_close(batched, jax.tree.map(lambda *r: jnp.stack(r), *rows), dtype)
    assert_close(entry.layer(x, ps, st)[0], batched, dtype)


@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_gradients_agree_with_central_differences(entry, dtype):
    x, ps, st = made(entry, dtype)

    def loss(inputs):
        return total(entry.layer(inputs[0], inputs[1], st)[0])

    grads = jax.eval_shape(jax.grad(loss), (x, ps))
    assert lux.core.first_difference((x, ps), grads) is None
    check_gradient(loss, (x, ps), dtype, entry.gradient_error)


@pytest.mark.parametrize("entry", ENTRIES)
def test_layer_nested_gradient_is_symmetric_and_right(entry, dtype):
    x, ps, st = made(entry, dtype)

    def loss(inputs):
        return total(jax.tree.map(lambda y: y * y, entry.layer(inputs[0], inputs[1], st)[0]))

    direction = example_input(shapes((x, ps)), dtype, seed=5)

    @jax.jit
    def slope(inputs):
        return jax.jvp(loss, (inputs,), (direction,))[1]

    check_gradient(slope, (x, ps), dtype)


@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_counts_parameters_and_states(entry, dtype):
    _, ps, st = made(entry, dtype)
    assert lux.parameter_length(entry.layer) == entry.parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(ps)) == entry.parameters
    assert lux.state_length(entry.layer) == lux.state_length(st) == entry.states


@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_pickles_and_prints_what_one_would_type(entry):
    assert pickle.loads(pickle.dumps(entry.layer)) == entry.layer
    names = {**vars(nn), **vars(ode), **vars(initializers), **vars(operator)}
    names |= {f.__name__: f for f in [getattr(entry.layer, "known", None)] if f}
    assert eval(repr(entry.layer), names) == entry.layer
    assert str(entry.layer).count("(") == str(entry.layer).count(")")


@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_is_static_and_hashes_by_value(entry):
    assert jax.tree.leaves(entry.layer) == []
    assert hash(pickle.loads(pickle.dumps(entry.layer))) == hash(entry.layer)


@pytest.mark.parametrize("entry", OP_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_op_keeps_dtype_in_value_and_gradient(entry, dtype):
    arguments = example_input(entry.shapes, dtype)
    assert dtypes(jax.eval_shape(entry.function, *arguments)) == {dtype}
    gradient = jax.grad(lambda arguments: total(entry.function(*arguments)))
    assert dtypes(jax.eval_shape(gradient, arguments)) == {dtype}


@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_op_gradients_agree_with_central_differences(entry, dtype):
    arguments = example_input(entry.shapes, dtype)
    loss = lambda arguments: total(entry.function(*arguments))
    found, direction = check_gradient(loss, arguments, dtype)
    forward = jax.jvp(loss, (arguments,), (direction,))[1]
    eps = 32 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(found, forward, rtol=eps, atol=eps)


@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_op_pickles_and_jit_equals_eager(entry, dtype):
    assert pickle.loads(pickle.dumps(entry.function)) is entry.function
    arguments = example_input(entry.shapes, dtype)
    assert_close(jax.jit(entry.function)(*arguments), entry.function(*arguments), dtype)


@pytest.mark.parametrize("loss", LOSS_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_keeps_dtype_in_value_and_gradient(loss, dtype):
    y_pred, y = example_input(((4, 3), (4, 3)), dtype)
    assert loss(y_pred, y).dtype == dtype
    assert dtypes(jax.eval_shape(jax.grad(lambda p: jnp.sum(loss(p, y))), y_pred)) == {dtype}


@pytest.mark.parametrize("loss", LOSS_ENTRIES)
def test_loss_gradient_agrees_with_central_differences(loss, dtype):
    y_pred, y = example_input(((4, 3), (4, 3)), dtype)
    check_gradient(lambda p: jnp.sum(loss(p, y)), y_pred, dtype)


@pytest.mark.parametrize("loss", LOSS_ENTRIES)
def test_loss_pickles_and_prints_what_one_would_type(loss):
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss), dict(vars(losses))) == loss


def _public(module, kind):
    return {name: v for name, v in vars(module).items() if not name.startswith("_") and kind(v)}


def test_catalogue_holds_every_public_layer():
    bases = {lux.Layer, lux.WrapperLayer, ode.ODELayer}
    is_layer = lambda v: isinstance(v, type) and issubclass(v, lux.Layer) and v not in bases
    layers = _public(nn, is_layer) | _public(ode, is_layer)
    seen = {type(entry.layer) for entry in [*LAYERS, *SOLVES]}
    assert {name for name, layer in layers.items() if layer not in seen} == set()


def test_catalogue_holds_every_public_op_and_loss():
    functions = set(_public(ops, inspect.isfunction))
    assert functions - {entry.name for entry in OPS} == set()
    classes = _public(losses, lambda v: isinstance(v, type)).values()
    assert set(classes) - {losses.LossFunction} - {type(loss) for loss in LOSSES} == set()
