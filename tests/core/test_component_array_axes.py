"""ComponentArrays with more axes than one, as `vmap` and `jacobian` make them, and operators."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import ComponentArray, Record, as_dict, as_record, nn, setup
from sciml_lux.core.internal import with_component_arrays, without_component_arrays

pytestmark = pytest.mark.any_precision
MODEL = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1))
ST = setup(0, MODEL)[1]
X = jnp.asarray([[1.0, 2.0], [0.5, -1.0]], jnp.float32)


def tree():
    return Record(
        w=jnp.asarray([[0.5, 1.0], [-1.0, 0.25]], jnp.float32),
        inner=Record(b=jnp.asarray([0.2, 0.3], jnp.float32), a=jnp.asarray(0.7, jnp.float32)),
    )


def wave(ps):
    """A vector of two numbers of any such tree."""
    return jnp.sin(ps.w @ ps.inner.b) * ps.inner.a


def close(found, want):
    found, want = jax.tree.leaves(as_dict(found)), jax.tree.leaves(as_dict(want))
    for left, right in zip(found, want, strict=True):
        assert left.shape == right.shape
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jacobian", [jax.jacrev, jax.jacfwd])
def test_jacobian_has_the_names_behind_the_axes_of_the_output(jacobian):
    found = jacobian(wave)(ComponentArray(tree()))
    assert type(found) is ComponentArray and found.inner.a.shape == (2,)
    close(found, jacobian(wave)(tree()))


def test_jacobian_of_a_scalar_is_the_gradient():
    energy = lambda ps: jnp.sum(wave(ps) ** 2)
    flat = ComponentArray(tree())
    np.testing.assert_allclose(jax.jacobian(energy)(flat).vector, jax.grad(energy)(flat).vector)


@pytest.mark.parametrize("jacobian", [jax.jacrev, jax.jacfwd])
def test_jacobian_of_one_by_the_other_has_both_names(jacobian):
    flat = ComponentArray(tree())
    found = jacobian(lambda ps: ps.replace(ps.vector**2))(flat)
    assert found.w.inner.b.shape == (2, 2, 2) and found.inner.b.w.shape == (2, 2, 2)
    close(found, jacobian(lambda ps: jax.tree.map(lambda leaf: leaf**2, ps))(tree()))


def test_hessian_has_both_names():
    energy = lambda ps: jnp.sum(wave(ps) ** 2)
    found = jax.hessian(energy)(ComponentArray(tree()))
    assert found.w.w.shape == (2, 2, 2, 2) and found.inner.a.w.shape == (2, 2)
    close(found, jax.hessian(energy)(tree()))
    np.testing.assert_allclose(found.vector.vector, np.asarray(found.vector.vector).T, atol=1e-6)


def test_hessian_of_a_batch_has_its_axis_first():
    flat = ComponentArray(tree())
    batch = jax.vmap(lambda s: s * flat)(jnp.asarray([1.0, 2.0, 3.0], jnp.float32))
    energy = lambda ps: jnp.sum(wave(ps) ** 2)
    found = jax.vmap(jax.hessian(energy))(batch)
    assert found.w.inner.b.shape == (3, 2, 2, 2)
    close(found, jax.vmap(jax.hessian(energy))(batch.as_record()))


def test_networks_set_up_by_vmap():
    keys = jax.random.split(jax.random.key(0), 20)
    flat = jax.vmap(lambda key: ComponentArray(setup(key, MODEL)[0]))(keys)
    plain = jax.vmap(lambda key: setup(key, MODEL)[0])(keys)
    assert flat.layer_2.vector.shape == (20, 4) and flat.layer_1.weight.shape == (20, 3, 2)
    for tree_of in (as_record, as_dict):
        close(tree_of(flat), tree_of(plain))
    found = jax.vmap(lambda ps: MODEL(X, ps, ST)[0])(flat)
    np.testing.assert_allclose(found, jax.vmap(lambda ps: MODEL(X, ps, ST)[0])(plain), rtol=1e-6)


def test_scan_gives_one_network_at_a_time():
    flat = ComponentArray(tree())
    batch = jax.vmap(lambda s: s * flat)(jnp.asarray([1.0, 2.0], jnp.float32))
    total, each = jax.lax.scan(lambda sum_, ps: (sum_ + ps, ps.inner.a), 0.0 * flat, batch)
    np.testing.assert_allclose(total.vector, 3 * flat.vector, rtol=1e-6)
    np.testing.assert_allclose(each, batch.inner.a)
    with pytest.raises(ValueError, match=r"names for 7 .* got a vector of shape \(\)"):
        jax.lax.scan(lambda carry, ps: (carry, ps.w), 0, flat)


def test_operators_act_on_the_vector_and_keep_the_names():
    ps, grads = ComponentArray(tree()), 3 * ComponentArray(tree())
    vector, rate = np.asarray(ps.vector), jnp.asarray(0.5, jnp.float32)
    batch = jax.tree.map(lambda vector: jnp.stack([vector] * 3), ps)
    for found, want in (
        (ps - rate * grads, -0.5 * vector),
        (1.0 / (2.0 + abs(-ps)), 1 / (2 + np.abs(vector))),
        (np.ones(7, np.float32) * ps, vector),
        (np.float32(2.0) * ps, 2 * vector),
        ((ps + 1) ** 2 - ps / 2, (vector + 1) ** 2 - vector / 2),
        (jax.jit(lambda ps: 2.0**+ps)(ps), 2**vector),
        (batch * jnp.ones((3, 1), jnp.float32), np.tile(vector, (3, 1))),
    ):
        assert type(found) is ComponentArray and found.dtype == jnp.float32
        np.testing.assert_allclose(found.vector, want, rtol=1e-6)


def test_products_and_indices_are_plain_arrays():
    ps = ComponentArray(tree())
    vector = np.asarray(ps.vector)
    matrix = jnp.asarray(np.diag(np.arange(7.0)), jnp.float32)
    for found, want in (
        (ps @ ps, vector @ vector),
        (matrix @ ps, np.arange(7) * vector),
        (ps @ matrix, np.arange(7) * vector),
        (ps[1:3], vector[1:3]),
        (ps[-1], vector[-1]),
        (ps[jnp.asarray([0, 2])], vector[[0, 2]]),
        (jax.hessian(lambda ps: ps @ ps)(ps) @ ps, 2 * vector),
    ):
        assert isinstance(found, jax.Array)
        np.testing.assert_allclose(found, want, rtol=1e-6)


def test_a_step_of_an_optimiser_written_by_hand_is_that_of_optax():
    ps = ComponentArray(setup(0, MODEL)[0])
    grads = jax.grad(lambda ps: jnp.sum(MODEL(X, ps, ST)[0] ** 2))(ps)
    updates, _ = optax.sgd(0.1).update(grads, optax.sgd(0.1).init(ps))
    close(ps - 0.1 * grads, optax.apply_updates(ps, updates))


def test_operators_with_what_does_not_fit_are_an_error():
    ps = ComponentArray(tree())
    with pytest.raises(ValueError, match="same names on both sides of an operator, got Component"):
        ps + ComponentArray(Record(other=jnp.zeros(7, jnp.float32)))
    with pytest.raises(ValueError, match=r"names for 7 numbers along the last axis, got .*\(7, 2"):
        ps.replace(jnp.ones((7, 2), jnp.float32))
    with pytest.raises(TypeError, match="unsupported operand"):
        ps + "text"
    with pytest.raises(TypeError, match="replace` expects the vector to be an array, got list"):
        ps.replace([1.0])


def test_names_of_a_cut_vector_are_an_error():
    flat = ComponentArray(tree())
    cut = jax.tree.map(lambda vector: vector[:4], flat)
    with pytest.raises(ValueError, match=r"names for 7 numbers along the last axis, got .*\(4,\)"):
        cut.w
    hessian = jax.tree.map(lambda m: m[:4], jax.hessian(lambda ps: ps @ ps)(flat))
    with pytest.raises(ValueError, match=r"7 numbers 1 before the last axis, got .* \(4, 7\)"):
        hessian.w


def test_one_made_of_another_is_the_same_with_all_axes():
    flat = ComponentArray(tree())
    batch = jax.tree.map(lambda vector: jnp.stack([vector, vector]), flat)
    again = ComponentArray(batch)
    assert jax.tree.structure(again) == jax.tree.structure(flat)
    assert again.vector is batch.vector


def test_files_keep_the_axes_in_front():
    flat = ComponentArray(tree())
    batch = jax.tree.map(lambda vector: jnp.stack([vector, 2 * vector]), flat)
    record = without_component_arrays({"ps": batch})["ps"]
    assert record.w.shape == (2, 2, 2)
    np.testing.assert_array_equal(with_component_arrays(batch, record).vector, batch.vector)


@pytest.mark.parametrize("other", ["complex64", "int32", "float16", "bfloat16"])
def test_remedy_for_mixed_dtypes_works(other):
    mixed = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(1, other), "c": jnp.ones(1, jnp.bfloat16)}
    with pytest.raises(
        TypeError, match="expects one dtype, got .* convert the tree first"
    ) as caught:
        ComponentArray(mixed)
    remedy = str(caught.value).split("first, ")[1].rstrip(".")
    flat = ComponentArray(eval(remedy, {"jax": jax, "tree": mixed}))
    assert flat.dtype == ("complex64" if other == "complex64" else "float32")
