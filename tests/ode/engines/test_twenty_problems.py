"""Both engines solve twenty problems alike, with gradients of ten digits on equal steps."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64, slow
from tests.ode.problems import arenstorf, brusselator, lorenz, van_der_pol

pytestmark = needs_x64


def kepler(t, u):
    cube = (u[0] ** 2 + u[1] ** 2) ** 1.5
    return u[2], u[3], -u[0] / cube, -u[1] / cube


# Fields of up to four components, and their initial states. The first twelve are of the families
# of Hull, Enright, Fellen and Sedgwick, Comparing numerical methods for ordinary differential
# equations, SIAM Journal on Numerical Analysis 9 (1972).
PROBLEMS = [
    (lambda t, u: (-u[0],), (1,)),
    (lambda t, u: (-(u[0] ** 3) / 2,), (1,)),
    (lambda t, u: (u[0] * jnp.cos(t),), (1,)),
    (lambda t, u: (u[0] / 4 * (1 - u[0] / 20),), (1,)),
    (lambda t, u: ((u[0] - t) / (u[0] + t),), (4,)),
    (lambda t, u: (2 * (u[0] - u[0] * u[1]), u[0] * u[1] - u[1]), (1, 3)),
    (lambda t, u: (u[1] - u[0], u[0] - 2 * u[1] + u[2], u[1] - u[2]), (2, 0, 1)),
    (lambda t, u: (-u[0], u[0] - u[1] ** 2, u[1] ** 2), (1, 0, 0)),
    (lambda t, u: (u[1] * u[2], -u[0] * u[2], -0.51 * u[0] * u[1]), (0, 1, 1)),
    (kepler, (0.7, 0, 0, np.sqrt(1.3 / 0.7))),
    (lambda t, u: (u[1], u[0] ** 3 / 6 - u[0] + 2 * jnp.sin(2.78535 * t)), (0, 0)),
    (van_der_pol(1.0), (2, 0)),
    (lorenz, (1, 1, 1)),
    (brusselator, (1.5, 3)),
    (arenstorf, (0.994, 0, 0, -2.0015851063790825)),
    (lambda t, u: (-u[1] - u[2], u[0] + 0.2 * u[1], 0.2 + u[2] * (u[0] - 5.7)), (1, 1, 0)),
    (lambda t, u: (u[0] - u[0] ** 3 / 3 - u[1] + 0.5, 0.08 * (u[0] + 0.7 - 0.8 * u[1])), (-1, 1)),
    (lambda t, u: (-2 * u[0] * u[1], 2 * u[0] * u[1] - u[1] / 2, u[1] / 2), (0.99, 0.01, 0)),
    (lambda t, u: (u[1], -0.2 * u[1] + u[0] - u[0] ** 3 + 0.3 * jnp.cos(t)), (1, 0)),
    (lambda t, u: (u[2], u[3], -u[0] - 2 * u[0] * u[1], -u[1] - u[0] ** 2 + u[1] ** 2),
     (0.3, 0.1, 0, 0.2)),
]  # fmt: skip


def padded(parts):
    found = jnp.concatenate([jnp.atleast_1d(part) for part in parts])
    return jnp.pad(found, (0, 4 - len(found)))


class AnyOfThem(ode.ODELayer):
    """The problem of number `st`, du/dt = ps f(t, u): one program for all."""

    tspan: tuple[float, float]

    def vector_field(self, ps, st):
        fields = [lambda t, u, f=f: padded(f(t, u)) for f, _ in PROBLEMS]
        return lambda t, u: ps * jax.lax.switch(st, fields, t, u)


def solver_of(**options):
    """u0, rate, number -> the states, the steps, and the gradient of a number made of the last."""
    node = AnyOfThem((0.0, 2.0), saveat=(0.7, 2.0), max_steps=512, **options)

    def value(u0, rate, number):
        solution, _ = node.solve(u0, rate, number)
        return jnp.sum(jnp.sin(solution.ys[-1])), (solution.ys, solution.stats.num_accepted_steps)

    return jax.jit(jax.grad(value, (0, 1), has_aux=True))


@pytest.mark.parametrize(
    "options",
    [
        # From one first step both take the same steps.
        pytest.param({"rtol": 1e-6, "atol": 1e-6, "dt0": 0.01}, id="adaptive"),
        pytest.param(
            {"stepsize_controller": diffrax.ConstantStepSize(), "dt0": 0.02},
            id="fixed",
            marks=slow,
        ),
    ],
)
def test_states_agree_to_the_tolerance_and_gradients_to_ten_digits(options):
    lean = solver_of(**options)
    other = solver_of(adjoint=diffrax.RecursiveCheckpointAdjoint(), **options)
    for number, (_, start) in enumerate(PROBLEMS):
        case = padded(jnp.asarray(start, float)), jnp.asarray(0.9), jnp.asarray(number)
        (ours, (us, steps)), (theirs, (others, their_steps)) = lean(*case), other(*case)
        assert int(steps) == int(their_steps), number
        np.testing.assert_allclose(us, others, rtol=2e-5, atol=2e-5, err_msg=str(number))
        for gradient, peer in zip(ours, theirs, strict=True):
            close = 1e-10 * np.abs(peer).max()
            np.testing.assert_allclose(gradient, peer, rtol=0, atol=close, err_msg=str(number))
