import importlib.metadata
import tomllib
from pathlib import Path

import sciml_lux as lux
from sciml_lux.core import _version

PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"


def test_version_is_that_of_the_project():
    assert lux.__version__ == tomllib.loads(PROJECT.read_text())["project"]["version"]


def test_version_of_source_that_is_not_installed(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _version._installed() == "0+unknown"
