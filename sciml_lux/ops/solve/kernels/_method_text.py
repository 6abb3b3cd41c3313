"""A method as text: the stages of a step, what is made of them, and their transposes."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from ...by_components import literal
from ..forward._loop import Options
from ..steps._control import Adaptive
from ..steps._step import Table, table_of
from ..tableaus._tableau import Tableau

_STEP = "real t, real h, const real* y, const real* p"
_BACK = f"{_STEP}, const real (*k)[D], real (*k_bar)[D], real* y_bar, real* p_bar"


def method_text(options: Options, dtype: np.dtype) -> str:
    """The functions of a step, as `_step.py` has them."""
    tableau = options.tableau
    arrays, count = tableau.float64, _kept(tableau)
    coarse = arrays.b if arrays.b_error_coarse is None else arrays.b_error_coarse
    estimate = arrays.b if arrays.b_error is None else arrays.b_error
    parts = [
        *(
            _function(f"void {name}({_STEP}, real (*k)[D])", _stages(tableau, numbers, dtype))
            for name, numbers in _parts(tableau).items()
        ),
        _function(
            "void advance(real h, const real* y, const real (*k)[D], real* y1)",
            [f"EACH(d, D) y1[d] = {_moved(arrays.b[:count], dtype)};"],
        ),
        *(
            _function(
                f"void {name}(real h, const real (*k)[D], real* error)",
                [f"EACH(d, D) error[d] = h * ({_sum(weights, dtype)});"],
            )
            for name, weights in [("estimate", estimate), ("estimate_coarse", coarse)]
        ),
        _interpolation(arrays.chebyshev, dtype),
        _growth(options, dtype),
    ]
    return "\n\n".join(parts)


def transposed_method_text(options: Options, dtype: np.dtype) -> str:
    """The functions of a step, the last first, that hand cotangents on to what they are of."""
    tableau = options.tableau
    numbers = {**_parts(tableau), "stages": range(_kept(tableau))}
    parts = [
        _function(f"void {name}_back({_BACK})", _stages_back(tableau, which, dtype))
        for name, which in numbers.items()
    ]
    b = tableau.float64.b[: _kept(tableau)]
    lines = [
        f"EACH(d, D) k_bar[{i}][d] += {_literal(b[i], dtype)} * (h * y_bar[d]);" for i in _of(b)
    ]
    return "\n\n".join(
        [*parts, _function("void advance_back(real h, const real* y_bar, real (*k_bar)[D])", lines)]
    )


def _kept(tableau: Tableau) -> int:
    """The stages of which the state at the end is made."""
    return tableau.num_stages - int(tableau.fsal)


def _table(tableau: Tableau, dtype: np.dtype) -> Table:
    """The weights of all stages."""
    kind: Any = jax.ShapeDtypeStruct((), dtype)
    return table_of(tableau, [kind])


def _parts(tableau: Tableau) -> dict[str, range]:
    """The stages of each function; that at the start of a step stands before them."""
    kept, count, total = _kept(tableau), tableau.num_stages, len(tableau.float64.p)
    return {
        "stages": range(1, kept),
        "last_stage": range(kept, count),
        "extra_stages": range(count, total),
    }


def _function(head: str, lines: Iterable[str]) -> str:
    return "\n".join([f"INLINE {head}", "{", *(f"    {line}" for line in lines), "}"])


def _literal(value: float, dtype: np.dtype) -> str:
    return literal(dtype.type(value))


def _of(weights: Sequence[float] | np.ndarray) -> list[int]:
    """The stages whose weight is not 0."""
    return [i for i, weight in enumerate(weights) if weight != 0]


def _sum(weights: Sequence[float] | np.ndarray, dtype: np.dtype) -> str:
    terms = [f"{_literal(weights[i], dtype)} * k[{i}][d]" for i in _of(weights)]
    return " + ".join(terms) or _literal(0.0, dtype)


def _moved(weights: Sequence[float] | np.ndarray, dtype: np.dtype) -> str:
    return f"y[d] + h * ({_sum(weights, dtype)})"


def _time(c: float, dtype: np.dtype) -> str:
    return f"t + h * {_literal(c, dtype)}"


def _stages(tableau: Tableau, numbers: Iterable[int], dtype: np.dtype) -> list[str]:
    """k[i] = field(t + h cᵢ, y + h Σⱼ aᵢⱼ k[j])."""
    table = _table(tableau, dtype)
    lines = []
    for i in numbers:
        a, c = np.asarray(table.a)[i, :i], np.asarray(table.c)[i]
        lines.append(f"EACH(d, D) u[d] = {_moved(a, dtype)};")
        lines.append(f"field({_time(c, dtype)}, u, p, k[{i}]);")
    return ["real u[D];", *lines] if lines else []


def _stages_back(tableau: Tableau, numbers: range, dtype: np.dtype) -> list[str]:
    """The transpose of the above, in which the state of each stage is computed again."""
    table = _table(tableau, dtype)
    lines = []
    for i in reversed(numbers):
        a, c = np.asarray(table.a)[i, :i], np.asarray(table.c)[i]
        state = _moved(a, dtype) if i else "y[d]"
        lines += [
            f"EACH(d, D) u[d] = {state};",
            f"field_vjp({_time(c, dtype)}, u, p, k_bar[{i}], u_bar, q_bar);",
            "EACH(d, D) y_bar[d] += u_bar[d];",
            "EACH(i, MOVING) p_bar[i] += q_bar[i];",
            *(
                f"EACH(d, D) k_bar[{j}][d] += {_literal(a[j], dtype)} * (h * u_bar[d]);"
                for j in _of(a)
            ),
        ]
    return ["real u[D], u_bar[D], q_bar[P];", *lines] if lines else []


def _interpolation(chebyshev: np.ndarray, dtype: np.dtype) -> str:
    """bᵢ(θ), as `interpolation_weights` has them."""
    degree = chebyshev.shape[1]
    names = [_literal(1.0, dtype), *(f"x{j}" for j in range(1, degree))]
    lines = ["const real x1 = 2 * theta - 1;"]
    lines += [
        f"const real x{j} = 2 * x1 * {names[j - 1]} - {names[j - 2]};" for j in range(2, degree)
    ]
    for i, row in enumerate(chebyshev):
        terms = [f"{_literal(c, dtype)} * {x}" for c, x in zip(row, names, strict=True)]
        lines.append(f"weights[{i}] = theta * ({' + '.join(terms)});")
    first = _function("void interpolation_weights(real theta, real* weights)", lines)
    terms = [f"weights[{i}] * k[{i}][d]" for i in range(len(chebyshev))]
    head = "real h, const real* y, const real (*k)[D], real* inside"
    second = _function(
        f"void advance_by(const real* weights, {head})",
        [f"EACH(d, D) inside[d] = y[d] + h * ({' + '.join(terms)});"],
    )
    return f"{first}\n\n{second}"


def _growth(options: Options, dtype: np.dtype) -> str:
    """The factor of the controller before it is held within bounds."""
    control = options.control if isinstance(options.control, Adaptive) else Adaptive()
    p, i, d = (value / options.tableau.order for value in (control.p, control.i, control.d))
    factors = [f"pow(error, {_literal(-(p + i + d), dtype)})"]
    if p or d:
        factors.append(f"pow(errors[0], {_literal(p + 2 * d, dtype)})")
    if d:
        factors.append(f"pow(errors[1], {_literal(-d, dtype)})")
    line = " * ".join([_literal(control.safety, dtype), *factors])
    return _function("real growth(real error, const real* errors)", [f"return {line};"])
