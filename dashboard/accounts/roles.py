"""Accounts as values, and the one table of roles, permissions and scopes.

Every route of the dashboard names the permission that it needs
(``dashboard.web.guards.permissions``); what a role may is decided here and nowhere else.

    >>> MAY[Role.OPERATOR] >= {Permission.SEE, Permission.RUN}
    True
    >>> roles_with(Permission.STUDY)
    (<Role.RESEARCHER: 'researcher'>, <Role.ADMINISTRATOR: 'administrator'>)

A scope of a token says what kind of thing a program may do; the role that the token carries says on
what. A token that may ``read`` as a viewer sees live values and trends; one that may ``read`` as a
researcher gets the study's data as well.

    >>> LEAST_ROLE[Scope.MARKERS]
    <Role.OPERATOR: 'operator'>
    >>> scopes_from("read vitals")
    frozenset({<Scope.READ: 'read'>})
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dashboard.accounts.passwords import DISABLED, AccountError, sha256
from dashboard.languages.current import gettext
from dashboard.languages.names import list_with_or
from edge_agent.core.bounds import PROGRAMS, fold_name
from edge_agent.core.clock import now
from edge_agent.core.texts import N_

NAME_MAX = 40
NO_PASSWORD = "!"  # noqa: S105 - no hash, so that no password fits
WAITING = "?"  # no hash either: a one-time link has been made with which a password is chosen
COLUMNS = "account.id, name, role, must_change, second_factor, password_hash"
"""Columns from which ``account_of`` makes an account."""
DEMO = "demo"
"""The account that a one-time link opens; it has no password."""
_OTHER_ACTORS = PROGRAMS | {"unknown"}
"""Actors in the audit trail and at the switch of the camera that are no accounts; a program is
``token NAME``."""


class Role(StrEnum):
    """The role of an account; those that may less come first.

    A carer stands beside the others: who may see one person's week need not see the appliance.
    """

    CARER = N_("carer")
    VIEWER = N_("viewer")
    OPERATOR = N_("operator")
    RESEARCHER = N_("researcher")
    ADMINISTRATOR = N_("administrator")


class Permission(StrEnum):
    """The permission that a route needs.

    Attributes:
        OPEN: nothing: the log-in itself, what it needs, and what is opened by a token of its own.
        OWN: to be logged in: the own account, its password and its log-ins.
        TRENDS: trends; a carer those of the own people alone.
        WEEK: the week of a participant; a carer that of the own people alone.
        SEE: live values, health, models.
        RUN: sessions: starting and ending them, markers, protocols, readings by hand.
        STUDY: the study's data: participants, analysis, exports, imports, erasure.
        ADMINISTER: accounts, tokens, the audit trail.
    """

    OPEN = "open"
    OWN = "own"
    TRENDS = "trends"
    WEEK = "week"
    SEE = "see"
    RUN = "run"
    STUDY = "study"
    ADMINISTER = "administer"


_CARER = frozenset({Permission.OPEN, Permission.OWN, Permission.TRENDS, Permission.WEEK})
_VIEWER = frozenset({Permission.OPEN, Permission.OWN, Permission.TRENDS, Permission.SEE})
_OPERATOR = _VIEWER | {Permission.RUN}
_RESEARCHER = _OPERATOR | {Permission.STUDY, Permission.WEEK}
_ADMINISTRATOR = _RESEARCHER | {Permission.ADMINISTER}

MAY: Mapping[Role, frozenset[Permission]] = {
    Role.CARER: _CARER,
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.RESEARCHER: _RESEARCHER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}

ABOUT: Mapping[Role, str] = {
    Role.CARER: N_("sees the week and the trends of the people on a list, and nothing else"),
    Role.VIEWER: N_("sees live values, trends, health and models"),
    Role.OPERATOR: N_("also runs sessions, sets markers and enters readings"),
    Role.RESEARCHER: N_(
        "also works with the study's data: participants, analysis, exports, imports, erasure"
    ),
    Role.ADMINISTRATOR: N_("also manages accounts and tokens, and reads the audit trail"),
}
"""Each role in a few words for people."""

TOKEN_ROLES = tuple(role for role in Role if role is not Role.CARER)
"""Roles that a token may have: a program is given no people."""


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that have a permission, those that may less first."""
    return tuple(role for role in Role if permission in MAY[role])


def who_may(permission: Permission) -> str:
    """Return the roles that have a permission, as words of a sentence.

    >>> who_may(Permission.STUDY)
    'researcher or administrator'
    """
    return list_with_or([gettext(role) for role in roles_with(permission)])


class Scope(StrEnum):
    """A kind of operation of the API that a token may use.

    Attributes:
        READ: whatever only reads, and ``/metrics``.
        MARKERS: markers of sessions.
        READINGS: handing in readings.
        CONTROL: every other change: sessions, protocols, participants, exports, settings.
    """

    READ = "read"
    MARKERS = "markers"
    READINGS = "readings"
    CONTROL = "control"


LEAST_ROLE: Mapping[Scope, Role] = {
    Scope.READ: Role.VIEWER,
    Scope.MARKERS: Role.OPERATOR,
    Scope.READINGS: Role.OPERATOR,
    Scope.CONTROL: Role.OPERATOR,
}
"""With a role below this one a scope opens nothing."""

SCOPES_ABOUT: Mapping[Scope, str] = {
    Scope.READ: N_("reads what its role may see"),
    Scope.MARKERS: N_("sets markers"),
    Scope.READINGS: N_("sends readings"),
    Scope.CONTROL: N_("starts and ends sessions, and changes what its role may change"),
}
"""Each scope in a few words for people."""


def scopes_from(text: str) -> frozenset[Scope]:
    """Return the scopes in a text, as the database keeps them; other words are left out."""
    known = {scope.value for scope in Scope}
    # Words of another release are passed over: a scope unknown here opens nothing.
    return frozenset(Scope(word) for word in text.split() if word in known)


def text_of_scopes(scopes: Iterable[Scope]) -> str:
    """Return scopes as the database keeps them, always in the same order."""
    return " ".join(scope for scope in Scope if scope in frozenset(scopes))


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who is logged in.

    Attributes:
        role: what they may do, as ``dashboard.accounts.roles`` says.
        must_change: whether they have to choose another password first.
        has_second_factor: whether a log-in asks for a code beside the password.
        stamp: tells the password that it had when it was looked up from every other.
    """

    id: int
    name: str
    role: Role = Role.VIEWER
    must_change: bool = False
    has_second_factor: bool = False
    stamp: str = field(default="", compare=False, repr=False)


class StaleError(AccountError):
    """Password, second factor or account changed after they were looked up."""


@dataclass(frozen=True, slots=True)
class CameFrom:
    """The origin of a login.

    Attributes:
        address: network address; empty: not known.
        browser: browser and system, for people; empty: not known.
    """

    address: str = ""
    browser: str = ""

    def __str__(self) -> str:
        parts = (f"from {self.address}" if self.address else "", self.browser)
        return ", ".join(part for part in parts if part)


def insert_account(connection: sqlite3.Connection, name: str, password: str, role: Role) -> Account:
    """Write an account under a number that no other ever had.

    Args:
        connection: in a write transaction.
        name: of the account.
        password: its hash, ``NO_PASSWORD`` or ``WAITING``.
        role: of the account.
    """
    cursor = connection.execute(
        "INSERT INTO account (name, password_hash, created, role) VALUES (?, ?, ?, ?)",
        (name, password, now().wall_ms, role.value),
    )
    return Account(int(cursor.lastrowid or 0), name, role, stamp=sha256(password))


def account_of(row: sqlite3.Row) -> Account:
    """Return the account of a row with ``COLUMNS``."""
    return Account(
        row["id"],
        row["name"],
        Role(row["role"]),
        bool(row["must_change"]),
        row["second_factor"] is not None,
        sha256(row["password_hash"]),
    )


def refuse_stale(connection: sqlite3.Connection, account: Account, why: str) -> Account:
    """Refuse a change for an account that is no longer what was looked up and checked.

    Checking a password takes long: an administrator may reset or disable the account meanwhile.

    Args:
        connection: in the write transaction of the change.
        account: as it was looked up before.
        why: what to say if it has another password, or is gone.

    Returns:
        the account as it is now.

    Raises:
        StaleError: it is disabled or removed, or has another password.
    """
    row = connection.execute(
        f"SELECT {COLUMNS}, disabled FROM account WHERE id = ?",  # noqa: S608 - our own columns
        (account.id,),
    ).fetchone()
    if row is not None and row["disabled"] is not None:
        raise StaleError(DISABLED)
    if row is None or sha256(row["password_hash"]) != account.stamp:
        raise StaleError(why)
    return account_of(row)


def check_name(name: str) -> None:
    """Refuse a name that no account may have."""
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise AccountError(
            N_("A name has 1 to {name_max} printable characters."), name_max=NAME_MAX, field="name"
        )
    # Whatever the case and the blanks, so that nobody looks like one of them in the trail.
    plain = fold_name(name)
    if plain in _OTHER_ACTORS or plain.startswith("token "):
        raise AccountError(
            N_(
                "The audit trail uses the name {name!r} for something else, so no account may "
                "have it. Choose another."
            ),
            name=name,
            field="name",
        )
    if plain == DEMO:
        raise AccountError(
            N_("The name 'demo' is reserved for the demonstration. Choose another."), field="name"
        )
