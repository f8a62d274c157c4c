"""What people call readings in doubt. Quick to load: the form of the page needs it."""

from __future__ import annotations

from dashboard.languages.current import N_, gettext
from edge_agent.core.readings import VitalFlag

_FLAGS = {
    VitalFlag.OUT_OF_RANGE: N_("out of range"),
    VitalFlag.CONTACT_LOST: N_("without sensor contact"),
    VitalFlag.ESTIMATED: N_("estimated, such as the camera’s pulse"),
    VitalFlag.CLOCK_DIFFERS: N_("of doubtful time"),
    VitalFlag.POOR_SIGNAL: N_("with a poor signal"),
}


def flag_name(flag: VitalFlag) -> str:
    """Return what people call the readings with a flag of doubt."""
    return gettext(_FLAGS[flag])
