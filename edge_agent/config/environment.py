"""Values that environment variables give: ``AFFECT_EDGE_SECTION__KEY``, in capitals or not.

The value of a list or table is JSON, that of another key its text; ``none`` is no value.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from edge_agent.core.errors import ConfigError

ENV_PREFIX = "AFFECT_EDGE_"
ENV_DELIMITER = "__"
_NO_VALUE = "none"


def read_environment(model: type[BaseModel], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return section → key → value of the variables, for ``model`` to validate.

    Args:
        model: whose fields are sections; a variable of no section is passed over.
        variables: name → value of all environment variables.

    Raises:
        ConfigError: the value of a list or table is not JSON.

    Example:
        >>> from edge_agent.config.settings import Settings
        >>> read_environment(Settings, {"AFFECT_EDGE_MQTT__PORT": "1884"})
        {'mqtt': {'port': '1884'}}
    """
    lowered = {name.lower(): value for name, value in variables.items()}
    values: dict[str, Any] = {}
    for section, field in model.model_fields.items():
        name = f"{ENV_PREFIX}{section}".lower()
        try:
            value = _section(field, lowered, name)
        except ValueError as error:
            raise ConfigError(_not_json(section, variables)) from error
        if value is not None or lowered.get(name) == _NO_VALUE:
            values[section] = value
    return values


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return both, table by table; where both have a value, that of ``over``."""
    both = dict(under)
    for name, value in over.items():
        is_table = isinstance(value, dict) and isinstance(both.get(name), dict)
        both[name] = merge(both[name], value) if is_table else value
    return both


def _section(field: FieldInfo, variables: Mapping[str, str], name: str) -> Any:
    """Return the table of a section; ``None`` where no variable names it, or it is to be none."""
    start = f"{name}{ENV_DELIMITER}"
    whole = variables.get(name)
    if whole is None:
        return _keys(field, variables, start) or None
    if whole == _NO_VALUE:
        return None
    decoded = json.loads(whole)
    if not isinstance(decoded, dict):
        return decoded
    return merge(_with_written_names(field, decoded), _keys(field, variables, start))


def _keys(section: FieldInfo, variables: Mapping[str, str], start: str) -> dict[str, Any]:
    """Return key → value of the variables that begin with ``start``, tables in tables."""
    values: dict[str, Any] = {}
    for name, value in variables.items():
        if not name.startswith(start):
            continue
        *tables, key = name.removeprefix(start).split(ENV_DELIMITER)
        inner: Any = values
        field: Any = section
        for table in tables:
            field = _below(field, table)
            # what an earlier variable gave as JSON may be no table
            inner = inner.setdefault(table, {}) if isinstance(inner, dict) else inner
        given = _value(_below(field, key), value)
        # "none" leaves the keys of a table that another variable gave
        if isinstance(inner, dict) and (value != _NO_VALUE or not inner.get(key)):
            inner[key] = given
    return values


def _value(field: Any, text: str) -> Any:
    """Return what a variable gives to a field; ``field`` is ``None`` for a key that is unknown."""
    if isinstance(field, FieldInfo) and text and _is_json(field.annotation):
        decoded = json.loads(text)
        return _with_written_names(field, decoded) if isinstance(decoded, dict) else decoded
    return None if text == _NO_VALUE else text


def _below(field: Any, key: str) -> Any:
    """Return the field of a table by its name; ``None``: there is none."""
    annotation = field.annotation if isinstance(field, FieldInfo) else field
    for inner in get_args(annotation):
        if (below := _below(inner, key)) is not None:
            return below
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields.get(key)
    return None


def _with_written_names(field: FieldInfo, table: dict[str, Any]) -> dict[str, Any]:
    """Return a table of JSON with the keys as its fields are written, in small letters."""
    if not _is_table(field.annotation):
        return table
    values: dict[str, Any] = {}
    for name, value in table.items():
        known = _below(field, name.lower())
        if known is None:
            values[name] = value
        else:
            values[name.lower()] = (
                _with_written_names(known, value) if isinstance(value, dict) else value
            )
    return values


def _is_json(annotation: Any) -> bool:
    """Tell whether the values of a field are lists or tables."""
    if get_origin(annotation) in {Union, types.UnionType}:
        return any(_is_json(inner) for inner in get_args(annotation))
    return get_origin(annotation) in {tuple, list, dict} or _is_table(annotation)


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _not_json(section: str, variables: Mapping[str, str]) -> str:
    start = f"{ENV_PREFIX}{section}".upper()
    names = ", ".join(sorted(name for name in variables if name.upper().startswith(start)))
    return f'environment {names}: a list or table is not valid JSON. Write it like ["research"].'
