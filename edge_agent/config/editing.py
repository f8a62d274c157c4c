"""Changes to the configuration file, which keep its comments and order.

A change replaces the file atomically and keeps a copy of the previous version.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.config.alerts import AlertSettings
from edge_agent.config.hiding import hider_of
from edge_agent.config.keys import RULES
from edge_agent.config.loading import load_settings
from edge_agent.config.settings import Settings
from edge_agent.core.brought_values import parse_toml
from edge_agent.core.errors import ConfigError, StoreError
from edge_agent.core.files import take_lock
from edge_agent.core.owners import as_owner_of

if TYPE_CHECKING:
    from tomlkit.items import AoT


_TIGHT = re.compile(r"(?<=[^\n])\n(\[\[alerts\.rule\]\])")
"""A rule without an empty line before it."""
BEFORE = ".before"
"""Suffix of the backup copy."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was read.

    Attributes:
        path: its path.
        text: its content.
    """

    path: Path
    text: str

    @property
    def digest(self) -> str:
        """Digest of its content, by which a later change is noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def read_file(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return ConfigFile(path, path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file. Copy config/affect-edge.toml there, or name another file with "
            "--config."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error}).") from error


def check_settings(file: ConfigFile, *, strict: bool = True) -> Settings:
    """Return the settings of a text, by the same checks as ``affect-edge config check``.

    Without ``strict`` by those of a service that starts, so that a wrong value can be changed.

    Raises:
        ConfigError: the faults, with lines of the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        # The same loader as the agent's, which reads a file: a check of its own would drift from
        # it.
        trial = Path(folder) / file.path.name
        trial.write_text(file.text, encoding="utf-8")
        try:
            return load_settings(trial, strict=strict)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(trial), str(file.path))) from error


def with_changes(text: str, changes: Mapping[str, Any]) -> str:
    """Return the text of a file with other values.

    Args:
        text: valid TOML.
        changes: value by the name of its key, such as ``{"camera.fps": 10.0}``; ``None`` leaves
            the key out, so that its default holds. Of ``alerts.rule`` it is all rules.
    """
    import tomlkit

    document = tomlkit.parse(text)
    for name, value in changes.items():
        *tables, key = name.split(".")
        table: Any = document
        for part in tables:
            if part not in table:
                table[part] = tomlkit.table()
            table = table[part]
        if name == RULES:
            _set_rules(table, value)
        elif value is None:
            table.pop(key, None)
        else:
            _set(table, key, value)
    return _TIGHT.sub(r"\n\n\1", tomlkit.dumps(document))


def rules_of(text: str) -> list[dict[str, Any]]:
    """Return the rules of a file as written, or the default ones if it has none.

    Args:
        text: valid TOML.
    """
    written = parse_toml(text).get("alerts", {}).get("rule")
    if written is None:
        return [one.model_dump(mode="json", exclude_defaults=True) for one in AlertSettings().rule]
    return [dict(rule) for rule in written]


def difference(before: ConfigFile, after: ConfigFile, *settings: Settings) -> list[str]:
    """Return the changed lines, with ``-`` and ``+`` before them; no secret stands in them.

    Args:
        before: the file.
        after: the same with changes.
        settings: of both files, for what must not be shown.
    """
    lines = difflib.unified_diff(
        before.text.splitlines(), after.text.splitlines(), lineterm="", n=0
    )
    hide = hider_of(*settings)
    return [hide(one) for one in list(lines)[2:] if not one.startswith("@@")]


def _set(table: Any, key: str, value: Any) -> None:
    """Set a value; its comment stays in its column where there is room."""
    import tomlkit

    item = tomlkit.item(value)
    if key not in table:
        table[key] = item
        return
    old = table.item(key)
    longer = len(item.as_string()) - len(old.as_string())
    table[key] = item
    trivia = table.item(key).trivia
    if trivia.comment:
        trivia.comment_ws = " " * max(1, len(trivia.comment_ws) - longer)


def _set_rules(alerts: Any, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Write all rules: one that is there keeps its place and its comments, new ones follow."""
    import tomlkit

    if not isinstance(alerts.get("rule"), tomlkit.items.AoT):
        alerts.pop("rule", None)
        alerts["rule"] = tomlkit.aot()
    present: AoT = alerts["rule"]
    places = {str(table.get("name")): place for place, table in enumerate(present)}
    kept = {places.pop(name): rule for rule in wanted if (name := str(rule.get("name"))) in places}
    new = [rule for rule in wanted if not any(rule is one for one in kept.values())]
    for place in reversed(range(len(present))):
        if place in kept:
            _set_rule(present[place], kept[place])
        else:
            del present[place]
    for rule in new:
        present.append(tomlkit.item(dict(rule)))


def _set_rule(table: Any, rule: Mapping[str, Any]) -> None:
    for key in [key for key in table if key not in rule]:
        del table[key]
    for key, value in rule.items():
        if table.get(key) != value:
            _set(table, key, value)


class ConfigChangedError(ConfigError):
    """Somebody changed the file since it was read."""


def can_be_written(path: Path) -> bool:
    """Tell whether this process may replace the file."""
    place = path.resolve()
    return os.access(place, os.W_OK) and os.access(place.parent, os.W_OK)


def save(before: ConfigFile, text: str) -> Path:
    """Replace the file, and return the path of its backup copy.

    Args:
        before: the file as it was read.
        text: its new content; already checked.

    Raises:
        ConfigChangedError: the file has changed since; nothing was written.
        ConfigError: it cannot be written; it is as it was.
    """
    place = before.path.resolve()
    copy = copy_of_before(before.path)
    try:
        with as_owner_of(before.path), _alone(place):
            if read_file(place).text != before.text:
                raise ConfigChangedError(
                    f"{before.path}: somebody changed it meanwhile. Nothing was written: load the "
                    "page again, and change it again."
                )
            shutil.copy2(place, copy)
            _replace(place, text)
    except StoreError as error:  # somebody else has locked it
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(
            f"{before.path}: cannot be written ({error.strerror}). It is as it was."
        ) from error
    return copy


def copy_of_before(path: Path) -> Path:
    """Return where ``save`` keeps a file as it was."""
    place = path.resolve()
    return place.with_name(place.name + BEFORE)


def command_for(path: Path, changes: Mapping[str, Any]) -> str:
    """Return the command with which an administrator can make these changes."""
    words = ["sudo", "affect-edge", "config", "set", "--config", str(path)]
    words += [f"{name}={_toml(value)}" for name, value in changes.items()]
    return shlex.join(words)


def _toml(value: Any) -> str:
    """Write a value as TOML on one line; nothing where the key is to be left out."""
    import tomlkit

    if value is None:
        return ""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        tables = []
        for rule in value:
            pairs = (f"{key} = {tomlkit.item(one).as_string()}" for key, one in rule.items())
            tables.append("{" + ", ".join(pairs) + "}")
        return f"[{', '.join(tables)}]"
    text: str = tomlkit.item(value).as_string()
    return text


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the lock that ``save`` takes in every process."""
    with place.open("rb") as held:
        take_lock(place, held.fileno())
        yield


def _replace(place: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(place, name)
        owner = place.stat()
        with suppress(PermissionError):  # only root may give it to another
            os.chown(name, owner.st_uid, owner.st_gid)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
