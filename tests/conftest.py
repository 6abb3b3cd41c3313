"""The rules every test runs under: strict promotion, no rank promotion, warnings are errors.

`JAX_ENABLE_X64` (1 by default here) and `JAX_NUMPY_DTYPE_PROMOTION` (strict by default here) make
four runs of the same suite.
"""

import collections
import os

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

X64 = jax.config.jax_enable_x64

needs_x64 = pytest.mark.skipif(not X64, reason="float64 needs JAX_ENABLE_X64=1")
needs_x32 = pytest.mark.skipif(X64, reason="speaks of what happens with x64 off")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Drop what one file compiled: thousands of programs fill the memory of a small machine."""
    yield
    jax.clear_caches()


@pytest.fixture
def dtype():
    """The widest float of this run."""
    return jnp.dtype(jnp.float64 if X64 else jnp.float32)


def pytest_terminal_summary(terminalreporter):
    """The seconds of all tests by folder, so that what grows is seen."""
    seconds = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if hasattr(report, "duration"):
                folder, _, _ = report.nodeid.partition("::")[0].rpartition("/")
                seconds[folder] += report.duration
    if seconds.total() > 60:
        terminalreporter.section("seconds by folder")
        for folder, spent in seconds.most_common():
            terminalreporter.write_line(f"{spent:8.0f}  {folder}")
