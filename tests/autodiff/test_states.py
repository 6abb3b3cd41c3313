"""What a model state means inside a derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StateChangedError, StatefulLuxLayer, autodiff, nn, setup, testmode

pytestmark = pytest.mark.any_precision
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float32)
MODEL = nn.Chain(nn.Dense(3, 6, nn.tanh), nn.Dropout(0.5), nn.Dense(6, 1))
PS, ST = setup(0, MODEL)
U = jnp.ones((4, 1), jnp.float32)
OPERATORS = {
    "gradient": autodiff.gradient,
    "jacobian": autodiff.jacobian,
    "batched_jacobian": autodiff.batched_jacobian,
    "hessian": autodiff.hessian,
    "hvp": lambda f, x, *args, **options: autodiff.hvp(f, x, (1.0, 0.0, 0.0), *args, **options),
    "directional_derivative": lambda f, x, *args, **options: autodiff.directional_derivative(
        f, x, (1.0, 0.0, 0.0), *args, **options
    ),
    "laplacian": autodiff.laplacian,
    "partial": lambda f, x, *args, **options: autodiff.partial(f, x, "x", *args, **options),
    "time_derivative": autodiff.time_derivative,
    "jacobian_vector_product": lambda f, x, *args, **options: autodiff.jacobian_vector_product(
        f, x, x, *args, **options
    ),
    "vector_jacobian_product": lambda f, x, *args, **options: autodiff.vector_jacobian_product(
        f, x, U, *args, **options
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_state_that_changes_is_refused_in_every_operator(name):
    with pytest.raises(
        StateChangedError, match=f"`{name}`: `Chain` changes the state `layer_2.rng"
    ):
        OPERATORS[name](MODEL, X, PS, ST)


def test_stateful_layer_is_refused_in_the_same_words():
    with pytest.raises(StateChangedError, match=r"testmode\(st\)`, or state_policy=\"frozen\""):
        autodiff.gradient(StatefulLuxLayer(MODEL, PS, ST), X)


def test_frozen_state_gives_the_derivative_for_the_mask_of_that_key():
    found = autodiff.gradient(MODEL, X, PS, ST, state_policy="frozen")
    expected = jax.grad(lambda x: MODEL(x, PS, ST)[0].sum())(X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    again = autodiff.gradient(StatefulLuxLayer(MODEL, PS, ST), X, state_policy="frozen")
    np.testing.assert_array_equal(found, again)
    plain = autodiff.gradient(MODEL, X, PS, testmode(ST))
    assert not np.allclose(found, plain)


def test_all_forms_of_a_model_give_the_same():
    st = testmode(ST)
    f = StatefulLuxLayer(MODEL, PS, st)
    expected = autodiff.gradient(lambda x: MODEL(x, PS, st)[0], X)
    for found in (
        autodiff.gradient(MODEL, X, PS, st),
        autodiff.gradient(f, X),
        autodiff.gradient(StatefulLuxLayer(MODEL, None, st), X, PS),
        autodiff.gradient(lambda x: jnp.square(f(x)), X) / (2 * f(X)),
        autodiff.gradient(lambda x, scale: scale * f(x), X, 2.0) / 2,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_model_without_its_trees_is_an_error():
    with pytest.raises(TypeError, match=r"`gradient` expects the layer `Chain` with .* got 0 arg"):
        autodiff.gradient(MODEL, X)
    with pytest.raises(TypeError, match="got 0 arguments after `x` and no stored parameters"):
        autodiff.gradient(StatefulLuxLayer(MODEL, None, testmode(ST)), X)
    with pytest.raises(TypeError, match="expects `f` to be a function or a layer, got 3"):
        autodiff.gradient(3, X)
    with pytest.raises(ValueError, match='`state_policy` to be "refuse" or "frozen", got \'once\''):
        autodiff.gradient(MODEL, X, PS, ST, state_policy="once")
