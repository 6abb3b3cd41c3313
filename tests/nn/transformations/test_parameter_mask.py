import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision
MODEL = nn.Chain(nn.Dense(2, 3), nn.Dense(3, 1))


def test_mask_is_true_at_what_is_named_and_below():
    ps, _ = lux.setup(0, MODEL)
    mask = nn.parameter_mask(ps, ("layer_1.weight", "layer_2"))
    assert jax.tree.leaves(mask) == [True, False, True, True]
    assert jax.tree.structure(mask) == jax.tree.structure(ps)


def test_mask_tells_optax_what_to_leave_alone():
    ps, _ = lux.setup(0, MODEL)
    mask = nn.parameter_mask(ps, "layer_1")
    optimizer = optax.chain(optax.sgd(0.5), optax.masked(optax.set_to_zero(), mask))
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, ps), optimizer.init(ps), ps)
    assert not updates.layer_1.weight.any()
    np.testing.assert_array_equal(updates.layer_2.bias, [-0.5])


def test_unknown_parameter_is_an_error():
    ps, _ = lux.setup(0, MODEL)
    with pytest.raises(KeyError, match="`parameter_mask` finds no parameter `layer_3`; there is"):
        nn.parameter_mask(ps, "layer_3")
