"""What a token is for: the four scopes, and the least role that each one needs.

A scope says what kind of thing a program may do; the role that the token carries says on what. A
token that may ``read`` as a viewer sees live values and trends; one that may ``read`` as a
researcher gets the study's data as well.

    >>> LEAST_ROLE[Scope.MARKERS]
    <Role.OPERATOR: 'operator'>
    >>> scopes_from("read vitals")
    frozenset({<Scope.READ: 'read'>})
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from dashboard.accounts.roles import Role
from edge_agent.core.texts import N_


class Scope(StrEnum):
    """What kind of operation of the API a token may use.

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
    return frozenset(Scope(word) for word in text.split() if word in known)


def text_of_scopes(scopes: Iterable[Scope]) -> str:
    """Return scopes as the database keeps them, always in the same order."""
    return " ".join(scope for scope in Scope if scope in frozenset(scopes))
