"""Who may do what: the one table of roles and permissions.

Every route of the dashboard names the permission that it needs
(``dashboard.web.guards.permissions``); what a role may is decided here and nowhere else.

    >>> MAY[Role.OPERATOR] >= {Permission.SEE, Permission.RUN}
    True
    >>> roles_with(Permission.STUDY)
    (<Role.RESEARCHER: 'researcher'>, <Role.ADMINISTRATOR: 'administrator'>)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from dashboard.languages.current import gettext
from dashboard.languages.names import list_with_or
from edge_agent.core.texts import N_


class Role(StrEnum):
    """What an account is for; those that may less come first."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    RESEARCHER = "researcher"
    ADMINISTRATOR = "administrator"


class Permission(StrEnum):
    """What a route needs.

    Attributes:
        OPEN: nothing: the log-in itself, what it needs, and what is opened by a token of its own.
        OWN: to be logged in: the own account, its password and its log-ins.
        SEE: live values, trends, health, models.
        RUN: sessions: starting and ending them, markers, protocols, readings by hand.
        STUDY: the study's data: participants, analysis, exports, imports, erasure.
        ADMINISTER: accounts, tokens, the audit trail.
    """

    OPEN = "open"
    OWN = "own"
    SEE = "see"
    RUN = "run"
    STUDY = "study"
    ADMINISTER = "administer"


_VIEWER = frozenset({Permission.OPEN, Permission.OWN, Permission.SEE})
_OPERATOR = _VIEWER | {Permission.RUN}
_RESEARCHER = _OPERATOR | {Permission.STUDY}
_ADMINISTRATOR = _RESEARCHER | {Permission.ADMINISTER}

MAY: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: _OPERATOR,
    Role.RESEARCHER: _RESEARCHER,
    Role.ADMINISTRATOR: _ADMINISTRATOR,
}

ABOUT: Mapping[Role, str] = {
    Role.VIEWER: N_("sees live values, trends, health and models"),
    Role.OPERATOR: N_("also runs sessions, sets markers and enters readings"),
    Role.RESEARCHER: N_(
        "also works with the study's data: participants, analysis, exports, imports, erasure"
    ),
    Role.ADMINISTRATOR: N_("also manages accounts and tokens, and reads the audit trail"),
}
"""Each role in a few words for people."""
ROLE_NAMES: Mapping[Role, str] = {
    Role.VIEWER: N_("viewer"),
    Role.OPERATOR: N_("operator"),
    Role.RESEARCHER: N_("researcher"),
    Role.ADMINISTRATOR: N_("administrator"),
}


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """Return the roles that have a permission, those that may less first."""
    return tuple(role for role in Role if permission in MAY[role])


def who_may(permission: Permission) -> str:
    """Return the roles that have a permission, as words of a sentence.

    >>> who_may(Permission.STUDY)
    'researcher or administrator'
    """
    return list_with_or([gettext(ROLE_NAMES[role]) for role in roles_with(permission)])
