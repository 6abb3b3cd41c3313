"""Interpolated: a signal that is known at some times, as a function of time."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from ...core import Record
from ...core.internal import check_choice
from ...ops import LEAST_KNOTS, interpolate
from ._as_array import as_array

Basis = Literal["constant", "linear", "quadratic"]


@jax.tree_util.register_pytree_with_keys_class
class Interpolated:
    """A signal between the times at which it is known; before and after them, that at the nearest.

    Args:
        times: (m,) increasing times; or (batch, m), those of each sample. In a solve they take the
            real dtype of the state.
        values: (m, *dims), the signal then; or (batch, m, *dims). Of no wider dtype than the state.
        basis: "linear"; "constant", which holds the last value; or "quadratic".

    A solve differentiates the steps that it took, in which the signal counts as smooth. Derivatives
    by its values are right; those by times, of the signal or the problem, are not with "constant",
    and not where an inner kink is at the end of a step.

    Called with a time it returns the signal then, dims; or (batch, *dims), of every sample.

    Raises:
        ValueError: no such basis, too few times, times that do not increase, or shapes that do not
            fit.

    Source: see `ops.interpolate`.

    Example:
        >>> import jax.numpy as jnp
        >>> signal = Interpolated(jnp.asarray([0.0, 2.0], jnp.float32),
        ...                       jnp.asarray([1.0, 3.0], jnp.float32))
        >>> signal(jnp.asarray(0.5, jnp.float32)).item(), signal(jnp.float32(9.0)).item()
        (1.5, 3.0)
    """

    times: Any
    values: Any
    basis: Basis

    def __init__(
        self,
        times: ArrayLike,
        values: ArrayLike,
        basis: Basis = "linear",
    ) -> None:
        check_choice("Interpolated", "basis", basis, get_args(Basis))
        self.times, self.values, self.basis = as_array(times), as_array(values), basis
        shape, size = jnp.shape(self.times), jnp.shape(self.values)
        if len(shape) not in (1, 2) or size[: len(shape)] != shape:
            raise ValueError(
                "`Interpolated` expects `times` of shape (m,) or (batch, m), and `values` that "
                f"begin with it, got {shape} and {size}."
            )
        self._check_order()
        if shape[-1] < LEAST_KNOTS[basis]:
            raise ValueError(
                f'`Interpolated` expects at least {LEAST_KNOTS[basis]} times for "{basis}", got '
                f"{shape[-1]}."
            )

    def __call__(self, t: Float[Array, ""]) -> Any:
        """The signal at t."""
        if jnp.ndim(self.times) == 2:
            return jax.vmap(self._at, (None, 0, 0))(t, self.times, self.values)
        return self._at(t, self.times, self.values)

    def __repr__(self) -> str:
        """The shapes and the basis."""
        shapes = f"times{jnp.shape(self.times)}, values{jnp.shape(self.values)}"
        return f"Interpolated({shapes}, {self.basis!r})"

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], Basis]:
        """The arrays, by name."""
        key = jax.tree_util.GetAttrKey
        return [(key("times"), self.times), (key("values"), self.values)], self.basis

    @classmethod
    def tree_unflatten(cls, basis: Basis, children: Sequence[PyTree]) -> "Interpolated":
        """A signal of anything that takes the places of its arrays."""
        signal = object.__new__(cls)
        signal.times, signal.values = children
        signal.basis = basis
        return signal

    def _check_order(self) -> None:
        """Raise unless the times increase, where they are known."""
        if isinstance(self.times, Tracer):
            return
        steps = np.diff(np.asarray(self.times).astype(np.float64))
        if not (steps > 0).all():
            raise ValueError(
                f"`Interpolated` expects increasing `times`, got {np.asarray(self.times)}. Sort "
                "them with their values, and take each once."
            )

    def in_clock(self, clock: np.dtype) -> "Interpolated":
        """The same signal with its times in the dtype of the clock.

        Raises:
            ValueError: two of them are the same there.
        """
        if self.times.dtype == clock:
            return self
        return Interpolated(jnp.asarray(self.times).astype(clock), self.values, self.basis)

    def _at(self, t: Array, times: Array, values: Array) -> Array:
        # At an end the derivative is that from inside, which the half-open steps before t1 need.
        before, after = t < times[0], t > times[-1]
        held = jnp.where(before, times[0], jnp.where(after, times[-1], t))
        return interpolate(held, times, values, self.basis)


def signals_of_sample(signals: Record, sample: int | None) -> Record:
    """The signals of one sample, of those that are of each."""

    def of_sample(signal: Interpolated) -> Interpolated:
        if sample is None or jnp.ndim(signal.times) == 1:
            return signal
        return jax.tree.map(lambda leaf: leaf[sample], signal)

    return Record({name: of_sample(signal) for name, signal in signals.items()})
