"""resolution_probe: a hidden stage of few digits shows up when the input moves by a hair."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._leaves import floating_leaves
from ._x64 import require_x64

_STEP = 2.0**-42


def resolution_probe(f: Callable[..., Any], *args: Any, seed: int = 0) -> float:
    """How far f(x + h v) - f(x) is from h times the derivative, for a step h = 2⁻⁴².

    In float64 the quotient is right to about 2⁻¹¹. Where the input passes through float32 on its
    way, so small a step is lost or taken as a much larger one, and the deviation is of the order
    of 1. No reference value is needed, and calls that cannot be read are probed like any other.

    Args:
        f: a function of trees of arrays, smooth at `args`.
        *args: float64 arrays, of size about 1; the directions v are drawn at random.
        seed: of the directions.

    Returns:
        The largest deviation over the outputs, relative to the derivative: below 0.05 for a clean
        program, above 0.5 with a float32 stage that every output passes.

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
    require_x64(jnp.float64, "`resolution_probe`: the dtype probed")
    here, rebuild = floating_leaves(args)
    if not here or any(leaf.dtype != jnp.float64 for leaf in here):
        found = ", ".join(sorted({str(leaf.dtype) for leaf in here})) or "none"
        raise ValueError(f"`resolution_probe` expects floating arguments of float64, got {found}.")
    rng = np.random.default_rng(seed)
    directions = [jnp.asarray(rng.choice([-1.0, 1.0], leaf.shape)) for leaf in here]

    def outputs(points: list[jax.Array]) -> list[jax.Array]:
        return floating_leaves(f(*rebuild(points)))[0]

    ahead = [x + _STEP * v for x, v in zip(here, directions, strict=True)]
    # The step as it was really taken, after rounding.
    taken = [(b - a) / _STEP for a, b in zip(here, ahead, strict=True)]
    before, slopes = _derivative(outputs, here, taken)
    quotients = [(b - a) / _STEP for a, b in zip(before, outputs(ahead), strict=True)]
    return _deviation(quotients, slopes)


def _derivative(f: Callable[..., Any], x: list[Any], v: list[Any]) -> tuple[list[Any], list[Any]]:
    """Value and directional derivative; by differences of 2⁻²⁰ where there is no forward mode."""
    try:
        return jax.jvp(f, (x,), (v,))
    except (TypeError, ValueError, NotImplementedError):  # JAX's own, for callbacks and custom_vjp
        step = 2.0**-20
        ahead = f([a + step * b for a, b in zip(x, v, strict=True)])
        behind = f([a - step * b for a, b in zip(x, v, strict=True)])
        return f(x), [(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)]


def _deviation(quotients: list[Any], slopes: list[Any]) -> float:
    pairs = zip(quotients, slopes, strict=True)
    gaps = [(float(jnp.abs(q - s).max()), float(jnp.abs(s).max())) for q, s in pairs if s.size]
    if not gaps or max(size for _, size in gaps) == 0.0:
        raise ValueError("`resolution_probe` expects an output that depends on the arguments.")
    return max(gap / size for gap, size in gaps if size > 0.0)
