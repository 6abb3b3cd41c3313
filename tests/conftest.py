"""The rules every test runs under: strict promotion, no rank promotion, warnings are errors.

`JAX_ENABLE_X64` (1 by default here) and `JAX_NUMPY_DTYPE_PROMOTION` (strict by default here) make
four kinds of runs of the same suite. `make test` is two of them, without what is marked:

- `slow`: deep checks;
- `any_precision`, with float64 off: what shows the same as with float64 on. Examples in docstrings
  count among it; with float64 off a third of the files has them each day, in `make test-deep`;
- in a catalogue, by `rotating`: what two thirds of the entries have on other days only.

`make test-deep` runs that, with float64 off for a third of what rotates; all but what is `traced`
with XLA as users have it; and what `make test` runs under standard promotion, where dtypes are the
point.
"""

import collections
import datetime
import gc
import os

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
# To trace is to allocate: Python's own rhythm looks for garbage every 700 objects, which is a tenth
# of a run. What a test says of garbage it shows after a `gc.collect` of its own.
gc.set_threshold(20_000, 50, 50)

X64 = jax.config.jax_enable_x64

XLA_FLAGS = os.environ.get("XLA_FLAGS", "")
# XLA compiles in a hurry: programs compiled with and without its optimisation are the same then.
ON_CPU = os.environ["JAX_PLATFORMS"].startswith("cpu")
HURRIED = "xla_backend_optimization_level=0" in XLA_FLAGS
# What undoes those flags of scripts/xla_flags.sh that are set, so that one program is compiled as
# users have it nevertheless. XLA refuses the names that it does not know.
OPTIMISED = {
    name: value
    for flag, name, value in [
        ("=0", "xla_backend_optimization_level", 3),
        ("=1", "xla_cpu_parallel_codegen_split_count", 32),
        ("=true", "xla_llvm_disable_expensive_passes", False),
        ("=false", "xla_cpu_use_fusion_emitters", True),
    ]
    if f"--{name}{flag}" in XLA_FLAGS and (ON_CPU or "_cpu_" not in name)
}
# The third of each catalogue that has every check today: "0", "1" or "2", or "all". It is passed on
# to the workers of xdist, so that they agree at midnight.
THIRD = os.environ.setdefault("CATALOGUE_THIRD", str(datetime.date.today().timetuple().tm_yday % 3))
slow = pytest.mark.slow
on_another_day = [slow, pytest.mark.another_day]

needs_x64 = pytest.mark.skipif(not X64, reason="float64 needs JAX_ENABLE_X64=1")
needs_x32 = pytest.mark.skipif(X64, reason="speaks of what happens with x64 off")


def in_third(index):
    """Whether the entry of this index in its catalogue has every check today."""
    return THIRD in ("all", str(index % 3))


def rotating(parameters):
    """The parameters of a test, with `on_another_day` for the two thirds without a turn."""
    return [
        pytest.param(*p.values, id=p.id, marks=[*p.marks, *([] if in_third(i) else on_another_day)])
        for i, p in enumerate(parameters)
    ]


def pytest_report_header():
    optimisation = "in a hurry" if HURRIED else "as users have it"
    return (
        f"float64 is {'on' if X64 else 'off'}, XLA compiles {optimisation}; "
        f"third of the catalogue with every check (CATALOGUE_THIRD; day of the year % 3): {THIRD}"
    )


@pytest.hookimpl(tryfirst=True)  # Before `-m` is looked at.
def pytest_collection_modifyitems(items):
    """With float64 off, what shows the same as with float64 on is `slow`, and rests on two days."""
    files = {path: index for index, path in enumerate(sorted({item.path for item in items}))}
    for item in [] if X64 else items:
        repeats = isinstance(item, pytest.DoctestItem) or item.get_closest_marker("any_precision")
        if repeats and needs_x32.mark not in item.iter_markers():
            for mark in [slow] if in_third(files[item.path]) else on_another_day:
                item.add_marker(mark)


_events = collections.Counter()
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: _events.update([event])
)


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Drop what was compiled when it is much: thousands of programs fill a small machine's memory.

    Not after every file: a quarter of the programs of small files are those of the files before.
    Garbage is looked for among what a file makes itself: among the millions of objects of the
    programs and tests before, each `gc.collect` of a test takes seconds.
    """
    gc.freeze()
    yield
    if _events["/jax/core/compile/backend_compile_duration"] > 3000:
        gc.unfreeze()
        jax.clear_caches()
        gc.collect()
        _events.clear()


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
