"""States that an evaluation of the field changes: refused, frozen, or updated once for a solve."""

import functools
import re

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode

any_precision = pytest.mark.any_precision
pytestmark = pytest.mark.traced

EULER = {"solver": diffrax.Euler(), "dt0": 0.5}
ADJOINTS = {"lean": None, "diffrax": diffrax.RecursiveCheckpointAdjoint()}
NORMED = nn.Chain(nn.Dense(2, 3), nn.BatchNorm(3), nn.Dense(3, 2))


class Counts(lux.Layer):
    """du/dt = count u, and after each call the count is one more, or the same by name or number."""

    what: str = "one more"

    def initial_states(self, key, dtype):
        return lux.Record(count=jnp.asarray(2, dtype))

    def __call__(self, u, ps, st):
        if self.what == "same through jit":
            return u * st.count, st | {"count": jax.jit(lambda c, u: (c, u))(st.count, u)[0]}
        step = {"one more": 1, "same number": 0, "plus u": jnp.sum(u)}
        return u * st.count, st | {"count": st.count + step[self.what]} if self.what in step else st


def made(node, dtype, test=False):
    ps, st = lux.setup(jax.random.key(0), node, dtype=dtype)
    return jnp.arange(6, dtype=dtype).reshape(3, 2) / 4, ps, lux.testmode(st) if test else st


def node_of(model, engine="lean", **options):
    return ode.NeuralODE(model, (0.0, 1.0), adjoint=ADJOINTS[engine], **EULER, **options)


def ude_of(model, known=None, **options):
    def one_term(t, u, physics, terms):
        return terms.net(u)

    return ode.UDE(known or one_term, {"net": model}, (0.0, 1.0), **EULER, **options)


@functools.cache
def once_and_frozen(engine):
    """A model, and two nodes of it, kept, since a program is compiled for each."""
    model = nn.Chain(NORMED, nn.Dropout(0.5))
    return model, *(node_of(model, engine, state_policy=policy) for policy in ("once", "frozen"))


def equal(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), one, other)


@any_precision
@pytest.mark.parametrize("engine", ADJOINTS)
@pytest.mark.parametrize("transformed", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_changing_state_is_refused_by_its_path(engine, transformed, dtype):
    node = node_of(NORMED, engine)
    text = (
        "`NeuralODE`: its vector field changes the state `layer_2.running_mean` and 1 more at each "
        "evaluation, and a solver makes many, in an order of its own. Use `testmode(st)`, or build "
        'the layer with state_policy="once" (each solve updates the states by the evaluation at '
        't0) or "frozen" (they stay as they are).'
    )
    with pytest.raises(lux.StateChangedError, match=f"^{re.escape(text)}"):
        transformed(node)(*made(node, dtype))


@any_precision
def test_refusal_names_where_the_layer_is(dtype):
    model = nn.Chain(nn.Dense(2, 2), node_of(nn.Dropout(0.5)))
    text = r"`NeuralODE` \(at `layer_2`\): its vector field changes the state `rng` at each"
    with pytest.raises(lux.StateChangedError, match=text):
        model(*made(model, dtype))


@any_precision
@pytest.mark.parametrize("engine", ADJOINTS)
def test_test_mode_passes_and_keeps_the_states(engine, dtype):
    node = node_of(nn.Chain(NORMED, nn.Dropout(0.5)), engine)
    u0, ps, st = made(node, dtype, test=True)
    assert node(u0, ps, st)[1] is st
    equal(jax.jit(node)(u0, ps, st)[0], node(u0, ps, st)[0])


@any_precision
def test_state_that_is_computed_is_refused_though_its_number_be_the_same(dtype):
    for what, refused in [("same number", True), ("same", False), ("same through jit", False)]:
        node = node_of(Counts(what))
        u0, ps, st = made(node, dtype)
        if refused:
            with pytest.raises(lux.StateChangedError, match="changes the state `count` at each"):
                node(u0, ps, st)
        else:
            assert node(u0, ps, st)[1] is st


@any_precision
@pytest.mark.parametrize("engine", ADJOINTS)
def test_frozen_state_is_read_and_kept(engine, dtype):
    node = node_of(Counts(), engine, state_policy="frozen")
    u0, ps, st = made(node, dtype)
    y, new = node(u0, ps, st)
    assert new is st
    np.testing.assert_allclose(y, u0 * 4)  # Two steps of Euler, (1 + 2 / 2) each.


@any_precision
@pytest.mark.parametrize("engine", ADJOINTS)
@pytest.mark.parametrize("transformed", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_once_returns_the_states_of_the_evaluation_at_t0(engine, transformed, dtype):
    model, node, frozen = once_and_frozen(engine)
    u0, ps, st = made(node, dtype)
    y, new = transformed(node)(u0, ps, st)
    equal(y, frozen(u0, ps, st)[0])
    _, want = model(u0, ps, st)
    assert jax.tree.structure(new) == jax.tree.structure(st)
    equal(new.layer_1, want.layer_1)
    assert jnp.array_equal(new.layer_2.rng, want.layer_2.rng)
    assert not jnp.array_equal(new.layer_2.rng, st.layer_2.rng)


@any_precision
def test_once_gives_each_solve_another_mask(dtype):
    node = node_of(nn.Chain(nn.Dropout(0.5)), state_policy="once")
    u0, ps, st = jnp.ones(64, dtype), *made(node, dtype)[1:]
    y, new = node(u0, ps, st)
    again, _ = node(u0, ps, new)
    assert set(np.unique(y)) == {1, 4}  # One mask for the whole solve: kept entries grow by 2 u.
    assert not np.array_equal(y, again)


def test_once_in_half_precision_changes_what_changes_alone():
    node = node_of(NORMED, state_policy="once")
    u0, ps, st = made(node, jnp.bfloat16)
    _, new = node(u0, ps, st)
    assert new.layer_2.running_mean.dtype == jnp.bfloat16
    assert node(*made(node, jnp.bfloat16, test=True))[1].layer_2.running_var is not None
    assert node_of(NORMED)(*made(node, jnp.bfloat16, test=True))[0].dtype == jnp.bfloat16


@any_precision
def test_gradient_reaches_parameters_and_the_new_states(dtype):
    node = node_of(NORMED, state_policy="once")
    u0, ps, st = made(node, dtype)

    def loss(ps):
        y, new = node(u0, ps, st)
        return jnp.sum(y), new.layer_2.running_mean

    (_, mean), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(ps)
    equal(mean, NORMED(u0, ps, st)[1].layer_2.running_mean)
    assert jnp.any(grads.layer_1.weight != 0)


@any_precision
def test_ude_names_the_term_and_chains_its_calls(dtype):
    model = ude_of(nn.Chain(Counts()))
    with pytest.raises(lux.StateChangedError, match="`UDE`.* state `terms.net.layer_1.count` at"):
        model(*made(model, dtype))

    def twice(t, u, physics, terms):
        return terms.net(u) + terms.net(u)

    model = ude_of(Counts(), twice, state_policy="once")
    u0, ps, st = made(model, dtype)
    y, new = model(u0, ps, st)
    assert new.terms.net.count == 4
    np.testing.assert_allclose(y, u0 * (1 + (2 + 3) / 2) ** 2, rtol=1e-5)
    frozen = ude_of(Counts(), twice, state_policy="frozen")
    np.testing.assert_allclose(frozen(u0, ps, st)[0], u0 * (1 + (2 + 2) / 2) ** 2, rtol=1e-5)


@any_precision
def test_term_inside_a_transformation(dtype):
    def by_rows(t, u, physics, terms):
        return jax.vmap(terms.net)(u)

    same = ude_of(Counts("same"), by_rows)
    u0, ps, st = made(same, dtype)
    np.testing.assert_allclose(same(u0, ps, st)[0], u0 * 4)
    with pytest.raises(lux.StateChangedError, match="changes the state `terms.net.count` at each"):
        ude_of(Counts(), by_rows)(u0, ps, st)
    # The number of calls is the same for all rows; a sum over a row is not.
    assert ude_of(Counts(), by_rows, state_policy="once")(u0, ps, st)[1].terms.net.count == 3
    text = r'state_policy="once", but .* `terms.net.count` inside `jax.vmap`, `jax.grad` or a loop'
    with pytest.raises(lux.StateChangedError, match=text):
        ude_of(Counts("plus u"), by_rows, state_policy="once")(u0, ps, st)
    frozen = ude_of(Counts(), by_rows, state_policy="frozen")
    np.testing.assert_allclose(frozen(u0, ps, st)[0], u0 * 4)


@any_precision
def test_stateful_layer_of_a_node_keeps_or_refuses(dtype):
    node = node_of(Counts(), state_policy="once")
    u0, ps, st = made(node, dtype)
    f = lux.StatefulLuxLayer(node, ps, st)
    with pytest.raises(lux.StateChangedError, match="the state changed in this call"):
        f(u0)
    y, g = f.call(u0)
    assert (f.st.count, g.st.count) == (2, 3) and y.shape == u0.shape
    frozen = lux.StatefulLuxLayer(node_of(Counts(), state_policy="frozen"), ps, st)
    equal(frozen(u0), y)


@any_precision
def test_states_differ_over_a_batch_of_solves(dtype):
    node = node_of(NORMED, state_policy="once")
    u0, ps, st = made(node, dtype)
    batch = jnp.stack([u0, 2 * u0])
    _, new = jax.vmap(lambda u: node(u, ps, st))(batch)
    rows = [node(u, ps, st)[1].layer_2.running_mean for u in batch]
    equal(new.layer_2.running_mean, jnp.stack(rows))


@any_precision
@pytest.mark.parametrize("value", ["carry", None, True])
def test_unknown_policy_is_an_error(value):
    text = f'`state_policy` to be "refuse", "frozen" or "once", got {value!r}'
    with pytest.raises(ValueError, match=text):
        node_of(Counts(), state_policy=value)
