"""When an alert begins and when it ends: a state machine for each rule, without I/O.

An alert begins when the value was beyond its limit for ``seconds`` without a break, and ends when
it was well, which is a margin within the limit, for ``clear_seconds`` without a break. Between the
two limits nothing begins and nothing ends, so that a value at the border does not make one alert
after the other.

    >>> from edge_agent.config.alerts import AlertKind
    >>> rule = RuleSettings(name="hr", when=AlertKind.CAMERA, seconds=5, clear_seconds=5)
    >>> engine = AlertEngine([rule])
    >>> [engine.step("hr", Zone.BEYOND, at) for at in (0.0, 4.0, 5.0, 6.0)]
    [None, None, <Change.BEGUN: 'begun'>, None]
    >>> [engine.step("hr", Zone.WELL, at) for at in (7.0, 12.0)]
    [None, <Change.OVER: 'over'>]
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from edge_agent.config.alerts import RuleSettings

FORGET_S = 300.0
"""An alert of which nothing was heard for so long ends: nobody knows whether it still is so."""


class Zone(StrEnum):
    """Where a value is."""

    BEYOND = "beyond"
    BETWEEN = "between"
    WELL = "well"
    UNKNOWN = "unknown"


class Change(StrEnum):
    """What became of an alert."""

    BEGUN = "begun"
    OVER = "over"
    NOT_KNOWN = "not_known"


class AlertEngine:
    """Where each rule stands. For one thread.

    Args:
        rules: those that are watched.
        open_rules: names of those whose alert was open before.
    """

    def __init__(self, rules: Iterable[RuleSettings], open_rules: Iterable[str] = ()) -> None:
        self._courses = {rule.name: _Course(rule) for rule in rules}
        for name in open_rules:
            self._courses[name].is_open = True

    def is_open(self, name: str) -> bool:
        """Tell whether an alert of a rule is open."""
        return self._courses[name].is_open

    def forget(self, name: str) -> None:
        """Begin anew with a rule: its alert is not there any more."""
        self._courses[name] = _Course(self._courses[name].rule)

    def step(self, name: str, zone: Zone, at_s: float) -> Change | None:
        """Take in where the value of a rule is; return what became of its alert.

        Args:
            name: of the rule.
            zone: where its value is.
            at_s: now, seconds of a clock that never jumps.
        """
        course = self._courses[name]
        if course.is_open:
            return course.step_open(zone, at_s)
        return course.step_closed(zone, at_s)


class _Course:
    """Where one rule stands."""

    def __init__(self, rule: RuleSettings) -> None:
        self.rule = rule
        self.is_open = False
        self._zone: Zone | None = None
        self._since_s = 0.0

    def step_closed(self, zone: Zone, at_s: float) -> Change | None:
        if zone is not Zone.BEYOND or self._lasted(zone, at_s) < self.rule.seconds:
            self._note(zone, at_s)
            return None
        self._note(zone, at_s)
        self.is_open = True
        return Change.BEGUN

    def step_open(self, zone: Zone, at_s: float) -> Change | None:
        lasted = self._lasted(zone, at_s)
        self._note(zone, at_s)
        if zone is Zone.WELL and lasted >= self.rule.clear_seconds:
            self.is_open = False
            return Change.OVER
        if zone is Zone.UNKNOWN and lasted >= FORGET_S:
            self.is_open = False
            return Change.NOT_KNOWN
        return None

    def _lasted(self, zone: Zone, at_s: float) -> float:
        if zone is not self._zone:
            return 0.0
        return at_s - self._since_s

    def _note(self, zone: Zone, at_s: float) -> None:
        if zone is not self._zone:
            self._zone = zone
            self._since_s = at_s
