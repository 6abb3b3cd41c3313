"""GRUCell: one step of a network with gated recurrent units."""

from typing import ClassVar

from jaxtyping import Array

from ...core import Parameters
from ...ops import gru_gates
from ._recurrent_cell import RecurrentCell, Step


class GRUCell(RecurrentCell):
    """h' = (1 - z) n + z h, where n = tanh(W x + b + r (U h + b')).

    The gates r and z are σ(W x + b + U h + b'), with rows of W, U, b and b' of their own.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        use_bias: whether there are the two biases.
        train_state: whether the initial h is a parameter.
        init_weight, init_recurrent_weight, init_bias: initialisers, or tuples of three, one for
            each gate, in which None stands for the default; by default U(±1/√out_dims).
        init_state: initialiser of the initial h. Unless it is `zeros` or `ones`, or h is trained,
            each call without a carry draws a new one.
        precision: of the matrix products, as in `Dense`.

    Inputs: x (..., in_dims), or (x, carry) with the carry (h,), h (..., out_dims).

    Returns: (y, carry), y (..., out_dims) and carry (y,), in the widest of the dtypes.

    Parameters: weight_ih (3 out_dims, in_dims), weight_hh (3 out_dims, out_dims), bias_ih and
        bias_hh (3 out_dims,), gates in the order r, z, n, as in PyTorch; hidden_state (out_dims,)
        if `train_state`.

    States: rng, a random key, if the initial carry is drawn.

    Raises:
        ValueError: x, the carry or a parameter of another shape; a tuple of initialisers that is
            not of three.
        TypeError: the carry is not a tuple of one array.

    Source: `GRUCell` of Lux 1.31, which documents U(±1/√out_dims) but uses Glorot weights and zero
        biases; ours follows its documentation. arXiv 1406.1078.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> cell = nn.GRUCell(2, 3)
        >>> ps, st = setup(jax.random.key(0), cell)
        >>> (y, carry), st = cell(jnp.ones((5, 2), jnp.float32), ps, st)
        >>> y.shape, ps.weight_hh.shape
        ((5, 3), (9, 3))
    """

    num_gates: ClassVar[int] = 3

    def _step(self, x: Array, carry: tuple[Array, ...], ps: Parameters) -> Step:
        (hidden,) = carry
        from_input, from_hidden = self._affine(x, hidden, ps)
        y = gru_gates(from_input, from_hidden, hidden)
        return y, (y,)
