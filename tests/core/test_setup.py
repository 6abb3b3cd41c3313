import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import (
    ComponentArray,
    Record,
    Static,
    nn,
    output_size,
    parameter_length,
    setup,
    state_length,
    stateless_apply,
)
from sciml_lux.core import parameter_structure, state_structure
from tests.conftest import X64, needs_x32, needs_x64
from tests.core.layers import Duck, Running, Scale

MODEL = nn.Chain(nn.Dense(2, 3, nn.tanh), Running(3), Scale(3))
HUGE = nn.Dense(10**6, 10**6, use_bias=False)

DTYPES = [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64]
if X64:
    DTYPES += [jnp.float64, jnp.complex128]


def struct(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def floating(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_parameter_and_state_has_the_dtype_asked_for(dtype):
    ps, st = setup(0, MODEL, dtype)
    assert len(floating(ps)) == 3 and len(floating(st)) == 1
    assert {leaf.dtype for leaf in floating((ps, st))} == {jnp.dtype(dtype)}
    assert st.layer_2.count.dtype == jnp.int32


def test_default_dtype_is_float32():
    assert setup(0, MODEL)[0].layer_1.weight.dtype == jnp.float32


@pytest.mark.parametrize("name", ["float32", np.float32, np.dtype("float32")])
def test_dtype_may_be_a_name_or_a_type(name):
    assert setup(0, MODEL, name)[0].layer_1.weight.dtype == jnp.float32


@pytest.mark.parametrize("seed", [7, np.int32(7)])
def test_integer_seed_is_the_key_of_that_seed(seed):
    by_seed, by_key = setup(seed, MODEL), setup(jax.random.key(7), MODEL)
    for left, right in zip(jax.tree.leaves(by_seed), jax.tree.leaves(by_key), strict=True):
        assert jnp.array_equal(left, right)


def test_other_seeds_give_other_parameters():
    assert not jnp.array_equal(setup(1, MODEL)[0].layer_1.weight, setup(2, MODEL)[0].layer_1.weight)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (jax.random.PRNGKey(0), "ArrayImpl"),
        (np.asarray([0, 1], np.uint32), "ndarray"),
        (True, "bool"),
        (0.0, "float"),
        (None, "NoneType"),
    ],
)
def test_key_that_is_not_typed_raises(key, kind):
    text = rf"`setup` expects a typed random key or an integer seed, got {kind}. Make one with jax"
    with pytest.raises(TypeError, match=text):
        setup(key, MODEL)


@pytest.mark.parametrize(
    ("model", "kind"), [(nn.Dense, "type"), (jnp.tanh, "function"), (None, "NoneType"), (3, "int")]
)
def test_model_that_is_no_layer_raises(model, kind):
    kind = "(PjitFunction|function)" if kind == "function" else kind
    with pytest.raises(
        TypeError, match=rf"`setup` expects `model` to be a layer, got {kind}. A la"
    ):
        setup(0, model)


def test_swapped_arguments_raise():
    with pytest.raises(TypeError, match=r"the order is setup\(key, model\)"):
        setup(MODEL, jax.random.key(0))


@pytest.mark.parametrize("dtype", [jnp.int32, bool, "int8", "nonsense", 3])
def test_dtype_that_is_not_floating_raises(dtype):
    with pytest.raises(
        TypeError, match="`setup`: `dtype` must be a floating or complex dtype, got"
    ):
        setup(0, MODEL, dtype)


@needs_x32
@pytest.mark.parametrize("dtype", [jnp.float64, "float64", float, jnp.complex128])
def test_float64_with_x64_off_raises(dtype):
    with pytest.raises(TypeError, match=r"`setup`: `dtype` is .* but jax_enable_x64 is off"):
        setup(0, MODEL, dtype)


@needs_x64
def test_float64_parameters_give_float64_output():
    ps, st = setup(0, MODEL, jnp.float64)
    assert MODEL(jnp.ones(2, jnp.float64), ps, testmode_of(st))[0].dtype == jnp.float64


def testmode_of(st):
    return st | {"layer_2": st.layer_2 | {"training": Static(False)}}


def test_setup_under_jit_gives_the_same():
    ps, _ = setup(0, nn.Dense(2, 3))
    jitted, _ = jax.jit(lambda key: setup(key, nn.Dense(2, 3)))(jax.random.key(0))
    np.testing.assert_allclose(ps.weight, jitted.weight, rtol=1e-6)


def test_stateless_apply_gives_the_output_alone():
    model = nn.Chain(nn.Dense(2, 3), Scale(3))
    ps, st = setup(0, model)
    x = jnp.ones((4, 2), jnp.float32)
    np.testing.assert_array_equal(stateless_apply(model, x, ps), model(x, ps, st)[0])
    np.testing.assert_array_equal(stateless_apply(Duck(), x, setup(0, Duck())[0]), x + 1)


def test_stateless_apply_of_a_layer_with_states_raises():
    text = r"`stateless_apply` expects a layer without states, got `Chain` with 6. Call y, st = mo"
    with pytest.raises(ValueError, match=text):
        stateless_apply(MODEL, jnp.ones(2, jnp.float32), Record())


def test_parameter_length_by_hand():
    assert parameter_length(nn.Dense(2, 3)) == 2 * 3 + 3
    assert parameter_length(MODEL) == 9 + 3
    assert parameter_length(nn.NoOpLayer()) == 0
    assert parameter_length(Duck()) == 2
    assert parameter_length(nn.Dense(0, 3)) == 3


def test_parameter_length_of_a_tree():
    ps, _ = setup(0, MODEL)
    assert parameter_length(ps) == parameter_length(ComponentArray(ps)) == 12
    assert parameter_length(Record(scale=jnp.ones((), jnp.float32))) == 1
    assert parameter_length(Record()) == 0


def test_parameter_length_counts_python_numbers_as_one():
    assert parameter_length(Record(rate=0.5, w=np.ones(3))) == 4


def test_state_length_counts_arrays_flags_and_keys():
    assert state_length(Running(3)) == 1 + 1 + 3 + 1  # count, training, mean, key
    assert state_length(setup(0, Running(3))[1]) == 6
    assert state_length(nn.Dense(2, 3)) == 0
    assert state_length(Record(carry=None, flag=Static("a"), x=np.ones((2, 2)))) == 1 + 1 + 4


def test_counts_allocate_nothing():
    assert parameter_length(HUGE) == 10**12
    assert parameter_structure(HUGE).weight.shape == (10**6, 10**6)
    assert state_length(Running(10**12)) == 10**12 + 3
    assert output_size(HUGE, struct(1, 10**6)) == (10**6,)


def test_structures_have_the_dtype_asked_for():
    assert parameter_structure(MODEL, jnp.bfloat16).layer_1.weight.dtype == jnp.bfloat16
    st = state_structure(MODEL, jnp.float16).layer_2
    assert st.mean == struct(3, dtype=jnp.float16)
    assert st.training == Static(True)
    assert st.count.dtype == jnp.int32


def test_output_size_leaves_the_batch_axis_out():
    assert output_size(nn.Dense(2, 3), struct(8, 2)) == (3,)
    assert output_size(nn.Dense(2, 3), struct(8, 5, 2)) == (5, 3)
    assert output_size(nn.Dense(2, 3), jnp.ones((8, 2), jnp.float32)) == (3,)
    assert output_size(nn.Dense(2, 3), struct(8, 2, dtype=jnp.bfloat16)) == (3,)


def test_output_size_of_trees_is_a_tree():
    model = nn.Parallel(None, nn.Dense(2, 3), nn.Dense(4, 5))
    assert output_size(model, (struct(8, 2), struct(8, 4))) == ((3,), (5,))
    model = nn.Chain(nn.Dense(2, 3), lambda x: {"a": x, "mean": x.mean(), "flat": x[:, 0]})
    assert output_size(model, struct(8, 2)) == {"a": (3,), "mean": (), "flat": ()}


def test_output_size_of_a_layer_with_states_and_by_key():
    assert output_size(Running(3), struct(3)) == ()
    assert output_size(nn.Dense(2, 3), struct(8, 2), jax.random.key(1)) == (3,)
    assert output_size(nn.Dense(2, 3), struct(8, 2), 5) == (3,)


def test_output_size_of_integer_input():
    model = nn.WrappedFunction(lambda x: x[:, None])
    assert output_size(model, struct(8, 2, dtype=jnp.int32)) == (1, 2)


def test_output_size_of_another_input_raises_with_path():
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1`\) expects the last axis"):
        output_size(nn.Chain(nn.Dense(2, 3)), struct(8, 5))
    with pytest.raises(TypeError, match="expects a typed random key or an integer seed"):
        output_size(nn.Dense(2, 3), struct(8, 2), jax.random.PRNGKey(0))


def test_seed_that_jax_would_cut_is_an_error():
    high = 2**63 if X64 else 2**32
    text = f"`setup` expects an integer seed from .* to {high - 1}, got {high}: JAX would cut it"
    with pytest.raises(ValueError, match=text):
        setup(high, MODEL)
    with jax.enable_x64(False):
        with pytest.raises(ValueError, match="from 0 to 4294967295, got -1.*jax_enable_x64"):
            setup(-1, MODEL)
        assert setup(2**32 - 1, MODEL)[0].layer_1.weight.dtype == jnp.float32
