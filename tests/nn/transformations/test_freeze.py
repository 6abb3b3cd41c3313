import operator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, ode, training
from tests.core.layers import Pair, Running, Scale

any_precision = pytest.mark.any_precision

X = jnp.asarray([[1.0, -2.0], [0.5, 3.0]], jnp.float32)
MODEL = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 3, nn.tanh), nn.Dense(3, 1))


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def assert_same(left, right):
    """The same layer, the same structure, the same bits."""
    assert left[0] == right[0]
    assert jax.tree.structure(left[1:]) == jax.tree.structure(right[1:])
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype and jnp.array_equal(a, b)


def test_freezing_all_leaves_no_parameters():
    ps, st = made(MODEL)
    frozen, kept, states = nn.freeze(MODEL, ps, st)
    assert isinstance(frozen, nn.FrozenLayer) and jax.tree.leaves(kept) == []
    np.testing.assert_array_equal(frozen(X, kept, states)[0], MODEL(X, ps, st)[0])


def test_freezing_by_name_moves_that_parameter_to_the_states():
    layer = nn.Dense(2, 3)
    ps, st = made(layer)
    frozen, kept, states = nn.freeze(layer, ps, st, "weight")
    assert frozen == nn.FrozenLayer(layer, ("weight",)) and list(kept) == ["bias"]
    assert states.frozen_params.weight is ps.weight and list(states) == ["frozen_params", "states"]
    y, after = frozen(X, kept, states)
    np.testing.assert_array_equal(y, layer(X, ps, st)[0])
    assert lux.core.internal.first_difference(states, after) is None


@pytest.mark.parametrize(
    ("which", "model"),
    [
        ("layer_2", nn.Chain(MODEL[0], nn.FrozenLayer(MODEL[1]), MODEL[2])),
        (("layer_1.bias",), nn.Chain(nn.FrozenLayer(MODEL[0], ("bias",)), MODEL[1], MODEL[2])),
        (
            ["layer_3", "layer_1.weight", "layer_1.bias"],
            nn.Chain(
                nn.FrozenLayer(MODEL[0], ("weight", "bias")), MODEL[1], nn.FrozenLayer(MODEL[2])
            ),
        ),
    ],
)
def test_freezing_by_path_builds_the_model_anew(which, model):
    ps, st = made(MODEL)
    frozen, kept, states = nn.freeze(MODEL, ps, st, which)
    assert frozen == model == nn.freeze(MODEL, which=which)
    assert jax.tree.structure((kept, states)) == jax.tree.structure(made(frozen))
    np.testing.assert_array_equal(frozen(X, kept, states)[0], MODEL(X, ps, st)[0])
    assert_same(nn.unfreeze(frozen, kept, states), (MODEL, ps, st))
    assert nn.unfreeze(frozen) == MODEL


def known(t, u, physics, terms):
    return physics.rate * u - terms.loss(u) - terms.gain(u)


PLACES = [
    (nn.SkipConnection(nn.Dense(2, 2), operator.add), "weight"),
    (nn.SkipConnection(nn.Dense(2, 2), nn.Parallel(operator.add, nn.relu, nn.relu)), "layers"),
    (nn.Parallel(nn.WrappedFunction(sum), nn.Dense(2, 2), nn.Dense(2, 2)), "layers.layer_2.bias"),
    (nn.Parallel(nn.WrappedFunction(sum), nn.Dense(2, 2), nn.Dense(2, 2)), "layers"),
    (nn.RepeatedLayer(nn.Chain(nn.Dense(2, 2), nn.tanh), 3), "layer_1.weight"),
    (Pair(nn.Dense(2, 2), (Running(2), Scale(2))), ("rest.layer_2", "first.weight")),
    (Pair(nn.Dense(2, 2), (Scale(2), Scale(2))), "rest"),
    (nn.Chain(nn.Chain(nn.Dense(2, 2), Running(2)), nn.Dense(2, 2)), "layer_1"),
    (nn.tie(nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2)), [("layer_1", "layer_2")]), "layer_1.bias"),
    (nn.Chain(nn.FrozenLayer(nn.Dense(2, 2), ("weight",))), "layer_1"),
    (nn.AlternatePrecision("bfloat16", nn.Dense(2, 2)), "weight"),
    (nn.Chain(nn.AlternatePrecision("bfloat16", MODEL)), "layer_1.layer_2.bias"),
    (nn.AlternatePrecision("bfloat16", MODEL, cast_params=False), "layer_2.bias"),
    (nn.MLP(2, (3, 3, 1), residual_connection=True), ("block1.bias", "block2")),
    (nn.SIREN(2, (4, 4), 2), "layer_1.weight"),
    (nn.PirateNet(2, 4, 1, 2), ("gate_u", "block_1.dense_1.bias", "output.weight")),
    (nn.Chain(lambda x: x[None, None], nn.MultiHeadAttention(2)), "layer_2.q_proj"),
]


@any_precision
@pytest.mark.parametrize(("model", "which"), PLACES, ids=repr)
def test_freezing_keeps_the_output_and_the_round_trip_is_exact(model, which):
    x = X[0]
    ps, st = made(model)
    frozen, kept, states = nn.freeze(model, ps, st, which)
    assert lux.parameter_length(kept) < lux.parameter_length(ps)
    assert lux.parameter_length(kept) == lux.parameter_length(frozen)
    total = lux.parameter_length(ps) + lux.state_length(st)
    assert lux.parameter_length(kept) + lux.state_length(states) == total
    for got, want in zip(
        jax.tree.leaves(frozen(x, kept, states)[0]),
        jax.tree.leaves(model(x, ps, st)[0]),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)
    back = nn.unfreeze(frozen, kept, states)
    assert_same(back, nn.unfreeze(model, ps, st))


def test_freezing_goes_around_a_layer_that_casts_its_parameters():
    dense = nn.Dense(2, 2)
    cast, kept = (nn.AlternatePrecision("bfloat16", dense, cast_params=c) for c in (True, False))
    assert nn.freeze(cast, which="bias") == nn.FrozenLayer(cast, ("bias",))
    inner = nn.FrozenLayer(dense, ("bias",))
    assert nn.freeze(kept, which="bias") == nn.AlternatePrecision(
        "bfloat16", inner, cast_params=False
    )


def test_a_layer_with_others_in_place_of_those_it_makes_prints_so():
    frozen = nn.freeze(nn.FNOBlock(2, 3, 4), which="pointwise.bias")
    text = (
        "FNOBlock(2, 3, (4,)).with_sublayers({'spectral': SpectralConv(2, 3, (4,)), "
        "'pointwise': FrozenLayer(Dense(2, 3), ('bias',))})"
    )
    assert repr(frozen) == text and repr(nn.unfreeze(frozen)) == "FNOBlock(2, 3, (4,))"


@any_precision
def test_freezing_a_parameter_of_a_containers_own_wraps_the_container():
    terms = {"loss": nn.Dense(2, 2), "gain": nn.Dense(2, 2)}
    model = ode.UDE(known, terms, (0.0, 0.1), {"rate": 0.5})
    ps, st = made(model)
    frozen, kept, states = nn.freeze(model, ps, st, ("physics.rate", "terms.gain"))
    assert isinstance(frozen, nn.FrozenLayer) and frozen.which == ("physics.rate",)
    assert dict(frozen.layer.terms)["gain"] == nn.FrozenLayer(nn.Dense(2, 2))
    assert dict(frozen.layer.terms)["loss"] == nn.Dense(2, 2)
    np.testing.assert_array_equal(frozen(X[0], kept, states)[0], model(X[0], ps, st)[0])
    assert_same(nn.unfreeze(frozen, kept, states), (model, ps, st))


def test_freezing_twice_is_freezing_both():
    layer = nn.Dense(2, 3)
    once = nn.freeze(layer, *made(layer), "weight")
    twice = nn.freeze(*once, "bias")
    assert twice[0] == nn.FrozenLayer(layer, ("weight", "bias"))
    assert jax.tree.leaves(twice[1]) == [] and list(twice[2].frozen_params) == ["weight", "bias"]
    assert_same(nn.unfreeze(*twice), (layer, *made(layer)))


def test_freezing_layers_without_parameters_changes_nothing():
    model = nn.Chain(nn.Dense(2, 3), nn.relu)
    assert nn.freeze(model, which="layer_2") == model == nn.freeze(model, which=())


@any_precision
def test_gradients_are_those_of_what_is_not_frozen(dtype):
    ps, st = made(MODEL, dtype)
    x = X.astype(dtype)
    frozen, kept, states = nn.freeze(MODEL, ps, st, ("layer_2", "layer_1.bias"))
    full = jax.grad(lambda ps: jnp.sum(MODEL(x, ps, st)[0]))(ps)
    part = jax.grad(lambda ps: jnp.sum(frozen(x, ps, states)[0]))(kept)
    assert [list(layer) for layer in part.values()] == [["weight"], [], ["weight", "bias"]]
    np.testing.assert_array_equal(part.layer_1.weight, full.layer_1.weight)
    np.testing.assert_array_equal(part.layer_3.bias, full.layer_3.bias)


def test_training_lowers_the_loss_and_leaves_the_frozen_layer_bit_for_bit(dtype):
    frozen, ps, st = nn.freeze(MODEL, *made(MODEL, dtype), "layer_2")
    before = jax.tree.map(np.array, st.layer_2.frozen_params)
    x = jax.random.normal(jax.random.key(1), (16, 2), dtype)
    data = (x, jnp.sin(x[:, :1]))
    tstate = training.TrainState(frozen, ps, st, optax.adamw(1e-2))
    seen = []
    for _ in range(60):
        _, loss, _, tstate = training.single_train_step(
            training.AutoReverse(), losses.MSELoss(), data, tstate
        )
        seen.append(float(loss))
    assert seen[-1] < 0.5 * seen[0]
    after = tstate.states.layer_2.frozen_params
    np.testing.assert_array_equal(after.weight, before.weight)
    np.testing.assert_array_equal(after.bias, before.bias)
    assert not np.array_equal(tstate.parameters.layer_1.weight, ps.layer_1.weight)
    moments = tstate.optimizer_state[0].mu
    assert jax.tree.structure(moments) == jax.tree.structure(ps)
    model, whole, _ = nn.unfreeze(frozen, tstate.parameters, tstate.states)
    assert model == MODEL and whole.layer_2.weight is after.weight


def test_states_of_a_frozen_layer_still_change():
    model = nn.Chain(Running(2), nn.Dense(2, 2))
    frozen, ps, st = nn.freeze(model, *made(model))
    _, new = frozen(X[0], ps, st)
    assert new.states.layer_1.count == 1
    new = lux.testmode(new)
    assert not new.states.layer_1.training
    assert frozen(X[0], ps, new)[1].states.layer_1.count == 1


@any_precision
def test_a_flat_view_and_a_named_tuple_are_parameters_too():
    frozen, ps, st = nn.freeze(MODEL, *made(MODEL), "layer_2.weight")
    flat = lux.ComponentArray(ps)
    np.testing.assert_array_equal(frozen(X, flat, st)[0], frozen(X, ps, st)[0])
    assert list(nn.freeze(MODEL, lux.ComponentArray(made(MODEL)[0]), made(MODEL)[1], "layer_1")[1])


def test_frozen_layer_starts_from_the_states_key():
    model = nn.FrozenLayer(nn.Dense(2, 3), "weight")
    ps, st = made(model)
    assert ps.bias.shape == (3,) and st.frozen_params.weight.shape == (3, 2)
    assert st.frozen_params.weight.std() > 0


def test_frozen_layer_prints_and_counts_frozen_parameters_as_states():
    frozen = nn.freeze(MODEL, which="layer_2")
    assert (lux.parameter_length(frozen), lux.state_length(frozen)) == (13, 12)
    text = str(frozen)
    assert "layer_2=FrozenLayer(Dense(3, 3, tanh))," in text
    assert "Total: 13 parameters," in text and "plus 12 states." in text
    alone = str(nn.FrozenLayer(nn.Dense(2, 3), "weight"))
    assert alone.endswith("# 3 parameters, plus 6 states")


def test_summary_shows_a_frozen_layer_with_what_is_left():
    table = lux.summary(nn.freeze(MODEL, which="layer_2"), X)
    assert [(row.path, row.layer, row.parameters) for row in table.rows] == [
        ("layer_1", "Dense(2, 3, tanh)", 9),
        ("layer_2", "FrozenLayer(Dense(3, 3, tanh))", 0),
        ("layer_3", "Dense(3, 1)", 4),
    ]
    assert table.total.parameters == 13


def test_errors_inside_a_frozen_layer_have_its_path():
    frozen, ps, st = nn.freeze(MODEL, *made(MODEL), "layer_1")
    with pytest.raises(ValueError, match=r"`Dense` \(at `layer_1`\) expects the last axis"):
        frozen(jnp.ones((2, 5), jnp.float32), ps, st)


@pytest.mark.parametrize(
    ("which", "text"),
    [
        ("layer_4", "`freeze` finds no parameter `layer_4`; there is `layer_1`, `layer_2`, `layer"),
        ("layer_1.scale", "no parameter `layer_1.scale`; `layer_1` has `weight`, `bias`"),
        (["layer_2", "layer_1.weight.x"], "`layer_1.weight.x`; `layer_1.weight` has none"),
        ("", "no parameter ``; there is `layer_1`"),
    ],
)
def test_unknown_parameters_are_errors_that_list_what_exists(which, text):
    with pytest.raises(KeyError, match=text):
        nn.freeze(MODEL, *made(MODEL), which)


def test_unknown_parameter_of_a_frozen_layer_is_an_error():
    with pytest.raises(KeyError, match="`FrozenLayer` finds no parameter `scale`; there is `weigh"):
        nn.FrozenLayer(nn.Dense(2, 3), "scale")


def test_names_that_are_no_strings_are_an_error():
    with pytest.raises(TypeError, match="parameters are named by dotted paths such as 'layer_1.w"):
        nn.freeze(MODEL, *made(MODEL), [1])


def test_freezing_with_parameters_alone_is_an_error():
    text = "`freeze` expects both `ps` and `st` or neither of them, and names as `which`"
    with pytest.raises(TypeError, match=text):
        nn.freeze(MODEL, made(MODEL)[0])
    with pytest.raises(TypeError, match=text):
        nn.freeze(MODEL, "layer_1", "layer_2")
    with pytest.raises(TypeError, match="`unfreeze` expects both `ps` and `st` or neither of them"):
        nn.unfreeze(MODEL, made(MODEL)[0])


DENSE = nn.FrozenLayer(nn.Dense(2, 2), "bias")
TIED = nn.tie(nn.Chain(DENSE, nn.Dense(2, 2)), [("layer_1.weight", "layer_2.weight")])
CELL = nn.FrozenLayer(nn.GRUCell(2, 2), "bias_ih")


@any_precision
@pytest.mark.parametrize(
    ("model", "text"),
    [
        (TIED, r"`unfreeze` expects nothing frozen inside `TiedLayer`, whose trees do not"),
        (nn.Chain(nn.WeightNorm(DENSE, "weight")), r"inside `WeightNorm` \(at `layer_1`\), whose"),
        (nn.StatefulRecurrentCell(CELL, in_dims=2), "inside `StatefulRecurrentCell`, whose"),
        (nn.FrozenLayer(TIED), "inside `TiedLayer`, whose trees .* got TiedLayer.* Unfreeze the "),
    ],
    ids=repr,
)
def test_what_cannot_be_unfrozen_is_an_error(model, text):
    with pytest.raises(TypeError, match=text):
        nn.unfreeze(model, *made(model))
    with pytest.raises(TypeError, match=text):
        nn.unfreeze(model)
