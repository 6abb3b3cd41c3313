"""What events refuse, in words."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import nn, ode, setup
from tests.ode.events.systems import array, line, passes, stays

pytestmark = pytest.mark.any_precision


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (lambda: ode.Event(1.0), TypeError, "`Event` expects `condition` to be a function"),
        (lambda: ode.Event(stays, 1.0), TypeError, "`Event` expects `affect` to be a function"),
        (lambda: ode.Event(stays, direction=2), ValueError, "`direction` to be -1, 0 or 1, got 2"),
        (lambda: ode.Event(stays, terminal=1), TypeError, "`terminal` to be None, True or False"),
        (lambda: ode.PresetTimes([1.0], None), TypeError, "`affect` to be a function, got None"),
        (lambda: ode.PresetTimes([], stays), ValueError, "sequence of finite times"),
        (lambda: ode.PresetTimes([np.nan], stays), ValueError, "sequence of finite times"),
        (lambda: ode.PresetTimes([[1.0]], stays), ValueError, "sequence of finite times"),
        (lambda: ode.PresetTimes("now", stays), TypeError, "`ts` to be numbers"),
        (lambda: ode.PresetTimes([True], stays), TypeError, "`ts` to be numbers"),
        (lambda: line([passes(1.0)]), TypeError, "`events` to be a tuple, got list"),
        (lambda: line((stays,)), TypeError, r"`events\[0\]` to be an `Event` or `PresetTimes`"),
        (lambda: line((passes(1.0),), max_events=0), ValueError, "`max_events` to be an integer"),
    ],
    ids=map(str, range(13)),
)
def test_options_of_another_kind(build, error, text):
    with pytest.raises(error, match=text):
        build()


@pytest.mark.parametrize(
    ("event", "error", "text"),
    [
        (
            ode.Event(lambda t, u, a: u > 1),
            TypeError,
            r"`condition` of `events\[0\]` must return a real scalar in the dtype of time, "
            r"float\d\d, got bool",
        ),
        (
            ode.Event(lambda t, u, a: jnp.stack([u, u])),
            TypeError,
            "For events of each sample give the problem times of each sample",
        ),
        (
            passes(1.0, lambda t, u, a: jnp.stack([u, u])),
            ValueError,
            r"`affect` of `events\[0\]` must return the shape and dtype of the state, expected",
        ),
        (
            passes(1.0, lambda t, u, a: u.astype(jnp.float16)),
            TypeError,
            r"`affect` of `events\[0\]` must return the shape and dtype of the state, expected",
        ),
        (passes(1.0, lambda t, u, a: (u,)), TypeError, "must return a tree like the state"),
        (
            ode.PresetTimes(lambda a: jnp.zeros((1, 1)), stays),
            ValueError,
            r"`PresetTimes` expects `ts` of the shape \(n,\), got \(1, 1\)",
        ),
        (
            ode.PresetTimes(lambda a: jnp.asarray([True]), stays),
            TypeError,
            "`PresetTimes` expects `ts` of real numbers, got bool",
        ),
    ],
    ids=[
        "boolean",
        "vector",
        "shape",
        "dtype",
        "tree",
        "times of two axes",
        "times that are booleans",
    ],
)
def test_functions_that_return_something_else(event, error, text):
    with pytest.raises(error, match=text):
        line((event,))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dense": True}, "has `events`, with which dense=True is not possible"),
        ({"estimates": True}, "has `events`, with which estimates=True is not possible"),
        (
            {"adjoint": diffrax.BacksolveAdjoint()},
            "has `events`, with which adjoint=BacksolveAdjoint is not possible",
        ),
    ],
    ids=["dense", "estimates", "backsolve"],
)
def test_options_that_events_do_not_go_with(options, text):
    node = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), events=(passes(1.0),), **options)
    with pytest.raises(ValueError, match=text):
        node(array([0.0]), *setup(0, node, dtype=array(0.0).dtype))
