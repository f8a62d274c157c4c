"""Texts of rules, begin and end of alerts, and quiet hours. No I/O.

The texts contain no measured value.

An alert begins when the value was beyond its limit for ``seconds`` without a break, and ends when
it was within the limit by a margin for ``clear_seconds`` without a break. Between the two limits
nothing changes, so that a value at the border does not cause one alert after the other.

    >>> from edge_agent.config.alerts import AlertKind
    >>> rule = RuleSettings(name="hr", when=AlertKind.CAMERA, seconds=5, clear_seconds=5)
    >>> engine = AlertEngine([rule])
    >>> [engine.step("hr", Zone.BEYOND, at) for at in (0.0, 4.0, 5.0, 6.0)]
    [None, None, <AlertChange.BEGUN: 'begun'>, None]
    >>> [engine.step("hr", Zone.WELL, at) for at in (7.0, 12.0)]
    [None, <AlertChange.OVER: 'over'>]

Quiet hours: nothing is sent and nothing sounds, but alerts are recorded all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time, tzinfo
from enum import StrEnum

from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.clock import utc_at
from edge_agent.core.texts import N_, Message

DISCLAIMER = N_(
    "This is not a medical alarm: it may come late or not at all. Never rely on it for anybody's "
    "safety."
)
"""Shown with every alert, on pages and in messages."""


SEEN_BY_DASHBOARD = frozenset({AlertKind.AGENT})
"""The agent watches all others; it cannot notice that it does not answer itself."""
_BOTH_LIMITS = N_("{vital} above {above:g} {unit} or below {below:g} {unit}")
_TITLES = {
    AlertKind.FACE: N_("No face is seen"),
    AlertKind.CAMERA: N_("No picture from the camera"),
    AlertKind.BROKER: N_("No connection to the message server (MQTT broker)"),
    AlertKind.BACKUP: N_("No good and recent backup"),
    AlertKind.AGENT: N_("The recording program does not respond"),
}
KIND_NAMES = {
    "vital": N_("Reading beyond a limit"),
    "face": N_("Face"),
    "sensor": N_("Sensor"),
    "camera": "Camera",  # marked in dashboard.web.first_steps
    "broker": N_("Connection to MQTT"),
    "disk": N_("Free storage"),
    "backup": N_("Backups"),
    "agent": N_("Recording"),
    "variability": N_("Heart-rate variability"),
}
"""Names for people of what a rule watches."""
FORGET_S = 300.0
"""Seconds without a known value after which an alert ends, since its state is unknown."""


UNHEARD_S = {AlertKind.SENSOR: 3.0, AlertKind.AGENT: 2.5}
"""Seconds without a message after which nothing is said to come; those of a rule follow them."""


def lasting_s(rule: RuleSettings) -> float:
    """Return how long it has been so when an alert of a rule begins, in seconds."""
    return rule.seconds + UNHEARD_S.get(rule.when, 0.0)


def alert_text(rule: RuleSettings, value: float | None = None, reason: str = "") -> Message:
    """Return the sentence of an alert as a message with its parts.

    Args:
        rule: of the alert.
        value: the measured value, which only decides which of two limits is shown.
        reason: a further sentence.
    """
    what = rule_title(rule, value)
    sentence = Message("{what}.", what=what)
    seconds = lasting_s(rule)
    if seconds:
        sentence = Message(N_("{what} for {seconds:g} s."), what=what, seconds=seconds)
    if not reason:
        return sentence
    return Message("{sentence} {reason}", sentence=sentence, reason=reason)


def rule_title(rule: RuleSettings, value: float | None = None) -> Message:
    """Return the title of a rule, such as ``Heart rate above 120 /min``."""
    match rule.when:
        case AlertKind.VITAL | AlertKind.VARIABILITY:
            return _limits(rule, value)
        case AlertKind.SENSOR:
            return Message(N_("No reading: {vital}"), vital=_vital(rule, inside=True))
        case AlertKind.DISK:
            return Message(N_("Less than {limit:g} MB free on the disk"), limit=rule.below or 0.0)
        case _:
            return Message(_TITLES[rule.when])


def _vital(rule: RuleSettings, *, inside: bool = False) -> Message:
    if rule.when is AlertKind.VARIABILITY:
        return Message(N_("Heart-rate variability (RMSSD of five minutes)"))
    if rule.vital is None:
        return Message(N_("Vital"))
    spec = rule.vital.spec
    return Message(spec.name_in_text if inside else spec.label)


def _limits(rule: RuleSettings, value: float | None) -> Message:
    is_high = rule.above is not None and (value is None or value > rule.above)
    is_low = rule.below is not None and (value is None or value < rule.below)
    template = _BOTH_LIMITS
    if not is_low:
        template = N_("{vital} above {above:g} {unit}")
    elif not is_high:
        template = N_("{vital} below {below:g} {unit}")
    return Message(
        template,
        vital=_vital(rule),
        above=rule.above or 0.0,
        below=rule.below or 0.0,
        unit="ms" if rule.vital is None else rule.vital.spec.unit_shown,
    )


def rule_name(rule: str, kind: str) -> str:
    """Return the name of a rule: its own, or of what it watches where it has none else."""
    return Message(KIND_NAMES[kind]) if rule == kind in KIND_NAMES else rule


class Zone(StrEnum):
    """The zone of a value: beyond its limit, well within it, between the two, or not known."""

    BEYOND = "beyond"
    BETWEEN = "between"
    WELL = "well"
    UNKNOWN = "unknown"


class AlertChange(StrEnum):
    """The change of an alert: it has begun, is over, or is not known any more."""

    BEGUN = "begun"
    OVER = "over"
    NOT_KNOWN = "not_known"


class AlertEngine:
    """The state of each rule. For one thread.

    Args:
        rules: those that are watched.
        open_rules: names of those whose alert was open before.
    """

    def __init__(self, rules: Iterable[RuleSettings], open_rules: Iterable[str] = ()) -> None:
        self._courses = {rule.name: _Course(rule) for rule in rules}
        for name in open_rules:
            self._courses[name].is_open = True

    def is_open(self, name: str) -> bool:
        """Return whether an alert of a rule is open."""
        return self._courses[name].is_open

    def forget(self, name: str) -> None:
        """Reset a rule whose alert was removed."""
        self._courses[name] = _Course(self._courses[name].rule)

    def change(self, rules: Iterable[RuleSettings]) -> list[str]:
        """Watch other rules from now on; return the names of open ones that are gone.

        A rule that stays as it is keeps its state. Of one with new limits an open alert stays open
        until the new limits end it. One that watches something else is another rule.
        """
        before, self._courses = self._courses, {rule.name: _Course(rule) for rule in rules}
        gone = []
        for name, course in before.items():
            after = self._courses.get(name)
            old = course.rule
            if after is None or (after.rule.when, after.rule.vital) != (old.when, old.vital):
                gone += [name] if course.is_open else []
            elif after.rule == old:
                self._courses[name] = course
            else:
                after.is_open = course.is_open
        return gone

    def step(
        self, name: str, zone: Zone, at_s: float, since_s: float | None = None
    ) -> AlertChange | None:
        """Update a rule with the zone of its value; return the change of its alert.

        Args:
            name: of the rule.
            zone: zone of its value.
            at_s: the present time, seconds of a clock that never jumps.
            since_s: the time since which a value that comes into a zone was there; ``None``: now.
        """
        course = self._courses[name]
        course.enter(zone, at_s if since_s is None else min(at_s, since_s))
        return (course.step_open if course.is_open else course.step_closed)(zone, at_s)


class _Course:
    """The state of one rule."""

    def __init__(self, rule: RuleSettings) -> None:
        self.rule = rule
        self.is_open = False
        self._zone: Zone | None = None
        self._since_s = 0.0

    def enter(self, zone: Zone, since_s: float) -> None:
        """Note where the value is, and since when."""
        if zone is not self._zone:
            self._zone, self._since_s = zone, since_s

    def step_closed(self, zone: Zone, at_s: float) -> AlertChange | None:
        if zone is not Zone.BEYOND or at_s - self._since_s < self.rule.seconds:
            return None
        self.is_open = True
        return AlertChange.BEGUN

    def step_open(self, zone: Zone, at_s: float) -> AlertChange | None:
        lasted = at_s - self._since_s
        if zone is Zone.WELL and lasted >= self.rule.clear_seconds:
            self.is_open = False
            return AlertChange.OVER
        if zone is Zone.UNKNOWN and lasted >= FORGET_S:
            self.is_open = False
            return AlertChange.NOT_KNOWN
        return None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one time of day to another, of each day, by the clock on the wall there.

    They go by what that clock shows: in the night in which it is put back they last an hour
    longer, and they are as many hours shorter in spring.

    Attributes:
        start: when they begin; the same as ``end``: there are none.
        end: when they end, on the next day where it is earlier.
        zone: of the clock; ``None``: the machine's.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> night = QuietHours(time(22), time(7), ZoneInfo("Europe/Berlin"))
        >>> night.holds(1_767_300_000_000)  # 2026-01-01, 21:40 in Berlin
        False
        >>> night.holds(1_767_303_600_000)
        True
    """

    start: time = time(0)
    end: time = time(0)
    zone: tzinfo | None = None

    def holds(self, wall_ms: int) -> bool:
        """Tell whether it is quiet at an instant, UTC milliseconds since 1970."""
        if self.start == self.end:
            return False
        there = utc_at(wall_ms).astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= there < self.end
        return there >= self.start or there < self.end


NEVER_QUIET = QuietHours()
