"""An ensemble by components is one kernel for a step, and one that asks whether to go on."""

import jax
import jax.numpy as jnp
import pytest

from sciml_lux.ops.solve import solve_ensemble, tableaus
from tests.conftest import needs_x64

from .described import launches, names

pytestmark = pytest.mark.gpu_compile
NUMBER = 2048


def lorenz(t, y, p):
    x, v, z = y
    return jnp.stack([p[0] * (v - x), x * (p[1] - z) - v, x * v - p[2] * z])


def ends(y0, p):
    time = jnp.asarray(1.0, y0.dtype)
    options = {"tableau": tableaus.TSIT5, "rtol": 1e-8, "atol": 1e-8, "max_steps": 256}
    # `chunk`: this machine is a CPU, for which trajectories are solved in small chunks.
    solved, reason = solve_ensemble(
        lorenz, 0 * time, time, y0, p, args_axes=None, chunk=NUMBER, **options
    )
    assert not reason
    return solved.y1


TYPES = [jax.ShapeDtypeStruct(shape, jnp.float64) for shape in ((NUMBER, 3), (3,))]


@needs_x64
def test_two_launches_a_step(tmp_path):
    [loop] = launches(ends, *TYPES, folder=tmp_path).loops
    assert len(names(loop["condition"])) == len(loop["condition"]) == 1
    assert len(names(loop["body"])) == len(loop["body"]) == 1


@needs_x64
def test_launches_of_a_gradient_and_no_copies_while_it_runs(tmp_path):
    gradient = jax.grad(lambda y0, p: jnp.sum(ends(y0, p)), (0, 1))
    forward, backward = launches(gradient, *TYPES, folder=tmp_path).loops
    assert len(forward["condition"]) == len(backward["condition"]) == 1
    assert len(names(forward["body"])) == len(forward["body"]) <= 8
    assert len(names(backward["body"])) == len(backward["body"]) <= 11
