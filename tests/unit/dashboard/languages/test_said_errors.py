"""Errors from below the dashboard are said in the reader's language, with their values."""

from __future__ import annotations

from datetime import UTC

import pytest

from dashboard.languages.current import speaking
from dashboard.languages.names import said_of
from dashboard.languages.written import said
from edge_agent.core.errors import DataFileError, ReadingError, StudyError
from edge_agent.core.reading_times import LocalTimes
from edge_agent.core.study import Purpose, SessionSetting
from edge_agent.store.study.rules import check_purpose, check_time
from edge_agent.vitals.csv import CsvFile, all_readings
from edge_agent.vitals.csv_columns import ColumnMap, guess_columns

ROWS = b"""at,kind,value
2026-11-20T08:15:00Z,heart_rate,abc
2026-11-20T08:15:01Z,oxygen_saturation,101
"""
LATE_MS = 4_000_000_000_000


def test_each_row_of_a_file_says_what_is_wrong_with_it() -> None:
    file = CsvFile.parse("cuff.csv", ROWS)
    columns = guess_columns(file.header)
    with speaking("de"):
        problems = [said(row.problems[0]) for row in file.judged(columns, LocalTimes(UTC))]
        assert problems[0] == "Zeile 2, Spalte value: 'abc' ist keine Zahl."
        assert problems[1] == (
            "Zeile 3, Spalte value: 101 % kann nicht Sauerstoffsättigung sein. "
            "Möglich: 0 bis 100 %."
        )
        with pytest.raises(DataFileError) as caught:
            all_readings(file, columns, LocalTimes(UTC))
        told = said_of(caught.value)
    assert told.splitlines() == [
        *(f"cuff.csv, {one}" for one in problems),
        "Nichts wurde importiert.",
    ]
    assert (
        str(caught.value).splitlines()[0] == "cuff.csv, row 2, column value: 'abc' is not a number."
    )


def test_many_bad_rows_are_counted() -> None:
    file = CsvFile.parse(
        "a{b}.csv", b"at,kind,value\n" + b"2026-11-20T08:15:00Z,heart_rate,x\n" * 13
    )
    with pytest.raises(DataFileError) as caught, speaking("es"):
        all_readings(file, guess_columns(file.header), LocalTimes(UTC))
    with speaking("es"):
        lines = said_of(caught.value).splitlines()
    assert len(lines) == 12
    assert lines[0] == "a{b}.csv, fila 2, columna value: 'x' no es un número."
    assert lines[-2:] == ["… y 3 más.", "No se importó nada."]


def test_a_file_that_cannot_be_read_so_says_why() -> None:
    file = CsvFile.parse("cuff.csv", b"when,puls\n1,2\n")
    with pytest.raises(DataFileError) as caught:
        list(file.judged(ColumnMap({"at": "Zeit"}), LocalTimes(UTC)))
    with speaking("de"):
        assert said_of(caught.value) == (
            "cuff.csv: Es gibt keine Spalte 'Zeit'. Gefundene Spalten: when, puls."
        )
    with pytest.raises(DataFileError) as caught:
        CsvFile.parse("cuff.csv", b"")
    with speaking("es"):
        assert said_of(caught.value).startswith("cuff.csv: está vacío.")


def test_rules_of_a_study_are_said_with_their_parts() -> None:
    with pytest.raises(StudyError) as caught:
        check_time("Start of the session", LATE_MS, 0)
    with speaking("de"):
        assert said_of(caught.value).startswith(
            "Beginn der Sitzung: 2096-10-02T07:06:40.000Z liegt"
        )
    with pytest.raises(StudyError) as caught:
        check_purpose(Purpose.RESEARCH, SessionSetting.WORKPLACE, list(Purpose))
    assert "at work for the purpose research:" in str(caught.value)
    with speaking("de"):
        assert "nicht für den Zweck Forschung abgeleitet werden" in said_of(caught.value)
    with pytest.raises(ReadingError) as refused:
        _bad_date()
    with speaking("de"):
        assert said(refused.value.reason) == (
            "ist keine Zeit wie 20.11.2026 08:15, was für diese Datei gewählt wurde."
        )


def _bad_date() -> list[dict[str, str]]:
    columns = ColumnMap({"at": "at", "heart_rate": "hr"}, dates="dmy")
    return list(columns.items({"at": "2026/11/20", "hr": "60"}))
