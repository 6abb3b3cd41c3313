"""Order conditions of the tableaus, on their stored digits, and the tables of other packages."""

import pickle
from dataclasses import replace
from fractions import Fraction

import diffrax
import numpy as np
import pytest
from scipy.integrate import DOP853, RK23, RK45
from scipy.integrate._ivp import dop853_coefficients

from sciml_lux.ops.solve import tableaus
from sciml_lux.ops.solve.tableaus._fine_interpolant import with_fine_interpolant
from sciml_lux.ops.solve.tableaus._rosenbrock import Rosenbrock

from .rooted_trees import defects, trees

pytestmark = pytest.mark.any_precision

PUBLISHED = {
    name: value
    for name, value in vars(tableaus).items()
    if name.isupper() and not isinstance(value, Rosenbrock)
}
FINE = {
    f"fine {name}": with_fine_interpolant(value)
    for name, value in PUBLISHED.items()
    if value.fine_nodes
}
TABLEAUS = PUBLISHED | FINE
ALL = pytest.mark.parametrize("tableau", TABLEAUS.values(), ids=TABLEAUS)
EXACT = 1e-30
ORDERS = {  # Of the solution, of the embedded ones, of the interpolant.
    "EULER": (1, [], 1),
    "HEUN": (2, [1], 2),
    "MIDPOINT": (2, [1], 2),
    "RALSTON": (2, [1], 2),
    "BOSH3": (3, [2], 3),
    "RK4": (4, [], 3),
    "TSIT5": (5, [4], 4),
    "DOPRI5": (5, [4], 4),
    "DOPRI8": (8, [5, 3], 7),
    "VERN7": (7, [6], 6),
    "VERN9": (9, [8], 9),
    "fine RK4": (4, [], 4),
    "fine TSIT5": (5, [4], 5),
    "fine DOPRI5": (5, [4], 5),
    "fine DOPRI8": (8, [5, 3], 8),
}
EACH = pytest.mark.parametrize("name", ORDERS)


def inside(tableau, theta):
    """The weights of the stages at `theta`."""
    return [sum(p * theta ** (j + 1) for j, p in enumerate(line)) for line in tableau.interpolant.p]


def all_defects(tableau, name):
    """Of the solution and the embedded ones."""
    yield from defects(tableau.a, tableau.b, tableau.order).values()
    errors = [e for e in (tableau.b_error, tableau.b_error_coarse) if e is not None]
    for order, error in zip(ORDERS[name][1], errors, strict=True):
        embedded = [b - e for b, e in zip(tableau.b, error, strict=True)]
        yield from defects(tableau.a, embedded, order).values()


def in_float32(number):
    return Fraction(float(np.float32(float(number))))


def test_rooted_trees_are_as_many_as_they_are():
    assert [len(trees(nodes)) for nodes in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]


def test_every_tableau_is_tested():
    assert set(TABLEAUS) == set(ORDERS)


@EACH
def test_order_conditions_hold_to_the_order_and_no_further(name):
    tableau, (order, _, _) = TABLEAUS[name], ORDERS[name]
    found = defects(tableau.a, tableau.b, order + 1)
    assert tableau.order == order
    assert max(found[nodes] for nodes in range(1, order + 1)) < EXACT
    assert found[order + 1] > 1e-8


@EACH
def test_embedded_solutions_have_their_orders(name):
    tableau, (_, orders, _) = TABLEAUS[name], ORDERS[name]
    errors = [e for e in (tableau.b_error, tableau.b_error_coarse) if e is not None]
    for order, error in zip(orders, errors, strict=True):
        embedded = [b - e for b, e in zip(tableau.b, error, strict=True)]
        found = defects(tableau.a, embedded, order + 1)
        assert max(found[nodes] for nodes in range(1, order + 1)) < EXACT
        assert found[order + 1] > 1e-8


@EACH
def test_interpolant_has_its_order_at_every_point(name):
    tableau, (order, _, inner) = TABLEAUS[name], ORDERS[name]
    interpolant = tableau.interpolant
    assert interpolant.order == inner >= order - 1
    for theta in (Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)):
        found = defects(tableau.a + interpolant.a, inside(tableau, theta), inner + 1, theta)
        assert max(found[nodes] for nodes in range(1, inner + 1)) < EXACT
        assert found[inner + 1] > 1e-9


@ALL
def test_interpolant_joins_the_steps(tableau):
    p, extra = tableau.interpolant.p, len(tableau.interpolant.a)
    ends = [*tableau.b, *[0] * extra]
    assert len(p) == tableau.num_stages + extra == len(ends)
    assert max(abs(sum(line) - end) for line, end in zip(p, ends, strict=True)) < EXACT
    assert [line[0] for line in p] == [1, *[0] * (len(p) - 1)]  # Its slope at t0 is f(t0, y0).
    if tableau.fsal or tableau in FINE.values():
        slopes = [sum((j + 1) * x for j, x in enumerate(line)) for line in p]
        end = tableau.num_stages - 1 if tableau.fsal else tableau.num_stages
        slopes[end] -= 1  # At t1 it is f(t1, y1).
        assert max(map(abs, slopes)) < EXACT


def test_fine_interpolant_is_the_tableaus_own_where_that_is_of_the_order():
    for name, (order, _, inner) in ORDERS.items():
        tableau = TABLEAUS[name]
        if not tableau.fine_nodes:
            assert with_fine_interpolant(tableau) is tableau
            assert inner == order or name == "VERN7"  # Of order 7 but for 3e-7.


@ALL
def test_nodes_are_the_sums_of_their_rows(tableau):
    interpolant = tableau.interpolant
    lines, nodes = tableau.a + interpolant.a, tableau.c + interpolant.c
    assert [len(line) for line in lines] == list(range(len(nodes)))
    assert max(abs(sum(line) - node) for line, node in zip(lines, nodes, strict=True)) < EXACT


@ALL
def test_fsal_says_that_the_last_stage_is_the_next_first(tableau):
    last = tableau.b[-1] == 0 and tableau.a[-1] == tableau.b[:-1] and tableau.c[-1] == 1
    assert tableau.fsal == last


@pytest.mark.parametrize("name", [name for name in PUBLISHED if ORDERS[name][0] > 2])
def test_any_coefficient_through_float32_is_found(name):
    tableau = TABLEAUS[name]
    for j, b in enumerate(tableau.b):
        twin = [*tableau.b[:j], in_float32(b), *tableau.b[j + 1 :]]
        assert in_float32(b) == b or defects(tableau.a, twin, 1)[1] > 1e-12
    stages = tableau.a[:-1] if tableau.fsal else tableau.a
    spoilt = [(i, j) for i, a in enumerate(stages) for j, x in enumerate(a) if in_float32(x) != x]
    for i, j in spoilt[::3]:
        line = [*tableau.a[i][:j], in_float32(tableau.a[i][j]), *tableau.a[i][j + 1 :]]
        twin = [*tableau.a[:i], line, *tableau.a[i + 1 :]]
        assert max(all_defects(replace(tableau, a=tuple(map(tuple, twin))), name)) > 1e6 * EXACT


@ALL
def test_float64_arrays_are_the_nearest(tableau):
    arrays, interpolant = tableau.float64, tableau.interpolant
    stages, extra = tableau.num_stages, len(interpolant.a)
    assert arrays.a.shape == (stages, stages) and arrays.extra_a.shape == (extra, stages + extra)
    for found, exact in [
        (arrays.a, tableau.a),
        (arrays.b[None], [tableau.b]),
        (arrays.c[None], [tableau.c]),
        (arrays.p, interpolant.p),
        (arrays.extra_a, interpolant.a),
        (arrays.extra_c[None], [interpolant.c]),
    ]:
        assert found.dtype == np.float64 and not found.flags.writeable
        for numbers, line in zip(found, exact, strict=True):
            assert list(numbers) == [float(x) for x in line] + [0.0] * (len(numbers) - len(line))
    assert (arrays.b_error is None) == (tableau.b_error is None)
    assert arrays is tableau.float64


@ALL
def test_chebyshev_polynomials_give_the_interpolant_without_cancellation(tableau):
    coefficients = tableau.float64.chebyshev
    for theta in (Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(63, 64), Fraction(1)):
        found = float(theta) * np.polynomial.chebyshev.chebval(float(2 * theta - 1), coefficients.T)
        exact = np.array([float(weight) for weight in inside(tableau, theta)])
        np.testing.assert_allclose(found, exact, rtol=0, atol=4e-15)
    assert np.abs(coefficients).sum() < 50  # 228 425 for Vern9 in powers of θ.


@ALL
def test_tableaus_are_values(tableau):
    again = pickle.loads(pickle.dumps(tableau))
    assert again == tableau and hash(again) == hash(tableau)
    assert replace(tableau, order=0) != tableau


@pytest.mark.parametrize(("name", "peer"), [("BOSH3", RK23), ("DOPRI5", RK45), ("DOPRI8", DOP853)])
def test_tables_are_those_of_scipy(name, peer):
    arrays, stages = TABLEAUS[name].float64, peer.n_stages
    np.testing.assert_allclose(arrays.a[:stages, : peer.A.shape[1]], peer.A[:stages], rtol=1e-15)
    np.testing.assert_allclose(arrays.b[:-1], peer.B, rtol=1e-15)
    np.testing.assert_allclose(arrays.c[:-1], peer.C, rtol=1e-15)
    if name != "DOPRI8":
        np.testing.assert_allclose(-arrays.b_error, peer.E, rtol=1e-13)
        np.testing.assert_allclose(arrays.p, peer.P, rtol=1e-15)


def test_dopri8_estimates_and_interpolates_as_scipy_does():
    arrays, theirs = tableaus.DOPRI8.float64, dop853_coefficients
    np.testing.assert_allclose(arrays.b_error, theirs.E5, rtol=1e-15)
    np.testing.assert_allclose(arrays.b_error_coarse, theirs.E3, rtol=1e-15)
    np.testing.assert_allclose(arrays.extra_a, theirs.A[13:], rtol=1e-15)
    first, last = np.eye(16)[0], np.eye(16)[12]
    end = np.append(theirs.B, np.zeros(4))
    nested = [end, first - end, 2 * end - last - first, *theirs.D]
    for theta in (0.2, 0.5, 0.9):
        expected = np.zeros(16)
        for i, term in enumerate(reversed(nested)):
            expected = (expected + term) * (theta if i % 2 == 0 else 1 - theta)
        found = theta * np.polynomial.chebyshev.chebval(2 * theta - 1, arrays.chebyshev.T)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["Heun", "Midpoint", "Ralston", "Bosh3", "Tsit5", "Dopri5"])
def test_tables_are_those_of_diffrax(name):
    arrays, peer = TABLEAUS[name.upper()].float64, getattr(diffrax, name).tableau
    np.testing.assert_allclose(arrays.b, peer.b_sol, rtol=1e-14)
    np.testing.assert_allclose(arrays.c[1:], peer.c, rtol=1e-14)
    for i, line in enumerate(peer.a_lower):
        np.testing.assert_allclose(arrays.a[i + 1, : i + 1], line, rtol=1e-14)
    if name == "Dopri5":  # Theirs is Shampine's estimate.
        return
    sign = np.sign(arrays.b_error @ peer.b_error)
    np.testing.assert_allclose(sign * arrays.b_error, peer.b_error, rtol=1e-12)


def test_tsit5_interpolates_as_diffrax_does():
    solver = diffrax.Tsit5.interpolation_cls
    for stage in range(7):
        line = solver(t0=0.0, t1=1.0, y0=np.zeros(()), y1=None, k=np.eye(7)[stage]).evaluate(0.3)
        found = 0.3 * np.polynomial.chebyshev.chebval(-0.4, tableaus.TSIT5.float64.chebyshev[stage])
        assert abs(float(line) - found) < 50 * np.finfo(line.dtype).eps
