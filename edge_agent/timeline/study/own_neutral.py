"""The own neutral of sessions: asked for, calibrated from a declared baseline, and kept.

A baseline begins with a marker of kind ``baseline``, which a protocol's step of that kind sets,
too. The first one that is good enough calibrates the session; later ones change nothing, so that
one session has one neutral. Times count from the start of the session, so that they move with it
when its clock is set late.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.own_neutral import BaselineRefusal, Calibration, OwnNeutralState
from edge_agent.core.study import BASELINE_S, MarkerKind
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.database.schema import NAMES
from edge_agent.timeline.study.exclusions import Exclusion, Span, standing_exclusions

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_EVER = 2**62
# 20 s after the marker, a stimulus that begins before, or the end of the session: as the neutral
# face is measured in ``timeline/read/sessions.py``.
_BASELINES = f"""
    SELECT marker.at AS started, min(
        marker.at + {round(1000 * BASELINE_S)},
        coalesce(
            (SELECT min(next.at) FROM marker AS next
                WHERE next.session = marker.session AND next.kind = '{MarkerKind.STIMULUS_START}'
                    AND next.at >= marker.at),
            marker.at + {round(1000 * BASELINE_S)})) AS ended
    FROM marker WHERE marker.session = ? AND marker.kind = '{MarkerKind.BASELINE}'
    ORDER BY marker.at, marker.id"""
_SELECT = (
    "SELECT own_neutral.*, session.started, session.ended FROM own_neutral JOIN session ON "
    "session.id = own_neutral.session WHERE {}"
)


@dataclass(frozen=True, slots=True)
class UsedClassifier:
    """The classifier whose logits a shift belongs to.

    Attributes:
        sha256: of its file.
        prior: with which it is used.
        temperature: of its softmax.
        uncertain_below: probability below which a face is uncertain.
    """

    sha256: str
    prior: str
    temperature: float
    uncertain_below: float

    def has_logits_of(self, other: UsedClassifier) -> bool:
        """Return whether the logits of both mean the same, so that one's shift fits the other."""
        return (self.sha256, self.prior, self.temperature) == (
            other.sha256,
            other.prior,
            other.temperature,
        )


@dataclass(frozen=True, slots=True)
class OwnNeutral:
    """The own neutral of a session.

    Attributes:
        session: its number.
        state: what became of it.
        reason: why the last baseline was refused; ``None`` where none was.
        baseline: start and end of the baseline that was judged, UTC milliseconds; ``None``: none.
        seconds: in how many of its seconds the face was read.
        shift: of the neutral logit; ``None`` where it is not calibrated.
        applied: from when to when labels are shifted, UTC milliseconds, half-open; ``None`` where
            none are. The end of an open session is that of all time.
        has_ended: whether they are shifted no longer, because another classifier reads the face.
        classifier: whose logits they are; ``None`` where no baseline was judged.
    """

    session: int
    state: OwnNeutralState
    reason: BaselineRefusal | None = None
    baseline: Span | None = None
    seconds: int = 0
    shift: float | None = None
    applied: Span | None = None
    has_ended: bool = False
    classifier: UsedClassifier | None = None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The open session, as far as its own neutral depends on it.

    Attributes:
        id: its number.
        start_ms: its start, UTC milliseconds.
        known: what is kept of its own neutral; ``None``: nothing was asked for.
        baselines: start and end of its baselines in order of time, past and present ones.
    """

    id: int
    start_ms: int
    known: OwnNeutral | None
    baselines: tuple[Span, ...]


def read_open_session(path: Path) -> OpenSession | None:
    """Return the open session; ``None`` where none is open.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        session = connection.execute(
            "SELECT id, started FROM session WHERE ended IS NULL"
        ).fetchone()
        if session is None:
            return None
        row = connection.execute(_SELECT.format("session = ?"), (session["id"],)).fetchone()
        baselines = connection.execute(_BASELINES, (session["id"],))
        return OpenSession(
            session["id"],
            session["started"],
            None if row is None else _of_row(row),
            tuple((one["started"], one["ended"]) for one in baselines),
        )


def note_asked(path: Path, session: int) -> None:
    """Note that the configuration asks for the own neutral of a session that did not say.

    Raises:
        StoreError: the database cannot be written.
    """
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO own_neutral (session, state) SELECT id, ? FROM session WHERE id = ? "
            "ON CONFLICT (session) DO NOTHING",
            (OwnNeutralState.ASKED.value, session),
        )


def keep(
    path: Path,
    session: int,
    baseline: Span,
    calibration: Calibration,
    classifier: UsedClassifier,
    at_ms: int,
) -> None:
    """Keep with a session what its baseline came to.

    Args:
        path: the database.
        session: its number; nothing is kept for one that is gone.
        baseline: start and end, UTC milliseconds.
        calibration: what it came to.
        classifier: whose logits they are.
        at_ms: from when on labels are shifted.

    Raises:
        StoreError: the database cannot be written.
    """
    refused = calibration.refusal is not None
    state = OwnNeutralState.REFUSED if refused else OwnNeutralState.CALIBRATED
    logits = calibration.logits or (None,) * len(NAMES)
    values = {
        "state": state.value,
        "reason": calibration.refusal.value if calibration.refusal is not None else "",
        "seconds": calibration.seconds,
        **dict(zip(NAMES, logits, strict=True)),
        "shift": None if refused else calibration.shift,
        "temperature": classifier.temperature,
        "uncertain_below": classifier.uncertain_below,
        "sha256": classifier.sha256,
        "prior": classifier.prior,
    }
    times = {
        "from_ms": baseline[0],
        "to_ms": baseline[1],
        "applied_ms": None if refused else max(at_ms, baseline[1]),
    }
    moved = ", ".join(f"{name} = :{name} - session.started" for name in times)
    named = ", ".join(f"{name} = :{name}" for name in values)
    with write_transaction(path) as connection:
        connection.execute(
            f"UPDATE own_neutral SET {named}, {moved} FROM session WHERE session.id = "
            "own_neutral.session AND session.id = :session",
            {**values, **times, "session": session},
        )


def end_shift(path: Path, session: int, at_ms: int) -> None:
    """Note that labels of a session are shifted no longer: another classifier reads its faces.

    Raises:
        StoreError: the database cannot be written.
    """
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE own_neutral SET until_ms = max(? - started, applied_ms) FROM session WHERE "
            "session.id = own_neutral.session AND session.id = ? AND until_ms IS NULL",
            (at_ms, session),
        )


def own_neutrals(connection: sqlite3.Connection) -> dict[int, OwnNeutral]:
    """Return what is kept of each session, by its number."""
    rows = connection.execute(_SELECT.format("true"))
    return {row["session"]: _of_row(row) for row in rows}


def untested_stretches(connection: sqlite3.Connection) -> list[Span]:
    """Return the stretches of all sessions that are in no test, in order; they do not overlap."""
    excluded = standing_exclusions(connection)
    by_session = untested_by_session(excluded, own_neutrals(connection).values())
    return _join_spans(span for spans in by_session.values() for span in spans)


def untested_by_session(
    excluded: Iterable[Exclusion], own: Iterable[OwnNeutral]
) -> dict[int, list[Span]]:
    """Return by session the stretches that are in no test, in order; they do not overlap.

    These are the stretches that somebody left out, and the baselines that calibrated a session:
    what decides how faces are read is no condition of a test.
    """
    spans: defaultdict[int, list[Span]] = defaultdict(list)
    for one in excluded:
        if one.span is not None:
            spans[one.session].append(one.span)
    for neutral in own:
        if neutral.applied is not None and neutral.baseline is not None:
            spans[neutral.session].append(neutral.baseline)
    return {session: _join_spans(of_session) for session, of_session in spans.items()}


def _join_spans(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def _of_row(row: sqlite3.Row) -> OwnNeutral:
    start: int = row["started"]
    baseline = applied = classifier = None
    if row["from_ms"] is not None:
        baseline = (start + row["from_ms"], start + row["to_ms"])
        classifier = UsedClassifier(
            row["sha256"], row["prior"], row["temperature"], row["uncertain_below"]
        )
    if row["applied_ms"] is not None:
        ends = (row["ended"], None if row["until_ms"] is None else start + row["until_ms"])
        first = start + row["applied_ms"]
        applied = (first, max(first, min((end for end in ends if end is not None), default=_EVER)))
    return OwnNeutral(
        session=row["session"],
        state=OwnNeutralState(row["state"]),
        reason=BaselineRefusal(row["reason"]) if row["reason"] else None,
        baseline=baseline,
        seconds=row["seconds"] or 0,
        shift=row["shift"],
        applied=applied,
        has_ended=row["until_ms"] is not None,
        classifier=classifier,
    )
