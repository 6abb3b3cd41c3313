"""RNNCell: one step of the plain recurrent network."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array

from ...core import Parameters
from ...core.internal import check_function
from ...ops import tanh
from ...precision import accumulating
from ._recurrent_cell import RecurrentCell, Step


class RNNCell(RecurrentCell):
    """h' = activation(W_ih x + b_ih + W_hh h + b_hh), which is both the output and the carry.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        activation: elementwise function.
        use_bias: whether there are the two biases.
        train_state: whether the initial h is a parameter.
        init_weight, init_recurrent_weight, init_bias: initialisers; by default U(±1/√out_dims).
        init_state: initialiser of the initial h. Unless it is `zeros` or `ones`, or h is trained,
            each call without a carry draws a new one.
        precision: of the matrix products, as in `Dense`.

    Inputs: x (..., in_dims), or (x, carry) with the carry (h,), h (..., out_dims).

    Returns: (y, carry), y (..., out_dims) and carry (y,), in the widest of the dtypes.

    Parameters: weight_ih (out_dims, in_dims), weight_hh (out_dims, out_dims), bias_ih and bias_hh
        (out_dims,), hidden_state (out_dims,) if `train_state`.

    States: rng, a random key, if the initial carry is drawn.

    Raises:
        ValueError: x, the carry or a parameter of another shape.
        TypeError: the carry is not a tuple of one array.

    Source: `RNNCell` of Lux 1.31. Lux documents U(±1/√out_dims) but draws from a shifted normal
        distribution; ours follows its documentation, and PyTorch. In Lux the state always contains
        a random generator.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> cell = nn.RNNCell(2, 3)
        >>> ps, st = setup(jax.random.key(0), cell)
        >>> (y, carry), st = cell(jnp.ones((5, 2), jnp.float32), ps, st)
        >>> (y, carry), st = cell((jnp.ones((5, 2), jnp.float32), carry), ps, st)
        >>> y.shape
        (5, 3)
    """

    activation: Callable[[Array], Array] = tanh

    def __post_init__(self) -> None:
        """Check the sizes and the activation."""
        super().__post_init__()
        check_function("RNNCell", "activation", self.activation, such_as="nn.tanh")

    def _step(self, x: Array, carry: tuple[Array, ...], ps: Parameters) -> Step:
        (hidden,) = carry
        from_input, from_hidden = self._affine(x, hidden, ps)
        y = self.activation(accumulating(jnp.add, from_input, from_hidden))
        return y, (y,)
