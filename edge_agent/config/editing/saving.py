"""Writing the configuration file: whole or not at all, with a copy of the one before."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_agent.config.editing.document import ConfigFile, read_file
from edge_agent.core.errors import ConfigError

BEFORE = ".before"
"""What the name of the copy ends with."""


class ConfigChangedError(ConfigError):
    """Somebody changed the file since it was read."""


def can_be_written(path: Path) -> bool:
    """Tell whether this process may replace the file."""
    place = path.resolve()
    return os.access(place, os.W_OK) and os.access(place.parent, os.W_OK)


def save(before: ConfigFile, text: str) -> Path:
    """Replace the file, and return where its copy of before lies.

    Args:
        before: the file as it was read.
        text: what it shall say; already checked.

    Raises:
        ConfigChangedError: the file says something else by now; nothing was written.
        ConfigError: it cannot be written; it is as it was.
    """
    place = before.path.resolve()
    copy = place.with_name(place.name + BEFORE)
    try:
        with _alone(place):
            if read_file(place).text != before.text:
                raise ConfigChangedError(
                    f"{before.path}: somebody changed it meanwhile. Nothing was written: load the "
                    "page again, and change it again."
                )
            shutil.copy2(place, copy)
            _replace(place, text)
    except OSError as error:
        raise ConfigError(
            f"{before.path}: cannot be written ({error.strerror}). It is as it was."
        ) from error
    return copy


def command_for(path: Path, changes: Mapping[str, Any]) -> str:
    """Return the command that makes these changes, for who may write the file."""
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
    """Let nobody else who saves in this way write the file meanwhile."""
    with place.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
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
