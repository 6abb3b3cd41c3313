"""minimise: full-batch optimisers of optimistix, SciPy and optax behind one call."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import optax
import optimistix
from jaxtyping import PyTree

from ...core.internal import check_integer
from ...io.internal import JSON
from ...precision.internal import require_exact_numbers
from ..callbacks._callback import Callback
from ..compilation._settings import settings_of
from ..data._data_dtype import check_data_dtype
from ..data._source import Data, Feed, Reader, Source
from ..fitting._fit import fit
from ..fitting._options import Options
from ..fitting._session import Session, conduct
from ..objectives._objective import Objective, check_objective
from ..optimisers._is_optax import is_optax
from ..records._fit_result import FitResult, history_of
from ..state._train_state import TrainState
from ._optimistix_method import OptimistixSteps
from ._outcome import Outcome
from ._scipy_method import SciPy, ScipySteps

Method: TypeAlias = (
    optimistix.AbstractMinimiser[Any, Any, Any]
    | optimistix.AbstractLeastSquaresSolver[Any, Any, Any, Any]
    | optax.GradientTransformation
    | SciPy
)
"""What `minimise` takes steps with."""


def minimise(
    tstate: TrainState | FitResult,
    objective: Objective,
    data: PyTree,
    method: Method = SciPy(),  # noqa: B008
    *,
    steps: int = 1000,
    validation: Data | None = None,
    validation_every: int = 100,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int | None = None,
    hyperparameters: Mapping[str, JSON] | None = None,
    resume: bool | Literal["changed"] = False,
    progress: bool = True,
) -> FitResult:
    """Minimise `objective` over the parameters with the whole data at every step.

    Args:
        tstate: the state of training to start from, or the result of an earlier `fit` or
            `minimise`, whose losses precede the new ones.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one. A
            least-squares solver takes `losses.MSELoss` or a `LeastSquares`.
        data: what the objective gets, a tree of arrays.
        method: a solver of optimistix (`BFGS`, `LBFGS`, `NonlinearCG`; for least squares
            `LevenbergMarquardt`, `GaussNewton`, `Dogleg`), an optimiser of optax such as
            `optax.lbfgs()`, or `SciPy("L-BFGS-B")`.
        steps: the largest number of steps, including those of a checkpoint resumed from.
        validation: held-out data, as of `fit`.
        validation_every: steps between two validations.
        callbacks: as of `fit`.
        checkpoint: a file or folder, as of `fit`.
        checkpoint_every: steps between two checkpoints.
        hyperparameters: what you want to find in the checkpoint beside the state.
        resume: continue from `checkpoint` if the file exists, to the same bits as without an
            interruption; "changed" as of `fit`. An error with SciPy, which does not give its state
            away.
        progress: print a progress line to standard error.

    Returns:
        The state after the last step, and the best, with the optimiser of `tstate`, whose state
        starts afresh; the loss before each step and, with SciPy and optimistix, after the last; and
        whether the method says that it has converged. SciPy and optimistix leave the model states
        as they were: the problem must be the same at each step.

    Raises:
        ValueError: `steps` or an `every` is out of range; `resume` with SciPy.
        TypeError: `steps` or an `every` is not an integer; the method is none of these; a
            least-squares solver without residuals; complex parameters with SciPy; float64 NumPy
            data while x64 is off; data that are not a tree of arrays, for a method that is not of
            optax.
        NonFiniteError: the loss is not finite at the start, or where the method ends. A trial of
            SciPy or optimistix where it is not finite, as of a solve that fails, is gone back from,
            if the method can; the error's `result` has the last good state.
        CheckpointError: as of `fit`, or the checkpoint is of another method.

    Source: takes the place of `OptimizationProblem` in DiffEqFlux and Lux's tutorials.

    Example:
        >>> import jax, jax.numpy as jnp, optax, optimistix
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.adam(1e-2))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> solver = optimistix.LevenbergMarquardt(rtol=1e-5, atol=1e-5)
        >>> result = training.minimise(ts, losses.MSELoss(), (x, 2 * x), solver, progress=False)
        >>> bool(result.losses[-1] < 1e-8), result.converged
        (True, True)
    """
    history = history_of("minimise", tstate)
    options = Options(
        "minimise",
        validation,
        validation_every,
        callbacks,
        checkpoint,
        checkpoint_every,
        hyperparameters,
        resume,
        progress,
    )
    check_integer("minimise", "steps", steps, least=1)
    require_exact_numbers(data, "`data`")
    start = history.tstate
    if is_optax(method):
        found = _by_optax(history, objective, data, method, steps, options)
    else:
        found = _by_solver(history, objective, data, method, steps, options)
    states = {"tstate": found.tstate}
    if found.best is not None and found.best is not history.best:
        states["best"] = found.best
    own = {name: state.with_optimizer(start.optimizer) for name, state in states.items()}
    return dataclasses.replace(found, **own)


def _by_optax(
    history: FitResult,
    objective: Objective,
    data: PyTree,
    method: optax.GradientTransformation,
    steps: int,
    options: Options,
) -> FitResult:
    switched = history.tstate.with_optimizer(method)
    return fit(
        dataclasses.replace(history, tstate=switched),
        objective,
        data,
        steps=steps,
        validation=options.validation,
        validation_every=options.validation_every,
        callbacks=options.callbacks,
        checkpoint=options.checkpoint,
        checkpoint_every=options.checkpoint_every,
        hyperparameters=options.hyperparameters,
        resume=options.resume,
        progress=options.progress,
    )


def _by_solver(
    history: FitResult,
    objective: Objective,
    data: PyTree,
    method: Method,
    steps: int,
    options: Options,
) -> FitResult:
    check_objective(objective)
    if isinstance(data, Source) or callable(data):
        raise TypeError(
            f"`minimise` with {method!r} expects `data` to be a tree of arrays, used whole each "
            f"step, got {data!r}. Take an optimiser of optax for data in batches."
        )
    if isinstance(method, SciPy):
        _refuse_resume(method, options)
    start = history.tstate
    take_steps = _steps_of(method, objective, data, start)
    outcome = Outcome(None, "", None)

    def conducted(session: Session) -> None:
        nonlocal outcome
        check_data_dtype("`minimise`", Feed(Reader(), data), start)
        outcome = take_steps(session)

    identity = f"the same at every step, minimised by {method!r}"
    made_with = functools.partial(
        settings_of, model=start.model, objective=objective, method=method
    )
    found = conduct(options, history, objective, steps, None, identity, conducted, made_with)
    last = [] if outcome.loss is None else [outcome.loss]
    return dataclasses.replace(
        found,
        losses=np.concatenate([found.losses, last]),
        converged=outcome.converged,
        message=found.message or outcome.message,
    )


def _steps_of(
    method: Method, objective: Objective, data: PyTree, start: TrainState
) -> Callable[[Session], Outcome]:
    """What takes the steps of `method`."""
    if isinstance(method, SciPy):
        return ScipySteps(method, objective, data, start)
    if isinstance(method, optimistix.AbstractMinimiser | optimistix.AbstractLeastSquaresSolver):
        return OptimistixSteps(method, objective, data, start)
    raise TypeError(
        "`minimise` expects a solver of optimistix, an optimiser of optax or a SciPy after "
        f"`data`, got {method!r}. The order is (tstate, objective, data, method); pass for "
        'example SciPy("L-BFGS-B").'
    )


def _refuse_resume(method: SciPy, options: Options) -> None:
    if options.resume:
        raise ValueError(
            f"`minimise` cannot resume {method!r}: SciPy does not give the state of the method "
            "away, so its steps would be others. Start afresh from the state in the checkpoint, "
            'load_checkpoint(path).restore(tstate, "tstate"), or take a solver of optimistix.'
        )
