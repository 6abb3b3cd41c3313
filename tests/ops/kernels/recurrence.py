"""A function with a kernel, to test with: x becomes rate · x + push for each of three pushes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux.ops.kernels import Source, linear_with_kernel, with_kernel
from sciml_lux.ops.solve.rules._own_derivative import with_own_derivative

PUSHES = 3
TEXT = """
extern "C" __global__ void forward(const int* size, const REAL* x, const REAL* rate,
    const REAL* push, const int* start, REAL* path, int* above) {
  const long n = *size, m = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (m >= n) return;
  REAL now = x[X];
  int count = start[START];
  for (int j = 0; j < 3; ++j) {
    now = rate[RATE] * now + push[PUSH];
    count += now > (REAL)0;
    path[j * n + m] = now;
  }
  above[m] = count;
}
"""
TRANSPOSED_TEXT = """
extern "C" __global__ void transposed(const int* size, const REAL* rate, const REAL* dpath,
    REAL* dx, REAL* dpush) {
  const long n = *size, m = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (m >= n) return;
  REAL sum = 0;
  for (int j = 2; j >= 0; --j) {
    sum += dpath[j * n + m];
    dpush[j * n + m] = sum;
    sum *= rate[RATE];
  }
  dx[m] = sum;
}
"""


def text_of(text, dtype, **places):
    """`text` with the type of its floats and the places of its operands."""
    written = text.replace("REAL", {"float32": "float", "float64": "double"}[dtype])
    for name, place in places.items():
        written = written.replace(f"[{name}]", f"[{place}]")
    return written


class Forward(NamedTuple):
    """The kernel of `recurrence`."""

    dtype: str

    def source(self, mapped):
        x, rate, push, start = mapped
        places = {
            "X": "m" if x else "0",
            "RATE": "m" if rate else "0",
            "PUSH": "j * n + m" if push else "j",
            "START": "m" if start else "0",
        }
        return Source(text_of(TEXT, self.dtype, **places), "forward", block=64)

    @staticmethod
    def run(operands, mapped, size):
        """What the text does, in NumPy."""
        x, rate, push, start = spread(operands, mapped, size)
        path, now = np.full((PUSHES, size), np.nan, x.dtype), x.copy()
        for j in range(PUSHES):
            now = rate * now + push[j]
            path[j] = now
        return [path, start + (path > 0).sum(0).astype(np.int32)]


class Transposed(NamedTuple):
    """The kernel of the transpose of `linear`."""

    dtype: str

    def source(self, mapped):
        rate, path = mapped
        return Source(
            text_of(TRANSPOSED_TEXT, self.dtype, RATE="m" if rate else "0"),
            "transposed" if path else "cotangents always have a batch axis",
            shared_bytes=256,
        )

    @staticmethod
    def run(operands, mapped, size):
        rate, dpath = spread(operands, mapped, size)
        total, dpush = np.zeros(size, dpath.dtype), np.full((PUSHES, size), np.nan, dpath.dtype)
        for j in reversed(range(PUSHES)):
            total = total + dpath[j]
            dpush[j] = total
            total = total * rate
        return [total, dpush]


def spread(operands, mapped, size):
    """Each operand with the batch as its last axis."""
    return [
        np.asarray(x) if flag else np.repeat(np.asarray(x)[..., None], size, -1)
        for x, flag in zip(operands, mapped, strict=True)
    ]


def plain(x, rate, push, start):
    """The path, and how often it is above 0, from `start` on."""

    def step(now, push):
        now = rate * now + push
        return now, now

    _, path = jax.lax.scan(step, x, push)
    return [path, start + jnp.sum(path > 0, dtype=jnp.int32)]


def plain_linear(residuals, tangents):
    """The path's tangent, by those of x and the pushes."""
    [rate], (dx, dpush) = residuals, tangents

    def step(now, push):
        now = rate * now + push
        return now, now

    return [jax.lax.scan(step, dx, dpush)[1]]


def recurrence(x, rate, push, start):
    """`plain` with its kernel."""
    return with_kernel(plain, Forward(x.dtype.name), x, rate, push, start)


def linear(residuals, tangents):
    """`plain_linear` with the kernel of its transpose."""
    return linear_with_kernel(plain_linear, Transposed(tangents[0].dtype.name), residuals, tangents)


def differentiable(x, rate, push, start):
    """`plain`, whose derivative by x and the pushes is `linear`."""

    def rule(operands, tangents):
        x, rate, push, _ = operands
        dx, drate, dpush, _ = tangents
        results = differentiable(*operands)
        if drate is not None:
            raise TypeError("the rate is constant")
        given = [jnp.zeros_like(v) if d is None else d for v, d in [(x, dx), (push, dpush)]]
        return results, [*linear([rate], given), None]

    return with_own_derivative(recurrence, rule, x, rate, push, start)
