"""What the dashboard notes in the audit trail, and whether an act goes on without its line.

One rule for all: a line never decides over an act that protects. Lines that come without end are
counted and written as one, so the trail has a place for each; what is left is a trail that cannot
be written at all, as on a full disk or while the gate is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Without(Enum):
    """Whether an act goes on whose line cannot be written now."""

    DONE = "it protects, or lets somebody in: it is done, and its line is owed"
    TOLD = "it has happened already: its line is owed"
    REFUSED = "it gives rights, or lets data out: it is not done"


@dataclass(frozen=True, slots=True)
class NotedAction:
    """An action that the dashboard notes and does elsewhere than in the timeline.

    Attributes:
        name: as it stands in the trail.
        without: whether the act goes on without its line.
        names_person: whether the detail is a participant's code, which an erasure finds in the
            trail alone: it is in no line that is owed.
    """

    name: str
    without: Without
    names_person: bool = False


NOTED = (
    NotedAction("account_add", Without.REFUSED),
    NotedAction("account_disable", Without.DONE),
    NotedAction("account_enable", Without.REFUSED),
    NotedAction("account_link", Without.DONE),
    NotedAction("account_person_give", Without.REFUSED, names_person=True),
    NotedAction("account_person_take", Without.DONE, names_person=True),
    NotedAction("account_remove", Without.DONE),
    NotedAction("account_reset", Without.DONE),
    # Who must lose rights at once is disabled.
    NotedAction("account_role", Without.REFUSED),
    NotedAction("audit_download", Without.REFUSED),
    NotedAction("broker_test", Without.REFUSED),
    NotedAction("export", Without.REFUSED),
    NotedAction("letter_send", Without.TOLD, names_person=True),
    NotedAction("letter_set", Without.REFUSED, names_person=True),
    NotedAction("letter_stop", Without.DONE, names_person=True),
    NotedAction("login", Without.DONE),
    NotedAction("login_end", Without.DONE),
    NotedAction("login_failed", Without.TOLD),
    NotedAction("login_link", Without.DONE),
    NotedAction("logout", Without.DONE),
    NotedAction("participant_view", Without.TOLD, names_person=True),
    NotedAction("password_change", Without.DONE),
    NotedAction("password_reset", Without.DONE),
    NotedAction("preview_end", Without.TOLD),
    NotedAction("preview_start", Without.REFUSED),
    NotedAction("second_factor_codes", Without.DONE),
    NotedAction("second_factor_failed", Without.TOLD),
    NotedAction("second_factor_off", Without.REFUSED),
    NotedAction("second_factor_on", Without.DONE),
    NotedAction("sender_clock", Without.TOLD),
    NotedAction("session_end", Without.TOLD),
    NotedAction("session_view", Without.TOLD),
    NotedAction("settings_change", Without.TOLD),
    NotedAction("setup", Without.REFUSED),
    NotedAction("token_make", Without.REFUSED),
    NotedAction("token_revoke", Without.DONE),
)

ACTIONS = {one.name: one for one in NOTED}
"""Name → action."""
