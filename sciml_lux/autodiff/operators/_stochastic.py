"""Unbiased estimates of operators in many dimensions, by random directions."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ...core import Key
from ..points._columns import along
from ..points._points import Field, field_of
from ..points._probes import probe_key, probes
from ..primitives._types import Differentiable
from ..propagation._taylor import sum_over_directions
from ._laplacian import sum_of_second_derivatives
from ._vector_calculus import check_vector


def stochastic_laplacian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    key: Key,
    *args: PyTree,
    samples: int = 1,
    distribution: str = "rademacher",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """An unbiased estimate of the Laplacian: the mean of ∂²f/∂v² over random directions v.

    Its work does not grow with the number of coordinates: about that of `samples` + 2 evaluations
    of `f`. With H the Hessian, its variance, divided by `samples`, is 2 ∑ᵢ≠ⱼ Hᵢⱼ² for "rademacher",
    2 ∑ᵢⱼ Hᵢⱼ² for "normal", and D ∑ᵢ Hᵢᵢ² - (Δf)² for "coordinates", of which there are D.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        key: a random key. The same key gives the same directions; each point has its own.
        *args: what `f` takes after `x`.
        samples: how many directions at each point.
        distribution: "rademacher" for entries ±1, "normal", or "coordinates" for one coordinate.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: `f` mixes samples; `samples` below 1; an unknown distribution; several
            keys.
        TypeError: the points are not real floats; `key` is not a typed key; a function with a
            `custom_vjp`.
        StateChangedError: the model changes its states.

    Source: Hutchinson, "A stochastic estimator of the trace of the influence matrix" (1990).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((2, 1000), jnp.float32)
        >>> stochastic_laplacian(lambda x: jnp.sum(x**2, axis=1), x, jax.random.key(0)).tolist()
        [2000.0, 2000.0]
    """
    owner = "stochastic_laplacian"
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    return _laplacian_along(field, probes(owner, field, key, samples, distribution))


def stochastic_divergence(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    key: Key,
    *args: PyTree,
    samples: int = 1,
    distribution: str = "rademacher",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "*batch"]:
    """An unbiased estimate of the divergence: the mean of v · ∂f/∂v over random directions v.

    Its work is about that of `samples` + 1 evaluations of `f`. With S the symmetric part of the
    Jacobian, its variance, divided by `samples`, is 2 ∑ᵢ≠ⱼ Sᵢⱼ² for "rademacher", 2 ∑ᵢⱼ Sᵢⱼ² for
    "normal", and D ∑ᵢ Sᵢᵢ² - (∇·f)² for "coordinates", of which there are D.

    Args:
        f: a function `f(x, *args)` of all points at once, with as many values for each as there are
            coordinates; a layer, whose `args` are `ps, st`, or a `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        key: a random key. The same key gives the same directions; each point has its own.
        *args: what `f` takes after `x`.
        samples: how many directions at each point.
        distribution: "rademacher" for entries ±1, "normal", or "coordinates" for one coordinate.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of the batch.

    Raises:
        ValueError: another number of values; `f` mixes samples; `samples` below 1; an unknown
            distribution; several keys.
        TypeError: the points are not real floats; `key` is not a typed key.
        StateChangedError: the model changes its states.

    Source: Grathwohl et al., "FFJORD" (2019).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((2, 1000), jnp.float32)
        >>> stochastic_divergence(lambda x: x**2, x, jax.random.key(0)).tolist()
        [2000.0, 2000.0]
    """
    owner = "stochastic_divergence"
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    check_vector(owner, field, (field.x.shape[-1],))
    return _divergence_along(field, probes(owner, field, key, samples, distribution))


def stochastic_bilaplacian(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    key: Key,
    *args: PyTree,
    samples: int = 1,
    distribution: str = "rademacher",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Float[Array, "..."]:
    """An unbiased estimate of the bilaplacian: the mean of ∂⁴f/∂v²∂w² over random v and w.

    The two directions are independent, so that the mean over v is the Laplacian, and that over w
    the Laplacian of it, for each of the distributions. The work is about that of 7 `samples` + 2
    evaluations of `f`, whatever the number of coordinates, and the variance falls as 1/`samples`.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        key: a random key. The same key gives the same directions; each point has its own.
        *args: what `f` takes after `x`.
        samples: how many pairs of directions at each point.
        distribution: "rademacher" for entries ±1, "normal", or "coordinates" for one coordinate.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        An array of the shape of f(x).

    Raises:
        ValueError: `f` mixes samples; `samples` below 1; an unknown distribution; several
            keys.
        TypeError: the points are not real floats; `key` is not a typed key; a function with a
            `custom_vjp`.
        StateChangedError: the model changes its states.

    Source: Shi et al., "Stochastic Taylor Derivative Estimator" (2024), there along one direction.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((2, 8), jnp.float32)
        >>> f = lambda x: jnp.sum(x**4, axis=1)  # Δ²f = 192
        >>> estimate = jax.jit(lambda x, key: stochastic_bilaplacian(f, x, key, samples=1000))
        >>> bool(jnp.all(abs(estimate(x, jax.random.key(0)) - 192) < 1e-3))
        True
    """
    owner = "stochastic_bilaplacian"
    field = field_of(owner, f, x, args, state_policy=state_policy, check_samples=check_samples)
    first, second = jax.random.split(probe_key(owner, key))
    return _bilaplacian_along(
        field,
        probes(owner, field, first, samples, distribution),
        probes(owner, field, second, samples, distribution),
    )


def _laplacian_along(field: Field, v: Float[Array, "*batch samples coordinates"]) -> Array:
    scale, count = _scale_and_count(v.shape[-2])
    return sum_of_second_derivatives(field.function, field.x, scale * v) / count


def _divergence_along(field: Field, v: Float[Array, "*batch samples coordinates"]) -> Array:
    slopes = jax.vmap(lambda v: along(field.function, v)(field.x), -2, -2)(v)
    return jnp.mean(jnp.sum(v.astype(slopes.dtype) * slopes, axis=-1), axis=-1)


def _bilaplacian_along(
    field: Field,
    v: Float[Array, "*batch samples coordinates"],
    w: Float[Array, "*batch samples coordinates"],
) -> Array:
    scale, count = _scale_and_count(v.shape[-2])
    rows = {0: scale * v, 1: w}
    return sum_over_directions(field.function, field.x, rows, (0, 0, 1, 1)) / count


def _scale_and_count(samples: int) -> tuple[float, float]:
    """A power of two for directions, and what the sum of their squares is then divided by.

    The sum is at most about as large as the mean, which float16 needs, and no digit is lost.
    """
    scale = 0.5 ** math.ceil(math.log2(samples) / 2)
    return scale, samples * scale**2
