"""The log of alerts, with their deliveries and acknowledgements."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import pack_text, unpack_text
from edge_agent.timeline.database.connection import (
    BUSY_SECONDS,
    read_transaction,
    write_transaction,
)
from edge_agent.timeline.write import audit
from edge_agent.timeline.write.boots import stamp

ENDINGS = ("over", "not_known", "rule_removed")
"""Why an alert ended."""
_COLUMNS = (
    "id, rule, kind, text, parts, value, session, raised, ended, ending, quiet, acknowledged, "
    "acknowledged_by"
)
_STATES = {
    "": "true",
    "open": "ended IS NULL",
    "ended": "ended IS NOT NULL",
    "unacknowledged": "acknowledged IS NULL",
}
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """The delivery of one message about an alert.

    Attributes:
        event: ``raised`` or ``ended``.
        target: name of the address, which holds no secret.
        tries: how often it was tried.
        sent_ms: when it arrived; ``None``: it did not, or nobody knows.
        error: why the last attempt failed; empty: it did not, or nobody knows.
    """

    event: str
    target: str
    tries: int
    sent_ms: int | None
    error: str

    @property
    def is_unknown(self) -> bool:
        """Whether an attempt has begun of which nobody knows what became of it."""
        return self.sent_ms is None and not self.error

    @property
    def may_have_arrived(self) -> bool:
        """Whether it arrived, or perhaps did."""
        return self.sent_ms is not None or self.is_unknown


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """An alert.

    Attributes:
        id: its number.
        rule: name of the rule.
        kind: what the rule watches.
        text: what is so, without any measured value; a ``Message``, unless it is an old row.
        value: what was measured when it began; ``None``: nothing is.
        session: number of the session that was open then; ``None``: none was.
        raised_ms: when it began, UTC.
        ended_ms: when it ended; ``None``: it stands.
        ending: of ``ENDINGS``; ``None``: it stands.
        quiet: whether it began in quiet hours.
        acknowledged_ms: when somebody acknowledged it; ``None``: nobody has.
        acknowledged_by: who.
        deliveries: what was sent about it.
    """

    id: int
    rule: str
    kind: str
    text: str
    value: float | None
    session: int | None
    raised_ms: int
    ended_ms: int | None = None
    ending: str | None = None
    quiet: bool = False
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    deliveries: tuple[AlertDelivery, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the alert is still open."""
        return self.ended_ms is None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """A filter of alerts; a field that is left out matches any.

    Attributes:
        start_ms: begun from here on, UTC.
        end_ms: begun before.
        kind: what is watched; empty: anything.
        state: ``open``, ``ended`` or ``unacknowledged``; empty: any.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    kind: str = ""
    state: str = ""


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


Signature = tuple[tuple[int, int, int], ...]


class AlertLog:
    """The log of alerts in one database.

    Every method raises ``StoreError`` when the database cannot be used.

    Args:
        path: the database.
        busy_seconds: how long to wait for others who write.
        actor: who begins and ends alerts, for the audit trail; ``None``: the agent, which writes no
            line.
        kind: alerts of no other kind are ended, nor are their messages noted; ``None``: any.

    Example:
        >>> log = AlertLog(path)
        >>> number = log.begin(AlertEntry(0, "hr", "vital", "Too high.", 131.0, None, 0), now())
        >>> log.end("hr", "over", now())
    """

    def __init__(
        self,
        path: Path,
        busy_seconds: float = BUSY_SECONDS,
        *,
        actor: str | None = None,
        kind: str | None = None,
    ) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._actor = actor
        self._kind = kind

    def signature(self) -> Signature:
        """Return a value that changes with every write to the database; cheap to compute."""
        marks = []
        # The log beside it, too: a commit changes the database file itself only at a checkpoint.
        for file in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            try:
                status = file.stat()
            except OSError:
                marks.append((0, 0, 0))
            else:
                marks.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(marks)

    def begin(self, alert: AlertEntry, at: Instant, parts: str | None = None) -> None:
        """Record the start of an alert, with the open session; do nothing if it is open already.

        Args:
            alert: its rule, kind, text, value and whether it is quiet.
            at: when.
            parts: its text as ``pack_text`` keeps it; ``None``: as the text itself says.
        """
        text = str(alert.text)
        what = (alert.rule, alert.kind, text, parts or pack_text(alert.text), alert.value)
        with write_transaction(self._path) as connection:
            boot, known = stamp(connection, at)
            # A unique index lets a rule have one open alert only.
            begun = connection.execute(
                "INSERT INTO alert (rule, kind, text, parts, value, session, raised, raised_boot, "
                "quiet) VALUES (?, ?, ?, ?, ?, (SELECT id FROM session WHERE ended IS NULL), ?, ?, "
                "?) ON CONFLICT DO NOTHING",
                (*what, known.wall_ms, boot, int(alert.quiet)),
            ).rowcount
            if self._actor is not None and begun:
                audit.write_line(connection, self._actor, "alert_begin", alert.rule)

    def end(self, rule: str, ending: str, at: Instant) -> None:
        """Record the end of a rule's alert, and the reason; do nothing if none is open.

        Args:
            rule: its name.
            ending: as of ``AlertEntry``.
            at: when.
        """
        with write_transaction(self._path) as connection:
            boot, known = stamp(connection, at)
            ended = connection.execute(
                "UPDATE alert SET ended = ?, ended_boot = ?, ending = ? WHERE rule = ? AND ended "
                "IS NULL AND kind = coalesce(?, kind)",
                (known.wall_ms, boot, ending, rule, self._kind),
            ).rowcount
            if self._actor is not None and ended:
                audit.write_line(connection, self._actor, "alert_end", f"{rule}: {ending}")

    def open_alerts(self) -> list[AlertEntry]:
        """Return the open alerts, the oldest first."""
        with read_transaction(self._path, self._busy_seconds) as connection:
            return _entries(
                connection, f"SELECT {_COLUMNS} FROM alert WHERE ended IS NULL ORDER BY id"
            )

    def is_session_open(self) -> bool:
        """Tell whether a session is open."""
        with read_transaction(self._path, self._busy_seconds) as connection:
            row = connection.execute("SELECT 1 FROM session WHERE ended IS NULL").fetchone()
            return row is not None

    def has_agent(self) -> bool:
        """Tell whether an agent has ever recorded here: each writes down its models."""
        with read_transaction(self._path, self._busy_seconds) as connection:
            row = connection.execute("SELECT 1 FROM model WHERE import IS NULL LIMIT 1").fetchone()
            return row is not None

    def page(self, wanted: AlertFilter, rows: int, page: int) -> tuple[int, list[AlertEntry]]:
        """Return how many alerts are wanted, and those of one page, the newest first."""
        conditions = [_STATES[wanted.state]]
        values: list[str | int] = []
        for condition, value in (
            ("raised >= ?", wanted.start_ms),
            ("raised < ?", wanted.end_ms),
            ("kind = ?", wanted.kind or None),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        where = " AND ".join(conditions)
        with read_transaction(self._path, self._busy_seconds) as connection:
            count = connection.execute(
                f"SELECT count(*) FROM alert WHERE {where}", values
            ).fetchone()[0]
            entries = _entries(
                connection,
                f"SELECT {_COLUMNS} FROM alert WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?",
                (*values, rows, rows * (page - 1)),
            )
        return count, entries

    def recent(self, kinds: Collection[str], since_ms: int) -> list[AlertEntry]:
        """Return the alerts of some kinds that are open, or ended after ``since_ms``."""
        places = ", ".join("?" * len(kinds))
        with read_transaction(self._path, self._busy_seconds) as connection:
            return _entries(
                connection,
                f"SELECT {_COLUMNS} FROM alert WHERE kind IN ({places}) AND (ended IS NULL OR "
                "ended >= ?) ORDER BY id",
                (*kinds, since_ms),
            )

    def acknowledge(self, number: int, actor: str) -> AlertEntry:
        """Record who acknowledged an alert, with an audit line; only the first one is stored.

        Raises:
            StudyError: there is no such alert.
        """
        at = clock.now()
        with write_transaction(self._path) as connection:
            boot, known = stamp(connection, at)
            done = connection.execute(
                "UPDATE alert SET acknowledged = ?, acknowledged_boot = ?, acknowledged_by = ? "
                "WHERE id = ? AND acknowledged IS NULL",
                (known.wall_ms, boot, actor, number),
            ).rowcount
            entries = _entries(connection, f"SELECT {_COLUMNS} FROM alert WHERE id = ?", (number,))
            if not entries:
                raise StudyError(f"There is no alert {number}. Reload the page.")
            if done:
                # The audit names the alert by its rule, never by the measured value.
                audit.write_line(
                    connection, actor, "alert_acknowledge", f"{number} {entries[0].rule}", at
                )
        return entries[0]

    def note_delivery(self, alert: int, delivery: AlertDelivery) -> bool:
        """Store the delivery of a message; return ``False`` if the alert was erased meanwhile.

        Args:
            alert: its number.
            delivery: what became of it.
        """
        with write_transaction(self._path) as connection:
            stored = connection.execute(
                "INSERT INTO alert_message (alert, event, target, tries, sent, error) "
                "SELECT id, ?, ?, ?, ?, ? FROM alert WHERE id = ? AND kind = coalesce(?, kind) "
                "ON CONFLICT DO UPDATE SET tries = excluded.tries, sent = excluded.sent, "
                "error = excluded.error",
                (*astuple(delivery), alert, self._kind),
            ).rowcount
        return stored > 0


def prune_alerts(path: Path, keep_days: int, now_ms: int) -> int:
    """Delete alerts that ended more than ``keep_days`` days ago; return how many.

    ``audit`` gets a line with their number, if there were any.

    Raises:
        StoreError: the database cannot be written.
    """
    with write_transaction(path) as connection:
        gone = connection.execute(
            "DELETE FROM alert WHERE ended < ?", (now_ms - keep_days * _DAY_MS,)
        ).rowcount
        if gone:
            audit.write_line(connection, "appliance", "retention", f"{gone} alerts deleted")
    return gone


def _entries(
    connection: sqlite3.Connection, question: str, values: Iterable[str | int] = ()
) -> list[AlertEntry]:
    rows = connection.execute(question, tuple(values)).fetchall()
    sent = _deliveries(connection, [row["id"] for row in rows])
    entries = []
    for number, rule, kind, text, parts, value, session, *when, quiet, seen_ms, seen_by in rows:
        raised, ended, ending = when
        of = (number, rule, kind, unpack_text(text, parts), value, session)
        seen = (bool(quiet), seen_ms, seen_by)
        entries.append(AlertEntry(*of, raised, ended, ending, *seen, tuple(sent[number])))
    return entries


def _deliveries(
    connection: sqlite3.Connection, numbers: list[int]
) -> defaultdict[int, list[AlertDelivery]]:
    places = ", ".join("?" * len(numbers))
    rows = connection.execute(
        "SELECT alert, event, target, tries, sent, error FROM alert_message WHERE alert IN "
        f"({places}) ORDER BY alert, event DESC, target",
        numbers,
    )
    sent: defaultdict[int, list[AlertDelivery]] = defaultdict(list)
    for alert, *values in rows:
        sent[alert].append(AlertDelivery(*values))
    return sent
