"""Names of columns that code puts into SQL; ``schema.sql`` has the tables themselves."""

from __future__ import annotations

from edge_agent.core.expression import EMOTIONS

NAMES = tuple(emotion.value for emotion in EMOTIONS)
SMOOTHED = tuple(f"smoothed_{name}" for name in NAMES)
SUMS = tuple(f"sum_{name}" for name in NAMES)
COUNTS = tuple(f"count_{name}" for name in NAMES)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ADDED = ("rows", "frames", "uncertain", "simulated", *SUMS, *COUNTS)
"""Columns of a rollup of expressions, all of them sums."""
EPISODE_GAP_MS = 3_000
"""Rows further apart are two episodes, as in the view ``episode``."""
NONE_OF_THESE = "none"
"""Self-report of an emotion that is none of the eight."""
POINTS = 9
"""Points of the scales of valence and arousal."""


def iso(column: str) -> str:
    """Return SQL that writes epoch milliseconds as ``2026-11-20T08:15:00.250Z``."""
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', "
        f"{column} % 1000)"
    )
