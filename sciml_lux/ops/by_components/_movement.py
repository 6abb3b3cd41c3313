"""Rules of the primitives that move entries: NumPy's own functions, on arrays of atoms."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...programs import Call
from ._components import Components, array_of
from ._refusal import refuse_half_precision


def _reshape(call: Call, x: Components) -> Components:
    order = call.params["dimensions"]
    x = x if order is None else x.transpose(order)
    return x.reshape(call.params["new_sizes"])


def _broadcast_in_dim(call: Call, x: Components) -> Components:
    shape, axes = call.params["shape"], list(call.params["broadcast_dimensions"])
    if math.prod(shape) > x.size:  # Its cotangent is a sum.
        refuse_half_precision(call)
    thin = [x.shape[axes.index(i)] if i in axes else 1 for i in range(len(shape))]
    return np.broadcast_to(x.reshape(thin), shape)


def _slice(call: Call, x: Components) -> Components:
    starts, limits = call.params["start_indices"], call.params["limit_indices"]
    strides = call.params["strides"] or (1,) * x.ndim
    return x[(*map(slice, starts, limits, strides), ...)]


def _pad(call: Call, x: Components, value: Components) -> Components:
    config = call.params["padding_config"]
    shape = [
        low + high + max(n + (n - 1) * inner, 0)
        for n, (low, high, inner) in zip(x.shape, config, strict=True)
    ]
    found = array_of(itertools.repeat(value.item(), math.prod(shape)), shape)
    places = [
        low + np.arange(n) * (inner + 1) for n, (low, _, inner) in zip(x.shape, config, strict=True)
    ]
    inside = [(p >= 0) & (p < n) for p, n in zip(places, shape, strict=True)]
    kept = [p[i] for p, i in zip(places, inside, strict=True)]
    found[np.ix_(*kept)] = x[np.ix_(*inside)]
    return found


def _split(call: Call, x: Components) -> list[Components]:
    sizes, axis = call.params["sizes"], call.params["axis"]
    return np.split(x, list(itertools.accumulate(sizes))[:-1], axis)


def _by(function: Callable[..., Components], parameter: str) -> Callable[..., Components]:
    """The rule of a primitive that is a function of NumPy with one parameter."""
    return lambda call, x: function(x, call.params[parameter])


def _of_several(function: Callable[..., Components], parameter: str) -> Callable[..., Components]:
    def rule(call: Call, *operands: Components) -> Components:
        return function(operands, call.params[parameter])

    return rule


def _unstack(call: Call, x: Components) -> Sequence[Components]:
    axis = call.params["axis"]
    parts = np.split(x, x.shape[axis], axis)
    return [np.squeeze(part, axis) for part in parts]


def _same(_: Call, *operands: Components) -> Components:
    return operands[0]


def _all_the_same(_: Call, *operands: Components) -> Sequence[Components]:
    return operands


MOVEMENT: Mapping[str, Callable[..., Components | Sequence[Components]]] = {
    "broadcast_in_dim": _broadcast_in_dim,
    "concatenate": _of_several(np.concatenate, "dimension"),
    "copy": _same,
    "copy_p": _same,
    "expand_dims": _by(np.expand_dims, "dimensions"),
    "optimization_barrier": _all_the_same,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _by(np.flip, "dimensions"),
    "slice": _slice,
    "split": _split,
    "squeeze": _by(np.squeeze, "dimensions"),
    "stack": _of_several(np.stack, "axis"),
    "tile": _by(np.tile, "reps"),
    "transpose": _by(np.transpose, "permutation"),
    "unstack": _unstack,
}
