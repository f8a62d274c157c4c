"""The timeline as an Excel workbook, where XlsxWriter is installed."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from edge_agent.store.export.format import FileFormat
from edge_agent.store.export.rows.columns import FILES, TITLES, Column
from edge_agent.store.export.rows.typed import Row, Value
from edge_agent.store.export.source import ExportSource

SHEET_ROWS = 1_048_575
"""Below the heads; Excel's limit is one more."""
_TEXTS_STAY = {
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_TIME = "yyyy-mm-dd hh:mm:ss.000"
_WIDTHS = {"datetime": 23, "string": 16}


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write a sheet for each table, and one that says what the columns are.

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
        book = Workbook(made, {"constant_memory": True, "tmpdir": folder, **_TEXTS_STAY})
        book.use_zip64()
        try:
            _fill(book, source)
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


def _fill(book: Any, source: ExportSource) -> None:
    styles = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        "datetime": book.add_format({"num_format": _TIME}),
    }
    _describe(book, styles)
    for name, columns in FILES.items():
        _write_table(book, styles, name, columns, source.rows(name))


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
            if column is columns[0]:
                meaning = f"{meaning}. ({TITLES[name]})"
            sheet.write_row(place, 0, (name, column.name, column.type, column.unit or "", meaning))


def _write_table(
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
    """Write one value as what it is; nothing for a missing one and for no number."""
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
        sheet.write_string(*where, value)


FORMAT = FileFormat(
    name="xlsx",
    label="Excel",
    summary="an Excel workbook with a sheet for each table",
    description="Excel is a workbook with a sheet for each table and one that says what the "
    "columns are, and needs XlsxWriter on this device. Times are in UTC.",
    suffix=".xlsx",
    media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    position=52,
    library="xlsxwriter",
    extra="xlsx",
    write=_write,
)
