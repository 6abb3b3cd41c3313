"""solve: the initial-value problem of an ordinary differential equation."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ...core import Static
from ._between import between
from ._control import Adaptive, Control, Errors, Fixed, Tolerances
from ._derivative import solved
from ._estimates import Estimates, estimates_of
from ._form import MOST_ALONE, MOST_OF_MANY, Form, form_of
from ._given import Given, Options, Steering
from ._loop import SUCCESSFUL
from ._parametric import parametric_of, wide
from ._record import FEW_STATES, capacity_of
from ._step import Leaves
from ._stored import Stored, stored
from ._tableau import Tableau
from ._written_out import is_written_out
from .kernels import with_kernels


class Solved(NamedTuple):
    """The result of `solve`.

    Attributes:
        y1: the state at t1, a tree like y0.
        ys: the states at `ts`, with a leading axis of their number; None without `ts`. Where t1 was
            not reached, these two and their derivatives are NaN.
        t: the time reached.
        y: the state there, finite and without derivatives.
        num_accepted: int32, steps that were accepted.
        num_steps: int32, all steps.
        num_evaluations: int32, evaluations of the field, by this solve alone: those of a batch go
            on until all of it has ended.
        first_step: the length of the first accepted step; 0 where there is none.
        next_step: the length of the step that would come next.
        errors: of the last accepted step and of that before, relative to the tolerance.
        between: the state at a time, a function and a tree; None without `dense`. At times before
            t0 or that were not reached it is not a number.
        result: int32, why it ended: `SUCCESSFUL`, `MAX_STEPS`, `STATE_NOT_FINITE` and
            `FIELD_NOT_FINITE` at t0, `DIVERGED`: however short a step was, the state after it was
            not finite, or `NO_STEP`: however short, its error was too large.
        estimates: how hard it was, with derivatives; None unless they are asked for. Not numbers
            where t1 was not reached.
        stored: the state between the steps as polynomials; None unless they are asked for.
        lengths: (max_steps,) those of the steps, as fractions of t1 - t0, with zeros between and
            after them; without derivatives. None unless they are asked for.
        why_by_arrays: why steps are taken by arrays, and not by components; empty if they are by
            components.
        why_no_kernel: why the solve has no kernel; empty if it has one.
    """

    y1: PyTree
    ys: PyTree
    t: jax.Array
    y: PyTree
    num_accepted: jax.Array
    num_steps: jax.Array
    num_evaluations: jax.Array
    first_step: jax.Array
    next_step: jax.Array
    errors: Errors
    between: Callable[[jax.Array], PyTree] | None
    result: jax.Array
    estimates: Estimates | None
    stored: Stored | None = None
    lengths: jax.Array | None = None
    why_by_arrays: Static = Static("Its steps are by arrays.")
    why_no_kernel: Static = Static("Its steps are by arrays.")


def solve(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree],
    t0: jax.Array,
    t1: jax.Array,
    y0: PyTree,
    args: PyTree = None,
    *,
    tableau: Tableau,
    ts: jax.Array | None = None,
    rtol: PyTree = 1e-6,
    atol: PyTree = 1e-6,
    dt0: ArrayLike | None = None,
    errors: tuple[jax.Array, jax.Array] | None = None,
    control: Control = Adaptive(),  # noqa: B008
    max_steps: int = 4096,
    capacity: int | None = None,
    samples: int = 0,
    dense: bool = False,
    estimates: bool = False,
    stores: bool = False,
    lengths: bool = False,
    by_components: bool = False,
    kernel: bool = False,
    is_member: bool = False,
) -> Solved:
    """y with dy/dt = field(t, y, args) and y(t0) = y0, by an explicit Runge-Kutta method.

    It has derivatives of any order, in any nesting of forward and reverse mode, with respect to y0,
    args, t0, t1, ts, and arrays that the field closes over. They are those of the steps that were
    taken, whose lengths as fractions of t1 - t0 are held fixed. In half
    precision the time, the state and the derivatives with respect to args, which are sums over the
    steps, are in float32.

    Args:
        field: the right-hand side; du/dt has the tree, shapes and dtypes of y.
        t0: start; a scalar, whose dtype is that of all times.
        t1: end, before or after t0.
        y0: the state at t0, a tree of floating or complex arrays.
        args: what the field gets, a tree of arrays.
        tableau: the method, one of `tableaus`.
        ts: (n,) times at which the state is wanted, in order from t0 to t1.
        rtol: relative tolerance; a number, or a tree of them along y0.
        atol: absolute tolerance; None for a leaf that is outside of the error norm, on which the
            steps then do not depend, unless it is not finite.
        dt0: the length of the first step, or of all fixed ones; None chooses that of the first.
        errors: those of the last two accepted steps before t0, the last first, relative to the
            tolerance, where this solve continues another.
        control: how steps are chosen.
        max_steps: the number of steps after which it gives up.
        capacity: the number of states recorded for derivatives. A solve of more steps repeats
            some of them, once for each order of derivative. None takes `max_steps` if these are at
            most 128 KiB, else 128.
        samples: the number of leading axes of each leaf that number samples. The error of each
            sample, the root mean square over its components, is held to the tolerance.
        dense: whether the state between the steps is wanted; then all of them are remembered.
        estimates: whether those of the local error and the stiffness are wanted; then the steps
            are taken twice.
        stores: whether the state between the steps is wanted as polynomials. The steps are then
            taken twice, and reading takes no evaluations.
        lengths: whether those of the steps are wanted.
        by_components: whether the steps of a small field may be taken by components: then one is a
            piece of program without loops, of which XLA makes one loop over a batch.
        kernel: whether a solve by components may be one kernel on CUDA, and its gradient another.
        is_member: whether it is one of many, under `vmap`. By components and without a kernel it is
            then solved again for its derivative: a CPU has the records of a chunk at a time.

    Raises:
        ValueError: fixed steps without `dt0`; adaptive ones, or estimates, of a method without an
            error estimate; a state without arrays, or with no tolerance at all; no times in `ts`.
        TypeError: the state is not of floating or complex arrays, or `args` not of arrays.

    Source: the discrete adjoint of the recorded steps, as in arXiv 1812.01892.
    """
    _check(tableau, control, dt0, estimates)
    _check_arrays(y0, args, ts)
    leaves, tree = jax.tree.flatten(y0)
    clock = jnp.result_type(t0)
    program, parametric, parameters, before = parametric_of(field, jnp.asarray(t0), y0, args)
    wanted = jnp.zeros(0, clock) if ts is None else ts
    # The time, the state and the cotangents of parameters are sums over the steps.
    start, end, wanted = wide([jnp.asarray(t0), jnp.asarray(t1), wanted])
    reason = "" if by_components else "By arrays was asked for."
    reason = reason or _why_arrays(dense or stores, estimates, samples)
    most = MOST_OF_MANY if is_member or kernel else MOST_ALONE
    state = slice(before + 1, before + 1 + len(leaves))
    form, reason = form_of(program, parametric, state, most, reason)
    given = Given(start, end, wanted, form.split(wide(leaves)), form.split(wide(parameters)))
    steering = Steering(
        _split_tolerances(form, tolerances_of("rtol", rtol, y0), leaves),
        _split_tolerances(form, tolerances_of("atol", atol, y0), leaves),
        None if dt0 is None else _still(jnp.abs(dt0), start.dtype),
        None if errors is None else Errors(*(_still(error, start.dtype) for error in errors)),
    )
    if dense or stores:
        capacity = max_steps
    elif capacity is None:
        capacity = capacity_of(max_steps, start, given.y0)
    options = Options(
        tableau, control, max_steps, capacity, samples, is_written_out(program, tableau)
    )
    why_no_kernel = reason or "It was not asked for."
    if kernel and form.by_components:
        form, why_no_kernel = with_kernels(form, options, given, steering)
    if is_member and form.by_components and why_no_kernel:
        few = min(options.capacity, FEW_STATES)
        options = dataclasses.replace(options, capacity=few, again=True)
    remember = dense or estimates or stores or lengths
    found = solved(form, options, remember, given, steering)
    tried, record = found.tried, found.record
    reached = found.result == SUCCESSFUL
    # A product, so that the derivatives of a failed solve are not numbers either.
    valid = jnp.where(reached, 1.0, jnp.nan)

    def rounded(ys: Leaves) -> PyTree:
        return tree.unflatten([y.astype(x.dtype) for y, x in zip(ys, leaves, strict=True)])

    def inner(given: Given, record: Any, s: jax.Array, t: jax.Array) -> PyTree:
        return rounded(between(parametric, tableau, given, record, s, t.astype(start.dtype)))

    end_state = form.states(found.y1)
    y1, ys = ([y * valid.astype(y.dtype) for y in ys] for ys in (end_state, form.states(found.ys)))
    counted = [tolerance is not None for tolerance in steering.atol]
    hardness = None
    if estimates:
        hardness = estimates_of(parametric, options, given, found.record, counted)
    t = jnp.where(reached, end, start + found.s * (end - start))
    return Solved(
        rounded(y1),
        None if ts is None else rounded(ys),
        t.astype(clock),
        rounded(list(map(jax.lax.stop_gradient, end_state))),
        found.accepted,
        tried.steps,
        tried.evaluations,
        _still(tried.first * jnp.abs(end - start), clock),
        _still(_length(tried.following, jnp.abs(end - start), steering.dt0), clock),
        Errors(*(error.astype(clock) for error in tried.errors)),
        Partial(inner, given, found.record, found.s) if dense else None,
        found.result,
        jax.tree.map(lambda sum_: sum_ * valid.astype(sum_.dtype), hardness),
        stored=stored(parametric, tableau, given, record) if stores else None,
        lengths=jax.lax.stop_gradient(record.lengths) if lengths else None,
        why_by_arrays=Static(reason),
        why_no_kernel=Static(why_no_kernel),
    )


def _why_arrays(dense: bool, estimates: bool, samples: int) -> str:
    """Why what is asked for needs steps by arrays; empty if it does not."""
    if samples:
        return "Several samples have their steps in common."
    if dense or estimates:
        return "The state between the steps is wanted." if dense else "Estimates are wanted."
    return ""


def _split_tolerances(form: Form, values: Tolerances, leaves: Leaves) -> list[Any]:
    """The tolerance of each leaf, or of each of its components."""
    if not form.by_components:
        return list(values)
    found = []
    for tolerance, y in zip(values, leaves, strict=True):
        none = [None] * y.size
        found += none if tolerance is None else form.split([jnp.broadcast_to(tolerance, y.shape)])
    return found


def _length(part: jax.Array, span: jax.Array, dt0: jax.Array | None) -> jax.Array:
    """The next step, of its part of the span; over no span it is the first, where that is known."""
    length = part * span
    return length if dt0 is None else jnp.where(span == 0, dt0, length)


def _still(value: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """`value` in `dtype`, without derivatives."""
    return jax.lax.stop_gradient(value).astype(dtype)


def tolerances_of(name: str, value: PyTree, y0: PyTree) -> list[Any]:
    """The tolerance of each leaf, in the real dtype of its sums; not differentiated."""

    def is_none(value: PyTree) -> bool:
        return value is None

    spread = jax.tree.leaves(jax.tree.broadcast(value, y0, is_none), is_leaf=is_none)
    if all(map(is_none, spread)):
        raise ValueError(f"`solve` expects `{name}` to be a number for some leaf, got {value!r}.")
    states = wide(jax.tree.leaves(y0))
    return [
        None if v is None else _tolerance(name, v, y) for v, y in zip(spread, states, strict=True)
    ]


def _tolerance(name: str, tolerance: ArrayLike, y: jax.Array) -> jax.Array:
    """The tolerance of one leaf, with its axes unless it is a number."""
    value = jax.lax.stop_gradient(jnp.asarray(tolerance, jnp.finfo(y.dtype).dtype))
    shape = y.shape
    padded = (1,) * (len(shape) - value.ndim) + value.shape
    if len(padded) != len(shape) or any(
        n not in (1, m) for n, m in zip(padded, shape, strict=True)
    ):
        raise ValueError(
            f"`solve` expects `{name}` to be a number, or of a shape that broadcasts to that of "
            f"the state, {shape}, got {value.shape}. Give one for each component."
        )
    return value.reshape(padded) if value.ndim else value


def _check(tableau: Tableau, control: Control, dt0: ArrayLike | None, estimates: bool) -> None:
    if isinstance(control, Fixed) and dt0 is None:
        raise ValueError("`solve` expects `dt0` for fixed steps, got None. Give their size.")
    if isinstance(control, Adaptive) and tableau.b_error is None:
        raise ValueError(
            f"`solve` expects a method with an error estimate for adaptive steps, got "
            f"{tableau.name}. Take control=Fixed() and dt0, or another method, such as TSIT5."
        )
    if estimates and tableau.b_error is None:
        raise ValueError(
            f"`solve` expects a method with an error estimate for estimates=True, got "
            f"{tableau.name}. Take another, such as TSIT5."
        )


def _check_arrays(y0: PyTree, args: PyTree, ts: jax.Array | None) -> None:
    leaves = jax.tree.leaves(y0)
    if not leaves:
        raise ValueError(f"`solve` expects `y0` to have at least one array, got {y0!r}.")
    for leaf in leaves:
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)):
            found = getattr(leaf, "dtype", repr(leaf))
            raise TypeError(
                f"`solve` expects `y0` to hold floating or complex arrays, got {found}. Convert "
                "it: jnp.asarray(y0, dtype)."
            )
    for leaf in jax.tree.leaves(args):
        if not hasattr(leaf, "dtype"):
            raise TypeError(
                f"`solve` expects `args` to be a tree of arrays, got {leaf!r}. Convert numbers, "
                "and let `field` close over what is not an array."
            )
    if ts is not None and ts.shape[0] == 0:
        raise ValueError("`solve` expects at least one time in `ts`, got none. Leave it out.")
