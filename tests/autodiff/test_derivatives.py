"""Several derivatives by name in one evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StateChangedError, autodiff, nn, setup
from sciml_lux.programs import walk
from tests.autodiff.networks import network

pytestmark = pytest.mark.any_precision
F = network("float32")
XT = jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32)


def two(x):
    return jnp.stack([jnp.sin(x[:, 0]) * x[:, 1] ** 3, jnp.exp(x[:, 0] * x[:, 1])], axis=1)


def test_each_entry_is_the_partial_derivative_of_its_name():
    names = ["u", "u_t", "u_x", "u_xx", "u_xt", "u_tx", "u_xxt"]

    @jax.jit
    def both(x):
        one_by_one = [autodiff.partial(F, x, n[2:], coordinates="xt")[:, 0] for n in names[1:]]
        return autodiff.derivatives(F, x, names, coordinates="xt"), [F(x)[:, 0], *one_by_one]

    found, expected = both(XT)
    assert list(found) == names
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6)


def test_components_are_those_of_the_last_axis():
    found = autodiff.derivatives(two, XT, ["v_y", "u_xy", "u"], components=("u", "v"))
    x, y = np.asarray(XT, np.float64).T
    np.testing.assert_allclose(found.v_y, x * np.exp(x * y), rtol=1e-5)
    np.testing.assert_allclose(found.u_xy, 3 * np.cos(x) * y**2, rtol=1e-5)
    np.testing.assert_allclose(found.u, np.sin(x) * y**3, rtol=1e-5)


def test_name_of_a_component_may_have_an_underscore():
    found = autodiff.derivatives(two, XT, ["p_x", "p_x_x"], components=["p_x", "q"])
    x, y = np.asarray(XT, np.float64).T
    np.testing.assert_allclose(found["p_x"], np.sin(x) * y**3, rtol=1e-5)
    np.testing.assert_allclose(found["p_x_x"], np.cos(x) * y**3, rtol=1e-5)


def test_only_what_was_asked_for_is_in_the_program():
    program = jax.make_jaxpr(lambda x: autodiff.derivatives(jnp.sin, x, ["u_x"]).u_x)(XT[:, :1])
    names = [visit.equation.primitive.name for visit in walk(program) if visit.equation]
    assert names.count("cos") == 1


def test_residual_of_a_travelling_wave_vanishes_and_has_a_gradient():
    def residual(speed, x):
        f = lambda x: jnp.tanh(x[:, 0] - speed * x[:, 1])
        d = autodiff.derivatives(f, x, ["u_t", "u_x"], coordinates="xt")
        return d.u_t + 2.0 * d.u_x

    two = jnp.asarray(2.0, jnp.float32)
    np.testing.assert_allclose(residual(two, XT), np.zeros(4), atol=1e-6)
    slope = jax.jacfwd(residual)(two, XT)
    expected = -(1 - np.tanh(XT[:, 0] - 2 * XT[:, 1]) ** 2)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "options", "text"),
    [
        (["u_z"], {}, "to be named by x, y, got 'z' in 'z'. Pass coordinates="),
        (["w"], {}, "such as 'u' or 'u_x', of the components u, got 'w'. Pass components="),
        (["u_"], {}, "such as 'u' or 'u_x', of the components u, got 'u_'"),
        (["u"], {"components": "uv"}, "each of the components u, v, got values of shape \\(1,\\)"),
        (["u"], {"components": "uu"}, "`components` to differ, got 'uu'"),
        (["u_x"], {"coordinates": "xx"}, "`coordinates` to differ, got 'xx'"),
    ],
)
def test_wrong_names_say_what_there_is(names, options, text):
    with pytest.raises(ValueError, match=text):
        autodiff.derivatives(F, XT, names, **options)


@pytest.mark.parametrize(
    ("names", "options", "text"),
    [
        ("u_x", {}, r"a list such as \['u_x'\], got 'u_x'"),
        (None, {}, r"a list such as \['u_x'\], got None"),
        ([1], {}, "`names` to be strings such as 'u_x', got 1"),
        (["u"], {"components": [0]}, r"`components` to be names, such as \"uv\", got \[0\]"),
    ],
)
def test_names_that_are_not_a_list_of_strings_are_an_error(names, options, text):
    with pytest.raises(TypeError, match=text):
        autodiff.derivatives(F, XT, names, **options)


def test_state_that_changes_is_refused():
    model = nn.Chain(nn.Dense(2, 4), nn.Dropout(0.5), nn.Dense(4, 1))
    with pytest.raises(StateChangedError, match="`derivatives`: `Chain` changes the state"):
        autodiff.derivatives(model, XT, ["u_x"], *setup(0, model))
