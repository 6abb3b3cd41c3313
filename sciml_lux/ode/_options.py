"""The options of a differential-equation layer: checks, and a place for those without a hash."""

import math
from collections.abc import Callable
from typing import Any

import diffrax

from ..core import check_integer, check_number

VectorField = Callable[[Any, Any], Any]

_KINDS = {
    "solver": (diffrax.AbstractSolver, "a diffrax solver, such as diffrax.Tsit5()"),
    "adjoint": (diffrax.AbstractAdjoint, "a diffrax adjoint, such as diffrax.DirectAdjoint()"),
    "stepsize_controller": (
        diffrax.AbstractStepSizeController,
        "None or a diffrax controller, such as diffrax.ConstantStepSize()",
    ),
}


class Held:
    """A diffrax object that cannot be hashed, as a value that is equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def hashable(value: Any) -> Any:
    """`value`, held where it has no hash of its own: a layer's fields need one."""
    try:
        hash(value)
    except TypeError:
        return Held(value)
    return value


def held(value: Any) -> Any:
    """The object that `hashable` was given."""
    return value.value if isinstance(value, Held) else value


def check_options(layer: Any, name: str) -> None:
    """Raise unless every option is of its kind and in its range.

    Raises:
        TypeError: an option is of another kind.
        ValueError: a number is out of range, or a solver of fixed steps has no step.
    """
    for option, (kind, words) in _KINDS.items():
        value = held(getattr(layer, option))
        if not isinstance(value, kind) and not (option == "stepsize_controller" and value is None):
            raise TypeError(f"`{name}` expects `{option}` to be {words}, got {value!r}.")
    for option in ("rtol", "atol"):
        _check_finite(layer, option, name)
    if not isinstance(layer.throw, bool):
        raise TypeError(f"`{name}` expects `throw` to be True or False, got {layer.throw!r}.")
    check_integer(name, "max_steps", layer.max_steps, least=1)
    _check_first_step(layer, name)


def _check_finite(layer: Any, option: str, name: str, above: float | None = 0) -> None:
    value = getattr(layer, option)
    remedy = "Write float(array)." if hasattr(value, "shape") else ""
    check_number(name, option, value, above=above, remedy=remedy)
    if not _is_finite(value):
        raise ValueError(f"`{name}` expects `{option}` to be finite, got {value!r}.")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A long integer, beyond every float.
        return False


def _check_first_step(layer: Any, name: str) -> None:
    t0, t1 = layer.tspan
    if layer.dt0 is None:
        fixed = not isinstance(held(layer.solver), diffrax.AbstractAdaptiveSolver)
        if layer.stepsize_controller is None and fixed:
            raise ValueError(
                f"`{name}`: {type(held(layer.solver)).__name__} has fixed steps; give their size "
                "as `dt0`."
            )
        return
    _check_finite(layer, "dt0", name, above=None)
    dt0 = layer.dt0
    if not dt0 * (t1 - t0) >= 0 or dt0 == 0:
        raise ValueError(f"`{name}` expects `dt0` to lead from t0={t0} towards t1={t1}, got {dt0}.")
