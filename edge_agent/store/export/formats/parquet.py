"""The timeline as Parquet files, where pyarrow is installed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.store.export.description import WrittenFile
from edge_agent.store.export.format import FolderFormat
from edge_agent.store.export.rows.blocks import Block
from edge_agent.store.export.rows.columns import FILES, TITLES, Column

MEDIA_TYPE = "application/vnd.apache.parquet"

# of CSV in a row group: large enough to be read fast, small enough for any memory
_GROUP_BYTES = 8 << 20


def _write_table(folder: Path, name: str, blocks: Iterator[Block]) -> WrittenFile:
    """Write the columns of a CSV file with their types, units and meanings; times are in UTC."""
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    schema = _schema(name)
    rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for text, count in _grouped(blocks):
            writer.write_table(_table(text, schema))
            rows += count
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return WrittenFile(name, path.name, TITLES[name], MEDIA_TYPE, size, digest, rows)


def _grouped(blocks: Iterator[Block]) -> Iterator[tuple[str, int]]:
    """Join blocks until they are worth a row group."""
    next(blocks)  # the line of heads
    texts: list[str] = []
    size = 0
    rows = 0
    for block in blocks:
        texts.append(block.text)
        size += len(block.text)
        rows += block.rows
        if size > _GROUP_BYTES:
            yield "".join(texts), rows
            texts = []
            size = 0
            rows = 0
    if texts:
        yield "".join(texts), rows


def _schema(name: str) -> Any:
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "datetime": pa.timestamp("ms", tz="UTC"),
        "integer": pa.int64(),
        "number": pa.float64(),
        "boolean": pa.bool_(),
    }

    def described(column: Column) -> Any:
        about = {"description": column.description} | ({"unit": column.unit} if column.unit else {})
        return pa.field(column.name, types[column.type], metadata=about)

    return pa.schema([described(column) for column in FILES[name]])


def _table(text: str, schema: Any) -> Any:
    """Read lines of CSV into a table.

    The apostrophes that protect spreadsheets from formulas are removed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    table = csv.read_csv(
        io.BytesIO(text.encode()),
        read_options=csv.ReadOptions(column_names=schema.names),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            true_values=["1"],
            false_values=["0"],
        ),
    )
    columns = []
    for field, column in zip(schema, table.columns, strict=True):
        if pa.types.is_string(field.type):
            guarded = pc.starts_with(column, "'")
            column = pc.if_else(guarded, pc.utf8_slice_codeunits(column, 1), column)  # noqa: PLW2901 - the same column
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


FORMAT = FolderFormat(
    name="parquet",
    label="Parquet (zip)",
    summary="a folder of tables with typed columns",
    description="Parquet is for large data in Python, R or DuckDB, and needs pyarrow on this "
    "device.",
    suffix=".parquet.zip",
    media_type="application/zip",
    position=50,
    library="pyarrow",
    extra="parquet",
    write_table=_write_table,
)
