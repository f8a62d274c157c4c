"""The tables that recorded videos become: CSV, or Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from edge_agent.reading import VideoRow

_GROUP_ROWS = 10_000  # held in memory until they become a row group: some 5 MB


class WriteRows(Protocol):
    """Add rows to an open table."""

    def __call__(self, rows: Sequence[VideoRow], /) -> None: ...


class OpenTable(Protocol):
    """Open a new file for a table of videos."""

    def __call__(self, path: Path, /) -> AbstractContextManager[WriteRows]: ...


@dataclass(frozen=True, slots=True)
class TableFormat:
    """One form of a table.

    Attributes:
        suffix: what is written after a video's name.
        opened: opens a table, and closes it whole.

    Example::

        with TABLES["parquet"].opened(Path("talk.faces.parquet")) as write:
            write(list(read_video("talk.mp4")))
    """

    suffix: str
    opened: OpenTable


@contextmanager
def _csv_table(path: Path) -> Iterator[WriteRows]:
    from edge_agent.reading import VideoRow

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in fields(VideoRow)])

        def write(rows: Sequence[VideoRow]) -> None:
            writer.writerows([_shown(value) for value in astuple(row)] for row in rows)

        yield write


@contextmanager
def _parquet_table(path: Path) -> Iterator[WriteRows]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _parquet_schema()
    waiting: list[VideoRow] = []
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:

        def write_group() -> None:
            columns = zip(*map(astuple, waiting), strict=True)
            arrays = [
                pa.array(column).cast(field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            waiting.clear()

        def write(rows: Sequence[VideoRow]) -> None:
            waiting.extend(rows)
            if len(waiting) >= _GROUP_ROWS:
                write_group()

        yield write
        if waiting:
            write_group()


def _parquet_schema() -> Any:
    """Return the columns with the types that `VideoRow` gives them; times are in UTC."""
    import pyarrow as pa

    from edge_agent.reading import VideoRow

    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "str": pa.string()}
    columns = {
        column.name: types[str(column.type).removesuffix(" | None")] for column in fields(VideoRow)
    }
    return pa.schema(columns | {"at": pa.timestamp("ms", tz="UTC")})


def _shown(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


TABLES = {
    "csv": TableFormat(".faces.csv", _csv_table),
    "parquet": TableFormat(".faces.parquet", _parquet_table),
}


def table_format(name: str) -> TableFormat:
    """Return the form of that name.

    Raises:
        click.UsageError: the library that writes it is not installed.
    """
    if name == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise click.UsageError(
            "--format parquet needs the library pyarrow, which is not installed. On an appliance: "
            "sudo ./install.sh --with parquet. In a checkout: .venv/bin/pip install -e "
            "'.[parquet]'. With pipx: pipx inject affect-edge pyarrow. Or use --format csv. "
            "Nothing was read."
        )
    return TABLES[name]
