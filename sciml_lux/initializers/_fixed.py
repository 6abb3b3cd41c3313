"""Initialisers with the dtype in their name: zeros32, randn64, onesC32.

`zeros` and `ones` are constant, `rand` draws from U(0, 1) and `randn` from N(0, 1). For complex
numbers, `rand` draws both parts from U(0, 1), and `randn` has total variance 1. 16, 32 and 64 are
the bits of a float, C32 and C64 those of each part of a complex number.

They are called with `(key, shape)`, or with `(key, shape, dtype)` where the dtype must be the one
in the name. Those of 64 bits raise an error unless `jax_enable_x64` is on.

Source: the functions of these names in WeightInitializers.jl 1.3. Those of C16 are missing, since
JAX has no complex numbers of two float16.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ..precision.internal import draw_dtype, require_exact_dtype, rounded
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

_NEEDS_X64 = ("float64", "complex128")
_DOCSTRING = """{what}, in {own}.

    Example:
        >>> import jax
        >>> from sciml_lux.initializers import {name}
        >>> with jax.enable_x64({x64}):
        ...     {name}(jax.random.key(0), (2, 3)).dtype.name
        '{own}'
    """


def _family(name: str, what: str, draw: Draw) -> list[Initializer]:
    return [_fixed(name + bits, what, draw, np.dtype(dtype)) for bits, dtype in _DTYPES.items()]


def _fixed(name: str, what: str, draw: Draw, own: np.dtype) -> Initializer:
    def function(key: Key, shape: tuple[int, ...], dtype: np.dtype = own) -> jax.Array:
        if np.dtype(dtype) != own:
            raise TypeError(
                f"`{name}` expects the dtype in its name, {own}, got {np.dtype(dtype)}. Use an "
                f"initialiser without a dtype in its name, or set the model up with dtype={own}."
            )
        require_exact_dtype(own, f"`{name}`")
        return draw(key, shape, own)

    # The name is what is printed, and what unpickling looks up.
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _DOCSTRING.format(what=what, own=own, name=name, x64=own.name in _NEEDS_X64)
    return Initializer(function)


def _rand(key: Key, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
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
