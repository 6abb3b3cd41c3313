"""RecurrentCell: parameters, checks and initial carry, common to all cells."""

import dataclasses
import functools
import math
from typing import ClassVar, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PyTree

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_integer, describe, subject
from ...initializers import Initializer, ones, uniform, zeros
from ...ops import fused_dense_bias_activation, identity
from ...precision import accumulating, promote_floats, result_dtype
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from ._cell_contract import described, split_carry

PerGate = Initializer | tuple[Initializer | None, ...] | None

Step: TypeAlias = tuple[Inexact[Array, "... out_dims"], tuple[Array, ...]]
"""What one step of a cell gives: the output and the new carry."""


class RecurrentCell(Layer):
    """Base of cells whose gates are affine in the input and in the hidden state.

    A subclass sets `num_gates`, lists further parts of the carry in `_starts`, and computes one
    step in `_step(x, carry, ps) -> (y, carry)`.
    """

    in_dims: int
    out_dims: int
    _: dataclasses.KW_ONLY
    use_bias: bool = True
    train_state: bool = False
    init_weight: PerGate = None
    init_recurrent_weight: PerGate = None
    init_bias: PerGate = None
    init_state: Initializer = zeros
    precision: Precision = "highest"

    num_gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Check the sizes, the number of initialisers and the precision."""
        name = type(self).__name__
        for dims in ("in_dims", "out_dims"):
            check_integer(name, dims, getattr(self, dims), least=0)
        for option in ("init_weight", "init_recurrent_weight", "init_bias"):
            init = getattr(self, option)
            if isinstance(init, tuple) and len(init) != self.num_gates:
                raise ValueError(
                    f"`{name}` expects `{option}` to be one initialiser or a tuple of "
                    f"{self.num_gates}, one for each gate, got {len(init)}."
                )
        check_precision(self)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weights, biases if they are used, and the trained parts of the initial carry."""
        draw = [jax.random.fold_in(key, index) for index in range(6)]
        weights = {
            "weight_ih": self._stacked("init_weight", draw[0], (self.in_dims,), dtype),
            "weight_hh": self._stacked("init_recurrent_weight", draw[1], (self.out_dims,), dtype),
        }
        if self.use_bias:
            weights["bias_ih"] = self._stacked("init_bias", draw[2], (), dtype)
            weights["bias_hh"] = self._stacked("init_bias", draw[3], (), dtype)
        starts = {
            name: init(draw[index], (self.out_dims,), dtype)
            for index, (name, (init, trained)) in enumerate(self._starts().items(), start=4)
            if trained
        }
        return Record(weights | starts)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """A random key if the initial carry is drawn, otherwise nothing."""
        return Record(rng=key) if self._draws() else Record()

    def initial_carry(
        self, x: Array, ps: Parameters, st: States
    ) -> tuple[tuple[Array, ...], States]:
        """The carry before the first step, for inputs of the shape and dtype of `x`."""
        shape = (*x.shape[:-1], self.out_dims)
        dtype, key = result_dtype(x, ps.weight_ih), None
        if self._draws():
            rng, key = jax.random.split(st.rng)
            st = st | {"rng": rng}
        carry = []
        for index, (name, (init, trained)) in enumerate(self._starts().items()):
            if trained:
                spread = functools.partial(
                    jax.lax.broadcast_in_dim,
                    shape=shape,
                    broadcast_dimensions=(len(shape) - 1,),
                )
                start = accumulating(spread, getattr(ps, name))
            else:
                start = init(None if key is None else jax.random.fold_in(key, index), shape, dtype)
            carry.append(start)
        return tuple(carry), st

    def __call__(
        self, x: Inexact[Array, "... in_dims"] | tuple, ps: Parameters, st: States
    ) -> tuple[Step, States]:
        """The output with the new carry, and the state."""
        x, carry = split_carry(self, x)
        self._check_input(x, ps)
        if carry is None:
            carry, st = self.initial_carry(x, ps, st)
        else:
            self._check_carry(x, carry)
        wide = promote_floats(x, carry)
        return self._step(wide[0], wide[1], ps), st

    def _step(self, x: Array, carry: tuple[Array, ...], ps: Parameters) -> Step:
        raise TypeError(
            f"{subject(self)} defines no `_step`. Write `def _step(self, x, carry, ps): ... "
            "return y, carry`."
        )

    def _starts(self) -> dict[str, tuple[Initializer, bool]]:
        """The parts of the carry by name: the initialiser of each, and whether it is trained."""
        return {"hidden_state": (self.init_state, self.train_state)}

    def _draws(self) -> bool:
        return any(
            not trained and init not in (zeros, ones) for init, trained in self._starts().values()
        )

    def _affine(self, x: Array, hidden: Array, ps: Parameters) -> tuple[Array, Array]:
        """The contributions of the input and of the hidden state to the gates."""
        biases = (ps.bias_ih, ps.bias_hh) if self.use_bias else (None, None)
        affine = functools.partial(fused_dense_bias_activation, identity, precision=self.precision)
        return affine(ps.weight_ih, x, biases[0]), affine(ps.weight_hh, hidden, biases[1])

    def _stacked(self, option: str, key: Key, columns: tuple, dtype: np.dtype) -> Array:
        """An array for all gates, each drawn on its own."""
        init = getattr(self, option)
        inits = init if isinstance(init, tuple) else (init,) * self.num_gates
        default = uniform(bound=1.0 / math.sqrt(max(self.out_dims, 1)))
        gates = [
            (init or default)(jax.random.fold_in(key, gate), (self.out_dims, *columns), dtype)
            for gate, init in enumerate(inits)
        ]
        return jnp.concatenate(gates)

    def _check_input(self, x: Array, ps: Parameters) -> None:
        check_last_axis(self, x, "(..., in_dims), the input of one step")
        for name, columns in (("weight_ih", self.in_dims), ("weight_hh", self.out_dims)):
            wanted = (self.num_gates * self.out_dims, columns)
            if getattr(ps, name).shape != wanted:
                raise ValueError(
                    f"{subject(self)} expects the parameter `{name}` to be of shape {wanted}, got "
                    f"{getattr(ps, name).shape}. Pass the parameters that setup(key, model) made "
                    "for this model."
                )

    def _check_carry(self, x: Array, carry: PyTree) -> None:
        names = ", ".join(self._starts())
        if not isinstance(carry, tuple) or len(carry) != len(self._starts()):
            raise TypeError(
                f"{subject(self)} expects the carry to be a tuple of {len(self._starts())} "
                f"({names}), got {described(carry)}. Pass (x, carry) with the carry that "
                "a step returned."
            )
        wanted = (*x.shape[:-1], self.out_dims)
        for name, part in zip(self._starts(), carry, strict=True):
            if getattr(part, "shape", None) != wanted:
                raise ValueError(
                    f"{subject(self)} expects `{name}` in the carry to be of shape {wanted} for "
                    f"`x` of shape {x.shape}, got {describe(part)}."
                )
