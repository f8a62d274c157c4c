"""The timeline as data files of SPSS, where pyreadstat is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.store.export.description import WrittenFile
from edge_agent.store.export.format import FolderFormat
from edge_agent.store.export.rows.blocks import Block
from edge_agent.store.export.rows.columns import FILES, TITLES, Column
from edge_agent.store.export.rows.typed import rows_of

MEDIA_TYPE = "application/x-spss-sav"
YES_NO: dict[int | float, str] = {0: "no", 1: "yes"}


def _write_table(folder: Path, name: str, blocks: Iterator[Block]) -> WrittenFile:
    """Write a table with the meaning of each variable as its label; times are in UTC.

    The library takes a table whole, so memory grows with its rows: about 1 kB each.

    Raises:
        OSError: it cannot be written, or the disk is full.
    """
    import pandas as pd
    import pyreadstat

    path = folder / f"{name}.sav"
    columns = FILES[name]
    frame = pd.DataFrame(rows_of(name, blocks), columns=[column.name for column in columns])
    for column in columns:
        frame[column.name] = _typed(frame[column.name], column)
    try:
        pyreadstat.write_sav(
            frame,
            str(path),
            file_label=TITLES[name],
            column_labels=[_label(column) for column in columns],
            variable_value_labels={
                column.name: YES_NO for column in columns if column.type == "boolean"
            },
            row_compress=True,
        )
    except pyreadstat.ReadstatError as error:
        raise OSError(f"{path.name}: {error}") from error  # it does not say why
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = path.stat().st_size
    return WrittenFile(name, path.name, TITLES[name], MEDIA_TYPE, size, digest, len(frame))


def _typed(values: Any, column: Column) -> Any:
    """Return a column as SPSS has it: finite numbers, UTC times without a zone, text."""
    import pandas as pd

    if column.type == "string":
        return values.fillna("").astype(str)
    if column.type == "datetime":
        times = pd.to_datetime(values, utc=True, format="ISO8601")
        return times.dt.tz_localize(None).astype("datetime64[ms]")
    numbers = values.astype("float64")
    return numbers.where(numbers.abs() < float("inf"))


def _label(column: Column) -> str:
    if column.unit:
        return f"{column.description} ({column.unit})"
    return column.description


FORMAT = FolderFormat(
    name="sav",
    label="SPSS (zip)",
    summary="a folder of data files of SPSS",
    description="SPSS is a folder of .sav files with labelled variables, for SPSS, PSPP and "
    "jamovi, and needs pyreadstat on this device. Times are in UTC.",
    suffix=".sav.zip",
    media_type="application/zip",
    position=55,
    library="pyreadstat",
    extra="sav",
    packages="pandas pyreadstat",
    write_table=_write_table,
)
