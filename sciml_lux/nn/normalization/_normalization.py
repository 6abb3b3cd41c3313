"""Base classes of the normalisation layers."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...core import Key, Layer, Parameters, Record, States, Static, layer_name
from ...core.internal import check_function, check_integer, check_number
from ...initializers import Initializer, ones, zeros
from ...ops import identity


class Normalization(Layer):
    """Base of layers that divide by √(... + epsilon) and then apply a scale and a bias."""

    _: dataclasses.KW_ONLY
    affine: bool = True
    epsilon: float = 1e-5
    init_scale: Initializer = ones
    init_bias: Initializer = zeros

    def __post_init__(self) -> None:
        """Check the options that all these layers have."""
        check_number(layer_name(self), "epsilon", self.epsilon, least=0)
        for name in ("activation", "init_scale", "init_bias"):
            check_function(layer_name(self), name, getattr(self, name, ones))

    def affine_parameters(self, key: Key, shape: tuple[int, ...], dtype: np.dtype) -> Record:
        """Scale and bias of shape `shape` if the layer is affine."""
        if not self.affine:
            return Record()
        return Record(
            scale=self.init_scale(jax.random.fold_in(key, 0), shape, dtype),
            bias=self.init_bias(jax.random.fold_in(key, 1), shape, dtype),
        )

    def scale_and_bias(self, ps: Parameters) -> tuple[Array | None, Array | None]:
        """The two parameters, or None for both."""
        return (ps.scale, ps.bias) if self.affine else (None, None)


class TrackedNormalization(Normalization):
    """Base of layers with running statistics of each channel."""

    dims: int
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    track_stats: bool = True
    momentum: float = 0.1

    def __post_init__(self) -> None:
        """Check the size and the momentum too."""
        super().__post_init__()
        check_integer(layer_name(self), "dims", self.dims, least=0)
        check_number(layer_name(self), "momentum", self.momentum, least=0, most=1)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Scale and bias if they are used."""
        return self.affine_parameters(key, (self.dims,), dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """Mean 0 and variance 1 if they are tracked, and the training flag."""
        if not self.track_stats:
            return Record(training=Static(True))
        return Record(
            running_mean=jnp.zeros((self.dims,), dtype),
            running_var=jnp.ones((self.dims,), dtype),
            training=Static(True),
        )

    def running_mean_and_var(self, st: States) -> tuple[Array | None, Array | None]:
        """The two statistics, or None for both."""
        return (st.running_mean, st.running_var) if self.track_stats else (None, None)
