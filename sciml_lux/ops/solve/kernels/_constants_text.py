"""What is known before a kernel runs, as constants of C."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from ...by_components import C_TYPES, literal
from ..forward import _loop as loop
from ..forward._loop import Options
from ..steps._control import Adaptive
from ..steps._record import rows_of

_CODES = (
    "RUNNING",
    "SUCCESSFUL",
    "MAX_STEPS",
    "STATE_NOT_FINITE",
    "FIELD_NOT_FINITE",
    "DIVERGED",
    "NO_STEP",
)


def constants_text(options: Options, dtype: np.dtype, counts: Mapping[str, int]) -> str:
    """The type of everything that is not an integer, and integers.

    Args:
        options: what is known of the solve.
        dtype: that type.
        counts: further integers by name.
    """
    tableau = options.tableau
    rows, longest = rows_of(options.max_steps, options.capacity)
    numbers = {
        "STAGES": tableau.num_stages,
        "ALL_STAGES": len(tableau.float64.p),
        "ROWS": rows,
        "LONGEST": longest,
        "THINNED": int(longest > 1),
        **counts,
    }
    return f"typedef {C_TYPES[dtype]} real;\n{_enumeration(numbers)}"


def control_text(options: Options, dtype: np.dtype, in_norm: tuple[bool, ...]) -> str:
    """What the control of the steps is made of.

    Args:
        options: what is known of the solve.
        dtype: of the state.
        in_norm: which components are in the error norm.
    """
    mask = sum(1 << i for i, inside in enumerate(in_norm) if inside)
    nan, infinity = (literal(dtype.type(value)) for value in (np.nan, np.inf))
    reals = _reals(options, dtype).items()
    return "\n".join(
        [
            _enumeration({**_flags(options), "IN_NORM": sum(in_norm)}),
            *(f"#define {name} {literal(dtype.type(value))}" for name, value in reals),
            f"INLINE bool in_norm(int d) {{ return ({mask} >> d) & 1; }}",
            f"INLINE real not_a_number() {{ return {nan}; }}",
            f"INLINE real infinity() {{ return {infinity}; }}",
        ]
    )


def _flags(options: Options) -> dict[str, int]:
    tableau, is_adaptive = options.tableau, isinstance(options.control, Adaptive)
    return {
        **{name: getattr(loop, name) for name in _CODES},
        "STAGES_COUNTED": tableau.num_stages,
        "FIRST_IS_LAST": int(tableau.fsal),
        "ADAPTIVE": int(is_adaptive),
        "ESTIMATED": int(is_adaptive and tableau.b_error is not None),
        "COARSE": int(tableau.b_error_coarse is not None),
        "MOST_STEPS": options.max_steps,
    }


def _reals(options: Options, dtype: np.dtype) -> dict[str, float]:
    control = options.control if isinstance(options.control, Adaptive) else Adaptive()
    limits = jnp.finfo(dtype)
    return {
        "ONE_BY_ORDER": 1 / options.tableau.order,
        "SAFETY": control.safety,
        "SHRINK": control.shrink,
        "GROW": control.grow,
        "ROUNDING": 100 * float(limits.eps),
        "LEAST_SQUARE": float(limits.tiny) ** 0.5,
    }


def _enumeration(numbers: Mapping[str, int]) -> str:
    """Constants that may be unused without a warning."""
    return "\n".join(["enum {", *(f"    {name} = {n}," for name, n in numbers.items()), "};"])
