"""HamiltonianNN: motion under a learned energy."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...core import Layer, Parameters, States, WrapperLayer, apply
from ...core.internal import subject
from ...precision import promote
from .._array_check import check_array


class HamiltonianNN(WrapperLayer):
    """(dq/dt, dp/dt) = (∂H/∂p, -∂H/∂q) at x = (q, p), where H is a layer.

    H is constant along the motion. The output can be differentiated again, to any order, in forward
    and in reverse mode.

    Args:
        model: the layer H, from (..., 2n) to one number for each member of the batch, (..., 1) or
            (...), which must not depend on other members.

    Inputs: x (..., 2n), positions before momenta, floating.

    Returns: (..., 2n), velocities before forces, in the widest of the dtypes of x and H.

    Parameters and States: exactly those of `model`.

    Raises:
        ValueError: the last axis of x is odd; H is not one number for each member of the batch.
        TypeError: x is not real and floating, or H not real.

    Source: arXiv 1906.01563; `HamiltonianNN` of Boltz 1.7, whose code returns (∂H/∂p, ∂H/∂q),
        without the minus sign, and keeps a flag `first_call` in its states.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> energy = nn.WrappedFunction(lambda x: jnp.sum(x * x, axis=-1) / 2)
        >>> model = nn.HamiltonianNN(energy)
        >>> x = jnp.asarray([3.0, 4.0], jnp.float32)
        >>> model(x, *setup(jax.random.key(0), model))[0].tolist()
        [4.0, -3.0]
    """

    model: Layer

    def __call__(
        self, x: Float[Array, "... phase_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... phase_dims"], States]:
        """The motion, and the state of `model`."""
        check_array(self, x)
        if x.ndim == 0 or x.shape[-1] % 2:
            raise ValueError(
                f"{subject(self)} expects the last axis of `x` to be even, as many positions as "
                f"momenta, got shape {x.shape}."
            )
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{subject(self)} expects `x` to be real and floating, got {x.dtype.name}. Convert "
                "it: x.astype(dtype)."
            )

        def energy(x: Array) -> tuple[Array, States]:
            return apply(self.model, x, ps, st)

        h, pull, new = jax.vjp(energy, x, has_aux=True)
        if getattr(h, "shape", None) not in (x.shape[:-1], (*x.shape[:-1], 1)):
            raise ValueError(
                f"{subject(self)} expects `model` to give one number for each member of the "
                f"batch, of shape {(*x.shape[:-1], 1)} or {x.shape[:-1]}, got "
                f"{jax.tree.map(jnp.shape, h)}."
            )
        if not jnp.issubdtype(h.dtype, jnp.floating):
            raise TypeError(f"{subject(self)} expects `model` to be real, got {h.dtype.name}.")
        wide, _ = promote(x, h)
        if wide.dtype != x.dtype:
            # A derivative has the dtype of x, so x is widened first.
            h, pull, new = jax.vjp(energy, wide, has_aux=True)
        (slope,) = pull(jnp.ones_like(h))
        by_position, by_momentum = jnp.split(slope, 2, axis=-1)
        return jnp.concatenate([by_momentum, -by_position], axis=-1), new
