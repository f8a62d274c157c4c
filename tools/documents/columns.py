"""Every table of the databases with its columns, in docs/data.md.

Names and types come from the schemas, meanings from the registry of exported files, and from
``columns.toml`` what that does not say.
"""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

from edge_agent.timeline.export.table_schemas import FILES

REGISTER = Path(__file__).with_suffix(".toml")
SCHEMAS = {"timeline": "schema.sql", "programs": "schema.sql", "dashboard": "dashboard.sql"}
_MARKS = {"timeline": "####", "programs": "###", "dashboard": "###"}
"""Marks of a heading one level below that of the page."""
MANY = "many"
"""Table of the register for columns that many tables have."""


def tables(group: str) -> str:
    """Return a section for each table of a group.

    Raises:
        KeyError: a column has no meaning.
        ValueError: the register names one that is not there.
    """
    return "\n\n".join(
        f"{_heading(group, name)}\n\nOne row is {entry['row']}.\n\n{_rows(group, name)}"
        for name, entry in read_register()[group].items()
    )


@cache
def read_register() -> dict[str, Any]:
    """Return what ``columns.toml`` says."""
    return tomllib.loads(REGISTER.read_text(encoding="utf-8"))


@cache
def columns_of(file: str) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return the tables of a schema: each column with its type."""
    text = (resources.files("edge_agent.timeline.database") / file).read_text(encoding="utf-8")
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(text)
        columns = connection.execute(
            "SELECT one.name, its.name, its.type FROM sqlite_schema AS one"
            " JOIN pragma_table_info(one.name) AS its"
            " WHERE one.type = 'table' AND one.name NOT LIKE 'sqlite_%' ORDER BY one.name, its.cid"
        ).fetchall()
    return {
        name: tuple(row[1:] for row in rows)
        for name, rows in groupby(columns, key=lambda row: row[0])
    }


def meanings(group: str, name: str) -> dict[str, str]:
    """Return the meaning of each column of a table.

    Raises:
        KeyError: one has none.
        ValueError: the register names one that is not there.
    """
    register = read_register()
    entry = register[group][name]
    names = [column for column, _ in columns_of(SCHEMAS[group])[name]]
    noted = _noted(register[group].get(entry.get("like"), entry), names)
    exported = {column.name: column.description for column in FILES.get(name, ())}
    return {
        column: _meaning(column, exported.get(column), noted | register[MANY], noted.get(column))
        for column in names
    }


def _meaning(column: str, exported: str | None, words: Mapping[str, str], note: str | None) -> str:
    if exported or note:
        return "; ".join(filter(None, (exported, note)))
    for ending in ("_boot_ms", "_boot"):
        if column.endswith(ending) and column not in words:
            return f"of `{column.removesuffix(ending)}`: {words[ending.removeprefix('_')]}"
    return words[column]


def _noted(entry: Mapping[str, str], names: list[str]) -> dict[str, str]:
    """Return the columns that an entry names, with what it says of each."""
    texts = {}
    for key, text in entry.items():
        if key in ("row", "like"):
            continue
        for part in key.split(", "):
            first, _, last = part.partition(" … ")
            start = names.index(first)
            for column in names[start : names.index(last or first) + 1]:
                texts[column] = text
    return texts


def _rows(group: str, name: str) -> str:
    words = meanings(group, name)
    rows = ((words[column], kind, column) for column, kind in columns_of(SCHEMAS[group])[name])
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for (meaning, kind), alike in groupby(rows, key=lambda row: row[:2]):
        names = ", ".join(f"`{column}`" for *_, column in alike)
        lines.append(f"| {names} | {kind} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def _heading(group: str, name: str) -> str:
    return f"{_MARKS[group]} `{'dashboard.' if group == 'dashboard' else ''}{name}`"
