"""NeuralODE: the flow of a network as a layer."""

from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, Record, States
from ...core.internal import check_integer, check_layer
from ..equation._solvable import Inputs, VectorField
from ..equation._state_policy import in_field
from ._ode_layer import ODELayer


class NeuralODE(ODELayer):
    """u(t) with du/dt = model(u) and u(t0) = x.

    Args:
        model: any layer that maps a state to its time derivative.
        tspan: (t0, t1); t1 below t0 solves backwards.
        time_input: False calls `model(u)`, True calls `model((t, u))`, "concat" appends t to the
            last axis of u, of each leaf of a tree; a scalar u becomes a vector of two.

        augment: number of components, 0 at t0, that are added to the last axis of u, so that paths
            may cross in those that were given. The output has them too, after the others; from
            `solution.final` a layer without `augment`, of the same parameters, goes on.

    The further options are those of `ODELayer`: `saveat`, `solver`, `rtol`, `atol`, `dt0`,
    `stepsize_controller`, `adjoint`, `max_steps`, `throw`, `dense`, `batch_axis`, `state_policy`,
    `running_cost`, `events`, `max_events`.

    Inputs: x, the initial state, a floating or complex array or a tree of them, of one dtype; or a
    `Problem`. The values of its inputs at t are appended to the last axis of u, after t, in the
    order of their names; with `time_input=True` the model gets `(t, u, inputs)`.

    Returns: (len(saveat), *x.shape), or x.shape at t1 where `saveat` is None; in the dtype of x.

    Parameters and States: exactly those of `model`. A solve that would change a state, such as one
    with BatchNorm or Dropout in training, is refused, unless `state_policy` says what is meant.

    Raises:
        ValueError: times out of order or range; a state that is not finite; a vector field of
            another shape.
        TypeError: `model` is not a layer; the vector field has another dtype than the state (the
            message names the leaf).
        StateChangedError: the model changes a state.
        RuntimeError: the solve failed.

    Source: `NeuralODE` and `AugmentedNDELayer` of DiffEqFlux.jl; ours can pass the time to the
    network. Augmented ones: arXiv 1904.01681.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, ode, setup
        >>> model = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 2))
        >>> node = ode.NeuralODE(model, (0.0, 1.0), saveat=(0.0, 0.5, 1.0))
        >>> ps, st = setup(jax.random.key(0), node)
        >>> us, st = node(jnp.ones(2, jnp.float32), ps, st)
        >>> us.shape, us.dtype.name
        ((3, 2), 'float32')
    """

    model: LayerLike
    tspan: tuple[float, float]
    time_input: bool | Literal["concat"] = False
    augment: int = 0

    leaves_floats_inside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        check_layer("NeuralODE", "model", self.model, "nn.Dense(2, 2)")
        if not (isinstance(self.time_input, bool) or self.time_input == "concat"):
            raise ValueError(
                '`NeuralODE` expects `time_input` to be False, True or "concat", got '
                f"{self.time_input!r}."
            )

        check_integer("NeuralODE", "augment", self.augment, least=0)

    @property
    def wrapped(self) -> Any:
        """The model, whose trees are this layer's own."""
        return self.model

    def initial_parameters(self, key: jax.Array, dtype: np.dtype) -> Any:
        """The model's parameters."""
        return self.model.initial_parameters(key, dtype)

    def initial_states(self, key: jax.Array, dtype: np.dtype) -> Any:
        """The model's states."""
        return self.model.initial_states(key, dtype)

    def start(self, u0: PyTree) -> Any:
        """`u0`, with the components that `augment` adds."""
        return jax.tree.map(self._augmented, u0) if self.augment else u0

    def vector_field(self, ps: Parameters, st: States, inputs: Inputs = None) -> VectorField:
        """`f(t, u) = model(u)`, or of t, u and the inputs at t."""
        model = in_field(self.model, ps, st)
        signals = {} if inputs is None else inputs

        def field(t: Array, u: PyTree) -> Any:
            return model(self._input(t, u, {name: signals[name](t) for name in signals}))

        return field

    def _augmented(self, u: Array) -> Array:
        if not jnp.ndim(u):
            raise ValueError(
                f"`NeuralODE` with augment={self.augment} expects states with an axis of "
                "components, got a scalar. Give it the shape (1,)."
            )
        return jnp.concatenate([u, jnp.zeros((*u.shape[:-1], self.augment), u.dtype)], -1)

    def _input(self, t: Array, u: PyTree, controls: dict[str, Array]) -> Any:
        if self.time_input is True:
            return (t, u, Record(controls)) if controls else (t, u)
        more = [] if self.time_input is False else [t]
        if not more and not controls:
            return u
        return jax.tree.map(lambda leaf: _beside(leaf, [*more, *controls.values()]), u)


def _beside(u: Array, values: list[Array]) -> Array:
    """`u` with `values`, each a scalar or a vector for all or for each sample, on its last axis."""
    u = jnp.atleast_1d(u)
    rows = [jnp.atleast_1d(value).astype(u.dtype) for value in values]
    wide = [jnp.broadcast_to(row, (*u.shape[:-1], row.shape[-1])) for row in rows]
    return jnp.concatenate([u, *wide], -1)
