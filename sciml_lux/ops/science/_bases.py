"""One-dimensional bases: the first functions of a family at every point."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import accumulating
from .._op import op


@op("x")
def chebyshev_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """T₀(x), ..., Tₙ₋₁(x), by T₀ = 1, T₁ = x, Tⱼ = 2x Tⱼ₋₁ - Tⱼ₋₂.

    The recurrence is a polynomial in floating point too: it holds beyond |x| = 1 and has finite
    derivatives of any order at ±1, which cos(j arccos x) does not have.

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> chebyshev_basis(jnp.asarray(2.0, jnp.float32), 4).tolist()
        [1.0, 2.0, 7.0, 26.0]
    """
    return _by_recurrence(x, n, lambda x, j, last, before: 2 * x * last - before)


@op("x")
def legendre_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """P₀(x), ..., Pₙ₋₁(x), by P₀ = 1, P₁ = x, j Pⱼ = (2j - 1) x Pⱼ₋₁ - (j - 1) Pⱼ₋₂.

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> legendre_basis(jnp.asarray(2.0, jnp.float32), 4).tolist()
        [1.0, 2.0, 5.5, 17.0]
    """
    return _by_recurrence(
        x, n, lambda x, j, last, before: ((2 * j - 1) * (x * last) - (j - 1) * before) / j
    )


@op("x")
def polynomial_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """1, x, ..., xⁿ⁻¹.

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> polynomial_basis(jnp.asarray(2.0, jnp.float32), 4).tolist()
        [1.0, 2.0, 4.0, 8.0]
    """
    return _by_recurrence(x, n, lambda x, j, last, before: x * last)


@op("x")
def sine_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """sin(x), sin(2x), ..., sin(nx).

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> sine_basis(jnp.zeros(2, jnp.float32), 3).shape
        (2, 3)
    """
    return accumulating(lambda x: jnp.sin(_multiples(x, n)), x)


@op("x")
def cosine_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """cos(x), cos(2x), ..., cos(nx); the constant is not among them.

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> cosine_basis(jnp.zeros((), jnp.float32), 3).tolist()
        [1.0, 1.0, 1.0]
    """
    return accumulating(lambda x: jnp.cos(_multiples(x, n)), x)


@op("x")
def fourier_basis(x: Float[Array, "..."], n: int) -> Float[Array, "... n"]:
    """F₁(x), ..., Fₙ(x), with Fⱼ = cos(jx/2) for even j and sin(jx/2) for odd j.

    So the sines have the frequencies 1/2, 3/2, ..., the cosines 1, 2, ..., and there is no
    constant: this is the family that Boltz documents, not the usual Fourier series.

    Args:
        x: points.
        n: number of functions, at least 1.

    Returns:
        (..., n), in the dtype of x; float16 and bfloat16 are computed in float32 and rounded at the
        end.

    Example:
        >>> import jax.numpy as jnp
        >>> fourier_basis(jnp.zeros((), jnp.float32), 4).tolist()
        [0.0, 1.0, 0.0, 1.0]
    """
    return accumulating(lambda x: _fourier(x, n), x)


def _fourier(x: Array, n: int) -> Float[Array, "... n"]:
    angles = _multiples(x, n) / 2
    # Sines and cosines apart, each of the angles it is needed for, then interleaved.
    sines, cosines = jnp.sin(angles[..., 0::2]), jnp.cos(angles[..., 1::2])
    if n % 2:
        cosines = jnp.concatenate([cosines, jnp.zeros_like(sines[..., :1])], axis=-1)
    pairs = jnp.stack([sines, cosines], axis=-1)
    return pairs.reshape(*x.shape, n + n % 2)[..., :n]


def _by_recurrence(
    x: Array, n: int, following: Callable[[Array, int, Array, Array], Array]
) -> Float[Array, "... n"]:
    """1, x, and every next term from the two before."""

    def functions(x: Array) -> Array:
        terms = [jnp.ones_like(x), x]
        for j in range(2, n):
            terms.append(following(x, j, terms[-1], terms[-2]))
        return jnp.stack(terms[:n], axis=-1)

    return accumulating(functions, x)


def _multiples(x: Array, n: int) -> Float[Array, "... n"]:
    """x, 2x, ..., nx."""
    factors = jnp.arange(1, n + 1, dtype=x.dtype).reshape(*(1,) * x.ndim, n)
    return jnp.expand_dims(x, -1) * factors
