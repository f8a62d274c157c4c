"""Every maker's format: its example, its zone, its row of the document; a wrong time is one row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import LocalTimes, VitalReading
from edge_agent.vitals.dates import iso_of
from edge_agent.vitals.health.exports import FORMATS, XDF, HealthFormat, export_of_file
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator
from edge_agent.vitals.passed_over import LeftOutRow, Row

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "importing.md"
UTC_CLOCK = LocalTimes(UTC)
TIME = r"2026-01-05[T ][\d:.Z+]*(?: \+0000)?|17676\d+(?:\.\d)?"
SPOKEN = {"Garmin (FIT)": "Garmin", "omblepy": "omblepy", XDF: "LabRecorder"}
"""Names of makers in the document, where they differ."""
_FITBIT = '{"dateTime": "%s/26 08:00:05", "value": {"bpm": %d, "confidence": 2}}'
_SHIMMER = "A_Timestamp_FormattedUnix_CAL,A_PPGtoHR_CAL\nyyyy/mm/dd hh:mm:ss.000,BPM\n"


def read_as(name: str, text: str, zone: LocalTimes | None = UTC_CLOCK) -> list[Row]:
    export = export_of_file(name, text.encode())
    assert export is not None, "no format knows it"
    return list(export.rows(RowValidator(clock.now(), zone)))


OF_TEXT = [form for form in FORMATS if form.example is not None]
NO_TEXT = {"Garmin (FIT)": "FIT is binary", XDF: "XDF is binary"}
"""Makers without an example, and why: the tests build their files."""


def test_maker_has_an_example_or_a_reason() -> None:
    assert {form.name for form in FORMATS if form.example is None} == NO_TEXT.keys()


@pytest.mark.parametrize("form", OF_TEXT, ids=lambda form: form.name)
def test_maker_example_is_of_its_format_alone_and_needs_a_zone_as_it_says(
    form: HealthFormat,
) -> None:
    name, text = cast("tuple[str, str]", form.example)
    assert [one.name for one in FORMATS if one.is_ours(name, text.encode())] == [form.name]
    values = [one.value for one in read_as(name, text) if isinstance(one, VitalReading)]
    assert 61.0 in values
    if form.needs_zone:
        with pytest.raises(DataFileError, match="no time zone"):
            read_as(name, text, None)
    else:
        assert any(isinstance(one, VitalReading) for one in read_as(name, text, None))


@pytest.mark.parametrize("wrong", ["31.02.2026 99:00", "never", "-5", "1e99"])
@pytest.mark.parametrize("form", OF_TEXT, ids=lambda form: form.name)
def test_maker_file_with_a_wrong_time_loses_that_row_alone(form: HealthFormat, wrong: str) -> None:
    name, text = cast("tuple[str, str]", form.example)
    if form.name == "Empatica E4":
        pytest.skip("its rows have no times: they follow from the first row")
    row = re.findall(r"<Record[^>]*>" if "<" in text else r".*61.*", text)[-1]
    assert re.search(TIME, row)
    both = text.replace(row, f"{row}{'' if '<' in row else chr(10)}{re.sub(TIME, wrong, row)}")
    rows = read_as(name, both)
    whole = [one for one in read_as(name, text) if isinstance(one, VitalReading)]
    assert [one for one in rows if isinstance(one, VitalReading)] == whole
    assert any(isinstance(one, LeftOutRow) for one in rows)


OTHERS = {
    "Withings": (
        "bp.csv",
        "Date,Heart rate,Systolic,Diastolic,Comments\n2026-01-05 08:00:00,61,,,\nnever,62,,,\n",
    ),
    "Fitbit": (
        "heart_rate-2026-01-05.json",
        f"[{_FITBIT % ('01/05', 61)},\n{_FITBIT % ('99/99', 62)}]",
    ),
    "Shimmer": ("a.csv", f"{_SHIMMER}2026/01/05 08:00:00.250,61\n2026/99/99 08:00:01.250,62\n"),
}
"""Maker → a file of it beside the example of its entry."""


@pytest.mark.parametrize("maker", [form.name for form in FORMATS if form.name in OTHERS])
def test_other_file_of_a_maker_with_a_wrong_time_loses_that_row_alone(maker: str) -> None:
    name, text = OTHERS[maker]
    rows = read_as(name, text)
    assert [one.value for one in rows if isinstance(one, VitalReading)] == [61.0]
    assert sum(isinstance(one, LeftOutRow) for one in rows) == 1


def test_reader_that_rewrites_dates_loses_the_row_of_a_wrong_one() -> None:
    content = b"day,bpm\n05.01.2026 08:00,61\n31.02.2026 08:00,62\nsoon,63\n"
    opens = cast("Callable[[], BinaryIO]", partial(BytesIO, content))
    validator = RowValidator(clock.now(), UTC_CLOCK)

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        at = iso_of(cells[0], "dmy")
        yield validator.row(where, {"kind": "heart_rate", "value": cells[1], "at": at}, "new")

    rows = list(ExportTable(ExportMember("new.csv", len(content), opens)).readings(read))
    assert [type(one) for one in rows] == [VitalReading, LeftOutRow, LeftOutRow]


def test_maker_has_a_row_of_the_document() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").partition("# Exports of health apps")[2]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    words = {form.name: SPOKEN.get(form.name, form.name) for form in FORMATS}
    assert [name for name, word in words.items() if not any(word in row for row in rows)] == []
