"""The timeline as a folder of CSV files, one JSON document, or newline-delimited JSON.

The JSON document holds the rows of each table and the description of its columns; a line of NDJSON
holds one row with the name of its table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from edge_agent import __version__
from edge_agent.core.texts import N_
from edge_agent.timeline.export.files import write_blocks
from edge_agent.timeline.export.format import FileFormat, FolderFormat
from edge_agent.timeline.export.rows import RowBlock, json_text
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import FILES, PACKAGE, TITLES, WrittenFile, schema_of


def _write_table(folder: Path, name: str, blocks: Iterator[RowBlock]) -> WrittenFile:
    path = f"{name}.csv"
    with (folder / path).open("wb") as file:
        size, sha256, rows = write_blocks(file, blocks)
    return WrittenFile(name, path, TITLES[name], "text/csv", size, sha256, rows)


CSV = FolderFormat(
    name="csv",
    label="CSV (zip)",
    summary="a folder of tables",
    description=N_("A folder of the tables alone."),
    suffix=".csv.zip",
    media_type="application/zip",
    position=20,
    downloadable=False,  # the bundle holds the same files
    write_table=_write_table,
)


def _write_json(source: ExportSource, out: IO[bytes]) -> None:
    """Write the document row by row.

    It has the keys ``name``, ``version``, ``created``, ``participant`` (where it is of one alone),
    ``tables`` (name → rows) and ``schemas`` (name → Table Schema). A missing value is null, and so
    is a number that JSON cannot hold.
    """
    head = {"name": PACKAGE, "version": __version__, "created": source.created}
    if source.chosen.participant:
        head["participant"] = source.chosen.participant
    # Without its closing brace: rows are appended as they come, and none is kept.
    out.write(f"{json.dumps(head)[:-1]}, ".encode() + b'"tables": {')
    for number, name in enumerate(FILES):
        out.write(f"{',' if number else ''}\n{json.dumps(name)}: [".encode())
        for place, row in enumerate(source.rows(name)):
            out.write(f"{',' if place else ''}\n{json_text(row)}".encode())
        out.write(b"]")
    schemas = {name: schema_of(name) for name in FILES}
    out.write(f'}}, "schemas": {json.dumps(schemas, ensure_ascii=False)}}}\n'.encode())


JSON = FileFormat(
    name="json",
    label="JSON",
    summary="one document",
    description=N_("One document of the same tables, for programs."),
    suffix=".json",
    media_type="application/json",
    position=30,
    write=_write_json,
)


def _write_ndjson(source: ExportSource, out: IO[bytes]) -> None:
    """Write the rows of one table after the other; the key ``table`` comes first in each row.

    Values have the types that they have in JSON, null where one is missing.
    """
    for name in FILES:
        for row in source.rows(name):
            out.write(f"{json_text({'table': name, **row})}\n".encode())


NDJSON = FileFormat(
    name="ndjson",
    label="NDJSON",
    summary="one JSON object a row and line",
    description=N_("The same rows, one on each line, for programs that read line by line."),
    suffix=".ndjson",
    media_type="application/x-ndjson",
    write=_write_ndjson,
)
