"""What people call readings in doubt. Quick to load: the form of the page needs it."""

from __future__ import annotations

from edge_agent.core.readings import VitalFlag

_FLAGS = {
    VitalFlag.OUT_OF_RANGE: "out of range",
    VitalFlag.CONTACT_LOST: "without sensor contact",
    VitalFlag.ESTIMATED: "estimated, such as the camera’s pulse",
    VitalFlag.CLOCK_DIFFERS: "of doubtful time",
    VitalFlag.POOR_SIGNAL: "with a poor signal",
}


def flag_name(flag: VitalFlag) -> str:
    """Return what people call the readings with a flag of doubt."""
    return _FLAGS[flag]
