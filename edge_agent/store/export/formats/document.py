"""The timeline as one JSON document: a list of rows for each table, beside the description of its
columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.store.database.schema import reading
from edge_agent.store.export.description import PACKAGE, schema_of
from edge_agent.store.export.files import new_file
from edge_agent.store.export.progress import Progress, Tell
from edge_agent.store.export.rows.blocks import blocks_of
from edge_agent.store.export.rows.columns import FILES
from edge_agent.store.export.rows.selection import Choice, choose
from edge_agent.store.export.rows.typed import Row, rows_of


def export_json(database: Path, file: Path, choice: Choice, tell: Tell | None = None) -> Path:
    """Write the timeline, or a part of it, as one JSON document, row by row.

    Otherwise as ``export_bundle``.

    The document has the keys ``name``, ``version``, ``created``, ``tables`` (name → rows) and
    ``schemas`` (name → Table Schema). A missing value is null, and so is a number that JSON cannot
    hold.
    """
    with reading(database) as connection, new_file(file) as out:
        chosen = choose(connection, choice)
        progress = Progress(connection, chosen, tell or (lambda _: None))
        head = {
            "name": PACKAGE,
            "version": __version__,
            "created": clock.iso_utc(clock.now().wall_ms),
        }
        out.write(f"{json.dumps(head)[:-1]}, ".encode() + b'"tables": {')
        for number, name in enumerate(FILES):
            out.write(f"{',' if number else ''}\n{json.dumps(name)}: [".encode())
            rows = rows_of(name, progress.watch(name, blocks_of(connection, chosen, name)))
            for text in _separated(rows):
                out.write(text.encode())
            out.write(b"]")
        schemas = {name: schema_of(name) for name in FILES}
        out.write(f'}}, "schemas": {json.dumps(schemas, ensure_ascii=False)}}}\n'.encode())
    return file


def _separated(rows: Iterator[Row]) -> Iterator[str]:
    for number, row in enumerate(rows):
        sound = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        comma = "," if number else ""
        text = json.dumps(sound, ensure_ascii=False, separators=(",", ":"))
        yield f"{comma}\n{text}"
