"""``import-faces``: the table of another program as a part of the timeline."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.read.reader import Reader
from tests.support.face_tables import EMOTIEFFLIB, FACEREADER, OPENFACE, PYFEAT

START = "2026-11-20T08:15:00Z"
NEW = ("--participant", "P-01", "--purpose", "research")


def run(*words: Any) -> Result:
    return CliRunner().invoke(cli, [*map(str, words)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a participant who has consented."""
    folder = tmp_path / "data"
    assert run("participant", "add", "P-01", "--data", folder).exit_code == 0
    agreed = ("--text", "v1", "--on", "2026-11-19T08:00:00Z")
    assert run("participant", "consent", "P-01", *agreed, "--data", folder).exit_code == 0
    return folder


def take(data: Path, table: Path, *words: Any) -> Result:
    return run("import-faces", table, "--start", START, "--data", data, *words)


def query(data: Path, text: str) -> list[Any]:
    with closing(sqlite3.connect(data / DATABASE_NAME)) as connection:
        return connection.execute(text).fetchall()


def test_a_table_becomes_a_session_with_movements(data: Path) -> None:
    done = take(data, OPENFACE, *NEW)
    assert done.exit_code == 0, done.output
    assert (
        "OpenFace, 5 rows of 2.0 s, 3 with the face; 0 rows of emotions and 2 of movements"
        in done.stdout
    )
    assert "Left out: 1 with confidence below 0.8, 1 with success 0." in done.stdout
    assert "Not taken: gaze_0_x" in done.stdout
    rows = query(data, "SELECT smile, yaw, pucker, look_x, frames, source FROM movement")
    assert rows == [(600, -115, None, None, 2, "OpenFace"), (200, 0, None, None, 1, "OpenFace")]
    inside = "SELECT count(*) FROM movement, session WHERE at >= started AND at < ended"
    assert query(data, inside) == [(2,)]
    assert query(data, "SELECT name, origin, ended - started FROM session") == [
        ("openface", "import: openface.csv (OpenFace)", 2000)
    ]
    assert query(data, "SELECT detail FROM audit WHERE action = 'faces_import'") == [
        ("session 1, 2 rows: openface.csv (OpenFace)",)
    ]


def test_emotions_and_movements_of_two_programs_meet_in_a_session(data: Path) -> None:
    assert take(data, OPENFACE, *NEW).exit_code == 0
    done = take(data, EMOTIEFFLIB, "--into-session", 1, "--fps", 25, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["program"], told["expressions"], told["movements"]) == ("EmotiEffLib", 2, 0)
    assert query(data, "SELECT emotion, frames, contempt > 0 FROM expression") == [
        ("happiness", 2, 1),
        ("neutral", 1, 1),
    ]


def test_faces_of_a_table_are_not_known_to_be_one_persons(data: Path, tmp_path: Path) -> None:
    assert take(data, EMOTIEFFLIB, *NEW, "--fps", 25).exit_code == 0

    told = json.loads(run("session", "quality", 1, "--json", "--data", data).stdout)
    assert (
        run("export", "--format", "csv", "--out", tmp_path / "out", "--data", data).exit_code == 0
    )

    unknown = {"left": None, "several_s": None, "changed": None, "unknown": "not_followed"}
    assert told["measures"]["faces"] == {
        **unknown,
        "sessions": 1,
        "unknown_sessions": 0,
        "not_known_s": 0.0,
    }
    assert "is not known" in told["faces_sentence"]
    head, row = (tmp_path / "out" / "session.csv").read_text().splitlines()
    assert head.endswith(",face_left,several_faces_s,face_changed")
    assert row.endswith(",,,")


@pytest.mark.parametrize("table", [OPENFACE, FACEREADER])
def test_the_same_table_twice_is_refused(data: Path, table: Path) -> None:
    assert take(data, table, *NEW).exit_code == 0
    counts = "SELECT (SELECT count(*) FROM expression), (SELECT count(*) FROM movement)"
    before = query(data, counts)
    again = take(data, table, "--into-session", 1)
    assert again.exit_code == 1
    assert "lie in the time of the video already" in str(again.exception)
    assert query(data, counts) == before


def test_nothing_is_left_of_a_table_without_consent_or_beyond_its_session(data: Path) -> None:
    run("participant", "add", "P-02", "--data", data)
    for words, why in (
        (("--participant", "P-02", "--purpose", "research"), "consent"),
        (("--into-session", 9), "no session 9"),
        ((), "either --into-session ID or --participant CODE"),
    ):
        refused = take(data, PYFEAT, "--fps", 25, *words)
        assert refused.exit_code in {1, 2}
        assert why in f"{refused.stderr}{refused.exception}"
    assert query(data, "SELECT count(*) FROM session") == [(0,)]
    assert query(data, "SELECT count(*) FROM expression") == [(0,)]


def test_a_course_shows_only_movements_that_were_reported(data: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    marks.write_text(f"at,kind,label\n{START},stimulus_start,joy\n", encoding="utf-8")
    assert take(data, OPENFACE, *NEW, "--markers", marks).exit_code == 0
    course = Reader(data / DATABASE_NAME).session_summary(1)
    (condition,) = course.conditions
    assert condition.movements is not None
    assert condition.movements["smile"] == pytest.approx(0.4667, abs=1e-3)  # (2·0.6 + 0.2) / 3
    assert "pucker" not in condition.movements


def test_a_setting_is_that_of_the_new_session(data: Path) -> None:
    assert take(data, OPENFACE, *NEW, "--setting", "clinic").exit_code == 0
    assert query(data, "SELECT setting FROM session") == [("clinic",)]
    for words, why in (
        ((*NEW, "--setting", "school"), "--setting 'school': choose one of home, laboratory"),
        ((*NEW, "--setting", "education"), "must not be inferred in education"),
        (("--into-session", 1, "--setting", "clinic"), "are those of a new session"),
    ):
        refused = take(data, PYFEAT, "--fps", 25, *words)
        assert why in " ".join(f"{refused.stderr}{refused.exception}".split())


def test_an_import_of_faces_is_listed_and_undone(data: Path, tmp_path: Path) -> None:
    marks = tmp_path / "marks.csv"
    marks.write_text(f"at,kind,label\n{START},stimulus_start,joy\n", encoding="utf-8")
    assert take(data, OPENFACE, *NEW).exit_code == 0
    other = ("--into-session", 1, "--fps", 25, "--markers", marks)
    assert take(data, EMOTIEFFLIB, *other).exit_code == 0
    listed = run("imports", "--data", data).stdout.splitlines()
    assert "openface.csv (OpenFace): 2 rows of faces, by command line" in listed[0]
    assert "emotiefflib.csv (EmotiEffLib): 2 rows of faces" in listed[1]
    undo = ("imports", "--data", data, "--undo")
    assert "Something was recorded into the study of import 1" in str(run(*undo, 1).exception)
    second = run(*undo, 2)
    assert "is undone: 1 marker or note, 2 expression rows removed." in second.stdout
    assert "2 of them lay in session 1: its means and tests change." in second.stdout
    rows = "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})"
    assert query(data, rows.format("expression", "marker")) == [(0, 0)]
    assert query(data, "SELECT sum(rows) FROM expression_minute") in ([(0,)], [(None,)])
    assert query(data, rows.format("movement", "session")) == [(2, 1)]
    assert "is undone: 1 session, 2 rows of movements removed." in run(*undo, 1).stdout
    assert query(data, rows.format("movement", "session")) == [(0, 0)]
    assert "was undone already" in str(run(*undo, 1).exception)
    assert take(data, OPENFACE, *NEW).exit_code == 0, "what was removed can come again"


def test_an_undo_leaves_rows_of_another_who_got_the_numbers(data: Path) -> None:
    assert take(data, OPENFACE, *NEW).exit_code == 0
    erased = run("participant", "erase", "P-01", "--confirm", "P-01", "--data", data)
    assert erased.exit_code == 0, erased.output
    assert run("participant", "add", "P-02", "--data", data).exit_code == 0
    agreed = ("--text", "v1", "--on", "2026-11-19T08:00:00Z")
    assert run("participant", "consent", "P-02", *agreed, "--data", data).exit_code == 0
    again = take(data, OPENFACE, "--participant", "P-02", "--purpose", "research")
    assert again.exit_code == 0, again.output
    run("imports", "--undo", 1, "--data", data)
    assert query(data, "SELECT count(*) FROM movement") == [(2,)]


def test_a_zip_with_one_table_is_taken(data: Path, tmp_path: Path) -> None:
    packed = tmp_path / "face.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(OPENFACE, "out/openface.csv")
        archive.writestr("out/openface_of_details.log", "x")
    done = take(data, packed, *NEW)
    assert done.exit_code == 0, done.output
    assert "Not taken: out/openface_of_details.log, gaze_0_x" in done.stdout
    assert query(data, "SELECT origin FROM session") == [("import: openface.csv (OpenFace)",)]


@pytest.mark.parametrize(("keep_days", "is_named"), [(1, True), (3_000, False)])
def test_faces_that_maintenance_would_delete_are_named(
    data: Path, keep_days: int, is_named: bool
) -> None:
    config = data / "settings.toml"
    config.write_text(f"[record]\nkeep_days = {keep_days}\nkeep_minutes_days = 3000\n")
    done = take(data, OPENFACE, *NEW, "--config", config, "--json")
    assert done.exit_code == 0, done.output
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert ("2 of 2 rows of movements are older than record.keep_days (1)" in notes) == is_named
    assert query(data, "SELECT count(*) FROM movement") == [(2,)]
