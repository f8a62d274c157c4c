"""The words for a rule of alerts: no measured value stands in them."""

from __future__ import annotations

from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.texts import N_, Message

DISCLAIMER = N_(
    "This is not a medical alarm: it may come late or not at all. Never rely on it for anybody's "
    "safety."
)
"""Stands wherever alerts are shown or sent."""


SEEN_BY_DASHBOARD = frozenset({AlertKind.AGENT})
"""The agent watches all others; it cannot tell that it does not answer."""
OF_A_PERSON = frozenset({AlertKind.VITAL, AlertKind.FACE, AlertKind.SENSOR})
"""What such alerts say is about somebody, and is erased with what was recorded then."""


def alert_text(rule: RuleSettings, value: float | None = None, reason: str = "") -> Message:
    """Return the sentence of an alert, which still knows its limit and its parts.

    Args:
        rule: of the alert.
        value: what was measured; only decides which of two limits is named.
        reason: what is known besides, a sentence.
    """
    what = rule_title(rule, value)
    sentence = Message("{what}.", what=what)
    if rule.seconds:
        sentence = Message(N_("{what} for {seconds:g} s."), what=what, seconds=rule.seconds)
    if not reason:
        return sentence
    return Message("{sentence} {reason}", sentence=sentence, reason=reason)


def rule_title(rule: RuleSettings, value: float | None = None) -> Message:
    """Name a rule for people, such as ``Heart rate above 120 /min``."""
    match rule.when:
        case AlertKind.VITAL:
            return _limits(rule, value)
        case AlertKind.SENSOR:
            return Message(N_("No reading: {vital}"), vital=_vital(rule, inside=True))
        case AlertKind.DISK:
            return Message(N_("Less than {limit:g} MB free on the disk"), limit=rule.below or 0.0)
        case _:
            return Message(_TITLES[rule.when])


def _vital(rule: RuleSettings, *, inside: bool = False) -> Message:
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
        unit="" if rule.vital is None else rule.vital.spec.unit_shown,
    )


_BOTH_LIMITS = N_("{vital} above {above:g} {unit} or below {below:g} {unit}")
_TITLES = {
    AlertKind.FACE: N_("No face is seen"),
    AlertKind.CAMERA: N_("The camera gives no picture"),
    AlertKind.BROKER: N_("The MQTT broker is away"),
    AlertKind.BACKUP: N_("The copies of the database are not in order"),
    AlertKind.AGENT: N_("The agent does not answer"),
}
