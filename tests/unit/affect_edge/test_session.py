"""Sessions and markers from the command line, and protocol files checked there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from dashboard.__main__ import main as dashboard
from dashboard.protocols.file import EXAMPLES
from edge_agent.core.clock import now
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.inserts import write_vitals
from tests.support.timeline import database, query


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a participant who has consented."""
    study = Study(database(tmp_path))
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    return tmp_path


def run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--data", str(folder)])


def said(folder: Path, *words: str) -> Any:
    result = run(folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_session_is_run_from_the_command_line(folder: Path) -> None:
    assert run(folder, "session", "show").exit_code == 1
    words = ("--purpose", "research", "--setting", "home", "--name", "films")
    start = said(folder, "session", "start", "P-1", *words)
    assert (start["session"], start["participant"]) == (1, "P-1")
    assert (start["setting"], start["end"]) == ("home", None)
    assert said(folder, "session", "mark", "stimulus_start", "anger")["label"] == "anger"
    assert said(folder, "session", "mark", "stimulus_end")["label"] == "anger"
    assert said(folder, "session", "mark", "baseline")["label"] == "neutral"
    assert "note coughed, 2" in run(folder, "session", "mark", "note", "coughed").output
    assert "session 1 (P-1, research, films)" in run(folder, "session", "show").output
    assert said(folder, "session", "end")["end"] is not None
    kinds = query(folder / "affect-edge.db", "SELECT kind FROM marker ORDER BY id")
    assert [kind for (kind,) in kinds] == ["stimulus_start", "stimulus_end", "baseline", "note"]


@pytest.mark.parametrize(
    ("words", "asked"),
    [((), []), (("--own-neutral",), [(1, "asked")]), (("--no-own-neutral",), [(1, "off")])],
)
def test_session_start_says_whether_own_neutral_is_used(
    folder: Path, words: tuple[str, ...], asked: list[tuple[int, str]]
) -> None:
    said(folder, "session", "start", "P-1", "--purpose", "research", *words)
    stored = query(folder / "affect-edge.db", "SELECT session, state FROM own_neutral")
    assert stored == asked


def test_a_session_is_left_out_and_taken_back_from_the_command_line(folder: Path) -> None:
    said(folder, "session", "start", "P-1", "--purpose", "research")
    said(folder, "session", "end")
    session = ("session", "leave-out", "1")
    assert "Nothing is left out." in run(folder, *session).output

    (row,) = said(folder, *session, "--reason", "camera fell")

    assert (row["number"], row["from"], row["reason"]) == (1, None, "camera fell")
    assert "the whole session (camera fell)" in run(folder, "session", "quality", "1").output
    assert said(folder, *session, "--take-back", "1") == []
    stretch = ("--from", "2001-01-01T00:00:00Z", "--to", "2001-01-01T00:01:00Z")
    local = ("--from", "2001-07-01T10:00", "--to", "2001-07-01T10:01")
    for words, problem in (
        (("--from", "2001-01-01T00:00:00Z"), "Give --from and --to"),
        (("--from", "4:05", "--to", "soon", "--reason", "x"), "of the session, such as 4:05."),
        (
            ("--from", "4:05", "--to", "5:30", "--reason", "x"),
            "4:05 lies outside session 1, which lasts from 0:00 to 0:0",
        ),
        (
            ("--from", "1:10", "--to", "0:55", "--reason", "x"),
            "The stretch ends at 0:55, which does not follow its start at 1:10.",
        ),
        (stretch, "Give the --reason"),
        ((*stretch, "--reason", "x"), "2001-01-01T00:00:00.000+00:00 lies outside session 1"),
        (
            (*local, "--timezone", "Europe/Berlin", "--reason", "x"),
            "2001-07-01T10:00:00.000+02:00 lies outside session 1",
        ),
        (("--take-back", "1"), "has no exclusion with number 1"),
        (("--take-back", "1", "--reason", "x"), "Give --take-back alone"),
    ):
        result = run(folder, *session, *words)
        assert result.exit_code and problem in f"{result.output}{result.exception}", words


def test_a_marker_is_corrected_and_left_out_from_the_command_line(folder: Path) -> None:
    said(folder, "session", "start", "P-1", "--purpose", "research")
    said(folder, "session", "mark", "stimulus_start", "angr")
    said(folder, "session", "mark", "stimulus_end")
    start, end = (str(one["marker"]) for one in said(folder, "session", "markers", "1"))

    changed = said(folder, "session", "correct-marker", "1", start, "--label", "anger")
    assert changed["label"] == "anger"
    gone = ("session", "correct-marker", "1", end, "--remove", "--reason", "no end was shown")
    assert run(folder, *gone).output == f"Marker {end} was left out.\n"

    assert [one["label"] for one in said(folder, "session", "markers", "1")] == ["anger"]
    for words, problem in (
        ((end, "--label", "x"), f"There is no marker {end} in session 1."),
        ((start,), "Give --at, --kind or --label, or --remove alone."),
        ((start, "--kind", "smile"), "--kind 'smile': choose one of stimulus_start"),
        ((start, "--at", "soon"), "--at"),
    ):
        result = run(folder, "session", "correct-marker", "1", *words)
        assert (result.exit_code, problem in result.output) == (2, True), result.output
    nothing = run(folder, "session", "correct-marker", "1", start, "--remove")
    assert nothing.exit_code == 1 and "Give a reason" in str(nothing.exception)


def test_protocol_files_are_checked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert dashboard(["protocol", "check", str(EXAMPLES / "three-conditions.toml")]) == 0
    assert "19 screens, 7.8 min and more, in 6 orders (Williams design)" in capsys.readouterr().out
    (tmp_path / "a.toml").write_text("title = 3", encoding="utf-8")
    assert dashboard(["protocol", "check", str(tmp_path / "a.toml")]) == 2
    assert "line 1: title = 3: input should be a valid string" in capsys.readouterr().err
    assert dashboard(["protocol", "check"]) == 2
    assert "Missing argument" in capsys.readouterr().err


def test_quality_waits_until_the_agent_has_written_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, "session", "start", "P-1", "--purpose", "research")
    run(folder, "session", "end")
    assert "still writes" not in run(folder, "session", "quality", "1").output  # no agent runs
    monkeypatch.setattr("edge_agent.appliance.running_checks.agent_health", lambda _socket: {})

    def write(_seconds: float) -> None:
        reading = VitalReading(now().shift(1), VitalKind.HEART_RATE, 70, "strap")
        with write_transaction(folder / "affect-edge.db") as connection:
            write_vitals(connection, [(reading, None)])

    monkeypatch.setattr("edge_agent.core.clock.sleep", write)
    told = run(folder, "session", "quality", "1")
    assert told.exit_code == 0 and "still writes the end of the session" in told.output
