"""What the streams tell of the study: each marker and session once, also over a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.lsl.worker import OLDEST_MS, SEEN_NAME, StudyWatch
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.boots import BootRows
from tests.support.timeline import timeline


@pytest.fixture
def study(tmp_path: Path) -> Study:
    file = timeline(tmp_path)
    with write_transaction(file) as connection:
        BootRows(connection).begin_if_clocks_moved(
            ago(2 * OLDEST_MS / 1000)
        )  # as an agent does that runs
    made = Study(file)
    made.create_participant("P01")
    made.give_consent("P01", "3")
    return made


def ago(seconds: float) -> Instant:
    now = clock.now()
    ms = round(1000 * seconds)
    return Instant(now.boot_ms - ms, now.wall_ms - ms)


def texts(watch: StudyWatch) -> list[str]:
    return [event.text for event in watch.new_events()]


def test_a_session_and_its_markers_are_reported_once_in_order(tmp_path: Path, study: Study) -> None:
    watch = StudyWatch(tmp_path / "affect-edge.db")
    assert texts(watch) == []
    session = study.start_session(NewSession("P01", Purpose.RESEARCH), ago(30))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", ago(20))
    study.add_marker(MarkerKind.NOTE, "tea", ago(10))
    assert texts(watch) == [f"session_start/{session.id}", "stimulus_start/anger", "note/tea"]
    assert texts(watch) == []
    study.end_session(ago(1))
    assert texts(watch) == [f"session_end/{session.id}"]


def test_what_happened_while_the_agent_was_away_is_reported_afterwards(
    tmp_path: Path, study: Study
) -> None:
    watch = StudyWatch(tmp_path / "affect-edge.db")
    session = study.start_session(NewSession("P01", Purpose.RESEARCH), ago(30))
    texts(watch)
    study.add_marker(MarkerKind.NOTE, "away", ago(5))
    study.end_session(ago(1))
    again = StudyWatch(tmp_path / "affect-edge.db")
    assert texts(again) == ["note/away", f"session_end/{session.id}"]


def test_what_is_older_than_ten_minutes_is_no_event_of_now(tmp_path: Path, study: Study) -> None:
    watch = StudyWatch(tmp_path / "affect-edge.db")
    texts(watch)
    study.start_session(NewSession("P01", Purpose.RESEARCH), ago(OLDEST_MS / 1000 + 60))
    assert texts(watch) == []


def test_a_note_that_cannot_be_read_begins_anew(
    tmp_path: Path, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / SEEN_NAME).write_text("{torn", encoding="utf-8")
    watch = StudyWatch(tmp_path / "affect-edge.db")
    (tmp_path / SEEN_NAME).unlink()
    (tmp_path / SEEN_NAME).mkdir()
    study.start_session(NewSession("P01", Purpose.RESEARCH), ago(5))
    texts(watch)
    assert "cannot be written" in caplog.text


def test_a_database_that_cannot_be_read_skips_nothing(tmp_path: Path, study: Study) -> None:
    watch = StudyWatch(tmp_path / "affect-edge.db")
    texts(watch)
    study.start_session(NewSession("P01", Purpose.RESEARCH), ago(5))
    (tmp_path / "affect-edge.db").rename(tmp_path / "away.db")
    with pytest.raises(StoreError):
        watch.new_events()
    (tmp_path / "away.db").rename(tmp_path / "affect-edge.db")
    assert len(texts(watch)) == 1
