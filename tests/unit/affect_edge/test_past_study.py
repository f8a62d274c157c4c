"""Participants, consents, sessions and markers of times that have passed, from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.core.clock import iso_utc, now
from edge_agent.core.errors import StudyError
from edge_agent.timeline.database.dashboard_file import make_prepared_folder
from tests.support.timeline import START_MS, add, query, reading, row


def run(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, words), "--data", str(folder)])


def said(folder: Path, *words: object) -> Any:
    result = run(folder, *words, "--json")
    assert result.exit_code == 0, result.output or result.exception
    return json.loads(result.stdout)


def at(seconds: float) -> str:
    return iso_utc(START_MS + round(1000 * seconds))


def add_words(start: float, end: float, code: str = "P01") -> tuple[str, ...]:
    words = ("session", "add", "--participant", code, "--purpose", "research")
    return (*words, "--from", at(start), "--to", at(end))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a participant who consented before the made timeline."""
    assert run(tmp_path, "participant", "add", "P01").exit_code == 0
    done = run(tmp_path, "participant", "consent", "P01", "--text", "3", "--on", at(-60))
    assert done.exit_code == 0, done.output
    return tmp_path


def test_a_session_of_last_year_gets_what_was_recorded_then(folder: Path) -> None:
    path = folder / "affect-edge.db"
    add(path, [row(s) for s in range(60)], [reading(s) for s in range(60)])
    words = (*add_words(10, 50), "--setting", "laboratory", "--name", "films")
    made = said(folder, *words)
    assert made == {
        "session": 1,
        "participant": "P01",
        "purpose": "research",
        "setting": "laboratory",
        "name": "films",
        "instruments": "",
        "start": at(10),
        "end": at(50),
        "rows": 81,
    }
    assert query(path, "SELECT boot, simulated, origin FROM session") == [(None, 0, "entered")]
    assert query(path, "SELECT count(*) FROM session_vital WHERE session = 1") == [(40,)]
    assert query(path, "SELECT action, detail FROM audit ORDER BY id") == [
        ("participant_create", "P01"),
        ("consent_give", "P01"),
        ("session_add", "1, with 81 rows recorded before"),
    ]
    assert query(path, "SELECT count(*) FROM outbox") == [(0,)], "nothing happens now"


def test_times_in_a_session_may_count_from_its_start(folder: Path) -> None:
    said(folder, *add_words(0, 600))
    (folder / "m.csv").write_text(f"at,kind,label\n{at(60)},note,phone\n", encoding="utf-8")
    assert run(folder, "import-markers", folder / "m.csv").exit_code == 0

    stretch = ("--from", "4:05.250", "--to", at(330), "--reason", "phone rang")
    (row,) = said(folder, "session", "leave-out", 1, *stretch)
    assert (row["from"], row["to"]) == (at(245.25), at(330))

    assert said(folder, "session", "correct-marker", 1, 1, "--at", "1:30")["at"] == at(90)


def test_made_up_people_and_sessions_are_marked(folder: Path) -> None:
    assert said(folder, "participant", "add", "SIM", "--simulated")["simulated"]
    run(folder, "participant", "consent", "SIM", "--text", "x", "--on", at(0))
    assert said(folder, *add_words(10, 20, "SIM"), "--simulated")["session"] == 1
    assert query(folder / "affect-edge.db", "SELECT simulated FROM session") == [(1,)]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (add_words(20, 20), "does not follow its start"),
        (add_words(50, 101), "meets session 1"),
        (add_words(0, 300), "meets session 1"),
        (add_words(-100, 10), "no consent of participant P01 stood"),
        (add_words(10, 20, "P09"), "There is no participant 'P09'"),
        ((*add_words(10, 20), "--setting", "workplace"), "must not be inferred at work"),
        ((*add_words(10, 20), "--name", "x" * 81), "at most 80"),
    ],
)
def test_past_session_that_breaks_a_rule_is_refused(
    folder: Path, words: tuple[str, ...], problem: str
) -> None:
    assert run(folder, *add_words(100, 200)).exit_code == 0
    done = run(folder, *words)
    assert isinstance(done.exception, StudyError), done.output
    assert problem in str(done.exception)
    assert query(folder / "affect-edge.db", "SELECT count(*) FROM session") == [(1,)]


def test_an_open_session_a_future_one_and_one_after_withdrawal_are_refused(folder: Path) -> None:
    assert run(folder, *add_words(100, 200)).exit_code == 0
    assert run(folder, *add_words(200, 300)).exit_code == 0
    assert run(folder, *add_words(50, 100)).exit_code == 0
    run(folder, "session", "start", "P01", "--purpose", "research")
    words = ("session", "add", "--participant", "P01", "--purpose", "research")
    ago = iso_utc(now().wall_ms - 60_000)
    done = run(folder, *words, "--from", ago, "--to", iso_utc(now().wall_ms))
    assert "to now). Sessions must not overlap" in str(done.exception)
    later = iso_utc(now().wall_ms + 3_600_000)
    done = run(folder, *words, "--from", at(10), "--to", later)
    assert "lies in the future" in str(done.exception)
    consent = run(folder, "participant", "consent", "P01", "--text", "3", "--on", later)
    assert "lies in the future" in str(consent.exception)
    run(folder, "participant", "withdraw", "P01")
    done = run(folder, *add_words(10, 20))
    assert "no consent that stands" in str(done.exception)


def test_a_time_without_a_zone_is_wrong_use_until_one_is_named(folder: Path) -> None:
    words = ("session", "add", "--participant", "P01", "--purpose", "research")
    times = ("--from", "2026-09-21 16:21:00", "--to", "2026-09-21 16:22:00")
    refused = run(folder, *words, *times)
    assert (refused.exit_code, "has no time zone" in refused.output) == (2, True)
    done = said(folder, *words, *times, "--timezone", "Europe/Berlin")
    assert (done["start"], done["end"]) == ("2026-09-21T14:21:00.000Z", "2026-09-21T14:22:00.000Z")


def test_earlier_consent_ends_where_the_next_one_begins(folder: Path) -> None:
    run(folder, "participant", "consent", "P01", "--text", "2", "--on", at(-600))
    run(folder, "participant", "consent", "P01", "--text", "4", "--on", at(600))
    path = folder / "affect-edge.db"
    rows = query(path, "SELECT text_version, given, withdrawn FROM consent ORDER BY given")
    times = [("2", -600, -60), ("3", -60, 600), ("4", 600, None)]
    assert rows == [
        (text, START_MS + 1000 * given, None if end is None else START_MS + 1000 * end)
        for text, given, end in times
    ]
    assert run(folder, *add_words(-500, 700)).exit_code == 0


def test_markers_of_a_file_find_sessions_and_second_time_they_are_there(folder: Path) -> None:
    run(folder, *add_words(0, 100))
    run(folder, *add_words(200, 300))
    file = folder / "markers.csv"
    lines = [
        "at,kind,label",
        f"{at(210)},stimulus_start,anger",
        f"{at(10)},stimulus_start,anger",
        f"{at(40)},stimulus_end,",
        f"{at(40)},stimulus_start,happiness",
        f"{at(100)},stimulus_end,happiness",
        f"{at(5)},baseline,",
        f"{at(50)},note,'=1+1",
    ]
    file.write_text("\n".join(lines) + "\n")
    assert said(folder, "import-markers", file) == {"imported": 7, "duplicates": 0}
    again = run(folder, "import-markers", file)
    assert again.stdout == "0 markers imported, 7 were there already\n"
    path = folder / "affect-edge.db"
    sql = "SELECT session, at, kind, label, boot FROM marker ORDER BY at, id"
    assert query(path, sql) == [
        (number, START_MS + 1000 * second, kind, label, None)
        for number, second, kind, label in [
            (1, 5, "baseline", "neutral"),
            (1, 10, "stimulus_start", "anger"),
            (1, 40, "stimulus_end", "anger"),
            (1, 40, "stimulus_start", "happiness"),
            (1, 50, "note", "=1+1"),
            (1, 100, "stimulus_end", "happiness"),
            (2, 210, "stimulus_start", "anger"),
        ]
    ]


@pytest.mark.parametrize("first", [10, 10.25])
def test_markers_overlapping_existing_stimuli_are_refused_in_any_order(
    folder: Path, first: float
) -> None:
    run(folder, *add_words(0, 100))
    file = folder / "markers.csv"

    def give(start: float, end: float, label: str = "anger") -> str:
        lines = f"{at(start)},stimulus_start,{label}\n{at(end)},stimulus_end,{label}\n"
        file.write_text(f"at,kind,label\n{lines}")
        return str(run(folder, "import-markers", file).exception)

    assert give(first, first + 30) == "None"
    second = 20.25 - first
    for start, end in ((second, second + 30), (15, 20), (5, 60), (5, 20), (20, 50)):
        refused = give(start, end)
        assert refused.startswith(
            f"Marker stimulus_start at {at(start)}, with its end at {at(end)}"
        )
        assert "overlaps markers 1–2 of session 1, which exists already" in refused
    assert give(first, first + 30) == "None", "the same file again"
    assert give(first + 30, 60, "sadness") == "None", "the next stimulus"
    kinds = query(folder / "affect-edge.db", "SELECT kind FROM marker ORDER BY at, id")
    assert kinds == [("stimulus_start",), ("stimulus_end",)] * 2


def test_marker_file_with_a_second_end_of_a_condition_adds_none(folder: Path) -> None:
    run(folder, *add_words(0, 100))
    file = folder / "markers.csv"

    def give(*markers: tuple[float, str, str]) -> str:
        lines = (f"{at(second)},{kind},{label}\n" for second, kind, label in markers)
        file.write_text(f"at,kind,label\n{''.join(lines)}")
        return str(run(folder, "import-markers", file).exception)

    there = ((20, "stimulus_start", "anger"), (40, "stimulus_end", "anger"))
    assert give(*there) == "None"
    for label in ("anger", "", "calm"):
        assert give((30, "stimulus_end", label)) == (
            f"Marker stimulus_end at {at(30)}: the stimulus 'anger', which goes on then, ends at "
            f"{at(40)} already, so one of the two ends would be superfluous. Correct that end: "
            "affect-edge session correct-marker 1 2 --at TIME."
        )
    assert give(*there) == "None", "the same file again"
    assert give((50, "stimulus_start", "x"), (60, "stimulus_start", "y")) == "None"
    assert give((55, "stimulus_end", "x"), (65, "stimulus_end", "y")) == "None"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            f"{at(150)},note,x,",
            f"note at {at(150)} lies in no session; the nearest is session 1 (P01), 50 s earlier.",
        ),
        (
            f"{START_MS / 1000 + 180},note,x,",
            f"({at(180)}) lies in no session; the nearest is session 2 (P01), 20 s later. Add",
        ),
        (f"{at(10)},note,x,2", "lies outside session 2"),
        (f"{at(10)},note,x,one", "markers.csv, row 3, column session: 'one' is not the number"),
        (f"{at(10)},start,x,", "row 3, column kind: 'start' is not one of stimulus_start"),
        ("soon,note,x,", "row 3, column at: 'soon' is not a time"),
        (f"{at(10)},note,calm, then loud,1", "markers.csv, row 3 has 5 values, but there are 4"),
        (f"{at(10)},stimulus_end,anger,", f"at {at(10)}: no stimulus was going on"),
    ],
)
def test_a_file_with_a_marker_that_has_no_place_adds_none(
    folder: Path, line: str, problem: str
) -> None:
    run(folder, *add_words(0, 100))
    run(folder, *add_words(200, 300))
    file = folder / "markers.csv"
    file.write_text(f"at,kind,label,session\n{at(5)},note,good,1\n{line}\n")
    done = run(folder, "import-markers", file)
    assert problem in str(done.exception)
    assert query(folder / "affect-edge.db", "SELECT count(*) FROM marker") == [(0,)]


def test_times_are_named_as_they_were_typed(folder: Path) -> None:
    run(folder, *add_words(0, 100))
    berlin = ("--timezone", "Europe/Berlin")
    file = folder / "markers.csv"
    file.write_text("at,kind,label\n2026-09-21 16:30,note,late\n")
    done = run(folder, "import-markers", file, *berlin)
    named = "Marker note at 2026-09-21 16:30 (2026-09-21T14:30:00.000Z) lies in no session"
    assert named in str(done.exception)
    leave_out = ("session", "leave-out", "1", "--reason", "x")
    run(folder, *leave_out, "--from", "0:10", "--to", "0:40")
    for typed, met in (
        (("0:20", "0:30"), "0:10 to 0:40"),
        (
            ("2026-09-21T16:20:20", "2026-09-21T16:20:30"),
            "2026-09-21T16:20:10.000+02:00 to 2026-09-21T16:20:40.000+02:00",
        ),
    ):
        done = run(folder, *leave_out, *berlin, "--from", typed[0], "--to", typed[1])
        assert f"Of session 1, {met} is left out already: x." in str(done.exception)


def test_a_file_with_many_bad_rows_names_the_first_ten(folder: Path) -> None:
    file = folder / "markers.csv"
    file.write_text("at,kind\n" + f"{at(0)},nothing\n" * 1000)
    said = str(run(folder, "import-markers", file).exception)
    assert said.count("is not one of stimulus_start") == 10


def test_columns_of_another_name_are_refused(folder: Path) -> None:
    file = folder / "markers.csv"
    file.write_text("time,kind\n1,note\n")
    assert "column at is missing" in str(run(folder, "import-markers", file).exception)
    file.write_text("at,kind,colour\n1,note,red\n")
    assert "column 'colour' is unknown" in str(run(folder, "import-markers", file).exception)


def test_maintenance_sweeps_what_a_killed_import_left(folder: Path) -> None:
    left = make_prepared_folder(folder, "study-" + "0" * 16)
    (left / "study.db").write_bytes(b"rows of people")
    for one in (left / "study.db", left):
        os.utime(one, (0, 0))
    assert "retention" in run(folder, "maintenance").output
    assert not left.exists()
