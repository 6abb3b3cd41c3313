"""An ensemble by components is one kernel for a step, and one that asks whether to go on."""

import jax
import jax.numpy as jnp
import pytest

from sciml_lux.ops.solve import solve, tableaus
from tests.conftest import needs_x64

from .described import copied, launches, names

pytestmark = pytest.mark.gpu_compile
NUMBER = 2048


def lorenz(t, y, p):
    x, v, z = y
    return jnp.stack([p[0] * (v - x), x * (p[1] - z) - v, x * v - p[2] * z])


def ends(y0, p, kernel=False):
    time = jnp.asarray(1.0, y0.dtype)
    options = {"tableau": tableaus.TSIT5, "rtol": 1e-8, "atol": 1e-8, "max_steps": 256}
    options |= {"by_components": True, "kernel": kernel}
    solved = jax.vmap(lambda y: solve(lorenz, 0 * time, time, y, p, **options))(y0)
    assert not solved.why_by_arrays.value
    assert bool(solved.why_no_kernel.value) != kernel
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


@needs_x64
def test_kernels_are_one_launch_each_and_no_record_is_copied(tmp_path):
    gradient = jax.grad(lambda y0, p: jnp.sum(ends(y0, p, kernel=True)), (0, 1))
    found = launches(gradient, *TYPES, folder=tmp_path)
    assert not found.loops
    kernels = [name for name in names(found.outside) if "ensemble" in name]
    assert kernels == ["solve_ensemble", "transpose_ensemble"]
    assert not copied(found, 256)
