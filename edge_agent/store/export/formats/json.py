"""The timeline as one JSON document: the rows of each table, and the description of its columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from edge_agent import __version__
from edge_agent.store.export.description import PACKAGE, schema_of
from edge_agent.store.export.format import FileFormat
from edge_agent.store.export.rows.columns import FILES
from edge_agent.store.export.rows.typed import Row, json_text
from edge_agent.store.export.source import ExportSource


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write the document row by row.

    It has the keys ``name``, ``version``, ``created``, ``tables`` (name → rows) and ``schemas``
    (name → Table Schema). A missing value is null, and so is a number that JSON cannot hold.
    """
    head = {"name": PACKAGE, "version": __version__, "created": source.created}
    out.write(f"{json.dumps(head)[:-1]}, ".encode() + b'"tables": {')
    for number, name in enumerate(FILES):
        out.write(f"{',' if number else ''}\n{json.dumps(name)}: [".encode())
        for text in _separated(source.rows(name)):
            out.write(text.encode())
        out.write(b"]")
    schemas = {name: schema_of(name) for name in FILES}
    out.write(f'}}, "schemas": {json.dumps(schemas, ensure_ascii=False)}}}\n'.encode())


def _separated(rows: Iterator[Row]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"{',' if number else ''}\n{json_text(row)}"


FORMAT = FileFormat(
    name="json",
    label="JSON",
    summary="one document",
    description="JSON is one document of the same tables.",
    suffix=".json",
    media_type="application/json",
    position=30,
    write=_write,
)
