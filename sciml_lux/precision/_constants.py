"""Constants that hold fewer digits than the program is meant to keep."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike


def is_narrower(dtype: np.dtype, want: np.dtype) -> bool:
    """Fewer bytes, or the other of the two 16-bit floats: one has fewer digits, one less range."""
    return dtype.itemsize < want.itemsize or (
        dtype.itemsize == want.itemsize and dtype.name != want.name
    )


def of_constant(value: ArrayLike, want: np.dtype) -> Iterator[tuple[str, str]]:
    """Kind and detail of a constant that holds fewer digits than the program is meant to keep."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.inexact) or not np.size(value):
        return
    real = jnp.finfo(dtype).dtype
    numbers = np.ascontiguousarray(value).view(real).ravel()
    text = f"{dtype} {np.asarray(value)}" if np.ndim(value) == 0 else f"{dtype}{np.shape(value)}"
    if is_narrower(real, want):
        if _is_measured(numbers):
            yield "constant", text
    elif want == real == np.float64 and (share := _share_of_float32(numbers)):
        yield "constant", f"{text} with the digits of float32{share.rstrip()}"


def _is_measured(numbers: np.ndarray) -> bool:
    """Whether a number has more bits than the integers and short fractions one writes by hand.

    Short numbers take at most 14 of float32's 24 bits, the same part of the bits of narrower
    dtypes, and 14 bits in float64.
    """
    bits = min(14, 14 * (jnp.finfo(numbers.dtype).nmant + 1) // 24)
    return bool(_takes_more(numbers, bits).any())


def _takes_more(numbers: np.ndarray, bits: int) -> np.ndarray:
    """Which of the numbers are finite, are not integers, and need more than `bits` bits."""
    wide = numbers.astype(np.float64)
    with np.errstate(invalid="ignore"):
        fraction = np.frexp(wide)[0] * 2.0**bits
        return np.isfinite(wide) & (wide != np.round(wide)) & (fraction != np.round(fraction))


def _share_of_float32(numbers: np.ndarray) -> str:
    """How many float64 numbers seem to have been cut to float32, in words; "" if too few do.

    All of them, if all fit in float32 and at least one needs more than a few bits. Beside numbers
    of full digits: at least two, and a tenth of those with more than a few bits, that fit in
    float32 and need nearly all of its bits. That holds for fifteen in sixteen numbers that were
    cut, and for hardly any other.
    """
    fits = _fits_float32(numbers)
    if fits.all():
        return "" if not _is_measured(numbers) else " "
    cut = int((fits & _takes_more(numbers, 20)).sum())
    measured = int(_takes_more(numbers, 14).sum())
    return f" in {cut} of its numbers" if cut >= max(2, measured / 10) else ""


def _fits_float32(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return ~np.isfinite(numbers) | (numbers.astype(np.float32).astype(np.float64) == numbers)
