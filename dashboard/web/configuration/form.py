"""The form of the settings: values as texts, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.web.configuration.changes import Present
from edge_agent.config.alerts.rule import RuleSettings
from edge_agent.config.editing.keys import RULES, Key, Kind, all_keys, variable_of, written_value

SWITCH = {"on": True, "off": False}
RULE_FIELDS = tuple(RuleSettings.model_fields)
_NUMBERS = frozenset({"above", "below", "margin", "seconds", "clear_seconds"})
_SWITCHES = frozenset({"in_sessions", "notify"})
_MOST_RULES = 60


def text_of(value: Any) -> str:
    """Write a value as a field of the form holds it; nothing for a key that is left out."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return "\n".join(str(one) for one in value)
    return str(value)


def typed(key: Key, text: str) -> Any:
    """Read a field of the form; what is no number stays a text, which the checks then refuse."""
    text = text.strip()
    if not text:
        return None
    match key.kind:
        case Kind.SWITCH:
            return SWITCH.get(text, text)
        case Kind.LIST:
            return [line.strip() for line in text.splitlines() if line.strip()]
        case Kind.WHOLE | Kind.NUMBER:
            return _number(text)
        case _ if isinstance(key.default, int):
            return _number(text)
    return text


def fields_of(present: Present) -> dict[str, str]:
    """Return what the form holds for each key that may be changed."""
    return {
        key.name: text_of(written_value(present.written, key.name))
        for key in all_keys()
        if key.is_editable and key.name != RULES
    }


def changes_of(present: Present, sent: Mapping[str, str]) -> dict[str, Any]:
    """Return what a form changes: keys that it has not, and those that stayed, are left alone."""
    changes: dict[str, Any] = {}
    for name, before in fields_of(present).items():
        key = next(one for one in all_keys() if one.name == name)
        if name not in sent or variable_of(name):
            continue
        value = typed(key, sent[name])
        if value != typed(key, before):
            changes[name] = value
    if "rules" in sent:
        rules = _rules(sent)
        if rules != present.rules:
            changes[RULES] = rules
    return changes


def _rules(sent: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rules of a form without those to be removed and those that say nothing."""
    rules = []
    for number in range(_MOST_RULES):
        rule = {
            name: _of_rule(name, sent.get(f"rule-{number}-{name}", "").strip())
            for name in RULE_FIELDS
        }
        given = {name: value for name, value in rule.items() if value is not None}
        if given and f"rule-{number}-remove" not in sent:
            rules.append(given)
    return rules


def _of_rule(name: str, text: str) -> Any:
    if not text:
        return None
    if name in _NUMBERS:
        return _number(text)
    if name in _SWITCHES:
        return SWITCH.get(text, text)
    return text


def _number(text: str) -> int | float | str:
    """Read a number as it is written; another text stays one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
