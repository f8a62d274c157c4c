"""Reads the configuration: the file, the environment over it, a command's options over both."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from edge_agent.config.problems import describe, describe_environment
from edge_agent.config.removed import why_removed
from edge_agent.config.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from edge_agent.core.errors import ConfigError

SYSTEM_FILE = Path("/etc/affect-edge/affect-edge.toml")


def load_settings(
    file: Path | None = None, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the configuration.

    Args:
        file: the TOML file; ``None`` takes ``/etc/affect-edge/affect-edge.toml`` where that exists,
            else the defaults.
        changes: section → key → value, from a command's options; they win over file and
            environment.

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is not allowed.
    """
    path = file or (SYSTEM_FILE if SYSTEM_FILE.exists() else None)
    text = _read_toml(path)
    _refuse_unknown_environment()
    # pydantic-settings takes the file from the class, so each file gets a class of its own
    source = type("FileSettings", (Settings,), {"file": path, "__module__": __name__})
    try:
        loaded: Settings = source(
            **{section: dict(values) for section, values in (changes or {}).items()}
        )
    except ValidationError as error:
        raise ConfigError(
            "\n".join(describe(detail, path, text, changes or {}) for detail in error.errors())
        ) from error
    except ValueError as error:  # an environment value that should be JSON and is not
        raise ConfigError(describe_environment(str(error))) from error
    return loaded


def load_right_part(file: Path | None = None) -> tuple[Settings, ConfigError | None]:
    """Read the configuration, and leave out what is wrong in it: for looking for faults only.

    Returns:
        What is right, the defaults in the other places, and the error of ``load_settings``.
    """
    try:
        return load_settings(file), None
    except ConfigError as error:
        return _without_faults(file or SYSTEM_FILE), error


class _WithoutEnvironment(Settings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic names it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def _without_faults(path: Path) -> Settings:
    """Return what is right in a file, with the environment where that is right, too."""
    for kind in (Settings, _WithoutEnvironment):
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            values = {}
        with suppress(ValueError):
            while True:
                try:
                    return kind(**values)
                except ValidationError as error:
                    left_out = [_leave_out(values, detail["loc"]) for detail in error.errors()]
                    if not any(left_out):
                        break
    return _WithoutEnvironment()


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


def _read_toml(path: Path | None) -> str:
    """Return the file's text after checking that it is TOML; empty without a file."""
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise ConfigError(
                f"{path}: begins with a byte order mark. Save it as UTF-8 without one."
            )
        tomllib.loads(text)
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
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: is not valid TOML: {error}. Text values stand in quotes."
        ) from error
    return text


def _refuse_unknown_environment() -> None:
    """Raise ``ConfigError`` for ``AFFECT_EDGE_…`` variables that name no section.

    pydantic-settings ignores them, and a misspelt variable would have no effect without a word.
    """
    for name in os.environ:
        if not name.startswith(ENV_PREFIX):
            continue
        parts = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        section = parts[0]
        if section not in Settings.model_fields:
            removed = why_removed(".".join(parts))
            if removed is not None:
                raise ConfigError(f"environment {name}: this key was removed. {removed}")
            raise ConfigError(
                f"environment {name}: there is no section {section!r}. Sections: "
                f"{', '.join(Settings.model_fields)}; write {ENV_PREFIX}SECTION{ENV_DELIMITER}KEY."
            )
