"""Loading of the configuration: the file, overridden by the environment, overridden by options.

The error of a wrong value has key, value and line. Removed keys are refused for one release, with
their replacement.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.config.environment import ENV_DELIMITER, ENV_PREFIX, merge, read_environment
from edge_agent.config.settings import Settings
from edge_agent.core.addresses import HIDDEN, masked
from edge_agent.core.bounds import ERRORS_SHOWN
from edge_agent.core.brought_values import ValuesError, parse_toml, read_bounded
from edge_agent.core.errors import ConfigError

_POLAR = (
    "Leave it out. `keep_ecg = true` records the electrocardiogram of a Polar strap, and "
    "`body_motion = true` its motion."
)
REMOVED: Mapping[str, str] = {
    "vitals.bluetooth.devices.ecg": _POLAR,
    "vitals.bluetooth.devices.movement": _POLAR,
    "updates": (
        "Leave the section out: nothing looks for releases by itself. Get the archive of a release "
        "and its .sig, then: sudo affect-edge update FILE"
    ),
    "fleet.profiles": (
        "Set keys with `affect-edge config set`, on many appliances with the Ansible playbook of "
        "docs/fleet.md."
    ),
}
"""Sentence for each removed key (``section.key``) or section (``section``)."""


_PATTERNS: Mapping[str, str] = {
    r"^[A-Za-z0-9_-]{1,40}$": "letters, digits, - and _, 40 at most",
    r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$": "letters, digits, - and _, in parts divided by /",
    r"^hci\d+$": "write it like hci0",
}
"""The words for a pattern of a key whose description does not give its form."""
_SWITCH = re.compile(r"=\s*(yes|no|on|off|true|false)\s*(#.*)?$", re.IGNORECASE)


_ABSENT = {
    "dashboard.root_path": (
        "The dashboard cannot stand below a path of another site, for its pages link to addresses "
        "that begin with /. Give it a name or a port of its own in the proxy (docs/install.md)."
    )
}
"""Keys that people know from other programs, and never were here."""
SYSTEM_FILE = Path("/etc/affect-edge/affect-edge.toml")


def why_removed(name: str, removed: Mapping[str, str] = REMOVED) -> str | None:
    """Return the replacement of a removed key; ``None`` for a key that never existed.

    Args:
        name: the key with its section, such as ``updates.url``; numbers in a list are ignored.
        removed: sentence by key or section.
    """
    parts = [part for part in name.split(".") if not part.isdecimal()]
    for length in range(len(parts), 0, -1):
        if sentence := removed.get(".".join(parts[:length])):
            return sentence
    return None


def describe(
    detail: ErrorDetails, path: Path | None, text: str, changes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return a sentence about an error: its place, key, value, and the allowed values.

    Args:
        detail: one error of pydantic.
        path: the configuration file, if there is one.
        text: its content, for the line number.
        changes: values of a command's options.
    """
    keys = [str(part) for part in detail["loc"] if part != "function-after"]
    known, allowed = _known_keys(keys)
    where = _source_of(keys, path, text, changes)
    name = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        if removed := why_removed(name):
            return f"{where}{name}: this key was removed. {removed}"
        if name in _ABSENT:
            return f"{where}{name}: unknown key. {_ABSENT[name]}"
        return f"{where}{masked(name)}: unknown key. Known here: {', '.join(known)}."
    value = f" = {_shown_value(name, detail['input'])}"
    if detail["type"] == "value_error":
        value = ""  # our own validators name the value themselves
    problem = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "string_pattern_mismatch":
        problem = _PATTERNS.get(detail["ctx"]["pattern"], "is not written as it should be")
    elif detail["type"] != "value_error":
        problem = f"{problem[0].lower()}{problem[1:]}"
    message = f"{problem}{allowed}."
    # Names of keys and our own validators repeat what was written.
    return where + masked(f"{name}{value}: {message}" if name else message)


def _shown_value(name: str, value: Any) -> str:
    """Return a wrong value for a message, which reaches logs and screens: without secrets."""
    if "password" in name or name == "alerts.notify" or name.startswith("alerts.notify."):
        return HIDDEN
    return masked(repr(value))


def _known_keys(keys: list[str]) -> tuple[list[str], str]:
    """Return all keys of the table of ``keys``, and the description of the key itself."""
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


def _source_of(
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
    if line := line_of_key(text, keys):
        return f"{path}, line {line}: "
    if path:
        return f"{path}: "
    return ""


def line_of_key(text: str, keys: list[str]) -> int | None:
    """Return the 1-based line of ``keys`` (section, …, key) in a TOML text.

    If the key itself is not in the text, the line of the nearest table above is returned, or
    ``None`` if there is none either.
    """
    table: list[str] = []
    places: dict[str, int] = {}
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        # A line scanner is enough here: tomllib has checked the syntax, and gives no positions.
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
    return best and best[1]


def load_settings(
    file: Path | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    strict: bool = False,
) -> Settings:
    """Read the configuration.

    An appliance that ran must run after an update that looks closer: what keeps nothing from
    starting, such as a camera's address without a host, is not refused but in ``doubt``.

    Args:
        file: the TOML file; ``None``: ``/etc/affect-edge/affect-edge.toml`` if it exists, otherwise
            the defaults.
        changes: section → key → value, from a command's options; they override file and
            environment.
        strict: refuse that, too, as ``config check`` does and whatever writes a configuration.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is not allowed.
    """
    path = file or (SYSTEM_FILE if SYSTEM_FILE.exists() else None)
    text = _read_toml(path)
    _refuse_unknown_environment()
    changed = {section: dict(values) for section, values in (changes or {}).items()}
    given = merge(read_environment(Settings, os.environ), changed)
    try:
        values = merge(parse_toml(text), given)
        return Settings.of_file(path, values)
    except ValidationError as error:
        details = error.errors()
        lines = [describe(detail, path, text, changes or {}) for detail in details[:ERRORS_SHOWN]]
        if more := details[ERRORS_SHOWN:]:
            lines.append(f"… and {len(more)} more.")
        doubt = "\n".join(lines)
        if not strict:
            with suppress(ValidationError):
                return Settings.of_file(path, values, doubt=doubt)
        raise ConfigError(doubt) from error


def load_right_part(file: Path | None = None) -> tuple[Settings, ConfigError | None]:
    """Read the configuration without its wrong values; only for diagnosis.

    Returns:
        The right values, with defaults for the others, and the error of ``load_settings``.
    """
    try:
        return load_settings(file, strict=True), None
    except ConfigError as error:
        return _without_faults(file or SYSTEM_FILE), error


def _without_faults(path: Path) -> Settings:
    """Return the right values of a file, and of the environment if that is right, too."""
    try:
        written = parse_toml(_text_of(path))
    except (OSError, ValueError):
        written = {}
    with suppress(ConfigError):
        if settings := _right_values(written, read_environment(Settings, os.environ)):
            return settings
    return _right_values(written, {}) or Settings()


def _right_values(written: dict[str, Any], given: Mapping[str, Any]) -> Settings | None:
    """Return the settings after wrong values were left out; ``None`` if it is none of them.

    Args:
        written: of a file; what is wrong is deleted from it.
        given: of the environment.
    """
    while True:
        try:
            return Settings.model_validate(merge(given, written))
        except ValidationError as error:
            left_out = [_leave_out(written, detail["loc"]) for detail in error.errors()]
            if not any(left_out):
                return None


def _leave_out(values: dict[str, Any], place: tuple[int | str, ...]) -> bool:
    """Delete the innermost key on the way to a place; return whether there was one."""
    inner: Any = values
    innermost: tuple[dict[str, Any], str] | None = None
    for step in place:
        if not isinstance(inner, dict) or step not in inner:
            break
        innermost = (inner, str(step))
        inner = inner[step]
    if innermost is None:
        return False
    del innermost[0][innermost[1]]
    return True


def _text_of(path: Path) -> str:
    return read_bounded(path).decode().replace("\r\n", "\n").replace("\r", "\n")


def _read_toml(path: Path | None) -> str:
    """Return the file's text after checking that it is TOML; empty without a file."""
    if path is None:
        return ""
    try:
        text = _text_of(path)
        # tomllib would report an invalid statement in line 1, which looks right in every editor.
        if text.startswith("\ufeff"):
            raise ConfigError(
                f"{path}: begins with a byte order mark. Save it as UTF-8 without one."
            )
        parse_toml(text)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file. Copy config/affect-edge.toml there, or leave --config out."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give a TOML file that this user may read."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from error
    except ValuesError as error:
        place = re.search(r"line (\d+)", str(error))
        is_switch = place and _SWITCH.search(text.splitlines()[int(place[1]) - 1])
        hint = "a switch is true or false" if is_switch else "text values need quotes"
        raise ConfigError(
            f"{path}: is not valid TOML: {masked(str(error))}. Correct that line; {hint}."
        ) from error
    return text


def _refuse_unknown_environment() -> None:
    """Raise ``ConfigError`` for ``AFFECT_EDGE_…`` variables without a section.

    They are passed over otherwise, so a misspelt variable would silently have no effect.
    """
    for name in os.environ:
        if not name.startswith(ENV_PREFIX):
            continue
        parts = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        section = parts[0]
        if section not in Settings.model_fields:
            if removed := why_removed(".".join(parts)):
                raise ConfigError(f"environment {name}: this key was removed. {removed}")
            raise ConfigError(
                f"environment {name}: there is no section {section!r}. Sections: "
                f"{', '.join(Settings.model_fields)}; write {ENV_PREFIX}SECTION{ENV_DELIMITER}KEY."
            )
