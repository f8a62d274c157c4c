"""The timeline as a folder of tidy CSV files with a description that programs can read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_agent.store.export.description import WrittenFile
from edge_agent.store.export.files import write_blocks
from edge_agent.store.export.format import FolderFormat
from edge_agent.store.export.rows.blocks import Block
from edge_agent.store.export.rows.columns import TITLES


def _write_table(folder: Path, name: str, blocks: Iterator[Block]) -> WrittenFile:
    path = f"{name}.csv"
    with (folder / path).open("wb") as file:
        size, sha256, rows = write_blocks(file, blocks)
    return WrittenFile(name, path, TITLES[name], "text/csv", size, sha256, rows)


FORMAT = FolderFormat(
    name="csv",
    label="CSV (zip)",
    summary="a folder of tables",
    description="CSV is a folder of the tables alone.",
    suffix=".csv.zip",
    media_type="application/zip",
    position=20,
    downloadable=False,  # the bundle holds the same files
    write_table=_write_table,
)
