"""LSTMCell: one step of a network with long short-term memory."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from ...core import Parameters
from ...initializers import Initializer, zeros
from ...ops import lstm_gates
from ...precision import accumulating
from ._recurrent_cell import RecurrentCell, Step


class LSTMCell(RecurrentCell):
    """c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), (i, f, g, o) = W_ih x + b_ih + W_hh h + b_hh.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        use_bias: whether there are the two biases.
        train_state, train_memory: whether the initial h and the initial c are parameters.
        init_weight, init_recurrent_weight, init_bias: initialisers, or tuples of four, one for each
            gate, in which None stands for the default; by default U(±1/√out_dims).
        init_state, init_memory: initialisers of the initial h and c. Unless one is `zeros` or
            `ones`, or trained, each call without a carry draws a new one.
        precision: of the matrix products, as in `Dense`.

    Inputs: x (..., in_dims), or (x, carry) with the carry (h, c), each (..., out_dims).

    Returns: (y, carry), y (..., out_dims) and carry (y, c'), in the widest of the dtypes.

    Parameters: weight_ih (4 out_dims, in_dims), weight_hh (4 out_dims, out_dims), bias_ih and
        bias_hh (4 out_dims,), gates in the order i, f, g, o, as in PyTorch; hidden_state and memory
        (out_dims,) if trained.

    States: rng, a random key, if the initial carry is drawn.

    Raises:
        ValueError: x, the carry or a parameter of another shape; a tuple of initialisers that is
            not of four.
        TypeError: the carry is not a tuple of two arrays.

    Source: `LSTMCell` of Lux 1.31. Lux documents U(±1/√out_dims) but draws from a shifted normal
        distribution, and uses `init_memory` only if the memory is trained; ours follows its
        documentation. Hochreiter and Schmidhuber, Neural Computation 1997.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import initializers, nn, setup
        >>> remembers = (None, initializers.ones, None, None)
        >>> cell = nn.LSTMCell(2, 3, init_bias=remembers)
        >>> ps, st = setup(jax.random.key(0), cell)
        >>> (y, (hidden, memory)), st = cell(jnp.ones((5, 2), jnp.float32), ps, st)
        >>> memory.shape, ps.bias_ih[3:6].tolist()
        ((5, 3), [1.0, 1.0, 1.0])
    """

    _: dataclasses.KW_ONLY
    train_memory: bool = False
    init_memory: Initializer = zeros

    num_gates: ClassVar[int] = 4

    def _step(self, x: Array, carry: tuple[Array, ...], ps: Parameters) -> Step:
        hidden, memory = carry
        from_input, from_hidden = self._affine(x, hidden, ps)
        carry = lstm_gates(accumulating(jnp.add, from_input, from_hidden), memory)
        return carry[0], carry

    def _starts(self) -> dict[str, tuple[Initializer, bool]]:
        return super()._starts() | {"memory": (self.init_memory, self.train_memory)}
