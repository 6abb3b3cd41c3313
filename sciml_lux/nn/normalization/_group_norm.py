"""GroupNorm: normalisation of groups of channels of each sample."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Parameters, States
from ...core.internal import check_integer, subject
from ...ops import groupnorm, identity
from .._array_check import check_array
from ._normalization import Normalization


class GroupNorm(Normalization):
    """y = activation((x - μ) / √(σ² + epsilon) scale + bias), μ and σ² of each sample and group.

    A group consists of dims/groups neighbouring channels; μ and σ² are the mean and the biased
    variance over these and over all axes between the first and the last, in training and in test
    mode.

    Args:
        dims: number of channels, the size of the last axis.
        groups: how many groups there are; divides `dims`.
        activation: elementwise function.
        affine: whether there are scale and bias.
        epsilon: added to the variance.
        init_scale: initialiser of the scale; by default 1.
        init_bias: initialiser of the bias; by default 0.

    Inputs: x (batch, ..., dims), real floats.

    Returns: y of the shape of x, in the widest of the dtypes of x and the parameters; float16 and
        bfloat16 are computed in float32 and rounded at the end.

    Parameters: scale (dims,), bias (dims,).

    Raises:
        ValueError: `groups` does not divide `dims`; x has another shape; an option is out of range.
        TypeError: an option of the wrong type; x is not an array of real floats.

    Source: `GroupNorm` of Lux 1.31, features last. arXiv 1803.08494.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.GroupNorm(6, 3, nn.relu)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 8, 6), jnp.float32), ps, st)[0].shape
        (5, 8, 6)
    """

    dims: int
    groups: int
    activation: Callable[[Array], Array] = identity

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        for name, least in (("dims", 0), ("groups", 1)):
            check_integer("GroupNorm", name, getattr(self, name), least=least)
        if self.dims % self.groups:
            raise ValueError(
                f"`GroupNorm` expects `groups` to divide `dims`, got {self.groups} groups of "
                f"{self.dims} channels."
            )

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Scale and bias if they are used."""
        return self.affine_parameters(key, (self.dims,), dtype)

    def __call__(
        self, x: Float[Array, "batch ... dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "batch ... dims"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        if x.ndim < 2 or x.shape[-1] != self.dims:
            raise ValueError(
                f"{subject(self)} expects `x` to be (batch, ..., {self.dims}) (`dims`), got shape "
                f"{x.shape}."
            )
        return groupnorm(
            x, *self.scale_and_bias(ps), self.groups, self.activation, self.epsilon
        ), st
