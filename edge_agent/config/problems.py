"""Turns what pydantic says about a wrong value into one sentence with key, value and line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from edge_agent.config.removed import why_removed
from edge_agent.config.settings import ENV_DELIMITER, ENV_PREFIX, Settings


def describe(
    detail: ErrorDetails, path: Path | None, text: str, changes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return one sentence: where the error is, its key and value, and what is allowed.

    Args:
        detail: one error of pydantic's.
        path: the configuration file, where there is one.
        text: its content, for the number of the line.
        changes: values that came from a command's options.
    """
    keys = [str(part) for part in detail["loc"] if part != "function-after"]
    known, allowed = _known_keys(keys)
    where = _where(keys, path, text, changes)
    name = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        removed = why_removed(name)
        if removed is not None:
            return f"{where}{name}: this key was removed. {removed}"
        return f"{where}{name}: unknown key. Known here: {', '.join(known)}."
    shown = repr(detail["input"])
    if "password" in name or "notify" in keys:
        shown = "…"  # error messages reach logs and screens
    value = f" = {shown}"
    if detail["type"] == "value_error":
        value = ""  # our own validators name the value themselves
    message = f"{detail['msg'][0].lower()}{detail['msg'][1:]}{allowed}."
    if name:
        return f"{where}{name}{value}: {message}"
    return f"{where}{message.removeprefix('value error, ')}"


def describe_environment(message: str) -> str:
    """Name the environment variables of the section whose value is not valid JSON.

    Args:
        message: of pydantic-settings, which names the section but not the variable.
    """
    section = re.search(r'field "(\w+)"', message)
    start = ENV_PREFIX
    if section:
        start += section[1].upper()
    names = ", ".join(sorted(name for name in os.environ if name.upper().startswith(start)))
    return f'environment {names}: a list or table is not valid JSON. Write it like ["research"].'


def _known_keys(keys: list[str]) -> tuple[list[str], str]:
    """Return all keys of the table that holds ``keys``, and the description of the key itself."""
    fields = Settings.model_fields
    for key in keys:
        if key.isdecimal():  # the place in a list of tables
            continue
        if key not in fields:
            break
        annotation = fields[key].annotation
        inner = next((part for part in get_args(annotation) if part is not Ellipsis), annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return list(fields), f" ({fields[key].description})"
        fields = inner.model_fields
    return list(fields), ""


def _where(
    keys: list[str], path: Path | None, text: str, changes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return the source of the value: the command line, a variable, or a line of the file."""
    if len(keys) > 1 and keys[1] in changes.get(keys[0], {}):
        return "command line: "
    for depth in range(len(keys), 0, -1):
        wanted = ENV_PREFIX + ENV_DELIMITER.join(keys[:depth]).upper()
        variable = next((name for name in os.environ if name.upper() == wanted), None)
        if variable:
            return f"environment {variable}: "
    line = line_of_key(text, keys)
    if line:
        return f"{path}, line {line}: "
    if path:
        return f"{path}: "
    return ""


def line_of_key(text: str, keys: list[str]) -> int | None:
    """Return the 1-based line of ``keys`` (section, …, key) in a TOML text.

    Where the key itself is not written down, the line of the nearest table above is returned;
    ``None`` when there is none either. The standard library's TOML reader gives no line numbers.
    """
    table: list[str] = []
    places: dict[str, int] = {}
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[?)\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            table = [part.strip().strip("\"'") for part in header[2].split(".")]
            if header[1]:  # one table of a list: its place follows its name
                place = places.get(header[2], -1) + 1
                places[header[2]] = place
                table.append(str(place))
            here = table
        else:
            assignment = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
            if not assignment:
                continue
            here = table + [part.strip("\"'") for part in assignment[1].split(".")]
        if here == keys[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    if best:
        return best[1]
    return None
