"""SkipConnection: a layer with a connection around it."""

from typing import ClassVar

import numpy as np
from jaxtyping import PyTree

from ...core import Key, Layer, LayerLike, Parameters, States, apply, is_layer
from ...precision import promote_floats
from ._named_layers import as_layer


class SkipConnection(Layer):
    """y = connection(layer(x), x).

    Args:
        layer: a layer or function.
        connection: a function of output and input, such as `operator.add`; or a layer, which gets
            the pair `(layer(x), x)`.

    Parameters and States: exactly those of `layer`. If `connection` is a layer, they are under
    `layers` and its own are under `connection`.

    Source: `SkipConnection` of Lux 1.31.

    Example:
        >>> import jax, jax.numpy as jnp, operator
        >>> from sciml_lux import nn, setup
        >>> model = nn.SkipConnection(nn.Dense(2, 2), operator.add)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((3, 2), jnp.float32), ps, st)[0].shape, list(ps)
        ((3, 2), ['weight', 'bias'])
    """

    layer: LayerLike
    connection: LayerLike

    leaves_floats_inside: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Make a layer of a function."""
        object.__setattr__(self, "layer", as_layer(self.layer, "SkipConnection"))

    @property
    def wrapped(self) -> LayerLike:
        """The inner layer, whose trees are those of this one; None if `connection` is a layer."""
        return None if is_layer(self.connection) else self.layer

    def sublayers(self) -> dict[str, LayerLike]:
        """`layers` and `connection` if the latter is a layer, else the inner layer alone."""
        if is_layer(self.connection):
            return {"layers": self.layer, "connection": self.connection}
        return {"layer": self.layer}

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The parameters of `layer`, and of the connection if it is a layer."""
        if is_layer(self.connection):
            return super().initial_parameters(key, dtype)
        return self.layer.initial_parameters(key, dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The states of `layer`, and of the connection if it is a layer."""
        if is_layer(self.connection):
            return super().initial_states(key, dtype)
        return self.layer.initial_states(key, dtype)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output joined with the input."""
        if not is_layer(self.connection):
            y, st = apply(self.layer, x, ps, st)
            return self.connection(*promote_floats(y, x)), st  # pyright: ignore[reportCallIssue]
        y, inner = apply(self.layer, x, ps.layers, st.layers)
        y, joined = apply(self.connection, (y, x), ps.connection, st.connection)
        return y, st | {"layers": inner, "connection": joined}
