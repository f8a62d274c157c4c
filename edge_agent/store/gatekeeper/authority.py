"""What a statement through the gate may do; SQLite asks for each part of it before it runs."""

from __future__ import annotations

import sqlite3

_FREE = frozenset(
    {
        "account", "alert", "alert_message", "attempt", "consent", "login", "marker", "outbox",
        "outbox_hole", "outbox_seq", "outbox_set_aside", "participant", "participant_attribute",
        "preregistration", "protocol_run", "self_report", "session", "setting", "token",
    }
)  # fmt: skip
"""Tables of the study, of accounts, of messages to people and to the broker: wholly theirs."""
_PARTS = {
    # which stretch of time a row belongs to: a new stretch, and that its clock was right
    "boot": frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}),
    # nobody takes an entry out of the trail of who did what; each entry is sealed by the next
    "audit": frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}),
    "import": frozenset({sqlite3.SQLITE_INSERT}),
}
_BOOT_COLUMNS = frozenset({"synchronised"})
_AUDIT_COLUMNS = frozenset({"detail", "seal"})
_COLUMNS = {"boot": _BOOT_COLUMNS, "audit": _AUDIT_COLUMNS}
_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})
_HARMLESS = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
    }
)
_TOLD = frozenset({"table_info"})
"""Pragmas that only tell something."""
_UNSAFE_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer", "writefile", "readfile", "edit"})


def authorise(
    action: int, first: str | None, second: str | None, database: str | None, within: str | None
) -> int:
    """Answer SQLite: ``SQLITE_OK``, or ``SQLITE_DENY``, which makes the statement fail.

    https://sqlite.org/c3ref/set_authorizer.html; the names of the arguments are of its table.

    Args:
        action: what a part of the statement does.
        first: the table, or what else the action is about.
        second: the column, or the name of a function.
        database: ``main``, ``temp``.
        within: trigger or view whose part this is. There are none but those of ``schema.sql`` and
            of the log of changes, for a statement through the gate makes none.
    """
    if action in _HARMLESS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        return sqlite3.SQLITE_OK if first in _TOLD else _DENIED
    if action == sqlite3.SQLITE_FUNCTION:
        unsafe = (second or "").casefold() in _UNSAFE_FUNCTIONS
        return sqlite3.SQLITE_DENY if unsafe else sqlite3.SQLITE_OK
    if action in _WRITES and database == "main":
        return sqlite3.SQLITE_OK if _may_write(action, first or "", second, within) else _DENIED
    return _DENIED


def _may_write(action: int, table: str, column: str | None, within: str | None) -> bool:
    if table in _FREE or within is not None:
        return True
    if action not in _PARTS.get(table, frozenset()):
        return False
    return action != sqlite3.SQLITE_UPDATE or column in _COLUMNS[table]


_DENIED = sqlite3.SQLITE_DENY
