"""ops: the time of each operation against the plain expression that one would write without it.

The baseline of each row is that expression under `jax.jit`, at the same matmul precision. Direction
`value` is the operation alone; `gradient` is the mean of its squares with the gradient by all
inputs. The loss of a row is that mean, the same in both directions; `difference` is how far the
outputs are from those of the baseline, relative to their largest. `plain XLA again` is the same
expression compiled once more: its ratio is the noise below which no other says anything. Behind a
normalisation the gradient is a sum that cancels, and its relative difference is of rounding. The
operations take less than a millisecond, so `--cores 1` measures them with a tenth of the noise.

One more operation is one more line of `_OPS`.
"""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sciml_lux import ops

from ._measure import Case, Run, device_name

_PRECISION = jax.lax.Precision.HIGHEST
_EPSILON = 1e-5


class Op(NamedTuple):
    """An operation, and what one would write without it.

    Attributes:
        name: with what it is fused with, such as `dense+tanh`.
        size: in words, as part of the row's name.
        shapes: of the inputs, which are normal.
        ours: the operation as a function of the inputs alone; returns a tree of arrays.
        plain: the same in `jax.numpy` and `jax.nn`.
    """

    name: str
    size: str
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable[..., Any]
    plain: Callable[..., Any]


def _dense_tanh(weight: jax.Array, x: jax.Array, bias: jax.Array) -> jax.Array:
    return jnp.tanh(jnp.matmul(x, weight.T, precision=_PRECISION) + bias)


def _batched_product(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.einsum("bik,bkj->bij", x, y, precision=_PRECISION)


def _gelu_with_tail(x: jax.Array) -> jax.Array:
    # `jax.nn.gelu` takes 1 + tanh, which is faster and has no right digit in the left tail.
    return x * jax.nn.sigmoid(1.5957691216057308 * (x + 0.044715 * x**3))


def _standardized(x: jax.Array, axis: int | tuple[int, ...]) -> jax.Array:
    centered = x - jnp.mean(x, axis, keepdims=True)
    return centered * jax.lax.rsqrt(jnp.mean(centered**2, axis, keepdims=True) + _EPSILON)


def _grouped(x: jax.Array) -> jax.Array:
    return _standardized(x.reshape(8, 256, 4, 8), (1, 3)).reshape(x.shape)


def _attention(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k, precision=_PRECISION) / 4.0
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v, precision=_PRECISION)


def _convolution(weight: jax.Array, x: jax.Array, bias: jax.Array) -> jax.Array:
    y = jax.lax.conv_general_dilated(
        x,
        weight,
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "OIHW", "NHWC"),
        precision=_PRECISION,
    )
    return jax.nn.relu(y + bias)


def _dropped(x: jax.Array) -> jax.Array:
    _, key = jax.random.split(jax.random.key(0))
    u = jax.random.uniform(key, x.shape, x.dtype)
    return x * jnp.where(u > 0.5, jnp.asarray(2.0, x.dtype), jnp.asarray(0.0, x.dtype))


_OPS = (
    Op(
        "dense+tanh",
        "256x256-to-256",
        ((256, 256), (256, 256), (256,)),
        lambda weight, x, bias: ops.fused_dense_bias_activation(ops.tanh, weight, x, bias),
        _dense_tanh,
    ),
    Op(
        "dense+tanh",
        "64x32-to-32",
        ((32, 32), (64, 32), (32,)),
        lambda weight, x, bias: ops.fused_dense_bias_activation(ops.tanh, weight, x, bias),
        _dense_tanh,
    ),
    Op(
        "bias+gelu",
        "512x256",
        ((512, 256), (256,)),
        lambda x, bias: ops.bias_activation(ops.gelu, x, bias),
        lambda x, bias: jax.nn.gelu(x + bias),
    ),
    Op(
        "bias+gelu-with-tail",
        "512x256",
        ((512, 256), (256,)),
        lambda x, bias: ops.bias_activation(ops.gelu, x, bias),
        lambda x, bias: _gelu_with_tail(x + bias),
    ),
    Op("softmax", "512x256", ((512, 256),), ops.softmax, jax.nn.softmax),
    Op("logsoftmax", "512x256", ((512, 256),), ops.logsoftmax, jax.nn.log_softmax),
    Op(
        "batched_matmul",
        "32x64x64x64",
        ((32, 64, 64), (32, 64, 64)),
        ops.batched_matmul,
        _batched_product,
    ),
    Op(
        "layernorm",
        "512x256",
        ((512, 256), (256,), (256,)),
        lambda x, scale, bias: ops.layernorm(x, scale, bias, axis=-1, epsilon=_EPSILON),
        lambda x, scale, bias: _standardized(x, -1) * scale + bias,
    ),
    Op(
        "rmsnorm",
        "512x256",
        ((512, 256), (256,)),
        lambda x, scale: ops.rmsnorm(x, scale, epsilon=_EPSILON),
        lambda x, scale: x * jax.lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + _EPSILON) * scale,
    ),
    Op(
        "batchnorm",
        "512x256",
        ((512, 256), (256,), (256,)),
        lambda x, scale, bias: ops.batchnorm(x, scale, bias, None, None, True, epsilon=_EPSILON)[0],
        lambda x, scale, bias: _standardized(x, 0) * scale + bias,
    ),
    Op(
        "groupnorm",
        "8x256x32-groups-4",
        ((8, 256, 32),),
        lambda x: ops.groupnorm(x, None, None, 4, epsilon=_EPSILON),
        _grouped,
    ),
    Op(
        "attention",
        "4x64x4x16",
        ((4, 64, 4, 16), (4, 64, 4, 16), (4, 64, 4, 16)),
        lambda q, k, v: ops.scaled_dot_product_attention(q, k, v)[0],
        _attention,
    ),
    Op(
        "conv+relu",
        "4x32x32x8-3x3-to-8",
        ((8, 8, 3, 3), (4, 32, 32, 8), (8,)),
        lambda weight, x, bias: ops.fused_conv_bias_activation(
            ops.relu, weight, x, bias, padding=1, cross_correlation=True
        ),
        _convolution,
    ),
    Op(
        "dropout",
        "512x256",
        ((512, 256),),
        lambda x: ops.dropout(jax.random.key(0), x, 0.5, True)[0],
        _dropped,
    ),
)


def cases() -> list[Case]:
    """Both ways of every operation, in float32 and, where x64 is on, in float64."""
    dtypes = ["float32"]
    if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        dtypes.append("float64")
    return [case for op in _OPS for dtype in dtypes for case in _cases_of(op, dtype)]


def _cases_of(op: Op, dtype: str) -> list[Case]:
    inputs = [
        jax.random.normal(key, shape, dtype)
        for key, shape in zip(jax.random.split(jax.random.key(0), 8), op.shapes, strict=False)
    ]
    row, device = f"{op.name}/{op.size}/{dtype}", device_name()
    made = []
    for direction, (program_of, loss_of) in _DIRECTIONS.items():
        # To `jax.jit` a partial is another function, which it compiles anew.
        functions = op.plain, functools.partial(op.plain), op.ours
        plain, again, ours = (jax.jit(program_of(f)) for f in functions)
        name = f"{row}/{direction}/{device}"
        made.append(Case(name, "plain XLA", _run(plain, inputs, loss_of)))
        made.append(Case(name, "plain XLA again", _run(again, inputs, loss_of)))
        difference = _difference(plain(*inputs), ours(*inputs))
        made.append(Case(name, "sciml_lux", _run(ours, inputs, loss_of), difference=difference))
    return made


def _run(program: Callable[..., Any], inputs: list[jax.Array], loss_of: Callable) -> Run:
    """`run(n)` waits for every step: the platform may run independent steps at the same time."""

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            jax.block_until_ready(program(*inputs))
        return loss_of(jax.block_until_ready(program(*inputs)))

    return run


def _gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    def loss(inputs: tuple[jax.Array, ...]) -> jax.Array:
        return _mean_of_squares(f(*inputs))

    return lambda *inputs: jax.value_and_grad(loss)(inputs)


@jax.jit
def _mean_of_squares(outputs: Any) -> jax.Array:
    leaves = jax.tree.leaves(outputs)
    return sum((jnp.mean(leaf * leaf) for leaf in leaves[1:]), jnp.mean(leaves[0] * leaves[0]))


# The program of an operation, and the loss among its outputs.
_DIRECTIONS = {
    "value": (lambda f: f, _mean_of_squares),
    "gradient": (_gradient, operator.itemgetter(0)),
}


def _difference(expected: Any, outputs: Any) -> float:
    """The largest difference of two trees of arrays, relative to the largest entry of its array."""
    differences = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(a)), expected, outputs
    )
    return float(max(jax.tree.leaves(differences)))
