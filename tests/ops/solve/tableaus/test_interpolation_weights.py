"""The weights of the stages inside a step, in the dtype of the place."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import interpolation_weights, tableaus
from tests.conftest import X64

pytestmark = pytest.mark.any_precision

TABLEAUS = {name: value for name, value in vars(tableaus).items() if name.isupper()}
ALL = pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS)
PLACES = [Fraction(n, 64) for n in (0, 1, 13, 32, 63, 64)]


@ALL
def test_weights_are_the_exact_ones_to_a_few_roundings(tableau):
    lines = tableau.interpolant.p
    exact = [
        [float(sum(x * place ** (j + 1) for j, x in enumerate(line))) for line in lines]
        for place in PLACES
    ]
    for dtype in [jnp.float32] + [jnp.float64] * X64:
        theta = jnp.asarray([float(place) for place in PLACES], dtype)
        weights = interpolation_weights(tableau.float64.chebyshev, theta)
        assert weights.dtype == dtype and weights.shape == (len(PLACES), len(lines))
        bound = 30 * jnp.finfo(dtype).eps
        np.testing.assert_allclose(weights, exact, rtol=0, atol=bound)
        one = interpolation_weights(tableau.float64.chebyshev, theta[2])
        np.testing.assert_allclose(one, weights[2], rtol=0, atol=bound)


@pytest.mark.parametrize("name", ["EULER", "VERN9"])
def test_slope_of_the_weights_is_that_of_the_polynomial(name):
    tableau, place = TABLEAUS[name], Fraction(13, 64)
    exact = [
        float(sum((j + 1) * x * place**j for j, x in enumerate(line)))
        for line in tableau.interpolant.p
    ]
    found = jax.jacfwd(lambda theta: interpolation_weights(tableau.float64.chebyshev, theta))(
        jnp.asarray(float(place))
    )
    np.testing.assert_allclose(found, exact, rtol=0, atol=500 * jnp.finfo(found.dtype).eps)
