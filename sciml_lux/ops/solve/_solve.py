"""solve: the initial-value problem of an ordinary differential equation."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ...core import Static
from ._checks import check_arrays, check_mass, check_method
from ._solved import Solved
from .derivative._derivative import Found, solved
from .forward._loop import SUCCESSFUL
from .kernels import with_kernels
from .recorded._between import between
from .recorded._estimates import estimates_of
from .recorded._stored import stored
from .steps._control import Adaptive, Control, Errors
from .steps._form import MOST_ALONE, MOST_OF_MANY, Form, ParametricField, form_of
from .steps._given import Given, Options, Steering
from .steps._mass import WithMass
from .steps._parametric import parametric_of, wide
from .steps._record import FEW_STATES, Record, capacity_of
from .steps._step import Leaves
from .steps._tolerances import split_tolerances, tolerances_of
from .steps._written_out import is_written_out
from .tableaus._rosenbrock import Rosenbrock
from .tableaus._tableau import Tableau


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
    mass: jax.Array | None = None,
) -> Solved:
    """y with dy/dt = field(t, y, args) and y(t0) = y0, by a Runge-Kutta or a Rosenbrock method.

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
        mass: (n, n) the matrix M of M dy/dt = field(t, y, args), for the n numbers of y0 in the
            widest dtype of its leaves, which are real; None for 1. It may be singular, where the
            index is 1; y0 fulfils the algebraic equations. A Rosenbrock method alone has it.

    Raises:
        ValueError: fixed steps without `dt0`; adaptive ones, or estimates, of a method without an
            error estimate; a state without arrays, or with no tolerance at all; no times in `ts`.
        TypeError: the state is not of floating or complex arrays, or `args` not of arrays.

    Source: the discrete adjoint of the recorded steps, as in arXiv 1812.01892.
    """
    check_method(tableau, control, dt0, estimates)
    check_mass(tableau, mass, estimates)
    check_arrays(y0, args, ts)
    leaves, tree = jax.tree.flatten(y0)
    program, parametric, parameters, before = parametric_of(field, jnp.asarray(t0), y0, args)
    if mass is not None:
        parametric, parameters = WithMass(parametric), [*parameters, mass]
    reason = _why_arrays(by_components, dense or stores, estimates, samples)
    if by_components and isinstance(tableau, Rosenbrock):
        reason = "A Rosenbrock method has a Jacobian, which takes the state as one array."
    state = slice(before + 1, before + 1 + len(leaves))
    most = MOST_OF_MANY if is_member or kernel else MOST_ALONE
    form, reason = form_of(program, parametric, state, most, reason)
    given = _given(form, (t0, t1, ts), leaves, parameters)
    steering = _steering(form, given, y0, (rtol, atol), dt0, errors)
    if dense or stores:
        capacity = max_steps
    elif capacity is None:
        capacity = capacity_of(max_steps, given.t0, given.y0)
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
    whole = functools.partial(_whole, tree, [leaf.dtype for leaf in leaves])
    result = _result(form, given, steering, found, whole, jnp.result_type(t0))
    if dense:
        inner = functools.partial(_between, parametric, tableau, whole)
        result = result._replace(between=Partial(inner, given, found.record, found.s))
    if estimates:
        counted = [tolerance is not None for tolerance in steering.atol]
        hardness = estimates_of(parametric, options, given, found.record, counted)
        result = result._replace(estimates=_valid(found, hardness))
    return result._replace(
        stored=stored(parametric, tableau, given, found.record) if stores else None,
        lengths=jax.lax.stop_gradient(found.record.lengths) if lengths else None,
        why_by_arrays=Static(reason),
        why_no_kernel=Static(why_no_kernel),
    )


def _why_arrays(by_components: bool, reads_inside: bool, estimates: bool, samples: int) -> str:
    """Why what is asked for needs steps by arrays; empty if it does not."""
    if not by_components:
        return "By arrays was asked for."
    if samples:
        return "Several samples have their steps in common."
    if reads_inside:
        return "The state between the steps is wanted."
    return "Estimates are wanted." if estimates else ""


def _given(
    form: Form,
    times: tuple[jax.Array, jax.Array, jax.Array | None],
    leaves: Leaves,
    parameters: Leaves,
) -> Given:
    """What is differentiated; the time, the state and the cotangents are sums over the steps."""
    t0, t1, ts = times
    ts = jnp.zeros(0, jnp.result_type(t0)) if ts is None else ts
    start, end, ts = wide([jnp.asarray(t0), jnp.asarray(t1), ts])
    return Given(start, end, ts, form.split(wide(leaves)), form.split(wide(parameters)))


def _steering(
    form: Form,
    given: Given,
    y0: PyTree,
    tolerances: tuple[PyTree, PyTree],
    dt0: ArrayLike | None,
    errors: tuple[jax.Array, jax.Array] | None,
) -> Steering:
    """What the steps depend on."""
    leaves, clock = jax.tree.leaves(y0), given.t0.dtype
    rtol, atol = (
        split_tolerances(form, tolerances_of(name, value, y0), leaves)
        for name, value in zip(("rtol", "atol"), tolerances, strict=True)
    )
    dt0 = None if dt0 is None else _still(jnp.abs(dt0), clock)
    errors = None if errors is None else Errors(*(_still(error, clock) for error in errors))
    return Steering(rtol, atol, dt0, errors)


def _result(
    form: Form,
    given: Given,
    steering: Steering,
    found: Found,
    whole: Callable[[Leaves], PyTree],
    clock: jnp.dtype,
) -> Solved:
    """The result, without what is read from the record."""
    start, end, tried = given.t0, given.t1, found.tried
    span, reached = jnp.abs(end - start), found.result == SUCCESSFUL
    y1, ys = form.states(found.y1), form.states(found.ys)
    t = jnp.where(reached, end, start + found.s * (end - start))
    return Solved(
        whole(_valid(found, y1)),
        whole(_valid(found, ys)) if ys else None,
        t.astype(clock),
        whole(list(map(jax.lax.stop_gradient, y1))),
        found.accepted,
        tried.steps,
        tried.evaluations,
        _still(tried.first * span, clock),
        _still(_length(tried.following, span, steering.dt0), clock),
        Errors(*(error.astype(clock) for error in tried.errors)),
        result=found.result,
    )


def _valid(found: Found, values: PyTree) -> Any:
    """The values; of a solve that has failed not numbers, and neither are their derivatives."""
    factor = jnp.where(found.result == SUCCESSFUL, 1.0, jnp.nan)
    return jax.tree.map(lambda value: value * factor.astype(value.dtype), values)


def _whole(tree: Any, dtypes: list[jnp.dtype], leaves: Leaves) -> PyTree:
    """A state of its leaves, in the dtypes that it was given with."""
    return tree.unflatten([y.astype(dtype) for y, dtype in zip(leaves, dtypes, strict=True)])


def _between(
    field: ParametricField,
    tableau: Tableau,
    whole: Callable[[Leaves], PyTree],
    given: Given,
    record: Record,
    s: jax.Array,
    t: jax.Array,
) -> PyTree:
    """The state at a time between the steps."""
    return whole(between(field, tableau, given, record, s, t.astype(given.t0.dtype)))


def _length(part: jax.Array, span: jax.Array, dt0: jax.Array | None) -> jax.Array:
    """The next step, of its part of the span; over no span it is the first, where that is known."""
    length = part * span
    return length if dt0 is None else jnp.where(span == 0, dt0, length)


def _still(value: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """`value` in `dtype`, without derivatives."""
    return jax.lax.stop_gradient(value).astype(dtype)
