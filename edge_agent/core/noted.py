"""Lines of the dashboard in the audit trail, and whether an act goes on without its line.

One rule for all: a line never decides over an act that protects. Lines that come without end are
counted and written as one, so the trail has a place for each; what is left is a trail that cannot
be written at all, as on a full disk or while the gate is stopped.
"""

from __future__ import annotations

DONE = (
    "account_disable",
    "account_link",
    "account_person_take",
    "account_remove",
    "account_reset",
    "letter_stop",
    "login",
    "login_end",
    "login_link",
    "logout",
    "password_change",
    "password_reset",
    "second_factor_codes",
    "second_factor_on",
    "token_revoke",
)
"""They protect, or let somebody in: they are done, and their line is owed."""
TOLD = (
    "letter_send",
    "login_failed",
    "participant_view",
    "preview_end",
    "protocol_change",
    "second_factor_failed",
    "sender_clock",
    "session_end",
    "session_view",
    "settings_change",
)
"""They have happened already: their line is owed."""
# Who must lose rights at once is disabled, so that another role may be refused.
REFUSED = (
    "account_add",
    "account_enable",
    "account_person_give",
    "account_role",
    "audit_download",
    "backup",
    "broker_test",
    "export",
    "letter_set",
    "preview_start",
    "second_factor_off",
    "setup",
    "token_make",
)
"""They give rights, or let data out: they are not done without their line."""
ACTIONS = frozenset((*DONE, *TOLD, *REFUSED))
CODE_AFTER = {
    "participant_create": "",
    "participant_view": "",
    "consent_give": "",
    "consent_withdraw": "",
    "account_person_give": "",
    "account_person_take": "",
    "attributes_agree": "",
    "attributes_set": "",
    "standing_give": "",
    "standing_take_back": "",
    "letter_set": "",
    "letter_stop": "",
    "letter_send": "",
    "export": "participant=",
}
"""Actions whose lines name a participant, whoever notes them → what stands before the code."""
NAMING_PERSONS = ACTIONS & CODE_AFTER.keys()
"""Those of the dashboard. An erasure finds their code in the trail alone: it is in no line that is
owed.
"""
ERASED = "(erased)"
"""Text of a line in the place of a code, or of the name of a file, that was erased."""


def is_done_without_line(action: str) -> bool:
    """Tell whether an act is done though its line cannot be written now.

    Example:
        >>> is_done_without_line("account_disable"), is_done_without_line("token_make")
        (True, False)
    """
    return action not in REFUSED
