import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import testing
from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision


def smooth(x, ps, n):
    return jnp.sum(jnp.sin(x) * ps["w"]) * n


def test_gradients_pass_a_right_function(dtype):
    args = jnp.asarray([0.1, 0.5], dtype), {"w": jnp.asarray([1.0, -2.0], dtype)}, 3
    testing.test_gradients(smooth, *args)


@jax.custom_jvp
def wrong(x):
    return x**3


wrong.defjvp(lambda primals, tangents: (wrong(*primals), 3.1 * primals[0] ** 2 * tangents[0]))


@jax.custom_jvp
def wrong_twice(x):
    return jnp.sin(x)


@jax.custom_jvp
def _cosine(x):
    return jnp.cos(x)


_cosine.defjvp(lambda primals, tangents: (_cosine(*primals), 2 * tangents[0]))
wrong_twice.defjvp(lambda p, t: (wrong_twice(*p), _cosine(p[0]) * t[0]))


@pytest.mark.parametrize(
    ("f", "modes", "named"),
    [
        (wrong, ("reverse",), "reverse"),
        (wrong, ("forward",), "forward"),
        (wrong_twice, ("reverse", "forward", "nested"), "nested"),
    ],
)
def test_gradients_find_a_wrong_rule_and_name_the_mode(f, modes, named, dtype):
    with pytest.raises(AssertionError, match=f"the {named} derivative is .*central differences"):
        testing.test_gradients(lambda x: jnp.sum(f(x)), jnp.asarray([0.4, 1.2], dtype), modes=modes)


@needs_x64
def test_gradients_against_a_reference_of_more_digits():
    x = jnp.asarray([0.1, 0.7])
    good = np.cos(np.asarray(x))
    testing.test_gradients(lambda x: jnp.sum(jnp.sin(x)), x, reference=(good,))

    def cut(x):
        return jnp.sum(jnp.sin(x.astype(jnp.float32)).astype(jnp.float64))

    with pytest.raises(AssertionError, match="the gradient differs from the reference at `0` by"):
        testing.test_gradients(cut, x, modes=(), reference=(good,))


def test_gradients_of_an_unknown_mode_list_the_known(dtype):
    with pytest.raises(ValueError, match='knows the modes "reverse", "forward", "nested", got'):
        testing.test_gradients(jnp.sum, jnp.ones(2, dtype), modes=("backward",))


@jax.custom_jvp
def small(x):
    return 1e-4 * jnp.sum(x * x)


small.defjvp(lambda x, t: (small(*x), 3e-4 * jnp.sum(x[0] * t[0])))  # It should be 2e-4.


def test_wrong_gradient_of_a_small_function_is_found(dtype):
    with pytest.raises(AssertionError, match="the reverse derivative is"):
        testing.test_gradients(small, jnp.ones(3, dtype))


def test_arguments_and_references_that_do_not_fit_are_named(dtype):
    with pytest.raises(ValueError, match="expects arguments with a floating leaf, got none"):
        testing.test_gradients(lambda x: x, jnp.ones(3, jnp.int32))
    square = lambda x, y: jnp.sum(x * y)
    with pytest.raises(
        ValueError, match=r"`reference` to be a tuple .* with shape \(2,\) at `1`, got none"
    ):
        x = jnp.ones(2, dtype)
        testing.test_gradients(square, x, x, reference=(x,))


def planted(f, gradient):
    """`f` with another backward rule."""
    rule = jax.custom_vjp(f)
    rule.defvjp(lambda x: (f(x), x), lambda x, cotangent: (cotangent * gradient(x),))
    return rule


NUMBERS = np.random.default_rng(0).normal(size=20)
MANY = np.random.default_rng(1).normal(size=100000)


@needs_x64
@pytest.mark.parametrize(
    ("f", "gradient", "x"),
    [
        (lambda x: jnp.sum(x**2), lambda x: 0 * x, [1.1e8, 1.7e8]),
        (lambda x: jnp.sum(jnp.sin(x / 1e4)), lambda x: 1.001e-4 * jnp.cos(x / 1e4), [1e4, 2e4]),
        (lambda x: 1000 + jnp.sum(jnp.sin(x)), lambda x: (1 + 1e-6) * jnp.cos(x), NUMBERS),
        (lambda x: jnp.sum(jnp.sin(x)), lambda x: jnp.cos(x).at[7].multiply(1.001), MANY),
        (lambda x: jnp.sum(jnp.sin(x)), lambda x: jnp.cos(x).at[0].multiply(2), [1e-4, 1.0]),
    ],
    ids=["large", "large, by 0.001", "offset, by 1e-6", "one of many", "small beside large"],
)
def test_wrong_gradient_is_found(f, gradient, x):
    with pytest.raises(AssertionError, match="the reverse derivative is .* direction of `0`"):
        testing.test_gradients(planted(f, gradient), jnp.asarray(x), modes=("reverse",))


@needs_x64
@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: jnp.sum(jnp.log(x)), [1e-8, 2e-8]),
        (lambda x: jnp.sum(jnp.log(x)), [1e-4, 2e-4]),
        (lambda x: jnp.sum(1 / x), [0.01, 0.02]),
        (lambda x: jnp.sum(jnp.sin(50 * x)), NUMBERS),
        (lambda x: jnp.sum(1 / (x + 0.001)), [0.0, 0.0]),
        (lambda x: jnp.sum(jnp.sin(x)), [1.1e4, 1.7e4]),
        (lambda x: jnp.sum(jax.nn.softmax(x)), NUMBERS),
        (lambda x: jnp.sum(jnp.floor(x)), NUMBERS),
        (lambda x: jnp.sum(jnp.abs(x)), NUMBERS),
    ],
    ids=["log 1e-8", "log 1e-4", "1/x", "sin 50x", "zeros", "sin 1e4", "zero", "steps", "kinks"],
)
def test_right_gradient_passes(f, x):
    testing.test_gradients(f, jnp.asarray(x))


@pytest.mark.parametrize("seed", range(3))
def test_right_gradient_of_a_layer_in_float32_passes(seed):
    rng = np.random.default_rng(seed)
    x, w = (jnp.asarray(rng.normal(size=n), jnp.float32) for n in [(8, 30), (30, 30)])
    testing.test_gradients(lambda x: jnp.mean(jnp.tanh(x @ w) ** 2), x, seed=seed)


def test_leaf_of_no_influence_and_leaf_without_elements_pass(dtype):
    x, empty = jnp.asarray(NUMBERS, dtype), jnp.zeros((0,), dtype)
    testing.test_gradients(lambda x, y, z: jnp.sum(x**2), x, x, empty)


def test_slopes_below_what_differences_resolve_are_refused(dtype):
    x = jnp.asarray(NUMBERS, dtype)
    small = 1e-12 if dtype == jnp.float64 else 1e-5
    offset = lambda x: 1 + small * jnp.sum(jnp.sin(x))
    with pytest.raises(ValueError, match="cannot resolve the reverse derivative .* of `0`. Use"):
        testing.test_gradients(offset, x)
    testing.test_gradients(offset, x, atol=10 * small)


@needs_x64
def test_reference_is_compared_in_the_size_of_its_leaf():
    x = jnp.asarray(NUMBERS)
    f = lambda x: 1e-13 * jnp.sum(jnp.sin(x))
    good = 1e-13 * np.cos(NUMBERS)
    testing.test_gradients(f, x, modes=(), reference=(good,))
    with pytest.raises(AssertionError, match="the gradient differs from the reference at `0` by"):
        testing.test_gradients(f, x, modes=(), reference=(2 * good,))


@pytest.mark.parametrize(
    "reference", [(np.asarray(2.0),), np.full(20, 2.0), (np.full((1, 20), 2),)]
)
def test_reference_of_another_shape_or_structure_is_named(reference, dtype):
    with pytest.raises(ValueError, match=r"`reference` to be a tuple .*shape \(20,\) at `0`, got"):
        x = jnp.asarray(NUMBERS, dtype)
        testing.test_gradients(lambda x: 2 * jnp.sum(x), x, modes=(), reference=reference)


def test_complex_gradients_are_checked_by_the_convention_of_jax():
    z = jnp.asarray([1 + 2j, -0.3 + 0.1j], jnp.complex64)
    square = lambda z: jnp.sum(z.real**2 + z.imag**2)
    testing.test_gradients(square, z)
    conjugated = jax.custom_vjp(
        square
    )  # JAX's gradient is that of the steepest ascent, conjugated.
    conjugated.defvjp(lambda z: (square(z), z), lambda z, c: (2 * z,))
    with pytest.raises(AssertionError, match="the reverse derivative is"):
        testing.test_gradients(conjugated, z, modes=("reverse",))


@needs_x64
def test_leaves_of_two_dtypes_are_each_checked_with_their_own_digits():
    x, y = jnp.asarray(NUMBERS), jnp.float32(0.3)

    def f(x, y, of_x=lambda x: jnp.sum(x**2)):
        return of_x(x) * jnp.sin(y).astype(x.dtype)

    testing.test_gradients(f, x, y)
    wrong = planted(lambda x: jnp.sum(x**2), lambda x: 2 * x * (1 + 1e-6))
    with pytest.raises(AssertionError, match="along a direction of `0`"):
        testing.test_gradients(lambda x, y: f(x, y, wrong), x, y, modes=("reverse",))


def test_python_floats_are_arguments_in_the_dtype_of_the_arrays():
    x = jnp.asarray(NUMBERS, jnp.float32)
    testing.test_gradients(lambda x, y: jnp.sum(x**2) * y, x, 2.0)
    testing.test_gradients(lambda y: y**2, 2.0)


def test_mode_that_jax_has_not_is_named_with_what_to_leave_out(dtype):
    rule = planted(lambda x: jnp.sum(jnp.sin(x)), jnp.cos)
    x = jnp.asarray(NUMBERS, dtype)
    with pytest.raises(ValueError, match=r"forward derivative .* modes=\('reverse', 'nested'\)"):
        testing.test_gradients(rule, x)
    testing.test_gradients(rule, x, modes=("reverse", "nested"))


def test_value_that_is_no_real_scalar_is_refused(dtype):
    with pytest.raises(ValueError, match=r"`f` to return a real scalar, got .* of shape \(2,\)"):
        testing.test_gradients(jnp.sin, jnp.ones(2, dtype))
