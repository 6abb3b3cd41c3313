"""A layer's dtypes, checked in its program."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from ..core import Layer, LayerLike, Parameters, States, apply, layer_name, setup
from ..core.internal import first_difference
from ..precision import Audit, assert_no_narrowing
from ..precision.internal import NO_DERIVATIVE, floating_leaves, x64_enabled

_WIDE = ("float64", "complex128")
_DTYPES = ("float16", "bfloat16", "float32", "float64")


def assert_dtype_preserved(
    layer: Layer, x: PyTree, dtypes: tuple[str, ...] | None = None, grads: int = 1
) -> None:
    """Raise unless `layer` keeps each dtype in its value, states, gradients and intermediates.

    Nothing is run: the programs are traced and read. Intermediates of half precision may widen to
    float32, as sums should; no float may widen to float64. Sums in half precision keep their dtype
    and pass: `precision.audit` lists them.

    Args:
        layer: anything that keeps the contract of a layer.
        x: an input, of arrays, `jax.ShapeDtypeStruct` or Python numbers. Its floating leaves are
            converted to each dtype, and complex leaves to the complex dtype of that precision.
        dtypes: names of dtypes; by default float16, bfloat16 (not for a complex `x`), float32, and
            float64 if x64 is on.
        grads: how many derivatives to check: 0, 1 or 2.

    Raises:
        AssertionError: names the layer, the dtype, and the cast with its source line or the
            gradient with its path.
        ValueError: half precision for a complex `x`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> assert_dtype_preserved(nn.Dense(2, 3, nn.tanh), jnp.ones((4, 2), jnp.float32))
    """
    is_complex = any(_kind(leaf) == "complex" for leaf in jax.tree.leaves(x))
    known = _DTYPES[2 if is_complex else 0 : 4 if x64_enabled() else 3]
    for dtype in dtypes or known:
        if is_complex and jnp.finfo(dtype).bits < 32:
            raise ValueError(
                f"`assert_dtype_preserved` expects float32 or float64 for a complex `x`, got "
                f"{dtype}, which has no complex counterpart."
            )
        try:
            _assert_one(layer, _in_dtype(x, dtype), jnp.dtype(dtype), grads)
        except AssertionError as error:
            error.add_note(f"`{layer_name(layer)}` in {dtype}")
            raise


def _assert_one(layer: LayerLike, x: PyTree, dtype: DTypeLike, grads: int) -> None:
    ps, st = jax.eval_shape(lambda key: setup(key, layer, dtype), jax.eval_shape(_key))
    y, new = jax.eval_shape(lambda x, ps, st: apply(layer, x, ps, st), x, ps, st)
    for leaf in jax.tree.leaves(y):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and jnp.finfo(leaf.dtype).dtype != dtype:
            raise AssertionError(f"the output is {leaf.dtype}, expected {dtype}")
    difference = first_difference(st, new)
    if difference:
        raise AssertionError(f"the state changed, {difference}")
    if grads:
        _assert_gradients(layer, x, ps, st)

    # The states are an argument too: they may hold keys and arrays, which here are only shapes.
    def output(x: PyTree, ps: Parameters, st: States) -> Any:
        return apply(layer, x, ps, st)[0]

    allow = ("accumulation",)
    report = assert_no_narrowing(output, x, ps, st, grads=grads, want=dtype, allow=allow)
    _assert_no_float64(report)


def _assert_gradients(layer: LayerLike, x: PyTree, ps: Parameters, st: States) -> None:
    """Raise if a gradient has another shape or dtype than its input or parameter."""
    leaves, rebuild = floating_leaves({"x": x, "ps": ps})

    def gradient(leaves: list[Array], st: States) -> list[Any]:
        def outputs(leaves: list[Array]) -> list[Any]:
            inputs = rebuild(leaves)
            return floating_leaves(apply(layer, inputs["x"], inputs["ps"], st)[0])[0]

        y, pull_back = jax.vjp(outputs, leaves)
        return pull_back(y)[0]

    try:
        gradients = jax.eval_shape(gradient, leaves, st)
    except NO_DERIVATIVE:
        return  # The audit reports it, or reads the other mode.
    if difference := first_difference(rebuild(leaves), rebuild(gradients)):
        raise AssertionError(f"a gradient is not like its input or parameter, {difference}")


def _assert_no_float64(report: Audit) -> None:
    # Wide values that are not made from floats, such as placeholders of diffrax, are not data.
    wide = tuple(
        finding
        for finding in report.findings
        if finding.kind == "widening"
        and finding.detail.endswith(_WIDE)
        and not finding.detail.startswith("nothing")
    )
    if wide:
        found = dataclasses.replace(report, findings=wide)
        raise AssertionError(f"float64 is computed in {report.want}\n{found}")


def _key() -> jax.Array:
    return jax.random.key(0)


def _kind(leaf: PyTree) -> str:
    """ "real" or "complex" for what has a floating dtype, else ""."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return "complex"
    return "real" if jnp.issubdtype(dtype, jnp.floating) else ""


def _in_dtype(x: PyTree, dtype: DTypeLike) -> Any:
    of_kind = {"real": dtype}
    if jnp.finfo(dtype).bits >= 32:
        of_kind["complex"] = jnp.complex64 if jnp.dtype(dtype) == jnp.float32 else jnp.complex128

    def convert(leaf: PyTree) -> Any:
        kind = _kind(leaf)
        return jax.ShapeDtypeStruct(jnp.shape(leaf), of_kind[kind]) if kind else leaf

    return jax.tree.map(convert, x)
