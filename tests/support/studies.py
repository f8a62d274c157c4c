"""Made studies in a real database: sessions whose conditions hold given readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.study.rows import (
    NewSession,
    close_session,
    insert_consent,
    insert_marker,
    insert_participant,
    insert_session,
    select_participants,
    select_sessions,
)
from edge_agent.store.write.timeline import write_vitals
from tests.support.timeline import instant

HEART = VitalKind.HEART_RATE
SYSTOLIC = VitalKind.SYSTOLIC
DIASTOLIC = VitalKind.DIASTOLIC
States = Mapping[str, Mapping[VitalKind, Sequence[float]]]
"""Condition → kind → values, one a second once everything has settled."""

_SESSION_S = 3600.0
_CONDITION_S = 300.0
_SETTLED_S = 60.0


def heart(**by_state: float) -> States:
    """One person with one heart-rate reading in each state."""
    return {state: {HEART: [value]} for state, value in by_state.items()}


FOUR_PEOPLE = {
    "P-1": heart(anger=75.0, happiness=70.0, neutral=70.5),
    "P-2": heart(anger=84.0, happiness=79.0, neutral=78.0),
    "P-3": heart(anger=71.0, happiness=66.5, neutral=65.5),
    "P-4": heart(anger=90.0, happiness=84.0, neutral=83.0),
}


def add_session(
    path: Path,
    code: str,
    states: States,
    *,
    simulated: bool = False,
    flags: Iterable[VitalFlag] = (),
    source: str = "strap",
    second: tuple[str, States] = ("", {}),
) -> int:
    """Write a finished session of a participant, an hour after the last one; return its id.

    ``second`` is another source with what it measured at the same time.
    """
    migrate(path)
    marks = frozenset(flags) | ({VitalFlag.SIMULATED} if simulated else frozenset())
    with write_transaction(path) as connection:
        start = instant(_SESSION_S * len(select_sessions(connection)))
        if code not in {participant.code for participant in select_participants(connection)}:
            insert_participant(connection, code, start, simulated=simulated)
            insert_consent(connection, code, "1", start)
        session = insert_session(
            connection, NewSession(code, Purpose.RESEARCH, "films", start, simulated=simulated)
        )
        for number, (label, vitals) in enumerate(states.items()):
            begin = start.shift(10 + _CONDITION_S * number)
            insert_marker(connection, session, MarkerKind.STIMULUS_START, label, begin)
            insert_marker(
                connection, session, MarkerKind.STIMULUS_END, label, begin.shift(_CONDITION_S - 1)
            )
            other, measured = second
            readings = _readings(vitals, begin, marks, source)
            readings += _readings(measured.get(label, {}), begin, marks, other)
            write_vitals(connection, [(reading, None) for reading in readings])
        close_session(connection, start.shift(_SESSION_S - 1))
    return session.id


def add_stimuli(path: Path, code: str, stimuli: Mapping[str, Sequence[float]]) -> None:
    """Write a session of heart rates, one a second from half a second after each stimulus begins;
    stimuli follow one another at once.
    """
    with write_transaction(path) as connection:
        start = instant(_SESSION_S * len(select_sessions(connection)))
        insert_participant(connection, code, start)
        insert_consent(connection, code, "1", start)
        session = insert_session(connection, NewSession(code, Purpose.RESEARCH, "films", start))
        at = start
        for label, values in stimuli.items():
            insert_marker(connection, session, MarkerKind.STIMULUS_START, label, at)
            readings = [
                (VitalReading(at.shift(second + 0.5), HEART, value, "strap", frozenset()), None)
                for second, value in enumerate(values)
            ]
            write_vitals(connection, readings)
            at = at.shift(len(values))
        close_session(connection, at)


def make_study(folder: Path, people: Mapping[str, States], *, simulated: bool = False) -> Path:
    """Write one session for each person; return the database."""
    path = folder / "affect-edge.db"
    migrate(path)
    for code, states in people.items():
        add_session(path, code, states, simulated=simulated)
    return path


def _readings(
    vitals: Mapping[VitalKind, Sequence[float]],
    begin: Instant,
    flags: frozenset[VitalFlag],
    source: str,
) -> list[VitalReading]:
    return [
        VitalReading(begin.shift(_SETTLED_S + second), kind, value, source, flags)
        for kind, values in vitals.items()
        for second, value in enumerate(values)
    ]
