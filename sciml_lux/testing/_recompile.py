"""assert_no_recompile: no compilation where none is expected."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax

_EVENT = "/jax/core/compile/backend_compile_duration"


@contextmanager
def assert_no_recompile(allowed: int = 0) -> Iterator[None]:
    """Raise if more than `allowed` programs are compiled within the context.

    Args:
        allowed: how many programs may be compiled. Operations outside of `jit` and new arrays
            compile small programs of their own the first time.

    Raises:
        AssertionError: says how many programs were compiled.

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
            f"compiled programs: {compiled}, expected at most {allowed}. Look for a shape, "
            "dtype or static argument that changed, or a function that is defined again."
        )
