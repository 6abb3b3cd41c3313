"""Every operator keeps the dtype of its data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff
from sciml_lux.precision import assert_no_narrowing
from tests.autodiff.networks import in_float32, network
from tests.conftest import X64, in_third, needs_x64, on_another_day, slow

pytestmark = [pytest.mark.traced, pytest.mark.any_precision]
KEY = jax.random.key(0)
DTYPES = ["float16", "bfloat16", "float32", *(["float64"] if X64 else [])]


def both(f):
    return lambda x: jnp.concatenate([f(x), f(x) ** 2], axis=-1)


OPERATORS = {
    "gradient": autodiff.gradient,
    "jacobian": lambda f, x: autodiff.jacobian(f, x, mode="forward"),
    "batched_jacobian": lambda f, x: autodiff.batched_jacobian(f, x, chunk_size=1),
    "hessian": autodiff.hessian,
    "hvp": lambda f, x: autodiff.hvp(f, x, (1.0, 0.5)),
    "directional_derivative": lambda f, x: autodiff.directional_derivative(f, x, (1.0, 2.0)),
    "laplacian": autodiff.laplacian,
    "partial": lambda f, x: autodiff.partial(f, x, "xy"),
    "fourth": lambda f, x: autodiff.partial(f, x, "xxyy"),
    "second_order_operator": lambda f, x: autodiff.second_order_operator(f, x, x[:2] + x[:2].T),
    "bilaplacian": autodiff.bilaplacian,
    "flux_divergence": lambda f, x: autodiff.flux_divergence(
        f, x, lambda x, u, gradient: (u**2)[..., None] * gradient
    ),
    "stochastic_laplacian": lambda f, x: autodiff.stochastic_laplacian(f, x, KEY, samples=3),
    "stochastic_divergence": lambda f, x: autodiff.stochastic_divergence(both(f), x, KEY),
    "stochastic_bilaplacian": lambda f, x: autodiff.stochastic_bilaplacian(f, x, KEY, samples=3),
    "time_derivative": autodiff.time_derivative,
    "divergence": lambda f, x: autodiff.divergence(both(f), x),
    "curl": lambda f, x: autodiff.curl(both(f), x),
    "jacobian_vector_product": lambda f, x: autodiff.jacobian_vector_product(f, x, x),
    "vector_jacobian_product": lambda f, x: autodiff.vector_jacobian_product(f, x, f(x)),
}


LONG = ("bilaplacian", "flux_divergence", "stochastic_laplacian", "stochastic_bilaplacian")


def marks(index, name, dtype):
    """The long ones are deep checks; the others have a turn every day in the widest dtype."""
    if name in LONG:
        return [slow]
    return [] if dtype == DTYPES[-1] or in_third(index) else on_another_day


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, id=f"{name}-{dtype}", marks=marks(i, name, dtype))
        for i, name in enumerate(OPERATORS)
        for dtype in DTYPES
    ],
)
def test_operator_and_its_gradient_narrow_nothing(name, dtype):
    f, x = network(dtype), jnp.ones((3, 2), dtype)

    def derivative(x, ps):
        return OPERATORS[name](lambda x: f(x, ps), x)

    assert jax.eval_shape(derivative, x, f.ps).dtype == dtype
    assert_no_narrowing(derivative, x, f.ps, grads=1, want=dtype, allow=("accumulation",))


@needs_x64
def test_narrowing_inside_is_seen():
    f, x = in_float32(network("float64")), jnp.ones((3, 2))
    with pytest.raises(AssertionError, match="float32"):
        assert_no_narrowing(lambda x: autodiff.gradient(f, x), x, grads=1)


@needs_x64
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_derivative_has_the_dtype_of_the_values_where_that_is_wider(mode):
    f = network("float64")
    x = np.float32([[0.1, 0.2]])
    found = autodiff.gradient(f, x, mode=mode)
    assert found.dtype == jnp.float64
    expected = autodiff.gradient(f, x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_half_precision_adds_in_float32():
    x = jnp.ones((1, 4096), jnp.float16)
    found = autodiff.divergence(lambda x: x, x, check_samples=False)
    assert found.tolist() == [4096.0]


def test_complex_values_have_derivatives_by_forward_mode():
    x = jnp.asarray([[0.3, 0.5]], jnp.float32)
    f = lambda x: jax.lax.complex(jnp.cos(x.sum(axis=1)), jnp.sin(x.sum(axis=1)))
    found = autodiff.gradient(f, x)
    expected = np.exp(0.8j) * np.array([[1j, 1j]])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert autodiff.hessian(f, x).dtype == jnp.complex64


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradient_in_half_precision_adds_thousands_of_points_in_float32(dtype):
    f = network(dtype)
    wide = jax.tree.map(lambda p: p.astype("float32"), f.ps)
    x = jnp.broadcast_to(jnp.asarray([[0.5, 0.25]], dtype), (4096, 2))

    def loss(ps, x):
        third = autodiff.partial(lambda x: f(x, ps), x, "xxx")
        return jnp.mean(third + autodiff.second_order_operator(lambda x: f(x, ps), x, x[:2] - 1.5))

    found, expected = jax.jit(jax.grad(loss))(f.ps, x), jax.grad(loss)(wide, x.astype("float32"))
    for ours, exact in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = float(jnp.abs(exact).max())
        np.testing.assert_allclose(ours, exact, rtol=0, atol=6 * jnp.finfo(dtype).eps * scale)
