"""Protocols that run in a session: their state, markers and self-reports.

Everything is written down as it happens, so that a dashboard that was restarted goes on where the
last one was.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import Marker, MarkerKind, Session
from edge_agent.core.texts import N_, Worded
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.study import rows
from edge_agent.timeline.study.exclusions import leave_out_practice
from edge_agent.timeline.study.sessions import enqueue_session_event
from edge_agent.timeline.write.batch import BAD_ROW, set_aside
from edge_agent.timeline.write.boots import stamp_study

log = logging.getLogger(__name__)
_TURNS = (
    "(SELECT coalesce(max(turn), 0) FROM trial WHERE trial.session = protocol_run.session) AS turns"
)
_OPEN = "state IN ('running', 'paused')"
EXPERIMENT = "experiment"
"""The kind of a row that holds one value of a trial of an experiment, not a screen."""
SESSION_ENDED = N_("the session was ended")
_PRACTICE = "practice"
_RECORDS = (_PRACTICE, "Marker", "SelfReport", "Trial", "ShownTime")
"""Names under which records of protocols are set aside."""


class RunState(Worded):
    """The state of a protocol that was started."""

    RUNNING = "running", N_("running"), "good"
    PAUSED = "paused", N_("paused"), "warn"
    FINISHED = "finished", N_("finished"), "good"
    ENDED = "ended", N_("ended"), "bad"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A protocol that is to be run.

    Attributes:
        name: of its file.
        title: what people call it.
        sha256: of the file.
        order: number of the order of its stimuli.
        plan: its screens in that order as JSON.
    """

    name: str
    title: str
    sha256: str
    order: int
    plan: str


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A protocol as it was last saved.

    Attributes:
        id: of its row.
        session: that it runs in.
        title: what people call it.
        name: of its file.
        plan: its screens as JSON.
        step: number of the screen.
        spent_ms: how long that one has run.
        state: how it stands.
        token: of the participant's page.
        saved: when this was written.
        turns: how many screens the session has shown.
    """

    id: int
    session: Session
    title: str
    name: str
    plan: str
    step: int
    spent_ms: int
    state: RunState
    token: str
    saved: Instant
    turns: int = 0


@dataclass(frozen=True, slots=True)
class SelfReport:
    """A self-report: one answer of a participant about themselves.

    Attributes:
        at: when.
        condition: the last stimulus before; ``None``: there was none.
        scale: ``valence``, ``arousal`` or ``emotion``.
        value: 1 to 9, or a category, or ``none``.
    """

    at: Instant
    condition: str | None
    scale: str
    value: int | str


@dataclass(frozen=True, slots=True)
class Trial:
    """A screen that was shown, or a value of a trial of an experiment that a screen showed.

    Attributes:
        at: when it was due.
        turn: its place among the screens that the session showed, from 1.
        step: number of its step in the file, from 1.
        kind: what it was.
        condition: its own, else that of the last stimulus before; ``None``: there was none.
        practice: whether it was practice.
        planned_ms: how long it was to stand; ``None``: until an answer or its end.
        stood_ms: how long it stood.
        question: name of the protocol's own question; empty: it asked none.
        wording: words of the question.
        value: the answer; ``None``: none, or they would rather not say.
    """

    at: Instant
    turn: int
    step: int
    kind: str
    condition: str | None
    practice: bool
    planned_ms: int | None
    stood_ms: int
    question: str = ""
    wording: str = ""
    value: int | str | None = None


@dataclass(frozen=True, slots=True)
class ShownTime:
    """When the participant's page really showed a screen.

    Attributes:
        turn: of the screen.
        late_ms: from when it was due to its first frame.
        late_within_ms: how wrong that may be.
        shown_ms: from its first frame to that of what followed.
        frame_ms: time between two frames; ``None``: not known.
    """

    turn: int
    late_ms: float
    late_within_ms: float
    shown_ms: float
    frame_ms: float | None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of a protocol since the last save, written in one transaction.

    Attributes:
        step: number of the screen.
        spent_ms: how long that one has run.
        state: how the protocol stands; ``finished`` and ``ended`` end the session, too.
        reason: why, in words.
        at: when.
        markers: that were set, in order of time.
        reports: that were given.
        trials: screens that were left.
        times: when screens that were left were really shown.
        practice: stretches that the analysis leaves out.
    """

    step: int
    spent_ms: int
    state: RunState
    reason: str
    at: Instant
    markers: tuple[Marker, ...] = ()
    reports: tuple[SelfReport, ...] = ()
    trials: tuple[Trial, ...] = ()
    times: tuple[ShownTime, ...] = ()
    practice: tuple[tuple[Instant, Instant], ...] = ()


class ProtocolRuns:
    """Writes and reads the protocols of sessions.

    Every call is one transaction on a connection of its own.

    All methods raise ``StoreError`` when the database cannot be used.

    Args:
        path: the database, already migrated.
        outbox_rows: messages kept in the outbox at the most.
    """

    def __init__(self, path: Path, outbox_rows: int = 50_000) -> None:
        self._path = path
        self._outbox_rows = outbox_rows

    def open(self) -> SavedRun | None:
        """Return the protocol of the open session that is not over, or ``None``."""
        with read_transaction(self._path) as connection:
            session = rows.find_open_session(connection)
            if session is None:
                return None
            row = connection.execute(
                f"SELECT *, {_TURNS} FROM protocol_run WHERE session = ? AND {_OPEN}",  # noqa: S608 - our own words
                (session.id,),
            ).fetchone()
            return None if row is None else _run_of(row, session)

    def next_order(self, participant: str, name: str, orders: int) -> int:
        """Return the order of stimuli for a participant's run of a protocol.

        They keep the order of their earlier run of a protocol of this name; others get the order
        that the fewest participants have had, the first of those.

        Args:
            participant: code.
            name: of the protocol's file.
            orders: how many there are.
        """
        with read_transaction(self._path) as connection:
            earlier = connection.execute(
                "SELECT order_row, code FROM protocol_run JOIN session ON session.id = "
                "protocol_run.session JOIN participant ON participant.id = session.participant "
                "WHERE protocol_run.name = ? AND order_row < ? ORDER BY session.id",
                (name, orders),
            ).fetchall()
        # Codes differ only in small and capital letters where somebody typed them: it is the same
        # person.
        had = {row["code"].casefold(): int(row["order_row"]) for row in earlier}
        if participant.casefold() in had:
            return had[participant.casefold()]
        used = list(had.values())
        # The fewest first, and of these the first: orders stay balanced however many participants
        # there are.
        return min(range(orders), key=lambda order: (used.count(order), order))

    def save(
        self, run: int, session: int, progress: RunProgress, *, actor: str | None = None
    ) -> bool:
        """Save the state of a protocol, with its new markers and self-reports.

        Those that the database refuses are set aside: tried again, they would keep what follows
        from being stored.

        Args:
            run: its number.
            session: that it runs in.
            progress: since the last save.
            actor: who saves it, for the audit trail: a line where its state changed, or where
                markers or answers were added; ``None`` writes none.

        Returns:
            Whether it goes on: ``False`` when it is over, or when the session was ended by somebody
                else.

        Raises:
            StudyError: there is no such protocol in that session, or it is over.
        """
        with write_transaction(self._path) as connection:
            before = _refuse_other(connection, run, session)
            open_session = rows.find_open_session(connection)
            if open_session is None or open_session.id != session:
                end = replace(progress, state=RunState.ENDED, reason=SESSION_ENDED)
                _save(connection, run, end)
                return False
            # Markers before the state: what a restarted dashboard reads goes together with what was
            # marked.
            stored, refused = self._write(connection, open_session, progress)
            if told := _audit_text(session, before, stored, refused):
                rows.insert_audit(connection, actor, "protocol_save", told, clock.now())
            is_over = progress.state in {RunState.FINISHED, RunState.ENDED}
            _save(connection, run, progress)
            if is_over:
                ended = rows.close_session(connection, progress.at)
                enqueue_session_event(
                    connection, "ended", ended, progress.at, None, self._outbox_rows
                )
            return not is_over

    def _write(
        self, connection: sqlite3.Connection, session: Session, progress: RunProgress
    ) -> tuple[RunProgress, int]:
        """Add markers, answers and screens; return those stored, and how many were set aside."""
        ways: dict[str, Callable[[Any], object]] = {
            "markers": partial(self._insert_marker, connection, session),
            "reports": partial(_insert_report, connection, session.id),
            "trials": partial(_insert_trial, connection, session.id),
            "times": partial(_update_times, connection, session.id),
            "practice": lambda stretch: leave_out_practice(connection, session, *stretch),
        }
        stored: dict[str, Any] = {}
        refused = 0
        for name, write in ways.items():
            given = getattr(progress, name)
            taken = [_is_stored(connection, session.id, write, one, progress.at) for one in given]
            stored[name] = tuple(one for one, is_in in zip(given, taken, strict=True) if is_in)
            refused += taken.count(False)
        if refused:  # without a value: they are somebody's answers
            log.error(
                "%d %s of session %d %s refused by the database and set aside",
                *(refused, "record" if refused == 1 else "records"),
                *(session.id, "was" if refused == 1 else "were"),
            )
        return replace(progress, **stored), refused

    def _insert_marker(
        self, connection: sqlite3.Connection, session: Session, marker: Marker
    ) -> None:
        if (
            marker.kind is MarkerKind.STIMULUS_END
            and rows.find_open_condition(connection, session.id) is None
        ):
            return  # somebody has ended it by hand
        added = rows.insert_marker(connection, session, marker.kind, marker.label, marker.at)
        enqueue_session_event(connection, "marker", session, marker.at, added, self._outbox_rows)


class RefusedRecords:
    """Counts the records of protocols that no table took, since the first look.

    The dashboard writes them, so that the recorder of the agent, whose own rows are set aside in
    the same table, does not know of them.

    Args:
        path: the database.

    Attributes:
        count: how many there were at the last look.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: int | None = None
        self.count = 0

    def look(self) -> None:
        """Count anew; what cannot be read stays as it was."""
        with suppress(StoreError), read_transaction(self._path) as connection:
            (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM set_aside").fetchone()
            # Rows that were erased give their numbers back.
            self._before = newest if self._before is None else min(self._before, newest)
            (self.count,) = connection.execute(
                "SELECT count(*) FROM set_aside WHERE id > ? AND source IN "
                "(SELECT value FROM json_each(?))",
                (self._before, json.dumps(_RECORDS)),
            ).fetchone()


def _is_stored(
    connection: sqlite3.Connection,
    session: int,
    write: Callable[[Any], object],
    record: Any,
    saved: Instant,
) -> bool:
    """Write a record; set it aside if no table takes it, and return whether one did.

    It names its session, by which it is erased: its time may be that of a clock that is set later.
    """
    # A savepoint each: one bad record must not take the others back with it.
    connection.execute("SAVEPOINT one_record")
    try:
        write(record)
    except (*BAD_ROW, StudyError) as error:
        connection.execute("ROLLBACK TO one_record")
        first = record[0] if isinstance(record, tuple) else getattr(record, "at", saved)
        source = _PRACTICE if isinstance(record, tuple) else type(record).__name__
        content = {"stretch": record} if isinstance(record, tuple) else asdict(record)
        content = {"session": session} | content
        set_aside(connection, first.wall_ms, source, content, str(error))
        is_stored = False
    else:
        is_stored = True
    connection.execute("RELEASE one_record")
    return is_stored


def _refuse_other(connection: sqlite3.Connection, run: int, session: int) -> RunState:
    """Return the state of a protocol, or refuse one that does not run in a session."""
    row = connection.execute(
        f"SELECT state FROM protocol_run WHERE id = ? AND session = ? AND {_OPEN}",  # noqa: S608 - our own words
        (run, session),
    ).fetchone()
    if row is None:
        raise StudyError(
            N_(
                "No protocol {run} runs in session {session}: it is over, or was erased. Reload "
                "the page."
            ),
            run=run,
            session=session,
        )
    return RunState(row["state"])


def _audit_text(session: int, before: RunState, progress: RunProgress, refused: int) -> str:
    """Return the audit text of a save; empty where only the time on a screen passed."""
    news = [progress.state.value] if progress.state is not before else []
    answers = (*progress.reports, *(one for one in progress.trials if one.value is not None))
    added = (("markers", progress.markers), ("answers", answers))
    news += [f"{name} added: {len(rows)}" for name, rows in added if rows]
    news += [f"set aside: {refused}"] if refused else []
    return f"session {session}: {', '.join(news)}" if news else ""


def _save(connection: sqlite3.Connection, run: int, progress: RunProgress) -> None:
    """Save the state of a protocol; close the participant's page of one that is over."""
    boot, saved = stamp_study(connection, progress.at)
    connection.execute(
        "UPDATE protocol_run SET step = ?, spent_ms = ?, state = ?, reason = ?, saved = ?, "
        # The page of the participant is closed with the protocol: its token opens nothing any more.
        "saved_boot_ms = ?, boot = ?, token = iif(?, NULL, token) WHERE id = ?",
        (
            progress.step,
            progress.spent_ms,
            progress.state.value,
            progress.reason,
            saved.wall_ms,
            saved.boot_ms,
            boot,
            progress.state in {RunState.FINISHED, RunState.ENDED},
            run,
        ),
    )


def insert_run(
    connection: sqlite3.Connection, session: Session, new: NewRun, at: Instant
) -> SavedRun:
    """Add a protocol to a session that was just opened, standing at its first screen."""
    token = secrets.token_urlsafe(24)
    boot, saved = stamp_study(connection, at)
    number = insert(
        connection,
        "protocol_run",
        session=session.id,
        name=new.name,
        title=new.title,
        sha256=new.sha256,
        order_row=new.order,
        plan=new.plan,
        # It waits at its first screen until somebody starts it.
        state=RunState.PAUSED.value,
        token=token,
        saved=saved.wall_ms,
        saved_boot_ms=saved.boot_ms,
        boot=boot,
    )
    row = connection.execute(
        "SELECT *, 0 AS turns FROM protocol_run WHERE id = ?", (number,)
    ).fetchone()
    return _run_of(row, session)


def insert_reports(
    connection: sqlite3.Connection, session: int, reports: Iterable[SelfReport]
) -> None:
    """Add self-reports to a session."""
    for one in reports:
        _insert_report(connection, session, one)


def _insert_report(connection: sqlite3.Connection, session: int, one: SelfReport) -> None:
    boot, at = rows.in_session(connection, session, one.at)
    connection.execute(
        "INSERT INTO self_report (session, at, boot_ms, condition, scale, value, boot) VALUES "
        "(?, ?, ?, ?, ?, ?, ?)",
        (session, at.wall_ms, at.boot_ms, one.condition, one.scale, one.value, boot),
    )


def _insert_trial(connection: sqlite3.Connection, session: int, one: Trial) -> None:
    boot, at = rows.in_session(connection, session, one.at)
    values = {named.name: getattr(one, named.name) for named in fields(one)}
    values |= {"at": at.wall_ms, "boot_ms": at.boot_ms, "practice": int(one.practice)}
    insert(connection, "trial", session=session, boot=boot, **values)


def _update_times(connection: sqlite3.Connection, session: int, one: ShownTime) -> None:
    """Store when a screen was really shown, in the row of its trial."""
    connection.execute(
        "UPDATE trial SET late_ms = ?, late_within_ms = ?, shown_ms = ?, frame_ms = ? "
        "WHERE session = ? AND turn = ? AND shown_ms IS NULL AND kind <> ?",
        (
            *(one.late_ms, one.late_within_ms, one.shown_ms, one.frame_ms),
            *(session, one.turn, EXPERIMENT),
        ),
    )


def _run_of(row: sqlite3.Row, session: Session) -> SavedRun:
    return SavedRun(
        id=row["id"],
        session=session,
        title=row["title"],
        name=row["name"],
        plan=row["plan"],
        step=row["step"],
        spent_ms=row["spent_ms"],
        state=RunState(row["state"]),
        token=row["token"],
        saved=Instant(boot_ms=row["saved_boot_ms"], wall_ms=row["saved"]),
        turns=row["turns"],
    )
