"""Convolution with a kernel given by few Fourier modes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from ...precision import promote
from .._op import op

_FFT_DTYPES = ("float32", "float64")


@op("x", "weight")
def spectral_convolution(
    x: Float[Array, "..."],
    weight: Float[Array, "2 out_dims in_dims *kept"],
    *,
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Float[Array, "..."]:
    """F⁻¹(R · F(x)): each kept Fourier mode of x is multiplied by a complex matrix, the rest is 0.

    With N points and the modes x̂(k) = Σₚ x(p) e^(-2πi k·p/N), the result is
    y(p) = Re Σₖ cₖ R(k) x̂(k) e^(2πi k·p/N) / N over the kept k, where cₖ is 1 for a frequency of 0
    (or the highest of an even number of points) along the last spatial axis and 2 otherwise, for
    the modes with the opposite frequencies, which a real function has as well.

    Args:
        x: real, periodic on a uniform grid; the spatial axes are those before the last.
        weight: real and imaginary part of R. `kept` has an entry for each spatial axis. Along the
            last spatial axis there are the frequencies 0, ..., m - 1; along another one with 2m
            entries 0, ..., m - 1, -m, ..., -1.
        precision: of the products with R.

    Returns:
        The shape of x with out_dims for in_dims, in the widest of the dtypes.

    Raises:
        ValueError: shapes that do not fit, or fewer points along an axis than its modes need.
        TypeError: dtypes other than float32 and float64, for which there is no FFT.

    Source: arXiv 2010.08895, section 4.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[1.0], [3.0], [1.0], [3.0]], jnp.float32)
        >>> mean = jnp.asarray([1.0, 0.0], jnp.float32).reshape(2, 1, 1, 1)
        >>> spectral_convolution(x, mean).ravel().tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    num_axes = weight.ndim - 3
    if (
        num_axes < 1
        or weight.shape[0] != 2
        or any(kept % 2 for kept in weight.shape[3:-1])
        or x.ndim <= num_axes
        or x.shape[-1] != weight.shape[2]
    ):
        raise ValueError(
            "`spectral_convolution` expects `weight` (2, out_dims, in_dims, *kept), with even "
            "entries of `kept` but for the last, and `x` (..., *spatial, in_dims), got "
            f"{weight.shape} and {x.shape}."
        )
    modes = (*(kept // 2 for kept in weight.shape[3:-1]), weight.shape[-1])
    points = x.shape[-1 - num_axes : -1]
    needed = (*(2 * m for m in modes[:-1]), max(2 * (modes[-1] - 1), 1))
    if any(have < need for have, need in zip(points, needed, strict=True)):
        raise ValueError(
            f"`spectral_convolution` expects at least {needed} points along the spatial axes for "
            f"{modes} modes, got {points}. Use fewer modes or a finer grid."
        )
    x, weight = promote(x, weight)
    if x.dtype.name not in _FFT_DTYPES:
        raise TypeError(
            f"`spectral_convolution` expects float32 or float64, got {x.dtype.name}, for which "
            "there is no FFT. Convert the input and the parameters, for example with "
            "precision.f32."
        )
    letters = "abcdefgh"[:num_axes]
    spectrum = jnp.einsum(
        f"...{letters}i,oi{letters}->...{letters}o",
        _kept_modes(x, modes),
        jax.lax.complex(weight[0], weight[1]),
        precision=precision,
    )
    return _synthesis(spectrum, modes, points)


def _axes(modes: Sequence[int]) -> list[tuple[int, int]]:
    """The spatial axes but the last, counted from the end, with their modes."""
    return [(axis - len(modes) - 1, m) for axis, m in enumerate(modes[:-1])]


def _kept_modes(x: Array, modes: Sequence[int]) -> Complex[Array, "..."]:
    """The low modes of x; each axis is cut down before the next is transformed."""
    spectrum = jax.lax.slice_in_dim(jnp.fft.rfft(x, axis=-2), 0, modes[-1], axis=x.ndim - 2)
    for axis, m in _axes(modes):
        spectrum = jnp.fft.fft(spectrum, axis=axis)
        low = jax.lax.slice_in_dim(spectrum, 0, m, axis=axis)
        high = jax.lax.slice_in_dim(spectrum, spectrum.shape[axis] - m, None, axis=axis)
        spectrum = jnp.concatenate([low, high], axis=axis)
    return spectrum


def _synthesis(spectrum: Array, modes: Sequence[int], points: Sequence[int]) -> Array:
    """The real function with these low modes at `points` points along the spatial axes."""
    for (axis, m), size in zip(_axes(modes), points, strict=False):
        low = jax.lax.slice_in_dim(spectrum, 0, m, axis=axis)
        high = jax.lax.slice_in_dim(spectrum, m, 2 * m, axis=axis)
        between = list(spectrum.shape)
        between[axis] = size - 2 * m
        zeros = jnp.zeros(between, spectrum.dtype)
        spectrum = jnp.fft.ifft(jnp.concatenate([low, zeros, high], axis=axis), axis=axis)
    # Libraries differ in what they make of an imaginary part where a real function has none.
    frequency = jax.lax.broadcasted_iota(jnp.int32, spectrum.shape, spectrum.ndim - 2)
    own_opposite = (frequency == 0) | (2 * frequency == points[-1])
    imaginary = jnp.where(own_opposite, jnp.zeros_like(spectrum.imag), spectrum.imag)
    spectrum = jax.lax.complex(spectrum.real, imaginary)
    return jnp.fft.irfft(spectrum, n=points[-1], axis=-2)
