"""Booleans are refused where numbers are expected, by every layer, loss, op and initialiser."""

import dataclasses
import types
import typing

import jax
import jax.numpy as jnp
import pytest

from sciml_lux import StaticValue, initializers, losses, nn, ops, training
from tests import catalogue

pytestmark = pytest.mark.any_precision


def values_in(value):
    """The value and all in its fields, each class once."""
    if isinstance(value, StaticValue):
        yield value
        value = tuple(getattr(value, field.name) for field in dataclasses.fields(value))
    if isinstance(value, tuple):
        for entry in value:
            yield from values_in(entry)


def kinds_of(annotation):
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return set().union(*map(kinds_of, typing.get_args(annotation)))
    return {annotation}


def number_fields():
    entries = [*catalogue.LAYERS, *catalogue.SOLVES, *catalogue.LOSSES]
    roots = [getattr(entry, "layer", None) or entry.loss for entry in entries]
    found = {}
    for value in (v for root in (*roots, training.AutoFiniteDiff()) for v in values_in(root)):
        kind = type(value)
        for field in () if kind._custom_init else dataclasses.fields(kind):
            kinds = kinds_of(field.type)
            if field.init and kinds & {int, float} and bool not in kinds:
                found.setdefault(f"{kind.__name__}.{field.name}", (value, field.name))
    return found


NUMBERS = number_fields()


def test_the_catalogue_has_options_that_are_numbers():
    assert len(NUMBERS) > 90
    assert {"Dense.in_dims", "HuberLoss.delta", "NeuralODE.rtol", "Dropout.p"} <= set(NUMBERS)


@pytest.mark.parametrize("name", NUMBERS)
def test_true_is_not_a_number(name):
    value, field = NUMBERS[name]
    with pytest.raises((TypeError, ValueError), match=r"` expects .* got .*True"):
        dataclasses.replace(value, **{field: True})


X = jnp.ones((1, 4, 2), jnp.float32)
KEY = jax.random.key(0)
CALLS = {
    "Scale": lambda: nn.Scale(True),
    "Dropout.axes": lambda: nn.Dropout(0.5, axes=True),
    "WeightNorm.axis": lambda: nn.WeightNorm(nn.Dense(1, 1), "weight", axis=True),
    "dropout": lambda: ops.dropout(KEY, X, True, True),
    "dropout.axes": lambda: ops.dropout(KEY, X, 0.5, True, axes=True),
    "alpha_dropout": lambda: ops.alpha_dropout(KEY, X, True, True),
    "layernorm": lambda: ops.layernorm(X, None, None, axis=True),
    "rmsnorm": lambda: ops.rmsnorm(X, None, axis=True),
    "conv.groups": lambda: ops.conv(X, jnp.ones((2, 2, 1), jnp.float32), groups=True),
    "conv.stride": lambda: ops.conv(X, jnp.ones((2, 2, 1), jnp.float32), stride=True),
    "conv.padding": lambda: ops.conv(X, jnp.ones((2, 2, 1), jnp.float32), padding=True),
    "max_pool": lambda: ops.max_pool(X, (True,)),
    "lp_pool": lambda: ops.lp_pool(X, (2,), p=True),
    "upsample_nearest": lambda: ops.upsample_nearest(X, scale=True),
    "Batches": lambda: training.Batches(X, True),
    "EarlyStopping": lambda: training.EarlyStopping(True),
    "EarlyStopping.min_delta": lambda: training.EarlyStopping(3, True),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_true_is_not_a_number_for_functions_and_classes(call):
    with pytest.raises((TypeError, ValueError), match=r"expects .* got .*True"):
        call()


@pytest.mark.parametrize(
    ("init", "option"),
    [
        (initializers.uniform, "bound"),
        (initializers.normal, "mean"),
        (initializers.normal, "std"),
        (initializers.truncated_normal, "lower"),
        (initializers.kaiming_uniform, "gain"),
        (initializers.kaiming_normal, "in_axis"),
        (initializers.glorot_uniform, "out_axis"),
        (initializers.glorot_normal, "gain"),
        (initializers.orthogonal, "gain"),
        (initializers.identity_init, "gain"),
        (initializers.sparse_init, "sparsity"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("value", [True, "1", None])
def test_options_of_initialisers_are_numbers(init, option, value):
    text = rf"`{init.__name__}` expects `{option}` to be an? (number|integer), got {value!r}"
    with pytest.raises(TypeError, match=text):
        init(**{option: value})
    with pytest.raises(TypeError, match=text):
        init(KEY, (2, 2), jnp.float32, **{option: value})


@pytest.mark.parametrize("value", [None, "1e-3", jnp.ones(2, jnp.float32), float("nan"), 0.0])
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_tolerances_are_numbers_above_zero(name, value):
    value_of, _ = NUMBERS["NeuralODE.rtol"]
    with pytest.raises((TypeError, ValueError), match=f"`NeuralODE` expects `{name}` to be a num"):
        dataclasses.replace(value_of, **{name: value})


def test_options_of_losses_are_in_their_range():
    with pytest.raises(ValueError, match=r"`FocalLoss` expects `gamma` to be a number of at least"):
        losses.FocalLoss(gamma=-1.0)
    with pytest.raises(TypeError, match=r"`CrossEntropyLoss` expects `axis` to be an integer"):
        losses.CrossEntropyLoss(axis=1.0)
    with pytest.raises(
        ValueError, match=r"`MSLELoss` expects `epsilon` to be a number of at least"
    ):
        losses.MSLELoss(epsilon=-1e-3)
