"""Bases of functions of one variable, as values."""

from jaxtyping import Array, Float

from ...core import Frozen, check_integer, layer_name
from ...ops import (
    chebyshev_basis,
    cosine_basis,
    fourier_basis,
    legendre_basis,
    polynomial_basis,
    sine_basis,
)


class Basis(Frozen):
    """n functions of one variable: called with x (...), it gives (..., n) in the dtype of x.

    A basis of one's own is a subclass that defines `__call__`.

    Args:
        n: number of functions.

    Raises:
        ValueError: `n` is no integer of at least 1.

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

    Source: `Basis.Chebyshev` of Boltz 1.7 as documented; its code gives T₁, ..., Tₙ, on [-1, 1]
        alone and with infinite derivatives at the ends.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The polynomials at x, by their recurrence."""
        return chebyshev_basis(x, self.n)


class Sin(Basis):
    """sin(x), ..., sin(nx).

    Source: `Basis.Sin` of Boltz 1.7.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The sines at x."""
        return sine_basis(x, self.n)


class Cos(Basis):
    """cos(x), ..., cos(nx), without the constant.

    Source: `Basis.Cos` of Boltz 1.7.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The cosines at x."""
        return cosine_basis(x, self.n)


class Fourier(Basis):
    """F₁, ..., Fₙ with Fⱼ(x) = cos(jx/2) for even j and sin(jx/2) for odd j.

    Source: `Basis.Fourier` of Boltz 1.7: sines of half-integer frequency and no constant, which
        is not the usual Fourier series.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The functions at x."""
        return fourier_basis(x, self.n)


class Legendre(Basis):
    """The Legendre polynomials P₀, ..., Pₙ₋₁.

    Source: `Basis.Legendre` of Boltz 1.7.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The polynomials at x, by their recurrence."""
        return legendre_basis(x, self.n)


class Polynomial(Basis):
    """1, x, ..., xⁿ⁻¹.

    Source: `Basis.Polynomial` of Boltz 1.7.
    """

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "... n"]:
        """The powers of x."""
        return polynomial_basis(x, self.n)
