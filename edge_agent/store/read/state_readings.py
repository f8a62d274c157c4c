"""The readings within sessions, with the condition that was open at each."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.results import (
    StateReading,
    flags_of,
)


def select_session_readings(
    connection: sqlite3.Connection,
    session_ids: Collection[int] | None,
    kinds: Collection[VitalKind],
) -> list[StateReading]:
    """Return the readings within sessions, in order of session and time.

    The state is the condition, empty where none was open.

    Args:
        connection: to read from; its rows are ``sqlite3.Row``.
        session_ids: sessions to look at; ``None`` is all.
        kinds: which kinds of reading.
    """
    rows = connection.execute(
        "SELECT at_ms, session, participant, condition, kind, value, flags, simulated FROM "
        "session_vital WHERE (:sessions IS NULL OR session IN (SELECT value FROM "
        "json_each(:sessions))) AND kind IN (SELECT value FROM json_each(:kinds)) ORDER BY "
        "session, at_ms, kind, source",
        {
            "sessions": None if session_ids is None else json.dumps(list(session_ids)),
            "kinds": json.dumps([kind.value for kind in kinds]),
        },
    )
    return [
        StateReading(
            participant=row["participant"],
            session=row["session"],
            state=row["condition"] or "",
            kind=VitalKind(row["kind"]),
            value=row["value"],
            at_ms=row["at_ms"],
            flags=flags_of(row["flags"]),
            simulated=bool(row["simulated"]),
        )
        for row in rows
    ]
