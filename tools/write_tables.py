"""``python tools/write_tables.py``: write what is done with each table in docs/data.md anew.

It reads the register, ``edge_agent/timeline/database/tables.py``. A test says when it is due.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

from edge_agent.timeline.database.tables import DASHBOARD, TIMELINE, Erasure, Owner, Table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data.md"
START = "<!-- tables: written by tools/write_tables.py -->\n"
END = "<!-- end of tables -->\n"
_HEADS = (
    "table", "rows of", "exported", "by `import-study`", "to a fleet", "erasing a person", "kept",
    "times that move",
)  # fmt: skip
_WHOSE = {
    Owner.TIME: "whose session it lies in",
    Owner.PERSON: "participant",
    Owner.APPLIANCE: "appliance",
}


def table() -> str:
    """Return the table in Markdown, one row a table, those of the dashboard at the end."""
    files = (("", TIMELINE), ("dashboard.", DASHBOARD))
    both = [(file, one) for file, rows in files for one in sorted(rows, key=attrgetter("name"))]
    lines = [_line(_HEADS), _line(["---"] * len(_HEADS))]
    return "\n".join([*lines, *(_line(_cells(file, one)) for file, one in both)]) + "\n"


def with_table(text: str) -> str:
    """Return the page with the present table between its two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def _cells(file: str, one: Table) -> list[str]:
    return [
        f"`{file}{one.name}`",
        _WHOSE.get(one.whose, one.whose.value),
        "yes" if one.title else f"no: {one.apart}",
        "yes" if one.brought else "",
        "yes" if one.sent else "",
        _erasure(one),
        one.kept.value,
        ", ".join(f"`{time.column}`" for time in one.moved),
    ]


def _erasure(one: Table) -> str:
    if one.erasure is Erasure.KEPT:
        return f"kept: {one.rule}"
    return one.rule if one.erasure is Erasure.BY_RULE else one.erasure.value


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
