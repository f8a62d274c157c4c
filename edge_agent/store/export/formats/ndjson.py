"""The timeline as newline-delimited JSON: one row a line, with the name of its table."""

from __future__ import annotations

from typing import IO

from edge_agent.store.export.format import FileFormat
from edge_agent.store.export.rows.columns import FILES
from edge_agent.store.export.rows.typed import json_text
from edge_agent.store.export.source import ExportSource


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write the rows of one table after the other; the key ``table`` comes first in each row.

    Values have the types that they have in JSON, null where one is missing.
    """
    for name in FILES:
        for row in source.rows(name):
            out.write(f"{json_text({'table': name, **row})}\n".encode())


FORMAT = FileFormat(
    name="ndjson",
    label="NDJSON",
    summary="one JSON object a row and line",
    description="NDJSON is the same rows as JSON, one on each line with the name of its table: for "
    "programs that read line by line.",
    suffix=".ndjson",
    media_type="application/x-ndjson",
    write=_write,
)
