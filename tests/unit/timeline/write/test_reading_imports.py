"""Files of readings are written in portions: the recorder comes in between, and all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.gate.commands import Commands, import_file
from edge_agent.timeline.intake.imports import list_imports, undo_import
from edge_agent.timeline.write import reading_imports
from edge_agent.timeline.write.reading_imports import (
    FilePortion,
    ImportResult,
    ReadingTable,
    import_portion,
    import_readings,
    portions_of,
    remove_unfinished,
    write_in_portions,
)
from tests.support.timeline import query, reading, timeline


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new database; ten readings are a portion."""
    monkeypatch.setattr(reading_imports, "PORTION", 10)
    monkeypatch.setattr(reading_imports, "LET_IN_S", 0.0)
    return timeline(tmp_path)


def readings(count: int) -> Iterator[VitalReading]:
    for number in range(count):
        yield reading(number, 60.0 + number, source="csv:a", flags=[VitalFlag.IMPORTED])


def test_import_of_three_portions_lets_the_recorder_in_between(path: Path) -> None:
    def beside() -> Iterator[VitalReading]:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as recorder:
            for imported in readings(25):
                recorder.execute("BEGIN IMMEDIATE")
                recorder.execute(
                    "INSERT INTO gap (source, started, ended, reason) VALUES ('', 1, 2, '')"
                )
                recorder.execute("COMMIT")
                yield imported

    assert import_readings(path, beside(), file="a.csv", actor="ada") == (25, 0, 1)
    assert query(path, "SELECT file, readings, duplicates FROM import") == [("a.csv", 25, 0)]
    assert query(path, "SELECT sum(n) FROM vital_hour") == [(25,)]
    assert query(path, "SELECT action, detail FROM audit") == [("readings_import", "a.csv: 25")]
    assert import_readings(path, readings(25), file="b.csv", actor="ada") == (0, 25, None)
    assert len(query(path, "SELECT id FROM import")) == 1, "a file that adds nothing is no import"


def test_import_that_fails_in_its_third_portion_is_removed(path: Path) -> None:
    def broken() -> Iterator[VitalReading]:
        yield from readings(25)
        raise StudyError("row 26 is no reading")

    with pytest.raises(StudyError) as failed:
        import_readings(path, broken(), file="a.csv", actor="ada")
    told = "row 26 is no reading The 10 readings before were removed again (import 1)."
    assert str(failed.value) == told
    counts = "SELECT (SELECT count(*) FROM vital), (SELECT count(*) FROM vital_minute)"
    assert query(path, counts) == [(0, 0)]
    assert query(path, "SELECT action, detail FROM audit") == [
        ("import_undo", "a.csv (unfinished): 10")
    ]
    (listed,) = list_imports(path)
    assert (listed.file, listed.left) == ("a.csv (unfinished)", 0)
    assert listed.undone_ms is not None


def test_import_that_cannot_be_removed_says_how_to_remove_it(path: Path) -> None:
    def write(table: ReadingTable, part: FilePortion) -> ImportResult:
        if part.number is not None:
            raise StoreError("the disk is full.")
        return import_portion(path, table, part, actor="ada")

    def remove(number: int) -> int:
        raise StoreError(f"import {number} cannot be removed")

    with pytest.raises(StoreError, match="affect-edge imports --undo 1"):
        write_in_portions(portions_of(readings(30)), "a.csv", write, remove)
    assert [one.file for one in list_imports(path)] == ["a.csv (unfinished)"]
    assert undo_import(path, 1, actor="ada").removed == 10


def test_removal_of_an_unfinished_import_takes_several_portions(path: Path) -> None:
    others = [reading(0, 120.0, VitalKind.SYSTOLIC, "cuff")]
    import_readings(path, others, file="cuff.csv", actor="ada")
    first = import_portion(
        path, ReadingTable.of(readings(25)), FilePortion("a", None, False), actor="ada"
    )
    assert first.number == 2
    with pytest.raises(StudyError, match="no unfinished import 2 of this file"):
        import_portion(path, ReadingTable.of([]), FilePortion("b", 2, True), actor="ada")
    assert remove_unfinished(path, 2, actor="ada") == 25
    assert query(path, "SELECT kind, n FROM vital_minute") == [("systolic", 1)]
    for finished in (1, 2, 3):
        with pytest.raises(StudyError, match="is not unfinished"):
            remove_unfinished(path, finished, actor="ada")


def test_import_by_the_page_reads_a_file_while_its_portions_are_written(path: Path) -> None:
    stored: list[tuple[int]] = []

    def beside() -> Iterator[VitalReading]:
        for number, imported in enumerate(readings(35)):
            if number == 30:
                stored.extend(query(path, "SELECT count(*) FROM vital"))
            yield imported

    done = import_file(Commands(path), beside(), file="a.csv", actor="ada")
    assert (done.inserted, stored) == (35, [(20,)])
