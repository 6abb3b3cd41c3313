import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision


def made(layer):
    return lux.setup(jax.random.key(0), layer)


def test_chain_is_composition():
    model = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.relu, nn.Dense(3, 1))
    ps, st = made(model)
    x = jnp.ones((4, 2), jnp.float32)
    by_hand = jnp.maximum(jnp.tanh(x @ ps.layer_1.weight.T + ps.layer_1.bias[None]), 0)
    by_hand = by_hand @ ps.layer_3.weight.T + ps.layer_3.bias[None]
    np.testing.assert_allclose(model(x, ps, st)[0], by_hand, rtol=1e-6)
    assert list(ps) == ["layer_1", "layer_2", "layer_3"] and len(ps.layer_2) == 0


def test_chain_keeps_order_beyond_nine_layers():
    model = nn.Chain(*[nn.Dense(1, 1)] * 11)
    assert list(made(model)[0]) == [f"layer_{i}" for i in range(1, 12)]


def test_chain_layers_draw_different_parameters():
    ps, _ = made(nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2)))
    assert not np.array_equal(ps.layer_1.weight, ps.layer_2.weight)


def test_chain_index_name_and_slice_reach_the_same_layers():
    model = nn.Chain(nn.Dense(2, 3), nn.tanh, nn.Dense(3, 1))
    assert model[0] is model["layer_1"] is model.layer_1 is next(iter(model))
    assert model[-1] is model.layer_3 and len(model) == 3
    ps, st = made(model)
    x = jnp.ones((4, 2), jnp.float32)
    part = model[1:]
    assert part == nn.Chain(layer_2=nn.tanh, layer_3=nn.Dense(3, 1))
    hidden = model[:1](x, ps, st | {})[0]
    np.testing.assert_array_equal(part(hidden, ps, st)[0], model(x, ps, st)[0])


def test_chain_spreads_lists_and_keeps_chains():
    inner = nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2))
    model = nn.Chain([nn.Dense(2, 2), (nn.Dense(2, 2),)], inner)
    assert [type(layer).__name__ for layer in model] == ["Dense", "Dense", "Chain"]


def test_chain_named_layers_name_the_trees():
    model = nn.Chain(encoder=nn.Dense(2, 3), decoder=nn.Dense(3, 2))
    assert list(made(model)[0]) == ["encoder", "decoder"]
    assert repr(model) == "Chain(encoder=Dense(2, 3), decoder=Dense(3, 2))"


def test_chain_keeps_states_of_every_layer():
    class Counter(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(count=jnp.zeros((), jnp.int32))

        def __call__(self, x, ps, st):
            return x, st | {"count": st.count + 1}

    model = nn.Chain(Counter(), nn.Chain(Counter(), nn.NoOpLayer()))
    ps, st = made(model)
    _, st = model(jnp.ones(2, jnp.float32), ps, st)
    assert int(st.layer_1.count) == int(st.layer_2.layer_1.count) == 1


def test_chain_mixing_positions_and_names_is_an_error():
    with pytest.raises(TypeError, match="`Chain` expects layers either by position or by name"):
        nn.Chain(nn.Dense(2, 2), last=nn.Dense(2, 2))


def test_chain_of_something_else_is_an_error():
    with pytest.raises(TypeError, match="`Chain` expects layers or functions, got 3 of type int"):
        nn.Chain(nn.Dense(2, 2), 3)


def test_chain_unknown_layer_lists_the_known():
    with pytest.raises(AttributeError, match="`Chain` has no layer `encoder`; it has layer_1."):
        nn.Chain(nn.Dense(2, 2)).encoder
