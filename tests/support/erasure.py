"""A participant with all that can be recorded of them, and every byte in which they may be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import Emotion, RejectedFrames, RejectReason
from edge_agent.core.readings import Gap, VitalFlag
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.study.protocol_runs import NewRun, SelfReport, insert_reports, insert_run
from edge_agent.store.study.sessions import Study
from edge_agent.store.write.outbox import OutboxMessage, enqueue
from edge_agent.store.write.timeline import write_gap, write_rejected_frames
from tests.support.timeline import add, add_movements, instant, movement_row, reading, row

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
    session = study.start_session(code, Purpose.RESEARCH, name, instant(start))
    with write_transaction(path) as connection:
        insert_run(connection, session, new, instant(start))
    study.add_marker(MarkerKind.STIMULUS_START, "anger", instant(start + 1))
    study.add_marker(MarkerKind.NOTE, note, instant(start + 2))
    study.end_session(instant(start + 90))
    record(path, start, start + 90)
    with write_transaction(path) as connection:
        insert_reports(
            connection, session.id, [SelfReport(instant(start + 80), "anger", "valence", 3)]
        )
        write_gap(
            connection, Gap("camera", instant(start + 40), instant(start + 44), "no_face"), None
        )
        window = {
            "start": iso_utc(instant(start + 20).wall_ms),
            "end": iso_utc(instant(start + 30).wall_ms),
        }
        enqueue(connection, OutboxMessage("summary", {"window": window}), 1000)
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'ada', 'consent_give', ?)",
            (code,),
        )


def record(path: Path, start: float, end: float) -> None:
    """Record a face and a strap every second, and a frame that could not be read every tenth."""
    seconds = range(int(start) + 1, int(end))
    faces = [
        row(s, (Emotion.ANGER, None, Emotion.NEUTRAL)[s % 3], primary=s % 7 > 0) for s in seconds
    ]
    flags = [(VitalFlag.CONTACT_LOST,) if s % 11 == 0 else () for s in seconds]
    add(
        path,
        faces,
        [reading(s, 60 + s % 13, flags=flag) for s, flag in zip(seconds, flags, strict=True)],
    )
    add_movements(path, [movement_row(s, smile=s % 5 / 5, yaw=s % 9 - 4.0) for s in seconds])
    with write_transaction(path) as connection:
        rejected = [
            (RejectedFrames(instant(s), 1, RejectReason.BLURRED, 3, True), None)
            for s in seconds
            if s % 10 == 0
        ]
        write_rejected_frames(connection, rejected, 1000, simulated=False)


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
