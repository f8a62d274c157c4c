"""The switch with which people and programs turn the camera on and off.

Its state lies in a separate file beside the database: restoring a copy, or setting a damaged
database aside, must not turn on a camera that somebody has turned off.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study.rows import insert_audit

log = logging.getLogger(__name__)

FILE = "capture.json"
"""Name of the file, in the data folder; without it, the camera is on."""
_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """The state of a camera that is off: since when, and who turned it off.

    Attributes:
        since_ms: UTC milliseconds since 1970; ``None``: not known.
        by: an account of the dashboard, or ``mqtt``; empty: not known.
    """

    since_ms: int | None = None
    by: str = ""


class CaptureSwitch:
    """Turns the camera on and off, and remembers it.

    A file that cannot be read means off: who turned the camera off relies on it.

    Args:
        database: the database; the file lies beside it, and its audit trail says who turned it.

    Example:
        >>> switch = CaptureSwitch(path)
        >>> switch.turn(on=False, by="mqtt")
        >>> switch.off().by
        'mqtt'
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._file = database.parent / FILE

    def off(self) -> SwitchedOff | None:
        """Return when and by whom the camera was turned off; ``None``: it is on."""
        try:
            # at once: a pipe there would wait for who writes
            handle = os.open(self._file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                return _off_in(stream.read(_MOST_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read, so the camera is off: %s", self._file, error)
            return SwitchedOff()

    def turn(self, *, on: bool, by: str) -> None:
        """Turn the camera on or off, from now on and after each start.

        Args:
            on: what it is to be.
            by: who turns it, for the audit trail.

        Raises:
            StoreError: the file cannot be written; all stays as it was.
        """
        if on != (self.off() is None):
            switch_camera(self._database, on=on, by=by)


def switch_camera(path: Path, *, on: bool, by: str) -> None:
    """Write the file of the switch, and a line of the audit trail.

    Args:
        path: the database that the file lies beside.
        on: what the camera is to be.
        by: who turns it.

    Raises:
        StoreError: the file cannot be written; all stays as it was.
    """
    file = path.parent / FILE
    try:
        _write(file, {"on": on, "since_ms": clock.now().wall_ms, "by": by})
    except OSError as error:
        raise StoreError(
            f"{file} cannot be written: {error}. The camera stays as it was."
        ) from error
    log.info("the camera was switched %s by %s", "on" if on else "off", by)
    try:
        with write_transaction(path) as connection:
            insert_audit(connection, by, "capture_on" if on else "capture_off", "", clock.now())
    except StoreError as error:  # the camera obeys without it
        log.warning("who switched the camera (%s) is not in the audit trail: %s", by, error)


def _write(file: Path, content: dict[str, object]) -> None:
    fresh = file.with_name(f"{FILE}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _off_in(content: bytes) -> SwitchedOff | None:
    """Parse the content of the file."""
    try:
        state = json.loads(content)
    except (ValueError, RecursionError):
        return SwitchedOff()
    if not isinstance(state, dict):
        return SwitchedOff()
    if state.get("on") is True:
        return None
    since_ms = state.get("since_ms")
    by = state.get("by")
    return SwitchedOff(
        since_ms if type(since_ms) is int else None, by if isinstance(by, str) else ""
    )
