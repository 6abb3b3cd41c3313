"""Order conditions of Rosenbrock methods, on their stored digits.

Source: Hairer and Wanner, Solving Ordinary Differential Equations II, IV.7.
"""

import pickle

import numpy as np
import pytest

from sciml_lux.ops.solve.tableaus import RODAS5P

from .rooted_trees import density, order_of, trees

pytestmark = pytest.mark.any_precision
DIGITS = 1e-11  # Of coefficients up to 150, in 16 digits each.


def as_published():
    """α, Γ and the map of weights, for which no product with the Jacobian is avoided."""
    linear, arrays = RODAS5P.linear, RODAS5P.float64
    gamma = np.linalg.inv(np.eye(8) / linear.gamma - linear.coupling)
    return arrays.a @ gamma, gamma, lambda weights: np.asarray(weights) @ gamma


def defects(weights, order, theta=1.0):
    """The largest defect of each order; a node with one branch has β = α + Γ, else α."""
    alpha, gamma, as_weights = as_published()
    found, inner = dict.fromkeys(range(1, order + 1), 0.0), {}
    for nodes in range(1, order + 1):
        for tree in trees(nodes):
            matrix = alpha + gamma if len(tree) == 1 else alpha
            stages = np.prod([matrix @ inner[branch] for branch in tree], axis=0) * np.ones(8)
            inner[tree] = stages
            exact = theta**nodes / density(tree)
            defect = abs(as_weights(weights) @ stages - exact)
            found[order_of(tree)] = max(found[order_of(tree)], defect)
    return found


def test_solution_has_order_5_and_no_further():
    found = defects(RODAS5P.float64.b, 6)
    assert max(found[nodes] for nodes in range(1, 6)) < DIGITS
    assert found[6] > 1e-5


def test_embedded_solution_has_order_4_and_no_further():
    found = defects(RODAS5P.float64.b - RODAS5P.float64.b_error, 5)
    assert max(found[nodes] for nodes in range(1, 5)) < DIGITS
    assert found[5] > 1e-5


@pytest.mark.parametrize("theta", [0.1, 0.5, 0.9])
def test_interpolant_has_order_4_at_every_point(theta):
    powers = theta ** np.arange(1, 5)
    found = defects(RODAS5P.float64.p @ powers, 5, theta)
    assert max(found[nodes] for nodes in range(1, 5)) < DIGITS
    assert found[5] > 1e-7


def test_interpolant_ends_at_the_solution():
    np.testing.assert_allclose(RODAS5P.float64.p.sum(1), RODAS5P.float64.b, atol=1e-14)


def test_nodes_and_weights_of_the_time_derivative_are_sums_of_rows():
    alpha, gamma, _ = as_published()
    np.testing.assert_allclose(alpha.sum(1), RODAS5P.float64.c, atol=1e-13)
    np.testing.assert_allclose(gamma.sum(1), RODAS5P.linear.d, atol=1e-12)


def test_it_is_stiffly_accurate_and_damps_what_is_infinitely_stiff():
    alpha, gamma, as_weights = as_published()
    beta = alpha + gamma
    np.testing.assert_allclose(as_weights(RODAS5P.float64.b), beta[-1], atol=1e-13)
    stability = 1 - as_weights(RODAS5P.float64.b) @ np.linalg.solve(beta, np.ones(8))
    assert abs(stability) < 1e-9


def test_it_is_a_value():
    again = pickle.loads(pickle.dumps(RODAS5P))
    assert again == RODAS5P and hash(again) == hash(RODAS5P)
