"""Kernels are values, and their texts what a launch needs to know."""

import jax
import numpy as np
import pytest

from sciml_lux.ops.solve.kernels import device_text

from .cases import CASES, SLOW

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ALL = {**CASES, **SLOW}


def parameters_of(source):
    """The types of the arguments of the entry."""
    head = source.text[source.text.index(f"{source.entry}(") :]
    arguments = head[head.index("(") + 1 : head.index(")")].split(",")
    return [" ".join(argument.split()[:-1]) for argument in arguments]


@pytest.mark.parametrize("name", ALL)
def test_operands_and_results_are_the_leaves_of_a_solve(name):
    case = ALL[name]
    given = jax.tree.map(lambda x: x[0], case.given)
    assert jax.tree.structure(case.forward.operands) == jax.tree.structure(given)
    assert jax.tree.structure(case.forward.results) == jax.tree.structure(case.types)
    types = [
        f"{'const ' * is_given}{'int' if leaf.dtype == np.int32 else 'real'}*"
        for is_given, tree in ((True, given), (False, case.types))
        for leaf in jax.tree.leaves(tree)
    ]
    assert parameters_of(case.forward.source(case.mapped)) == ["const int*", *types]


def test_kernels_are_equal_where_their_texts_are():
    first, second = (CASES["two blocks"].__class__("lorenz", (0.2,)) for _ in range(2))
    for one, other in ((first.forward, second.forward), (first.backward, second.backward)):
        assert one == other and hash(one) == hash(other)
    assert first.forward != CASES["two blocks"].forward
    mapped = first.mapped
    assert first.forward.source(mapped) == second.forward.source(mapped)
    assert first.forward.source(mapped) != first.forward.source((True,) * len(mapped))


@pytest.mark.parametrize("name", ALL)
def test_texts_include_nothing_and_literals_have_types(name):
    for source in ALL[name].sources().values():
        assert "#include" not in source.text
        assert source.block == 128 and source.shared_bytes == 0
        assert "__launch_bounds__(128)" in source.text


def test_files_of_the_device_are_in_the_package():
    for name in ("prelude.h", "step.h", "control.h", "forward.h", "backward.h"):
        assert device_text(name).startswith("//")
