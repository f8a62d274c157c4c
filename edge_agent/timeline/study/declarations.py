"""Declarations: presses that say that the face which leads now is the participant's."""

from __future__ import annotations

from pathlib import Path

from edge_agent.core.study import Marker, MarkerKind
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.study.rows import marker_of


def last_declaration(path: Path) -> Marker | None:
    """Return the last declaration of the open session; ``None`` without one."""
    with read_transaction(path) as connection:
        row = connection.execute(
            "SELECT marker.id, session, at, marker.boot_ms, kind, label FROM marker JOIN session "
            "ON session.id = marker.session WHERE session.ended IS NULL AND kind = ? AND "
            "marker.boot_ms IS NOT NULL ORDER BY marker.at DESC, marker.id DESC LIMIT 1",
            (MarkerKind.DECLARED,),
        ).fetchone()
    return None if row is None else marker_of(row)
