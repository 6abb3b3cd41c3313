"""Solves of thousands of steps in half precision, whose sums over the steps are in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus

pytestmark = pytest.mark.any_precision

STEPS = 2048


def end(dtype, clock, tableau, scale, y0, offset):
    """y(1) with dy/dt = scale * offset, after steps each of which adds less than is rounded off."""
    t0, t1 = jnp.zeros((), clock), jnp.ones((), clock)
    found = lean.solve(
        lambda t, u, scale: scale * offset + 0 * t.astype(dtype), t0, t1, y0, scale,
        tableau=tableau, control=lean.Fixed(), dt0=jnp.asarray(1 / STEPS, clock),
        max_steps=2 * STEPS,
    )  # fmt: skip
    return jnp.sum(found.y1), found


@pytest.mark.parametrize("tableau", [tableaus.EULER, tableaus.TSIT5], ids=lambda t: t.name)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("own_clock", [True, False], ids=["half-clock", "float32-clock"])
def test_sums_over_steps_keep_every_term(dtype, own_clock, tableau):
    clock = dtype if own_clock else "float32"
    scale, y0, offset = jnp.ones((), dtype), jnp.zeros((), dtype), jnp.asarray(0.5, dtype)
    solve = lambda *args: end(dtype, clock, tableau, *args)
    gradient = jax.jit(jax.value_and_grad(solve, (0, 1, 2), has_aux=True))
    (value, found), gradients = gradient(scale, y0, offset)
    assert found.y1.dtype.name == dtype and found.t.dtype.name == clock
    assert int(found.num_steps) == STEPS and {g.dtype.name for g in gradients} == {dtype}
    # In float64: STEPS terms of 1/STEPS of each derivative. In half precision each is rounded, all
    # of them to the same side.
    unit = {"rtol": 2 * float(jnp.finfo(dtype).eps)}
    np.testing.assert_allclose([float(value), *map(float, gradients)], [0.5, 0.5, 1, 1], **unit)
    moved = jax.jit(lambda *args: jax.jvp(lambda *a: solve(*a)[0], args, args)[1])
    np.testing.assert_allclose(float(moved(scale, y0, offset)), 1, **unit)
