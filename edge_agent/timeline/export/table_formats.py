"""The timeline as Parquet files, data files of SPSS, or an Excel workbook.

They need pyarrow, pyreadstat or XlsxWriter.
"""

from __future__ import annotations

import contextlib
import io
import math
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from edge_agent.core.texts import N_
from edge_agent.timeline.export.column import Column
from edge_agent.timeline.export.files import sha256_of
from edge_agent.timeline.export.format import Audience, FileFormat, FolderFormat
from edge_agent.timeline.export.rows import Row, RowBlock, Value, rows_of
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import FILES, TITLES, WrittenFile

# of CSV in a row group: large enough to be read fast, small enough for any memory
_GROUP_BYTES = 8 << 20
SHEET_ROWS = 1_048_575
"""Below the heads; Excel's limit is one more."""
# A text that begins with ``=`` stays a text, and is never run.
_TEXTS_STAY = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_WIDTHS = {"datetime": 23, "string": 16}


def _write_parquet(folder: Path, name: str, blocks: Iterator[RowBlock]) -> WrittenFile:
    """Write the columns of a CSV file with their types, units and meanings; times are in UTC."""
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    schema = _schema(name)
    rows = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for text, count in _join_blocks(blocks):
            writer.write_table(_table(text, schema))
            rows += count
    return _describe_file(path, "application/vnd.apache.parquet", rows)


def _describe_file(path: Path, media_type: str, rows: int) -> WrittenFile:
    size = path.stat().st_size
    title = TITLES[path.stem]
    return WrittenFile(path.stem, path.name, title, media_type, size, sha256_of(path), rows)


def _join_blocks(blocks: Iterator[RowBlock]) -> Iterator[tuple[str, int]]:
    """Join blocks until they are worth a row group."""
    # Types and units come with the schema; ``read_csv`` is given the names.
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

    def field_of(column: Column) -> Any:
        about = {"description": column.description} | ({"unit": column.unit} if column.unit else {})
        # A unit of ``None`` would be written as a text.
        return pa.field(column.name, types[column.type], metadata=about)

    return pa.schema([field_of(column) for column in FILES[name]])


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
        # A text in quotes may go over several lines.
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            # A missing value is an empty cell, of a text as well.
            null_values=[""],
            strings_can_be_null=True,
            true_values=["1"],
            false_values=["0"],
        ),
    )
    columns = []
    for field, column in zip(schema, table.columns, strict=True):
        if pa.types.is_string(field.type):
            # The first character only: what follows may be an apostrophe that was recorded.
            guarded = pc.starts_with(column, "'")
            column = pc.if_else(guarded, pc.utf8_slice_codeunits(column, 1), column)  # noqa: PLW2901 - the same column
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=schema)


PARQUET = FolderFormat(
    name="parquet",
    label="Parquet (zip)",
    summary="a folder of tables with typed columns",
    description=N_("Tables with typed columns, for large data in Python, R or DuckDB."),
    audience=Audience.R_AND_PYTHON,
    suffix=".parquet.zip",
    media_type="application/zip",
    position=50,
    library="pyarrow",
    extra="parquet",
    write_table=_write_parquet,
)


def _write_sav(folder: Path, name: str, blocks: Iterator[RowBlock]) -> WrittenFile:
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
        frame[column.name] = _as_spss(frame[column.name], column)
    # A disk that is full is told by this library as an error of its own.
    try:
        pyreadstat.write_sav(
            frame,
            str(path),
            file_label=TITLES[name],
            column_labels=[_label(column) for column in columns],
            variable_value_labels={
                column.name: {0: "no", 1: "yes"} for column in columns if column.type == "boolean"
            },
            row_compress=True,
        )
    except pyreadstat.ReadstatError as error:
        raise OSError(f"{path.name}: {error}") from error  # it does not say why
    return _describe_file(path, "application/x-spss-sav", len(frame))


def _as_spss(values: Any, column: Column) -> Any:
    """Return a column as SPSS has it: finite numbers, UTC times without a zone, text."""
    import pandas as pd

    if column.type == "string":
        # SPSS knows no missing text: an empty one stands for it.
        return values.fillna("").astype(str)
    if column.type == "datetime":
        times = pd.to_datetime(values, utc=True, format="ISO8601")
        return times.dt.tz_localize(None).astype("datetime64[ms]")
    numbers = values.astype("float64")
    # SPSS has no infinite number; it becomes a missing value.
    return numbers.where(numbers.abs() < float("inf"))


def _label(column: Column) -> str:
    if column.unit:
        return f"{column.description} ({column.unit})"
    return column.description


SAV = FolderFormat(
    name="sav",
    label="SPSS (zip)",
    summary="a folder of data files of SPSS",
    description=N_("A folder of labelled .sav files for SPSS, PSPP and jamovi; times are in UTC."),
    audience=Audience.SPSS_AND_EXCEL,
    suffix=".sav.zip",
    media_type="application/zip",
    position=55,
    library="pyreadstat",
    extra="sav",
    packages="pandas pyreadstat",
    write_table=_write_sav,
)


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write a sheet for each table, and one that describes the columns.

    Rows go through temporary files beside it, so memory does not grow with the recording; they go
    whatever happens. Times are those of UTC, as Excel knows no zones.

    Raises:
        OSError: it cannot be written, or the disk is full.
    """
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import FileCreateError

    place = Path(out.name)
    with tempfile.TemporaryDirectory(prefix=f"{place.name}-", dir=place.parent) as folder:
        made = Path(folder) / "book.xlsx"
        # ``constant_memory`` writes each row to disk before the next: cells must come row by row.
        book = Workbook(made, {"constant_memory": True, "tmpdir": folder, **_TEXTS_STAY})
        # A sheet of a long recording may be larger than 4 GB when unpacked.
        book.use_zip64()
        try:
            styles = {
                "head": book.add_format({"bold": True, "bottom": 1}),
                "datetime": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
            }
            _describe(book, styles)
            for name, columns in FILES.items():
                _write_xlsx(book, styles, name, columns, source.rows(name))
            book.close()
        except FileCreateError as error:  # of which an OSError is the only reason
            raise error.args[0] from error
        finally:
            _close_sheets(book)
        with made.open("rb") as file:
            shutil.copyfileobj(file, out)


def _close_sheets(book: Any) -> None:
    """Close the temporary files of a book that could not be finished; the library leaves them."""
    for sheet in book.worksheets():
        if sheet.row_data_fh is not None:
            with contextlib.suppress(OSError):  # what it still holds no longer matters
                sheet.row_data_fh.close()


def _describe(book: Any, styles: dict[str, Any]) -> None:
    """Write the sheet of columns: table, name, type, unit, meaning."""
    sheet = book.add_worksheet("columns")
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, 3, 18)
    sheet.set_column(4, 4, 90)
    sheet.write_row(0, 0, ("sheet", "column", "type", "unit", "meaning"), styles["head"])
    place = 0
    for name, columns in FILES.items():
        for column in columns:
            place += 1
            meaning = column.description
            # The title of a table stands once, with its first column.
            if column is columns[0]:
                meaning = f"{meaning}. ({TITLES[name]})"
            sheet.write_row(place, 0, (name, column.name, column.type, column.unit or "", meaning))


def _write_xlsx(
    book: Any, styles: dict[str, Any], name: str, columns: tuple[Column, ...], rows: Iterator[Row]
) -> None:
    """Write the rows of a table, on as many sheets as Excel needs."""
    sheet = _new_sheet(book, styles, name, columns)
    place = 0
    number = 1
    for row in rows:
        if place == SHEET_ROWS:
            number += 1
            place = 0
            sheet = _new_sheet(book, styles, f"{name} {number}", columns)
        place += 1
        for across, column in enumerate(columns):
            _write_cell(sheet, (place, across), column, row[column.name], styles)


def _new_sheet(book: Any, styles: dict[str, Any], name: str, columns: tuple[Column, ...]) -> Any:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    for across, column in enumerate(columns):
        sheet.set_column(across, across, _WIDTHS.get(column.type, 11))
    sheet.write_row(0, 0, [column.name for column in columns], styles["head"])
    return sheet


def _write_cell(
    sheet: Any, where: tuple[int, int], column: Column, value: Value, styles: dict[str, Any]
) -> None:
    """Write one value with its type; leave the cell empty for a missing value or NaN."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return
    if isinstance(value, bool):
        sheet.write_boolean(*where, value)
    elif isinstance(value, int | float):
        sheet.write_number(*where, value)
    elif column.type == "datetime":
        at = datetime.fromisoformat(value).replace(tzinfo=None)
        sheet.write_datetime(*where, at, styles["datetime"])
    else:
        # ``write`` would guess the type from the text.
        sheet.write_string(*where, value)


XLSX = FileFormat(
    name="xlsx",
    label="Excel",
    summary="an Excel workbook with a sheet for each table",
    description=N_(
        "A workbook with a sheet for each table and one that says what the columns are; times are "
        "in UTC."
    ),
    audience=Audience.SPSS_AND_EXCEL,
    suffix=".xlsx",
    media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    position=52,
    library="xlsxwriter",
    extra="xlsx",
    write=_write,
)
