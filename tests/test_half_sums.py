"""Sums over float16 and bfloat16, in gradients as in values, of thousands of terms.

The reference: what each sample alone gives, in half precision, added in float64. The sum may be off
by one unit in the last place, relative to the sum of the terms' sizes.
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
    computed_in_float32,
    eager,
    rounding,
    sums_in_half,
    unoptimised,
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


SAMPLES = 3000


def assert_sum(found, terms, dtype, ulps):
    """`found` is the sum of `terms` along their first axis, to so many units in the last place."""
    for computed, leaf in zip(jax.tree.leaves(found), jax.tree.leaves(terms), strict=True):
        assert computed.dtype == dtype
        each = np.asarray(leaf, np.float64)
        bound = ulps * float(jnp.finfo(dtype).eps) * np.abs(each).sum(0)
        error = np.abs(np.asarray(computed, np.float64) - each.sum(0))
        assert (error <= bound).all(), (error / np.maximum(bound, 1e-300)).max()


def has_samples(entry):
    """Whether the leading axis of the input is a batch whose members do not mix in test mode."""
    layer = entry.layer
    if getattr(layer, "axis", -1) is None or getattr(layer, "time_major", False):
        return False
    # These subtract what they give at a point, which is nearly all of a sample's gradient.
    differs = isinstance(layer, nn.PositiveDefinite | nn.ShiftTo)
    return bool(lux.parameter_length(layer)) and not differs and not hasattr(layer, "batch_shape")


slow = pytest.mark.slow
SUMMED = [e for e in ENTRIES if has_samples(e.values[0])]
# A sample's own gradient is a sum here, over steps or parts, whose terms cancel, so that it is
# small beside what is added; tests/test_half_gradients.py has such sums where nothing cancels.
CANCEL = (
    "BidirectionalRNN",
    "HamiltonianNN",
    "MultiHeadAttention",
    "Recurrence",
    "RepeatedLayer",
    "WeightNorm",
)
# A third of them, each of the two dtypes in turn, is run every time.
PICKED = [
    pytest.param(*e.values, dtype, id=f"{e.id}-{dtype}", marks=[slow] * bool((i + j) % 6))
    for i, e in enumerate(SUMMED)
    for j, dtype in enumerate(HALF)
]


def alike(x):
    """Many samples near the first: their terms have one sign, and each is rounded by itself."""
    generator = np.random.default_rng(2)

    def near(first):
        if not jnp.issubdtype(first.dtype, jnp.floating):
            return jnp.tile(first, (SAMPLES, *(1,) * (first.ndim - 1)))
        factors = generator.uniform(0.9, 1.1, (SAMPLES, *first.shape[1:]))
        return jnp.asarray(factors * np.asarray(first, np.float64), first.dtype)

    return jax.tree.map(lambda leaf: near(leaf[:1]), x)


WAYS = [way(eager, "eager"), way(rounding, "rounded"), way(unoptimised, "unoptimised")]


# In each way the terms are computed as well, which are rounded as they are in the sum.
@pytest.mark.parametrize(("entry", "dtype"), PICKED)
@pytest.mark.parametrize("run", WAYS)
def test_gradient_of_thousands_of_samples_is_the_sum_of_theirs(entry, dtype, run):
    ps, st = lux.setup(jax.random.key(0), entry.layer, dtype=dtype)
    st, x = lux.testmode(st), example_input(entry.x, dtype)
    y = jax.eval_shape(entry.layer, x, ps, st)[0]
    weights = example_input(jax.tree.map(lambda leaf: leaf.shape[1:], y), dtype, seed=1)

    def gradient(ps, x):
        y, pull = jax.vjp(lambda ps: entry.layer(x, ps, st)[0], ps)
        return pull(jax.tree.map(lambda w, y: jnp.broadcast_to(w, y.shape), weights, y))[0]

    x = alike(x)
    ulps = 8 if type(entry.layer).__name__ in CANCEL else 1
    each = jax.tree.map(lambda a: a[:, None], x)
    terms = run(jax.vmap(gradient, (None, 0)), ps, each)
    assert_sum(run(gradient, ps, x), terms, dtype, ulps)
