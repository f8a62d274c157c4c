"""Every reader of tables that people bring has the same rules for rows, and the same words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalReading
from edge_agent.timeline.intake.tidy import TidySource
from edge_agent.vision.face_tables import FaceChoice, read_face_table
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import rows_of
from edge_agent.vitals.guessed_columns import guess_map
from edge_agent.vitals.health.exports import FORMATS, HealthFormat, export_of_file
from edge_agent.vitals.health.files import RowValidator
from edge_agent.vitals.passed_over import PassedOver

Told = tuple[int, str]
"""Number of rows that were taken, and all that is said about the others."""


@dataclass(frozen=True)
class Reader:
    """A reader of tables.

    Attributes:
        name: of a file of its kind.
        table: names of the columns, and two good rows; the last cell of each may be missing.
        read: reads a file's bytes.
        leaves_out: whether a torn row is left out and reported; else the file is refused.
        above: whether names are found below other rows.
    """

    name: str
    table: Sequence[Sequence[str]]
    read: Callable[[str, bytes, Path], Told]
    leaves_out: bool = True
    above: bool = True


def of_rows(passed_over: PassedOver, taken: Sequence[VitalReading]) -> Told:
    said = [*passed_over.reasons, *map(str, passed_over.remarks)]
    return len(taken), "\n".join(said)


def read_csv(name: str, content: bytes, _folder: Path) -> Told:
    file = CsvFile(name, lambda: cast("BinaryIO", BytesIO(content)))
    passed_over = PassedOver()
    rows = list(passed_over.readings_of(rows_of(file, guess_map(file), None)))
    return of_rows(passed_over, rows)


def read_export(name: str, content: bytes, _folder: Path) -> Told:
    export = export_of_file(name, content)
    assert export is not None, "no format knows it"
    passed_over = PassedOver()
    rows = list(passed_over.readings_of(export.rows(RowValidator(clock.now()))))
    return of_rows(passed_over, rows)


def read_faces(name: str, content: bytes, folder: Path) -> Told:
    (folder / name).write_bytes(content)
    table = read_face_table(folder / name, FaceChoice())
    left = [f"{count} {why}" for why, count in table.left_out.items()]
    return len(table.readings), "\n".join([*left, *table.notes])


def read_tidy(name: str, content: bytes, folder: Path) -> Told:
    (folder / "session.csv").write_text("session\n")
    (folder / name).write_bytes(content)
    return len(list(TidySource(folder).rows(name.removesuffix(".csv")))), ""


READERS = {
    "readings": Reader(
        "hr.csv",
        (
            ("time", "hr", "note"),
            ("2026-01-05T08:00:00Z", "61", "a"),
            ("2026-01-05T08:00:01Z", "62", "b"),
        ),
        read_csv,
    ),
    "faces": Reader(
        "faces.csv",
        (
            ("timestamp", "confidence", "success", "AU12_r"),
            ("0.0", "0.9", "1", "2.0"),
            ("0.1", "0.9", "1", "2.5"),
        ),
        read_faces,
    ),
    "study": Reader(
        "vital.csv",
        (
            ("at", "kind", "value"),
            ("2026-01-05T08:00:00Z", "heart_rate", "61"),
            ("2026-01-05T08:00:01Z", "heart_rate", "62"),
        ),
        read_tidy,
        leaves_out=False,
        above=False,
    ),
}
"""The readers; of the makers' formats those whose tables have names follow."""
NO_NAMED_TABLE = {
    *("Apple Health", "Samsung Health", "Garmin (FIT)", "omblepy", "Empatica E4"),
    "XDF (Lab Streaming Layer)",
}
"""XML, FIT, XDF, a first line of its own; omblepy's times need a zone, and E4's rows have no
names.
"""


LATER = {"1767600": "1767601", "08:00:": "08:01:"}


def _of_maker(form: HealthFormat) -> Reader:
    """Make a reader of a maker's example, its row twice, the second time a moment later."""
    name, text = cast("tuple[str, str]", form.example)
    *above, row = [line.split(",") for line in text.splitlines()]
    later = [re.sub("^1767600|08:00:", lambda at: LATER[at[0]], cell) for cell in row]
    return Reader(name, (*above, row, later), read_export)


READERS |= {
    form.name: _of_maker(form)
    for form in FORMATS
    if form.example and form.name not in NO_NAMED_TABLE
}


def text_of(table: Sequence[Sequence[str]], separator: str = ",") -> str:
    return "".join(separator.join(cells) + "\n" for cells in table)


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


def test_brought_tables_every_format_is_walked_or_has_no_names() -> None:
    assert {form.name for form in FORMATS} - NO_NAMED_TABLE <= set(READERS)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: text.replace("\n", ",,\n").encode(),
        lambda text: f"sep=;\n{text.replace(',', ';')}".encode(),
    ],
    ids=["UTF-8", "mark", "UTF-16", ";", "tab", "CRLF", "blank rows", "empty cells", "sep="],
)
def test_brought_table_in_each_form_gives_the_same_rows(
    reader: Reader, encode: Callable[[str], bytes], tmp_path: Path
) -> None:
    assert reader.read(reader.name, encode(text_of(reader.table)), tmp_path)[0] == 2


def test_brought_table_below_other_rows_is_found(reader: Reader, tmp_path: Path) -> None:
    if not reader.above:
        pytest.skip("a study is written by a program, which writes nothing above the names")
    text = f"Exported by a program\n# with a remark\n\n{text_of(reader.table)}"
    assert reader.read(reader.name, text.encode(), tmp_path)[0] == 2


def test_brought_table_with_another_below_it_is_never_cut_in_silence(
    reader: Reader, tmp_path: Path
) -> None:
    below = ["name", *(len(reader.table[0]) * ["more"])]
    text = f"{text_of(reader.table)}\n{text_of([below])}{text_of([reader.table[-1]])}"
    words = f"with row {len(reader.table) + 2} another table begins"
    if reader.leaves_out:
        taken, said = reader.read(reader.name, text.encode(), tmp_path)
        assert taken == 2
        assert words in said
        return
    with pytest.raises(DataFileError, match=words):
        reader.read(reader.name, text.encode(), tmp_path)


@pytest.mark.parametrize("torn", ["short", "long"])
def test_brought_table_with_a_torn_row_says_so_in_the_same_words(
    reader: Reader, torn: str, tmp_path: Path
) -> None:
    *above, last = reader.table
    cells = [*last, "more", "cells"] if torn == "long" else last[:-1]
    text = text_of([*above, last, cells])
    row, width = len(reader.table) + 1, len(last)
    words = f"row {row}: has {len(cells)} values, but there are {width} columns. Put values with"
    if reader.leaves_out:
        taken, said = reader.read(reader.name, text.encode(), tmp_path)
        assert taken == 2
        assert words in said
        return
    with pytest.raises(DataFileError) as refused:
        reader.read(reader.name, text.encode(), tmp_path)
    assert words in str(refused.value)


def test_brought_table_of_a_code_page_is_refused_with_the_way(
    reader: Reader, tmp_path: Path
) -> None:
    *above, last = reader.table
    text = text_of([*above, last, [*last[:-1], "M\u00fcller"]])
    with pytest.raises(DataFileError) as refused:
        reader.read(reader.name, text.encode("cp1252"), tmp_path)
    row = len(reader.table) + 1
    words = f'{reader.name}, row {row}: is not UTF-8 text (byte 0xfc). Save it as "CSV UTF-8".'
    assert words in str(refused.value)


def test_brought_table_with_an_open_quote_is_refused_by_its_row(
    reader: Reader, tmp_path: Path
) -> None:
    text = text_of([*reader.table, ['"never', *reader.table[-1][1:]]])
    with pytest.raises(DataFileError, match=r"row \d+: is not CSV .* Check the quotes of this row"):
        reader.read(reader.name, text.encode(), tmp_path)
