import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision
from sciml_lux.programs import walk
from tests.conftest import needs_x32, needs_x64

X = jnp.asarray([[1.0, -2.0], [0.5, 3.0]], jnp.float32)


def dtypes_inside(model, x, ps, st):
    """The float dtypes of a program's matrix products."""
    program = jax.make_jaxpr(lambda x, ps: model(x, ps, st)[0])(x, ps)
    equations = [visit.equation for visit in walk(program) if visit.equation]
    products = [e for e in equations if e.primitive.name == "dot_general"]
    return {v.aval.dtype.name for e in products for v in (*e.invars, *e.outvars)}


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_alternate_precision_computes_in_its_dtype_and_comes_back():
    model = nn.AlternatePrecision("bfloat16", nn.Dense(2, 3))
    ps, st = made(model)
    y, _ = model(X, ps, st)
    assert y.dtype == jnp.float32 and dtypes_inside(model, X, ps, st) == {"bfloat16"}
    inside, _ = nn.Dense(2, 3)(precision.bf16(X), precision.bf16(ps), st)
    np.testing.assert_array_equal(y, inside.astype(jnp.float32))
    assert not np.array_equal(y, nn.Dense(2, 3)(X, ps, st)[0])


def test_alternate_precision_leaves_parameters_alone_on_request():
    model = nn.AlternatePrecision(jnp.float16, nn.Dense(2, 3), cast_params=False)
    ps, st = made(model)
    assert dtypes_inside(model, X, ps, st) == {"float32"}
    inside, _ = nn.Dense(2, 3)(precision.f16(X), ps, st)
    np.testing.assert_array_equal(model(X, ps, st)[0], inside)


@needs_x64
def test_alternate_precision_lends_float64_to_a_float32_model():
    model = nn.AlternatePrecision(jnp.float64, nn.Dense(2, 3, nn.tanh))
    ps, st = made(model)
    y, _ = model(X, ps, st)
    assert y.dtype == jnp.float32 and dtypes_inside(model, X, ps, st) == {"float64"}
    exact, _ = nn.Dense(2, 3, nn.tanh)(precision.f64(X), precision.f64(ps), st)
    np.testing.assert_array_equal(y, exact.astype(jnp.float32))


def test_alternate_precision_gradients_belong_to_what_they_are_of():
    model = nn.AlternatePrecision("bfloat16", nn.Dense(2, 3))
    ps, st = made(model)
    gradients = jax.grad(lambda x, ps: jnp.sum(model(x, ps, st)[0]), (0, 1))(X, ps)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(gradients)} == {"float32"}


def test_alternate_precision_returns_the_parameters_dtype_for_integers():
    model = nn.AlternatePrecision("bfloat16", nn.Dense(2, 3))
    y, _ = model(jnp.ones((4, 2), jnp.int32), *made(model))
    assert y.dtype == jnp.float32


def test_alternate_precision_leaves_integers_and_states_alone():
    class Count(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(total=jnp.zeros((), dtype))

        def __call__(self, x, ps, st):
            floats, n = x
            return (floats, n), st | {"total": st.total + 1}

    model = nn.AlternatePrecision("float16", Count())
    ps, st = made(model)
    (y, n), new = model((X, jnp.arange(2, dtype=jnp.int32)), ps, st)
    assert (y.dtype, n.dtype, new.total.dtype) == (jnp.float32, jnp.int32, jnp.float32)


def test_alternate_precision_keeps_complex_complex():
    model = nn.AlternatePrecision("float32", nn.NoOpLayer())
    assert model(jnp.ones(2, jnp.complex64), *made(model))[0].dtype == jnp.complex64


def test_alternate_precision_holds_its_dtype_by_name():
    model = nn.AlternatePrecision(np.float32, nn.relu)
    assert repr(model) == "AlternatePrecision('float32', WrappedFunction(relu))"
    assert model == nn.AlternatePrecision("float32", nn.relu)


def test_alternate_precision_of_another_dtype_is_an_error():
    text = "`AlternatePrecision` expects `dtype` to be one of float16, bfloat16, float32, float64,"
    with pytest.raises(TypeError, match=f"{text} got complex64"):
        nn.AlternatePrecision(jnp.complex64, nn.relu)
    with pytest.raises(TypeError, match="`AlternatePrecision`: `dtype` must be a floating or comp"):
        nn.AlternatePrecision("float31", nn.relu)


@needs_x32
def test_alternate_precision_of_float64_names_the_switch():
    with pytest.raises(TypeError, match="`AlternatePrecision`: `dtype` is float64, but jax_enable"):
        nn.AlternatePrecision("float64", nn.relu)


@needs_x64
def test_alternate_precision_of_float64_names_the_switch_at_the_call():
    model = nn.AlternatePrecision("float64", nn.relu)
    ps, st = made(model)
    with (
        jax.enable_x64(False),
        pytest.raises(TypeError, match="`AlternatePrecision`: `dtype` is float64, but jax_enable"),
    ):
        model(X, ps, st)
