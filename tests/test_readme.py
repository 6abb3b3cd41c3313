"""Every Python block of the README runs, in order, in one namespace for the page."""

import re
from pathlib import Path

import pytest

from tests.conftest import needs_x64

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)


@needs_x64
def test_readme_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) >= 3
    namespace = {}
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), namespace)


@pytest.mark.parametrize("target", ["demo", "test", "bench", "lint", "types"])
def test_readme_and_contributing_name_targets_that_exist(target):
    makefile = (ROOT / "Makefile").read_text()
    pages = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(rf"^{target}:", makefile, re.M) and f"make {target}" in pages


def test_readme_links_to_files_that_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
