"""Wrong use is answered by an error that says what to do."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff
from tests.conftest import needs_x32

pytestmark = pytest.mark.any_precision
X = jnp.ones((4, 2), jnp.float32)


def first(x):
    return x[..., 0]


CASES = {
    "no array": (
        lambda: autodiff.gradient(first, [1.0, 2.0]),
        TypeError,
        "got \\[1.0, 2.0\\]. Conv",
    ),
    "integers": (
        lambda: autodiff.gradient(first, jnp.ones((4, 2), int)),
        TypeError,
        "`x` to hold real floats, got int",
    ),
    "complex": (
        lambda: autodiff.gradient(first, X.astype(jnp.complex64)),
        TypeError,
        "`x` to hold real floats, got complex64",
    ),
    "scalar": (
        lambda: autodiff.gradient(lambda x: x, X[0, 0]),
        ValueError,
        "coordinates of a point along the last axis of `x`, got shape \\(\\)",
    ),
    "not scalar": (
        lambda: autodiff.gradient(lambda x: x, X),
        ValueError,
        "`gradient` expects `f` to have one value for each point, got values of shape \\(2,\\)",
    ),
    "hvp not scalar": (
        lambda: autodiff.hvp(lambda x: x, X, (1.0, 0.0)),
        ValueError,
        "`hvp` expects `f` to have one value",
    ),
    "tree": (
        lambda: autodiff.jacobian(lambda x: (x, x), X),
        TypeError,
        "to return one array, got tuple",
    ),
    "integer values": (
        lambda: autodiff.jacobian(lambda x: x.astype(int), X),
        TypeError,
        "expects `f` to return floats, got int",
    ),
    "one point": (
        lambda: autodiff.jacobian(lambda x: x[0] ** 2, X),
        ValueError,
        "have the batch axes \\(4,\\) of `x` in front, got shape \\(2,\\).*jax.vmap",
    ),
    "one axis": (
        lambda: autodiff.batched_jacobian(first, X[0]),
        ValueError,
        "a batch axis and at least one more, got shape \\(2,\\)",
    ),
    "mode": (
        lambda: autodiff.jacobian(first, X, mode="backward"),
        ValueError,
        '`mode` to be "auto", "forward" or "reverse", got',
    ),
    "chunk": (
        lambda: autodiff.jacobian(first, X, chunk_size=0),
        ValueError,
        "`chunk_size` to be an integer of at least 1, got 0",
    ),
    "chunk of the Hessian": (
        lambda: autodiff.hessian(first, X, chunk_size=0),
        ValueError,
        "`chunk_size` to be an integer of at least 1, got 0",
    ),
    "divergence": (
        lambda: autodiff.divergence(first, X),
        ValueError,
        "as many values for each point as coordinates, \\(2,\\), got values of shape \\(\\)",
    ),
    "curl": (
        lambda: autodiff.curl(lambda x: x, jnp.ones((3, 4), jnp.float32)),
        ValueError,
        "two or three coordinates .* got shape \\(3, 4\\)",
    ),
    "curl of other values": (
        lambda: autodiff.curl(first, X),
        ValueError,
        "`curl` expects `f` to have as many",
    ),
    "direction": (
        lambda: autodiff.directional_derivative(first, X, (1.0, 0.0, 0.0)),
        ValueError,
        "`direction` to have the shape \\(4, 2\\) of `x`, .* got \\(3,\\)",
    ),
    "integer direction": (
        lambda: autodiff.hvp(first, X, jnp.ones(2, int)),
        TypeError,
        "`direction` to hold floats no wider than the float32 of the points, got int",
    ),
    "matrix": (
        lambda: autodiff.second_order_operator(first, X, jnp.ones((3, 3), jnp.float32)),
        ValueError,
        "`a` to have the shape \\(2, 2\\), or \\(4, 2, 2\\) for a matrix of each point, got",
    ),
    "integer matrix": (
        lambda: autodiff.second_order_operator(first, X, jnp.ones((2, 2), int)),
        TypeError,
        "`a` to hold floats no wider than the float32 of the points, got int",
    ),
    "flux": (
        lambda: autodiff.flux_divergence(first, X, lambda x, u, gradient: u),
        ValueError,
        "batch axes \\(4,\\) in front and the 2 components .* got shape \\(4,\\)",
    ),
    "flux of another shape": (
        lambda: autodiff.flux_divergence(first, X, lambda x, u, gradient: gradient[:, :1]),
        ValueError,
        "got shape \\(4, 1\\)",
    ),
    "tree of fluxes": (
        lambda: autodiff.flux_divergence(first, X, lambda x, u, gradient: (gradient, u)),
        ValueError,
        "got tuple",
    ),
    "no flux": (
        lambda: autodiff.flux_divergence(first, X, 2.0),
        TypeError,
        "`flux` to be a function of \\(x, u, gradient\\), got 2.0. .*: k \\* gradient, with a",
    ),
    "flux of integers": (
        lambda: autodiff.flux_divergence(first, X, lambda x, u, g: jnp.ones(x.shape, int)),
        TypeError,
        "`flux_divergence` expects `flux` to return floats, got int",
    ),
    "flux that mixes samples": (
        lambda: autodiff.flux_divergence(first, X, lambda x, u, g: g * jnp.mean(u)),
        ValueError,
        "`flux_divergence` expects .* `flux` at .* mixes samples along axis 0: `reduce_sum`",
    ),
    "order": (
        lambda: autodiff.directional_derivative(first, X, (1.0, 0.0), order=0),
        ValueError,
        "`order` to be an integer of at least 1, got 0",
    ),
    "order of time": (
        lambda: autodiff.time_derivative(first, X, order=1.0),
        TypeError,
        "`order` to be an integer",
    ),
    "name": (
        lambda: autodiff.partial(first, X, "xz"),
        ValueError,
        "the 2 of its last axis, to be named by x, y, got 'z' in 'xz'. Pass coordinates=",
    ),
    "names": (
        lambda: autodiff.partial(first, X, "x", coordinates="xx"),
        ValueError,
        "expects `coordinates` to differ, got 'xx'",
    ),
    "no coordinate": (
        lambda: autodiff.partial(first, X, ""),
        ValueError,
        "at least one coordinate",
    ),
    "index": (
        lambda: autodiff.partial(first, X, (0, 2)),
        ValueError,
        "one of the 2 coordinates along the last axis of `x`, from -2 to 1, got 2",
    ),
    "no sequence": (
        lambda: autodiff.partial(first, X, 0),
        TypeError,
        '`by` to be names, such as "xxy", or indices, such as \\(0, 0, 1\\), got 0',
    ),
    "long names": (
        lambda: autodiff.partial(first, X, "x", coordinates=["x1", "x2"]),
        ValueError,
        "`coordinates` to be names of one letter, such as \"xt\", got \\['x1', 'x2'\\]",
    ),
    "direction of text": (
        lambda: autodiff.hvp(first, X, "x"),
        TypeError,
        "`hvp` expects `direction` to be an array of numbers, got 'x'",
    ),
    "ragged directions": (
        lambda: autodiff.laplacian(first, X, directions=[[1.0], [1.0, 0.0]]),
        TypeError,
        "`laplacian` expects `directions` to be an array of numbers, got \\[\\[1.0\\], ",
    ),
    "no index": (
        lambda: autodiff.partial(first, X, (True,)),
        TypeError,
        "to be the index of a coordinate, got True",
    ),
    "time": (
        lambda: autodiff.time_derivative(first, X, time=2),
        ValueError,
        "`time` to be one of the 2 coordinates .*, got 2",
    ),
    "shape of u": (
        lambda: autodiff.jacobian_vector_product(first, X, X[0]),
        ValueError,
        "`u` to have the shape \\(4, 2\\) of x, got \\(2,\\)",
    ),
    "dtype of u": (
        lambda: autodiff.vector_jacobian_product(first, X, jnp.ones(4, jnp.float16)),
        TypeError,
        "`u` to have the dtype float32 of f\\(x\\), got float16",
    ),
    "tree of u": (
        lambda: autodiff.vector_jacobian_product(lambda x: (x, x), X, X),
        ValueError,
        "`u` to be a tree like f\\(x\\), .* got",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_wrong_use_says_what_to_do(name):
    call, error, text = CASES[name]
    with pytest.raises(error, match=text):
        call()


@needs_x32
def test_float64_points_name_the_switch():
    with pytest.raises(TypeError, match="`gradient`: `x`.* but jax_enable_x64 is off"):
        autodiff.gradient(first, np.ones((4, 2)))


@needs_x32
def test_float64_arguments_name_the_switch():
    with pytest.raises(TypeError, match="`gradient`: `args`.* but jax_enable_x64 is off"):
        autodiff.gradient(lambda x, c: first(x) * c, X, np.ones(4))


def test_numpy_memory_may_change_after_the_call():
    x = np.full((4, 2), 3.0, np.float32)
    product = autodiff.jacobian_vector_product(jnp.square, x, np.ones_like(x))
    x[:] = 0.0
    np.testing.assert_array_equal(product, np.full((4, 2), 6.0))
