"""Problem: where a solve starts, when, what drives it, and at which times the state is wanted."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ...core import Record
from ...core.internal import named_leaves
from ...precision.internal import own_memory
from ._as_array import as_array
from ._step import Step, as_step


@jax.tree_util.register_pytree_with_keys_class
class Problem:
    """An initial-value problem as data, which a differential-equation layer takes instead of u0.

    All of it is traced: another grid of as many times, another end or another signal compiles
    nothing anew. It is a tree, so that `jax.vmap`, `Batches` and gradients by every array pass.

    Args:
        u0: the state at t0, an array or a tree of arrays.
        ts: (n,) times at which the state is wanted, in order from t0 to t1; or (batch, n), those of
            each sample: then all else has a leading axis of samples or is shared, the vector field
            gets one sample at a time, and each sample has its own steps. None for the `saveat` of
            the layer.
        tspan: (t0, t1), numbers or, of each sample, (batch,) arrays. None for the t0 of the layer,
            or in `ode.solve` the first of `ts`, masked or not, and for the last of `ts`, or the t1
            of the layer.
        inputs: controls by name, `{"force": Interpolated(times, values)}`; the layer says what it
            does with them.
        mask: booleans of the shape of `ts`; where one is False the time beside it does not count,
            and the state there is that of the last time before that does, or of t0. Padding and
            missing observations are such.
        first_step: the length of the first step that is tried, a number, or a `Step`, such as the
            `solution.final.next_step` of the solve that this one continues. None for the `dt0` of
            the layer or method. With times of each sample it may be (batch,).
        mass_matrix: (n, n) the matrix M of M du/dt = f(t, u), for a state of one real array of n
            components, in its dtype; it has derivatives. Where it is singular some equations are
            algebraic: of index 1, and fulfilled by u0. `ode.Rodas5P` alone solves with one. With
            times of each sample it may be (batch, n, n). None for du/dt = f(t, u).

    Raises:
        TypeError: `tspan` is not a pair, or `inputs` have no names.

    Example:
        A growing horizon, compiled once:

        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, ode, setup
        >>> node = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0))
        >>> ps, st = setup(jax.random.key(0), node)
        >>> u0, ts = jnp.ones(1, jnp.float32), jnp.asarray([0.0, 0.5, 1.0], jnp.float32)
        >>> for horizon in (0.5, 1.0):
        ...     us, _ = node(ode.Problem(u0, ts=ts, mask=ts <= horizon), ps, st)
        ...     print(us.shape, bool(us[1, 0] == us[2, 0]))
        (3, 1) True
        (3, 1) False
    """

    u0: PyTree
    ts: Any
    tspan: Any
    inputs: Any
    mask: Any
    first_step: Any
    mass_matrix: Any

    keeps_dtypes: ClassVar[bool] = True
    _names = ("u0", "ts", "tspan", "inputs", "mask", "first_step", "mass_matrix")

    def __init__(
        self,
        u0: PyTree,
        ts: ArrayLike | None = None,
        tspan: tuple[ArrayLike, ArrayLike] | None = None,
        inputs: Mapping[str, Any] | None = None,
        mask: ArrayLike | None = None,
        first_step: Step | ArrayLike | None = None,
        mass_matrix: ArrayLike | None = None,
    ) -> None:
        self.u0 = own_memory(u0)
        self.ts = as_array(ts)
        self.tspan = None if tspan is None else _ends(tspan)
        self.inputs = None if inputs is None else _signals(inputs)
        self.mask = as_array(mask)
        self.first_step = as_step(first_step)
        self.mass_matrix = own_memory(as_array(mass_matrix))

    def with_state(self, u0: PyTree) -> "Problem":
        """The same problem from another state."""
        return self.tree_unflatten(None, (u0, *(getattr(self, name) for name in self._names[1:])))

    def __repr__(self) -> str:
        """The arguments that were given."""
        given = {name: getattr(self, name) for name in self._names}
        return f"Problem({', '.join(f'{k}={v}' for k, v in given.items() if v is not None)})"

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], None]:
        """The arguments, by name."""
        key = jax.tree_util.GetAttrKey
        return [(key(name), getattr(self, name)) for name in self._names], None

    @classmethod
    def tree_unflatten(cls, _: None, children: Sequence[PyTree]) -> "Problem":
        """A problem of anything that takes the places of its arrays."""
        problem = object.__new__(cls)
        problem.__dict__.update(zip(cls._names, children, strict=True))
        return problem


def _ends(tspan: Sequence[ArrayLike]) -> tuple[Any, ...]:
    try:
        return tuple(map(as_array, tspan))
    except TypeError:
        raise TypeError(
            f"`Problem` expects `tspan` to be the pair (t0, t1) of numbers, got {tspan!r}."
        ) from None


def _signals(inputs: Mapping[str, Any]) -> Record:
    if not isinstance(inputs, Mapping | Record):
        raise TypeError(
            f"`Problem` expects `inputs` to be signals by name, got {type(inputs).__name__}. Write "
            '{"force": ode.Interpolated(times, values)}.'
        )
    return Record(dict(sorted(inputs.items())))


def as_problem(x: PyTree) -> Problem:
    """`x`, or with the state `x` and nothing else."""
    return x if isinstance(x, Problem) else Problem(x)


def has_samples(problem: Problem) -> bool:
    """Whether its times are those of each sample."""
    wanted = problem.ts is not None and problem.ts.ndim > 1
    return wanted or any(end.ndim > 0 for end in problem.tspan or ())


def check_samples(name: str, problem: Problem) -> None:
    """Raise unless all that has a leading axis of samples has as many.

    Raises:
        ValueError: names what has which number.
    """
    if not has_samples(problem):
        return
    sizes = {}
    if problem.ts is not None and problem.ts.ndim > 1:
        sizes["ts"] = problem.ts.shape[0]
    for word, end in zip(("tspan[0]", "tspan[1]"), problem.tspan or (), strict=False):
        if end.ndim > 0:
            sizes[word] = end.shape[0]
    for key, signal in (problem.inputs or Record()).items():
        if signal.times.ndim > 1:
            sizes[f"inputs.{key}"] = signal.times.shape[0]
    for path, leaf in named_leaves(problem.u0).items():
        where = f"u0.{path}" if path else "u0"
        if jnp.ndim(leaf) == 0:
            raise ValueError(
                f"`{name}` expects a leading axis of samples in `{where}`, since the times are of "
                "each sample, got a scalar."
            )
        sizes[where] = leaf.shape[0]
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{size} in `{word}`" for word, size in sizes.items())
        raise ValueError(f"`{name}` expects as many samples in all of a problem, got {found}.")
