"""Writes a folder of EDF+ files, one for each session."""

from __future__ import annotations

import json
from pathlib import Path

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.store.export.bids.events import events_of
from edge_agent.store.export.edf.session_file import SessionFile
from edge_agent.store.export.rows.typed import Row, Value
from edge_agent.store.export.source import ExportSource


def write_folder(source: ExportSource, root: Path) -> None:
    """Write the chosen sessions of a timeline, each as an EDF+ file, into an empty folder.

    Rows that lie in no session have no place in it. ``sessions.json`` says what each file is.

    Raises:
        OSError: a file cannot be written, or the disk is full.
    """
    sessions = {
        _whole(row["session"]): SessionFile(
            participant=str(row["participant"]),
            number=_whole(row["session"]),
            start_ms=_whole(row["start_ms"]),
            end_ms=None if row["end_ms"] is None else _whole(row["end_ms"]),
            simulated=bool(row["simulated"]),
        )
        for row in source.rows("session")
    }
    _gather(source, sessions)
    for session in sessions.values():
        session.write(root)
    about = {
        "created": source.created,
        "program": f"Affect Edge {__version__}",
        "sessions": [
            {
                "file": session.name,
                "session": number,
                "participant": session.participant,
                "start": iso_utc(session.start_ms),
                "simulated": session.simulated,
            }
            for number, session in sessions.items()
        ],
    }
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (root / "sessions.json").write_text(text, encoding="utf-8")


def _gather(source: ExportSource, sessions: dict[int, SessionFile]) -> None:
    """Give each session its rows."""
    markers: dict[int, list[Row]] = {}
    for row in source.rows("marker"):
        markers.setdefault(_whole(row["session"]), []).append(row)
    for number, session in sessions.items():
        for event in events_of(markers.get(number, [])):
            session.event(event)
    for row in source.rows("vital"):
        if row["session"] in sessions:
            sessions[_whole(row["session"])].vital(row)
    for row in source.rows("self_report"):
        if row["session"] in sessions:
            sessions[_whole(row["session"])].self_report(row)
    for row in source.rows("gap"):
        for session in sessions.values():
            session.gap(row)


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value
