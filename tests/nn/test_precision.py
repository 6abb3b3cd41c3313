import dataclasses

import jax
import jax.numpy as jnp
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision
from sciml_lux.programs import walk
from tests.catalogue import LAYERS, SOLVES, example_input

PRODUCTS = {"dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general"}

# Layers whose programs have products of other layers only, which have the option themselves.
CONTAINER = "a container of the user's layers"
WRAPPER = "a wrapper of the user's layer"
WITHOUT_OPTION = {
    "Chain": CONTAINER,
    "Parallel": CONTAINER,
    "BranchLayer": CONTAINER,
    "PairwiseFusion": CONTAINER,
    "Maxout": CONTAINER,
    "StackedRNNCell": CONTAINER,
    "BidirectionalRNN": CONTAINER,
    "SkipConnection": WRAPPER,
    "RepeatedLayer": WRAPPER,
    "AlternatePrecision": WRAPPER,
    "WeightNorm": WRAPPER,
    "Recurrence": WRAPPER,
    "StatefulRecurrentCell": WRAPPER,
    "HamiltonianNN": WRAPPER,
    "PositiveDefinite": WRAPPER,
    "ShiftTo": WRAPPER,
    "FrozenLayer": WRAPPER,
    "TiedLayer": WRAPPER,
    "DebugLayer": WRAPPER,
    "NeuralODE": WRAPPER,
    "UDE": "the user's equation, with the user's layers",
    "CompactLuxLayer": "the user's function",
}


def has_option(layer):
    return "precision" in {field.name for field in dataclasses.fields(layer)}


WITH_OPTION = [pytest.param(e, id=e.name) for e in LAYERS if has_option(e.layer)]


def arguments(entry):
    """Input, parameters and states as shapes of float32."""
    return jax.eval_shape(
        lambda: (
            example_input(entry.x, jnp.float32),
            *lux.setup(jax.random.key(0), entry.layer, jnp.float32),
        )
    )


def products(layer, x, ps, st):
    program = jax.make_jaxpr(lambda x, ps, st: layer(x, ps, st)[0])(x, ps, st)
    names = [visit.equation.primitive.name for visit in walk(program) if visit.equation]
    return sum(name in PRODUCTS for name in names)


def cut_products(layer, x, ps, st):
    """How many products the audit finds asked for less than float32."""
    audit = precision.audit(lambda x, ps, st: layer(x, ps, st)[0], x, ps, st, grads=0)
    return sum(f.count for f in audit.findings if f.kind == "matmul precision")


def test_every_layer_with_a_product_has_the_option_or_a_reason():
    without = {
        type(entry.layer).__name__
        for entry in [*LAYERS, *SOLVES]
        if not has_option(entry.layer) and products(entry.layer, *arguments(entry))
    }
    assert without == set(WITHOUT_OPTION)


@pytest.mark.parametrize("entry", WITH_OPTION)
def test_option_reaches_every_product_and_shows(entry):
    x, ps, st = arguments(entry)
    cut = dataclasses.replace(entry.layer, precision="default")
    assert cut_products(entry.layer, x, ps, st) == 0
    assert cut_products(cut, x, ps, st) == products(cut, x, ps, st) > 0
    assert "precision='default'" in repr(cut)
    assert "precision='default'" in str(cut)
    assert "precision='default'" in repr(lux.summary(cut, x))


@pytest.mark.parametrize("entry", WITH_OPTION)
def test_option_is_checked_when_the_layer_is_built(entry):
    text = (
        f"`{lux.core.layer_name(entry.layer)}` expects `precision` to be "
        '"highest", "high" or "default", got \'tf32\''
    )
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(entry.layer, precision="tf32")


def test_pirate_net_asks_a_function_of_ones_own_for_the_precision_only_where_it_is_given_up():
    make = lambda in_dims, out_dims, f: nn.Dense(in_dims, out_dims, f, use_bias=False)
    assert nn.PirateNet(2, 4, 1, 1, dense=make).sublayers()["gate_u"] == make(4, 4, nn.tanh)
    with pytest.raises(TypeError, match="precision"):
        nn.PirateNet(2, 4, 1, 1, dense=make, precision="high")
