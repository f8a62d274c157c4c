"""Rules for the rows of each table, in docs/data.md, from the register
``edge_agent/timeline/database/tables.py``.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from edge_agent.timeline.database.tables import (
    DASHBOARD,
    TIMELINE,
    ErasureWay,
    Retention,
    RowOwner,
    Table,
)

_HEADS = ("table", "rows of", "go to", "erasing a person", "kept", "times that move")
_WHOSE = {RowOwner.TIME: "time", RowOwner.PERSON: "participant", RowOwner.APPLIANCE: "appliance"}


_KEPT = {
    Retention.ALWAYS: "",
    Retention.DAYS: "days",
    Retention.BUDGET: "budget",
    Retention.FOLDED: "folded",
    Retention.SERVED: "served",
}
_COMMON = 5
"""A reason that so many tables have in common stands once, above the table."""


def _legend(both: list[tuple[str, Table]]) -> str:
    """Return what the short words of the cells mean."""
    listed = "; ".join(sorted(_common_reasons(both)))
    deleted = ErasureWay.WITH_OWNER.value.removeprefix("deleted ")
    kept = " ".join(f"*{word}*: {kept.value}." for kept, word in _KEPT.items() if word)
    return (
        "Rows of *time* belong to the session in which their time lies. Rows go to *exports*, "
        "with *studies* that are imported, and to a *fleet*, or to none of these "
        f"({listed}). *Deleted*: {deleted}; of *time*, where they lie in their session. *Kept*: "
        "nothing in them is about a person. Without a word in *kept* they stay "
        f"{Retention.ALWAYS.value}. {kept}\n"
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


def _cells(one: Table, common: set[str]) -> tuple[str, ...]:
    ways = (("exports", one.title), ("studies", one.brought), ("fleet", one.sent))
    places = ", ".join(name for name, goes in ways if goes)
    if one.apart and not one.title and one.apart not in common:
        places = f"{places} (no export: {one.apart})".lstrip()
    return (
        _WHOSE.get(one.whose, one.whose.value),
        places,
        _erasure(one),
        _KEPT[one.kept],
        ", ".join(f"`{time.column}`" for time in one.times if time.boot or time.noted),
    )


def _erasure(one: Table) -> str:
    if one.erasure in (ErasureWay.WITH_OWNER, ErasureWay.IN_TIME):
        return "deleted"
    if one.erasure is ErasureWay.KEPT:
        return "kept" if "nothing about a person" in one.rule else f"kept: {one.rule}"
    return one.rule if one.erasure is ErasureWay.BY_RULE else one.erasure.value


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
