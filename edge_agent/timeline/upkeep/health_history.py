"""The health of the appliance over the last day: one row per minute, which the agent writes and the
dashboard reads.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from edge_agent.core.clock import Every, Instant
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect, read_transaction, transaction
from edge_agent.timeline.database.files import translate_errors

log = logging.getLogger(__name__)

DAY_MS = 24 * 3_600_000
KEPT_MS = DAY_MS + 3_600_000
"""Rows farther from now than this are deleted; those ahead are of a clock that was wrong."""
_EVERY_S = 60.0
_BUSY_SECONDS = 0.5  # the agent's loop waits for nothing longer: the next minute comes


@dataclass(frozen=True, slots=True)
class HealthMinute:
    """The appliance at one moment, and what it lost since the moment before.

    Attributes:
        at_ms: when, UTC.
        fps: frames per second; ``None``: the camera was not meant to run, or the agent had just
            started.
        frames_dropped: frames of this minute that were skipped because a newer one was there.
        rows_dropped: rows of this minute that could not be written.
        celsius: temperature of the processor; ``None``: not known here.
        disk_free: bytes on the data disk; ``None``: not known.
    """

    at_ms: int
    fps: float | None
    frames_dropped: int
    rows_dropped: int
    celsius: float | None
    disk_free: int | None


class HealthHistory:
    """Keeps the agent's health reports, one a minute, for a day.

    Args:
        path: the database, already migrated.

    Example:
        >>> history = HealthHistory(path)
        >>> history.keep(report, clock.now())
        >>> health_minutes(path, 0, clock.now().wall_ms)[-1].fps
        15.0
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._timer = Every(_EVERY_S, at_once=True)
        self._frames_dropped = 0
        self._rows_dropped = 0
        self._is_failing = False
        self._is_first = True

    def keep(self, report: Mapping[str, Any], at: Instant) -> None:
        """Write a report when a minute has passed since the last one.

        A minute that cannot be written is left out, and said in the log once: whoever cannot write
        here cannot write the timeline either, and the recorder says why.

        Args:
            report: as ``HealthMonitor.report`` returns it.
            at: when it was made.
        """
        if not self._timer.due():
            return
        dropped = int(report["camera"]["frames_dropped"])
        lost = int(report["recorder"]["rows_dropped"])
        disk = report["disk"]
        minute = HealthMinute(
            at_ms=at.wall_ms,
            # The first rate counts the seconds in which camera and models were being opened.
            fps=None if self._is_first else report["camera"]["fps"],
            frames_dropped=max(0, dropped - self._frames_dropped),
            rows_dropped=max(0, lost - self._rows_dropped),
            celsius=report["temperature_celsius"],
            disk_free=None if disk is None else disk["free_bytes"],
        )
        self._is_first = False
        try:
            _write(self._path, minute)
        except StoreError as error:
            if not self._is_failing:
                log.warning("the figures of health are not kept: %s", error)
            self._is_failing = True
            return
        self._is_failing = False
        self._frames_dropped = dropped
        self._rows_dropped = lost


def health_minutes(path: Path, start_ms: int, end_ms: int) -> list[HealthMinute]:
    """Return the health rows with ``start_ms`` ≤ time < ``end_ms``, in order of time.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT at, fps, frames_dropped, rows_dropped, celsius, disk_free FROM health_minute "
            "WHERE at >= ? AND at < ? ORDER BY at",
            (start_ms, end_ms),
        ).fetchall()
    return [HealthMinute(*row) for row in rows]


def _write(path: Path, minute: HealthMinute) -> None:
    with (
        translate_errors(path),
        closing(connect(path, readonly=False, busy_seconds=_BUSY_SECONDS)) as connection,
        transaction(connection),
    ):
        connection.execute(
            "INSERT OR REPLACE INTO health_minute "
            "(at, fps, frames_dropped, rows_dropped, celsius, disk_free) VALUES (?, ?, ?, ?, ?, ?)",
            astuple(minute),
        )
        connection.execute(
            "DELETE FROM health_minute WHERE at NOT BETWEEN ? AND ?",
            (minute.at_ms - KEPT_MS, minute.at_ms + KEPT_MS),
        )
