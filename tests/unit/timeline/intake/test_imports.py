"""Imports: which there are, and taking one back without a trace in the rollups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.intake.corrections import ReadingKey, correct_reading
from edge_agent.timeline.intake.imports import list_imports, undo_import
from edge_agent.timeline.intake.video import VideoImport, store_video
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.fold import fold_rollups
from edge_agent.timeline.write.reading_imports import import_readings
from tests.support import studies
from tests.support.clocks.dated import assert_rollups_are_those_of_the_rows
from tests.support.timeline import START_MS, instant, mostly, query, reading, session_row, timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten recorded readings, one every 10 s."""
    return timeline(tmp_path, vital=[reading(s, 60) for s in range(0, 100, 10)])


def taken(path: Path, *seconds: float, file: str = "strap.csv", value: float = 90) -> None:
    rows = [reading(s, value, source="csv:strap") for s in seconds]
    import_readings(path, rows, file=file, actor="ada")


def test_undoing_an_import_removes_its_readings_and_no_others(path: Path) -> None:
    before = query(path, "SELECT * FROM vital")
    taken(path, 5, 15, 4000)
    taken(path, 15, 25, file="again.csv")
    bad = VitalReading(instant(6), VitalKind.HEART_RATE, 900, "csv:x", frozenset())
    assert import_readings(path, [bad], file="bad.csv", actor="ada") == (1, 0, 3)
    assert import_readings(path, [bad], file="bad.csv", actor="ada") == (0, 1, None)
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
    undone_by = query(path, "SELECT actor, detail FROM audit WHERE action = 'import_undo'")
    assert undone_by[0] == ("ada", "strap.csv: 3")


def test_undone_import_of_a_folded_day_is_taken_out_of_its_sums(path: Path) -> None:
    taken(path, 5, 15, value=130)
    days_later = 3 * 86_400
    timeline(path, vital=[reading(days_later, 60)])
    fold_rollups(path, 1, 1, now_ms=instant(days_later).wall_ms)
    assert query(path, "SELECT n, total, most FROM vital_day") == [(12, 860, 130)]
    undo_import(path, 1, actor="ada")
    assert query(path, "SELECT n, total, least, most FROM vital_day") == [(10, 600, 60, 60)]
    expected = [(1,), (1,)]
    assert query(path, "SELECT n FROM vital_hour UNION ALL SELECT n FROM vital_minute") == expected


def test_undone_import_names_what_referred_to_its_readings(path: Path) -> None:
    timeline(path, session=[session_row(10, 50)])
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


def test_erasure_of_short_code_renames_no_file_that_only_holds_its_letter(path: Path) -> None:
    Study(path).create_participant("a", actor="ada")
    for second, file in enumerate(("strap.csv", "garmin-a.csv")):
        taken(path, second, file=file)
    erase_participant(path, "A", actor="ada")
    assert {one.file for one in list_imports(path)} == {"strap.csv", "(erased)"}


def test_an_import_is_undone_once_and_a_number_nobody_has_is_named(path: Path) -> None:
    taken(path, 5)
    taken(path, 6)
    undo_import(path, 1, actor="ada")
    with pytest.raises(StudyError, match="Import 1 was undone already, .*; nothing was removed"):
        undo_import(path, 1, actor="ada")
    with pytest.raises(StudyError, match="There is no import 7; nothing was removed. Imports: 2"):
        undo_import(path, 7, actor="ada")
    taken(path, 5)
    expected = [(1, 0, False), (2, 1, True), (3, 1, True)]
    assert [(one.id, one.left, one.undone_ms is None) for one in list_imports(path)] == expected


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two people with three sessions, exported: markers, readings and faces."""
    folder = tmp_path_factory.mktemp("there")
    path = folder / "affect-edge.db"
    for code in ("P01", "P02", "P01"):
        studies.add_session(path, code, studies.heart(anger=90, neutral=70))
    timeline(path, expression=range(20, 50))
    words = ["export", "--out", str(folder / "study.zip"), "--data", str(folder)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    return folder / "study.zip"


def take_study(path: Path, bundle: Path, *words: str) -> None:
    data = ["--data", str(path.parent)]
    done = CliRunner().invoke(cli, ["import-study", str(bundle), *words, *data])
    assert done.exit_code == 0, done.output or done.exception


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of all tables but those that tell who did what."""
    tables = query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")
    names = sorted({name for (name,) in tables} - {"audit", "import", "sqlite_sequence"})
    kept = {name: query(path, f"SELECT * FROM {name}") for name in names}
    kept["setting"] = [row for row in kept["setting"] if row[0] != "audit_head"]
    return kept


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """A database with a person, faces and readings of a time after the study's."""
    return timeline(
        tmp_path,
        participant=[{"code": "H01"}],
        vital=range(90_000, 90_100, 10),
        expression=range(90_000, 90_020),
    )


def test_undoing_the_import_of_a_study_leaves_what_was_there_before(
    later: Path, bundle: Path
) -> None:
    before = content(later)
    take_study(later, bundle)
    (one,) = list_imports(later)
    assert one.sentence.endswith(", study.zip: a study of 3 sessions, 6 readings, by command line")
    assert_rollups_are_those_of_the_rows(later)
    undone = undo_import(later, 1, actor="ada")
    assert undone.sentences == [
        (
            "Import 1 (study.zip) is undone: 2 participants, 3 sessions, 2 consents, "
            "12 markers and notes, 30 expression rows, 6 readings removed."
        ),
        "Exports and backups that were made since still hold them.",
    ]
    assert content(later) == before
    take_study(later, bundle)
    expected = [(1, False), (2, True)]
    assert [(one.id, one.undone_ms is None) for one in list_imports(later)] == expected


def test_undone_study_import_keeps_what_was_recorded_before_it(
    tmp_path: Path, bundle: Path
) -> None:
    path = timeline(tmp_path, vital=[reading(15, 61, source="cuff")], expression=[12])
    before = content(path)
    take_study(path, bundle, "--join-recorded")
    undo_import(path, 1, actor="ada")
    assert content(path) == before


def test_undone_study_import_with_later_recordings_is_refused(later: Path, bundle: Path) -> None:
    take_study(later, bundle)
    taken(later, 30)
    timeline(later, expression=[60])
    Study(later).give_consent("P02", "2")
    Study(later).start_session(NewSession("P02", Purpose.RESEARCH), at=instant(100_000))
    before = content(later)
    since = "1 rows of session, 1 rows of consent, 1 rows of expression, 1 rows of vital"
    refused = rf"since \({since}\); nothing was removed\. Undo the imports"
    with pytest.raises(StudyError, match=refused):
        undo_import(later, 1, actor="ada")
    assert content(later) == before


def test_undo_after_erasure_keeps_new_person_with_the_freed_number(
    later: Path, bundle: Path
) -> None:
    take_study(later, bundle)
    erase_participant(later, "P02", actor="ada")
    Study(later).create_participant("H02")
    assert query(later, "SELECT id FROM participant WHERE code = 'H02'") == [(3,)], "P02's number"
    assert undo_import(later, 1, actor="ada").study["participant"] == 1
    assert query(later, "SELECT code FROM participant") == [("H01",), ("H02",)]


def test_undo_video_whose_rows_are_too_old_takes_it_out_of_the_sums(path: Path) -> None:
    timeline(path.parent, session=[session_row(10, 50)])
    video = VideoImport(START_MS + 20_000, START_MS + 30_000, 1, (), "talk.avi")
    shown = mostly(Emotion.HAPPINESS)
    rows = [
        ExpressionRow(instant(s), 1, 10, shown, shown, Emotion.HAPPINESS, 120.0, 0.75, True)
        for s in (21, 22)
    ]
    store_video(path, video, rows, 1000, purposes=list(Purpose), actor="ada")
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression")
    assert query(path, "SELECT sum(rows) FROM expression_minute") == [(2,)]
    (told,) = list_imports(path)
    assert (told.faces, told.sessions) == (2, 0)
    undone = undo_import(path, 1, actor="ada")
    assert "session" not in undone.study and undone.sessions == {}
    assert query(path, "SELECT sum(rows) FROM expression_minute") == [(None,)]
    assert query(path, "SELECT count(*) FROM session") == [(1,)]


def test_import_after_its_table_was_lost_takes_no_number_of_older_rows(path: Path) -> None:
    timeline(path.parent, session=[session_row(10, 50)])
    taken(path, 5, 15)
    shown = mostly(Emotion.HAPPINESS)
    rows = [ExpressionRow(instant(21), 1, 10, shown, shown, Emotion.HAPPINESS, 120.0, 0.75, True)]
    videos = [
        VideoImport(START_MS + s * 1000, START_MS + (s + 5) * 1000, 1, (), "talk.avi")
        for s in (20, 30)
    ]
    store_video(path, videos[0], rows, 1000, purposes=list(Purpose), actor="ada")
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM import")  # a rescue could not read it
    taken(path, 25, file="again.csv")
    store_video(path, videos[1], [], 1000, purposes=list(Purpose), actor="ada")
    assert [one.id for one in list_imports(path)] == [3, 4]
    for number in (3, 4):
        undo_import(path, number, actor="ada")
    numbers = "SELECT import FROM {} WHERE import > 0"
    assert query(path, numbers.format("vital")) == [(1,), (1,)]
    assert query(path, numbers.format("expression")) == [(2,)]


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

    assert said("imports") == "Nothing was imported.\n"
    said("import-vitals", str(file))
    (told,) = json.loads(said("imports", "--json"))
    expected = (1, "strap.csv", 1, 1, "command line")
    assert (told["id"], told["file"], told["readings"], told["left"], told["actor"]) == expected
    assert ", strap.csv: 1 reading, by command line\n" in said("imports")
    assert said("imports", "--undo", "1").startswith(
        "Import 1 (strap.csv) is undone: 1 reading removed.\n"
    )
    assert query(tmp_path / "data" / "affect-edge.db", "SELECT * FROM vital") == []


@pytest.mark.parametrize("flags", [False, True], ids=["own_table", "exported"])
def test_an_imported_study_has_its_doubled_heart_rates_flagged(tmp_path: Path, flags: bool) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    start, end = iso_utc(START_MS), iso_utc(START_MS + 60_000)
    given = [f"P1,paper,{iso_utc(START_MS - 1000)}"]
    rates = [140 if second in (0, 30) else 70 for second in range(60)]
    tables = {
        "participant": ["participant,consent_version,consent_given_at", *given],
        "session": ["session,participant,purpose,start_at,end_at", f"1,P1,research,{start},{end}"],
        "vital": [f"at,session,kind,value{',flags' * flags}"]
        + [
            f"{iso_utc(START_MS + 1000 * second)},1,heart_rate,{rate}{',' * flags}"
            for second, rate in enumerate(rates)
        ],
    }
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    done = CliRunner().invoke(cli, ["import-study", str(folder), "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output or done.exception
    stored = tmp_path / "affect-edge.db"
    found = query(stored, "SELECT at, value FROM vital WHERE flags LIKE '%artefact%' ORDER BY at")
    assert found == [(START_MS, 140), (START_MS + 30_000, 140)]
    assert query(stored, "SELECT n, most, flagged FROM vital_hour") == [(58, 70, 2)]
    assert_rollups_are_those_of_the_rows(stored)
