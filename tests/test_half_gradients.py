"""Gradients in float16 and bfloat16 whose terms are equal: the nearest number to their sum."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, ops, training
from tests.half_sums import HALF, WAYS

pytestmark = pytest.mark.any_precision
dtypes = pytest.mark.parametrize("dtype", HALF)


@pytest.fixture(params=WAYS)
def run(request):
    return request.param


def zeros_like(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def assert_nearest(found, want, dtype):
    """The number of `dtype` that is nearest to `want`, at every entry."""
    for leaf in jax.tree.leaves(found):
        assert leaf.dtype == dtype
        np.testing.assert_array_equal(leaf, np.full(leaf.shape, want).astype(dtype))


@dtypes
def test_bias_of_a_dense_layer_over_an_image(dtype, run):
    model = nn.Dense(2, 3)
    ps, st = lux.setup(0, model, dtype=dtype)
    x = jnp.ones((20, 16, 16, 2), dtype)
    assert_nearest(run(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0])), ps), 5120, dtype)
    rows = jax.vmap(jax.vmap(lambda x, ps: model(x, ps, st)[0], (0, None)), (0, None))
    assert_nearest(run(jax.grad(lambda ps: jnp.sum(rows(x, ps))), ps), 5120, dtype)


@dtypes
def test_rows_of_an_embedding_that_are_taken_again_and_again(dtype, run):
    model, x = nn.Embedding(4, 2), jnp.zeros(5000, jnp.int32)
    ps, st = lux.setup(0, model, dtype=dtype)
    found = run(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0])), ps)
    assert_nearest(found.weight[0], 5000, dtype)
    assert_nearest(found.weight[1:], 0, dtype)


@dtypes
def test_alternate_precision_with_float32_parameters(dtype, run):
    model, x = nn.AlternatePrecision(dtype, nn.Embedding(4, 2)), jnp.zeros(5120, jnp.int32)
    ps, st = lux.setup(0, model, dtype=jnp.float32)
    found = run(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0]) / 40), ps)
    assert found.weight.dtype == jnp.float32
    # XLA may leave out the rounding to half precision, of the sum and of the 1/40.
    assert_nearest(found.weight[0].astype(dtype), 128, dtype)


@dtypes
def test_parameters_of_a_cell_over_thousands_of_steps(dtype, run):
    model, x = nn.Recurrence(nn.RNNCell(1, 1), return_sequence=True), jnp.zeros((3000, 1), dtype)
    ps, st = lux.setup(0, model, dtype=dtype)
    found = run(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0])), zeros_like(ps))
    assert_nearest((found.bias_ih, found.bias_hh), 3000, dtype)


@dtypes
@pytest.mark.parametrize("checkpoint", [False, True])
def test_parameters_and_input_of_a_repeated_layer(dtype, checkpoint, run):
    layer = nn.Parallel(jnp.add, nn.NoOpLayer(), nn.Scale(1))
    model = nn.RepeatedLayer(layer, 3000, input_injection=True, checkpoint=checkpoint)
    ps, st = lux.setup(0, model, dtype=dtype)
    ones = jax.tree.map(jnp.ones_like, ps)
    loss = lambda x, ps: jnp.sum(model(x, ps, st)[0])
    x, by_ps = run(jax.grad(loss, (0, 1)), jnp.ones(1, dtype), ones)
    assert_nearest(by_ps, 3000, dtype)
    assert_nearest(x, 3001, dtype)


def test_a_tied_parameter_at_many_places():
    model = nn.Chain(*[nn.Scale(1, use_bias=False)] * 300)
    tied = nn.tie(model, [tuple(f"layer_{i}.weight" for i in range(1, 301))])
    ps, st = lux.setup(0, tied, dtype=jnp.bfloat16)
    found = jax.grad(lambda ps: jnp.sum(tied(jnp.ones(1, jnp.bfloat16), ps, st)[0]))(ps)
    assert_nearest(found, 300, jnp.bfloat16)


@dtypes
def test_partial_sums_beyond_the_largest_number(dtype, run):
    signs = jnp.asarray(np.repeat([1.0, -1.0], [3000, 2990]), dtype)
    loss = lambda bias: jnp.sum(100 * signs[:, None] * ops.bias_activation(ops.identity, x, bias))
    x = jnp.zeros((5990, 2), dtype)
    assert_nearest(run(jax.grad(loss), jnp.zeros(2, dtype)), 1000, dtype)
    too_large = lambda bias: jnp.sum(100 * ops.bias_activation(ops.identity, x, bias))
    want = np.inf if dtype == "float16" else 599000
    assert_nearest(run(jax.grad(too_large), jnp.zeros(2, dtype)), want, dtype)


@dtypes
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_products_accumulate_in_float32(dtype, rows, run):
    """On which the gradients of all weights rest: not asked for in the program, but measured."""
    signs = jnp.asarray(np.repeat([1.0, -1.0], [3000, 2990]), dtype)
    x = jnp.broadcast_to(100 * signs, (rows, 5990))
    weight = jnp.ones((3, 5990), dtype)
    dense = lambda x, w: ops.fused_dense_bias_activation(ops.identity, w, x)
    assert_nearest(run(dense, x, weight), 1000, dtype)
    image = jnp.ones((5990, 4, 2), dtype)
    total = lambda w: jnp.sum(100 * signs[:, None, None] * ops.conv(image, w))
    assert_nearest(run(jax.grad(total), jnp.ones((1, 2, 4), dtype)), 1000, dtype)


SUBTRACTING = [
    nn.ShiftTo(nn.Scale(1), (1.0,), (0.0,)),
    nn.PositiveDefinite(nn.Scale(1), (1.0,), psi=functools.partial(jnp.sum, axis=-1)),
]


@dtypes
@pytest.mark.parametrize("model", SUBTRACTING, ids=["ShiftTo", "PositiveDefinite"])
def test_what_is_subtracted_from_every_sample(model, dtype, run):
    x = jnp.full((3000, 1), 2, dtype)
    ps, st = lux.setup(0, model, dtype=dtype)
    found = run(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0])), ps)
    assert_nearest(found.weight, 3000, dtype)
    assert_nearest(found.bias, 0, dtype)


def test_parameters_of_a_solve():
    dtype = jnp.bfloat16
    options = {"solver": diffrax.Euler(), "dt0": 2**-7, "max_steps": 200}
    options["stepsize_controller"] = diffrax.ConstantStepSize()
    model = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), **options)
    ps, st = lux.setup(0, model, dtype=dtype)
    u0 = jnp.zeros((1000, 1), dtype)
    found = jax.grad(lambda ps: jnp.sum(model(u0, ps, st)[0]))(zeros_like(ps))
    assert_nearest(found.bias, 1000, dtype)


@dtypes
@pytest.mark.parametrize("use_grad_mean", [False, True])
def test_multi_steps_adds_up_in_float32(dtype, use_grad_mean):
    optimizer = training.multi_steps(optax.sgd(1.0), 3000, use_grad_mean=use_grad_mean)

    def step(carry, _):
        updates, state = optimizer.update(jnp.ones(2, dtype), *carry[::-1])
        return (carry[0] + updates, state), None

    start = jnp.zeros(2, dtype)
    with jax.numpy_dtype_promotion("standard"):  # optax divides by an integer.
        (end, state), _ = jax.lax.scan(step, (start, optimizer.init(start)), length=3000)
    assert state.acc_grads.dtype == jnp.float32
    assert_nearest(end, -1 if use_grad_mean else -3000, dtype)
