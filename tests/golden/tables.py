"""The schema of a database as others rely on it: tables, views, indexes, triggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.golden import project
from tests.golden.shapes import Shape

_COLUMNS = "SELECT name, type, \"notnull\", pk, dflt_value FROM pragma_table_xinfo('{name}')"
_INDEXES = "SELECT name, \"unique\", partial FROM pragma_index_list('{name}')"
_KEYS = 'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(\'{name}\')'
_OF_INDEX = "SELECT coalesce(name, 'an expression') FROM pragma_index_info('{name}')"
_VIEW = "SELECT name FROM pragma_table_xinfo('{name}')"  # each SQLite has its own types for these
_STRICT = "SELECT name FROM pragma_table_list WHERE strict = 1 AND schema = 'main' ORDER BY name"
_OF_KIND = "SELECT name FROM sqlite_schema WHERE type = '{kind}' ORDER BY name"
_VERSIONS = "SELECT version FROM migration ORDER BY version"


def schema_shape(path: Path) -> Shape:
    def names(query: str) -> list[Any]:
        return [row[0] for row in project.rows(path, query)]

    def named(kind: str) -> list[str]:
        return [name for name in names(_OF_KIND.format(kind=kind)) if "sqlite_" not in name]

    versions = names(_VERSIONS)
    assert project.rows(path, "PRAGMA user_version") == [(versions[-1],)]
    return {
        "file": project.DATABASE_NAME,
        "application id": project.APPLICATION_ID,
        "versions of the schema": versions,
        "tables": {name: _table(path, name) for name in named("table")},
        "strict tables": names(_STRICT),
        "columns of views": {name: names(_VIEW.format(name=name)) for name in named("view")},
        "triggers": named("trigger"),
    }


def _table(path: Path, table: str) -> Shape:
    shape: dict[str, Shape] = {"columns": {}, "order": []}
    for name, kind, needed, key, default in project.rows(path, _COLUMNS.format(name=table)):
        words = {kind: True, "not null": needed, f"key {key}": key}
        words[f"default {default}"] = default is not None
        shape["columns"][name] = ", ".join(word for word, holds in words.items() if holds)
        shape["order"].append(name)
    indexes = project.rows(path, _INDEXES.format(name=table))
    shape["indexes"] = sorted(_index(path, *index) for index in indexes)
    keys = project.rows(path, _KEYS.format(name=table))
    shape["foreign keys"] = sorted(_foreign_key(*key) for key in keys)
    return {key: value for key, value in shape.items() if value}


def _index(path: Path, name: str, unique: int, partial: int) -> str:
    columns = [row[0] for row in project.rows(path, _OF_INDEX.format(name=name))]
    rules = {"unique": unique, "partial": partial}
    shown = "one that SQLite makes" if name.startswith("sqlite_") else name
    words = [f"{shown} ({', '.join(columns)})", *(rule for rule, holds in rules.items() if holds)]
    return ", ".join(words)


def _foreign_key(mine: str, other: str, its: str, on_delete: str) -> str:
    return f"{mine} → {other}.{its}, delete: {on_delete.lower()}"
