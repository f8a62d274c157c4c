"""Imports of readings: which there are, and taking one back without a trace in the rollups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_agent.cli import cli
from edge_agent.core.errors import StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.intake.corrections import ReadingKey, correct_reading
from edge_agent.store.intake.imports import list_imports, undo_import
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.store.upkeep.fold import fold_rollups
from edge_agent.store.write.imports import import_readings
from tests.support.clocks.dated import assert_rollups_are_those_of_the_rows
from tests.support.timeline import add, database, instant, query, reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten recorded readings, one every 10 s."""
    return database(tmp_path, readings=[reading(s, 60) for s in range(0, 100, 10)])


def taken(path: Path, *seconds: float, file: str = "strap.csv", value: float = 90) -> None:
    rows = [reading(s, value, source="csv:strap") for s in seconds]
    import_readings(path, rows, file=file, actor="ada")


def test_undoing_an_import_removes_its_readings_and_no_others(path: Path) -> None:
    before = query(path, "SELECT * FROM vital")
    taken(path, 5, 15, 4000)
    taken(path, 15, 25, file="again.csv")
    bad = VitalReading(instant(6), VitalKind.HEART_RATE, 900, "csv:x", frozenset())
    import_readings(path, [bad], file="bad.csv", actor="ada")
    undone = undo_import(path, 1, actor="ada")
    assert (undone.removed, undone.met_by) == (3, [2])
    assert query(path, "SELECT source, value, import FROM vital WHERE import > 0 ORDER BY at") == [
        ("csv:x", 900, 3),
        ("csv:strap", 90, 2),
    ]
    assert_rollups_are_those_of_the_rows(path)
    undo_import(path, 2, actor="ada")
    undo_import(path, 3, actor="ada")
    assert query(path, "SELECT * FROM vital") == before
    assert_rollups_are_those_of_the_rows(path)
    assert query(path, "SELECT actor, detail FROM audit WHERE action = 'import_undo'")[0] == (
        "ada",
        "strap.csv: 3",
    )


def test_an_import_is_taken_out_of_a_day_whose_hours_were_folded(path: Path) -> None:
    taken(path, 5, 15, value=130)
    days_later = 3 * 86_400
    add(path, readings=[reading(days_later, 60)])
    fold_rollups(path, 1, 1, now_ms=instant(days_later).wall_ms)
    assert query(path, "SELECT n, total, most FROM vital_day") == [(12, 860, 130)]
    undo_import(path, 1, actor="ada")
    assert query(path, "SELECT n, total, least, most FROM vital_day") == [(10, 600, 60, 60)]
    assert query(path, "SELECT n FROM vital_hour UNION ALL SELECT n FROM vital_minute") == [
        (1,),
        (1,),
    ]


def test_undoing_says_what_pointed_to_the_readings(path: Path) -> None:
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "v1")
    study.start_session("P01", Purpose.RESEARCH, "", at=instant(10))
    study.end_session(at=instant(50))
    flags = frozenset({VitalFlag.MANUAL})
    mine = [
        VitalReading(instant(20), VitalKind.SYSTOLIC, 80, "manual:ada", flags),
        VitalReading(instant(60), VitalKind.SYSTOLIC, 120, "manual:ada", flags),
    ]
    import_readings(path, mine, file="P01.csv", actor="ada")
    key = ReadingKey(instant(20).wall_ms, VitalKind.SYSTOLIC, "manual:ada")
    correct_reading(path, key, 118, actor="ada")
    assert undo_import(path, 1, actor="ada").sentences == [
        "Import 1 (P01.csv) is undone: 2 readings removed.",
        "1 of them lay in session 1: its means and tests change.",
        "1 of them were corrected since; what they were is kept in vital_change.",
        "Exports and backups that were made since still hold them.",
    ]
    erase_participant(path, "P01", actor="ada")
    assert [one.file for one in list_imports(path)] == ["(erased)"]


def test_an_import_is_undone_once_and_a_number_nobody_has_is_named(path: Path) -> None:
    taken(path, 5)
    taken(path, 6)
    undo_import(path, 1, actor="ada")
    with pytest.raises(StudyError, match="Import 1 was undone already, .*; nothing was removed"):
        undo_import(path, 1, actor="ada")
    with pytest.raises(
        StudyError, match=r"There is no import 7; nothing was removed. Imports: 2\."
    ):
        undo_import(path, 7, actor="ada")
    taken(path, 5)
    assert [(one.id, one.left, one.undone_ms is None) for one in list_imports(path)] == [
        (1, 0, False),
        (2, 1, True),
        (3, 1, True),
    ]


def test_a_failed_import_leaves_no_entry(path: Path) -> None:
    def broken() -> object:
        yield reading(5, 60, source="csv:strap")
        raise ValueError("row 2")

    with pytest.raises(ValueError, match="row 2"):
        import_readings(path, broken(), file="broken.csv", actor="ada")  # type: ignore[arg-type]
    taken(path, 10, file="nothing new.csv")
    undo_import(path, 1, actor="ada")
    assert [one.file for one in list_imports(path)] == ["nothing new.csv"]


def test_the_command_lists_imports_and_takes_one_back(tmp_path: Path) -> None:
    file = tmp_path / "strap.csv"
    file.write_text("at,kind,value\n2026-01-05T08:00:00Z,heart_rate,61\n", encoding="ascii")
    data = str(tmp_path / "data")

    def said(*words: str) -> str:
        return CliRunner().invoke(cli, [*words, "--data", data], catch_exceptions=False).stdout

    assert said("imports") == "No file of readings was imported.\n"
    said("import-vitals", str(file))
    (told,) = json.loads(said("imports", "--json"))
    assert (told["id"], told["file"], told["readings"], told["left"], told["actor"]) == (
        1,
        "strap.csv",
        1,
        1,
        "command line",
    )
    assert ", strap.csv: 1 readings, by command line\n" in said("imports")
    assert said("imports", "--undo", "1").startswith(
        "Import 1 (strap.csv) is undone: 1 readings removed.\n"
    )
    assert query(tmp_path / "data" / "affect-edge.db", "SELECT * FROM vital") == []
