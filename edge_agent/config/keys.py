"""Every key of the configuration, described for forms: type, limits, default, and editability."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from edge_agent.config.environment import ENV_DELIMITER, ENV_PREFIX
from edge_agent.config.loading import line_of_key
from edge_agent.config.settings import Settings
from edge_agent.core.brought_values import parse_toml

RULES = "alerts.rule"
"""The key whose value is the list of rules."""
AGENT = "affect-edge-agent"
DASHBOARD = "affect-edge-dashboard"
_READ_BY = {
    "backup": (AGENT,),
    "camera": (AGENT,),
    "dashboard": (DASHBOARD,),
    "record": (AGENT,),
    "summary": (AGENT,),
}


class Kind(StrEnum):
    """The kind of field in which a value is typed."""

    SWITCH = "switch"
    WHOLE = "whole"
    NUMBER = "number"
    TEXT = "text"
    CHOICE = "choice"
    LIST = "list"
    TABLES = "tables"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the configuration.

    Attributes:
        name: with its section, such as ``camera.fps``.
        description: a phrase.
        label: its name in a form; empty: no browser changes it, or its form has names of its own.
        kind: kind of its form field.
        default: its default; ``None``: none.
        choices: allowed values of a choice or of the items of a list; empty: any.
        least, most: limits of a number, if there are any.
        secret: whether its value is never shown.
        is_editable: whether a browser may change it.
    """

    name: str
    description: str
    kind: Kind
    default: Any
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    secret: bool = False
    is_editable: bool = False
    label: str = ""

    @property
    def section(self) -> str:
        """The section of the key."""
        return self.name.partition(".")[0]

    @property
    def read_by(self) -> tuple[str, ...]:
        """The services that must be restarted for a change."""
        return restarts([self.name])


@dataclass(frozen=True, slots=True)
class Value:
    """The present value of a key, and where it comes from.

    Attributes:
        value: as in JSON; for a secret only whether there is one.
        source: ``file``, ``environment`` or ``default``.
        line: of the file, from 1; ``None`` elsewhere.
    """

    value: Any
    source: str
    line: int | None = None


@cache
def all_keys() -> tuple[Key, ...]:
    """Return every key, in the order of the file."""
    schema = Settings.model_json_schema(schema_generator=_OwnTitles)
    return tuple(_keys(schema, schema["$defs"], ""))


def key_named(name: str) -> Key | None:
    """Return a key by its name; ``None``: there is none."""
    return next((key for key in all_keys() if key.name == name), None)


def values_of(settings: Settings, text: str) -> dict[str, Value]:
    """Return the value of every key.

    Args:
        settings: the loaded settings.
        text: content of their file, empty without one.
    """
    written = parse_toml(text)
    every = settings.model_dump(mode="json")
    return {key.name: _value_of(key, every, written, text) for key in all_keys()}


def restarts(names: Iterable[str]) -> tuple[str, ...]:
    """Return the services that must be restarted after a change of these keys.

    None for the rules of alerts, which the services read again by themselves.
    """
    sections = [name.partition(".")[0] for name in names if name != RULES]
    wanted = {service for one in sections for service in _READ_BY.get(one, (AGENT, DASHBOARD))}
    return tuple(service for service in (AGENT, DASHBOARD) if service in wanted)


def variable_of(name: str) -> str | None:
    """Return the environment variable that overrides a key, or ``None``."""
    parts = name.upper().split(".")
    wanted = {ENV_PREFIX + ENV_DELIMITER.join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    return next((variable for variable in os.environ if variable.upper() in wanted), None)


def written_value(written: Mapping[str, Any], name: str) -> Any:
    """Return the value of a key in a file; ``None`` if it is not there."""
    inner: Any = written
    for part in name.split("."):
        if not isinstance(inner, Mapping) or part not in inner:
            return None
        inner = inner[part]
    return inner


def _value_of(key: Key, every: Mapping[str, Any], written: Mapping[str, Any], text: str) -> Value:
    value = written_value(every, key.name)
    if key.secret:
        value = bool(value)
    if variable_of(key.name):
        return Value(value, "environment")
    if written_value(written, key.name) is None:
        return Value(value, "default")
    return Value(value, "file", line_of_key(text, key.name.split(".")))


class _OwnTitles(GenerateJsonSchema):
    """Describes fields without the titles that pydantic makes of their names."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - as pydantic has it
        """Make no title of a name."""
        return False


def _keys(table: Mapping[str, Any], kinds: Mapping[str, Any], start: str) -> Iterator[Key]:
    for name, field in table["properties"].items():
        inner = _resolve(field, kinds)
        if "properties" in inner:
            yield from _keys(inner, kinds, f"{start}{name}.")
        else:
            yield _key(start + name, field, inner, kinds)


def _key(
    name: str, field: Mapping[str, Any], inner: Mapping[str, Any], kinds: Mapping[str, Any]
) -> Key:
    items = _resolve(inner.get("items", {}), kinds)
    kind = _KINDS.get(inner.get("type", ""), Kind.TEXT)
    if "properties" in items:
        kind = Kind.TABLES
    elif "enum" in inner:
        kind = Kind.CHOICE
    return Key(
        name,
        field.get("description", ""),
        kind,
        field.get("default"),
        choices=tuple(map(str, inner.get("enum", items.get("enum", ())))),
        least=inner.get("minimum", inner.get("exclusiveMinimum")),
        most=inner.get("maximum", inner.get("exclusiveMaximum")),
        secret=bool(inner.get("writeOnly") or items.get("writeOnly")),
        is_editable=field.get("editable", False),
        label=field.get("title", ""),
    )


_KINDS = {"array": Kind.LIST, "boolean": Kind.SWITCH, "integer": Kind.WHOLE, "number": Kind.NUMBER}


def _resolve(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and return the type of an optional field."""
    for part in field.get("anyOf", ()):
        if part.get("type") != "null":
            return _resolve(part, kinds)
    if "$ref" in field:
        return _resolve(kinds[field["$ref"].rpartition("/")[2]], kinds)
    return field
