"""What a model prints is made of exported names, those of diffrax, and the user's own."""

import builtins
import functools
import keyword
import operator
import re
import types

import diffrax
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, losses, nn, ode, ops, training
from tests.catalogue import LAYERS, LOSSES, SOLVES

pytestmark = pytest.mark.any_precision
TABLES = [lux, *(value for value in vars(lux).values() if isinstance(value, types.ModuleType))]
EXPORTED = {
    name
    for table in TABLES
    for name, value in vars(table).items()
    if not (name.startswith("_") or isinstance(value, types.ModuleType))
}


def mine(t, u, physics, terms):
    return u


def drawn(key, dtype):
    return np.ones(2, dtype)


def net(m, x):
    return m.layer(x)


DENSE = nn.Dense(2, 2)
PAIR = nn.Chain(DENSE, DENSE)
MORE = {
    "numbers of a UDE": ode.UDE(
        mine, {"rest": DENSE}, (0, 1), {"free": 1.0, "above": ode.Positive(2.0)}
    ),
    "options of a solve": ode.NeuralODE(
        DENSE,
        (0.0, 1.0),
        solver=diffrax.Kvaerno3(),
        stepsize_controller=diffrax.PIDController(1e-3, 1e-3),
        adjoint=diffrax.BacksolveAdjoint(solver=diffrax.Tsit5()),
    ),
    "entries of compact": nn.compact(
        layer=DENSE,
        layers={"a": DENSE},
        parameter=np.ones(3, np.float32),
        made=nn.init_fn(drawn),
        state=nn.non_trainable(np.ones(2, np.float32)),
        constants={"n": 2, "act": (1, nn.tanh)},
    )(net),
    "frozen": nn.freeze(PAIR, *lux.setup(0, PAIR), "layer_1")[0],
    "tied": nn.tie(PAIR, [("layer_1", "layer_2")]),
    "watched": nn.debug_mode(PAIR),
    "partial": nn.Dense(2, 2, functools.partial(ops.leakyrelu, a=0.1)),
    "initializer": nn.Dense(2, 2, init_weight=initializers.kaiming_uniform(gain=2.0)),
    "loss": losses.GenericLossFunction(operator.mul),
    "gradients": training.AutoFiniteDiff(),
    "another name": losses.L1Loss(),
}


def words(text):
    """The names in what was printed: no keywords, labels, comments, texts or function bodies."""
    found = set()
    for line in text.split("\ndef ")[0].splitlines():
        code = re.sub(r"'[^']*'", "", line.split("  # ")[0])
        code = re.sub(r"^\s*[\w.()-]+=(?!=)", "", code)
        assert "<" not in code.replace("<lambda>", "") and " at 0x" not in code, code
        found |= set(re.findall(r"(?<![\w.])([A-Za-z_]\w*)\b(?!=)", code))
    return {word for word in found if not (keyword.iskeyword(word) or hasattr(builtins, word))}


def own_names(value, depth=8):
    """Names of functions and classes reached from `value` that are not of the library."""
    if depth and isinstance(value, tuple | list | dict):
        entries = value.values() if isinstance(value, dict) else value
        return set().union(*(own_names(entry, depth - 1) for entry in entries))
    names = {value} if isinstance(value, str) else set()  # A name that was given to `compact`.
    if callable(value) and not str(getattr(value, "__module__", "")).startswith("sciml_lux"):
        names.add(getattr(value, "__name__", type(value).__name__))
    inside = vars(value) if hasattr(value, "__dict__") and not isinstance(value, type) else {}
    if depth and str(type(value).__module__).startswith("sciml_lux"):
        names |= own_names(dict(inside), depth - 1)
    return names


ENTRIES = {
    **{entry.name: entry.layer for entry in [*LAYERS, *SOLVES]},
    **{repr(entry.loss): entry.loss for entry in LOSSES},
    **MORE,
}


@pytest.mark.parametrize("name", list(ENTRIES))
def test_printed_names_are_exported_or_the_users_own(name):
    value = ENTRIES[name]
    known = EXPORTED | set(vars(diffrax)) | own_names(value) | {"partial", "float32"}
    for text in (repr(value), str(value)):
        assert words(text) <= known, (words(text) - known, text)


def test_number_of_a_ude_prints_as_it_was_given():
    assert "{'free': 1.0, 'above': Positive(2.0)}" in repr(MORE["numbers of a UDE"])


def test_partial_function_prints_as_typed():
    assert repr(MORE["partial"]) == "Dense(2, 2, partial(leakyrelu, a=0.1))"
