"""plot_solution: which lines are drawn, where, and how they are called."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]

pytest.importorskip("matplotlib")

DTYPE = jnp.float64 if X64 else jnp.float32
TIMES = jnp.asarray([0.0, 0.5, 1.0], DTYPE)


def decay(t, u, rate):
    return jax.tree.map(lambda leaf: -leaf, u)


def solved(u0, ts=TIMES, t1=None, **options):
    problem = ode.Problem(u0, ts=ts, tspan=None if t1 is None else (0.0, t1))
    return ode.solve(decay, problem, method=ode.Method(**options))


def labels(axes):
    return [line.get_label() for line in axes.lines]


def test_lines_are_the_components_of_all_leaves_by_name():
    solution = solved({"speed": jnp.ones((), DTYPE), "place": jnp.ones((1, 2), DTYPE)})
    axes = ode.plot_solution(solution)
    assert labels(axes) == ["place[0, 0]", "place[0, 1]", "speed"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == labels(axes)
    assert axes.get_xlabel() == "t" and axes.figure is not None
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_xdata(), TIMES)
        np.testing.assert_allclose(line.get_ydata(), np.exp(-TIMES), rtol=1e-4)


def test_leaves_without_a_name_are_numbered():
    assert labels(ode.plot_solution(solved((jnp.ones(1, DTYPE),) * 2))) == ["u.0[0]", "u.1[0]"]


def test_axes_that_are_given_are_drawn_in():
    axes = ode.plot_solution(solved(jnp.ones(1, DTYPE)))
    again = ode.plot_solution(solved(jnp.ones(2, DTYPE)), axes=axes)
    assert again is axes and labels(axes) == ["u[0]", "u[0]", "u[1]"]


def test_dense_solution_is_a_smooth_line_within_its_times_or_those_given():
    solution = solved(jnp.ones((), DTYPE), t1=2.0, dense=True, max_steps=64)
    (line,) = ode.plot_solution(solution).lines
    times = line.get_xdata()
    assert len(times) > 100 and (times[0], times[-1]) == (0.0, 1.0)
    np.testing.assert_allclose(line.get_ydata(), np.exp(-times), rtol=1e-4)
    (line,) = ode.plot_solution(solution, ts=[0.0, 2.0]).lines
    np.testing.assert_allclose(line.get_ydata(), np.exp([0.0, -2.0]), rtol=1e-4)


def test_complex_components_have_two_lines():
    u0 = jnp.asarray([1 + 2j], jnp.complex128 if X64 else jnp.complex64)
    real, imaginary = ode.plot_solution(solved(u0)).lines
    assert (real.get_label(), imaginary.get_label()) == ("Re u[0]", "Im u[0]")
    np.testing.assert_allclose(imaginary.get_ydata(), 2 * real.get_ydata(), rtol=1e-6)


def test_samples_of_a_component_share_colour_and_label():
    times = jnp.stack([TIMES, 2 * TIMES])
    lines = ode.plot_solution(solved(jnp.ones((2, 2), DTYPE), times)).lines
    assert [line.get_label() for line in lines][::2] == ["u[0]", "u[1]"]
    assert [line.get_color() for line in lines] == ["C0", "C0", "C1", "C1"]
    np.testing.assert_array_equal(lines[1].get_xdata(), 2 * TIMES)


def test_layer_with_the_batch_first():
    model = nn.Dense(1, 1)
    node = ode.NeuralODE(model, (0.0, 1.0), saveat=(0.0, 0.5, 1.0), batch_axis=0)
    solution, _ = node.solve(jnp.ones((2, 1), DTYPE), *lux.setup(0, node, dtype=DTYPE))
    lines = ode.plot_solution(solution, batch_axis=0).lines
    assert len(lines) == 2 and len(lines[0].get_xdata()) == 3


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_and_a_single_time_are_drawn(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    method = ode.Method(rtol=1e-2, atol=1e-2)
    (line,) = ode.plot_solution(ode.solve(decay, problem, method=method)).lines
    assert line.get_xdata().tolist() == [1.0] and line.get_marker() == "o"


def test_legend_is_left_out_where_it_would_hide_the_lines():
    assert ode.plot_solution(solved(jnp.ones(13, DTYPE))).get_legend() is None


def test_failed_solve_and_times_without_dense_are_refused():
    failed = solved(jnp.ones(1, DTYPE), max_steps=1, throw=False, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="succeeded, got one that failed: The maximum number"):
        ode.plot_solution(failed)
    with pytest.raises(ValueError, match=r"draws at `ts` where the solve had dense=True.*Set it"):
        ode.plot_solution(solved(jnp.ones(1, DTYPE)), ts=[0.0])


def test_missing_matplotlib_names_the_remedy(monkeypatch):
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return found(name, *args, **kwargs)

    solution = solved(jnp.ones(1, DTYPE))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs matplotlib. Install it .* 'sciml_lux\[plots\]'"):
        ode.plot_solution(solution)
