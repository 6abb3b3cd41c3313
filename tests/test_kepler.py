import importlib.util
from pathlib import Path

from tests.conftest import needs_x64, slow

DOCS = Path(__file__).parent.parent / "docs"
_spec = importlib.util.spec_from_file_location("kepler", DOCS / "kepler.py")
kepler = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kepler)


@slow
@needs_x64
def test_the_energy_does_not_drift_in_ten_thousand_periods():
    found = kepler.rows(kepler.SYMPLECTIC)
    for row in found:
        assert row.last < 1.01 * row.first
        assert row.errors.max() < 1.01 * row.first
    page = (DOCS / "second_order.md").read_text()
    for line in kepler.table(found):
        assert line in page
