"""What every layer, op and loss must do, whatever it computes."""

import functools
import inspect
import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, losses, nn, ode, ops
from tests.catalogue import (
    ANY_SHAPE,
    LAYERS,
    LOSSES,
    NOT_OF_ARRAYS,
    OPS,
    SOLVES,
    example_input,
    split_floats,
    with_empty_batch,
)
from tests.conftest import OPTIMISED, X64, in_third, rotating

DTYPES = ["float16", "bfloat16", "float32"] + ["float64"] * X64
# Of numbers too: with float64 off they have seven digits and prove little that tracing does not.
any_precision = pytest.mark.any_precision
ENTRIES = [pytest.param(entry, id=entry.name) for entry in LAYERS]
ALL_ENTRIES = [*ENTRIES, *(pytest.param(entry, id=entry.name) for entry in SOLVES)]
OP_ENTRIES = [pytest.param(entry, id=entry.name) for entry in OPS]
LOSS_ENTRIES = [pytest.param(entry, id=entry.name) for entry in LOSSES]
IN_THIRD = {
    id(entry)
    for entries in (LAYERS, SOLVES, OPS, LOSSES)
    for index, entry in enumerate(entries)
    if in_third(index)
}


def compiled(f, entry):
    """`f` under `jax.jit`; for a third of the entries with XLA's optimisation as users have it."""
    return jax.jit(f, compiler_options=OPTIMISED if id(entry) in IN_THIRD else None)


@functools.cache  # To draw is to compile: once for all tests of an entry.
def made(entry, dtype):
    ps, st = lux.setup(jax.random.key(0), entry.layer, dtype=dtype)
    return example_input(entry.x, dtype), ps, st


@functools.cache
def structures(entry, dtype):
    """The same as shapes and dtypes, by tracing."""
    return jax.eval_shape(
        lambda: (
            example_input(entry.x, dtype),
            *lux.setup(jax.random.key(0), entry.layer, dtype=dtype),
        )
    )


def of_floats(entry, x, st):
    """The output as a function of the floating leaves of the input and of the parameters."""
    floats, join = split_floats(x)
    return floats, lambda inputs: entry.layer(join(inputs[0]), inputs[1], st)[0]


def meant_for(entry, dtype):
    if dtype not in entry.dtypes:
        pytest.skip("not meant for this dtype")


def shapes(tree):
    return jax.tree.map(lambda leaf: leaf.shape, tree)


def dtypes(tree):
    return {leaf.dtype.name for leaf in split_floats(tree)[0]}


def total(tree):
    """A scalar that depends on every number in a tree, each with another weight."""
    leaves = split_floats(tree)[0]
    weights = [
        jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape) for leaf in leaves
    ]
    return sum(jnp.sum(w * leaf) for w, leaf in zip(weights, leaves, strict=True))


def assert_close(got, want, dtype, factor=32.0):
    assert jax.tree.structure(got) == jax.tree.structure(want)
    tolerance = factor * float(jnp.finfo(dtype).eps)
    for left, right in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_allclose(data(left), data(right), rtol=tolerance, atol=tolerance)


def data(leaf):
    """The numbers of an array, or of a random key."""
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def check_gradient(f, x, dtype, entry, forward=False):
    """The gradient along a random direction against differences of fourth order, by one program.

    The small arithmetic is NumPy's, which compiles nothing. With `forward`, against the derivative
    in forward mode too.
    """
    direction = example_input(shapes(x), dtype, seed=3)
    step = 1e-5 if X64 else 5e-3  # 1e-2 steps over the kink of `Maxout`.
    x, direction = jax.tree.map(np.asarray, (x, direction))
    along = lambda x: jax.jvp(f, (x,), (direction,))[1]
    both = lambda x: (*jax.value_and_grad(f)(x), along(x) if forward else None)
    compute = compiled(both, entry)
    moved = lambda by: jax.tree.map(lambda a, d: a + by * d, x, direction)
    difference = lambda by: float(compute(moved(by))[0]) - float(compute(moved(-by))[0])
    expected = (8 * difference(step) - difference(2 * step)) / (12 * step)
    _, gradient, slope = compute(x)
    products = jax.tree.map(np.vdot, gradient, direction)
    tolerance = max(getattr(entry, "gradient_error", 0.0), 1e-7 if X64 else 2e-2)
    found = sum(jax.tree.leaves(products))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    if forward:
        eps = 32 * float(jnp.finfo(dtype).eps)
        np.testing.assert_allclose(found, slope, rtol=eps, atol=eps)


@pytest.mark.parametrize("entry", ALL_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_keeps_shape_dtype_and_state_structure(entry, dtype):
    meant_for(entry, dtype)
    x, ps, st = structures(entry, dtype)
    y, new = jax.eval_shape(entry.layer, x, ps, st)
    assert shapes(y) == entry.y
    assert dtypes(y) == {dtype}
    assert dtypes(ps) <= {dtype}
    assert lux.core.internal.first_difference(st, new) is None


@any_precision
@pytest.mark.parametrize("entry", rotating(ENTRIES))
def test_layer_jit_equals_eager(entry, dtype):
    x, ps, st = made(entry, dtype)
    apply = compiled(lambda model, x, ps, st: model(x, ps, st), entry)
    assert_close(apply(entry.layer, x, ps, st), entry.layer(x, ps, st), dtype)


@any_precision
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.values[0].batched])
def test_layer_vmap_equals_loop(entry, dtype):
    x, ps, st = made(entry, dtype)
    apply = lambda x: entry.layer(x, ps, st)[0]
    whole, batched = jax.jit(lambda x: (apply(x), jax.vmap(apply)(x)))(x)
    size = jax.tree.leaves(x)[0].shape[0]
    x, row = jax.tree.map(np.asarray, x), jax.jit(apply)
    rows = [row(jax.tree.map(lambda a, i=i: a[i], x)) for i in range(size)]
    assert_close(batched, jax.tree.map(lambda *r: np.stack(r), *rows), dtype)
    assert_close(whole, batched, dtype)


@any_precision
@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_gradients_agree_with_central_differences(entry, dtype):
    x, ps, st = made(entry, dtype)
    floats, output = of_floats(entry, x, st)
    loss = lambda inputs: total(output(inputs))
    grads = jax.eval_shape(jax.grad(loss), (floats, ps))
    assert lux.core.internal.first_difference((floats, ps), grads) is None
    check_gradient(loss, (floats, ps), dtype, entry)


@any_precision
@pytest.mark.parametrize("entry", rotating(ENTRIES))
def test_layer_nested_gradient_is_symmetric_and_right(entry, dtype):
    x, ps, st = made(entry, dtype)
    floats, output = of_floats(entry, x, st)
    loss = lambda inputs: total(jax.tree.map(lambda y: y * y, output(inputs)))
    direction = example_input(shapes((floats, ps)), dtype, seed=5)

    @jax.jit
    def slope(inputs):
        return jax.jvp(loss, (inputs,), (direction,))[1]

    check_gradient(slope, (floats, ps), dtype, entry)


@any_precision
@pytest.mark.parametrize("entry", ENTRIES)
def test_layer_carries_its_state_through_a_scan(entry, dtype):
    x, ps, st = structures(entry, dtype)

    def run(x, ps, st):
        return jax.lax.scan(lambda st, _: entry.layer(x, ps, st)[::-1], st, None, length=3)

    new, y = jax.eval_shape(run, x, ps, st)
    assert lux.core.internal.first_difference(st, new) is None
    assert shapes(y) == jax.tree.map(lambda leaf: (3, *leaf.shape), entry_output(entry, dtype))


def entry_output(entry, dtype):
    x, ps, st = structures(entry, dtype)
    return jax.eval_shape(entry.layer, x, ps, st)[0]


@any_precision
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.values[0].batched])
def test_layer_takes_an_empty_batch(entry, dtype):
    _, ps, st = made(entry, dtype)
    y, _ = jax.jit(entry.layer)(example_input(with_empty_batch(entry.x), dtype), ps, st)
    assert shapes(y) == jax.tree.map(lambda leaf: (0, *leaf.shape[1:]), entry_output(entry, dtype))


@any_precision
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.values[0].bad is not None])
def test_layer_answers_a_bad_shape_with_its_name_what_it_expects_and_what_it_got(entry, dtype):
    _, ps, st = structures(entry, dtype)
    bad = jax.eval_shape(lambda: example_input(entry.bad, dtype))
    with pytest.raises((ValueError, TypeError), match=r"`\w+`.* expects (.|\n)*got ") as caught:
        jax.eval_shape(entry.layer, bad, ps, st)
    assert f"`{lux.core.layer_name(entry.layer)}`" in str(caught.value)


@any_precision
@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.values[0].bad is not None])
@pytest.mark.parametrize("x", [None, {"x": np.ones((2, 3), np.float32)}], ids=["None", "dict"])
def test_layer_answers_what_is_no_array_with_what_it_expects(entry, x):
    _, ps, st = structures(entry, np.dtype(np.float32))
    with pytest.raises((TypeError, ValueError), match=r"`\w+`.* expects (.|\n)*got "):
        jax.eval_shape(lambda ps, st: entry.layer(x, ps, st), ps, st)


@any_precision
@pytest.mark.parametrize("entry", rotating(ALL_ENTRIES))
def test_layer_can_be_watched_and_frozen_inside(entry, dtype):
    x, ps, st = structures(entry, dtype)
    want = jax.eval_shape(entry.layer, x, ps, st)
    watched = nn.debug_mode(entry.layer)
    assert watched != entry.layer
    assert lux.core.internal.first_difference(jax.eval_shape(watched, x, ps, st), want) is None
    whole = nn.unfreeze(entry.layer, ps, st)  # The catalogue has a frozen layer too.
    paths = lux.core.internal.named_leaves(whole[1])
    frozen, kept, states = nn.freeze(*whole, [path for path in paths if path])
    assert jax.tree.leaves(kept) == []
    y, _ = jax.eval_shape(frozen, x, kept, states)
    assert lux.core.internal.first_difference(y, want[0]) is None
    model, *trees = nn.unfreeze(frozen, kept, states)
    assert model == whole[0] and lux.core.internal.first_difference(trees, list(whole[1:])) is None


@any_precision
@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_counts_parameters_and_states(entry, dtype):
    _, ps, st = structures(entry, dtype)
    assert lux.parameter_length(entry.layer) == entry.parameters
    assert sum(leaf.size for leaf in jax.tree.leaves(ps)) == entry.parameters
    assert lux.state_length(entry.layer) == lux.state_length(st) == entry.states


@any_precision
@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_pickles_and_prints_what_one_would_type(entry):
    assert pickle.loads(pickle.dumps(entry.layer)) == entry.layer
    assert str(entry.layer).count("(") == str(entry.layer).count(")")
    if not entry.typed:
        return
    names = {**vars(nn), **vars(ode), **vars(initializers), **vars(operator)}
    names |= {f.__name__: f for f in [getattr(entry.layer, "known", None)] if f}
    assert eval(repr(entry.layer), names) == entry.layer


@any_precision
@pytest.mark.parametrize("entry", ALL_ENTRIES)
def test_layer_is_static_and_hashes_by_value(entry):
    assert jax.tree.leaves(entry.layer) == []
    assert hash(pickle.loads(pickle.dumps(entry.layer))) == hash(entry.layer)


@pytest.mark.parametrize("entry", OP_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_op_keeps_dtype_in_value_and_gradient(entry, dtype):
    meant_for(entry, dtype)
    floats, join = split_floats(example_input(entry.shapes, dtype))
    assert dtypes(jax.eval_shape(lambda floats: entry.function(*join(floats)), floats)) == {dtype}
    gradient = jax.grad(lambda floats: total(entry.function(*join(floats))))
    assert dtypes(jax.eval_shape(gradient, floats)) <= {dtype}


def assert_float64_needs_x64(function, arguments):
    """All floats of the arguments as NumPy float64, then each alone beside float32."""
    leaves, join = split_floats(arguments)
    wide = [np.asarray(leaf, np.result_type(leaf.dtype, np.float64)) for leaf in leaves]
    each = [[*leaves[:i], wide[i], *leaves[i + 1 :]] for i in range(len(leaves))]
    for floats in [wide, *each]:
        with jax.enable_x64(False), pytest.raises(TypeError, match="jax_enable_x64 is off"):
            function(*join(floats))


@any_precision
@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_op_answers_numpy_float64_with_x64_off(entry):
    assert_float64_needs_x64(entry.function, example_input(entry.shapes, "float32"))


@any_precision
@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_op_gradients_agree_with_central_differences(entry, dtype):
    floats, join = split_floats(example_input(entry.shapes, dtype))
    loss = lambda floats: total(entry.function(*join(floats)))
    check_gradient(loss, floats, dtype, entry, forward=True)


@any_precision
@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_op_pickles(entry):
    assert pickle.loads(pickle.dumps(entry.function)) is entry.function


@any_precision
@pytest.mark.parametrize("entry", rotating(OP_ENTRIES))
def test_op_jit_equals_eager(entry, dtype):
    arguments = example_input(entry.shapes, dtype)
    apply = compiled(entry.function, entry)
    assert_close(apply(*arguments), entry.function(*arguments), dtype)


@pytest.mark.parametrize("entry", LOSS_ENTRIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_keeps_dtype_in_value_and_gradient(entry, dtype):
    y_pred, y = jax.eval_shape(lambda: entry.inputs(dtype))
    assert jax.eval_shape(entry.loss, y_pred, y).dtype == dtype
    gradient = jax.grad(lambda y_pred, y: jnp.sum(entry.loss(y_pred, y)), (0, 1))
    assert dtypes(jax.eval_shape(gradient, y_pred, y)) == {dtype}


@any_precision
@pytest.mark.parametrize("entry", LOSS_ENTRIES)
def test_loss_answers_numpy_float64_with_x64_off(entry):
    assert_float64_needs_x64(entry.loss, entry.inputs("float32"))


@any_precision
@pytest.mark.parametrize("entry", LOSS_ENTRIES)
def test_loss_gradient_agrees_with_central_differences(entry, dtype):
    loss = lambda inputs: jnp.sum(entry.loss(*inputs))
    check_gradient(loss, entry.inputs(dtype), dtype, entry)


@any_precision
@pytest.mark.parametrize("entry", LOSS_ENTRIES)
def test_loss_pickles_and_prints_what_one_would_type(entry):
    assert pickle.loads(pickle.dumps(entry.loss)) == entry.loss
    assert eval(repr(entry.loss), {**vars(losses), **vars(operator)}) == entry.loss


def _public(module, kind):
    return {name: v for name, v in vars(module).items() if not name.startswith("_") and kind(v)}


def test_catalogue_holds_every_public_layer():
    bases = {lux.Layer, lux.WrapperLayer, ode.ODELayer}
    is_layer = lambda v: isinstance(v, type) and issubclass(v, lux.Layer) and v not in bases
    layers = _public(nn, is_layer) | _public(ode, is_layer)
    seen = {type(entry.layer) for entry in [*LAYERS, *SOLVES]}
    assert {name for name, layer in layers.items() if layer not in seen} == set()


def test_every_layer_has_a_bad_shape_or_takes_any():
    answered = {type(entry.layer).__name__ for entry in LAYERS if entry.bad is not None}
    assert {type(entry.layer).__name__ for entry in LAYERS} - answered == ANY_SHAPE


def test_catalogue_holds_every_public_op_and_loss():
    functions = set(_public(ops, inspect.isfunction))
    assert functions == {entry.name for entry in OPS} | NOT_OF_ARRAYS
    classes = _public(losses, lambda v: isinstance(v, type)).values()
    bases = {losses.LossFunction, losses.ClassLoss}
    assert set(classes) - bases - {type(entry.loss) for entry in LOSSES} == set()
