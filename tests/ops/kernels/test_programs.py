"""What reads programs, or carries derivatives through them, finds the plain function."""

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux import autodiff, precision, programs
from sciml_lux.ops.kernels import with_kernel
from tests.conftest import needs_x64

from .recurrence import Forward, differentiable, linear, plain, recurrence
from .test_rules import DTYPE, ONE, PUSH, RATES, X


def test_programs_inside_are_walked():
    def both(x):
        path, above = jax.vmap(lambda x: recurrence(x, *ONE[1:]))(x)
        return jax.vmap(lambda x: linear([RATES[0]], [x, PUSH]))(path[:, 0]), above

    visits = programs.walk(jax.make_jaxpr(both)(X[0]))
    names = [visit.equation.primitive.name for visit in visits if visit.equation is not None]
    # Each of them once.
    loops = [name for name in names if name in ("with_kernel", "linear_with_kernel", "scan")]
    assert loops == ["with_kernel", "scan", "linear_with_kernel", "scan"]


def test_program_bound_again_is_the_same_call():
    program = jax.make_jaxpr(lambda x: recurrence(x, *ONE[1:]))(X[0, 0])
    values = programs.interpret(program, [X[0, 0]], {}, default=programs.bind)
    for found, want in zip(values, plain(*ONE), strict=True):
        np.testing.assert_array_equal(found, want)


@needs_x64
def test_audit_finds_a_cast_inside():
    def narrowing(x, *rest):
        return [plain(x.astype(jnp.float32).astype(jnp.float64), *rest)[0]]

    def batch(function):
        return jax.vmap(lambda x: with_kernel(function, Forward("float64"), x, *ONE[1:])[0])

    [found] = precision.audit(batch(narrowing), X[0]).findings
    assert (found.kind, found.path, found.count) == ("narrowing", "with_kernel", 1)
    assert not precision.audit(batch(lambda *given: plain(*given)[:1]), X[0]).findings


def test_laplacian_is_that_of_the_plain_function():
    def ends(function):
        return lambda x: function(jnp.sin(x[0] * x[1]), *ONE[1:])[0][-1] ** 2

    at = X[0, :2]
    found = [autodiff.laplacian(ends(f), at) for f in (recurrence, differentiable, plain)]
    np.testing.assert_allclose(found, found[-1], rtol=1e-12 if jnp.float64 == DTYPE else 1e-5)
