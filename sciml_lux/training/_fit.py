"""fit: many training steps, with progress, checkpoints and exact resume."""

import dataclasses
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import require_x64_for
from ._ad import AD, AutoReverse
from ._checkpoint import CheckpointError
from ._processes import is_first_process, of_first_process
from ._progress import ProgressLine
from ._saver import Run, Saver
from ._steps import Objective, gradients, line_search_arguments, update
from ._train_state import TrainState

_MAX_CHUNK = 1024
_CHUNK_SECONDS = 0.25


@dataclasses.dataclass(frozen=True)
class FitResult:
    """What `fit` returns.

    Attributes:
        train_state: after the last step.
        losses: float64 (steps,), the loss before each step.
        converged: whether the method says so; None where it has no test of its own.
        message: what the method says of its end.
    """

    train_state: TrainState
    losses: np.ndarray
    converged: bool | None = None
    message: str = ""


def fit(
    tstate: TrainState,
    objective: Objective,
    data: Any,
    *,
    steps: int,
    ad: AD | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    progress: bool = True,
) -> FitResult:
    """Take `steps` training steps from `tstate`.

    Steps run in a compiled loop, so many of them for each call from Python; how they are cut into
    loops does not change a bit of the result, nor does an interruption.

    Args:
        tstate: the state of training to start from.
        objective: `(model, ps, st, data) -> loss, st, stats`; every loss of `losses` is one.
        data: a tree of arrays, used whole at every step; or a function `step -> tree` for other
            data at each step, where `step` is the int32 scalar `tstate.step`, traced: it must be
            made of JAX operations.
        steps: number of steps.
        ad: how to differentiate; `AutoReverse()` by default.
        checkpoint: a file that ends in `.ckpt`, or a folder for `checkpoint.ckpt`; written every
            `checkpoint_every` steps (by default every 10 seconds), at the end, and on Ctrl-C.
            Give each fit its own.
        checkpoint_every: steps between two checkpoints.
        resume: go on from `checkpoint` if the file is there. The result then equals that of an
            uninterrupted run bit for bit.
        progress: print a progress line to standard error.

    Returns:
        The last state and the loss before each step.

    Raises:
        FloatingPointError: the loss or a gradient is not finite. The update is refused, and the
            last good state is in the checkpoint.
        CheckpointError: the checkpoint to resume from is damaged, or of a fit that began with
            another model, parameters or step; or the path is a file of another kind.
        ValueError: `steps` or `checkpoint_every` is no integer or out of range.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from sciml_lux import losses, nn, setup, training
        >>> model = nn.Dense(1, 1)
        >>> ts = training.TrainState(model, *setup(jax.random.key(0), model), optax.adam(0.1))
        >>> x = jnp.linspace(0, 1, 8, dtype=jnp.float32)[:, None]
        >>> result = training.fit(ts, losses.MSELoss(), (x, 2 * x), steps=200, progress=False)
        >>> bool(result.losses[-1] < 1e-2), int(result.train_state.step)
        (True, 200)
    """
    _check_options(steps, checkpoint_every, data)
    require_x64_for(data, "`data`")
    saver = Saver(checkpoint, checkpoint_every, tstate)
    run = saver.load() if resume else Run(tstate, np.zeros(0))
    if run.done > steps:
        raise CheckpointError(
            f"checkpoint {saver.file} holds {run.done} steps, more than steps={steps}. Ask for "
            "that many or more, or give another path."
        )
    batch = data if callable(data) else None
    take = _chunk_function(ad or AutoReverse(), objective, batch)
    line = ProgressLine(steps, run.done, progress and is_first_process())
    chunk = 1
    try:
        while run.done < steps:
            begin = time.monotonic()
            count = min(chunk, steps - run.done, saver.steps_left(run) or _MAX_CHUNK)
            run, finite = _advance(run, take, None if batch else data, count)
            if not finite:
                raise FloatingPointError(_refusal(run, saver.file))
            line.update(run.done, run.losses[-1])
            saver.save_if_due(run)
            # Clocks differ, and processes that took other numbers of steps would wait for ever.
            chunk = of_first_process(_next_chunk(count, time.monotonic() - begin))
    finally:
        line.close()
        saver.save(run)
    return FitResult(run.tstate, run.losses)


def _check_options(steps: Any, checkpoint_every: Any, data: Any) -> None:
    for name, value, low in (("steps", steps, 0), ("checkpoint_every", checkpoint_every, 1)):
        if value is None and name == "checkpoint_every":
            continue
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < low:
            raise ValueError(
                f"`fit` expects `{name}` to be an integer of {low} or more, got {value!r}."
            )
    if not callable(data) and (hasattr(data, "__next__") or data is None):
        raise TypeError(
            f"`fit` expects `data` to be a tree of arrays or a function `step -> tree`, got "
            f"{type(data).__name__}."
        )


def _advance(run: Run, take: Callable[..., Any], data: Any, count: int) -> tuple[Run, bool]:
    tstate, losses, taken, finite = take(run.tstate, data, np.int32(count))
    new = np.asarray(losses[: int(taken)], np.float64)
    return Run(tstate, np.concatenate([run.losses, new])), bool(finite)


def _next_chunk(count: int, elapsed: float) -> int:
    """As many steps as fill the time between two progress updates, reached by and by."""
    wanted = int(count * _CHUNK_SECONDS / max(elapsed, 1e-6))
    return max(1, min(wanted, 8 * count, _MAX_CHUNK))


def _refusal(run: Run, file: Path | None) -> str:
    kept = f"; the last good state is in {file}" if file is not None and run.done else ""
    return (
        f"the loss or a gradient is not finite at step {int(run.tstate.step)}, so the update was "
        f"refused{kept}. Lower the learning rate, clip gradients, or look at the data."
    )


@functools.lru_cache(maxsize=256)
def _chunk_function(
    ad: AD, objective: Objective, batch: Callable[[jax.Array], Any] | None
) -> Callable[..., Any]:
    """A compiled loop of `count` steps; it stops before an update that is not finite.

    The number of steps is dynamic, so that one program serves all and gives the same bits.
    """

    def one_step(tstate: TrainState, data: Any) -> tuple[TrainState, jax.Array, jax.Array]:
        data = batch(tstate.step) if batch else data
        grads, loss, _, moved = gradients(ad, objective, data, tstate)
        extra = line_search_arguments(objective, data, tstate, grads, loss)
        leaves = [loss, *jax.tree.leaves(grads)]
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]).all()
        return (
            jax.lax.cond(finite, lambda: update(moved, grads, extra), lambda: tstate),
            loss,
            finite,
        )

    def run(tstate: TrainState, data: Any, count: jax.Array) -> Any:
        loss = jax.eval_shape(one_step, tstate, data)[1]

        def keep_going(carry: Any) -> jax.Array:
            _, _, taken, finite = carry
            return (taken < count) & finite

        def body(carry: Any) -> Any:
            tstate, losses, taken, _ = carry
            tstate, loss, finite = one_step(tstate, data)
            return tstate, losses.at[taken].set(loss), taken + finite.astype(jnp.int32), finite

        losses = jnp.zeros(_MAX_CHUNK, loss.dtype)
        start = (tstate, losses, jnp.zeros((), jnp.int32), jnp.ones((), bool))
        return jax.lax.while_loop(keep_going, body, start)

    return jax.jit(run)
