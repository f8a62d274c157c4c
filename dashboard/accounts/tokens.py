"""Tokens with which programs use the API: made and revoked by administrators, kept as hashes.

A token has scopes, a role that bounds what it may do, and perhaps an end. It never has more rights
than the account that made it: where that account is disabled, or gets a lower role, the token loses
the same rights; where the account is removed, its tokens are revoked (``Members.remove``).
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from dashboard.accounts.notes import Notes
from dashboard.accounts.passwords import AccountError, sha256
from dashboard.accounts.roles import (
    LEAST_ROLE,
    MAY,
    TOKEN_ROLES,
    Account,
    Permission,
    Role,
    Scope,
    scopes_from,
    text_of_scopes,
)
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard

PREFIX = "affect-edge-"
NAME_MAX = 40
TOKENS_MAX = 50
DAYS_MAX = 3650
_USE_MS = 60_000
_DAY_MS = 86_400_000
_SELECT = (
    "SELECT token.id, token.name, scope, token.role, token.created, created_by, token.used, "
    "revoked, expires, CASE WHEN account.disabled IS NULL THEN account.role END "
    "FROM token LEFT JOIN account ON account.id = token.account"
)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to make.

    Attributes:
        name: of the program that gets it.
        scopes: what kind of operation it may use.
        role: it may do what this role may do, and no more.
        days: until it ends; ``None``: it does not end by itself.
    """

    name: str
    scopes: frozenset[Scope]
    role: Role = Role.OPERATOR
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without its secret.

    Attributes:
        name: name of the program that uses it; part of the source of its readings.
        scopes: kinds of operations that it permits.
        role: the highest role that it may use.
        created_by: name of the account that made it.
        used_ms: when it was last used, to the minute; ``None``: never.
        revoked_ms: when it was revoked; ``None``: it was not.
        expires_ms: when it ends; ``None``: not by itself.
        maker_role: present role of its creator; ``None``: the creator may not log in.
    """

    id: int
    name: str
    scopes: frozenset[Scope]
    role: Role
    created_ms: int
    created_by: str
    used_ms: int | None
    revoked_ms: int | None
    expires_ms: int | None
    maker_role: Role | None

    @property
    def permissions(self) -> frozenset[Permission]:
        """Permissions that both its role and its creator have; scopes restrict them further."""
        # The account was disabled or removed, or has no tokens: a carer sees only people on a list,
        # which no program has.
        if self.maker_role not in TOKEN_ROLES:
            return frozenset()
        return MAY[self.role] & MAY[self.maker_role]

    @property
    def present_role(self) -> Role:
        """Its role, or that of its creator where that is lower by now."""
        roles = list(Role)
        return min(self.role, self.maker_role or self.role, key=roles.index)

    @property
    def state(self) -> str:
        """``active``, ``expired``, ``revoked``, or ``idle`` (its creator may not log in)."""
        if self.revoked_ms is not None:
            return "revoked"
        if self.expires_ms is not None and self.expires_ms <= now().wall_ms:
            return "expired"
        return "idle" if self.maker_role is None else "active"

    @property
    def actor(self) -> str:
        """The token's name as an actor in the audit trail."""
        return f"token {self.name}"


class Tokens:
    """The tokens kept in the database.

    Args:
        path: the database of the timeline.

    Example:
        >>> new = NewToken("grafana", frozenset({Scope.READ}), Role.VIEWER, days=90)
        >>> secret = tokens.make(new, maker)
        >>> tokens.find(secret).permissions == MAY[Role.VIEWER]
        True
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = Notes(path).note_within

    def make(self, new: NewToken, maker: Account, actor: str = "") -> str:
        """Make a token and return its secret, which is kept nowhere and can be shown only now.

        Args:
            new: what it shall be.
            maker: the account in whose name it is made.
            actor: who did it, for the audit trail; empty: the maker.

        Raises:
            AccountError: the name is not allowed or in use, it could do nothing or more than its
                maker, or there are too many tokens; nothing was made.
        """
        name = new.name.strip()
        _check(name, new, maker)
        secret = PREFIX + secrets.token_urlsafe(32)
        at = now().wall_ms
        expires = None if new.days is None else at + new.days * _DAY_MS
        scopes = text_of_scopes(new.scopes)
        with write_dashboard(self._path) as connection:
            _refuse_one_more(connection, name, at)
            connection.execute(
                "INSERT INTO token (name, token_hash, scope, role, account, created, created_by, "
                "expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (name, sha256(secret), scopes, new.role, maker.id, at, maker.name, expires),
            )
            what = f"{scopes}; {new.role}" + ("" if new.days is None else f"; {new.days} days")
            self._note(connection, actor or maker.name, "token_make", f"{name} ({what})")
        return secret

    def revoke(self, number: int, actor: str) -> str | None:
        """End a token at once and return its name; ``None``: it has ended already, or never was."""
        with write_dashboard(self._path) as connection:
            done = connection.execute(
                "UPDATE token SET revoked = ? WHERE id = ? AND revoked IS NULL RETURNING name",
                (now().wall_ms, number),
            ).fetchone()
            if done is None:
                return None
            self._note(connection, actor, "token_revoke", done[0])
            return str(done[0])

    def all(self) -> list[Token]:
        """Return all tokens, those in force first, the newest first."""
        with read_dashboard(self._path) as connection:
            rows = connection.execute(f"{_SELECT} ORDER BY revoked IS NOT NULL, token.id DESC")
            tokens = [_token_of(row) for row in rows]
        # Sorting is stable: within both parts the order of the query stays.
        return sorted(tokens, key=lambda token: token.state != "active")

    def find(self, secret: str) -> Token | None:
        """Return the token in force that a secret belongs to, or ``None``."""
        with read_dashboard(self._path) as connection:
            row = connection.execute(
                f"{_SELECT} WHERE token_hash = ? AND revoked IS NULL", (sha256(secret),)
            ).fetchone()
        token = None if row is None else _token_of(row)
        return token if token is not None and token.state == "active" else None

    def note_use(self, token: Token) -> None:
        """Write down that a token was used, at most once a minute."""
        at = now().wall_ms
        if token.used_ms is None or at - token.used_ms >= _USE_MS:
            with write_dashboard(self._path) as connection:
                connection.execute("UPDATE token SET used = ? WHERE id = ?", (at, token.id))


def revoke_all_of(connection: sqlite3.Connection, account: int) -> list[str]:
    """End the tokens of an account, in the transaction that removes it; return their names."""
    done = connection.execute(
        "UPDATE token SET revoked = ? WHERE account = ? AND revoked IS NULL RETURNING name",
        (now().wall_ms, account),
    ).fetchall()
    return [row[0] for row in done]


def _token_of(row: sqlite3.Row) -> Token:
    number, name, scope, role, created, created_by, used, revoked, expires, maker = row
    return Token(
        id=number,
        name=name,
        scopes=scopes_from(scope),
        role=Role(role),
        created_ms=created,
        created_by=created_by,
        used_ms=used,
        revoked_ms=revoked,
        expires_ms=expires,
        maker_role=None if maker is None else Role(maker),
    )


def _check(name: str, new: NewToken, maker: Account) -> None:
    """Refuse a token that nobody could tell from others, or that could do nothing or too much."""
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise AccountError(
            N_(
                "The name of a token has 1 to {name_max} printable characters, such as: "
                "watch bridge."
            ),
            name_max=NAME_MAX,
            field="name",
        )
    if not new.scopes:
        raise AccountError(N_("Choose at least one thing that the token may do."), field="scope")
    if new.days is not None and not 1 <= new.days <= DAYS_MAX:
        raise AccountError(
            N_("A token expires after 1 to {most} days, or never; given: {given}."),
            most=DAYS_MAX,
            given=new.days,
            field="days",
        )
    roles = list(Role)
    if new.role not in TOKEN_ROLES:
        raise AccountError(
            N_("A token cannot have the role {role}. Choose another."),
            role=Message(new.role.value),
            field="role",
        )
    # Roles are declared from the least to the most.
    if roles.index(new.role) > roles.index(maker.role):
        raise AccountError(
            N_(
                "A token cannot have more rights than the person who creates it: {name} is "
                "{role}. Choose that role or a lower one."
            ),
            name=maker.name,
            role=Message(maker.role.value),
            field="role",
        )
    for scope in sorted(new.scopes):
        if roles.index(new.role) < roles.index(LEAST_ROLE[scope]):
            raise AccountError(
                N_("{scope} needs a token with the role {role} or a higher one."),
                scope=scope.value,
                role=Message(LEAST_ROLE[scope].value),
                field="role",
            )


def _refuse_one_more(connection: sqlite3.Connection, name: str, at: int) -> None:
    """Refuse a name that is in use, and more than ``TOKENS_MAX`` tokens."""
    in_force = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM token WHERE revoked IS NULL AND (expires IS NULL OR expires > ?)",
            (at,),
        )
    ]
    if name in in_force:
        raise AccountError(
            N_("A token named {name!r} already exists. Revoke it first, or choose another name."),
            name=name,
            field="name",
        )
    if len(in_force) >= TOKENS_MAX:
        raise AccountError(
            N_("There are already {tokens_max} tokens. Revoke unused ones."), tokens_max=TOKENS_MAX
        )
