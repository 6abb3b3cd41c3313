import os
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision
from tests.conftest import X64, needs_x64

MODES = ("none", "warn", "convert", "error")
FLOATS = ["float16", "bfloat16", "float32"] + ["float64"] * X64

# Lux's table of conversions: parameters' dtype to the input dtypes that are converted to it.
CONVERTED = {
    "float64": {"int32"},
    "float32": {"float64", "int32"},
    "float16": {"float64", "float32", "int32"},
    "bfloat16": {"float64", "float32", "int32"},
}

MODEL = nn.Chain(nn.Dense(2, 3), nn.tanh, nn.Dense(3, 1))


def output_dtype(of_ps, of_x):
    ps, st = jax.eval_shape(lambda: lux.setup(0, MODEL, of_ps))
    x = jax.ShapeDtypeStruct((4, 2), of_x)
    return jax.eval_shape(lambda x, ps, st: MODEL(x, ps, st)[0], x, ps, st).dtype.name


def wider(left, right):
    rank = {"int32": 0, "float16": 1, "bfloat16": 1, "float32": 2, "float64": 3}
    return max(left, right, key=rank.get)


@pytest.mark.parametrize("of_ps", FLOATS)
@pytest.mark.parametrize("of_x", [*FLOATS, "int32"])
@pytest.mark.parametrize("mode", MODES)
def test_every_pair_in_every_mode(mode, of_ps, of_x):
    with precision.match_eltype(mode), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if {of_ps, of_x} == {"float16", "bfloat16"} or (mode == "error" and of_ps != of_x):
            with pytest.raises(
                precision.EltypeMismatchError, match=r"`Dense` \(at `layer_1`\) has"
            ):
                output_dtype(of_ps, of_x)
            return
        found = output_dtype(of_ps, of_x)
    narrows = mode == "convert" and of_x in CONVERTED[of_ps]
    assert found == (of_ps if narrows or of_x == "int32" else wider(of_ps, of_x))
    kinds = [w.category for w in caught]
    mismatches = 0 if of_ps == of_x else 1 + (wider(of_ps, of_x) != of_ps)
    assert kinds.count(precision.EltypeMismatchWarning) == (mode == "warn") * mismatches


def test_warning_names_path_and_both_dtypes_once():
    with precision.match_eltype("warn"):
        with pytest.warns(precision.EltypeMismatchWarning) as caught:
            output_dtype("float16", "float32")
        texts = [str(w.message) for w in caught]
        assert texts[0].startswith(
            "`Dense` (at `layer_1`) has parameters of float16 and got `x` of float32;"
        )
        assert "`layer_3`" in texts[1]
        output_dtype("float16", "float32")  # No second warning: it would be an error here.


def test_error_names_path_both_dtypes_and_remedy():
    text = (
        r"`Dense` \(at `layer_1`\) has parameters of float16 and got `x` of float32. Convert one "
        r"of them, for example x.astype\(float16\), or leave mode 'error'"
    )
    with (
        precision.match_eltype("error"),
        pytest.raises(precision.EltypeMismatchError, match=text),
    ):
        output_dtype("float16", "float32")


def test_halves_do_not_mix_in_any_mode():
    for mode in MODES:
        with (
            precision.match_eltype(mode),
            pytest.raises(precision.EltypeMismatchError, match="common dtype would be float32"),
        ):
            output_dtype("float16", "bfloat16")


def test_booleans_are_an_error():
    text = (
        r"`Dense` \(at `layer_1`\) expects `x` to be numbers, got boolean of shape \(4, 2\). Cast"
    )
    with pytest.raises(TypeError, match=text):
        output_dtype("float32", "bool")


def test_integers_take_the_value_in_the_parameters_dtype(dtype):
    layer = nn.Dense(1, 1, init_weight=lux.initializers.ones, init_bias=lux.initializers.zeros)
    ps, st = lux.setup(0, layer, dtype=dtype)
    big = 2**24 + 1
    y, _ = layer(jnp.asarray([big], jnp.int32), ps, st)
    assert y.dtype == dtype and y[0] == (big if X64 else 2**24)


def test_layer_that_takes_indices_is_left_alone():
    class Table(lux.Layer):
        takes_indices = True

        def initial_parameters(self, key, dtype):
            return lux.Record(rows=jnp.arange(6, dtype=dtype).reshape(3, 2))

        def __call__(self, x, ps, st):
            return ps.rows[x], st

    layer = Table()
    y, _ = layer(jnp.asarray([2, 0], jnp.int32), *lux.setup(0, layer))
    np.testing.assert_array_equal(y, [[4, 5], [0, 1]])


TABLE = nn.compact(lambda m, x: m.rows[x], rows=np.ones((4, 3), np.float32), takes_indices=True)
WRAPPERS = {
    "debug": nn.debug_mode,
    "alternate": lambda layer: nn.AlternatePrecision("bfloat16", layer),
    "skip": lambda layer: nn.SkipConnection(layer, lambda y, x: y),
    "frozen": lambda layer: nn.FrozenLayer(layer, ()),
    "tied": lambda layer: nn.TiedLayer(layer, ()),
    "both": lambda layer: nn.DebugLayer(nn.SkipConnection(layer, lambda y, x: y)),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("inner", [nn.Embedding(4, 3), TABLE], ids=["Embedding", "compact"])
def test_wrappers_of_layers_that_take_indices_leave_them_alone(wrap, inner):
    model, indices = wrap(inner), jnp.asarray([2, 0], jnp.int32)
    y, _ = model(indices, *lux.setup(0, model, jnp.float32))
    want, _ = inner(indices, *lux.setup(0, inner, jnp.float32))
    np.testing.assert_allclose(y, want, rtol=1e-2)  # bfloat16 has two digits.


def test_wrappers_of_other_layers_still_treat_their_input():
    model = nn.SkipConnection(nn.Dense(2, 2), lambda y, x: x)
    x, _ = model(jnp.ones(2, jnp.int32), *lux.setup(0, model, jnp.float32))
    assert x.dtype == jnp.float32


def test_lengths_are_indices_through_a_wrapper_too():
    model = nn.AlternatePrecision("bfloat16", nn.Recurrence(nn.GRUCell(8, 2)))
    ps, st = lux.setup(0, model, jnp.float32)
    x = jax.random.normal(jax.random.key(1), (2, 5, 8), jnp.float32)
    y, _ = model((x, None, jnp.asarray([5, 3], jnp.int32)), ps, st)
    np.testing.assert_allclose(y[1], model(x[1, :3], ps, st)[0], rtol=2e-2, atol=2e-2)


def test_keys_and_python_numbers_in_a_tree_are_left_alone():
    class Pair(lux.Layer):
        def initial_parameters(self, key, dtype):
            return lux.Record(w=jnp.ones((), dtype))

        def __call__(self, x, ps, st):
            assert x[1] == 0.5 and jnp.issubdtype(x[2].dtype, jax.dtypes.prng_key)
            return x[0] * ps.w, st

    x = jnp.ones(2, jnp.float32), 0.5, jax.random.key(0)
    with precision.match_eltype("error"):
        Pair()(x, *lux.setup(0, Pair()))


def test_mode_is_part_of_the_key_of_compiled_functions():
    ps, st = lux.setup(0, MODEL, jnp.float16)
    x = jnp.ones((4, 2), jnp.float32)
    apply = jax.jit(lambda x: MODEL(x, ps, st)[0])
    assert apply(x).dtype == jnp.float32
    with precision.match_eltype("convert"):
        assert apply(x).dtype == jnp.float16
    with precision.match_eltype("error"), pytest.raises(precision.EltypeMismatchError):
        apply(x)
    assert apply(x).dtype == jnp.float32


def test_convert_keeps_complex_inputs_complex():
    ps, st = lux.setup(0, MODEL, jnp.float16)
    with precision.match_eltype("convert"):
        y, _ = jax.eval_shape(MODEL, jax.ShapeDtypeStruct((4, 2), jnp.complex64), ps, st)
    assert y.dtype == jnp.complex64


@needs_x64
def test_gradients_keep_the_dtype_of_what_they_belong_to():
    """As Lux tests: float32 parameters, float64 input."""
    ps, st = lux.setup(0, MODEL, jnp.float32)
    x = jnp.ones((4, 2), jnp.float64)
    of_x, of_ps = jax.eval_shape(jax.grad(lambda x, ps: MODEL(x, ps, st)[0].sum(), (0, 1)), x, ps)
    assert of_x.dtype == jnp.float64
    assert {leaf.dtype.name for leaf in jax.tree.leaves(of_ps)} == {"float32"}


def test_setting_holds_for_the_process_and_the_context_goes_before():
    try:
        precision.set_match_eltype("error")
        assert precision.match_eltype_mode() == "error"
        with precision.match_eltype("none"):
            assert output_dtype("float16", "float32") == "float32"
        with pytest.raises(precision.EltypeMismatchError):
            output_dtype("float16", "float32")
    finally:
        precision.set_match_eltype("none")


def enter(mode):
    with precision.match_eltype(mode):
        pass


@pytest.mark.parametrize("set_mode", [precision.set_match_eltype, enter])
def test_unknown_mode_lists_the_four(set_mode):
    text = 'one of "none", "warn", "convert", "error", got \'strict\''
    with pytest.raises(ValueError, match=text):
        set_mode("strict")


@pytest.mark.any_precision
@pytest.mark.parametrize(("value", "code"), [("error", 0), ("loud", 1)])
def test_environment_variable_sets_the_mode(value, code):
    script = "from sciml_lux import precision; assert precision.match_eltype_mode() == 'error'"
    environment = os.environ | {"SCIML_LUX_MATCH_ELTYPE": value}
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == code
    assert code == 0 or "$SCIML_LUX_MATCH_ELTYPE expects one of" in run.stderr


def test_tree_dtype_is_the_widest():
    tree = {"a": jnp.ones(2, jnp.float16), "b": jnp.ones(2, jnp.float32), "n": jnp.arange(2)}
    assert precision.tree_dtype(tree) == jnp.float32
    assert precision.tree_dtype({"n": jnp.arange(2), "flag": lux.Static(True)}) is None
    with pytest.raises(precision.EltypeMismatchError):
        precision.tree_dtype([jnp.ones(2, jnp.float16), jnp.ones(2, jnp.bfloat16)])


@pytest.mark.parametrize(
    "layer",
    [nn.FourierFeatures(2, 3), nn.BatchNorm(2, affine=False)],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_with_nothing_to_learn_is_treated_by_the_dtype_of_its_state(layer):
    ps, st = lux.setup(0, layer, dtype=jnp.float16)
    x = jnp.ones((4, 2), jnp.float32)
    assert layer(x, ps, st)[0].dtype == jnp.float32
    with precision.match_eltype("convert"):
        assert layer(x, ps, st)[0].dtype == jnp.float16
    with precision.match_eltype("error"), pytest.raises(precision.EltypeMismatchError):
        layer(x, ps, st)
    with pytest.raises(TypeError, match="int32"):
        layer(jnp.ones((4, 2), jnp.int32), ps, st)


def test_integers_beside_numbers_in_the_state_are_left_alone():
    class Total(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(total=jnp.zeros((), dtype))

        def __call__(self, x, ps, st):
            return x, st

    model, x = Total(), (jnp.arange(2, dtype=jnp.int32), jnp.ones(2, jnp.bool_))
    with precision.match_eltype("error"):
        (n, flags), _ = model(x, *lux.setup(0, model, dtype=jnp.float32))
    assert (n.dtype, flags.dtype) == (jnp.int32, jnp.bool_)


def mismatches(call):
    """The texts of the warnings of a call in which input and parameters differ."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if w.category is precision.EltypeMismatchWarning]


def traced(model, of_ps="float16", of_x="float32"):
    """The shape and dtype of the output of a model whose input has another dtype."""
    ps, st = jax.eval_shape(lambda: lux.setup(0, model, of_ps))
    # A function of its own: what JAX has traced before is not traced, and warns not, again.
    return jax.eval_shape(lambda *args: model(*args)[0], jax.ShapeDtypeStruct((4, 2), of_x), ps, st)


def test_layers_of_two_models_at_one_path_warn_each():
    first, second = (nn.Chain(nn.Dense(2, dims)) for dims in (3, 4))
    with precision.match_eltype("warn"):
        assert [len(mismatches(lambda m=m: traced(m))) for m in (first, second)] == [1, 1]
        assert [len(mismatches(lambda m=m: traced(m))) for m in (first, second)] == [0, 0]
        assert mismatches(lambda: traced(nn.Chain(nn.Dense(2, 3)))) == []  # Equal.


def test_model_without_a_hash_warns_once_too():
    class Foreign(dict):
        def initial_parameters(self, key, dtype):
            return lux.Record(w=jnp.ones((), dtype))

        def initial_states(self, key, dtype):
            return lux.Record()

        def __call__(self, x, ps, st):
            return x * ps.w.astype(x.dtype), st

    model, x = Foreign(), jnp.ones(2, jnp.float32)
    ps, st = lux.Record(w=jnp.ones((), jnp.float16)), lux.Record()
    with precision.match_eltype("warn"):
        assert len(mismatches(lambda: lux.apply(model, x, ps, st))) == 1
        assert mismatches(lambda: lux.apply(model, x, ps, st)) == []


def test_what_was_warned_of_is_kept_through_an_inner_context():
    call = lambda: traced(MODEL)
    with precision.match_eltype("warn"):
        assert len(mismatches(call)) == 2
        with precision.match_eltype("none"):
            assert mismatches(call) == []
        with precision.match_eltype("warn"):
            assert len(mismatches(call)) == 2  # A context of its own.
        assert mismatches(call) == []
    with precision.match_eltype("warn"):
        assert len(mismatches(call)) == 2


def test_process_warns_once_and_anew_when_set_again():
    call = lambda: traced(MODEL)
    try:
        for _ in range(2):
            precision.set_match_eltype("warn")
            assert len(mismatches(call)) == 2
            with precision.match_eltype("warn"):
                assert len(mismatches(call)) == 2
            assert mismatches(call) == []
    finally:
        precision.set_match_eltype("none")


SQUARE, ONE = nn.Dense(2, 2), nn.Dense(2, 1)
SHARING = {
    "skip": nn.SkipConnection(SQUARE, lambda y, x: y + x),
    "hamiltonian": nn.HamiltonianNN(ONE),
    "positive": nn.PositiveDefinite(SQUARE, (0.5, -1.0)),
    "shifted": nn.ShiftTo(ONE, (0.5, -1.0), (1.0,)),
    "debug": nn.DebugLayer(SQUARE),
    "repeated": nn.RepeatedLayer(SQUARE, 2),
    "stateful": nn.StatefulRecurrentCell(nn.GRUCell(2, 3), batch_shape=(4,)),
    "frozen": nn.FrozenLayer(SQUARE, ("bias",)),
    "tied": nn.TiedLayer(SQUARE, ()),
    "normed": nn.WeightNorm(SQUARE, "weight"),
    "both": nn.DebugLayer(nn.SkipConnection(SQUARE, lambda y, x: y + x)),
}


@pytest.mark.parametrize("model", SHARING.values(), ids=SHARING)
def test_wrapper_leaves_the_warning_to_the_layer_inside(model):
    with precision.match_eltype("warn"):
        (text,) = mismatches(lambda: traced(model))
    inner = "GRUCell" if isinstance(model, nn.StatefulRecurrentCell) else "Dense"
    assert text.startswith(f"`{inner}` has parameters of float16 and got `x` of float32")


@pytest.mark.parametrize("model", SHARING.values(), ids=SHARING)
def test_wrapper_leaves_the_error_to_the_layer_inside(model):
    text = "`(Dense|GRUCell)` has parameters of float16 and got `x` of float32"
    with (
        precision.match_eltype("error"),
        pytest.raises(precision.EltypeMismatchError, match=text),
    ):
        traced(model)


@pytest.mark.parametrize("model", SHARING.values(), ids=SHARING)
def test_wrapper_of_a_layer_and_of_a_chain_of_it_convert_alike(model):
    children = {name: nn.Chain(layer) for name, layer in model.sublayers().items()}
    if not children or isinstance(model, nn.StatefulRecurrentCell | nn.WeightNorm):
        pytest.skip("its parameter names or its cell would be others")
    with precision.match_eltype("convert"):
        assert traced(model).dtype == traced(model.with_sublayers(children)).dtype


def test_layer_that_casts_tells_of_the_difference_that_it_hides():
    model = nn.AlternatePrecision("bfloat16", nn.Dense(2, 3))
    with precision.match_eltype("warn"):
        (text,) = mismatches(lambda: traced(model, "float32", "float16"))
    assert text.startswith("`AlternatePrecision` has parameters of float32 and got `x` of float16")


@pytest.mark.parametrize("inner", [nn.Dense(2, 2), nn.Chain(nn.Dense(2, 2))])
def test_skipped_branch_is_not_converted_with_the_input_of_the_layer(inner):
    model = nn.SkipConnection(inner, lambda y, x: x)
    with precision.match_eltype("convert"):
        assert traced(model).dtype == jnp.float32
