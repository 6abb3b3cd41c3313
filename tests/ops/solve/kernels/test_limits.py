"""What is not solved by a kernel, and why."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.internal import Adaptive, tableaus, with_fine_interpolant
from sciml_lux.ops.solve.forward._loop import Given, Options
from sciml_lux.ops.solve.kernels import why_not_kernel

from .ensemble import REAL

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
OPTIONS = Options(tableaus.TSIT5, Adaptive(), 64, 64, 0)


def why(function, components=2, parameters=1, dtype=REAL, shape=(), options=OPTIONS, clock=None):
    """The reason, for a field of all components of the state and the parameters."""

    def field(t, *rest):
        y, p = rest[:components], rest[components:]
        return [jnp.asarray(k, dtype) for k in function(t, y, p)]

    scalar = jax.ShapeDtypeStruct((), dtype)
    program = jax.make_jaxpr(field)(*[scalar] * (1 + components + parameters))
    leaf = jax.ShapeDtypeStruct(shape, dtype)
    time = jax.ShapeDtypeStruct((), clock or dtype)
    times = jax.ShapeDtypeStruct((3,), clock or dtype)
    given = Given(time, time, times, [leaf] * components, [leaf] * parameters)
    return why_not_kernel(program, options, given)


def decay(t, y, p):
    return [-p[0] * u for u in y]


def long(t, y, p):
    found = y[0]
    for _ in range(90):
        found = jnp.sin(found * p[0])
    return [found, y[1]]


REASONS = {
    "half": ({"dtype": np.dtype(np.float16)}, "computes in float32 or float64, not in float16"),
    "complex": ({"dtype": np.dtype(np.complex64)}, "float32 or float64, not in complex64"),
    "mixed": (
        {"clock": np.dtype(np.float16)},
        "a kernel computes in one dtype, and this solve has float16 and float",
    ),
    "arrays": ({"shape": (2,)}, "leaves of its state and parameters are arrays; a kernel takes"),
    "components": (
        {"components": 17, "dtype": np.dtype(np.float32)},
        "it has 17 components in float32; a kernel has room for 16",
    ),
    "parameters": ({"parameters": 65}, "it has 65 parameters; a kernel has room for 64"),
    "record": (
        {"options": dataclasses.replace(OPTIONS, max_steps=10**6)},
        "it has 1024 steps from one recorded state to the next; a kernel has room for 64",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_what_has_no_kernel_is_refused_with_the_reason(name):
    options, reason = REASONS[name]
    assert reason in why(decay, **options)


def test_fields_without_a_form_in_c_are_refused():
    assert "`sort`" in why(lambda t, y, p: jnp.sort(jnp.stack(y)) * p[0])
    assert "`digamma`" in why(lambda t, y, p: [jax.lax.digamma(u) for u in y])
    # The derivative of lgamma is digamma.
    assert "`digamma`" in why(lambda t, y, p: [jax.lax.lgamma(u) for u in y])


def test_fields_of_too_many_operations_are_refused():
    options = dataclasses.replace(OPTIONS, tableau=with_fine_interpolant(tableaus.VERN9))
    found = why(long, options=options)
    assert "operations a step, with those of its transpose; a kernel has room for 8000" in found
    assert why(long) == ""


def test_what_has_a_kernel_is_not_refused():
    assert why(decay) == ""
    assert why(decay, components=8) == ""
    assert why(decay, components=16, dtype=np.dtype(np.float32)) == ""
    assert why(lambda t, y, p: [u * t for u in y], parameters=0) == ""


@pytest.mark.skipif(REAL.itemsize < 8, reason="of float64")
def test_float64_has_room_for_half_as_many_components():
    assert "it has 9 components in float64; a kernel has room for 8" in why(decay, components=9)
