"""How a model prints: as one would type it, with the numbers of parameters."""

from typing import Any, NamedTuple

from ._children import flat_children
from ._contract import is_layer, sublayers_of
from ._setup import parameter_length, state_length
from ._static_value import argument_text, same
from ._types import LayerLike

_COLUMN = 49  # The column of the counts in Lux.


class PrintFrame(NamedTuple):
    """What is printed around the children of a layer, as its `print_frame()` returns it.

    Attributes:
        opening: the text before the children.
        arguments: the arguments after them.
        closing: the last lines.

    Example:
        >>> from sciml_lux import nn
        >>> class Twice(nn.Chain):
        ...     def print_frame(self):
        ...         return PrintFrame("Twice(", ["times=2"], [")"])
        >>> print(Twice(nn.Dense(2, 1)))
        Twice(
            layer_1=Dense(2, 1),                        # 3 parameters
            times=2,
        )                                               # Total: 3 parameters,
                                                        #        plus 0 states.
    """

    opening: str
    arguments: list[str]
    closing: list[str]


def layer_tree(layer: LayerLike) -> str:
    """The tree of `layer`, a line for each child; runs of equal siblings share a line.

    Example:
        >>> from sciml_lux import nn
        >>> print(nn.Chain(nn.Dense(2, 8, nn.tanh), *[nn.Dense(8, 8, nn.tanh)] * 3))
        Chain(
            layer_1=Dense(2, 8, tanh),                  # 24 parameters
            layer_(2-4)=Dense(8, 8, tanh),              # 216 (72 x 3) parameters
        )                                               # Total: 240 parameters,
                                                        #        plus 0 states.
    """
    *lines, last = _lines("", layer, "", 1)
    parameters, states = _count(parameter_length(layer)), _count(state_length(layer))
    if not lines:
        extra = f", plus {states} states" if states != "0" else ""
        return _pad(last, f"{parameters} parameters{extra}")
    total = _pad(last, f"Total: {parameters} parameters,")
    return "\n".join([*lines, total, _pad("", f"       plus {states} states.")])


def _lines(name: str, layer: LayerLike, indent: str, repeats: int) -> list[str]:
    head = f"{indent}{name}"
    if (frame := _frame(layer)) is None:
        count = parameter_length(layer)
        many = f"{_count(count * repeats)} ({_count(count)} x {repeats})"
        text = f"{many if repeats > 1 else _count(count)} parameters"
        line = f"{head}{layer!r}" + ("," if name else "")
        return [_pad(line, text) if name and count else line]
    inner = indent + "    "
    children = flat_children(layer.sublayers())
    own = parameter_length(layer) - sum(map(parameter_length, children.values()))
    notes = [f"repeated {repeats} times"] if repeats > 1 else []
    notes += [f"{_count(own)} parameters of its own"] if own > 0 else []
    notes += [f"{_count(-own)} parameters fewer than its layers"] if own < 0 else []
    opening = head + frame.opening
    lines = [_pad(opening, ", ".join(notes)) if notes else opening]
    for label, child, run in _runs(children):
        lines += _lines(f"{label}=", child, inner, run)
    lines += [f"{inner}{argument}," for argument in frame.arguments]
    lines += [f"{indent}{line}".rstrip() for line in frame.closing]
    if name and len(frame.closing) == 1:
        lines[-1] += ","
    return lines


def _frame(layer: LayerLike) -> PrintFrame | None:
    """What is printed around the children of `layer`; None if its `repr` is enough."""
    if hasattr(layer, "print_frame"):
        return layer.print_frame()
    if not sublayers_of(layer):
        return None
    return PrintFrame(f"{type(layer).__name__}(", _options(layer), [")"])


def _runs(children: dict[str, LayerLike]) -> list[tuple[str, Any, int]]:
    """Runs of equal siblings named `layer_i`, `layer_i+1`, ... as one entry each."""
    runs: list[tuple[str, str, Any, int]] = []
    for name, child in children.items():
        if runs and runs[-1][2] == child and _follows(runs[-1][1], name):
            first, _, _, count = runs[-1]
            runs[-1] = (first, name, child, count + 1)
        else:
            runs.append((name, name, child, 1))
    return [
        (first if n == 1 else f"{_stem(first)}({_number(first)}-{_number(last)})", child, n)
        for first, last, child, n in runs
    ]


def _follows(last: str, name: str) -> bool:
    stem = _stem(last)
    return stem is not None and name == f"{stem}{int(_number(last)) + 1}"


def _stem(name: str) -> str | None:
    stem = name.rstrip("0123456789")
    return stem if stem != name else None


def _number(name: str) -> str:
    return name.removeprefix(_stem(name) or "")


def _options(layer: LayerLike) -> list[str]:
    """The arguments of a container that are not layers and not the default."""
    fields = getattr(layer, "__dataclass_fields__", {}).values()
    fields = sorted(fields, key=lambda field: field.kw_only is True)
    return [
        f"{field.name}={argument_text(value)}"
        for field in fields
        if not (_has_layers(value := getattr(layer, field.name)) or same(value, field.default))
    ]


def _has_layers(value: object) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_layers, value))
    return is_layer(value)


def _count(number: int) -> str:
    return f"{number:_}"


def _pad(line: str, comment: str) -> str:
    return (
        f"{line:<{_COLUMN - 1}}# {comment}" if len(line) < _COLUMN - 2 else f"{line}  # {comment}"
    )
