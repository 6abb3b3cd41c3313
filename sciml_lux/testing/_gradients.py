"""Gradients of a user's function, compared with differences and with a reference."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, PyTree

from ..core.internal import check_number, named_leaves
from ..precision import promote
from ..precision.internal import NO_DERIVATIVE, floating_leaves, require_exact_floats
from ._differences import Accuracy, Difference, difference

_MODES = ("reverse", "forward", "nested")
_PARTS = 4
_STEPS = 10.0  # How many tolerances of a solve a change of its steps may make.
_ROUNDING = 16.0  # In units in the last place of the value: smaller slopes are rounding.


def test_gradients(
    f: Callable[..., Array],
    *args: PyTree,
    modes: tuple[str, ...] = _MODES,
    reference: PyTree = None,
    rtol: float | None = None,
    atol: float | None = None,
    solve_tolerance: float = 0.0,
    seed: int = 0,
) -> None:
    """Check the derivatives of the scalar function `f` at `args` along random directions.

    Mode "reverse" compares `jax.grad` with differences of `f`, "forward" compares `jax.jvp` with
    them, and "nested" compares the derivative of the derivative with differences of the derivative.

    The elements of each leaf are divided among at most four directions; along a direction each of
    its elements changes in proportion to its size (a zero as if its size were 1). An error is found
    if it changes the slope along its direction by more than `rtol` and more than differences can
    resolve. So in a leaf of up to four elements each is tested alone; in a larger leaf a wrong
    element may be missed beside others of far more influence; of second derivatives only their sum
    along all arguments is tested. A derivative of zero passes if differences do not contradict it.

    Args:
        f: a function of trees of arrays that returns a real scalar, smooth around `args`.
        *args: the arguments; floating and complex leaves are perturbed, Python floats in the widest
            dtype of the arrays. Take float64 for sharp tolerances.
        modes: the modes to check.
        reference: the gradient from elsewhere (closed form, more digits), a tuple of trees like
            `args`. An error may be 1e-12 of the largest number of its leaf in float64 and 32 units
            in the last place in other dtypes, plus `atol`.
        rtol: the relative tolerance of the slopes; differences must resolve the largest slope of a
            leaf to it. By default half the digits of the leaf, or of the value if it has fewer, if
            differences resolve so many, and at least a quarter of them.
        atol: the absolute tolerance; by default 0.
        solve_tolerance: the tolerance of the adaptive solves of differential equations in `f`.
            Differences see the steps change, and derivatives hold them still: ten times this may be
            between the two, relative to the slope and to the value.
        seed: the seed of the directions.

    Raises:
        AssertionError: names the mode, and the path of the leaf.
        ValueError: an unknown mode, or one that JAX does not have for `f`; no floating leaf; a
            negative `solve_tolerance`; a value that is not a real scalar; a reference that is not
            like `args`; differences that cannot resolve the tolerance.
        TypeError: float64 arguments of NumPy while x64 is off.

    Source: differences and their errors as in Ridders (1982), "Accurate computation of F'(x) and
        F'(x) F''(x)".

    Example:
        >>> import jax.numpy as jnp
        >>> test_gradients(lambda x: jnp.sum(jnp.sin(x)), jnp.ones(3, jnp.float32))
    """
    check_number("test_gradients", "solve_tolerance", solve_tolerance, least=0)
    unknown = set(modes) - set(_MODES)
    if unknown:
        raise ValueError(
            f'`test_gradients` knows the modes "reverse", "forward", "nested", got {unknown}.'
        )
    args = _as_arrays(args)
    x, rebuild = floating_leaves(args)
    if not x:
        raise ValueError(
            "`test_gradients` expects arguments with a floating leaf, got none. Convert them, for "
            "example with precision.f64."
        )

    def value(x: list[Array]) -> jax.Array:
        return f(*rebuild(x))

    here = _checked_scalar(value(x))
    units = [_unit(leaf) for leaf in x]
    rng = np.random.default_rng(seed)
    everywhere = [_direction(a, rng) for a in x]

    def slope(x: list[Array]) -> jax.Array:
        return _dot(jax.grad(value)(x), everywhere)

    names = [name for name, leaf in named_leaves(args).items() if _is_inexact(leaf)]
    for mode in modes:
        for place, name in enumerate(names):
            # A slope along all leaves has the digits of the leaf with the fewest.
            unit = max(units) if mode == "nested" else max(units[place], _unit(here))
            accuracy = _accuracy(unit, abs(float(here)), rtol, atol, _STEPS * solve_tolerance)
            of_leaf = _of_one_leaf(slope if mode == "nested" else value, x, place)
            directions = list(_parts(_direction(x[place], rng)))
            found = [_slope(mode, of_leaf, x[place], v) for v in directions]
            differences = [difference(of_leaf, x[place], v, accuracy) for v in directions]
            _compare(f"the {mode} derivative", name, found, differences, accuracy)
    if reference is not None:
        _compare_reference(rebuild(jax.grad(value)(x)), reference, atol or 0.0)


# Not a test, although its name, which is that of Lux, looks like one.
test_gradients.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def _accuracy(
    unit: float, size: float, rtol: float | None, atol: float | None, of_steps: float
) -> Accuracy:
    fine, coarse = (unit**0.5, unit**0.25) if rtol is None else (rtol, rtol)
    return Accuracy(
        unit,
        rtol=max(fine, of_steps),
        atol=(atol or 0.0) + of_steps * size,
        coarsest=max(coarse, of_steps),
        size=size,
    )


def _as_arrays(args: tuple) -> tuple:
    """`args` with arrays in place of Python floats, in the widest dtype of the arrays."""
    require_exact_floats(args, "`test_gradients`: argument ")
    leaves, rebuild = floating_leaves(args)
    dtypes = [jnp.finfo(leaf.dtype).dtype for leaf in leaves if _is_inexact(leaf)]
    widest = max(dtypes, key=lambda dtype: dtype.itemsize, default=None)
    return rebuild([jnp.asarray(a, widest if type(a) is float else None) for a in leaves])


def _is_inexact(leaf: PyTree) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


def _unit(leaf: PyTree) -> float:
    return float(jnp.finfo(jnp.result_type(leaf)).eps)


def _checked_scalar(y: ArrayLike) -> Any:
    dtype = jnp.result_type(y)
    if jnp.shape(y) or not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"`test_gradients` expects `f` to return a real scalar, got {dtype} of shape "
            f"{jnp.shape(y)}. Take the sum, or the real part, of what it returns."
        )
    return y


def _direction(x: Array, rng: np.random.Generator) -> Any:
    """A random direction, in proportion to each number: steps suit small and large numbers."""
    size = np.abs(np.asarray(x)).astype(float)

    def draw() -> np.ndarray:
        return rng.uniform(0.5, 1.0, size.shape) * rng.choice([-1.0, 1.0], size.shape)

    is_complex = jnp.issubdtype(x.dtype, jnp.complexfloating)
    part = draw() + 1j * draw() if is_complex else draw()
    return jnp.asarray(part * np.where(size > 0.0, size, 1.0), x.dtype)


def _parts(v: Array) -> Iterator[Any]:
    """`v` in at most four parts with different elements; their sum is `v`."""
    count = min(_PARTS, v.size)
    part = np.arange(v.size).reshape(v.shape) % max(count, 1)
    for number in range(count):
        yield jnp.where(part == number, v, jnp.zeros_like(v))


def _of_one_leaf(f: Callable[..., Array], x: list[Array], place: int) -> Callable[[Array], Array]:
    """`f` as a function of one leaf alone."""
    return lambda leaf: f([*x[:place], leaf, *x[place + 1 :]])


def _dot(gradient: list[Array], v: list[Array]) -> jax.Array:
    """The slope along `v`; for complex numbers JAX's convention, without a conjugate."""
    return sum(promote(*[jnp.sum(a * b).real for a, b in zip(gradient, v, strict=True)]))  # pyright: ignore[reportReturnType]


def _slope(mode: str, f: Callable[[Array], Array], x: Array, v: Array) -> float:
    try:
        if mode == "forward":
            return float(jax.jvp(f, (x,), (v,))[1])
        return float(_dot([jax.grad(f)(x)], [v]))
    except NO_DERIVATIVE as error:  # `f` itself has run at `x`.
        reason = str(error).partition("\n")[0]
        left = tuple(other for other in _MODES if other != mode)
        raise ValueError(
            f"`test_gradients` cannot take the {mode} derivative of `f`: {reason} Leave it out, "
            f"for example by modes={left}."
        ) from error


def _compare(
    subject: str,
    name: str,
    found: list[float],
    differences: list[Difference],
    accuracy: Accuracy,
) -> None:
    """Raise if a slope of a leaf is not that of the differences, or cannot be compared."""
    # The largest of the leaf, since along one direction the slope may be small by chance.
    largest = max((abs(expected.slope) for expected in differences), default=0.0)
    rounding = _ROUNDING * accuracy.unit * max(accuracy.size, largest)
    zero = _ROUNDING * accuracy.unit * accuracy.size
    for got, expected in zip(found, differences, strict=True):
        told = (
            f"central differences give {expected.slope!r} ± {expected.doubt:.1e} along a direction "
            f"of `{name}`"
        )
        allowed = accuracy.rtol * max(abs(got), abs(expected.slope)) + accuracy.atol
        gap = abs(got - expected.slope)
        if not gap <= allowed + expected.doubt + rounding and expected.doubt < math.inf:
            raise AssertionError(f"{subject} is {got!r}, {told} (allowed are {allowed:.1e}).")
        needed = accuracy.coarsest * largest + accuracy.atol
        if not expected.doubt <= needed and abs(got) > zero:
            raise ValueError(
                f"differences cannot resolve {subject} to {needed:.1e}: {told}. Use float64, "
                "rescale `f` or its arguments, allow more by `rtol` or `atol`, or give a "
                "`reference` and modes=()."
            )


def _compare_reference(gradient: tuple, reference: PyTree, atol: float) -> None:
    found = {n: leaf for n, leaf in named_leaves(gradient).items() if _is_inexact(leaf)}
    expected = named_leaves(reference) if isinstance(reference, tuple) else {}
    for name, leaf in found.items():
        got = f"shape {np.shape(expected[name])}" if name in expected else "none"
        if got != f"shape {leaf.shape}":
            raise ValueError(
                f"`test_gradients` expects `reference` to be a tuple like the arguments, with "
                f"shape {leaf.shape} at `{name}`, got {got}."
            )
        unit = _unit(leaf)
        rtol = 1e-12 if unit < 1e-12 else 32 * unit
        wanted = np.asarray(expected[name])
        worst = float(np.max(np.abs(np.asarray(leaf) - wanted), initial=0.0))
        allowed = rtol * float(np.max(np.abs(wanted), initial=0.0)) + atol
        if not worst <= allowed:
            raise AssertionError(
                f"the gradient differs from the reference at `{name}` by {worst:.1e}, expected at "
                f"most {allowed:.1e}."
            )
