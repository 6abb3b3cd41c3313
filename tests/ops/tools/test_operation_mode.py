"""operation_mode says what computes an operation, at which level, and why."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from sciml_lux.ops.kernels import _availability, _why_no_kernel
from sciml_lux.ops.kernels._unavailable import Unavailable

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
X = jnp.ones(2, jnp.float32)
KERNEL = ops.OperationMode("kernel", 2, "")


def test_operations_are_plain_jax_inside_and_outside_of_jit():
    seen = []
    jax.jit(lambda x: seen.append(ops.operation_mode(x)))(X)
    found = [ops.operation_mode(X), ops.operation_mode(np.ones(2)), *seen]
    assert found == [("xla", 1, "It has no kernel.")] * 3
    assert ops.operation_mode(X, "gelu") == ("xla", 1, "`gelu` has no kernel.")


def test_ensembles_have_a_kernel_on_cuda_alone():
    seen = []
    jax.jit(lambda x: seen.append(ops.operation_mode(x, "solve_ensemble")))(X)
    reason = "`solve_ensemble` has a kernel for CUDA, and the array is on cpu."
    given = [X, np.ones(2)]
    assert [*seen, *(ops.operation_mode(x, "solve_ensemble") for x in given)] == [
        ("xla", 1, reason)
    ] * 3


def test_on_cuda_it_is_a_kernel_where_it_can_be_compiled(monkeypatch):
    monkeypatch.setattr(_why_no_kernel, "cuda_devices", jax.local_devices)
    monkeypatch.setattr(_availability, "architecture", lambda: 75)
    assert ops.operation_mode(X, "solve_ensemble") == KERNEL

    def missing():
        raise Unavailable("NVRTC is not there")

    monkeypatch.setattr(_availability, "architecture", missing)
    assert ops.operation_mode(X, "solve_ensemble") == ("xla", 1, "NVRTC is not there.")


def test_what_is_not_an_array_is_an_error():
    with pytest.raises(TypeError, match="`operation_mode` expects an array, got list"):
        ops.operation_mode([1.0])
