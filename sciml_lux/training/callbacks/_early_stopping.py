"""EarlyStopping: end a fit that does not improve any more."""

import math

import numpy as np

from ...core.internal import check_choice, check_integer, check_number
from ..records._fit_run import FitRun
from ._callback import Callback


class EarlyStopping(Callback):
    """End the fit after `patience` checks in a row without a better loss.

    A loss is better if it is finite, and smaller than the best so far by more than `min_delta`. The
    losses alone decide, so that a resumed fit ends where an uninterrupted one does.

    Args:
        patience: the number of checks.
        min_delta: the least improvement that counts.
        monitor: "validation" checks at each validation; "loss" checks each `every` steps the mean
            of the loss over these steps.
        every: steps between two checks of "loss".
        keep_best: keep the best state, as `FitResult.best`.

    Raises:
        ValueError: a value is out of its range; "validation" without a validation in `fit`.

    Source: `early_stopping` of Flux.jl.

    Example:
        >>> EarlyStopping(5, min_delta=1e-4)
        EarlyStopping(5, min_delta=0.0001, monitor="validation")
    """

    def __init__(
        self,
        patience: int,
        min_delta: float = 0.0,
        monitor: str = "validation",
        *,
        every: int = 10,
        keep_best: bool = True,
    ) -> None:
        check_choice("EarlyStopping", "monitor", monitor, ("validation", "loss"))
        check_integer("EarlyStopping", "patience", patience, least=1)
        check_integer("EarlyStopping", "every", every, least=1)
        check_number("EarlyStopping", "min_delta", min_delta, least=0)
        if min_delta == math.inf:
            raise ValueError("`EarlyStopping` expects `min_delta` to be finite, got inf.")
        self.patience, self.min_delta, self.monitor = patience, min_delta, monitor
        self.keep_best = keep_best
        self.every = every if monitor == "loss" else None
        self._best, self._best_step, self._bad = math.inf, 0, 0

    def on_start(self, run: FitRun) -> None:
        """Check the losses that a resumed fit has already."""
        self._best, self._best_step, self._bad = math.inf, run.first_step, 0
        if self.monitor == "validation" and not run.validates:
            raise ValueError(
                '`EarlyStopping` monitors "validation", but `fit` got no `validation` data. Pass '
                'some, or take monitor="loss".'
            )
        for step, value in self._checks(run):
            self._note(run, step, value)
        if run.snapshot.best is not None and int(run.snapshot.best.step) != self._best_step:
            run.drop_best()  # It was the best by another rule.
        self._stop_if_due(run)

    def on_validation(self, run: FitRun) -> None:
        """Check the newest loss on held-out data."""
        if self.monitor == "validation":
            self._note(run, run.step, float(run.validation.losses[-1]))
            self._stop_if_due(run)

    def on_steps(self, run: FitRun) -> None:
        """Check the mean loss of the last steps."""
        if self.every is not None:
            self._note(run, run.step, float(np.mean(run.losses[-self.every :])))
            self._stop_if_due(run)

    def _checks(self, run: FitRun) -> list[tuple[int, float]]:
        if self.every is None:
            seen = run.validation
            return list(zip(seen.steps.tolist(), seen.losses.tolist(), strict=True))
        ends = range(self.every, run.done + 1, self.every)
        means = [float(np.mean(run.losses[end - self.every : end])) for end in ends]
        return [(run.first_step + end, mean) for end, mean in zip(ends, means, strict=True)]

    def _note(self, run: FitRun, step: int, value: float) -> None:
        if math.isfinite(value) and value < self._best - self.min_delta:
            self._best, self._best_step, self._bad = value, step, 0
            if self.keep_best and step == run.step:
                run.keep_best()
        else:
            self._bad += 1

    def _stop_if_due(self, run: FitRun) -> None:
        if self._bad >= self.patience:
            run.stop(
                f"EarlyStopping: the {self.monitor} did not improve in {self.patience} checks; "
                f"best {self._best:.6g} at step {self._best_step}{self._note_on_best(run)}"
            )

    def _note_on_best(self, run: FitRun) -> str:
        missing = self.keep_best and run.snapshot.best is None
        return ", whose state is not stored: it came before this EarlyStopping" if missing else ""

    def __repr__(self) -> str:
        every = "" if self.every is None else f", every={self.every}"
        return (
            f"EarlyStopping({self.patience}, min_delta={self.min_delta}, "
            f'monitor="{self.monitor}"{every})'
        )
