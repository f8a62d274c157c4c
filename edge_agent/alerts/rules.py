"""What a rule is, and the words for it: no measured value stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

DISCLAIMER = N_(
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
    def title(self) -> Message:
        """Name for people, such as ``Heart rate above 120 /min``."""
        match self.kind:
            case AlertKind.VITAL:
                return self._limits()
            case AlertKind.SENSOR:
                return Message(N_("No reading: {vital}"), vital=self._vital(inside=True))
            case AlertKind.DISK:
                return Message(
                    N_("Less than {limit:g} MB free on the disk"), limit=self.below or 0.0
                )
            case _:
                return Message(_TITLES[self.kind])

    def text(self, value: float | None = None, reason: str = "") -> Message:
        """Return the sentence of an alert, which still knows its limit and its parts.

        Args:
            value: what was measured; only decides which of two limits is named.
            reason: what is known besides, a sentence.
        """
        what = self.title
        if self.kind is AlertKind.VITAL:
            what = self._limits(value)
        sentence = Message("{what}.", what=what)
        if self.seconds:
            sentence = Message(N_("{what} for {seconds:g} s."), what=what, seconds=self.seconds)
        if not reason:
            return sentence
        return Message("{sentence} {reason}", sentence=sentence, reason=reason)

    def _vital(self, *, inside: bool = False) -> Message:
        if self.vital is None:
            return Message(N_("Vital"))
        spec = self.vital.spec
        return Message(spec.name_in_text if inside else spec.label)

    def _limits(self, value: float | None = None) -> Message:
        is_high = self.above is not None and (value is None or value > self.above)
        is_low = self.below is not None and (value is None or value < self.below)
        template = _BOTH_LIMITS
        if not is_low:
            template = N_("{vital} above {above:g} {unit}")
        elif not is_high:
            template = N_("{vital} below {below:g} {unit}")
        return Message(
            template,
            vital=self._vital(),
            above=self.above or 0.0,
            below=self.below or 0.0,
            unit="" if self.vital is None else self.vital.spec.unit_shown,
        )


_BOTH_LIMITS = N_("{vital} above {above:g} {unit} or below {below:g} {unit}")
_TITLES = {
    AlertKind.FACE: N_("No face is seen"),
    AlertKind.CAMERA: N_("The camera gives no picture"),
    AlertKind.BROKER: N_("The MQTT broker is away"),
    AlertKind.BACKUP: N_("The copies of the database are not in order"),
    AlertKind.AGENT: N_("The agent does not answer"),
}
