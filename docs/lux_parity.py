"""The table of `lux_parity.md`: every public name of the Lux family, and what replaces it.

`python docs/lux_parity.py` writes the page; `tests/test_lux_parity.py` checks it. A line of
`lux_parity.txt` is

    Lux name | ours, from `sciml_lux` | test file::test, from `tests` | difference

For a name without a counterpart, the last column says why.
"""

import dataclasses
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "lux_parity.txt"
PAGE = FOLDER / "lux_parity.md"

_INTRODUCTION = """# Lux names and ours

Names of Lux 1.31, LuxCore 1.5, LuxLib 1.15, WeightInitializers 1.3 and Boltz, in the order of their
documentation. Everywhere: batch first and features last, `axis=-1` where Lux says `dims=1`,
positions from 0, `ps` and `st` are `Record`s. A function that ends in `!` in Lux is a pure function
here. `python docs/lux_parity.py` writes this page from `lux_parity.txt`.
"""
_HEADER = ("| Lux | ours | test | difference |", "|---|---|---|---|")


@dataclasses.dataclass(frozen=True)
class Row:
    """One Lux name."""

    section: str
    lux: str
    ours: tuple[str, ...]
    test: str
    difference: str


def read() -> list[Row]:
    """All rows, in order."""
    rows, section = [], ""
    for line in SOURCE.read_text().splitlines():
        if line.startswith("# "):
            section = line.removeprefix("# ")
        elif line.strip():
            lux, ours, test, difference = (part.strip() for part in line.split("|"))
            names = tuple(name.strip() for name in ours.split(",") if name.strip())
            rows.append(Row(section, lux, names, test, difference))
    return rows


def page(rows: list[Row]) -> str:
    """The page as Markdown."""
    lines, section = [_INTRODUCTION], None
    for row in rows:
        if row.section != section:
            section = row.section
            lines += [
                f"\n## {section}\n",
                "| Lux | ours | test | difference |",
                "|---|---|---|---|",
            ]
        ours = ", ".join(f"`{name}`" for name in row.ours) or "none"
        test = f"`{row.test}`" if row.test else ""
        lines.append(f"| `{row.lux}` | {ours} | {test} | {row.difference} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(read()))
