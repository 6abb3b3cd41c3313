"""The method of a solve: its options as one value."""

import dataclasses
import math
import typing
from typing import Any, Literal

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...core import StaticValue
from ...core.internal import check_choice, check_integer, check_number
from ..adjoints._adjoint import Adjoint
from ..adjoints._auto import named
from ._symplectic import Symplectic

_KINDS = {
    "solver": (
        (diffrax.AbstractSolver, Symplectic),
        "a diffrax solver, such as diffrax.Tsit5()",
    ),
    "adjoint": (
        (diffrax.AbstractAdjoint, Adjoint),
        'None, "auto", one of `ode`, such as ode.GaussAdjoint(), or of diffrax, such as '
        "diffrax.DirectAdjoint()",
    ),
    "stepsize_controller": (
        diffrax.AbstractStepSizeController,
        "None or a diffrax controller, such as diffrax.ConstantStepSize()",
    ),
}

KERNEL = ("auto", "always", "never")
_MOST_STEPS = 2**31 - 1


class ByIdentity:
    """A diffrax object without a hash, such as a controller that holds arrays.

    The fields of a `StaticValue` must be hashable. Like a function, this is equal to itself alone:
    two values with the same object share their compiled programs.
    """

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


def hashable(value: object) -> Any:
    """`value`, or if it has no hash, a `ByIdentity` of it."""
    try:
        hash(value)
    except TypeError:
        return ByIdentity(value)
    return value


def plain(value: object) -> Any:
    """The object that was passed to `hashable`."""
    return value.value if isinstance(value, ByIdentity) else value


class Method(StaticValue):
    """How an equation is solved; `ODELayer` says what each option means.

    Raises:
        TypeError: an option is of another kind.
        ValueError: a number is out of range, or a solver with fixed steps has no `dt0`.

    Example:
        >>> Method(rtol=1e-8, atol=1e-8)
        Method(rtol=1e-08, atol=1e-08)
    """

    _: dataclasses.KW_ONLY
    solver: Any = diffrax.Tsit5()
    rtol: float = 1e-6
    atol: float = 1e-6
    dt0: float | None = None
    stepsize_controller: Any = None
    adjoint: Any = None
    max_steps: int = 4096
    throw: bool | Literal["callback"] = True
    dense: bool = False
    estimates: bool = False
    kernel: Literal["auto", "always", "never"] = "auto"

    def __post_init__(self) -> None:
        """Check the options."""
        object.__setattr__(self, "adjoint", named(self.adjoint))
        check_options("Method", self, None)
        for option in _KINDS:
            object.__setattr__(self, option, hashable(getattr(self, option)))

    @property
    def is_traced(self) -> bool:
        """Whether an option holds a traced array: then what is compiled must not outlive it."""
        options = [plain(getattr(self, option)) for option in _KINDS]
        return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(options))

    @property
    def uses_tolerances(self) -> bool:
        """Whether steps are chosen by `rtol` and `atol`."""
        adaptive = isinstance(plain(self.solver), diffrax.AbstractAdaptiveSolver)
        return self.stepsize_controller is None and adaptive

    @property
    def has_fixed_steps(self) -> bool:
        """Whether all steps have the length `dt0`."""
        controller = plain(self.stepsize_controller)
        fixed = type(controller) is diffrax.ConstantStepSize
        return fixed or (controller is None and not self.uses_tolerances)


def check_options(name: str, options: Any, tspan: tuple[float, ...] | None) -> None:
    """Raise unless every option is of its kind and in its range.

    Args:
        name: the name of the layer, for the messages.
        options: an object with the fields of `Method`.
        tspan: (t0, t1), where they are known.

    Raises:
        TypeError: an option is of another kind.
        ValueError: a number is out of range, or a solver with fixed steps has no `dt0`.
    """
    for option, (kind, words) in _KINDS.items():
        value = plain(getattr(options, option))
        if not isinstance(value, kind) and (option == "solver" or value is not None):
            raise TypeError(f"`{name}` expects `{option}` to be {words}, got {value!r}.")
    _check_terms(name, plain(options.solver))
    _check_controller(name, plain(options.stepsize_controller))
    for option in ("rtol", "atol"):
        _check_finite(name, option, getattr(options, option))
    if options.rtol > 1:
        raise ValueError(
            f"`{name}` expects `rtol` to be at most 1, all of the state, got {options.rtol}."
        )
    if not (isinstance(options.throw, bool) or options.throw == "callback"):
        raise TypeError(
            f'`{name}` expects `throw` to be True, False or "callback", got {options.throw!r}.'
        )
    for option in ("dense", "estimates"):
        value = getattr(options, option)
        if not isinstance(value, bool):
            raise TypeError(f"`{name}` expects `{option}` to be True or False, got {value!r}.")
    check_choice(name, "kernel", options.kernel, KERNEL)
    check_integer(name, "max_steps", options.max_steps, least=1)
    if options.max_steps > _MOST_STEPS:
        raise ValueError(
            f"`{name}` expects `max_steps` to be at most {_MOST_STEPS}, the largest int32, got "
            f"{options.max_steps}."
        )
    _check_first_step(name, options, tspan)


def check_tolerance(name: str, method: Method, clock: np.dtype) -> None:
    """Raise if `clock` cannot resolve a tolerance or the first step.

    Raises:
        ValueError: no step would be accepted, or one would have no length.
    """
    for option in ("atol", "dt0"):
        value = getattr(method, option)
        if value is not None and float(np.asarray(value).astype(clock)) == 0:
            raise ValueError(
                f"`{name}` has {option}={value}, which is 0 in {clock.name}. Enlarge `{option}`, "
                "or take a wider state."
            )
    # Measured on a rotation with Tsit5: steps get small down to about here, and below it none is
    # accepted (float16 1e-5, bfloat16 3e-4, float32 3e-12).
    finest = float(jnp.finfo(clock).eps) ** (5 / 3)
    if method.uses_tolerances and method.rtol < finest:
        raise ValueError(
            f"`{name}` has rtol={method.rtol}, finer than {clock.name} resolves ({finest:.0e}), "
            "so that no step would be accepted. Loosen `rtol` and `atol`, or take a wider state."
        )


def _check_terms(name: str, solver: diffrax.AbstractSolver | Symplectic) -> None:
    """Raise for solvers of stochastic equations, and of sums of which each term is solved apart."""
    if isinstance(solver, Symplectic):
        return
    terms = solver.term_structure
    kind = typing.get_origin(terms) or terms
    if not isinstance(kind, type) or issubclass(kind, diffrax.MultiTerm):
        raise ValueError(
            f"`{name}` expects `solver` to be one for du/dt = f(t, u), got "
            f"{type(solver).__name__}, which takes several terms. For a stiff problem take "
            "diffrax.Kvaerno5()."
        )


def _check_controller(name: str, controller: object) -> None:
    """Raise for numbers, or arrays of them, that cannot be the tolerances of a controller."""
    for option in ("rtol", "atol"):
        for value in jax.tree.leaves(getattr(controller, option, None)):
            if isinstance(value, Tracer):
                continue
            known = np.asarray(value)
            if not np.all((known >= 0) & np.isfinite(known)):
                raise ValueError(
                    f"`{name}` expects `{option}` of its `stepsize_controller` to be finite and at "
                    f"least 0, got {value!r}."
                )


def _check_finite(name: str, option: str, value: object, above: float | None = 0) -> None:
    remedy = "Write float(array)." if hasattr(value, "shape") else ""
    check_number(name, option, value, above=above, remedy=remedy)
    if not _is_finite(value):
        raise ValueError(f"`{name}` expects `{option}` to be finite, got {value!r}.")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # A long integer does not fit in any float.
        return False


def _check_first_step(name: str, options: Any, tspan: tuple[float, ...] | None) -> None:
    dt0, solver = options.dt0, plain(options.solver)
    if dt0 is None:
        fixed = not isinstance(solver, diffrax.AbstractAdaptiveSolver)
        if options.stepsize_controller is None and fixed:
            raise ValueError(
                f"`{name}`: {type(solver).__name__} has fixed steps; pass their size as `dt0`."
            )
        return
    _check_finite(name, "dt0", dt0, above=None)
    t0, t1 = tspan or (0.0, dt0)
    if not dt0 * (t1 - t0) >= 0 or dt0 == 0:
        raise ValueError(f"`{name}` expects `dt0` to lead from t0={t0} towards t1={t1}, got {dt0}.")
