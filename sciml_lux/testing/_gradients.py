"""Gradients of a user's function against differences and against a reference."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import named_leaves
from ..precision import floating_leaves


def test_gradients(
    f: Callable[..., Any],
    *args: Any,
    modes: tuple[str, ...] = ("reverse", "forward", "nested"),
    reference: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> None:
    """Check the derivatives of the scalar function `f` at `args`, each along a random direction.

    "reverse" compares `jax.grad` with central differences, "forward" compares `jax.jvp` with it,
    "nested" compares the derivative of the derivative with central differences of the derivative.

    Args:
        f: a function of trees of arrays that returns a real scalar.
        *args: where; real floating leaves of one dtype, float64 for sharp tolerances.
        modes: which to check.
        reference: the gradient from elsewhere (closed form, more digits), a tree like `args`;
            compared leaf by leaf with `rtol` 1e-12 in float64.
        rtol: tolerance of the differences; by default what they can resolve.
        atol: the same, absolute; by default as much of the size of what is differenced.
        seed: of the directions.

    Raises:
        AssertionError: names the mode, and for `reference` the path of the leaf.
        ValueError: an unknown mode; no floating leaf; a reference unlike `args`.

    Example:
        >>> import jax.numpy as jnp
        >>> test_gradients(lambda x: jnp.sum(jnp.sin(x)), jnp.ones(3, jnp.float32))
    """
    unknown = set(modes) - {"reverse", "forward", "nested"}
    if unknown:
        raise ValueError(
            f'`test_gradients` knows the modes "reverse", "forward", "nested", got {unknown}.'
        )
    x, rebuild = floating_leaves(args)
    if not x:
        raise ValueError(
            "`test_gradients` expects arguments with a floating leaf, got none. Convert them, for "
            "example with precision.f64."
        )
    eps = float(jnp.finfo(x[0].dtype).eps)
    tolerances = (eps**0.5 if rtol is None else rtol, atol)
    v = _direction(x, seed)

    def value(x: list[Any]) -> jax.Array:
        return f(*rebuild(x))

    def slope(x: list[Any]) -> jax.Array:
        return _dot(jax.grad(value)(x), v)

    if "reverse" in modes:
        _compare("reverse", slope(x), _difference(value, x, v), tolerances)
    if "forward" in modes:
        forward = jax.jvp(value, (x,), (v,))[1]
        _compare("forward", forward, _difference(value, x, v), tolerances)
    if "nested" in modes:
        _compare("nested", _dot(jax.grad(slope)(x), v), _difference(slope, x, v), tolerances)
    if reference is not None:
        _compare_reference(rebuild(jax.grad(value)(x)), reference, eps)


# Not a test of this package, though its name, which is Lux's, looks like one.
test_gradients.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def _direction(x: list[Any], seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    draws = [rng.uniform(0.5, 1.0, a.shape) * rng.choice([-1, 1], a.shape) for a in x]
    return [jnp.asarray(draw, a.dtype) for draw, a in zip(draws, x, strict=True)]


def _difference(f: Callable[[list[Any]], Any], x: list[Any], v: list[Any]) -> tuple[Any, Any]:
    """The slope of `f` along `v`, and the size of what it is the difference of."""
    step = float(jnp.finfo(x[0].dtype).eps) ** (1 / 3)
    ahead = f([a + step * b for a, b in zip(x, v, strict=True)])
    behind = f([a - step * b for a, b in zip(x, v, strict=True)])
    return (ahead - behind) / (2 * step), max(abs(ahead), abs(behind))


def _dot(left: list[Any], right: list[Any]) -> jax.Array:
    return sum(jnp.sum(a * b) for a, b in zip(left, right, strict=True))  # pyright: ignore[reportReturnType]


def _compare(
    mode: str, found: Any, difference: tuple[Any, Any], tolerances: tuple[float, float | None]
) -> None:
    (expected, size), (rtol, atol) = difference, tolerances
    atol = rtol * float(size) if atol is None else atol
    if not np.allclose(found, expected, rtol=rtol, atol=atol):
        raise AssertionError(
            f"the {mode} derivative is {float(found)!r}, central differences give "
            f"{float(expected)!r} (rtol {rtol:.1e}, atol {atol:.1e})."
        )


def _compare_reference(gradient: tuple, reference: Any, eps: float) -> None:
    rtol = 1e-12 if eps < 1e-12 else 32 * eps
    expected = named_leaves(tuple(reference))
    if missing := [name for name in named_leaves(gradient) if name not in expected]:
        raise ValueError(
            f"`test_gradients` expects `reference` to be a tuple like the arguments, got none at "
            f"`{missing[0]}`."
        )
    for name, leaf in named_leaves(gradient).items():
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        if not np.allclose(leaf, expected[name], rtol=rtol, atol=rtol):
            worst = float(np.max(np.abs(np.asarray(leaf) - np.asarray(expected[name]))))
            raise AssertionError(
                f"the gradient differs from the reference at `{name}` by {worst:.1e} "
                f"(rtol {rtol:.1e})."
            )
