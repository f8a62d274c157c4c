"""``python tools/write_tables.py``: write what docs/data.md says of tables and files anew.

That is: what is done with the rows of each table, by ``edge_agent/timeline/database/tables.py``;
which of the columns that many tables have is in which, by ``schema.sql`` and ``dashboard.sql``; the
columns of exported files, by ``edge_agent/timeline/export/table_schemas.py``. A test says when it
is due.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from itertools import groupby
from pathlib import Path

from edge_agent.timeline.database.tables import (
    DASHBOARD,
    TIMELINE,
    Erasure,
    Owner,
    Retention,
    Table,
)
from edge_agent.timeline.export.table_schemas import FILES

SCHEMAS = Path(__file__).resolve().parents[1] / "edge_agent" / "timeline" / "database"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "data.md"
START = "<!-- tables: written by tools/write_tables.py -->\n"
END = "<!-- end of tables -->\n"
FILES_START = "<!-- exported files: written by tools/write_tables.py -->\n"
FILES_END = "<!-- end of exported files -->\n"
MANY = "And [columns of many tables](#columns-of-many-tables): "
RUNS = (
    ("neutral", "contempt"),
    ("smoothed_neutral", "smoothed_contempt"),
    ("logit_neutral", "logit_contempt"),
    ("brow_down", "jaw_open"),
)
"""First and last column of a run that is written as ``first`` … ``last``."""
_SECTION = re.compile(r"^### `((?:dashboard\.)?\w+)`\n.*?(?=^##|\Z)", re.MULTILINE | re.DOTALL)
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
    """Return the table in Markdown: tables with which the same is done in one row, the
    dashboard's at the end.
    """
    files = (("", TIMELINE), ("dashboard.", DASHBOARD))
    both = [(file, one) for file, rows in files for one in rows]
    common = _common_reasons(both)
    rows = [(file != "", _cells(one, common), f"`{file}{one.name}`") for file, one in both]
    names = {
        cells: sorted((name for _, _, name in alike), key=_bare)
        for cells, alike in groupby(sorted(rows), key=lambda row: row[:2])
    }
    written = sorted(names.items(), key=lambda row: (row[0][0], _bare(row[1][0])))
    lines = [_legend(both), _line(_HEADS), _line(["---"] * len(_HEADS))]
    lines += [_line([", ".join(listed), *cells]) for (_, cells), listed in written]
    return "\n".join(lines) + "\n"


def _bare(name: str) -> str:
    return name.strip("`")


def table_of_files() -> str:
    """Return the exported files with their columns in Markdown, one row a file."""
    lines = [_line(("file", "columns")), _line(["---"] * 2)]
    lines += [
        _line((f"`{name}.csv`", ", ".join(_runs([column.name for column in columns]))))
        for name, columns in FILES.items()
    ]
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the page with the present tables between their marks, and the present lines of
    columns that many tables have.
    """
    return _SECTION.sub(
        lambda section: _with_many(section[1], section[0], _of_many(text)),
        _between(_between(text, START, table(), END), FILES_START, table_of_files(), FILES_END),
    )


def _between(text: str, start: str, block: str, end: str) -> str:
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{block}\n{end}{after}"


def _of_many(text: str) -> set[str]:
    """Return the names in the table *Columns of many tables*."""
    listed = text.partition("### Columns of many tables\n")[2].partition("\n##")[0]
    return set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE))


def _with_many(name: str, section: str, many: set[str]) -> str:
    """Return the section of a table with the line of those of its columns that many tables have."""
    text = re.sub(rf"^{re.escape(MANY)}.*\n\n", "", section, flags=re.MULTILINE)
    columns = [
        column
        for column in columns_of(name)
        if (column in many or column.endswith("_boot")) and f"\n| `{column}` |" not in text
    ]
    if not columns or "\nThe columns are those of" in text:
        return text
    listed = ", ".join(f"`{column}`" for column in columns)
    return f"{text.rstrip()}\n\n{MANY}{listed}.\n\n"


@cache
def columns_of(name: str) -> tuple[str, ...]:
    """Return the columns of a table, ``NAME`` or ``dashboard.NAME``, in their order."""
    file, _, table_name = name.rpartition(".")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((SCHEMAS / f"{file or 'schema'}.sql").read_text(encoding="utf-8"))
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table_name,))
        return tuple(column for (column,) in rows)


def _runs(names: list[str]) -> list[str]:
    """Return the names as code, with runs of them shortened."""
    for first, last in RUNS:
        if first in names and last in names:
            start, stop = names.index(first), names.index(last)
            names = [*names[:start], f"{first}` … `{last}", *names[stop + 1 :]]
    return [f"`{name}`" for name in names]


def _cells(one: Table, common: set[str]) -> tuple[str, ...]:
    reason = "" if one.apart in common else f"no: {one.apart}"
    return (
        _WHOSE.get(one.whose, one.whose.value),
        "yes" if one.title else reason,
        "yes" if one.brought else "",
        "yes" if one.sent else "",
        _erasure(one),
        "" if one.kept is Retention.ALWAYS else one.kept.value,
        ", ".join(f"`{time.column}`" for time in one.moved),
    )


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
