"""UDE: a differential equation of known terms and networks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ...core import Parameters, Record, States, is_layer
from ..equation._solvable import Inputs, VectorField
from ..equation._state_policy import in_field
from ._ode_layer import ODELayer
from ._physics import Parameter, as_parameter


class UDE(ODELayer):
    """u(t) with du/dt = known(t, u, physics, terms) and u(t0) = x: a universal ODE.

    Args:
        known: the right-hand side, `known(t, u, physics, terms) -> du/dt`. `physics` has the
            physical parameters in their own units, and `terms` the networks as functions:
            `physics.growth * u - terms.interaction(u)`. Where x is a `Problem` with inputs,
            `known(t, u, physics, terms, inputs)`, of which `inputs.force(t)` is one at t.
        terms: networks by name, `{"interaction": model}`.
        tspan: (t0, t1).
        physics: the initial values of physical parameters by name: a number or an array of numbers
            for a free parameter, `Positive(number)` for one that stays above 0,
            `Bounded(number, lower, upper)` for one that stays between. An initial state can be
            one of them, and so be learned: `model(model.physical_parameters(ps).u0, ps, st)`.

    The further options are those of `ODELayer`: `saveat`, `solver`, `rtol`, `atol`, `dt0`,
    `stepsize_controller`, `adjoint`, `max_steps`, `throw`, `dense`, `batch_axis`, `state_policy`,
    `running_cost`, `events`, `max_events`.

    Inputs: x, the initial state, a floating or complex array or a tree of them, of one dtype.

    Returns: (len(saveat), *x.shape), or x.shape at t1 where `saveat` is None; in the dtype of x.

    Parameters: `physics`, an array for each physical parameter (its logarithm for a positive one),
    and `terms`, the parameters of each network by name. `physical_parameters(ps)` returns the
    physical parameters in their own units, `term(name, u, ps, st)` the output of a network.

    States: `terms`, the states of each network. A solve that would change one is refused, unless
    `state_policy` says what is meant.

    Raises:
        TypeError: a term is not a layer, or a physical parameter is not of numbers.

    Source: arXiv 2001.04385.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, ode, setup
        >>> def known(t, u, physics, terms):
        ...     return physics.growth * u - terms.loss(u)
        >>> model = ode.UDE(known, {"loss": nn.Dense(1, 1)}, (0.0, 1.0),
        ...                 physics={"growth": ode.Positive(0.5)})
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.ones(1, jnp.float32), ps, st)
        >>> y.shape, round(float(model.physical_parameters(ps).growth), 6)
        ((1,), 0.5)
    """

    known: Callable[..., Any]
    terms: Any
    tspan: tuple[float, float]
    physics: Any = ()

    def __post_init__(self) -> None:
        """Make the dicts tuples of pairs, which are hashable."""
        super().__post_init__()
        object.__setattr__(self, "terms", _pairs(self.terms, "terms", _as_term))
        object.__setattr__(self, "physics", _pairs(self.physics, "physics", _as_parameter))

    def sublayers(self) -> dict[str, Any]:
        """The networks, under `terms`."""
        return {"terms": dict(self.terms)}

    def initial_parameters(self, key: jax.Array, dtype: np.dtype) -> Record:
        """`physics` and `terms`."""
        physics = Record({name: parameter.raw(dtype) for name, parameter in self.physics})
        return Record(physics=physics) | super().initial_parameters(key, dtype)

    def vector_field(self, ps: Parameters, st: States, inputs: Inputs = None) -> VectorField:
        """`f(t, u) = known(t, u, physics, terms)`, or with the inputs too."""
        physics = self.physical_parameters(ps)
        terms = Record({name: self._term_function(name, ps, st) for name, _ in self.terms})
        more = () if inputs is None else (inputs,)
        return lambda t, u: self.known(t, u, physics, terms, *more)

    def physical_parameters(self, ps: Parameters) -> Record:
        """The physical parameters in their own units."""
        return Record({name: p.value(getattr(ps.physics, name)) for name, p in self.physics})

    def term(self, name: str, u: PyTree, ps: Parameters, st: States) -> Any:
        """The output of the network `name` for `u`, a state or a batch of states.

        Raises:
            KeyError: there is no such term.
        """
        if name not in dict(self.terms):
            known = ", ".join(f"`{term}`" for term, _ in self.terms)
            raise KeyError(f"`UDE` has no term `{name}`; it has {known}.")
        return self._term_function(name, ps, st)(u)

    def _term_function(self, name: str, ps: Parameters, st: States) -> Callable[[Any], Any]:
        layer = dict(self.terms)[name]
        parts = getattr(ps.terms, name), getattr(st.terms, name)
        return in_field(layer, *parts, ("terms", name))


def _pairs(entries: Mapping | Iterable, field: str, convert: Callable[[str, Any], Any]) -> tuple:
    items = entries.items() if isinstance(entries, Mapping) else entries
    try:
        return tuple((name, convert(name, value)) for name, value in items)
    except (ValueError, TypeError) as error:
        if str(error).startswith("`UDE`"):
            raise
        raise TypeError(f"`UDE` expects `{field}` to be a dict by name, got {entries!r}.") from None


def _as_term(name: str, value: object) -> Any:
    if not is_layer(value):
        raise TypeError(f"`UDE` expects the term `{name}` to be a layer, got {value!r}.")
    return value


def _as_parameter(name: str, value: object) -> Parameter:
    return as_parameter(
        value,
        lambda: (
            f"`UDE` expects the physical parameter `{name}` to be a number, an array of numbers, "
            f"`Positive(...)` or `Bounded(...)`, got {value!r}."
        ),
    )
