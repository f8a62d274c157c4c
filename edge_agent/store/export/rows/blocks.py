"""The rows of each exported file as blocks of text, a few thousand rows a block.

An export of any size needs the memory of some blocks only.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edge_agent.core.attributes import AttributeUse
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.tables import NAMES, SMOOTHED, iso
from edge_agent.store.export.rows.cells import cell, line
from edge_agent.store.export.rows.columns import FILES
from edge_agent.store.export.rows.episodes import FaceRow, episodes_of
from edge_agent.store.export.rows.pieces import InSession, Piece, Pieces
from edge_agent.store.export.rows.selection import Chosen
from edge_agent.store.read.matching import (
    DEFAULT_LAG_S,
    OBSERVED,
    UNCERTAIN_CATEGORY,
    FaceLabels,
    Matching,
)

ROWS = 4_000
"""Rows in a block at the most."""

_REMEMBERED = 1000
_MATCHING = Matching()
_REACH_MS = round(1000 * max(DEFAULT_LAG_S.values())) + _MATCHING.window_ms
_CATEGORIES = {emotion.value: place for place, emotion in enumerate(EMOTIONS)}

# One printf is several times as fast as strftime, joined columns, or Python for every row: within a
# piece the hour and the shared cells are constants. Real numbers have the 15 digits that SQLite
# gives them in text.
_TIME = "%s%02d:%02d.%03dZ,%d,%s,"
_TIME_VALUES = ":hour, at / 60000 % 60, at / 1000 % 60, at % 1000, at, :shared"
_LINES = {
    "expression": (
        f"SELECT printf('{_TIME}%d,%d,%d,{'%d,' * 16}%s,%!.15g,%!.15g,%d,%d', {_TIME_VALUES}, "
        f"track, interval_ms, frames, {', '.join((*NAMES, *SMOOTHED))}, coalesce(emotion, "
        "'uncertain'), face_size, quality, is_primary, simulated) FROM expression WHERE at >= "
        ":start AND at < :end ORDER BY at, id"
    ),
    "unfit": (
        f"SELECT printf('{_TIME}%d,%d,%s,%d,%d,%d', {_TIME_VALUES}, track, interval_ms, reason, "
        "frames, is_primary, simulated) FROM unfit WHERE at >= :start AND at < :end ORDER BY at, "
        "id"
    ),
}
# A value is written by Python, which finds the shortest text with all its digits; what hardly
# changes from one reading to the next comes as one text, and its cells are found in a dictionary.
_APART = "\x1f"
_VITALS = (
    f"SELECT printf('{_TIME}%s,', {_TIME_VALUES}, kind), value, printf('%s%c%s%c%s%c%s', kind, "
    ":apart, flags, :apart, device_time, :apart, source), at FROM vital WHERE at >= :start AND at "
    "< :end ORDER BY at, kind, source"
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
_IN_SESSIONS = "IN (SELECT value FROM json_each(:sessions))"
_OF_SESSION = (
    "JOIN session ON session.id = {0}.session JOIN participant ON participant.id = "
    f"session.participant WHERE session {_IN_SESSIONS} AND {{0}}.at >= :start AND {{0}}.at < :end "
    "ORDER BY {0}.at, {0}.id"
)
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
    "session": f"""SELECT session.id, code, purpose, setting, name,
            {iso("started")}, started, {iso("ended")}, ended, session.simulated, origin
        FROM session JOIN participant ON participant.id = session.participant
        WHERE session.id {_IN_SESSIONS} ORDER BY started""",
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
    "protocol_run": f"""SELECT session, code, protocol_run.name, title, sha256, order_row,
            (SELECT group_concat(json_extract(value, '$.condition'), ' > ')
                FROM json_each({SCREENS}) WHERE json_extract(value, '$.opens')),
            state, reason
        FROM protocol_run JOIN session ON session.id = protocol_run.session
            JOIN participant ON participant.id = session.participant
        WHERE session {_IN_SESSIONS} ORDER BY started""",
    "model": f"SELECT kind, name, version, sha256, {iso('since')}, since "
    "FROM model ORDER BY since, id",
}


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file, each line with its end.

    ``until_ms`` is the time of the last, where the file has times.
    """

    rows: int
    text: str
    until_ms: int | None = None


def blocks_of(connection: sqlite3.Connection, chosen: Chosen, name: str) -> Iterator[Block]:
    """Yield the rows of one exported file, its line of heads first.

    Args:
        connection: within a transaction, so that all files show the same moment; its rows are
            ``sqlite3.Row``.
        chosen: what is taken along.
        name: one of ``FILES``.
    """
    yield Block(0, ",".join(column.name for column in FILES[name]) + "\n")
    if name in _STUDY:
        yield from _plain(connection, _STUDY[name], chosen.parameters)
        return
    for start, end in chosen.ranges:
        span = {"start": start, "end": end}
        match name:
            case "gap":
                yield from _plain(connection, _GAPS, span)
            case "episode":
                yield from _episodes(connection, span)
            case _:
                for piece in Pieces(connection).of(name, start, end):
                    yield from (
                        _vitals(connection, piece)
                        if name == "vital"
                        else _lines(connection, piece, name)
                    )


def _block(lines: list[str], until_ms: int | None = None) -> Block:
    return Block(len(lines), "\n".join(lines) + "\n", until_ms)


def _run(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, str | int]
) -> sqlite3.Cursor:
    """Run a query whose rows are plain tuples, which are made faster than ``sqlite3.Row``."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(query, parameters)


def _plain(
    connection: sqlite3.Connection, query: str, parameters: Mapping[str, str | int]
) -> Iterator[Block]:
    cursor = _run(connection, query, parameters)
    while rows := cursor.fetchmany(ROWS):
        yield _block([line(row) for row in rows])


def _values(piece: Piece) -> dict[str, str | int]:
    span = {"start": piece.start_ms, "end": piece.end_ms}
    return {"hour": piece.hour, "shared": piece.shared, "apart": _APART, **span}


def _lines(connection: sqlite3.Connection, piece: Piece, name: str) -> Iterator[Block]:
    """Yield rows that SQLite writes as lines by itself."""
    cursor = _run(connection, _LINES[name], _values(piece))
    while rows := cursor.fetchmany(ROWS):
        yield _block([row[0] for row in rows], piece.end_ms)


def _vitals(connection: sqlite3.Connection, piece: Piece) -> Iterator[Block]:
    """Yield readings with all digits of their values, and the emotion observed before each."""
    cursor = _run(connection, _VITALS, _values(piece))
    about = _About()
    while rows := cursor.fetchmany(ROWS):
        if piece.session is None:
            lines = [f"{head}{value!r}{about[key, '']}" for head, value, key, _ in rows]
        else:
            observed = _observed(
                connection, piece.session, [row[3] for row in rows], [row[2] for row in rows]
            )
            lines = [
                f"{head}{value!r}{about[key, state]}"
                for (head, value, key, _), state in zip(rows, observed, strict=True)
            ]
        yield _block(lines, piece.end_ms)


class _About(dict[tuple[str, str], str]):
    """The cells that follow the value of a reading.

    The key is what the query gives and, in a session, the observed emotion.
    """

    def __missing__(self, key: tuple[str, str]) -> str:
        kind, flags, device_time, source = key[0].split(_APART, 3)
        cells = (cell(source), cell(flags), cell(device_time), key[1])
        cells_behind = (
            f",{VitalKind(kind).unit},{','.join(cells)},{int(VitalFlag.SIMULATED in flags.split())}"
        )
        if len(self) < _REMEMBERED:
            self[key] = cells_behind
        return cells_behind


def _observed(
    connection: sqlite3.Connection, session: InSession, at_ms: list[int], keys: list[str]
) -> Iterable[str]:
    """Return the emotion that was observed before each of some readings of a session.

    The readings are in order of time.
    """
    span = {
        "after": at_ms[0] - _REACH_MS,
        "first": session.start_ms,
        "last": min(at_ms[-1], session.end_ms),
    }
    faces = _run(connection, _FACES, span).fetchall()
    categories = [_CATEGORIES.get(emotion, UNCERTAIN_CATEGORY) for _, emotion in faces]
    shown = FaceLabels(
        np.array([at for at, _ in faces], dtype=np.int64), np.array(categories, dtype=np.int64)
    )
    steps = shown.steps(_MATCHING.window_ms, _MATCHING.share)
    instants = np.array(at_ms, dtype=np.int64)
    kinds = [key.partition(_APART)[0] for key in keys]
    states = {
        kind: steps.later(_MATCHING.lag_ms(VitalKind(kind))).at(instants).tolist()
        for kind in set(kinds)
    }
    return (OBSERVED[states[kind][place]] for place, kind in enumerate(kinds))


def _episodes(connection: sqlite3.Connection, span: Mapping[str, str | int]) -> Iterator[Block]:
    rows: Iterable[FaceRow] = _run(connection, _EPISODE_ROWS, span)
    lines: list[str] = []
    for episode in episodes_of(rows):
        lines.append(line(episode.values))
        if len(lines) == ROWS:
            yield _block(lines, episode.end_ms)
            lines = []
    if lines:
        yield _block(lines)
