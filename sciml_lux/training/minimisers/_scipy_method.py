"""SciPy: the methods of `scipy.optimize.minimize` for `minimise`."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from ...core import StaticValue
from ...core.internal import named_leaves
from ..fitting._session import Session
from ..objectives._objective import Objective
from ..objectives._stats import Stats, check_stats
from ..state._train_state import TrainState
from ..steps._ad import AutoReverse
from ..steps._compute_gradients import compute_gradients
from ._outcome import Outcome, finite_or_refuse, with_parameters, without_optimizer

_METHODS = ("L-BFGS-B", "BFGS", "CG", "NEWTON-CG", "TNC", "SLSQP", "TRUST-CONSTR")
# The step with which a method takes differences of gradients, by default for float64.
_DIFFERENCE_NAMES = {"NEWTON-CG": "eps", "TNC": "accuracy"}
_CALL_SECONDS = 0.25


class SciPy(StaticValue):
    """A method of `scipy.optimize.minimize` that takes a gradient.

    It works on one flat float64 vector; loss and gradient are computed in the parameters' dtype.
    "Newton-CG" and "TNC" take differences of gradients at a step that this dtype can resolve, the
    square root of its machine epsilon, where the options `eps` and `accuracy` do not say another.

    Args:
        method: "L-BFGS-B", "BFGS", "CG", "Newton-CG", "TNC", "SLSQP" or "trust-constr".
        **options: those of the method, such as `gtol=1e-10`, or `tol`. Of its limit, `maxiter`
            (`maxfun` of "TNC"), and the `steps` of `minimise` the lower one counts.

    Raises:
        ValueError: the method takes no gradient, or needs more than one.

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

    @property
    def limit_name(self) -> str:
        """The option that bounds the steps. TNC counts evaluations, one or more for each step."""
        return "maxfun" if self.method.upper() == "TNC" else "maxiter"

    def difference_step(self, parameters: PyTree) -> dict[str, float]:
        """The option for a difference of gradients that the coarsest of the dtypes resolves."""
        name = _DIFFERENCE_NAMES.get(self.method.upper())
        coarsest = max(float(jnp.finfo(leaf).eps) for leaf in jax.tree.leaves(parameters))
        return {} if name is None else {name: coarsest**0.5}


class _Ended(Exception):
    """A callback has ended the minimisation."""


class ScipySteps:
    """Takes the steps of a session by a method of SciPy.

    Raises:
        TypeError: complex parameters.
    """

    def __init__(
        self, method: SciPy, objective: Objective, data: PyTree, tstate: TrainState
    ) -> None:
        for path, leaf in named_leaves(tstate.parameters).items():
            if jnp.iscomplexobj(leaf):
                raise TypeError(
                    f"`minimise` with SciPy expects real parameters, got {leaf.dtype} at "
                    f"`{path}`. Take an optimiser of optax."
                )
        self._method, self._objective, self._data = method, objective, data
        start, self._unravel = ravel_pytree(tstate.parameters)
        self._dtype, self._tstate = start.dtype, without_optimizer(tstate)
        self._x = np.asarray(start, np.float64)
        self._at: tuple[bytes, float, Any] = (b"", 0.0, None)
        self._before: tuple[float, Any] = (0.0, None)
        self._called, self._largest = 0.0, -np.inf
        self._failed: set[bytes] = set()

    def __call__(self, session: Session) -> Outcome:
        """Take the steps, and return how they ended."""
        options = self._method.difference_step(self._tstate.parameters)
        options |= dict(self._method.options)
        tolerance, name = options.pop("tol", None), self._method.limit_name
        limits = [session.run.steps, options.pop(name, None)]
        options[name] = int(min(limit for limit in limits if limit is not None))
        self._before = self._evaluated(self._x)
        finite_or_refuse(session, self._before[0], "at the start")
        try:
            found = scipy.optimize.minimize(
                self._value_and_gradient,
                self._x,
                jac=True,
                method=self._method.method,
                tol=tolerance,
                callback=lambda intermediate_result: self._note(session, intermediate_result),
                options=options,
            )
        except _Ended:
            return Outcome(None, "", self._before[0])
        loss = np.nan if found.x.tobytes() in self._failed else float(found.fun)
        finite_or_refuse(session, loss, f"where {self._method.method} ended")
        if not np.array_equal(found.x, self._x):
            self._move(session, np.asarray(found.x))
        return Outcome(bool(found.success), str(found.message), float(found.fun))

    def _value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient; where they are not finite, what sends a line search back.

        SciPy's methods interpolate between losses, so an infinite one would end them: it is far
        above all losses seen instead.
        """
        tstate = self._tstate.replace(parameters=self._parameters(x))
        grads, loss, stats, _ = compute_gradients(
            AutoReverse(), self._objective, self._data, tstate
        )
        value, slope = float(loss), np.asarray(ravel_pytree(grads)[0], np.float64)
        self._at = (x.tobytes(), value, stats)
        if np.isfinite(value) and np.isfinite(slope).all():
            self._largest = max(self._largest, value)
            return value, slope
        self._failed.add(x.tobytes())
        return self._largest + 10 * (1 + abs(self._largest)), np.zeros_like(slope)

    def _evaluated(self, x: np.ndarray) -> tuple[float, Any]:
        """Loss and stats at `x`, which SciPy has most often evaluated last."""
        if self._at[0] != x.tobytes():
            self._value_and_gradient(x)
        return self._at[1:]

    def _parameters(self, x: np.ndarray) -> Any:
        return self._unravel(jnp.asarray(x.astype(self._dtype)))

    def _note(self, session: Session, step: Any) -> None:
        """Called by SciPy after each step, by trust-constr also before the first."""
        x = np.array(step.x if hasattr(step, "x") else step, np.float64)
        if session.run.done == 0 and np.array_equal(x, self._x):
            return
        if x.tobytes() in self._failed:  # SLSQP shows points that it goes back from.
            return
        self._move(session, x)
        now = time.monotonic()
        due = now - self._called > _CALL_SECONDS
        self._called = now if due else self._called
        session.between_steps(timed_callbacks=due)
        if session.run.stopped:
            raise _Ended

    def _move(self, session: Session, x: np.ndarray) -> None:
        """Record the step from the last point to `x`."""
        run = session.run
        after, (before, stats) = self._evaluated(x), self._before
        finite_or_refuse(session, after[0], f"after step {run.step}")
        tstate = with_parameters(run.tstate, self._parameters(x), 1)
        check_stats(stats)
        found = Stats.of(jax.tree.map(lambda leaf: np.asarray(leaf)[None], stats))
        run.snapshot = run.snapshot.with_steps(tstate, np.asarray([before]), found)
        self._x, self._before = x, after
