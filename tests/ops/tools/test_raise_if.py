import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops

pytestmark = pytest.mark.any_precision
X = jnp.ones(2, jnp.float32)
CAUSES = ("first", "second")


def checked(x, cause):
    return ops.raise_if(x, cause, CAUSES)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_no_cause_gives_the_value(transform):
    y = transform(checked)({"a": X}, jnp.zeros((), jnp.int32))
    np.testing.assert_array_equal(y["a"], X)


@pytest.mark.parametrize("cause", [1, 2])
def test_a_cause_raises_its_message_at_once(cause):
    with pytest.raises(RuntimeError, match=f"^{CAUSES[cause - 1]}$"):
        checked(X, cause)
    with pytest.raises(RuntimeError, match=f"^{CAUSES[cause - 1]}$"):
        checked(X, jnp.asarray(cause, jnp.int32))


@pytest.mark.parametrize("cause", [1, 2])
def test_a_cause_raises_its_message_under_jit(cause):
    with pytest.raises(RuntimeError, match=CAUSES[cause - 1]):
        jax.block_until_ready(jax.jit(checked)(X, jnp.asarray(cause, jnp.int32)))


def test_one_of_a_batch_is_enough():
    with pytest.raises(RuntimeError, match="second"):
        jax.vmap(checked)(X, jnp.asarray([0, 2], jnp.int32))
