"""The gates of recurrent cells, from what input and hidden state contribute to them."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ...precision import accumulating, promote
from .._op import op
from ..activations import sigmoid, tanh


@op("gates", "memory")
def lstm_gates(
    gates: Inexact[Array, "... 4*out_dims"], memory: Inexact[Array, "... out_dims"]
) -> tuple[Inexact[Array, "... out_dims"], Inexact[Array, "... out_dims"]]:
    """c' = σ(f) c + σ(i) tanh(g) and h' = σ(o) tanh(c'), of gates stacked as i, f, g, o.

    Args:
        gates: the four gates before their activations, along the last axis.
        memory: c.

    Returns:
        h' and c', in the widest of the dtypes.

    Raises:
        ValueError: the shapes do not fit.

    Source: the step of `LSTMCell` of Lux 1.31; Hochreiter and Schmidhuber, Neural Computation
        1997, with the forget gate of Gers and others, 2000.

    Example:
        >>> import jax.numpy as jnp
        >>> gates, memory = jnp.zeros((2, 12), jnp.float32), jnp.ones((2, 3), jnp.float32)
        >>> lstm_gates(gates, memory)[1][0].tolist()
        [0.5, 0.5, 0.5]
    """
    wanted = (*memory.shape[:-1], 4 * memory.shape[-1]) if memory.ndim else None
    if gates.shape != wanted:
        raise ValueError(
            f"`lstm_gates` expects `gates` (..., 4 out_dims) and `memory` (..., out_dims), got "
            f"{gates.shape} and {memory.shape}."
        )
    gates, memory = promote(gates, memory)
    keep_in, keep_old, new, show = jnp.split(gates, 4, axis=-1)
    kept = _product(sigmoid(keep_old), memory)
    memory = kept + sigmoid(keep_in) * tanh(new)
    return sigmoid(show) * tanh(memory), memory


@op("from_input", "from_hidden", "hidden")
def gru_gates(
    from_input: Inexact[Array, "... 3*out_dims"],
    from_hidden: Inexact[Array, "... 3*out_dims"],
    hidden: Inexact[Array, "... out_dims"],
) -> Inexact[Array, "... out_dims"]:
    """h' = (1 - z) n + z h with r = σ(r₁ + r₂), z = σ(z₁ + z₂) and n = tanh(n₁ + r n₂).

    Args:
        from_input: r₁, z₁, n₁ along the last axis, which the input contributes to the gates.
        from_hidden: r₂, z₂, n₂ along the last axis, which the hidden state contributes to them.
        hidden: h.

    Returns:
        h', in the widest of the dtypes.

    Raises:
        ValueError: the shapes do not fit.

    Source: the step of `GRUCell` of Lux 1.31; arXiv 1406.1078, with the reset gate after the
        product, as in cuDNN.

    Example:
        >>> import jax.numpy as jnp
        >>> zeros = jnp.zeros((2, 9), jnp.float32)
        >>> gru_gates(zeros, zeros, jnp.ones((2, 3), jnp.float32))[0].tolist()
        [0.5, 0.5, 0.5]
    """
    wanted = (*hidden.shape[:-1], 3 * hidden.shape[-1]) if hidden.ndim else None
    if from_input.shape != wanted or from_hidden.shape != wanted:
        raise ValueError(
            f"`gru_gates` expects `from_input` and `from_hidden` (..., 3 out_dims) and `hidden` "
            f"(..., out_dims), got {from_input.shape}, {from_hidden.shape} and {hidden.shape}."
        )
    from_input, from_hidden, hidden = promote(from_input, from_hidden, hidden)
    reset_1, update_1, new_1 = jnp.split(from_input, 3, axis=-1)
    reset_2, update_2, new_2 = jnp.split(from_hidden, 3, axis=-1)
    update = _sum(update_1, update_2)
    new = tanh(_sum(new_1, _product(sigmoid(_sum(reset_1, reset_2)), new_2)))
    # 1 - σ(x) is σ(-x), which has its digits where σ(x) is almost 1.
    return sigmoid(-update) * new + _product(sigmoid(update), hidden)


def _sum(a: Array, b: Array) -> Array:
    return accumulating(jnp.add, a, b)


def _product(a: Array, b: Array) -> Array:
    return accumulating(jnp.multiply, a, b)
