"""Bases of functions of one variable, as values."""

from jaxtyping import Array, Float

from ...core import StaticValue, layer_name
from ...core.internal import check_integer
from ...ops import (
    chebyshev_basis,
    cosine_basis,
    fourier_basis,
    legendre_basis,
    polynomial_basis,
    sine_basis,
)


class Basis(StaticValue):
    """n functions of one variable: called with x (...), returns (..., n) in the dtype of x.

    For a basis of your own, define `__call__` in a subclass.

    Args:
        n: number of functions.

    Raises:
        ValueError: `n` is not an integer of at least 1.

    Source: `Basis` of Boltz 1.7, whose option `dim` is the last axis here.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> nn.Polynomial(3)(jnp.asarray(2.0, jnp.float32)).tolist()
        [1.0, 2.0, 4.0]
    """

    n: int

    def __post_init__(self) -> None:
        """Check the number of functions."""
        check_integer(layer_name(self), "n", self.n, least=1)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The functions at x; subclasses define it."""
        raise TypeError(
            f"`{layer_name(self)}` defines no `__call__`. Write `def __call__(self, x): ...` that "
            "returns an array (..., n)."
        )


class Chebyshev(Basis):
    """The Chebyshev polynomials of the first kind T₀, ..., Tₙ₋₁.

    Source: `Basis.Chebyshev` of Boltz 1.7 as documented; its code computes T₁, ..., Tₙ, only on
        [-1, 1] and with infinite derivatives at the ends.

    Example:
        >>> import jax.numpy as jnp
        >>> Chebyshev(4)(jnp.float32(0.5)).tolist()
        [1.0, 0.5, -0.5, -1.0]
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The polynomials at x, by their recurrence."""
        return chebyshev_basis(x, self.n)


class Sin(Basis):
    """sin(x), ..., sin(nx).

    Source: `Basis.Sin` of Boltz 1.7.

    Example:
        >>> import jax.numpy as jnp
        >>> [f"{y:.3f}" for y in Sin(2)(jnp.float32(jnp.pi / 4))]
        ['0.707', '1.000']
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The sines at x."""
        return sine_basis(x, self.n)


class Cos(Basis):
    """cos(x), ..., cos(nx), without the constant.

    Source: `Basis.Cos` of Boltz 1.7.

    Example:
        >>> import jax.numpy as jnp
        >>> Cos(2)(jnp.float32(0.0)).tolist()
        [1.0, 1.0]
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The cosines at x."""
        return cosine_basis(x, self.n)


class Fourier(Basis):
    """F₁, ..., Fₙ with Fⱼ(x) = cos(jx/2) for even j and sin(jx/2) for odd j.

    Source: `Basis.Fourier` of Boltz 1.7: sines of half-integer frequency and no constant, which
        is not the usual Fourier series.

    Example:
        >>> import jax.numpy as jnp
        >>> Fourier(2)(jnp.float32(0.0)).tolist()  # sin(x/2), cos(x)
        [0.0, 1.0]
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The functions at x."""
        return fourier_basis(x, self.n)


class Legendre(Basis):
    """The Legendre polynomials P₀, ..., Pₙ₋₁.

    Source: `Basis.Legendre` of Boltz 1.7.

    Example:
        >>> import jax.numpy as jnp
        >>> Legendre(3)(jnp.float32(0.5)).tolist()
        [1.0, 0.5, -0.125]
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The polynomials at x, by their recurrence."""
        return legendre_basis(x, self.n)


class Polynomial(Basis):
    """1, x, ..., xⁿ⁻¹.

    Source: `Basis.Polynomial` of Boltz 1.7.

    Example:
        >>> import jax.numpy as jnp
        >>> Polynomial(4)(jnp.float32(2.0)).tolist()
        [1.0, 2.0, 4.0, 8.0]
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The powers of x."""
        return polynomial_basis(x, self.n)
