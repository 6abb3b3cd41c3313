"""Every layer of the catalogue in every dtype, mode and transformation, proved by tracing alone."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import precision
from tests.catalogue import LAYERS, LOSSES, OPS, SOLVES, example_input, split_floats
from tests.conftest import THIRD, X64, in_third, on_another_day, slow
from tests.half_sums import HALF

MODES = ["none", "warn", "convert", "error"]
DTYPES = ["float16", "bfloat16", "float32"] + ["float64"] * X64
ENTRIES = [pytest.param(entry, id=entry.name) for entry in LAYERS]
pytestmark = pytest.mark.any_precision


def cases(entries, *columns, rests, deep=lambda *_: False):
    """(entry, one of each column), for each; two thirds of the entries have no turn if `rests`.

    What is `deep` has one in `make test-deep` alone; what has one every day is `traced`.
    """

    def marks(index, rest):
        if deep(*rest):
            return [slow]
        if rests(*rest):
            return [] if in_third(index) else on_another_day
        return [pytest.mark.traced]

    return [
        pytest.param(*entry.values, *rest, id="-".join([entry.id, *rest]), marks=marks(index, rest))
        for index, entry in enumerate(entries)
        for rest in itertools.product(*columns)
    ]


def narrower(*dtypes):
    """Whether none is the widest, in which most digits can be lost."""
    return DTYPES[-1] not in dtypes


def is_float(leaf):
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def floats(tree):
    return {leaf.dtype.name for leaf in jax.tree.leaves(tree) if is_float(leaf)}


def traced(entry, of_x, of_ps):
    """Floating input and parameters as shapes, and the layer as a function of the two."""
    if not {of_x, of_ps} <= set(entry.dtypes):
        pytest.skip("not meant for this dtype")
    x = jax.eval_shape(lambda: example_input(entry.x, of_x))
    x, join = split_floats(
        jax.tree.map(lambda a: a if is_float(a) else np.zeros(a.shape, a.dtype), x)
    )
    ps = lux.core.parameter_structure(entry.layer, of_ps)
    # Concrete, since they may hold keys and arrays, which the layer reads.
    st = entry.layer.initial_states(jax.random.key(0), jnp.dtype(of_ps))
    return x, ps, lambda x, ps: entry.layer(join(x), ps, st)[0]


def total(tree):
    sums = [jnp.sum(leaf) for leaf in split_floats(tree)[0]]
    return sum(s.astype(precision.result_dtype(*sums)) for s in sums)


def summed_wide(tree):
    return sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in split_floats(tree)[0])


def scanned(f):
    """`f` as the body of a scan that carries its input."""

    def run(x, ps):
        return jax.lax.scan(lambda carry, _: (carry, f(carry, ps)), x, None, length=2)[1]

    return run


def doubled(f):
    """`f` over a batch of two equal inputs; the size is said for inputs without floats."""

    def run(x, ps):
        return jax.vmap(lambda x: f(x, ps), axis_size=2)([jnp.stack([a, a]) for a in x])

    return run


def gradient(f, of=(0, 1)):
    return jax.grad(lambda x, ps: total(f(x, ps)), of)


TRANSFORMS = {
    "value and jvp": lambda f: lambda x, ps: jax.jvp(f, (x, ps), (x, ps)),
    "gradients": gradient,
    "gradients with remat": lambda f: gradient(jax.checkpoint(f)),
    "jit of vmap": lambda f: jax.jit(doubled(f)),
    "scan": scanned,
}


# A mode says what happens where dtypes differ, and here they do not: one dtype shows that.
BY_MODE = cases(
    ENTRIES,
    DTYPES,
    MODES,
    rests=lambda dtype, mode: mode != "none" or narrower(dtype),
    deep=lambda dtype, mode: mode != "none" and dtype != "float32",
)
IN_MODES = TRANSFORMS if THIRD == "all" else {"gradients": gradient}


@pytest.mark.parametrize(("entry", "dtype", "mode"), BY_MODE)
def test_one_dtype_in_one_dtype_out(entry, dtype, mode):
    x, ps, f = traced(entry, dtype, dtype)
    with precision.match_eltype(mode):  # In "warn", a warning would be an error.
        for name, transform in (TRANSFORMS if mode == "none" else IN_MODES).items():
            out = jax.eval_shape(transform(f), x, ps)
            assert floats(out) <= {dtype}, name


def promotes(entry):
    return bool(lux.parameter_length(entry.layer)) and not entry.converts


MIXED = [
    case
    for case in cases([e for e in ENTRIES if promotes(e.values[0])], DTYPES, DTYPES, rests=narrower)
    if case.values[1] != case.values[2]  # One dtype has a test of its own.
]


@pytest.mark.parametrize(("entry", "of_ps", "of_x"), MIXED)
def test_mixed_dtypes_widen_and_gradients_belong_to_what_they_are_of(entry, of_ps, of_x):
    x, ps, f = traced(entry, of_x, of_ps)
    if not x:
        pytest.skip("the input has no floats")
    if {of_ps, of_x} == {"float16", "bfloat16"}:
        with pytest.raises(precision.EltypeMismatchError):
            jax.eval_shape(f, x, ps)
        return
    wide = max(of_ps, of_x, key=lambda d: jnp.finfo(d).bits)
    # A branch without parameters keeps the dtype of the input, so there may be two.
    y = floats(jax.eval_shape(f, x, ps))
    assert {wide} <= y <= {wide, of_x}
    by_x, by_ps = jax.eval_shape(gradient(f), x, ps)
    assert floats(by_x) == floats(x)
    assert floats(by_ps) == {of_ps}


# Before the second reverse pass, JAX moves the rounding of what is shared by all steps out of the
# loop, so that the pass adds over steps in half precision.
LOOPS = ("BidirectionalRNN", "Recurrence", "RepeatedLayer")
LOOP_ENTRIES = [e for e in ENTRIES if type(e.values[0].layer).__name__ in LOOPS]


def adds_over_steps(finding):
    twice = (finding.program, finding.kind) == ("gradient of gradient", "accumulation")
    return twice and finding.detail.startswith("scan carry of ")


def without_second_reverse_pass(report, entry, dtype):
    """`report` without what is known of loops in half precision, which has a test of its own."""
    if type(entry.layer).__name__ not in LOOPS or dtype not in HALF:
        return report
    findings = tuple(finding for finding in report.findings if not adds_over_steps(finding))
    return dataclasses.replace(report, findings=findings)


def assert_clean(report, entry, dtype):
    """No finding at all, but for float32 on the way of half precision where the entry has it."""
    widens = entry.widens and dtype in HALF
    allowed = {"widening", "narrowing back"} if widens else set()
    assert {finding.kind for finding in report.findings} <= allowed, report
    assert (report.want, report.skipped) == (dtype, ())


KEEPING = [e for e in ENTRIES if not e.values[0].converts]


@pytest.mark.parametrize(("entry", "dtype"), cases(KEEPING, DTYPES, rests=narrower))
def test_no_digit_is_lost_in_a_layer(entry, dtype):
    x, ps, f = traced(entry, dtype, dtype)
    report = precision.audit(f, x, ps, grads=2, want=dtype)
    assert_clean(without_second_reverse_pass(report, entry, dtype), entry, dtype)


@pytest.mark.xfail(strict=True, reason="JAX moves the rounding of shared leaves out of the loop")
@pytest.mark.parametrize("entry", LOOP_ENTRIES)
@pytest.mark.parametrize("dtype", HALF)
def test_no_digit_is_lost_in_reverse_over_reverse_of_a_loop(entry, dtype):
    x, ps, f = traced(entry, dtype, dtype)
    report = precision.audit(f, x, ps, grads=2, want=dtype)
    assert not any(map(adds_over_steps, report.findings)), report


@pytest.mark.parametrize("entry", LOOP_ENTRIES)
@pytest.mark.parametrize("dtype", HALF)
def test_no_digit_is_lost_in_a_second_derivative_of_a_loop_in_forward_mode(entry, dtype):
    x, ps, f = traced(entry, dtype, dtype)

    def along(g):
        return lambda x, ps: jax.jvp(g, (x, ps), (x, ps))[1]

    forward_over_reverse = along(jax.grad(lambda x, ps: summed_wide(f(x, ps)), (0, 1)))
    reverse_over_forward = jax.grad(lambda x, ps: summed_wide(along(f)(x, ps)), (0, 1))
    for twice in (forward_over_reverse, reverse_over_forward):
        assert_clean(precision.audit(twice, x, ps, want=dtype), entry, dtype)


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.name) for e in SOLVES])
def test_no_digit_is_lost_in_a_solve_and_its_gradient(entry):
    x, ps, f = traced(entry, DTYPES[-1], DTYPES[-1])
    precision.assert_no_narrowing(f, x, ps, grads=0)
    precision.assert_no_narrowing(gradient(f, 1), x, ps, grads=0)


OP_ENTRIES = [pytest.param(e, id=e.name) for e in OPS]


@pytest.mark.parametrize(("entry", "dtype"), cases(OP_ENTRIES, DTYPES, rests=narrower))
def test_no_digit_is_lost_in_an_op(entry, dtype):
    if dtype not in entry.dtypes:
        pytest.skip("not meant for this dtype")
    arguments = jax.eval_shape(lambda: example_input(entry.shapes, dtype))
    report = precision.audit(entry.function, *arguments, grads=2, want=dtype)
    assert_clean(report, entry, dtype)


@pytest.mark.parametrize("entry", [pytest.param(e, id=e.name) for e in LOSSES])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_digit_is_lost_in_a_loss(entry, dtype):
    arguments = jax.eval_shape(lambda: entry.inputs(dtype))
    assert_clean(precision.audit(entry.loss, *arguments, grads=2), entry, dtype)
