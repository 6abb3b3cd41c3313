"""Order conditions of Runge-Kutta methods, one for each rooted tree, in 60 digits.

A tree is the sorted tuple of its subtrees. Source: Hairer, Nørsett and Wanner, Solving Ordinary
Differential Equations I, II.2.
"""

from decimal import Context, Decimal, localcontext
from functools import cache
from itertools import combinations_with_replacement, product

DIGITS = Context(prec=60)


def partitions(total, most=None):
    """The ways to write `total` as a sum, larger terms first."""
    if total == 0:
        yield ()
    for term in range(min(total, most or total), 0, -1):
        for rest in partitions(total - term, term):
            yield (term, *rest)


@cache
def trees(nodes):
    """All rooted trees of so many nodes."""
    found = set()
    for sizes in partitions(nodes - 1):
        choices = [
            combinations_with_replacement(trees(size), sizes.count(size)) for size in set(sizes)
        ]
        for picked in product(*choices):
            found.add(tuple(sorted(subtree for group in picked for subtree in group)))
    return sorted(found)


def order_of(tree):
    """The number of nodes."""
    return 1 + sum(map(order_of, tree))


def density(tree):
    """γ: the exact solution has the weight θ^order / γ."""
    out = order_of(tree)
    for subtree in tree:
        out *= density(subtree)
    return out


def decimals(row):
    """Fractions as numbers of 60 digits."""
    return [DIGITS.divide(Decimal(x.numerator), Decimal(x.denominator)) for x in row]


def elementary_weights(a, order):
    """(tree, the stages' products of it) for all trees up to `order`; `a` a lower triangle."""
    product_of, inner = {}, {}
    for nodes in range(1, order + 1):
        for tree in trees(nodes):
            stages = [Decimal(1)] * len(a)
            for subtree in tree:
                stages = [x * y for x, y in zip(stages, inner[subtree], strict=True)]
            product_of[tree] = stages
            inner[tree] = [
                sum(x * y for x, y in zip(line, stages, strict=False) if x) for line in a
            ]
    return product_of


def defects(a, weights, order, theta=1):
    """The largest defect of each order: |Σ wᵢ Φᵢ(tree) - θ^order / γ(tree)|, as a dict."""
    with localcontext(DIGITS):
        theta = Decimal(theta.numerator) / Decimal(theta.denominator)
        a, weights = [decimals(line) for line in a], decimals(weights)
        out = dict.fromkeys(range(1, order + 1), Decimal(0))
        for tree, stages in elementary_weights(a, order).items():
            nodes = order_of(tree)
            exact = theta**nodes / density(tree)
            found = sum(x * y for x, y in zip(weights, stages, strict=True) if x)
            out[nodes] = max(out[nodes], abs(found - exact))
    return {nodes: float(defect) for nodes, defect in out.items()}
