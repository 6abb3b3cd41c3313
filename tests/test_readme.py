"""Every Python block of the README and the pages runs, in order, in one namespace for the page."""

import re
from pathlib import Path

import pytest

from tests.conftest import needs_x64

ROOT = Path(__file__).parent.parent


@needs_x64
@pytest.mark.parametrize(("page", "least"), [("README.md", 3), ("docs/distributed.md", 1)])
def test_code_of_the_pages_runs(page, least, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)
    assert len(blocks) >= least
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)


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
