"""resolution_probe: tiny changes of the input reveal a hidden stage of few digits."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ._exact import require_exact_dtype
from ._leaves import NO_DERIVATIVE, floating_leaves

Outputs: TypeAlias = Callable[[Array], list[Array]]
"""A function of one leaf that returns its floating outputs."""

_STEP = 2.0**-36
_ROUNDING = 2.0**-12  # 16 units in the last place, divided by the step.
_WIDE_STEPS = (2.0**-20, 2.0**-10)


def resolution_probe(f: Callable[..., PyTree], *args: PyTree, seed: int = 0) -> float:
    """How far difference quotients of f are from its derivative along a direction v.

    In float64 (f(x + h v) - f(x)) / h with h = 2⁻³⁶ is right to about 2⁻¹⁶ of what f returns, and
    deviations below 2⁻¹² of it are ignored. Where an argument passes through float32, so small a
    step vanishes or becomes a much larger one, and the deviation is of the order of 1. Central
    differences over h = 2⁻²⁰ and 2⁻¹⁰ show stages without a derivative, such as rounding, integers
    and masks of bits. Each argument is perturbed alone, so that a stage on the way of only one of
    them is seen. No reference value is needed, and calls that `audit` cannot read are probed like
    any other.

    Args:
        f: a function of trees of arrays, smooth at `args`.
        *args: float64 arrays; v has the size of each number, with random signs.
        seed: the seed of the signs.

    Returns:
        The largest deviation over arguments and outputs, relative to the derivative: below 0.05
        for a program without such a stage, above 0.5 where an argument passes through float32 on
        its way to an output that depends on it noticeably.

    Raises:
        TypeError: `jax_enable_x64` is off.
        ValueError: a floating argument is not float64, or no output depends on them.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> with jax.enable_x64(True):
        ...     x = jnp.linspace(0.1, 1.0, 5, dtype=jnp.float64)
        ...     clean = resolution_probe(jnp.sin, x)
        ...     cut = resolution_probe(lambda x: jnp.sin(x.astype(jnp.float32)).astype(x.dtype), x)
        >>> clean < 0.05, cut > 0.5
        (True, True)
    """
    require_exact_dtype(jnp.float64, "`resolution_probe`: the dtype probed")
    here, rebuild = floating_leaves(args)
    kinds = {str(jnp.result_type(leaf)) for leaf in here}
    if not here or not kinds <= {"float64", "complex128"}:
        found = ", ".join(sorted(kinds)) or "none"
        raise ValueError(f"`resolution_probe` expects floating arguments of float64, got {found}.")
    rng = np.random.default_rng(seed)
    probes = [
        _deviations(_of_one_leaf(f, here, rebuild, place), x, rng) for place, x in enumerate(here)
    ]
    deviations = [deviation for probe in probes for deviation in probe]
    if not deviations:
        raise ValueError("`resolution_probe` expects an output that depends on the arguments.")
    return float(np.max(deviations))


def _of_one_leaf(f: Callable[..., PyTree], here: list, rebuild: Callable, place: int) -> Callable:
    """`f` as a function of one leaf alone, returning its floating outputs."""

    def outputs(leaf: Array) -> list[jax.Array]:
        return floating_leaves(f(*rebuild([*here[:place], leaf, *here[place + 1 :]])))[0]

    return outputs


def _deviations(f: Outputs, x: Array, rng: np.random.Generator) -> list[float]:
    """The deviation of each output of `f` that depends on `x`."""
    size = np.abs(np.asarray(x))
    # Powers of two of each number's own size: float32 could represent a fixed step near zero.
    scale = np.exp2(np.floor(np.log2(np.where(size > 0.0, size, 1.0))))
    direction = jnp.asarray(rng.choice([-1.0, 1.0], size.shape) * scale, jnp.result_type(x))
    ahead = x + _STEP * direction
    before, slopes = _derivative(f, x, (ahead - x) / _STEP)  # The step after rounding.
    found = []
    for start, end, slope in zip(before, f(ahead), slopes, strict=True):
        gap, steep = _size((end - start) / _STEP - slope), _size(slope)
        if steep != 0.0:
            found.append(np.divide(max(gap - _ROUNDING * _size(start), 0.0), steep))
    for step in _WIDE_STEPS:
        found += _wide_deviations(f, x, direction, step)
    return found


def _wide_deviations(f: Outputs, x: Array, v: Array, step: float) -> list[float]:
    """The deviation of each output over a step too wide for rounding to matter.

    For an output whose derivative is zero it is relative to the output itself.
    """
    ahead, behind = x + step * v, x - step * v
    values, slopes = _derivative(f, x, (ahead - behind) / (2 * step))
    found = []
    for value, a, b, slope in zip(values, f(ahead), f(behind), slopes, strict=True):
        gap, size = _size((a - b) / (2 * step) - slope), _size(slope) or _size(value)
        if size != 0.0 and gap > _ROUNDING * _size(value):
            found.append(gap / size)
    return found


def _size(x: Array) -> float:
    return float(jnp.abs(x).max()) if jnp.size(x) else 0.0


def _derivative(f: Outputs, x: Array, v: Array) -> tuple[list[Array], list[Array]]:
    """Value and directional derivative; a difference over 2⁻²⁰ where there is no forward mode."""
    try:
        return jax.jvp(f, (x,), (v,))
    except NO_DERIVATIVE:
        step = 2.0**-20
        ahead, behind = f(x + step * v), f(x - step * v)
        return f(x), [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]
