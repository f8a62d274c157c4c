"""What a rule is, and the words for it: no measured value stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.vitals import VitalKind

DISCLAIMER = (
    "This is not a medical alarm: it may come late or not at all. Never rely on it for anybody's "
    "safety."
)
"""Stands wherever alerts are shown or sent."""


class AlertKind(StrEnum):
    """What a rule watches."""

    VITAL = "vital"
    FACE = "face"
    SENSOR = "sensor"
    CAMERA = "camera"
    BROKER = "broker"
    DISK = "disk"
    BACKUP = "backup"
    AGENT = "agent"


SEEN_BY_DASHBOARD = frozenset({AlertKind.AGENT})
"""The agent watches all others; it cannot tell that it does not answer."""
OF_A_PERSON = frozenset({AlertKind.VITAL, AlertKind.FACE, AlertKind.SENSOR})
"""What such alerts say is about somebody, and is erased with what was recorded then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule.

    Attributes:
        name: its name, unique.
        kind: what it watches.
        vital: the kind of reading, for ``vital`` and ``sensor``.
        above: upper limit, in the unit of what is watched; ``None``: none.
        below: lower limit.
        margin: how far within its limit a value must be before the alert may end.
        seconds: how long it must be so before an alert begins.
        clear_seconds: how long it must be well before the alert ends.
        in_sessions: whether it holds only while a session is open.
        notify: whether its alerts are sent.
    """

    name: str
    kind: AlertKind
    vital: VitalKind | None = None
    above: float | None = None
    below: float | None = None
    margin: float = 0.0
    seconds: float = 10.0
    clear_seconds: float = 10.0
    in_sessions: bool = False
    notify: bool = True

    @property
    def title(self) -> str:
        """Name for people, such as ``Heart rate above 120 /min``."""
        match self.kind:
            case AlertKind.VITAL:
                return f"{self._label} {self._limits()}"
            case AlertKind.SENSOR:
                return f"No reading: {self._label.lower()}"
            case AlertKind.DISK:
                return f"Less than {self.below or 0:g} MB free on the disk"
            case _:
                return _TITLES[self.kind]

    def text(self, value: float | None = None, reason: str = "") -> str:
        """Return the sentence of an alert.

        Args:
            value: what was measured; only decides which of two limits is named.
            reason: what is known besides, a sentence.
        """
        title = self.title
        if self.kind is AlertKind.VITAL:
            title = f"{self._label} {self._limits(value)}"
        lasted = ""
        if self.seconds:
            lasted = f" for {self.seconds:g} s"
        return f"{title}{lasted}. {reason}".strip()

    @property
    def _label(self) -> str:
        if self.vital is None:
            return "Vital"
        return self.vital.spec.label

    def _limits(self, value: float | None = None) -> str:
        unit = ""
        if self.vital is not None:
            unit = f" {self.vital.spec.unit_shown}"
        limits = []
        if self.above is not None and (value is None or value > self.above):
            limits.append(f"above {self.above:g}{unit}")
        if self.below is not None and (value is None or value < self.below):
            limits.append(f"below {self.below:g}{unit}")
        return " or ".join(limits)


_TITLES = {
    AlertKind.FACE: "No face is seen",
    AlertKind.CAMERA: "The camera gives no picture",
    AlertKind.BROKER: "The MQTT broker is away",
    AlertKind.BACKUP: "The copies of the database are not in order",
    AlertKind.AGENT: "The agent does not answer",
}
