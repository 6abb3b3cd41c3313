"""What the objective returns beside its loss is kept, step by step."""

import collections

import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import losses, training
from tests.training.models import AD, line_data, tiny_state

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
Pair = collections.namedtuple("Pair", "bias matrix")


def with_stats(model, ps, st, data):
    loss, st, _ = MSE(model, ps, st, data)
    bias = ps.layer_2.bias[0]
    stats = {"flag": bias > 0, "nested": Pair(bias, ps.layer_1.weight), "none": None}
    return loss, st, stats


def fit(tstate, data, steps, objective=with_stats, **options):
    return training.fit(tstate, objective, data, steps=steps, **{"progress": False} | options)


def assert_same_stats(left, right):
    assert left["none"] is right["none"] is None
    assert type(left["nested"]) is type(right["nested"]) is Pair
    for a, b in [(left["flag"], right["flag"]), *zip(left["nested"], right["nested"], strict=True)]:
        assert isinstance(a, np.ndarray) and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def test_stats_are_those_of_single_steps(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    stats = fit(tstate, data, 7).stats
    for step in range(7):
        _, _, one, tstate = training.single_train_step(AD, with_stats, data, tstate)
        assert stats["nested"].bias[step] == pytest.approx(float(one["nested"].bias), rel=1e-4)
        np.testing.assert_allclose(stats["nested"].matrix[step], one["nested"].matrix, rtol=1e-4)
        assert stats["flag"][step] == one["flag"]
    assert stats["flag"].dtype == bool and stats["nested"].bias.dtype == dtype
    assert stats["nested"].matrix.shape == (7, *one["nested"].matrix.shape)


def test_stats_are_resumed_and_continued_to_the_bit(tmp_path, dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    whole = fit(tstate, data, 9).stats
    first = fit(tstate, data, 4, checkpoint=tmp_path)
    assert_same_stats(fit(first, data, 5).stats, whole)
    assert_same_stats(fit(tstate, data, 4, checkpoint=tmp_path, resume=True).stats, first.stats)
    assert_same_stats(fit(tstate, data, 9, checkpoint=tmp_path, resume=True).stats, whole)
    assert_same_stats(fit(first, data, 0).stats, first.stats)
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,loss,validation,stats.flag,stats.nested.bias"
    assert [float(row.split(",")[4]) for row in rows[1:]] == whole["nested"].bias.tolist()
    assert [row.split(",")[3] for row in rows[1:]] == [str(f) for f in whole["flag"].tolist()]


def test_stats_of_another_objective_begin_anew(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    other = lambda *given: (*MSE(*given)[:2], lux.Record(size=jnp.ones(2, jnp.float32)))
    first = fit(tstate, data, 3)
    second = fit(first, data, 2, other)
    assert second.stats.size.shape == (2, 2) and len(second.losses) == 5
    plain = fit(second, data, 1, MSE)
    assert isinstance(plain.stats, lux.Record) and not plain.stats and len(plain.losses) == 6


def test_stats_of_many_bytes_are_kept_in_parts(dtype, monkeypatch):
    tstate, data = tiny_state(dtype), line_data(dtype)
    plain = fit(tstate, data, 40)
    monkeypatch.setattr("sciml_lux.training.objectives._stats._MAX_BYTES", 200)
    objective = lambda *given: (*with_stats(*given)[:2], with_stats(*given)[2])  # Compiled anew.
    parts = fit(tstate, training.Stream([data] * 3), 40, objective)
    assert_same_stats(parts.stats, plain.stats)
    assert parts.losses.tobytes() == plain.losses.tobytes()


def test_stats_that_are_one_number_are_in_line_log_and_logger(tmp_path, dtype, capsys):
    objective = lambda *given: (*MSE(*given)[:2], 0.5)
    seen = []

    class Memory:
        log_scalars = staticmethod(lambda step, values: seen.append((step, values)))
        log_params = close = lambda *_: None

    callbacks = [training.LogTo(Memory(), every=2), training.CSVLog(tmp_path / "log.csv")]
    options = {"callbacks": callbacks, "progress": True, "checkpoint": tmp_path / "a.ckpt"}
    result = fit(tiny_state(dtype), line_data(dtype), 2, objective, **options)
    assert result.stats.tolist() == [0.5, 0.5]
    assert seen == [(1, {"loss": result.losses[1], "stats": 0.5})]
    assert "  stats 5.0000e-01  " in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "step,loss,validation,stats"
    again = fit(tiny_state(dtype), line_data(dtype), 2, objective, **options, resume=True)
    assert again.stats.tolist() == [0.5, 0.5]


def test_a_name_with_a_comma_is_quoted_in_the_log(tmp_path, dtype):
    objective = lambda *given: (*MSE(*given)[:2], {'a,"b': 1})
    for _ in range(2):
        fit(tiny_state(dtype), line_data(dtype), 2, objective, checkpoint=tmp_path)
    lines = (tmp_path / "losses.csv").read_text().splitlines()
    assert lines[0] == 'step,loss,validation,"stats.a,""b"' and lines[1].endswith(",1")


@pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning")
@pytest.mark.parametrize("bad", ["abc", object()])
def test_stats_that_are_no_numbers_are_named(bad):
    objective = lambda *given: (*MSE(*given)[:2], {"note": bad})
    with pytest.raises(TypeError, match=r"a tree of numbers and arrays, got .* at `note`. Leave"):
        fit(tiny_state("float32"), line_data("float32"), 1, objective)
