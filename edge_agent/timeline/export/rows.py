"""The chosen rows of each exported file, as blocks of CSV and as values with their types.

A block has a few thousand rows, so an export of any size needs the memory of some blocks only. The
timeline is cut into pieces whose rows share session, condition and hour: each query returns rows
that need no look-up of their own, which makes an export several times as fast as the views.
Episodes are found while the rows pass by, for the view ``episode`` would sort all of them first.
Values are read back from the blocks, so that all formats agree.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.csv_cells import cell, line, strip_guard
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.process import Later
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import AttributeUse, MarkerKind, Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.schema import (
    EPISODE_GAP_MS,
    HOUR_MS,
    MOVEMENT_STEPS,
    NAMES,
    SMOOTHED,
    iso,
)
from edge_agent.timeline.database.tables import PRUNED
from edge_agent.timeline.export.table_schemas import FILES, SAID_OF_SESSION
from edge_agent.timeline.read import matching
from edge_agent.timeline.read.faces_in_view import read_faces_in_view
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.study.exclusions import stretches_within
from edge_agent.timeline.study.own_neutral import untested_stretches
from edge_agent.timeline.study.rows import select_sessions

if TYPE_CHECKING:
    import numpy as np
else:
    np = Later("numpy")

Span = tuple[int, int]
# Past every time, and still a number that SQLite holds.
ALWAYS: Span = (0, 2**62)
_LONGEST_ROW_MS = 60_000  # record.interval allows no longer one
ROWS = 4_000
"""Rows in a block at the most."""
_LONGEST_CELL = 100_000_000
_READ: Mapping[str, Callable[[str], Value]] = {
    "string": strip_guard,
    "datetime": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: text == "1",
}
_CATEGORIES = {emotion.value: place for place, emotion in enumerate(EMOTIONS)}
# One printf is several times as fast as strftime, joined columns, or Python for every row: within a
# piece the hour and the shared cells are constants. Real numbers have the 15 digits that SQLite
# gives them in text.
_TIME = "%s%02d:%02d.%03dZ,%d,%s,"
_TIME_VALUES = ":hour, at / 60000 % 60, at / 1000 % 60, at % 1000, at, :shared"
_MOVED = [f"coalesce({name} / {steps}.0, '')" for name, steps in MOVEMENT_STEPS.items()]
_LINES = {
    "expression": (
        f"SELECT printf('{_TIME}%d,%d,%d,{'%d,' * 16}%s,%!.15g,%!.15g,%d,%d,%s', "
        f"{_TIME_VALUES}, "
        f"track, interval_ms, frames, {', '.join((*NAMES, *SMOOTHED))}, coalesce(emotion, "
        "'uncertain'), face_size, quality, is_primary, simulated, attribution) FROM "
        "expression WHERE at >= :start AND at < :end ORDER BY at, id"
    ),
    "movement": (
        f"SELECT printf('{_TIME}%d,%d,%d,{'%s,' * len(_MOVED)}%d,%d,%s,%s', {_TIME_VALUES}, track, "
        f"interval_ms, frames, {', '.join(_MOVED)}, is_primary, simulated, source, attribution) "
        "FROM movement WHERE at >= :start AND at < :end ORDER BY at, id"
    ),
    "unfit": (
        f"SELECT printf('{_TIME}%d,%d,%s,%d,%d,%d,%s', {_TIME_VALUES}, track, interval_ms, reason, "
        "frames, is_primary, simulated, attribution) FROM unfit WHERE at >= :start AND at < "
        ":end ORDER BY at, id"
    ),
}
# A value is written by Python, which finds the shortest text with all its digits; what hardly
# changes from one reading to the next comes as one text, and its cells are remembered.
_APART = "\x1f"
_VITALS = (
    f"SELECT printf('{_TIME}%s,', {_TIME_VALUES}, kind), value, printf('%s%c%s%c%s%c%s', kind, "
    ":apart, flags, :apart, device_time, :apart, source), at, error FROM vital WHERE at >= :start "
    "AND at < :end ORDER BY at, kind, source"
)
_FACES = (
    "SELECT at, emotion FROM expression WHERE is_primary = 1 AND at > :after AND at >= :first AND "
    "at <= :last ORDER BY at"
)
_EPISODE_ROWS = (
    "SELECT at, interval_ms, emotion, simulated, frames FROM expression "
    "WHERE is_primary = 1 AND at >= :start AND at < :end ORDER BY at, id"
)
_GAPS = f"""SELECT {iso("started")}, started, {iso("ended")}, ended, source, reason FROM gap
    WHERE started < :end AND ended > :start ORDER BY started, id"""
SCREENS = (
    "CASE WHEN NOT json_valid(plan) THEN '[]' WHEN json_type(plan) = 'array' THEN plan ELSE "
    "json_extract(plan, '$.screens') END"
)
"""The screens of a protocol run as a list in JSON, as SQL."""
SEED = (
    "CASE WHEN json_valid(plan) AND json_type(plan) = 'object' THEN json_extract(plan, '$.seed') "
    "END"
)
"""The seed of a protocol run's random order, as SQL; NULL where nothing was random."""
_IN_SESSIONS = "IN (SELECT value FROM json_each(:sessions))"
_OF_SESSION = (
    "JOIN session ON session.id = {0}.session JOIN participant ON participant.id = "
    f"session.participant WHERE session {_IN_SESSIONS} AND {{0}}.at >= :start AND {{0}}.at < :end "
    "ORDER BY {0}.at, {0}.id"
)


def _since_start(*columns: str) -> Iterator[str]:
    """Yield as SQL what stands in milliseconds since the start of a session, as times."""
    for column in columns:
        yield iso(f"(started + {column})")
        yield f"started + {column}"


_STUDY = {
    # with the start of the stimulus that goes on where the range begins: its readings are there
    "marker": f"""SELECT {iso("marker.at")}, marker.at, session, code, marker.kind, label
        FROM marker JOIN session ON session.id = marker.session
            JOIN participant ON participant.id = session.participant
        WHERE session {_IN_SESSIONS} AND marker.at < :end AND (marker.at >= :start
            OR (marker.kind = '{MarkerKind.STIMULUS_START}' AND marker.id =
                (SELECT id FROM marker AS last WHERE last.session = marker.session
                    AND last.kind IN ('{MarkerKind.STIMULUS_START}', '{MarkerKind.STIMULUS_END}')
                    AND last.at < :start ORDER BY last.at DESC, last.id DESC LIMIT 1)))
        ORDER BY marker.at, marker.id""",
    "self_report": f"SELECT {iso('self_report.at')}, self_report.at, session, code, condition, "
    "scale, value FROM self_report " + _OF_SESSION.format("self_report"),
    "trial": f"SELECT {iso('trial.at')}, trial.at, session, code, turn, step, kind, condition, "
    "practice, planned_ms, stood_ms, late_ms, late_within_ms, shown_ms, frame_ms, question, "
    "wording, value FROM trial " + _OF_SESSION.format("trial"),
    "session": f"""SELECT session.id, code,
            {", ".join(f"session.{one.name}" for one in SAID_OF_SESSION)},
            {iso("started")}, started, {iso("ended")}, ended, session.simulated, origin
        FROM session JOIN participant ON participant.id = session.participant
        WHERE session.id {_IN_SESSIONS} ORDER BY started""",
    "exclusion": f"""SELECT session, code, {iso("(started + from_ms)")}, started + from_ms,
            {iso("(started + to_ms)")}, started + to_ms, reason
        FROM exclusion JOIN session ON session.id = exclusion.session
            JOIN participant ON participant.id = session.participant
        WHERE session {_IN_SESSIONS} AND taken_back IS NULL
            AND coalesce(from_ms, 0) + started < :end AND coalesce(started + to_ms, :end) > :start
        ORDER BY started, from_ms""",
    "own_neutral": f"""SELECT session, code, state, reason,
            {", ".join(_since_start("from_ms", "to_ms"))}, seconds, {", ".join(NAMES)}, shift,
            {", ".join(_since_start("applied_ms", "until_ms"))},
            temperature, uncertain_below, sha256, prior
        FROM own_neutral JOIN session ON session.id = own_neutral.session
            JOIN participant ON participant.id = session.participant
        WHERE session {_IN_SESSIONS} ORDER BY started""",
    "participant": f"""SELECT code, {iso("created")}, text_version,
            {iso("given")}, {iso("withdrawn")}, simulated, attributes
        FROM participant LEFT JOIN consent ON consent.id =
            (SELECT id FROM consent WHERE consent.participant = participant.id
                ORDER BY withdrawn IS NULL DESC, given DESC, id DESC LIMIT 1)
        WHERE :everybody
            OR participant.id IN (SELECT participant FROM session WHERE id {_IN_SESSIONS})
        ORDER BY code""",
    "participant_attribute": f"""SELECT code, name, value
        FROM participant_attribute JOIN participant ON participant.id = participant
        WHERE EXISTS (SELECT 1 FROM consent WHERE consent.participant = participant.id
                AND withdrawn IS NULL AND consent.attributes = '{AttributeUse.SHARED}')
            AND (:everybody
            OR participant.id IN (SELECT participant FROM session WHERE id {_IN_SESSIONS}))
        ORDER BY code, name""",
    "standing_session": f"""SELECT code, text_version, purpose, setting, weekday,
            printf('%02d:%02d', from_minute / 60, from_minute % 60),
            printf('%02d:%02d', to_minute / 60, to_minute % 60),
            {iso("since")}, since, {iso("until")}, until
        FROM standing_session JOIN participant ON participant.id = participant
        WHERE :everybody
            OR participant.id IN (SELECT participant FROM session WHERE id {_IN_SESSIONS})
        ORDER BY code, since, weekday""",
    "protocol_run": f"""SELECT session, code, protocol_run.name, title, sha256, order_row,
            (SELECT group_concat(json_extract(value, '$.condition'), ' > ')
                FROM json_each({SCREENS}) WHERE json_extract(value, '$.opens')),
            state, reason, {SEED}
        FROM protocol_run JOIN session ON session.id = protocol_run.session
            JOIN participant ON participant.id = session.participant
        WHERE session {_IN_SESSIONS} ORDER BY started""",
    "model": f"SELECT kind, name, version, sha256, {iso('since')}, since, prior "
    "FROM model ORDER BY since, id",
}


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """The part of the timeline that an export is asked for.

    Attributes:
        sessions: only what lies in these sessions; ``None`` is everything.
        start_ms: only what lies from here on, UTC epoch milliseconds.
        end_ms: only what lies before.
        participant: whose sessions alone these are, for the description; empty: nobody was named.
    """

    sessions: tuple[int, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    participant: str = ""

    @property
    def span(self) -> Span:
        """The range of time asked for."""
        start = self.start_ms
        end = self.end_ms
        return ALWAYS[0] if start is None else start, ALWAYS[1] if end is None else end


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """A ``ExportChoice`` resolved to the sessions and time ranges of one database.

    Attributes:
        sessions: the sessions asked for, or those that overlap the span.
        span: the range of time asked for.
        ranges: the parts of the timeline, in order of time; half-open.
        everybody: whether participants without a session belong to it.
        participant: as of ``ExportChoice``.
    """

    sessions: tuple[int, ...]
    span: Span
    ranges: tuple[Span, ...]
    everybody: bool
    participant: str

    @property
    def parameters(self) -> dict[str, str | int]:
        """The values of the queries about the study."""
        start, end = self.span
        return {
            "sessions": json.dumps(self.sessions),
            "start": start,
            "end": end,
            "everybody": int(self.everybody),
        }


def choose(connection: sqlite3.Connection, choice: ExportChoice) -> ChosenRows:
    """Resolve a ``ExportChoice`` to the sessions and time ranges of the database.

    Raises:
        StudyError: there is no such session.
    """
    span = choice.span
    sessions = _sessions(connection, choice.sessions, span)
    ranges: tuple[Span, ...] = (span,)
    if choice.sessions is not None:
        ranges = _parts_within(connection, sessions, span)
    # A part of the timeline is about the people in it; only a whole export tells of all.
    everybody = choice.sessions is None and span == ALWAYS
    return ChosenRows(sessions, span, ranges, everybody, choice.participant)


def sessions_of(participant: str, sessions: Iterable[Session]) -> tuple[str, tuple[int, ...]]:
    """Return the code of one participant as stored, and the numbers of their sessions.

    Raises:
        StudyError: they have none.
    """
    wanted = participant.strip().casefold()
    own = [one for one in sessions if one.participant.casefold() == wanted]
    if not own:
        raise StudyError(
            N_("participant = {code}: has no session. The Study page lists participants."),
            code=participant.strip()[:40],
            field="participant",
        )
    return own[0].participant, tuple(sorted(one.id for one in own))


def holds_rows(database: Path, choice: ExportChoice) -> bool:
    """Tell whether a part of the timeline has a session, a frame with a face, or a reading.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    with read_transaction(database) as connection:
        chosen = choose(connection, choice)
        return bool(chosen.sessions) or any(
            connection.execute(
                f"SELECT EXISTS (SELECT 1 FROM {table.name} WHERE at >= ? AND at < ?)", chosen.span
            ).fetchone()[0]
            for table in PRUNED
        )


def _sessions(
    connection: sqlite3.Connection, wanted: Collection[int] | None, span: Span
) -> tuple[int, ...]:
    """Return the sessions asked for, or those that overlap the span."""
    if wanted is None:
        rows = connection.execute(
            "SELECT id FROM session WHERE started < ? AND (ended IS NULL OR ended > ?) ORDER BY id",
            (span[1], span[0]),
        )
        return tuple(row["id"] for row in rows)
    known = {row["id"] for row in connection.execute("SELECT id FROM session")}
    for session in wanted:
        if session not in known:
            there = ", ".join(map(str, sorted(known))) or "none"
            raise StudyError(f"There is no session {session}. Sessions: {there}.")
    return tuple(sorted(set(wanted)))


def _parts_within(
    connection: sqlite3.Connection, sessions: Collection[int], span: Span
) -> tuple[Span, ...]:
    """Return the parts of the sessions that lie in the span, in order of time."""
    rows = connection.execute(
        "SELECT max(started, :start) AS first, min(coalesce(ended, :end), :end) AS last FROM "
        "session WHERE id IN (SELECT value FROM json_each(:sessions)) ORDER BY started",
        {"start": span[0], "end": span[1], "sessions": json.dumps(list(sessions))},
    )
    return tuple((row["first"], row["last"]) for row in rows if row["first"] < row["last"])


FaceRow = tuple[int, int, str | None, int, int]
"""Of a row of the participant's face: its end, length (ms), label (``None``: uncertain), simulated,
frames.
"""


@dataclass(slots=True)
class EmotionRun:
    """A run of one smoothed emotion; times in milliseconds since 1970 UTC."""

    start_ms: int
    end_ms: int
    emotion: str | None
    rows: int
    frames: int
    simulated: int

    @property
    def values(self) -> tuple[str | float | int, ...]:
        """The values of a row of ``episode.csv``."""
        times = (iso_utc(self.start_ms), self.start_ms, iso_utc(self.end_ms), self.end_ms)
        seconds = (self.end_ms - self.start_ms) / 1000
        shown = self.emotion or "uncertain"
        return (*times, seconds, shown, self.rows, self.frames, self.simulated)


def episodes_of(rows: Iterable[FaceRow]) -> Iterator[EmotionRun]:
    """Yield the episodes in order of their start.

    As in the view, another emotion or 3 s without a row end one.

    Simulated rows make episodes of their own beside the others.

    Args:
        rows: of the participant's face, in order of time.
    """
    running: dict[int, EmotionRun] = {}
    ended: list[EmotionRun] = []
    run: EmotionRun | None = None
    for at, interval, emotion, simulated, frames in rows:
        # Most rows are of the same kind as the one before, so that the look-up is rare.
        if run is None or run.simulated != simulated:
            run = running.get(simulated)
        if (
            run is not None
            and run.emotion == emotion
            # To where the row begins: it is stamped with its end.
            and at - interval - run.end_ms <= EPISODE_GAP_MS
        ):
            run.end_ms = at
            run.rows += 1
            run.frames += frames
            continue
        for kind, one in list(running.items()):
            # A run of the other kind may still go on, unless so much time has passed that no row
            # can join it.
            if kind == simulated or at - one.end_ms > EPISODE_GAP_MS + _LONGEST_ROW_MS:
                ended.append(running.pop(kind))
        run = running[simulated] = EmotionRun(at - interval, at, emotion, 1, frames, simulated)
        # Runs of both kinds may overlap: they are held back until their order by start is certain.
        if len(running) == 1:  # nothing that began earlier still goes on
            yield from sorted(ended, key=lambda one: one.start_ms)
            ended = []
    yield from sorted([*ended, *running.values()], key=lambda one: one.start_ms)


@dataclass(frozen=True, slots=True)
class InSession:
    """A session as the rows need it; ``end_ms`` lies far in the future while it is open."""

    id: int
    participant: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TimelinePiece:
    """A part of the timeline within one UTC hour, one session and one condition.

    It holds the times ``start_ms`` ≤ time < ``end_ms``.
    """

    start_ms: int
    end_ms: int
    session: InSession | None
    condition: str | None

    @property
    def hour(self) -> str:
        """The prefix that all its times share, such as ``2026-09-21T14:``."""
        # All its times lie in one hour, so that SQLite only writes minutes and seconds.
        return iso_utc(self.start_ms)[:14]

    @property
    def shared(self) -> str:
        """The cells that all its rows share: session, participant and condition."""
        if self.session is None:
            return ",,"
        return f"{self.session.id},{cell(self.session.participant)},{cell(self.condition)}"


class Pieces:
    """Cuts the timeline; knows the same sessions and conditions as the views do.

    Args:
        connection: to read from; its rows are ``sqlite3.Row``.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        rows = connection.execute(
            "SELECT session.id, code, started, coalesce(ended, ?) AS ended FROM session "
            "JOIN participant ON participant.id = session.participant ORDER BY started",
            (FOREVER_MS,),
        )
        self._sessions = [InSession(*row) for row in rows]
        self._starts = [session.start_ms for session in self._sessions]
        self._changes = _condition_changes(connection)

    def pieces_with_rows(self, table: str, start_ms: int, end_ms: int) -> Iterator[TimelinePiece]:
        """Yield the pieces of a range that hold rows of a table, in order of time.

        Empty stretches are skipped.
        """
        next_row = f"SELECT min(at) FROM {table} WHERE at >= ? AND at < ?"
        at = self._connection.execute(next_row, (start_ms, end_ms)).fetchone()[0]
        while at is not None:
            piece = self._piece_from(at, end_ms)
            yield piece
            at = self._connection.execute(next_row, (piece.end_ms, end_ms)).fetchone()[0]

    def _piece_from(self, at_ms: int, end_ms: int) -> TimelinePiece:
        """Return the piece that begins at an instant."""
        # A piece ends where anything that its rows share changes: hour, session or condition.
        limit = min(end_ms, at_ms - at_ms % HOUR_MS + HOUR_MS)
        place = bisect_right(self._starts, at_ms)
        if place < len(self._starts):
            limit = min(limit, self._starts[place])
        session = self._sessions[place - 1] if place else None
        if session is None or at_ms >= session.end_ms:
            return TimelinePiece(at_ms, limit, None, None)
        times, labels = self._changes[session.id]
        marker = bisect_right(times, at_ms)
        if marker < len(times):
            limit = min(limit, times[marker])
        return TimelinePiece(
            at_ms, min(limit, session.end_ms), session, labels[marker - 1] if marker else None
        )


def _condition_changes(
    connection: sqlite3.Connection,
) -> Mapping[int, tuple[list[int], list[str | None]]]:
    """Return of each session the times of its condition changes, and the condition after each."""
    changes: defaultdict[int, tuple[list[int], list[str | None]]] = defaultdict(lambda: ([], []))
    for session, at, label in connection.execute(
        "SELECT session, at, CASE kind WHEN :start THEN label END FROM marker WHERE kind IN "
        "(:start, :end) ORDER BY session, at, id",
        {"start": MarkerKind.STIMULUS_START, "end": MarkerKind.STIMULUS_END},
    ):
        changes[session][0].append(at)
        changes[session][1].append(label)
    return changes


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Some rows of a file, each line with its end.

    ``until_ms`` is the time of the last, where the file has times.
    """

    rows: int
    text: str
    until_ms: int | None = None


def blocks_of(
    connection: sqlite3.Connection, chosen: ChosenRows, name: str, rule: matching.Matching
) -> Iterator[RowBlock]:
    """Yield the rows of one exported file, its line of heads first.

    Args:
        connection: within a transaction, so that all files show the same moment; its rows are
            ``sqlite3.Row``.
        chosen: what is taken along.
        name: one of ``FILES``.
        rule: how readings are matched to observed emotions.
    """
    yield RowBlock(0, ",".join(column.name for column in FILES[name]) + "\n")
    if name == "session":
        yield from _sessions_with_faces(connection, chosen)
        return
    if name in _STUDY:
        yield from _plain(connection, _STUDY[name], chosen.parameters)
        return
    pieces = Pieces(connection)
    stretches = untested_stretches(connection)
    for start, end in chosen.ranges:
        span = {"start": start, "end": end}
        match name:
            case "gap":
                yield from _plain(connection, _GAPS, span)
            case "episode":
                yield from _episodes(connection, span)
            case _:
                for piece in pieces.pieces_with_rows(name, start, end):
                    yield from (
                        _vitals(connection, piece, rule, stretches)
                        if name == "vital"
                        else _lines(connection, piece, name)
                    )


def _block(lines: list[str], until_ms: int | None = None) -> RowBlock:
    return RowBlock(len(lines), "\n".join(lines) + "\n", until_ms)


def _run(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, str | int]
) -> sqlite3.Cursor:
    """Run a query that returns plain tuples, which are faster than ``sqlite3.Row``."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(query, parameters)


def _plain(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, str | int]
) -> Iterator[RowBlock]:
    cursor = _run(connection, query, parameters)
    while rows := cursor.fetchmany(ROWS):
        yield _block([line(row) for row in rows])


def _sessions_with_faces(connection: sqlite3.Connection, chosen: ChosenRows) -> Iterator[RowBlock]:
    """Yield the sessions, with how the faces of each were in view."""
    sessions = [one for one in select_sessions(connection) if one.id in set(chosen.sessions)]
    views = read_faces_in_view(connection, sessions, clock.now().wall_ms)
    cursor = _run(connection, _STUDY["session"], chosen.parameters)
    while rows := cursor.fetchmany(ROWS):
        seen = (views[row[0]] for row in rows)
        faces = [(one.left, one.several_s, one.changed) for one in seen]
        yield _block([line((*row, *of)) for row, of in zip(rows, faces, strict=True)])


def _values(piece: TimelinePiece) -> dict[str, str | int]:
    span = {"start": piece.start_ms, "end": piece.end_ms}
    return {"hour": piece.hour, "shared": piece.shared, "apart": _APART, **span}


def _lines(connection: sqlite3.Connection, piece: TimelinePiece, name: str) -> Iterator[RowBlock]:
    """Yield rows that SQLite writes as lines by itself."""
    cursor = _run(connection, _LINES[name], _values(piece))
    while rows := cursor.fetchmany(ROWS):
        yield _block([row[0] for row in rows], piece.end_ms)


def _vitals(
    connection: sqlite3.Connection,
    piece: TimelinePiece,
    rule: matching.Matching,
    stretches: Sequence[Span],
) -> Iterator[RowBlock]:
    """Yield readings with all digits of their values, and the emotion observed before each."""
    cursor = _run(connection, _VITALS, _values(piece))
    while rows := cursor.fetchmany(ROWS):
        if piece.session is None:
            lines = [
                f"{head}{value!r}{_cells_after_value(key, '')},{_number(error)}"
                for head, value, key, _, error in rows
            ]
        else:
            at_ms, keys = [row[3] for row in rows], [row[2] for row in rows]
            observed = _observed_before(connection, piece.session, at_ms, keys, rule, stretches)
            lines = [
                f"{head}{value!r}{_cells_after_value(key, state)},{_number(error)}"
                for (head, value, key, _, error), state in zip(rows, observed, strict=True)
            ]
        yield _block(lines, piece.end_ms)


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


@lru_cache(maxsize=1024)
def _cells_after_value(key: str, observed: str) -> str:
    """Return the cells that follow the value of a reading.

    Args:
        key: what the query gives.
        observed: the emotion observed before it; empty outside sessions.
    """
    kind, flags, device_time, source = key.split(_APART, 3)
    cells = ",".join((cell(source), cell(flags), cell(device_time), observed))
    return f",{VitalKind(kind).unit},{cells},{int(VitalFlag.SIMULATED in flags.split())}"


def _observed_before(
    connection: sqlite3.Connection,
    session: InSession,
    at_ms: list[int],
    keys: list[str],
    rule: matching.Matching,
    stretches: Sequence[Span],
) -> Iterable[str]:
    """Return the emotion that was observed before each of some readings of a session.

    The readings are in order of time, and so are the stretches that are left out.
    """
    # A reading looks back over its lag and the window: so far are rows read before the first one.
    reach_ms = max(map(rule.lag_ms, VitalKind)) + rule.window_ms
    span = {
        "after": at_ms[0] - reach_ms,
        "first": session.start_ms,
        "last": min(at_ms[-1], session.end_ms),
    }
    # The next block reads some rows again, and needs nothing kept from this one.
    faces = _run(connection, _FACES, span).fetchall()
    categories = [_CATEGORIES.get(emotion, matching.UNCERTAIN_CATEGORY) for _, emotion in faces]
    shown = matching.FaceLabels(
        np.array([at for at, _ in faces], dtype=np.int64), np.array(categories, dtype=np.int64)
    ).without(stretches_within(span["after"], span["last"] + 1, stretches))
    steps = shown.steps(rule.window_ms, rule.share)
    instants = np.array(at_ms, dtype=np.int64)
    kinds = [key.partition(_APART)[0] for key in keys]
    states = {
        kind: steps.later(rule.lag_ms(VitalKind(kind))).at(instants).tolist() for kind in set(kinds)
    }
    return (matching.OBSERVED[states[kind][place]] for place, kind in enumerate(kinds))


def _episodes(connection: sqlite3.Connection, span: Mapping[str, str | int]) -> Iterator[RowBlock]:
    rows: Iterable[FaceRow] = _run(connection, _EPISODE_ROWS, span)
    lines: list[str] = []
    for episode in episodes_of(rows):
        lines.append(line(episode.values))
        # Episodes are few, so that their blocks are filled across hours.
        if len(lines) == ROWS:
            yield _block(lines, episode.end_ms)
            lines = []
    if lines:
        yield _block(lines)


Value = str | int | float | bool | None
Row = dict[str, Value]


def whole(value: Value) -> int:
    """Return a whole number of a row."""
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def rows_of(name: str, blocks: Iterator[RowBlock]) -> Iterator[Row]:
    """Yield the rows of one of ``FILES`` from its blocks; an empty cell is ``None``."""
    readers = [(column.name, _READ[column.type]) for column in FILES[name]]
    next(blocks)  # the line of heads
    # Our own text, in which a source may be as long as one was once taken.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    for block in blocks:
        for cells in csv.reader(io.StringIO(block.text, newline="")):
            yield {
                key: read(text) if text else None
                for (key, read), text in zip(readers, cells, strict=True)
            }


def json_text(row: Row) -> str:
    """Return a row as a JSON object on one line; a number that JSON cannot hold is null."""
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }
    return json.dumps(finite, ensure_ascii=False, separators=(",", ":"))
