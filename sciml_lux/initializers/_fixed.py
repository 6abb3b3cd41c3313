"""Initialisers of a fixed dtype, which their name says: zeros32, randn64, onesC32.

`zeros` and `ones` are constant, `rand` is U(0, 1), `randn` is N(0, 1); of complex numbers, both
parts of `rand` are U(0, 1) and `randn` has variance 1 in all. 16, 32 and 64 are the bits of a
float, C32 and C64 those of each part of a complex number.

They are called with `(key, shape)`; a dtype may follow if it is theirs. Those of 64 bits need
`jax_enable_x64`, and say so.

Source: the functions of these names in WeightInitializers.jl 1.3. Those of C16 are missing, since
JAX has no complex numbers of two float16.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..precision import require_x64
from ..precision._draws import draw_dtype, rounded
from ._initializer import Initializer
from ._normal import normal

Draw = Callable[[jax.Array, tuple[int, ...], np.dtype], jax.Array]

_DTYPES = {
    "16": "float16",
    "32": "float32",
    "64": "float64",
    "C32": "complex64",
    "C64": "complex128",
}


def _family(name: str, what: str, draw: Draw) -> list[Initializer]:
    return [_fixed(name + bits, what, draw, np.dtype(dtype)) for bits, dtype in _DTYPES.items()]


def _fixed(name: str, what: str, draw: Draw, own: np.dtype) -> Initializer:
    def function(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype = own) -> jax.Array:
        if np.dtype(dtype) != own:
            raise TypeError(
                f"`{name}` is {own} by its name, got the dtype {np.dtype(dtype)}. Use an "
                f"initialiser without a dtype in its name, or set the model up with dtype={own}."
            )
        require_x64(own, f"`{name}`")
        return draw(key, shape, own)

    # By which it is printed, and found again when it is unpickled.
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, in {own}."
    return Initializer(function)


def _rand(key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        below_one = float(np.nextafter(1.0, 0.0))
        return rounded(jax.random.uniform(key, shape, draw_dtype(dtype)), dtype, 0.0, below_one)
    part = jnp.finfo(dtype).dtype
    real, imaginary = jax.random.split(key)
    return jax.lax.complex(
        jax.random.uniform(real, shape, part), jax.random.uniform(imaginary, shape, part)
    )


zeros16, zeros32, zeros64, zerosC32, zerosC64 = _family(
    "zeros", "All zero", lambda key, shape, dtype: jnp.zeros(shape, dtype)
)
ones16, ones32, ones64, onesC32, onesC64 = _family(
    "ones", "All one", lambda key, shape, dtype: jnp.ones(shape, dtype)
)
rand16, rand32, rand64, randC32, randC64 = _family("rand", "U(0, 1)", _rand)
randn16, randn32, randn64, randnC32, randnC64 = _family("randn", "N(0, 1)", normal.function)
