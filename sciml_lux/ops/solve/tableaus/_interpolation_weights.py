"""The weights of the stages inside a step."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64


def interpolation_weights(
    chebyshev: Float64[np.ndarray, "stages degree"], theta: Float[Array, "..."]
) -> Float[Array, "... stages"]:
    """bᵢ(θ) = θ Σⱼ chebyshevᵢⱼ Tⱼ(2θ - 1), with the polynomials by their recurrence.

    Args:
        chebyshev: as in `Tableau.float64`.
        theta: 0 at the start of the step, 1 at its end.

    Returns:
        The weights, in the dtype of `theta`.
    """
    values = polynomials(theta, chebyshev.shape[1])
    coefficients = jnp.asarray(chebyshev, theta.dtype)
    shape = (1,) * theta.ndim + coefficients.shape
    weights = jnp.sum(values[..., None, :] * coefficients.reshape(shape), axis=-1)
    return theta[..., None] * weights


def polynomials(theta: Float[Array, "..."], degree: int) -> Float[Array, "... degree"]:
    """Tⱼ(2θ - 1) for each j below `degree`, by their recurrence."""
    x = 2 * theta - 1
    values = [jnp.ones_like(x), x]
    for _ in range(2, degree):
        values.append(2 * x * values[-1] - values[-2])
    return jnp.stack(values[:degree], axis=-1)
