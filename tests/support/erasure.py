"""A participant with all that can be recorded of them, and every byte in which they may be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.protocol_runs import NewRun, insert_run
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue
from tests.support.timeline import instant, movement_row, reading, row, timeline

CODE = "Zq-Wombat7"


NOTE = "said Xylophone-Quartz-91"


NAME = "films of Quokka-55"


def hold(
    path: Path, code: str, start: float, name: str = "films", note: str = "sits still"
) -> None:
    """Hold a session of 90 s with all that can be recorded in it."""
    study = Study(path)
    study.create_participant(code)
    study.give_consent(code, "1")
    new = NewRun("films", "Films", "0" * 64, 0, "[]")
    session = study.start_session(NewSession(code, Purpose.RESEARCH, name), instant(start))
    with write_transaction(path) as connection:
        insert_run(connection, session, new, instant(start))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", instant(start + 1))
    study.add_marker(MarkerKind.NOTE, note, instant(start + 2))
    study.end_session(instant(start + 90))
    record(path, start, start + 90)
    timeline(
        path,
        self_report=[{"at": start + 80, "value": 3}],
        gap=[{"started": start + 40, "ended": start + 44, "reason": "no_face"}],
        audit=[{"action": "consent_give", "detail": code}],
    )
    begin, end = (iso_utc(instant(start + second).wall_ms) for second in (20, 30))
    with write_transaction(path) as connection:
        message = OutboxMessage("summary", {"window": {"start": begin, "end": end}})
        enqueue(connection, message, 1000)


def record(path: Path, start: float, end: float) -> None:
    """Record a face and a strap every second, and a frame that could not be read every tenth."""
    seconds = range(int(start) + 1, int(end))
    emotions = (Emotion.ANGER, None, Emotion.NEUTRAL)
    lost = (VitalFlag.CONTACT_LOST,)
    timeline(
        path,
        expression=[row(s, emotions[s % 3], primary=s % 7 > 0) for s in seconds],
        vital=[reading(s, 60 + s % 13, flags=() if s % 11 else lost) for s in seconds],
        movement=[movement_row(s, smile=s % 5 / 5, yaw=s % 9 - 4.0) for s in seconds],
        unfit=[{"at": s} for s in seconds if s % 10 == 0],
    )


def everything(path: Path) -> str:
    """All that is in a database, as SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump())


def bytes_of(folder: Path) -> bytes:
    """All bytes of the database, its log, its shared memory and its copies, in lower case."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("affect-edge.db*"))).lower()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Keep the database open as an agent does, so that the log and its index stay beside it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM participant").fetchone()
        yield connection
