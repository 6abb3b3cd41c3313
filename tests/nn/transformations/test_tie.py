import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.conftest import needs_x64

X = jnp.asarray([[1.0, -2.0, 0.5], [0.5, 3.0, 1.0]], jnp.float32)
D = nn.Dense(3, 3, nn.tanh)
MODEL = nn.Chain(D, nn.Chain(D, nn.relu), D, nn.Dense(3, 1))
GROUPS = (("layer_1", "layer_2.layer_1"), ("layer_3.weight", "layer_4.weight"))
WHOLE = [("layer_1", "layer_2.layer_1", "layer_3")]


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_tied_layer_holds_each_group_once_at_its_first_place():
    tied = nn.tie(MODEL, WHOLE)
    ps, st = made(tied)
    entries = [list(layer) for layer in ps.values()]
    assert entries == [["weight", "bias"], ["layer_2"], ["weight", "bias"]]
    assert list(ps) == ["layer_1", "layer_2", "layer_4"]
    assert lux.parameter_length(tied) == lux.parameter_length(ps) == 12 + 4
    assert jax.tree.structure(st) == jax.tree.structure(made(MODEL)[1])
    np.testing.assert_array_equal(ps.layer_1.weight, made(MODEL)[0].layer_1.weight)


def test_tied_layer_computes_what_the_layer_does_with_the_same_arrays():
    tied = nn.tie(MODEL, WHOLE)
    ps, st = made(tied)
    whole = tied.expand(ps)
    assert whole.layer_1.weight is whole.layer_2.layer_1.weight is whole.layer_3.weight
    assert jax.tree.structure(whole) == jax.tree.structure(made(MODEL)[0])
    np.testing.assert_array_equal(tied(X, ps, st)[0], MODEL(X, whole, st)[0])
    assert jax.tree.structure(tied.contract(whole)) == jax.tree.structure(ps)


def test_parts_of_layers_are_tied_too():
    tied = nn.tie(
        MODEL, [("layer_1.weight", "layer_3.weight"), ("layer_2.layer_1.bias", "layer_3.bias")]
    )
    ps, _ = made(tied)
    assert list(ps.layer_3) == [] and list(ps.layer_1) == ["weight", "bias"]
    assert list(tied.expand(ps).layer_3) == ["weight", "bias"]


@needs_x64
def test_gradient_of_the_tied_is_the_sum_of_those_of_the_untied():
    tied = nn.tie(MODEL, WHOLE)
    ps, st = made(tied, jnp.float64)
    x = X.astype(jnp.float64)
    got = jax.grad(lambda ps: jnp.sum(tied(x, ps, st)[0] ** 2))(ps)
    parts = jax.grad(lambda ps: jnp.sum(MODEL(x, ps, st)[0] ** 2))(tied.expand(ps))
    for name in ("weight", "bias"):
        expected = parts.layer_1[name] + parts.layer_2.layer_1[name] + parts.layer_3[name]
        np.testing.assert_allclose(got.layer_1[name], expected, rtol=1e-14, atol=1e-14)
        assert jnp.abs(expected - parts.layer_1[name]).max() > 1e-3
    np.testing.assert_allclose(got.layer_4.weight, parts.layer_4.weight, rtol=1e-14)


def test_the_optimiser_has_one_copy_and_training_lowers_the_loss(dtype):
    tied = nn.tie(MODEL, WHOLE)
    ps, st = made(tied, dtype)
    x = jax.random.normal(jax.random.key(1), (16, 3), dtype)
    tstate = training.TrainState(tied, ps, st, optax.adam(1e-2))
    moments = tstate.optimizer_state[0].mu
    assert sum(leaf.size for leaf in jax.tree.leaves(moments)) == 16
    seen = []
    for _ in range(40):
        _, loss, _, tstate = training.single_train_step(
            training.AutoReverse(), losses.MSELoss(), (x, jnp.sin(x[:, :1])), tstate
        )
        seen.append(float(loss))
    assert seen[-1] < 0.7 * seen[0]
    whole = tied.expand(tstate.parameters)
    assert whole.layer_1.weight is whole.layer_3.weight


def test_tied_layer_takes_a_flat_view():
    tied = nn.tie(MODEL, WHOLE)
    ps, st = made(tied)
    np.testing.assert_array_equal(tied(X, lux.ComponentArray(ps), st)[0], tied(X, ps, st)[0])


def test_tied_layer_prints_what_one_would_type():
    tied = nn.tie(nn.Chain(D, D), [("layer_1", "layer_2")])
    assert repr(tied) == f"TiedLayer({nn.Chain(D, D)!r}, (('layer_1', 'layer_2'),))"
    text = str(tied)
    assert "12 parameters fewer than its layers" in text and "Total: 12 parameters," in text
    assert "groups=(('layer_1', 'layer_2'),)," in text


def test_errors_inside_a_tied_layer_have_the_path_of_the_layer():
    tied = nn.Chain(first=nn.tie(MODEL, WHOLE))
    with pytest.raises(ValueError, match=r"`Dense` \(at `first.layer_1`\) expects the last axis"):
        tied(X[:, :2], *made(tied))


BAD = [
    ([("layer_1", "layer_9")], KeyError, "finds no parameter `layer_9`; there is `layer_1`, `lay"),
    ([("layer_1.weight", "layer_3.scale")], KeyError, "`layer_3` has `weight`, `bias`"),
    ([("layer_1",)], ValueError, r"expects groups of at least two places, got \('layer_1',\)"),
    (
        [("layer_1", "layer_4")],
        ValueError,
        r"expects `layer_1` and `layer_4` to have one structure, shape and dtype, at `weight`: "
        r"expected float32\[3,3\], got float32\[1,3\]",
    ),
    (
        [("layer_1", "layer_2")],
        ValueError,
        "`layer_1` and `layer_2` to have one structure, shape and dtype, at `weight`: expected",
    ),
    (
        [("layer_1", "layer_3"), ("layer_2.layer_1", "layer_1")],
        ValueError,
        "expects places that do not overlap, got `layer_1` and `layer_1`. Name each place once",
    ),
    (
        [("layer_1", "layer_3"), ("layer_2.layer_1.bias", "layer_1.bias")],
        ValueError,
        "expects places that do not overlap, got `layer_1` and `layer_1.bias`",
    ),
]


@pytest.mark.parametrize(("groups", "error", "text"), BAD)
def test_bad_groups_are_errors(groups, error, text):
    with pytest.raises(error, match=f"`TiedLayer` .*{text}") as one:
        nn.tie(MODEL, groups)
    with pytest.raises(error) as other:
        nn.share_parameters(made(MODEL)[0], groups)
    assert str(other.value) == str(one.value).replace("`TiedLayer`", "`share_parameters`")


def test_shared_parameters_are_the_same_arrays():
    ps, st = made(MODEL)
    shared = nn.share_parameters(ps, GROUPS[:1])
    assert shared.layer_1.weight is shared.layer_2.layer_1.weight is ps.layer_1.weight
    assert shared.layer_3.weight is ps.layer_3.weight
    assert jax.tree.structure(shared) == jax.tree.structure(ps)
    grads = jax.grad(lambda ps: jnp.sum(MODEL(X, ps, st)[0]))(shared)
    assert not np.array_equal(grads.layer_1.weight, grads.layer_2.layer_1.weight)


def test_shared_parameters_may_be_new():
    ps, _ = made(MODEL)
    new = jax.tree.map(jnp.ones_like, ps.layer_1)
    shared = nn.share_parameters(ps, GROUPS[:1], [new])
    assert shared.layer_1 is shared.layer_2.layer_1 is new


def test_new_parameters_do_not_share_the_memory_of_numpy():
    ps, _ = made(MODEL)
    new = jax.tree.map(np.ones_like, ps.layer_1)
    shared = nn.share_parameters(ps, GROUPS[:1], [new])
    new.weight[:] = 7.0
    np.testing.assert_array_equal(shared.layer_1.weight, jnp.ones_like(ps.layer_1.weight))
    assert shared.layer_1 is shared.layer_2.layer_1


def test_new_parameters_of_another_number_or_shape_are_errors():
    ps, _ = made(MODEL)
    text = "`share_parameters` expects new parameters for each of 1 groups, got 2"
    with pytest.raises(ValueError, match=text):
        nn.share_parameters(ps, GROUPS[:1], [ps.layer_1, ps.layer_1])
    text = "`share_parameters` expects `layer_1` and what is new there to have one structure, shape"
    with pytest.raises(ValueError, match=text):
        nn.share_parameters(ps, GROUPS[:1], [ps.layer_4])


def test_arrays_of_two_dtypes_are_not_shared():
    ps, _ = made(MODEL)
    half = ps | {"layer_3": jax.tree.map(lambda a: a.astype(jnp.float16), ps.layer_3)}
    with pytest.raises(ValueError, match=r"expected float32\[3,3\], got float16\[3,3\]"):
        nn.share_parameters(half, [("layer_1", "layer_3")])
