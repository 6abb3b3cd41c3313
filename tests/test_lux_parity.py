"""The page of Lux names: every name of ours exists, every test is there, the page is up to date."""

import ast
import functools
import importlib.util
from pathlib import Path

import pytest

import sciml_lux

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ROOT = Path(__file__).parent.parent
_spec = importlib.util.spec_from_file_location("lux_parity", ROOT / "docs" / "lux_parity.py")
lux_parity = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(lux_parity)

ROWS = lux_parity.read()


@functools.cache
def tests_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.lux)
def test_name_of_ours_and_its_test_exist(row):
    for name in row.ours:
        functools.reduce(getattr, name.removesuffix("()").split("."), sciml_lux)
    if row.ours:
        path, _, test = row.test.partition("::")
        assert test.startswith("test_")
        assert test in tests_of(path)
    else:
        assert len(row.difference) > 15, "say why there is none"


def test_names_are_listed_once():
    names = [row.lux for row in ROWS]
    assert len(names) == len(set(names))


def test_page_is_up_to_date():
    assert lux_parity.PAGE.read_text() == lux_parity.page(ROWS), "run python docs/lux_parity.py"
