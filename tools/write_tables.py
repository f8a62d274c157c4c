"""``python tools/write_tables.py``: write what is done with each table in docs/data.md anew.

It reads the register, ``edge_agent/timeline/database/tables.py``. A test says when it is due.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from pathlib import Path

from edge_agent.timeline.database.tables import (
    DASHBOARD,
    TIMELINE,
    Erasure,
    Owner,
    Retention,
    Table,
)

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


_COMMON = 5
"""A reason that so many tables have in common stands once, above the table."""


def _legend(both: list[tuple[str, Table]]) -> str:
    """Return what the short words of the cells mean."""
    listed = "; ".join(sorted(_common_reasons(both)))
    deleted = Erasure.WITH_OWNER.value.removeprefix("deleted ")
    return (
        f"Where nothing is said, rows are not exported ({listed}), not imported, not sent, and "
        f"stay {Retention.ALWAYS.value}. *Deleted*: {deleted}. *Kept*: nothing "
        "in them is about a person.\n"
    )


def _common_reasons(both: list[tuple[str, Table]]) -> set[str]:
    counts = Counter(one.apart for _, one in both if not one.title)
    return {reason for reason, count in counts.items() if count >= _COMMON}


def table() -> str:
    """Return the table in Markdown, one row a table, those of the dashboard at the end."""
    files = (("", TIMELINE), ("dashboard.", DASHBOARD))
    both = [(file, one) for file, rows in files for one in sorted(rows, key=attrgetter("name"))]
    common = _common_reasons(both)
    lines = [_legend(both), _line(_HEADS), _line(["---"] * len(_HEADS))]
    return "\n".join([*lines, *(_line(_cells(file, one, common)) for file, one in both)]) + "\n"


def with_table(text: str) -> str:
    """Return the page with the present table between its two marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def _cells(file: str, one: Table, common: set[str]) -> list[str]:
    reason = "" if one.apart in common else f"no: {one.apart}"
    return [
        f"`{file}{one.name}`",
        _WHOSE.get(one.whose, one.whose.value),
        "yes" if one.title else reason,
        "yes" if one.brought else "",
        "yes" if one.sent else "",
        _erasure(one),
        "" if one.kept is Retention.ALWAYS else one.kept.value,
        ", ".join(f"`{time.column}`" for time in one.moved),
    ]


def _erasure(one: Table) -> str:
    if one.erasure is Erasure.WITH_OWNER:
        return "deleted"
    if one.erasure is Erasure.KEPT:
        return "kept" if "nothing about a person" in one.rule else f"kept: {one.rule}"
    return one.rule if one.erasure is Erasure.BY_RULE else one.erasure.value


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
