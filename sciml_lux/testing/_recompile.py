"""Counting compilations."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"


@contextmanager
def assert_no_recompile(allowed: int = 0) -> Iterator[None]:
    """Raise if more than `allowed` programs are compiled within the context.

    Args:
        allowed: programs that may be compiled. Note that operations outside of `jit`, and making
            arrays, compile small programs of their own the first time.

    Raises:
        AssertionError: says how many were compiled.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> f, x = jax.jit(jnp.sin), jnp.ones(3, jnp.float32)
        >>> _ = f(x)
        >>> with assert_no_recompile():
        ...     _ = f(x)
    """
    compiled = 0

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        nonlocal compiled
        compiled += event == _EVENT

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    if compiled > allowed:
        raise AssertionError(
            f"{compiled} programs were compiled, expected at most {allowed}. A shape, a dtype, a "
            "static argument or a function made anew changed."
        )
