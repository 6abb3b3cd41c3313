"""minimise: full-batch optimisers of optimistix, scipy and optax behind one call."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import scipy.optimize
from jax.flatten_util import ravel_pytree

from ..core import Frozen, Record, StateStructureError, first_difference, named_leaves
from ..precision import floating_leaves, require_kept, x64_enabled
from ._ad import AutoReverse
from ._compiled import compiled
from ._fit import fit
from ._objective import Objective, check_objective
from ._run import FitResult, history_of
from ._steps import compute_gradients, gradients
from ._structure import Structure
from ._train_state import TrainState

_METHODS = ("L-BFGS-B", "BFGS", "CG", "NEWTON-CG", "TNC", "SLSQP", "TRUST-CONSTR")


class SciPy(Frozen):
    """A method of `scipy.optimize.minimize` that takes a gradient.

    It works on one flat float64 vector; loss and gradient are computed in the parameters' dtype.

    Args:
        method: "L-BFGS-B", "BFGS", "CG", "Newton-CG", "TNC", "SLSQP" or "trust-constr".
        **options: those of the method, such as `gtol=1e-10`, or `tol`.

    Raises:
        ValueError: a method that takes no gradient, or needs more.

    Example:
        >>> SciPy("L-BFGS-B", gtol=1e-10)
        SciPy('L-BFGS-B', gtol=1e-10)
    """

    method: str
    options: tuple[tuple[str, Any], ...]

    def __init__(self, method: str = "L-BFGS-B", **options: Any) -> None:
        if method.upper() not in _METHODS:
            raise ValueError(
                f"`SciPy` expects a method that takes a gradient, one of {', '.join(_METHODS)}, "
                f"got {method!r}."
            )
        object.__setattr__(self, "method", method)
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    def _arguments(self) -> list[str]:
        return [repr(self.method), *(f"{name}={value!r}" for name, value in self.options)]


class LeastSquares(Frozen):
    """Σ r², for solvers that need the residuals r themselves.

    Args:
        residuals: `(model, ps, st, data) -> r`, a tree of arrays.

    Source: the form in which Gauss-Newton and Levenberg-Marquardt take a problem. `losses.MSELoss`
        serves such solvers as it is.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import Record, nn, setup, training
        >>> def residuals(model, ps, st, data):
        ...     return model(data[0], ps, st)[0] - data[1]
        >>> objective = training.LeastSquares(residuals)
        >>> data = jnp.ones((4, 1), jnp.float32), jnp.full((4, 1), 3, jnp.float32)
        >>> objective(nn.NoOpLayer(), Record(), Record(), data)[0].item()
        16.0
    """

    residuals: Callable[[Any, Any, Any, Any], Any]

    def __call__(self, model: Any, ps: Any, st: Any, data: Any) -> tuple[jax.Array, Any, Record]:
        """The sum of squares, the states as they were, and no stats."""
        leaves = jax.tree.leaves(self.residuals(model, ps, st, data))
        squares = [jnp.sum(jnp.real(leaf * jnp.conj(leaf))) for leaf in leaves]
        return jnp.sum(jnp.stack(squares)), st, Record()


def minimise(
    objective: Objective,
    data: Any,
    tstate: TrainState | FitResult,
    method: Any = SciPy(),  # noqa: B008
    *,
    steps: int = 1000,
    progress: bool = False,
) -> FitResult:
    """Minimise `objective` over the parameters with the whole data at every step.

    Args:
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one. A
            least-squares solver takes `losses.MSELoss` or a `LeastSquares`.
        data: what the objective gets.
        tstate: the state of training to start from, or the result of an earlier `fit` or
            `minimise`, whose losses go before the new ones.
        method: a solver of optimistix (`BFGS`, `LBFGS`, `NonlinearCG`; for least squares
            `LevenbergMarquardt`, `GaussNewton`, `Dogleg`), an optimiser of optax such as
            `optax.lbfgs()`, or `SciPy("L-BFGS-B")`.
        steps: the most that are taken.
        progress: print a progress line, with an optimiser of optax.

    Returns:
        The state after the last step, with the optimiser it had and its own state begun anew, the
        losses (at every step; of optimistix before and after), and whether the method says that
        it has converged. Model states are not changed: the problem must be the same at each step.

    Raises:
        ValueError: `steps` is no integer of 1 or more.
        TypeError: the method is none of these; a least-squares solver without residuals; complex
            parameters with scipy; float64 NumPy data, x64 off.
        FloatingPointError: the loss is not finite at the start, or the method ended where it is
            not.

    Source: the place of `OptimizationProblem` in DiffEqFlux and Lux's OptimizationIntegration.

    Example:
        >>> import jax, jax.numpy as jnp, optax, optimistix
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.adam(1e-2))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> solver = optimistix.LevenbergMarquardt(rtol=1e-5, atol=1e-5)
        >>> result = training.minimise(losses.MSELoss(), (x, 2 * x), ts, solver)
        >>> bool(result.losses[-1] < 1e-8), result.converged
        (True, True)
    """
    require_kept(data, "`data`")
    if not isinstance(steps, int | np.integer) or isinstance(steps, bool) or steps < 1:
        raise ValueError(
            f"`minimise` expects `steps` to be an integer of 1 or more, got {steps!r}."
        )
    history = history_of("minimise", tstate)
    tstate = history.train_state
    if hasattr(method, "init") and hasattr(method, "update"):
        switched = tstate.with_optimizer(method)
        found = fit(switched, objective, data, steps=steps, progress=progress)
    elif isinstance(method, SciPy):
        found = _by_scipy(objective, data, tstate, method, steps)
    elif isinstance(method, optimistix.AbstractMinimiser | optimistix.AbstractLeastSquaresSolver):
        found = _by_optimistix(objective, data, tstate, method, steps)
    else:
        raise TypeError(
            f"`minimise` expects a solver of optimistix, an optimiser of optax or a SciPy, got "
            f'{method!r}. Pass for example SciPy("L-BFGS-B").'
        )
    moved = found.train_state.with_optimizer(tstate.optimizer)
    losses = np.concatenate([history.losses, found.losses])
    return FitResult(
        moved, losses, found.converged, found.message, history.validation, history.best
    )


def _moved(tstate: TrainState, parameters: Any, taken: Any) -> TrainState:
    difference = first_difference(tstate.parameters, parameters)
    if difference:
        raise StateStructureError(
            f"`minimise` must keep every shape and dtype, but the parameters differ {difference}."
        )
    return tstate.replace(parameters=parameters, step=tstate.step + jnp.asarray(taken, jnp.int32))


def _require_finite(loss: float, where: str) -> None:
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} {where}, so nothing was changed. Look at the data and the "
            "parameters, or take a few steps of Adam first."
        )


def _by_scipy(
    objective: Objective, data: Any, tstate: TrainState, method: SciPy, steps: int
) -> FitResult:
    for path, leaf in named_leaves(tstate.parameters).items():
        if jnp.iscomplexobj(leaf):
            raise TypeError(
                f"`minimise` with scipy expects real parameters, got {leaf.dtype} at `{path}`. "
                "Take an optimiser of optax."
            )
    start, unravel = ravel_pytree(tstate.parameters)
    options = dict(method.options)
    tolerance = options.pop("tol", None)
    losses: list[float] = []

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        moved = tstate.replace(parameters=unravel(jnp.asarray(flat.astype(start.dtype))))
        grads, loss, _, _ = compute_gradients(AutoReverse(), objective, data, moved)
        return float(loss), np.asarray(ravel_pytree(grads)[0], np.float64)

    def note(intermediate_result: Any) -> None:
        at = intermediate_result
        losses.append(float(at.fun) if hasattr(at, "fun") else value_and_gradient(at)[0])

    first = np.asarray(start, np.float64)
    losses.append(value_and_gradient(first)[0])
    _require_finite(losses[0], "at the start")
    found = scipy.optimize.minimize(
        value_and_gradient,
        first,
        jac=True,
        method=method.method,
        tol=tolerance,
        callback=note,
        # TNC counts evaluations, of which a step takes one or more.
        options=options | {"maxfun" if method.method.upper() == "TNC" else "maxiter": int(steps)},
    )
    _require_finite(float(found.fun), f"where {method.method} ended")
    parameters = unravel(jnp.asarray(np.asarray(found.x).astype(start.dtype)))
    message = found.message if isinstance(found.message, str) else str(found.message)
    moved = _moved(tstate, parameters, found.nit)
    return FitResult(moved, np.asarray(losses), bool(found.success), message)


def _by_optimistix(
    objective: Objective, data: Any, tstate: TrainState, method: Any, steps: int
) -> FitResult:
    least_squares = isinstance(method, optimistix.AbstractLeastSquaresSolver)
    if least_squares and not hasattr(objective, "residuals"):
        raise TypeError(
            f"`minimise` with {type(method).__name__} needs the residuals of a sum of squares, "
            f"got {objective!r}. Pass losses.MSELoss() or training.LeastSquares(residuals)."
        )
    structure, leaves = tstate.flat
    options, treedef = jax.tree.flatten(method)
    # Numbers are part of the program; an array, which is no key, is given to it.
    numbers = tuple(None if hasattr(o, "dtype") else o for o in options)
    arrays = [o for o in options if hasattr(o, "dtype")]
    check_objective(objective)
    solve = _optimistix_function(objective, (numbers, treedef), steps, structure)
    parameters, first, last, result, taken = solve(leaves, data, arrays)
    _require_finite(float(first), "at the start")
    _require_finite(float(last), f"where {type(method).__name__} ended")
    successful = bool(result == optimistix.RESULTS.successful)
    message = "" if successful else optimistix.RESULTS[result]
    losses = np.asarray([first, last], np.float64)
    return FitResult(_moved(tstate, parameters, taken), losses, successful, message)


@compiled
def _optimistix_function(
    objective: Objective, solver: tuple[Any, Any], steps: int, structure: Structure
) -> Callable[..., Any]:
    numbers, treedef = solver

    def solve(leaves: list[Any], data: Any, arrays: list[Any]) -> Any:
        tstate = TrainState.from_flat(structure, leaves)
        given = iter(arrays)
        method = treedef.unflatten([next(given) if n is None else n for n in numbers])

        # For what it checks: a loss or gradient of fewer digits fails in optimistix without a name.
        jax.eval_shape(lambda: gradients(AutoReverse(), objective, data, tstate)[1])
        start, parameters_of = _widened(tstate.parameters)

        def loss(values: list[Any], _: Any) -> jax.Array:
            ps = parameters_of(values)
            return _wide(objective(tstate.model, ps, tstate.states, data)[0])

        def residuals(values: list[Any], _: Any) -> Any:
            ps = parameters_of(values)
            found = objective.residuals(tstate.model, ps, tstate.states, data)  # pyright: ignore[reportFunctionMemberAccess]
            return jax.tree.map(_wide, found)

        run: Any
        run, function = (
            (optimistix.least_squares, residuals)
            if isinstance(method, optimistix.AbstractLeastSquaresSolver)
            else (optimistix.minimise, loss)
        )
        # JAX never forgets a function that optimistix is given: this one closes over nothing.
        function = eqx.filter_closure_convert(function, start, None)
        # optimistix mixes weak and strong scalars, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            found = run(function, method, start, max_steps=steps, throw=False)
        first, last = loss(start, None), loss(found.value, None)
        return parameters_of(found.value), first, last, found.result, found.stats["num_steps"]

    return solve


def _widened(parameters: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The floats of `parameters` in the widest dtype there is, and the opposite.

    The scalars of optimistix are of that dtype, and do not go together with narrower ones.
    """
    leaves, rebuild = floating_leaves(parameters)

    def parameters_of(values: list[Any]) -> Any:
        narrow = [v.astype(leaf.dtype) for v, leaf in zip(values, leaves, strict=True)]
        return rebuild(narrow)

    return [_wide(leaf) for leaf in leaves], parameters_of


def _wide(x: jax.Array) -> jax.Array:
    real, complex_ = ("float64", "complex128") if x64_enabled() else ("float32", "complex64")
    return x.astype(complex_ if jnp.iscomplexobj(x) else real)
