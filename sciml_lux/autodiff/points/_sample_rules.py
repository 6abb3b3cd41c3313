"""Where the samples are after each primitive, from where they are in its operands.

A rule takes the equation, the number of samples, and the place of each operand, at least one of
which is a `SampleAxis`. It returns the place in all results, None where the samples meet.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from ...programs import ELEMENTWISE, JaxprEqn
from ..primitives._equations import operand_shapes, shape_of
from ._sample_axis import SampleAxis

Axes = Sequence[SampleAxis | None]
SampleRule = Callable[[JaxprEqn, int, Axes], SampleAxis | None]


def _common(axes: Axes) -> SampleAxis | None:
    """The place that all operands agree on; those without one agree with any."""
    found = {axis for axis in axes if axis is not None}
    return found.pop() if len(found) == 1 else None


def _elementwise(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    return _common(axes)


def _along_others(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """Of what moves or combines entries along the axes of a parameter, and keeps all axes."""
    params, place = equation.params, _common(axes)
    named = params.get("axis", params.get("dimension", params.get("dimensions", ())))
    moved = named if isinstance(named, tuple) else (named,)
    return None if place is None or place.axis in moved else place


def _reduce(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place, gone = _common(axes), equation.params["axes"]
    if place is None or place.axis in gone:
        return None
    return place._replace(axis=place.axis - sum(axis < place.axis for axis in gone))


def _squeeze(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place, gone = _common(axes), equation.params["dimensions"]
    if place is None:
        return None
    return place._replace(axis=place.axis - sum(axis < place.axis for axis in gone))


def _stack(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place, new = _common(axes), equation.params["axis"]
    return place and place._replace(axis=place.axis + (place.axis >= new))


def _broadcast(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place = axes[0]
    if place is None:
        return None
    return place._replace(axis=int(equation.params["broadcast_dimensions"][place.axis]))


def _transpose(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place = axes[0]
    return place and place._replace(axis=list(equation.params["permutation"]).index(place.axis))


def _reshape(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """In row-major order the samples have a stride, which a reshape does not change."""
    place, old, new = axes[0], operand_shapes(equation)[0], shape_of(equation.outvars[0])
    if place is None:
        return None
    if (order := equation.params["dimensions"]) is not None:  # It transposes first.
        place, old = place._replace(axis=order.index(place.axis)), [old[axis] for axis in order]
    stride = math.prod(old[place.axis + 1 :]) * place.inner
    below = 1
    for axis in reversed(range(len(new))):
        inner, rest = divmod(stride, below)
        if not rest and stride * samples <= below * new[axis] and new[axis] > 1:
            fits = new[axis] % (inner * samples) == 0
            return SampleAxis(axis, inner) if fits and stride >= below else None
        below *= new[axis]
    return None


def _dot_general(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    contracting, batched = equation.params["dimension_numbers"]
    shapes, places = operand_shapes(equation), []
    for side, place in enumerate(axes):
        if place is None:
            continue
        if place.axis in contracting[side]:
            return None
        if place.axis in batched[side]:
            places.append(place._replace(axis=list(batched[side]).index(place.axis)))
            continue
        taken = (*contracting[side], *batched[side])
        free = [axis for axis in range(len(shapes[side])) if axis not in taken]
        before = len(batched[side])
        if side == 1:
            before += len(shapes[0]) - len(contracting[0]) - len(batched[0])
        places.append(place._replace(axis=before + free.index(place.axis)))
    return _common(places)


def _whole(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """Of what cuts out, inserts or pads, and leaves the axis of the samples whole."""
    place, result = _common(axes), shape_of(equation.outvars[0])
    if place is None:
        return None
    placed = [s for s, a in zip(operand_shapes(equation), axes, strict=True) if a is not None]
    sizes = {shape[place.axis] for shape in placed} | {result[place.axis]}
    return place if len(sizes) == 1 else None


def _slice(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    strides = equation.params.get("strides")
    place = _whole(equation, samples, axes)
    return place if place is None or strides is None or strides[place.axis] == 1 else None


def _pad(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place = axes[0]
    if place is None or axes[1] is not None:
        return None
    return place if tuple(equation.params["padding_config"][place.axis]) == (0, 0, 0) else None


def _gather(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """Whole along the samples, or with the samples as a batch axis of operand and indices."""
    place, numbers = axes[0], equation.params["dimension_numbers"]
    if place is None:
        return None
    if place.axis in numbers.operand_batching_dims:
        which = list(numbers.operand_batching_dims).index(place.axis)
        of_indices = numbers.start_indices_batching_dims[which]
        rank = len(shape_of(equation.outvars[0]))
        batch = [axis for axis in range(rank) if axis not in numbers.offset_dims]
        return place._replace(axis=batch[of_indices])
    shape = operand_shapes(equation)[0]
    if equation.params["slice_sizes"][place.axis] != shape[place.axis]:
        return None
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    if place.axis in gone:
        return None
    kept = [axis for axis in range(len(shape)) if axis not in gone]
    return place._replace(axis=numbers.offset_dims[kept.index(place.axis)])


def _scatter(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """As `_gather`, of which it is the transpose: updates must lie where a gather puts them."""
    operand, _, updates = axes
    numbers, shapes = equation.params["dimension_numbers"], operand_shapes(equation)
    gone = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(len(shapes[0])) if axis not in gone]
    windows = dict(zip(numbers.update_window_dims, kept, strict=True))
    rank = len(shapes[2])
    batch = [axis for axis in range(rank) if axis not in numbers.update_window_dims]
    pairs = zip(numbers.scatter_indices_batching_dims, numbers.operand_batching_dims, strict=True)
    windows |= {batch[of_indices]: of_operand for of_indices, of_operand in pairs}
    if updates is not None:
        target = windows.get(updates.axis)
        if target is None or shapes[2][updates.axis] != shapes[0][target]:
            return None
        updates = updates._replace(axis=target)
    return _common([operand, updates])


def _convolution(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place, numbers = axes[0], equation.params["dimension_numbers"]
    grouped = equation.params["batch_group_count"] != 1
    if place is None or axes[1] is not None or grouped or place.axis != numbers.lhs_spec[0]:
        return None
    return place._replace(axis=numbers.out_spec[0])


def _window(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place = _common(axes)
    if place is None:
        return None
    alone = equation.params["window_dimensions"][place.axis] == 1
    return _whole(equation, samples, axes) if alone else None


def _matrices(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    """Of linear algebra on the last two axes, with batch axes in front."""
    place = _common(axes)
    ranks = [len(shape) for shape in operand_shapes(equation)]
    return place if place is not None and place.axis < min(ranks) - 2 else None


def _transform(equation: JaxprEqn, samples: int, axes: Axes) -> SampleAxis | None:
    place, rank = axes[0], len(operand_shapes(equation)[0])
    lengths = equation.params["fft_lengths"]
    return place if place is not None and place.axis < rank - len(lengths) else None


def _each(rule: SampleRule, *names: str) -> dict[str, SampleRule]:
    return dict.fromkeys(names, rule)


SAMPLE_RULES: Mapping[str, SampleRule] = {
    **_each(_elementwise, *ELEMENTWISE, "optimization_barrier", "sharding_constraint"),
    "watch_cotangent": _elementwise,  # Of `ops`; its operands are what it watches.
    **_each(_along_others, "cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"),
    **_each(_along_others, "rev", "sort", "top_k", "concatenate"),
    **_each(_reduce, "reduce_sum", "reduce_max", "reduce_min", "reduce_prod"),
    **_each(_whole, "dynamic_slice", "dynamic_update_slice"),
    **_each(_scatter, "scatter", "scatter-add", "scatter-mul", "scatter_add", "scatter_mul"),
    **_each(_window, "reduce_window", "reduce_window_sum", "reduce_window_max"),
    **_each(_window, "reduce_window_min", "select_and_gather_add", "select_and_scatter_add"),
    **_each(_matrices, "triangular_solve", "cholesky", "lu", "eigh", "qr", "svd", "geqrf"),
    **_each(_matrices, "householder_product", "tridiagonal_solve"),
    "broadcast_in_dim": _broadcast,
    "conv_general_dilated": _convolution,
    "dot_general": _dot_general,
    "fft": _transform,
    "gather": _gather,
    "pad": _pad,
    "reshape": _reshape,
    "slice": _slice,
    "split": _along_others,
    "squeeze": _squeeze,
    "stack": _stack,
    "tile": _elementwise,  # Copies stand outside of the samples.
    "transpose": _transpose,
}
