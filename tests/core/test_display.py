import operator
from typing import Any

import jax.numpy as jnp
import pytest

from sciml_lux import Layer, Record, WrapperLayer, nn
from sciml_lux.core import layer_name
from sciml_lux.core.internal import PrintFrame
from tests.core.layers import Duck, Pair, Running, Scale

pytestmark = pytest.mark.any_precision


class Inner(WrapperLayer):
    layer: Any
    rate: float = 0.5


BLOCKS = {f"layer_{i}": nn.Chain(nn.Dense(2, 2), Running(2)) for i in (1, 2, 3)}

CHAIN = """\
Chain(
    layer_1=Dense(2, 8, tanh),                  # 24 parameters
    layer_(2-4)=Dense(8, 8, tanh),              # 216 (72 x 3) parameters
    layer_5=WrappedFunction(relu),
    layer_6=Dense(8, 1),                        # 9 parameters
)                                               # Total: 249 parameters,
                                                #        plus 0 states."""

NESTED = """\
Chain(
    layer_(1-3)=Chain(                          # repeated 3 times
        layer_1=Dense(2, 2),                    # 6 parameters
        layer_2=Running(2),
    ),
    head=Dense(2, 1),                           # 3 parameters
)                                               # Total: 21 parameters,
                                                #        plus 15 states."""

NESTED_ONE = """\
Chain(
    encoder=Chain(
        layer_(1-2)=Dense(2, 2),                # 12 (6 x 2) parameters
    ),
    head=Dense(2, 1),                           # 3 parameters
)                                               # Total: 15 parameters,
                                                #        plus 0 states."""

UNDERSCORES = """\
Chain(
    layer_1=Dense(1000, 1000),                  # 1_001_000 parameters
    layer_2=Running(1000),
)                                               # Total: 1_001_000 parameters,
                                                #        plus 1_003 states."""

FOLDED_UNDERSCORES = """\
Chain(
    layer_(1-2)=Dense(1000, 1000),              # 2_002_000 (1_001_000 x 2) parameters
)                                               # Total: 2_002_000 parameters,
                                                #        plus 0 states."""

OPTIONS = """\
Inner(
    layer=Dense(2, 2),                          # 6 parameters
    rate=0.25,
)                                               # Total: 6 parameters,
                                                #        plus 0 states."""

SKIP = """\
SkipConnection(
    layer=Dense(2, 2),                          # 6 parameters
    connection=add,
)                                               # Total: 6 parameters,
                                                #        plus 0 states."""

TUPLE = """\
Pair(
    first=Scale(1),                             # 1 parameters
    rest.layer_(1-2)=Scale(2),                  # 4 (2 x 2) parameters
)                                               # Total: 5 parameters,
                                                #        plus 0 states."""

DENSE = "Dense(2, 3)                                     # 9 parameters"


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (
            nn.Chain(
                nn.Dense(2, 8, nn.tanh), *[nn.Dense(8, 8, nn.tanh)] * 3, nn.relu, nn.Dense(8, 1)
            ),
            CHAIN,
        ),
        (
            nn.Chain(
                encoder=nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2)),
                head=nn.Dense(2, 1),
            ),
            NESTED_ONE,
        ),
        (nn.Chain(**BLOCKS, head=nn.Dense(2, 1)), NESTED),
        (nn.Chain(nn.Dense(1000, 1000), Running(1000)), UNDERSCORES),
        (nn.Chain(nn.Dense(1000, 1000), nn.Dense(1000, 1000)), FOLDED_UNDERSCORES),
        (Inner(nn.Dense(2, 2), 0.25), OPTIONS),
        (nn.SkipConnection(nn.Dense(2, 2), operator.add), SKIP),
        (Pair(Scale(1), (Scale(2), Scale(2))), TUPLE),
        (nn.Dense(2, 3), DENSE),
    ],
)
def test_printed_model(model, text):
    assert str(model) == text


def test_printed_layer_without_parameters():
    assert str(nn.NoOpLayer()).startswith("NoOpLayer()")
    assert str(nn.Chain()).startswith("Chain()")


def test_equal_siblings_apart_are_not_folded():
    text = str(nn.Chain(nn.Dense(2, 2), nn.relu, nn.Dense(2, 2)))
    assert (
        "layer_1=Dense(2, 2)," in text and "layer_3=Dense(2, 2)," in text and "layer_(" not in text
    )


def test_equal_siblings_with_other_names_are_not_folded():
    text = str(nn.Chain(first=nn.Dense(2, 2), second=nn.Dense(2, 2)))
    assert "first=Dense(2, 2)," in text and "second=Dense(2, 2)," in text
    text = str(nn.Chain(a_1=nn.Dense(2, 2), b_2=nn.Dense(2, 2)))
    assert "a_1=" in text and "b_2=" in text


def test_numbers_with_a_gap_are_not_folded():
    text = str(nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2), nn.Dense(2, 2))[::2])
    assert "layer_1=Dense(2, 2)," in text and "layer_3=Dense(2, 2)," in text


def test_nearly_equal_siblings_are_not_folded():
    assert "layer_(" not in str(nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2, use_bias=False)))


def test_default_options_of_a_container_are_left_out():
    assert "rate" not in str(Inner(nn.Dense(2, 2)))


def test_option_of_another_type_than_the_default_is_printed():
    class Order(WrapperLayer):
        layer: Any
        order: float = 1.0

    assert "order=1," in str(Order(nn.Dense(2, 2), 1))
    assert "order" not in str(Order(nn.Dense(2, 2)))


def test_long_line_keeps_two_spaces_before_the_comment():
    text = str(nn.Chain(a_rather_long_name_for_a_layer=nn.Dense(20, 20, nn.leakyrelu)))
    line = "    a_rather_long_name_for_a_layer=Dense(20, 20, leakyrelu),  # 420 parameters"
    assert text.splitlines()[1] == line


def test_duck_typed_child_is_printed_with_its_count():
    line = str(nn.Chain(Duck())).splitlines()[1]
    assert line.startswith("    layer_1=") and line.endswith("# 2 parameters")


def test_parameters_of_a_container_itself_are_in_the_total():
    class Gain(Layer):
        layer: Any

        def initial_parameters(self, key, dtype):
            inner = self.layer.initial_parameters(key, dtype)
            return Record(layer=inner, gain=jnp.ones((), dtype))

    assert "# Total: 7 parameters," in str(Gain(nn.Dense(2, 2)))


def test_repr_of_a_model_is_one_line():
    model = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Chain(nn.relu), nn.Dense(8, 1))
    text = "Chain(Dense(2, 8, tanh), Chain(WrappedFunction(relu)), Dense(8, 1))"
    assert repr(model) == text
    assert repr(nn.Chain(a=nn.NoOpLayer())) == "Chain(a=NoOpLayer())"


def test_parameters_of_a_container_itself_and_long_tuples_are_told_in_brief():
    class Scaled(Layer):
        inner: nn.Dense
        times: tuple[float, ...]

        def initial_parameters(self, key, dtype):
            return super().initial_parameters(key, dtype) | {"scale": jnp.ones(2, dtype)}

    text = str(Scaled(nn.Dense(2, 2), tuple(i / 2 for i in range(20))))
    assert "Scaled(                                         # 2 parameters of its own" in text
    assert "times=(0.0, 0.5, ..., 9.5)," in text
    model = nn.Chain(Scaled(nn.Dense(2, 2), tuple(i / 2 for i in range(1000))))
    assert repr(model) == "Chain(Scaled(Dense(2, 2), (0.0, 0.5, ..., 499.5)))"
    assert "# Total: 8 parameters," in text


FRAMED = """\
Chain(
    layer_1=begin of Framed                     # 2 parameters of its own
        inner=Dense(2, 2),                      # 6 parameters
        rate=0.5,
    and
      end
)                                               # Total: 8 parameters,
                                                #        plus 0 states."""


def test_layer_may_say_how_it_is_framed_and_called():
    class Framed(Layer):
        inner: nn.Dense
        display_name = "my layer"

        def initial_parameters(self, key, dtype):
            return super().initial_parameters(key, dtype) | {"scale": jnp.ones(2, dtype)}

        def print_frame(self):
            return PrintFrame("begin of Framed", ["rate=0.5"], ["and", "  end"])

    layer = Framed(nn.Dense(2, 2))
    assert str(nn.Chain(layer)) == FRAMED
    assert layer_name(layer) == "my layer" and layer_name(nn.Dense(2, 2)) == "Dense"
