"""The rules of alerts as sentences: how one reads, and the form that makes or changes one.

The form writes the tables ``[[alerts.rule]]`` of the configuration, as the file holds them.

    >>> rule = RuleSettings(name="hr", when=AlertKind.VITAL, vital=VitalKind.HEART_RATE, above=110)
    >>> str(rule_sentence(rule))
    'Tell me when heart rate is above 110 /min for 10 s'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from dashboard.web.forms import Refused, RequestError
from edge_agent.alerts.rules import lasting_s
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

_ABOVE, _BELOW = "above", "below"
_CONDITIONS = {
    AlertKind.FACE: N_("no face is seen"),
    AlertKind.CAMERA: N_("the camera gives no picture"),
    AlertKind.BROKER: N_("the message server (MQTT broker) does not answer"),
    AlertKind.DISK: N_("free storage"),
    AlertKind.BACKUP: N_("the age of the last good backup"),
    AlertKind.AGENT: N_("the recording program does not respond"),
    AlertKind.VARIABILITY: N_("heart-rate variability (RMSSD of five minutes)"),
}
_SLOW = frozenset({AlertKind.DISK, AlertKind.BACKUP})
"""Kinds that change over hours: a minute of them says nothing to a reader."""
_BRIEF_S = 60.0
_FACE_AND_BODY, _DEVICE = N_("Readings and faces"), N_("This device")
_NUMBERS = (_ABOVE, _BELOW, "margin", "seconds", "clear_seconds")
_YES = "yes"
_OF_PEOPLE = frozenset({AlertKind.FACE, AlertKind.VARIABILITY})
"""Kinds without a vital of their own that watch people."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A thing that a rule can watch.

    Attributes:
        kind: of the rule.
        vital: the kind of reading, for rules of readings.
        text: how it reads in a sentence.
        unit: of its limits.
        limits: those that it takes, of ``above`` and ``below``.
        group: the heading under which the form offers it.
    """

    kind: AlertKind
    vital: VitalKind | None
    text: Message
    unit: str = ""
    limits: tuple[str, ...] = ()
    group: str = _DEVICE

    @property
    def value(self) -> str:
        """Its value in the form, such as ``vital:heart_rate``."""
        return f"{self.kind}:{self.vital}" if self.vital else str(self.kind)


def _every_watched() -> Iterable[Watched]:
    for kind in VitalKind:
        text, unit = Message(kind.spec.name_in_text), kind.spec.unit_shown
        yield Watched(AlertKind.VITAL, kind, text, unit, (_ABOVE, _BELOW), _FACE_AND_BODY)
    for kind in VitalKind:
        text = Message(N_("no reading of {vital} arrives"), vital=Message(kind.spec.name_in_text))
        yield Watched(AlertKind.SENSOR, kind, text, group=_FACE_AND_BODY)
    limited: dict[AlertKind, tuple[str, tuple[str, ...]]] = {
        AlertKind.DISK: ("MB", (_BELOW,)),
        AlertKind.BACKUP: ("h", (_ABOVE,)),
        AlertKind.VARIABILITY: ("ms", (_ABOVE, _BELOW)),
    }
    for one, condition in _CONDITIONS.items():
        unit, taken = limited.get(one, ("", ()))
        group = _FACE_AND_BODY if one in _OF_PEOPLE else _DEVICE
        yield Watched(one, None, Message(condition), unit, taken, group)


@cache
def all_watched() -> dict[str, Watched]:
    """Return everything that a rule can watch, by its value in the form."""
    return {one.value: one for one in _every_watched()}


def grouped() -> dict[str, list[Watched]]:
    """Return what a rule can watch under the headings of the form."""
    groups: dict[str, list[Watched]] = {_FACE_AND_BODY: [], _DEVICE: []}
    for one in all_watched().values():
        groups[one.group].append(one)
    return groups


def watched_value(rule: Mapping[str, Any]) -> str:
    """Return the value in the form of what a written rule watches."""
    return ":".join(str(rule[name]) for name in ("when", "vital") if rule.get(name) is not None)


def rule_sentence(rule: RuleSettings) -> Message:
    """Return a rule as a sentence."""
    watched = all_watched()[f"{rule.when}:{rule.vital}" if rule.vital else str(rule.when)]
    what = watched.text
    if rule.when is AlertKind.BACKUP and rule.above is None:
        what = Message(N_("there is no good and recent backup"))
    bounds = _bounds(rule)
    if bounds:
        limits = Message(N_("is {bounds} {unit}"), bounds=bounds, unit=watched.unit)
        what = Message("{what} {limits}", what=what, limits=limits)
    lasting = lasting_s(rule)
    if not lasting:
        return Message(N_("Tell me at once when {what}"), what=what)
    if rule.when in _SLOW and rule.seconds <= _BRIEF_S:
        return Message(N_("Tell me when {what}"), what=what)
    seconds = Message("{seconds:g}", seconds=lasting)
    return Message(N_("Tell me when {what} for {seconds} s"), what=what, seconds=seconds)


def watches_people(kind: AlertKind) -> bool:
    """Return whether rules of a kind watch faces or readings, and not only the device."""
    return kind in {AlertKind.VITAL, AlertKind.SENSOR, *_OF_PEOPLE}


def _bounds(rule: RuleSettings) -> Message | None:
    above = below = None
    if rule.above is not None:
        above = Message(N_("above {above}"), above=Message("{limit:g}", limit=rule.above))
    if rule.below is not None:
        below = Message(N_("below {below}"), below=Message("{limit:g}", limit=rule.below))
    if above and below:
        return Message("{above} {or_} {below}", above=above, or_=Message(N_("or")), below=below)
    return above or below


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A rule of the configuration file.

    Attributes:
        name: its name.
        when: the kind of what it watches, as written.
        values: the values of the form's fields.
        checked: the rule with its defaults; ``None``: the file holds it wrongly.
    """

    name: str
    when: str
    values: Mapping[str, str]
    checked: RuleSettings | None

    def form(self, sent: Refused) -> Refused:
        """Return what its form shows: the rule, or what was typed where that was refused."""
        if sent.action and sent.value("rule") == self.name:
            return sent
        return Refused(values=self.values)


def new_rule() -> WrittenRule:
    """Return the form of a rule that is not there yet."""
    heart_rate = f"{AlertKind.VITAL}:{VitalKind.HEART_RATE}"
    values = dict.fromkeys(("name", *_NUMBERS, "in_sessions"), "")
    return WrittenRule("", "", values | {"watched": heart_rate, "notify": _YES}, None)


def written_rules(rules: Iterable[Mapping[str, Any]]) -> list[WrittenRule]:
    """Return the rules of a file as the page shows them."""
    return [_written(rule) for rule in rules]


def _written(rule: Mapping[str, Any]) -> WrittenRule:
    try:
        checked = RuleSettings.model_validate(rule)
    except ValidationError:
        checked = None
    values = {name: _text(rule.get(name)) for name in ("name", *_NUMBERS)}
    values["watched"] = watched_value(rule)
    values["in_sessions"] = _YES if rule.get("in_sessions", False) else ""
    values["notify"] = _YES if rule.get("notify", True) else ""
    return WrittenRule(values["name"], str(rule.get("when", "")), values, checked)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)


class RuleForm(BaseModel):
    """A rule as its form sends it; an empty field means the default."""

    digest: str = ""
    rule: str = ""
    remove: Literal["", "yes"] = ""
    watched: str = ""
    above: str = ""
    below: str = ""
    seconds: str = ""
    margin: str = ""
    clear_seconds: str = ""
    in_sessions: Literal["", "yes"] = ""
    notify: Literal["", "yes"] = ""
    name: str = ""


def rules_with(rules: Sequence[Mapping[str, Any]], form: RuleForm) -> list[dict[str, Any]]:
    """Return the rules of a file after a form has added, changed or removed one.

    Args:
        rules: as they are written.
        form: names the rule that it changes; none: it makes one.

    Raises:
        RequestError: a value of the form is wrong, or the named rule is gone.
    """
    written = [dict(rule) for rule in rules]
    if not form.rule:
        return [*written, _rule_of(form, {}, written)]
    places = [place for place, rule in enumerate(written) if str(rule.get("name")) == form.rule]
    if not places:
        raise RequestError(N_("There is no rule {name} any more. Reload the page."), name=form.rule)
    place = places[0]
    others = written[:place] + written[place + 1 :]
    if form.remove:
        return others
    return [*written[:place], _rule_of(form, written[place], others), *written[place + 1 :]]


def _rule_of(
    form: RuleForm, before: Mapping[str, Any], others: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the rule of a form as the file holds it; defaults that nobody wrote stay out."""
    watched = all_watched().get(form.watched)
    if watched is None:
        raise RequestError(N_("Choose what is watched."), field="watched")
    numbers = {name: _number(name, getattr(form, name)) for name in _NUMBERS}
    # A backup counts as too old by a limit of its own where none is given.
    needs_limit = watched.limits and watched.kind is not AlertKind.BACKUP
    if needs_limit and all(numbers[limit] is None for limit in watched.limits):
        raise RequestError(N_("Give the limit as a number."), field=watched.limits[0])
    taken = {str(rule.get("name")) for rule in others}
    values: dict[str, Any] = {
        "name": form.name.strip() or form.rule or _free_name(watched, taken),
        "when": str(watched.kind),
        "vital": str(watched.vital) if watched.vital else None,
        **numbers,
        "in_sessions": _switch(form.in_sessions, "in_sessions", before, default=False),
        "notify": _switch(form.notify, "notify", before, default=True),
    }
    return {name: value for name, value in values.items() if value is not None}


def _switch(sent: str, name: str, before: Mapping[str, Any], *, default: bool) -> bool | None:
    value = sent == _YES
    return value if value != default or name in before else None


def _number(name: str, text: str) -> int | float | None:
    """Parse a number, also with the comma of German and Spanish."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RequestError(N_("{text} is no number."), text=text, field=name)
    return int(value) if value.is_integer() else value


def _free_name(watched: Watched, taken: set[str]) -> str:
    """Return a name for a new rule that no other one has, such as ``heart-rate-2``."""
    name = str(watched.vital or watched.kind).replace("_", "-")
    if watched.kind is AlertKind.SENSOR:
        name = f"no-{name}"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free
