"""A function by components is that of arrays, with its derivatives; or says why not."""

import tracemalloc

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import nn
from sciml_lux.ops.by_components import (
    Refusal,
    by_components,
    why_not_by_components,
)

from .fields import ACTIVATIONS, FIELDS, network

NUMBER = 4
REAL = jnp.zeros(0).dtype


def components(array):
    """The vectors of an array whose first axis is of trajectories."""
    return list(array.reshape(len(array), -1).T)


def check(field, state, parameters, spread=1.0):
    """Values and vector-Jacobian products of both forms, at a few points."""
    rng = np.random.default_rng(1)
    sizes = [(NUMBER,), (NUMBER, state), (NUMBER, parameters)]
    t, y, p = (jnp.asarray(spread * rng.normal(size=size), REAL) for size in sizes)
    program = jax.make_jaxpr(field)(t[0], y[0], p[0])
    assert why_not_by_components(program) == ""
    function = by_components(program)

    def by_vectors(t, y, p):
        return jnp.stack(function(t, *components(y), *components(p)), axis=-1)

    @jax.jit
    def both(t, y, p, seed):
        wanted, pull = jax.vjp(jax.vmap(field), t, y, p)
        found, pull_found = jax.vjp(by_vectors, t, y, p)
        return (wanted, *pull(seed)), (found, *pull_found(seed))

    wanted, found = both(t, y, p, jnp.asarray(rng.normal(size=(NUMBER, state)), REAL))
    for one, other in zip(wanted, found, strict=True):
        assert one.dtype == other.dtype
        size = max(1.0, np.max(np.abs(one)))
        np.testing.assert_allclose(other / size, one / size, rtol=0, atol=20 * jnp.finfo(REAL).eps)


@pytest.mark.parametrize("name", FIELDS)
def test_field_by_components_is_that_of_arrays_with_its_derivatives(name):
    check(*FIELDS[name])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_network_by_components_is_that_of_arrays_with_its_derivatives(activation):
    check(*network(activation))


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "gelu", "softplus"])
def test_derivative_rules_of_activations_stay_in_force_in_the_tails(activation):
    check(*network(activation), spread=12.0)


def test_derivative_of_tanh_by_components_is_exact_where_1_minus_its_square_is_0():
    program = jax.make_jaxpr(nn.tanh)(jnp.full(2, 15.0))
    function = by_components(program)
    x = jnp.full(3, 15.0)
    slopes = jax.jvp(lambda x: function(x, 2 * x)[0], (x,), (jnp.ones(3),))[1]
    want = 4 * np.exp(-30.0) if REAL.itemsize == 8 else jax.jvp(nn.tanh, (x,), (jnp.ones(3),))[1]
    np.testing.assert_allclose(slopes, want, rtol=1e-6)
    curves = jax.grad(jax.grad(lambda x: function(x, x)[0]))(jnp.asarray(0.3))
    np.testing.assert_allclose(curves, -2 * np.tanh(0.3) / np.cosh(0.3) ** 2, rtol=1e-6)


def test_maximum_shares_its_gradient_among_equal_entries():
    program = jax.make_jaxpr(jnp.max)(jnp.ones(3))
    slopes = jax.grad(lambda y: by_components(program)(*y)[0])([jnp.asarray(1.0)] * 3)
    np.testing.assert_allclose(slopes, 1 / 3, rtol=1e-6)


def test_nan_stays_in_its_place():
    program = jax.make_jaxpr(lambda y: jnp.diag(jnp.ones(2)) @ y)(jnp.ones(2))
    found = by_components(program)(jnp.asarray([np.nan, 1.0]), jnp.ones(2))
    np.testing.assert_array_equal(np.isnan(found), [[True, False]] * 2)


@jax.custom_vjp
def with_own_transpose(y):
    return 2 * y


with_own_transpose.defvjp(lambda y: (2 * y, None), lambda _, dy: (2 * dy,))

REFUSED = {
    "scan": (lambda y: jax.lax.scan(lambda c, x: (c + x, c), y[0], y)[1], "a loop has no straight"),
    "while": (
        lambda y: jax.lax.while_loop(lambda y: y[0] < 9, lambda y: 2 * y, y),
        "a loop has no",
    ),
    "cond": (lambda y: jax.lax.cond(y[0] > 0, jnp.sin, jnp.cos, y), "a condition has no straight"),
    "sort": (jnp.sort, "an order that depends on values"),
    "argmax": (lambda y: y * jnp.argmax(y).astype(y.dtype), "an order that depends on values"),
    "cholesky": (lambda y: jnp.linalg.cholesky(jnp.outer(y, y))[0], "linear algebra is faster"),
    "pure_callback": (lambda y: jax.pure_callback(lambda y: y, y, y), "a callback takes arrays"),
    "random_bits": (
        lambda y: y + jax.random.normal(jax.random.key(0), (3,), y.dtype),
        "random numbers are drawn as arrays",
    ),
    "scatter": (lambda y: y.at[0].apply(jnp.sin), "it computes with the entries that it replaces"),
    "debug_print": (lambda y: (jax.debug.print("{}", y), y)[1], "a callback takes arrays"),
    "dynamic_slice": (lambda y: y[y[0].astype(jnp.int32)] * y, "its indices depend on values"),
    "convert_element_type": (
        lambda y: y.astype(jnp.float16).astype(y.dtype),
        "a value would change from float(64|32) to float16",
    ),
    "complex": (lambda y: jax.lax.complex(y, y).real, "a complex number is not one component"),
    "custom_vjp_call": (with_own_transpose, "its derivative rule takes arrays"),
    "conv_general_dilated": (lambda y: jnp.convolve(y, y, "same"), "the primitive has no rule"),
}


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_by_components_is_refused_by_name_with_the_reason(name):
    function, reason = REFUSED[name]
    program = jax.make_jaxpr(function)(jnp.ones(3))
    with pytest.raises(Refusal, match=reason) as found:
        jax.eval_shape(by_components(program), *[jnp.ones(())] * 3)
    assert f"`{name}`" in str(found.value) or name == "random_bits"
    assert why_not_by_components(program) == str(found.value)


@pytest.mark.any_precision
@pytest.mark.traced
def test_sums_of_half_precision_are_refused():
    for function in (lambda y: jax.lax.dot(y, y), jnp.cumsum, lambda y: y[0] * y):
        program = jax.make_jaxpr(function)(jnp.ones(3, jnp.bfloat16))
        assert "a sum of bfloat16 is taken in float32" in why_not_by_components(program)


@pytest.mark.any_precision
@pytest.mark.traced
def test_what_jax_has_no_derivative_of_is_refused_with_what_it_says():
    powers = np.arange(3, dtype=np.int32)  # JAX's rule multiplies floats by them.
    program = jax.make_jaxpr(lambda y: jax.lax.pow(y, powers))(jnp.ones(3))
    assert "no available implicit dtype promotion path" in why_not_by_components(program)
    next_after = lambda y: jnp.nextafter(y, y + 1)
    program, reason = jax.make_jaxpr(next_after)(jnp.ones(3)), ""
    try:  # Newer versions of JAX have a rule.
        jax.jvp(next_after, (jnp.ones(3),), (jnp.ones(3),))
    except NotImplementedError as error:
        reason = f"{error}."
    assert why_not_by_components(program) == reason


@pytest.mark.any_precision
@pytest.mark.traced
def test_tables_of_numbers_stay_arrays():
    table = np.arange(1_000_000, dtype=np.int32)
    program = jax.make_jaxpr(lambda y: y * jnp.asarray(table)[np.array([4, 2])].astype(y.dtype))(
        jnp.ones(2)
    )
    jax.eval_shape(by_components(program), 1.0, 1.0)  # What JAX keeps of its own.
    tracemalloc.start()
    found = by_components(program)(jnp.ones(()), jnp.ones(()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(found, [4, 2])
    assert peak < 5 * table.nbytes  # Objects of Python take more than ten times.
    program = jax.make_jaxpr(lambda y: (y[0] * jnp.asarray(table).astype(y.dtype))[:2])(jnp.ones(2))
    reason = "a constant of 1000000 entries is faster as an array."
    assert why_not_by_components(program).endswith(reason)


@pytest.mark.any_precision
@pytest.mark.traced
def test_too_many_operations_are_refused():
    program = jax.make_jaxpr(lambda y: jnp.outer(y, y))(jnp.ones(15))
    reason = "more than 224 scalar operations are faster on arrays."
    assert why_not_by_components(program, most=224) == reason
    assert why_not_by_components(program, most=225) == ""
