import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import WrapperLayer, nn, output_size, summary
from tests.conftest import needs_x32, needs_x64
from tests.core.layers import Duck, Running, Scale

MODEL = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Chain(nn.relu, nn.Dense(8, 1)))


def struct(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


class Inner(WrapperLayer):
    layer: Any


def test_rows_are_exact():
    rows = [tuple(row) for row in summary(MODEL, struct(16, 2)).rows]
    assert rows == [
        ("layer_1", "Dense(2, 8, tanh)", "float32[16,8]", 24, 96),
        ("layer_2.layer_1", "WrappedFunction(relu)", "float32[16,8]", 0, 0),
        ("layer_2.layer_2", "Dense(8, 1)", "float32[16,1]", 9, 36),
    ]


def test_total_is_that_of_the_model():
    assert tuple(summary(MODEL, struct(16, 2)).total) == ("", "Chain", "float32[16,1]", 33, 132)


@pytest.mark.parametrize("function", [summary, output_size])
def test_shape_in_place_of_an_array_is_an_error(function):
    with pytest.raises(
        TypeError, match="`Chain` expects `x` to be an array .* got 16. For a shape pass"
    ):
        function(MODEL, (16, 2))


def test_row_fields_have_names():
    row = summary(MODEL, struct(16, 2)).rows[0]
    assert (row.path, row.parameters, row.bytes) == ("layer_1", 24, 96)
    assert row.layer == "Dense(2, 8, tanh)" and row.output == "float32[16,8]"


def test_printed_table():
    model = nn.Chain(nn.Dense(1000, 1000), nn.relu)
    assert repr(summary(model, struct(4, 1000))) == (
        "path     layer                  output           parameters      bytes\n"
        "----------------------------------------------------------------------\n"
        "layer_1  Dense(1000, 1000)      float32[4,1000]   1_001_000  4_004_000\n"
        "layer_2  WrappedFunction(relu)  float32[4,1000]           0          0\n"
        "----------------------------------------------------------------------\n"
        "total    Chain                  float32[4,1000]   1_001_000  4_004_000"
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.complex64])
def test_bytes_follow_the_dtype_of_the_input(dtype):
    model = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 1))  # MODEL's relu refuses complex.
    table = summary(model, struct(16, 2, dtype=dtype))
    assert table.total.bytes == 33 * jnp.dtype(dtype).itemsize
    assert table.total.output == f"{jnp.dtype(dtype).name}[16,1]"


@needs_x64
def test_bytes_of_float64_are_twice_those_of_float32():
    wide, narrow = (summary(MODEL, struct(16, 2, dtype=d)) for d in (jnp.float64, jnp.float32))
    assert (wide.total.bytes, narrow.total.bytes) == (264, 132)
    assert [row.bytes for row in wide.rows] == [192, 0, 72]
    assert wide.rows[0].output == "float64[16,8]"


@needs_x32
def test_numpy_float64_input_with_x64_off_raises():
    with pytest.raises(TypeError, match="float64, but jax_enable_x64 is off"):
        summary(MODEL, np.ones((16, 2)))


def test_arrays_serve_as_input():
    table = summary(MODEL, jnp.ones((16, 2), jnp.float32))
    assert table.rows == summary(MODEL, struct(16, 2)).rows


def test_nothing_is_allocated():
    table = summary(nn.Chain(nn.Dense(10**6, 10**6, use_bias=False)), struct(1, 10**6))
    assert table.rows[0].parameters == 10**12 and table.total.bytes == 4 * 10**12


def test_shared_layer_has_a_row_at_each_place():
    dense = nn.Dense(2, 2)
    rows = summary(nn.Chain(dense, dense), struct(1, 2)).rows
    assert [(row.path, row.parameters) for row in rows] == [("layer_1", 6), ("layer_2", 6)]


def test_layer_inside_a_wrapper_has_the_path_of_the_wrapper():
    rows = summary(nn.Chain(Inner(nn.Dense(2, 3))), struct(1, 2)).rows
    assert [(row.path, row.layer) for row in rows] == [("layer_1", "Dense(2, 3)")]


def test_layer_called_many_times_has_one_row():
    class Twice(WrapperLayer):
        layer: Any

        def __call__(self, x, ps, st):
            y, st = self.layer(x, ps, st)
            return self.layer(y, ps, st)

    rows = summary(nn.Chain(Twice(Scale(2))), struct(1, 2)).rows
    assert [(row.path, row.parameters) for row in rows] == [("layer_1", 2)]


def test_layers_with_states_and_ducks_have_rows():
    rows = summary(nn.Chain(Running(2), Duck()), struct(2)).rows
    assert [(row.path, row.parameters) for row in rows] == [("layer_1", 0), ("layer_2", 2)]


def test_tree_outputs_are_joined_by_commas():
    model = nn.Parallel(None, nn.Dense(2, 3), nn.Dense(2, 1))
    assert summary(model, struct(4, 2)).total.output == "float32[4,3], float32[4,1]"


def test_branches_and_connections_have_their_paths():
    model = nn.Chain(nn.SkipConnection(nn.Dense(2, 2), operator.add), nn.Parallel(None, nn.relu))
    rows = summary(model, struct(4, 2)).rows
    assert [row.path for row in rows] == ["layer_1", "layer_2.layer_1"]


def test_single_layer_has_a_total():
    table = summary(nn.Dense(2, 3), struct(4, 2))
    assert tuple(table.total) == ("", "Dense", "float32[4,3]", 9, 36)


def test_observer_is_gone_after_an_error():
    with pytest.raises(ValueError, match="expects the last axis"):
        summary(MODEL, struct(16, 3))
    assert len(summary(MODEL, struct(16, 2)).rows) == 3
