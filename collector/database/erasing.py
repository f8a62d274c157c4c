"""Erasing a participant of a device, in every stream that the device ever had."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from collector.database.rollups import Place
from collector.database.tables import PARTITIONED, SCHEMA

Span = tuple[int, int]
_OF_PARTICIPANT = ("consent", "session", "participant_attribute")
_OF_SESSION = ("marker", "self_report", "protocol_run")


def erase(
    connection: psycopg.Connection,
    device: str,
    epoch: str,
    participant: int,
    spans: Sequence[Span],
) -> tuple[int, set[Place]]:
    """Delete a participant and all rows of their time, in the caller's transaction.

    What nobody can tell whose it is goes, too: messages of the device that wait or were refused.

    Args:
        connection: in a transaction that holds the device's streams.
        device: whose streams they are.
        epoch: of the database in which the participant has the number.
        participant: the number.
        spans: start and end of the sessions, ms.

    Returns:
        How many rows were deleted, and at which times the rollups are to be computed anew.
    """
    streams = [
        row[0]
        for row in connection.execute(
            f"SELECT id FROM {SCHEMA}.stream WHERE device = %s", (device,)
        ).fetchall()
    ]
    rows = _erase_study(connection, streams, device, epoch, participant)
    touched: set[Place] = set()
    for start, end in spans:
        deleted, places = _erase_time(connection, streams, start, end)
        rows += deleted
        touched |= places
    connection.execute(f"DELETE FROM {SCHEMA}.waiting WHERE stream = ANY(%s)", (streams,))
    connection.execute(f"DELETE FROM {SCHEMA}.dead_letter WHERE device IN (%s, '')", (device,))
    return rows, touched


def _erase_study(
    connection: psycopg.Connection, streams: list[int], device: str, epoch: str, participant: int
) -> int:
    """Delete the participant by code, whatever number they have in each stream."""
    known = connection.execute(
        f"SELECT fields->>'code' FROM {SCHEMA}.study_row JOIN {SCHEMA}.stream ON "
        "stream.id = study_row.stream WHERE device = %s AND epoch = %s AND kind = 'participant' "
        "AND study_row.id = %s",
        (device, epoch, participant),
    ).fetchone()
    if known is None:
        return 0
    people = connection.execute(
        f"SELECT stream, id FROM {SCHEMA}.study_row WHERE stream = ANY(%s) AND "
        "kind = 'participant' AND lower(fields->>'code') = lower(%s)",
        (streams, known[0]),
    ).fetchall()
    deleted = 0
    for stream, person in people:
        sessions = [
            row[0]
            for row in connection.execute(
                f"SELECT id FROM {SCHEMA}.study_row WHERE stream = %s AND kind = 'session' "
                "AND (fields->>'participant')::int8 = %s",
                (stream, person),
            ).fetchall()
        ]
        for kinds, field, numbers in (
            (_OF_SESSION, "session", sessions),
            (_OF_PARTICIPANT, "participant", [person]),
        ):
            deleted += connection.execute(
                f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = ANY(%s) AND "
                f"(fields->>'{field}')::int8 = ANY(%s)".encode(),
                (stream, list(kinds), numbers),
            ).rowcount
        deleted += connection.execute(
            f"DELETE FROM {SCHEMA}.study_row WHERE stream = %s AND kind = 'participant' "
            "AND id = %s",
            (stream, person),
        ).rowcount
    return deleted


def _erase_time(
    connection: psycopg.Connection, streams: list[int], start: int, end: int
) -> tuple[int, set[Place]]:
    """Delete the rows of a span, those that reach over its edges too."""
    touched: set[Place] = set()
    deleted = 0
    for table in ("expression", "unfit"):
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.{table} WHERE stream = ANY(%s) AND at >= %s AND "
            "(at < %s OR (at - interval_ms < %s AND at < %s + 86400000)) "
            "RETURNING stream, at".encode(),
            (streams, start, end, end, end),
        ).fetchall()
        deleted += len(gone)
        if table == "expression":
            touched.update((stream, at) for stream, at in gone)
    gone = connection.execute(
        f"DELETE FROM {SCHEMA}.vital WHERE stream = ANY(%s) AND at >= %s AND at < %s "
        "RETURNING stream, at",
        (streams, start, end),
    ).fetchall()
    deleted += len(gone)
    touched.update((stream, at) for stream, at in gone)
    deleted += connection.execute(
        f"DELETE FROM {SCHEMA}.gap WHERE stream = ANY(%s) AND started >= %s AND ended <= %s",
        (streams, start, end),
    ).rowcount
    deleted += connection.execute(
        f"DELETE FROM {SCHEMA}.study_row WHERE stream = ANY(%s) AND kind = 'vital_change' "
        "AND (fields->>'at')::int8 >= %s AND (fields->>'at')::int8 < %s",
        (streams, start, end),
    ).rowcount
    return deleted, touched


def replace_older(
    connection: psycopg.Connection, device: str, stream: int, start: int, end: int
) -> set[Place]:
    """Delete what older streams of a device say of a span that a newer one holds a whole copy of.

    What they alone have, before and after, stays, and so does what they say of the study. Returns
    the times to compute anew.
    """
    older = [
        row[0]
        for row in connection.execute(
            f"SELECT id FROM {SCHEMA}.stream WHERE device = %s AND id <> %s AND closed",
            (device, stream),
        ).fetchall()
    ]
    if not older:
        return set()
    touched: set[Place] = set()
    for table in ("expression", "unfit", "vital", "gap"):
        time = PARTITIONED[table]
        gone = connection.execute(
            f"DELETE FROM {SCHEMA}.{table} WHERE stream = ANY(%s) AND {time} BETWEEN %s AND %s "
            f"RETURNING stream, {time}".encode(),
            (older, start, end),
        ).fetchall()
        if table in {"expression", "vital"}:
            touched.update((number, at) for number, at in gone)
    return touched
