"""Tokens with which programs send readings: made and revoked by whoever may log in, kept as
hashes.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from dashboard.accounts.passwords import AccountError
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message
from edge_agent.store.database.schema import read_transaction, write_transaction
from edge_agent.store.study.study_rows import insert_audit

PREFIX = "affect-edge-"
SCOPE_VITALS = "vitals"
NAME_MAX = 40
TOKENS_MAX = 50
_USE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without its secret.

    Attributes:
        name: of the program that has it; goes into the source of its readings.
        scope: what it may do.
        created_by: account that made it.
        used_ms: when it was last used, to the minute; ``None``: never.
        revoked_ms: when it was revoked; ``None``: it is in force.
    """

    id: int
    name: str
    scope: str
    created_ms: int
    created_by: str
    used_ms: int | None
    revoked_ms: int | None


class Tokens:
    """The tokens kept in the database.

    Args:
        path: the database file, already migrated.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self, name: str, account: str, scope: str = SCOPE_VITALS) -> str:
        """Make a token and return its secret, which is kept nowhere and can be shown only now.

        Raises:
            AccountError: the name is not allowed or in use, or there are too many tokens; nothing
                was made.
        """
        name = name.strip()
        if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
            raise AccountError(
                Message(
                    N_(
                        "The name of a token has 1 to {name_max} printable characters, such as: "
                        "watch bridge."
                    ),
                    name_max=NAME_MAX,
                )
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        with write_transaction(self._path) as connection:
            in_force = [
                row[0] for row in connection.execute("SELECT name FROM token WHERE revoked IS NULL")
            ]
            if name in in_force:
                raise AccountError(
                    Message(
                        N_(
                            "There is a token {name!r} already. Revoke it first, or choose "
                            "another name."
                        ),
                        name=name,
                    )
                )
            if len(in_force) >= TOKENS_MAX:
                raise AccountError(
                    Message(
                        N_("There are {tokens_max} tokens already. Revoke those that nobody uses."),
                        tokens_max=TOKENS_MAX,
                    )
                )
            connection.execute(
                "INSERT INTO token (name, token_hash, scope, created, created_by) VALUES (?, ?, ?, "
                "?, ?)",
                (name, _sha256(secret), scope, now().wall_ms, account),
            )
            _audit(connection, account, "token_make", f"{name} ({scope})")
        return secret

    def revoke(self, number: int, account: str) -> None:
        """End a token at once; one that has ended, or never was, stays as it is."""
        with write_transaction(self._path) as connection:
            done = connection.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL RETURNING name",
                (now().wall_ms, number),
            ).fetchone()
            if done is not None:
                _audit(connection, account, "token_revoke", done[0])

    def all(self) -> list[Token]:
        """Return all tokens, those in force first, the newest first."""
        with read_transaction(self._path) as connection:
            rows = connection.execute(f"{_SELECT} ORDER BY revoked IS NOT NULL, id DESC")
            return [Token(*row) for row in rows]

    def of(self, secret: str, scope: str) -> Token | None:
        """Return the token in force that a secret belongs to and that may do this, or ``None``."""
        with read_transaction(self._path) as connection:
            row = connection.execute(
                f"{_SELECT} WHERE token_hash = ? AND scope = ? AND revoked IS NULL",
                (_sha256(secret), scope),
            ).fetchone()
        if row is None:
            return None
        return Token(*row)

    def note_use(self, token: Token) -> None:
        """Write down that a token was used, at most once a minute."""
        at = now().wall_ms
        if token.used_ms is None or at - token.used_ms >= _USE_MS:
            with write_transaction(self._path) as connection:
                connection.execute("UPDATE token SET used = ? WHERE id = ?", (at, token.id))


_SELECT = "SELECT id, name, scope, created, created_by, used, revoked FROM token"


def _audit(connection: sqlite3.Connection, actor: str, action: str, detail: str) -> None:
    insert_audit(connection, actor, action, detail, now())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
