"""MultiHeadAttention: attention between learned projections, in several heads."""

import dataclasses
from typing import Any

from jaxtyping import Array

from ...core import Layer, LayerLike, Parameters, States, apply
from ...core.internal import check_number, is_integer, subject
from ...initializers import Initializer
from ...ops import scaled_dot_product_attention
from .._precision import Precision, check_precision
from ..containers._no_op import NoOpLayer
from ..dropout._dropout import Dropout
from ..linear._dense import Dense


class MultiHeadAttention(Layer):
    """y = out_proj(heads), each head attending with its part of q_proj(q), k_proj(k), v_proj(v).

    Args:
        dims: ((q_in, k_in, v_in), (qk, v), out): the sizes of the three inputs, of queries and
            keys and of values over all heads, and of the output. An integer in place of an inner
            tuple stands for equal sizes, and an integer for `dims` makes all six equal.
        num_heads: the number of heads; it divides qk and v.
        attention_dropout_probability: the probability of dropping a weight in training mode.
        is_causal: whether a query attends only to keys up to its own position; a mask is then an
            error.
        use_bias: of the four projections.
        init_weight: of the four projections, as in `Dense`.
        init_bias: the same.
        precision: of all products, as in `Dense`.

    Inputs: x (batch, time, in) for all three; or (q, kv); or (q, k, v) or (q, k, v, mask), with k
        and v equally long. The mask is boolean, True where a query may attend to a key, of shape
        (queries, keys) or (batch, heads, queries, keys) with size 1 on axes to broadcast. There may
        be several batch axes, or none.

    Returns: y (batch, queries, out) and weights (batch, heads, queries, keys), taken after dropout,
        in the widest of the dtypes. A query whose keys are all masked gets zeros.

    Parameters: q_proj, k_proj, v_proj and out_proj, as those of `Dense`.

    States: attention_dropout: rng and training; empty if the probability is 0.

    Raises:
        TypeError: `dims` of another form; an input that is not an array.
        ValueError: heads that do not divide the sizes, a probability outside [0, 1]; inputs of
            other shapes; a mask together with `is_causal`.

    Source: `MultiHeadAttention` of Lux 1.31, features last; the weights are (heads, queries, keys)
        where its documentation says (queries, keys, heads) and its code has (keys, queries,
        heads), column-major. Vaswani et al., arXiv 1706.03762.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.MultiHeadAttention(8, num_heads=2)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> q, kv = jnp.ones((5, 3, 8), jnp.float32), jnp.ones((5, 4, 8), jnp.float32)
        >>> (y, weights), st = model((q, kv), ps, st)
        >>> y.shape, weights.shape
        ((5, 3, 8), (5, 2, 3, 4))
    """

    dims: int | tuple[Any, ...]
    _: dataclasses.KW_ONLY
    num_heads: int = 1
    attention_dropout_probability: float = 0.0
    is_causal: bool | None = None
    use_bias: bool = False
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"
    q_proj: LayerLike = dataclasses.field(init=False)
    k_proj: LayerLike = dataclasses.field(init=False)
    v_proj: LayerLike = dataclasses.field(init=False)
    attention_dropout: LayerLike = dataclasses.field(init=False)
    out_proj: LayerLike = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        """Check the sizes and make the projections."""
        sizes = _sizes(self.dims)
        if not all(is_integer(size) for size in (*sizes, self.num_heads)):
            raise TypeError(
                "`MultiHeadAttention` expects `dims` to be an integer or a tuple such as (in, qkv, "
                "out) or ((q_in, k_in, v_in), (qk, v), out), and `num_heads` an integer, got "
                f"{self.dims!r} and {self.num_heads!r}."
            )
        q_in, k_in, v_in, qk, v, out = sizes
        if self.num_heads < 1 or qk % self.num_heads or v % self.num_heads:
            raise ValueError(
                f"`MultiHeadAttention` expects `num_heads` to divide the sizes of queries and keys "
                f"and of values, got {self.num_heads} for {qk} and {v}."
            )
        probability = self.attention_dropout_probability
        name = "attention_dropout_probability"
        check_number("MultiHeadAttention", name, probability, least=0, most=1)
        check_precision(self)
        for name, of, to in (
            ("q_proj", q_in, qk),
            ("k_proj", k_in, qk),
            ("v_proj", v_in, v),
            ("out_proj", v, out),
        ):
            object.__setattr__(self, name, self._projection(of, to))
        dropout = Dropout(probability) if probability else NoOpLayer()
        object.__setattr__(self, "attention_dropout", dropout)

    def __call__(
        self, x: Array | tuple[Array, ...], ps: Parameters, st: States
    ) -> tuple[tuple[Array, Array], States]:
        """Output and weights, and the new state."""
        q, k, v, mask = self._inputs(x)
        q, q_st = apply(self.q_proj, q, ps.q_proj, st.q_proj)
        k, k_st = apply(self.k_proj, k, ps.k_proj, st.k_proj)
        v, v_st = apply(self.v_proj, v, ps.v_proj, st.v_proj)
        dropped = st.attention_dropout

        def dropout(weights: Array) -> Array:
            nonlocal dropped
            weights, dropped = apply(self.attention_dropout, weights, ps.attention_dropout, dropped)
            return weights

        y, weights = scaled_dot_product_attention(
            *map(self._in_heads, (q, k, v)),
            mask=mask,
            is_causal=bool(self.is_causal),
            dropout=dropout,
            precision=self.precision,
        )
        y = y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])
        y, out_st = apply(self.out_proj, y, ps.out_proj, st.out_proj)
        states = {"q_proj": q_st, "k_proj": k_st, "v_proj": v_st, "out_proj": out_st}
        return (y, weights), st | states | {"attention_dropout": dropped}

    def _projection(self, in_dims: int, out_dims: int) -> Dense:
        return Dense(
            in_dims,
            out_dims,
            use_bias=self.use_bias,
            init_weight=self.init_weight,
            init_bias=self.init_bias,
            precision=self.precision,
        )

    def _in_heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.num_heads, x.shape[-1] // self.num_heads)

    def _inputs(self, x: Array | tuple[Array, ...]) -> tuple[Array, Array, Array, Array | None]:
        """Queries, keys, values and mask of any form of the input."""
        given = list(x) if isinstance(x, tuple) else [x, x]
        given += given[-1:] if len(given) == 2 else []
        padded: list[Any] = [*given, None, None, None, None]
        q, k, v, mask = padded[:4]
        arrays = (q, k, v) if mask is None else (q, k, v, mask)
        if len(given) > 4 or not all(hasattr(array, "shape") for array in arrays):
            raise TypeError(
                f"{subject(self)} expects an array, or a tuple (q, kv), (q, k, v) or (q, k, v, "
                f"mask), got {_described(x)}."
            )
        if mask is not None and self.is_causal:
            raise ValueError(
                f"{subject(self)} expects no mask where `is_causal` is set, got one of shape "
                f"{mask.shape}. Leave `is_causal` and pass mask & ops.make_causal_mask(queries, "
                "keys)."
            )
        sizes = _sizes(self.dims)[:3]
        lengths_fit = q.ndim >= 2 and q.shape[:-2] == k.shape[:-2] and k.shape[:-1] == v.shape[:-1]
        if not lengths_fit or sizes != tuple(array.shape[-1] for array in (q, k, v)):
            raise ValueError(
                f"{subject(self)} expects q (batch, queries, {sizes[0]}), k (batch, keys, "
                f"{sizes[1]}) and v (batch, keys, {sizes[2]}), got shapes {q.shape}, {k.shape} and "
                f"{v.shape}."
            )
        return q, k, v, mask


def _sizes(dims: Any) -> tuple[Any, ...]:
    """q_in, k_in, v_in, qk, v and out from `dims`, unchecked; None for another form."""
    if not isinstance(dims, tuple):
        return (dims,) * 6
    if len(dims) != 3:
        return (None,) * 6
    inputs, inner, out = dims
    inputs = inputs if isinstance(inputs, tuple) else (inputs,) * 3
    inner = inner if isinstance(inner, tuple) else (inner,) * 2
    return (*inputs, *inner, out) if len(inputs) == 3 and len(inner) == 2 else (None,) * 6


def _described(x: Any) -> str:
    if not isinstance(x, tuple):
        return type(x).__name__
    return f"a tuple of {', '.join(type(entry).__name__ for entry in x) or 'nothing'}"
