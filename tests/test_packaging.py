"""What `pyproject.toml` declares is what the library imports, and its version."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest

import sciml_lux as lux

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL = ("plots", "progress", "io")


def names(requirements):
    return {re.match(r"[\w.-]+", text)[0] for text in requirements}


def imported():
    """Packages that files of the library import, to those that do."""
    found = {}
    for path in sorted((ROOT / "sciml_lux").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for module in modules:
                found.setdefault(module.split(".")[0], []).append(path)
    return {name: paths for name, paths in found.items() if name not in sys.stdlib_module_names}


def top_level_imports(path):
    return {
        name.split(".")[0]
        for node in ast.parse(path.read_text()).body
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and node.level == 0
            else []
        )
    }


def test_what_is_imported_is_declared_and_the_reverse():
    optional = names(text for extra in OPTIONAL for text in PROJECT["optional-dependencies"][extra])
    required = names(PROJECT["dependencies"])
    assert not required & optional
    assert set(imported()) == required | optional


def test_optional_packages_are_imported_where_they_are_used_alone():
    optional = names(text for extra in OPTIONAL for text in PROJECT["optional-dependencies"][extra])
    for name, paths in imported().items():
        for path in paths if name in optional else []:
            assert name not in top_level_imports(path), path


def test_version_is_that_of_the_installed_package():
    assert lux.__version__ == importlib.metadata.version("sciml_lux")
    assert re.fullmatch(r"\d+\.\d+\.\d+", lux.__version__)


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_declared_lower_bound_is_not_above_what_is_tested(text):
    name, least = re.fullmatch(r"([\w-]+)>=([\d.]+)", text).groups()
    numbers = [tuple(map(int, v.split(".")[:3])) for v in (importlib.metadata.version(name), least)]
    assert numbers[0] >= numbers[1]


def test_least_python_has_a_classifier():
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {least}" in PROJECT["classifiers"]
