"""The switch by which JAX has numbers of 64 bits."""

import jax


def x64_enabled() -> bool:
    """Whether JAX has float64, by its switch or by the context of this thread.

    Example:
        >>> import jax
        >>> with jax.enable_x64(False):
        ...     x64_enabled()
        False
    """
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
