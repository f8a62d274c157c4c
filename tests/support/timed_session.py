"""A session with conditions at given seconds of the made timeline."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.study.sessions import Study
from tests.support.timeline import START_MS, instant


def second_of(at_ms: int) -> float:
    """The seconds from the start of the made timeline to a time."""
    return (at_ms - START_MS) / 1000


def study_with_session(
    path: Path,
    conditions: list[tuple[float, float, str]],
    *,
    end: float | None = 1000,
    start: float = 0,
    name: str = "",
) -> int:
    """A session from ``start`` to ``end`` with conditions at seconds from, until, label.

    Without an end it is open. Returns its number.
    """
    study = Study(path)
    participant = study.create_participant(f"P{len(study.participants()) + 1:02d}")
    study.give_consent(participant.code, "v1")
    session = study.start_session(participant.code, Purpose.RESEARCH, name, at=instant(start))
    for begin, until, label in conditions:
        study.add_marker(MarkerKind.STIMULUS_START, label, at=instant(begin))
        study.add_marker(MarkerKind.STIMULUS_END, "", at=instant(until))
    if end is not None:
        study.end_session(at=instant(end))
    return session.id
