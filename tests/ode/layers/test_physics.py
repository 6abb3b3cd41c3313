"""Physical parameters: free, positive and bounded ones, numbers and arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import ode


def test_arrays_of_parameters(dtype):
    def known(t, u, physics, terms):
        return physics.matrix @ u * physics.rates + physics.part

    model = ode.UDE(
        known,
        {},
        (0.0, 1.0),
        physics={
            "matrix": np.asarray([[0.0, 1.0], [-1.0, 0.0]]),
            "rates": ode.Positive([1.0, 2.0]),
            "part": ode.Bounded([0.25, 0.5], 0, 1),
        },
    )
    ps, _ = lux.setup(jax.random.key(0), model, dtype=dtype)
    assert {leaf.dtype for leaf in jax.tree.leaves(ps)} == {dtype}
    physics = model.physical_parameters(ps)
    assert physics.matrix.shape == (2, 2)
    np.testing.assert_allclose(physics.rates, [1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(physics.part, [0.25, 0.5], rtol=1e-6)
    assert model == eval(repr(model), {"UDE": ode.UDE, "known": known, **vars(ode)})


def test_bounded_stays_between_and_its_gradient_is_finite(dtype):
    bounded = ode.Bounded(0.3, 0.1, 0.7)
    raw = jnp.asarray([-1e3, -50.0, -1.0, 0.0, 1.0, 50.0, 1e3], dtype)
    value, slope = jax.vmap(jax.value_and_grad(bounded.value))(raw)
    lower, upper = (jnp.asarray(bound, dtype) for bound in (0.1, 0.7))
    assert value[0] == lower and value[-1] == upper
    assert (lower <= value).all() and (value <= upper).all() and (jnp.diff(value) >= 0).all()
    each = np.asarray(raw[2:5], np.float64)
    np.testing.assert_allclose(slope[2:5], 0.6 * np.exp(-each) / (1 + np.exp(-each)) ** 2, 1e-5)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ((1.0, 0.0, 1.0), ValueError, "`initial` strictly between 0.0 and 1.0, got 1.0"),
        (([0.5, 2.0], 0.0, 1.0), ValueError, "`initial` strictly between 0.0 and 1.0, got"),
        ((0.5, 0.0, float("inf")), ValueError, "`Bounded` expects `upper` to be finite, got inf"),
        ((0.5, "0", 1.0), TypeError, "`Bounded` expects `lower` to be a number, got '0'"),
        (("x", 0.0, 1.0), TypeError, "`Bounded` expects `initial` to be a number, got 'x'"),
        ((float("nan"), 0.0, 1.0), ValueError, "`Bounded` expects `initial` to be"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        ode.Bounded(*arguments)


def test_numbers_that_are_not_above_zero_in_an_array_are_refused():
    with pytest.raises(ValueError, match=r"`Positive` expects `initial` to be numbers above 0"):
        ode.Positive([1.0, 0.0])
    with pytest.raises(TypeError, match="`x` to be a number, an array of numbers, `Positive"):
        ode.UDE(lambda t, u, physics, terms: u, {}, (0.0, 1.0), {"x": True})
