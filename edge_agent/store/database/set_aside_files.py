"""Names of the files beside a database that was damaged, moved or deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError

PARTS = ("-wal", "-shm", "")
"""Endings of the files that make a database; the file itself is the last that is moved."""


def unfinished_mark(path: Path) -> Path:
    """Return the file that says: this database is being set aside, and a new one is made."""
    return path.with_name(f"{path.name}.salvaging")


def new_database(path: Path) -> Path:
    """Return where the new database is made before it takes its place."""
    return path.with_name(f"{path.name}.salvaged")


def free_name(path: Path) -> Path:
    """Return a name for a database that is set aside, with the present time and not yet taken."""
    second = clock.now().wall_ms // 1000
    while True:
        stamp = datetime.fromtimestamp(second, UTC)
        name = path.with_name(f"{path.name}.damaged.{stamp:%Y%m%dT%H%M%SZ}")
        if not any(part_of(name, part).exists() for part in PARTS):
            return name
        second += 1


def part_of(path: Path, part: str) -> Path:
    """Return one of the files of a database; ``part`` is one of ``PARTS``."""
    return path.with_name(path.name + part)


def set_aside_beside(path: Path) -> list[Path]:
    """Return the databases that were set aside, oldest first, without their logs."""
    files = path.parent.glob(f"{path.name}.damaged.*")
    return sorted(file for file in files if not file.name.endswith(("-wal", "-shm")))


def delete_set_aside(path: Path) -> None:
    """Delete a database that was set aside, with its log."""
    for part in PARTS:
        part_of(path, part).unlink(missing_ok=True)


def refuse_unfinished(path: Path) -> None:
    """Refuse a path whose database is being salvaged: a new one would hide what is readable.

    An empty file would even make SQLite delete the log that is left.
    """
    if unfinished_mark(path).exists():
        raise StoreError(
            f"{path}: was damaged and is being salvaged. Try again in some seconds; the agent does "
            "it, so start it if it does not run."
        )
    missing = not path.exists() or path.stat().st_size == 0
    log_file = path.with_name(f"{path.name}-wal")
    if missing and log_file.exists() and log_file.stat().st_size:
        raise DamageError(
            f"{path}: is empty or gone, but its log {log_file.name} is left. Start the agent, "
            "which salvages what is in it."
        )
