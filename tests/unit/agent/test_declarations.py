"""How a press comes from the database to the recognizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent.declarations import DeclarationWatch
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.study.sessions import Study
from tests.support.timeline import timeline


@pytest.fixture
def study(tmp_path: Path) -> Study:
    opened = Study(timeline(tmp_path))
    opened.create_participant("P07")
    opened.give_consent("P07", "1")
    opened.start_session(NewSession("P07", Purpose.RESEARCH))
    return opened


def watched(tmp_path: Path) -> tuple[DeclarationWatch, list[Instant | None]]:
    declared: list[Instant | None] = []
    return DeclarationWatch(tmp_path / "affect-edge.db", declared.append), declared


def test_press_is_declared_once_until_the_session_ends(tmp_path: Path, study: Study) -> None:
    watch, declared = watched(tmp_path)
    watch.look(clock.now())
    marker = study.add_marker(MarkerKind.DECLARED, "p07")
    watch.look(clock.now())
    watch.look(clock.now())
    study.end_session()
    watch.look(clock.now())
    assert declared == [marker.at, None]
    assert marker.label == "participant"


def test_press_of_a_minute_ago_declares_nothing(tmp_path: Path, study: Study) -> None:
    watch, declared = watched(tmp_path)
    study.add_marker(MarkerKind.DECLARED, "")
    watch.look(clock.now().shift(61))
    assert declared == [None]


def test_press_for_another_participant_is_refused(study: Study) -> None:
    with pytest.raises(StudyError, match="The session is of P07, and the declaration of 'P08'"):
        study.add_marker(MarkerKind.DECLARED, "P08")
