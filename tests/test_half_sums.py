"""Sums over float16 and bfloat16, in gradients as in values, of thousands of terms.

The reference: what each sample gives in half precision, all others being weighted with 0, added in
float64. The sum may be off by one unit in the last place, relative to the sum of the terms' sizes.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.catalogue import LAYERS, LOSSES, OPS, example_input, split_floats
from tests.half_sums import (
    HALF,
    ROUNDING,
    UNOPTIMISED,
    computed_in_float32,
    program,
    sums_in_half,
    way,
)

pytestmark = pytest.mark.any_precision
ENTRIES = [pytest.param(e, id=e.name) for e in LAYERS if "bfloat16" in e.dtypes]
OP_ENTRIES = [pytest.param(e, id=e.name) for e in OPS if "bfloat16" in e.dtypes]
LOSS_ENTRIES = [pytest.param(e, id=e.name) for e in LOSSES]


def total(tree):
    return sum(jnp.sum(leaf) for leaf in split_floats(tree)[0])


def gradient_of(f):
    """The gradient of the sum of what `f` returns by all floats among its arguments."""

    def gradient(*arguments):
        floats, join = split_floats(arguments)
        return jax.grad(lambda floats: total(f(*join(floats))))(floats)

    return gradient


def traced(entry):
    setup = functools.partial(lux.setup, jax.random.key(0), entry.layer, dtype="bfloat16")
    return jax.eval_shape(lambda: (example_input(entry.x, "bfloat16"), *setup()))


def no_sum_in_half(f, *arguments):
    assert sums_in_half(jax.make_jaxpr(gradient_of(f))(*arguments)) == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_derivative_of_a_layer_adds_up_in_half_precision(entry):
    no_sum_in_half(lambda *trees: entry.layer(*trees)[0], *traced(entry))


# The energy's own derivative starts from ones, which are the same for every member of a batch of
# `jax.vmap`; what JAX makes of that is not ours.
BATCHED = [e for e in ENTRIES if e.values[0].batched and "HamiltonianNN" not in e.id]


@pytest.mark.parametrize("entry", BATCHED)
def test_no_derivative_of_a_layer_under_vmap_adds_up_in_half_precision(entry):
    each = jax.vmap(lambda *trees: entry.layer(*trees)[0], (0, None, None))
    no_sum_in_half(each, *traced(entry))


@pytest.mark.parametrize("entry", OP_ENTRIES)
def test_no_derivative_of_an_op_adds_up_in_half_precision(entry):
    no_sum_in_half(entry.function, *jax.eval_shape(lambda: example_input(entry.shapes, "bfloat16")))


@pytest.mark.parametrize("entry", LOSS_ENTRIES)
def test_no_derivative_of_a_loss_adds_up_in_half_precision(entry):
    no_sum_in_half(entry.loss, *jax.eval_shape(lambda: entry.inputs("bfloat16")))


@pytest.mark.parametrize("entry", [*ENTRIES, *OP_ENTRIES])
def test_only_what_is_listed_computes_in_float32(entry):
    if entry.widens or getattr(entry, "converts", False):
        return
    if hasattr(entry, "layer"):
        program = jax.make_jaxpr(lambda *trees: entry.layer(*trees)[0])(*traced(entry))
    else:
        arguments = jax.eval_shape(lambda: example_input(entry.shapes, "bfloat16"))
        program = jax.make_jaxpr(entry.function)(*arguments)
    assert computed_in_float32(program) == set()


SAMPLES, COPIES = 3072, 96  # So many in all, and of each.


def assert_sum(found, terms, dtype, ulps):
    """`found` is the sum of all copies of `terms`, to so many units in the last place."""
    for computed, *leaves in zip(*map(jax.tree.leaves, (found, *terms)), strict=True):
        assert computed.dtype == dtype
        each = COPIES * np.asarray(leaves, np.float64)
        bound = ulps * float(jnp.finfo(dtype).eps) * np.abs(each).sum(0)
        error = np.abs(np.asarray(computed, np.float64) - each.sum(0))
        assert (error <= bound).all(), (error / np.maximum(bound, 1e-300)).max()


def has_samples(entry):
    """Whether the leading axis of the input is a batch whose members do not mix in test mode."""
    layer = entry.layer
    if getattr(layer, "axis", -1) is None or getattr(layer, "time_major", False):
        return False
    if isinstance(layer, nn.TiedLayer):  # Below, place by place.
        return False
    # These subtract what they give at a point, which is nearly all of a sample's gradient.
    differs = isinstance(layer, nn.PositiveDefinite | nn.ShiftTo)
    return bool(lux.parameter_length(layer)) and not differs and not hasattr(layer, "batch_shape")


slow = pytest.mark.slow
SUMMED = [e for e in ENTRIES if has_samples(e.values[0])]
# A sample's own gradient is a sum here, over steps or parts, whose terms cancel, so that it is
# small beside what is added; tests/test_half_gradients.py has such sums where nothing cancels.
CANCEL = ("Recurrence", "RepeatedLayer", "WeightNorm")
# A third of them, each of the two dtypes in turn, is run every time.
PICKED = [
    pytest.param(*e.values, dtype, id=f"{e.id}-{dtype}", marks=[slow] * bool((i + j) % 6))
    for i, e in enumerate(SUMMED)
    for j, dtype in enumerate(HALF)
]


def alike(x):
    """Copies of samples near the first: their terms have one sign and are rounded apart."""
    generator = np.random.default_rng(2)

    def near(first):
        if not jnp.issubdtype(first.dtype, jnp.floating):
            return jnp.tile(first, (SAMPLES, *(1,) * (first.ndim - 1)))
        factors = generator.uniform(0.9, 1.1, (SAMPLES // COPIES, *first.shape[1:]))
        few = jnp.asarray(factors * np.asarray(first, np.float64), first.dtype)
        return jnp.tile(few, (COPIES, *(1,) * (first.ndim - 1)))

    return jax.tree.map(lambda leaf: near(leaf[:1]), x)


def pulled(output, ps, x, cotangent):
    """The function that takes such a cotangent of output(ps, x) back to one of `ps`."""
    pull = jax.vjp(lambda ps: output(ps, x), ps)[1]
    return lambda cotangent: pull(cotangent)[0]


def pulled_in_one_program(output, ps, x, cotangent, options=ROUNDING):
    gradient = lambda ps, x, cotangent: pulled(output, ps, x, cotangent)(cotangent)
    return functools.partial(program(gradient, ps, x, cotangent, options=options), ps, x)


WAYS = [
    way(pulled, "eager"),
    way(pulled_in_one_program, "rounded"),
    way(functools.partial(pulled_in_one_program, options=UNOPTIMISED), "unoptimised"),
]


@pytest.mark.parametrize(("entry", "dtype"), PICKED)
@pytest.mark.parametrize("run", WAYS)
def test_gradient_of_thousands_of_samples_is_the_sum_of_theirs(entry, dtype, run):
    ps, st = lux.setup(jax.random.key(0), entry.layer, dtype=dtype)
    st, x = lux.testmode(st), alike(example_input(entry.x, dtype))
    output = lambda ps, x: entry.layer(x, ps, st)[0]
    y = jax.eval_shape(output, ps, x)
    weights = example_input(jax.tree.map(lambda leaf: leaf.shape[1:], y), dtype, seed=1)
    weights = jax.tree.map(lambda w, y: np.broadcast_to(w, y.shape), weights, y)

    def only(sample, weights):
        zeros = np.zeros_like(weights)
        zeros[sample] = weights[sample]
        return jnp.asarray(zeros)

    # The term of a sample is computed among all, by the same program, so that all that it is a
    # product of is rounded as in the sum; in a batch of its own it may be rounded the other way.
    gradient = run(output, ps, x, weights)
    distinct = range(SAMPLES // COPIES)
    alone = [jax.tree.map(functools.partial(only, i), weights) for i in distinct]
    ulps = 2 if type(entry.layer).__name__ in CANCEL else 1
    assert_sum(gradient(jax.tree.map(jnp.asarray, weights)), map(gradient, alone), dtype, ulps)


CODER = nn.Chain(nn.Dense(3, 2, nn.tanh), nn.Dense(2, 3))
TIES = [
    (nn.Chain(nn.Dense(2, 2, nn.tanh), nn.Dense(2, 2)), ("layer_1.weight", "layer_2.weight")),
    (CODER, ("layer_1.weight", "layer_2.weight.T")),
]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(("model", "places"), TIES, ids=["same", "transposed"])
@pytest.mark.parametrize("run", WAYS)
def test_gradient_of_a_tie_is_the_sum_of_those_at_its_places(model, places, dtype, run):
    tied, dims = nn.tie(model, [places]), (SAMPLES, model.layer_1.in_dims)
    ps, st = lux.setup(0, tied, dtype=dtype)
    x = jnp.asarray(np.random.default_rng(0).uniform(0.9, 1.1, dims), dtype)

    def gradient(layer, ps):
        return run(lambda ps, x: layer(x, ps, st)[0], ps, x, jnp.ones_like(x))(jnp.ones_like(x))

    apart = gradient(model, tied.expand(ps))
    first, second = (np.asarray(apart[name].weight, np.float64) for name in apart)
    want = first + (second.T if places[1].endswith(".T") else second)
    np.testing.assert_array_equal(gradient(tied, ps).layer_1.weight, want.astype(dtype))
