"""The codebook of a bundle: every table and column for people, as one page that prints well.

It is made from the schemas of ``datapackage.json`` and the registry of vitals; nothing is written
by hand twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from edge_agent import __version__
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.description import WrittenFile, schema_of

PATH = "codebook.html"
TITLE = "Codebook: every table and column, to read and to print"

_STYLE = """
body { font: 11pt/1.4 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: #fff }
h2 { margin-top: 2.2rem; break-after: avoid }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt }
th, td { border: 1px solid #999; padding: .25rem .4rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere }
thead { display: table-header-group }
tr { break-inside: avoid }
code { font-family: ui-monospace, monospace }
nav { columns: 3 }
@page { margin: 15mm }
@media print { body { margin: 0; max-width: none } nav { columns: 2 } }
"""
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "0 no, 1 yes",
    "datetime": "time: ISO 8601, UTC",
}
_COLUMNS = ("Column", "Type", "Unit", "Meaning", "Values", "Missing")
_VITALS = ("Kind", "Name", "Unit", "Plausible", "Meaning", "Smallest difference of interest")


def codebook(files: Iterable[WrittenFile], created: str) -> str:
    """Return the codebook of the tables among the files of an export, as an HTML page.

    Args:
        files: those of the export; only tables are described.
        created: when it was made, as text.
    """
    tables = [file for file in files if file.rows is not None]
    links = "".join(f'<li><a href="#{file.name}">{file.path}</a></li>' for file in tables)
    body = "".join(_table_of(file) for file in tables)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Codebook</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Codebook</h1>\n"
        f"<p>Export of {escape(created)} by Affect Edge {__version__}. A missing value is an empty "
        "cell in every table; no number and no word stands for one. A text that a spreadsheet "
        "would take for a formula stands behind an apostrophe.</p>\n"
        f'<nav><ul>{links}<li><a href="#kinds">Kinds of vitals</a></li></ul></nav>\n'
        f"{body}{_kinds()}</body>\n</html>\n"
    )


def _table_of(file: WrittenFile) -> str:
    schema = schema_of(file.name)
    keys = []
    if "primaryKey" in schema:
        keys.append(f"One row is known by <code>{schema['primaryKey']}</code>.")
    keys += [
        f"<code>{key['fields']}</code> leads to "
        f'<a href="#{key["reference"]["resource"]}">{key["reference"]["resource"]}.csv</a>.'
        for key in schema.get("foreignKeys", ())
    ]
    rows = (_column(field, schema) for field in schema["fields"])
    return (
        f'<h2 id="{file.name}">{file.path}</h2>\n<p>{escape(file.title)}. {file.rows:,} rows. '
        f"{' '.join(keys)}</p>\n{_html_table(_COLUMNS, rows)}"
    )


def _column(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of one column."""
    values = field.get("constraints", {}).get("enum", ())
    is_key = field["name"] == schema.get("primaryKey")
    return (
        f"<code>{field['name']}</code>",
        _TYPES[field["type"]],
        escape(field.get("unit", "")),
        escape(field["description"]),
        ", ".join(f"<code>{escape(value)}</code>" for value in values),
        "never" if is_key or field["type"] == "boolean" else "empty",
    )


def _kinds() -> str:
    rows = (
        (
            f"<code>{kind}</code>",
            escape(kind.spec.label),
            f"{escape(kind.unit)} ({escape(kind.spec.unit_shown)})",
            " to ".join(f"{bound:g}" for bound in kind.plausible),
            escape(kind.spec.definition),
            "" if kind.spec.bound is None else f"{kind.spec.bound:g}",
        )
        for kind in VitalKind
    )
    return (
        '<h2 id="kinds">Kinds of vitals</h2>\n<p>What <code>kind</code> in '
        '<a href="#vital">vital.csv</a> can be. A value that is not plausible stays, and has the '
        f"flag <code>out_of_range</code>.</p>\n{_html_table(_VITALS, rows)}"
    )


def _html_table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    body = "\n".join(_lines(rows))
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def _lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        yield f'<tr><th scope="row">{first}</th>{cells}</tr>'
