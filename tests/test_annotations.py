"""Arguments say what they take: `Any` is for what may truly be anything."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "sciml_lux"
PACKAGES = (
    "autodiff",
    "core",
    "initializers",
    "losses",
    "nn",
    "ode",
    "ops",
    "precision",
    "programs",
    "testing",
)
SHARE = 0.1


def arguments(package):
    """The arguments of every function of a package, but `self` and `cls`: where, and annotation."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                listed = [*given.posonlyargs, *given.args, *given.kwonlyargs]
                listed += [argument for argument in (given.vararg, given.kwarg) if argument]
                for argument in listed:
                    if argument.arg not in ("self", "cls"):
                        yield f"{path.name}:{node.lineno} {argument.arg}", argument.annotation


def speaks_of_any(annotation):
    return annotation is not None and "Any" in {
        node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_few_arguments_are_typed_any(package):
    found = list(arguments(package))
    anything = [where for where, annotation in found if speaks_of_any(annotation)]
    assert len(anything) < SHARE * len(found), "\n".join(anything)
