"""Why a log-in, a setup or a new password is refused: constant texts, marked for the catalogue."""

from __future__ import annotations

from edge_agent.core.texts import N_

WRONG = N_("Name or password is wrong.")
DISABLED = N_("This account is disabled. An administrator can enable it again.")
NO_ACCOUNT_HERE = N_(
    "The proxy says that you are {name!r}, and no account here has that name. An administrator "
    "can make one."
)
WRONG_PRESENT = N_("The present password is wrong.")
SAME = N_("The new password is the present one. Choose another.")
LINK_SPENT = N_(
    "This login link has been used or has ended: it lets in the first visitor only. Start the "
    "program again for a new one."
)
SETUP_DONE = N_("Setup is already done. Log in with the account that was created then.")
WRONG_CODE = N_(
    "That is not the setup code. It stands in the terminal or log of the dashboard; each start "
    "prints a new one."
)
