import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops

any_precision = pytest.mark.any_precision

TEXT = "the gradient is not finite"


def root(x):
    return jnp.sqrt(ops.watch_cotangent(x, TEXT))


def cube(x):
    return ops.watch_cotangent(x, TEXT) ** 3


@any_precision
def test_values_and_derivatives_of_every_order_are_unchanged(dtype):
    x = jnp.asarray(2.0, dtype)
    assert cube(x) == 8
    assert jax.grad(cube)(x) == jax.jacfwd(cube)(x) == jax.jit(jax.grad(cube))(x) == 12
    modes = (jax.grad, jax.jacfwd)
    second = [outer(inner(cube)) for outer in modes for inner in modes]
    third = [outer(inner(jax.jacrev(cube))) for outer in modes for inner in modes]
    assert jax.jit(lambda x: [f(x) for f in second])(x) == [12] * 4
    assert jax.jit(lambda x: [f(x) for f in third])(x) == [6] * 4


@any_precision
def test_batches_scans_and_remat_pass(dtype):
    x = jnp.asarray([1.0, 2.0], dtype)
    np.testing.assert_array_equal(jax.vmap(jax.grad(cube))(x), 3 * x**2)
    np.testing.assert_array_equal(jax.jacfwd(jax.vmap(cube))(x).diagonal(), 3 * x**2)
    looped = lambda x: jnp.sum(jax.lax.scan(lambda c, _: (cube(c), None), x, None, length=2)[0])
    np.testing.assert_array_equal(jax.grad(looped)(x), 9 * x**8)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(jax.checkpoint(cube)(x)))(x), 3 * x**2)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_a_cotangent_that_is_not_finite_is_an_error(transform, dtype):
    with pytest.raises(RuntimeError, match=TEXT):
        jax.block_until_ready(transform(jax.grad(root))(jnp.zeros((), dtype)))


def test_one_of_a_batch_is_an_error(dtype):
    with pytest.raises(RuntimeError, match=TEXT):
        jax.block_until_ready(jax.vmap(jax.grad(root))(jnp.asarray([1.0, 0.0], dtype)))


def test_forward_mode_does_not_look(dtype):
    assert jnp.isinf(jax.jacfwd(root)(jnp.zeros((), dtype)))


def test_without_a_message_it_does_not_look(dtype):
    f = lambda x: jnp.sqrt(ops.watch_cotangent(x, None))
    assert jnp.isinf(jax.grad(f)(jnp.zeros((), dtype)))


@any_precision
@pytest.mark.parametrize("cause", [1, 2])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_a_cause_is_raised_whatever_comes_back(cause, transform, dtype):
    def f(x):
        return ops.watch_cotangent(
            x, TEXT, cause=jnp.where(x > 0, cause, 0), causes=("first", "second")
        )

    assert transform(jax.grad(f))(jnp.asarray(-1.0, dtype)) == 1
    with pytest.raises(RuntimeError, match=("first", "second")[cause - 1]):
        jax.block_until_ready(transform(jax.grad(f))(jnp.asarray(1.0, dtype)))
    with pytest.raises(RuntimeError, match=("first", "second")[cause - 1]):
        jax.block_until_ready(jax.vmap(jax.grad(f))(jnp.asarray([-1.0, 1.0], dtype)))
