"""plot_solution: the states of a solve as a plot."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ...core.internal import named_leaves
from ._results import RESULTS
from ._solution import Solution

_MOST_LABELS = 12
_DENSE_POINTS = 201


def plot_solution(
    solution: Solution,
    *,
    ts: ArrayLike | None = None,
    axes: Any = None,
    batch_axis: int | None = None,
) -> Any:
    """Draw every component of the states of `solution` over time.

    Lines are labelled with the name of their leaf, `u` where the state is an array, and the index
    of the component; a complex one has two. All samples of a component have one colour.

    Args:
        solution: of a solve outside of `jit`.
        ts: (n,) times at which a solution with `dense=True` is drawn; None for many between the
            first and the last of its own. Others are drawn at their own, joined by straight lines.
        axes: of matplotlib, to draw in; None for those of a new figure, `axes.figure`.
        batch_axis: 0 for a solution of a layer with `batch_axis=0` and times for all samples.

    Returns:
        The axes.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: the solve failed, or `ts` is given and `dense` was not.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> problem = ode.Problem(jnp.ones(2, jnp.float32), ts=[0.0, 0.5, 1.0])
        >>> axes = ode.plot_solution(ode.solve(lambda t, u, args: -u, problem))
        >>> [line.get_label() for line in axes.lines]
        ['u[0]', 'u[1]']
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "`plot_solution` needs matplotlib. Install it with pip install 'sciml_lux[plots]'."
        ) from error
    _check_success(solution)
    if axes is None:
        axes = Figure(figsize=(6.4, 4.0), layout="constrained").add_subplot()
    drawn = 0
    for label, times, values in _lines(solution, ts, batch_axis):
        style = "o-" if len(times) < 2 else "-"
        for sample, (x, y) in enumerate(zip(times.T, values.T, strict=True)):
            name = "_nolegend_" if sample else label
            axes.plot(x, y, style, ms=4, lw=1.2, color=f"C{drawn % 10}", label=name)
        drawn += 1
    axes.set_xlabel("t")
    if 0 < drawn <= _MOST_LABELS:
        axes.legend(frameon=False)
    return axes


def _check_success(solution: Solution) -> None:
    succeeded = np.asarray(solution.result == RESULTS.successful)
    if succeeded.all():
        return
    first = np.unravel_index(int(np.argmin(succeeded)), succeeded.shape)
    why = RESULTS[jax.tree.map(lambda code: code[first], solution.result)]
    raise ValueError(f"`plot_solution` expects a solve that succeeded, got one that failed: {why}")


def _lines(
    solution: Solution, ts: ArrayLike | None, batch_axis: int | None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The label of each component, and its times and values, both (n, samples)."""
    times, states = _over_time(solution, ts, batch_axis)
    for path, leaf in named_leaves(states).items():
        rows = np.asarray(leaf)
        for index in np.ndindex(rows.shape[2:]):
            place = f"[{', '.join(map(str, index))}]" if index else ""
            values, name = rows[(..., *index)], f"{_name(path)}{place}"
            at = np.broadcast_to(times, values.shape)
            if np.iscomplexobj(values):
                yield f"Re {name}", at, np.real(values)
                yield f"Im {name}", at, np.imag(values)
            else:
                yield name, at, values.astype(float)


def _name(path: str) -> str:
    """Of a leaf: its path, after `u` where it begins with a number or is empty."""
    return path if path[:1].isidentifier() else f"u.{path}".rstrip(".")


def _over_time(
    solution: Solution, ts: ArrayLike | None, batch_axis: int | None
) -> tuple[np.ndarray, Any]:
    """Times, (n, samples) or (n, 1), and states with these two axes first."""
    own = np.asarray(solution.ts).astype(float)
    of_samples = own.ndim > 1 or batch_axis == 0
    if solution.between is None:
        if ts is not None:
            raise ValueError(
                "`plot_solution` draws at `ts` where the solve had dense=True, got one without. "
                "Set it in the layer or the `Method`, or leave out `ts`."
            )
        states, times = solution.ys, own.T
        if of_samples:
            states = jax.tree.map(lambda y: jnp.moveaxis(y, 0, 1), states)
    else:
        if ts is None:
            times = np.linspace(own[..., 0].min(), own[..., -1].max(), _DENSE_POINTS)
        else:
            times = np.asarray(ts).astype(float)
        states = solution(times)
    if not of_samples:
        states = jax.tree.map(lambda y: y[:, None], states)
    return times.reshape(len(times), -1), states
