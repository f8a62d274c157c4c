"""Made studies in a real database: sessions whose conditions hold given readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import insert, write_transaction
from tests.support.timeline import instant, query, reading, session_row, timeline

HEART = VitalKind.HEART_RATE
SYSTOLIC = VitalKind.SYSTOLIC
DIASTOLIC = VitalKind.DIASTOLIC
States = Mapping[str, Mapping[VitalKind, Sequence[float]]]
"""Condition → kind → values, one a second once everything has settled."""

_SESSION_S = 3600.0
_CONDITION_S = 300.0
_SETTLED_S = 60


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
    start = _next_start(path)
    marks = {*flags, *([VitalFlag.SIMULATED] if simulated else [])}
    conditions, readings = [], []
    for number, label in enumerate(states):
        begin = start + 10 + _CONDITION_S * number
        conditions.append((begin, begin + _CONDITION_S - 1, label))
        for name, measured in ((source, states), second):
            readings += [
                reading(begin + n, value, kind, name, marks)
                for kind, values in measured.get(label, {}).items()
                for n, value in enumerate(values, start=_SETTLED_S)
            ]
    about = {"participant": code, "name": "films", "simulated": simulated}
    session = session_row(start, start + _SESSION_S - 1, *conditions, **about)
    timeline(path, session=[session], vital=readings)
    return _sessions(path)


def add_stimuli(path: Path, code: str, stimuli: Mapping[str, Sequence[float]]) -> None:
    """Write a session of heart rates, one a second from half a second after each stimulus begins;
    stimuli follow one another at once.
    """
    start = at = _next_start(path)
    conditions, readings = [], []
    for label, values in stimuli.items():
        conditions.append((at, None, label))
        readings += [reading(at + n + 0.5, value) for n, value in enumerate(values)]
        at += len(values)
    session = session_row(start, at, *conditions, participant=code, name="films")
    timeline(path, session=[session], vital=readings)


def make_study(folder: Path, people: Mapping[str, States], *, simulated: bool = False) -> Path:
    """Write one session for each person; return the database."""
    path = timeline(folder)
    for code, states in people.items():
        add_session(path, code, states, simulated=simulated)
    return path


def _next_start(path: Path) -> float:
    return _SESSION_S * _sessions(timeline(path))


def _sessions(path: Path) -> int:
    return int(query(path, "SELECT count(*) FROM session")[0][0])


def read_otherwise(path: Path, at: float, kind: str = "expression") -> None:
    """Let another model read faces from a time on, in seconds of the made timeline."""
    with write_transaction(path) as connection:
        for since, sha256 in ((instant(-1).wall_ms, "aa"), (instant(at).wall_ms, "bb")):
            names = {"name": "m", "version": "1", "prior": "fitted"}
            insert(connection, "model", kind=kind, sha256=sha256, since=since, **names)
