"""What makes an appliance beside its database: the configuration, and the files it names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.appliance.backups.manifest import (
    CONFIG,
    DASHBOARD,
    FILE_KEYS,
    ArchivedSetting,
    is_our_own,
)
from edge_agent.config import ENV_PREFIX, Settings
from edge_agent.core.errors import BackupError
from edge_agent.store.database.dashboard_file import dashboard_file
from edge_agent.store.database.replacement import PREPARED
from edge_agent.store.database.schema import DATABASE_NAME


@dataclass(frozen=True, slots=True)
class Source:
    """A file that goes into an archive."""

    file: Path
    path: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The files of an appliance, without its database.

    Attributes:
        sources: the configuration and all files that it names.
        settings: the keys that name them.
        left_out: sentences about what they name and is not there.
        environment: names of the variables that are laid over the configuration.
    """

    sources: tuple[Source, ...]
    settings: tuple[ArchivedSetting, ...]
    left_out: tuple[str, ...]
    environment: tuple[str, ...]


def parts_of(settings: Settings, config: Path | None, data: Path) -> Parts:
    """Find the files of an appliance.

    Args:
        settings: its configuration.
        config: the file that it was read from; ``None``: there is none.
        data: the data folder.

    Raises:
        BackupError: a file cannot be read.
    """
    sources: dict[str, Source] = {}
    named = []
    left_out = []
    if config is not None:
        sources[CONFIG] = Source(config, CONFIG)
    own = dashboard_file(data / DATABASE_NAME)
    if own.exists():
        sources[DASHBOARD] = Source(own, DASHBOARD)
    for key, value in named_files(settings):
        file = Path(value).expanduser().absolute()
        if not file.exists():
            left_out.append(f"{key} = {value}: is not there")
            continue
        path = _place(file, key, data.absolute(), config)
        named.append(ArchivedSetting(key=key, value=value, path=path))
        for source in _files(file, path, is_model=key.startswith("vision.")):
            sources.setdefault(source.path, source)
    for source in sources.values():
        if not os.access(source.file, os.R_OK):
            raise BackupError(
                f"{source.file}: cannot be read, and without it the appliance is not whole. Run "
                "as root (sudo), or as the user that may read it. No archive was made."
            )
    environment = tuple(sorted(name for name in os.environ if name.startswith(ENV_PREFIX)))
    return Parts(tuple(sources.values()), tuple(named), tuple(left_out), environment)


def named_files(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each key that names a file or folder of this machine, with its value."""
    for key in FILE_KEYS:
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name)
        if value is not None and ("/" in str(value) or not key.startswith("vision.")):
            yield key, str(value)


def _place(file: Path, key: str, data: Path, config: Path | None) -> str:
    """Return where in the archive something lies: by where it lies on the appliance."""
    if file.is_relative_to(data) and file != data:
        path = f"data/{file.relative_to(data)}"
        if not is_our_own(path):
            return path
    beside = None if config is None else config.absolute().parent
    if beside and file.is_relative_to(beside) and file != beside:
        path = f"config/{file.relative_to(beside)}"
        if path != CONFIG:
            return path
    return f"other/{key}/{file.name}"


def _files(file: Path, path: str, *, is_model: bool) -> Iterator[Source]:
    """Yield a file, the files of a folder, or a model with its card."""
    if file.is_dir():
        for inner in sorted(file.rglob("*")):
            was_set_aside = ".replaced." in inner.name or inner.name.endswith(PREPARED)
            if inner.is_file() and not was_set_aside:
                yield Source(inner, f"{path}/{inner.relative_to(file)}")
        return
    yield Source(file, path)
    for end in (".json", ".tflite"):
        beside = file.with_suffix(end)
        if is_model and beside != file and beside.is_file() and file.suffix != ".onnx":
            yield Source(beside, str(Path(path).with_suffix(end)))
