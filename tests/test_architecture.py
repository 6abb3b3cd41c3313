"""The direction of imports, and what importing the library may do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sciml_lux"
LEVELS = {
    "programs": 0,
    "precision": 1,
    "core": 2,
    "initializers": 3,
    "ops": 3,
    "devices": 3,
    "io": 3,
    "nn": 4,
    "losses": 4,
    "autodiff": 4,
    "ode": 5,
    "training": 5,
    "physics": 6,
    "convert": 6,
    "testing": 7,
}
# The families of a package, from what knows of no other to what uses them all.
FAMILIES = {
    "autodiff": ("primitives", "points", "propagation", "operators"),
    "ode": (
        "problem",
        "adjoints",
        "method",
        "equation",
        "solution",
        "engines",
        "events",
        "failure",
        "solving",
        "layers",
    ),
    "ops/solve": (
        "tableaus",
        "loops",
        "rules",
        "steps",
        "forward",
        "derivative",
        "recorded",
        "reversible",
        "symplectic",
        "kernels",
    ),
    "training": (
        "compilation",
        "objectives",
        "schedules",
        "optimisers",
        "state",
        "data",
        "steps",
        "records",
        "callbacks",
        "fitting",
        "minimisers",
    ),
}
TABLES = {"__init__.py", "internal.py"}  # Names for users, and for other packages of the library.
OWNERS = {"diffrax": {"ode"}, "optax": {"training"}}
FILES = sorted(path.relative_to(ROOT) for path in PACKAGE.rglob("*.py"))


def imports(path):
    """(package of this library or None, module) of every import in a file."""
    parts = path.relative_to("sciml_lux").parts
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            yield from ((None, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield None, (node.module or "").split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level]
            target = [*base, *(node.module.split(".") if node.module else [])]
            names = target[:1] or [alias.name for alias in node.names]
            yield from ((name, ".".join(target)) for name in names)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_down_only(path):
    parts = path.relative_to("sciml_lux").parts
    if len(parts) == 1:
        return  # The public table.
    package = parts[0]
    for target, module in imports(path):
        if target is not None and target != package:
            assert LEVELS[target] < LEVELS[package], f"{path}: {target}"
            # A table, not a private file: for users, or with what only the library needs.
            assert module in {"", target, f"{target}.internal"}, f"{path}: {module}"
        assert module != "sciml_lux", f"{path}: import relatively"
        assert package in OWNERS.get(module, {package}), f"{path}: {module}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_library_imports_itself_at_the_top_of_files(path):
    tree = ast.parse((ROOT / path).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node in tree.body, f"{path}:{node.lineno}: would hide a circle"


def package_of(path):
    """The package in whose family a file is."""
    return "/".join(path.parts[1:-2])


IN_FAMILIES = [path for path in FILES if package_of(path) in FAMILIES]


@pytest.mark.parametrize("package", FAMILIES)
def test_order_of_families_names_every_one(package):
    found = {path.parts[-2] for path in IN_FAMILIES if package_of(path) == package}
    assert sorted(FAMILIES[package]) == sorted(found)


@pytest.mark.parametrize("path", IN_FAMILIES, ids=str)
def test_families_import_earlier_ones_only(path):
    order = FAMILIES[package_of(path)]
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 2:  # `..family._file`.
            family = (node.module or "").split(".")[0]
            assert order.index(family) < order.index(path.parts[-2]), f"{path}: {family}"


@pytest.mark.parametrize("path", IN_FAMILIES, ids=str)
def test_files_of_a_family_import_in_no_circle(path):
    seen, waiting = set(), [path]
    while waiting:
        for node in ast.parse((ROOT / waiting.pop()).read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                target = path.parent / f"{node.module}.py"
                assert target != path, f"{path}: imported by what it imports"
                waiting += [] if target in seen else [target]
                seen.add(target)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_are_private_and_tables_hold_names_only(path):
    assert path.name.startswith("_") or path.name in TABLES
    if path.name not in TABLES:
        return
    for node in ast.parse((ROOT / path).read_text()).body[1:]:
        assert isinstance(node, ast.ImportFrom), f"{path}: line {node.lineno}"
        for alias in node.names:
            assert alias.asname == alias.name, f"{path}: from . import {alias.name} as {alias.name}"


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "internal.py"], ids=str)
def test_plumbing_is_not_in_the_table_of_the_users(path):
    tables = (ast.parse((ROOT / path.parent / name).read_text()) for name in sorted(TABLES))
    public, plumbing = ({name for _, name in aliases(table)} for table in tables)
    assert plumbing and not public & plumbing


def aliases(tree):
    """(line, name) of everything that a table imports."""
    for node in tree.body[1:]:
        yield from ((node.lineno, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_source_has_no_asserts_and_no_strong_numpy_constants(path):
    tree = ast.parse((ROOT / path).read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}: raise a clear error"
        # NumPy scalars are strongly typed: float32 data times np.sqrt(2.0) would be float64.
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"np.sqrt", "np.float64", "np.exp", "np.log"}, (
                f"{path}:{node.lineno}: use math or a Python float"
            )


IMPORT = """
import jax
before = dict(jax.config.values)
import sciml_lux
after = dict(jax.config.values)
assert before == after, {n: (before[n], after[n]) for n in before if before[n] != after[n]}
assert not jax.live_arrays(), jax.live_arrays()
"""


def test_importing_creates_no_array_and_changes_no_setting():
    subprocess.run([sys.executable, "-W", "error", "-c", IMPORT], check=True, timeout=120)
