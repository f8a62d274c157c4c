"""The timeline's schema: its version, and the names that code puts into SQL.

``schema.sql`` has the tables, ``views.sql`` the views.
"""

from __future__ import annotations

from edge_agent.core.expression import EMOTIONS, Attribution
from edge_agent.core.movements import NAMES as MOVED
from edge_agent.core.movements import POSE
from edge_agent.core.study import DECLARED_FROM, DECLARED_UNTIL, MarkerKind

# ruff: noqa: S608 - only our own names are put into SQL text

DATABASE_NAME = "affect-edge.db"
VERSION = 47
"""Of ``schema.sql`` and ``views.sql``; the file keeps it as ``user_version``."""
APPLICATION_ID = 0x41464544  # "AFED", so that `file` and we can tell the database from any other
# Half of SQLite's usual bytes: an hour of rows writes a third less, reading all is a fourth slower.
# Half of these would write a quarter less, and sums over rows would take 15 to 26 % longer.
PAGE_BYTES = 2_048
NAMES = tuple(emotion.value for emotion in EMOTIONS)
SMOOTHED = tuple(f"smoothed_{name}" for name in NAMES)
MOVEMENT_STEPS = {name: 10 if name in POSE else 1000 for name in MOVED}
"""Column of ``movement`` → steps of a unit: strengths and look in 1/1000, degrees in 1/10."""
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
SPANS = """
    WITH span(first, last, number) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?))"""
"""Numbered spans of time, half-open, from one value in JSON: a query joins all of them at once."""
ATTRIBUTED = ("expression", "movement", "unfit")
"""Tables with a column of attribution."""
DECLARED_STRETCHES = f"""
    SELECT opened.id, closed.id AS until, opened.session, opened.at AS first, closed.at AS last,
        substr(opened.label, {len(DECLARED_FROM) + 1}) AS reason,
        opened.import IS NOT NULL AS imported
    FROM marker AS opened JOIN marker AS closed ON closed.id = (
        SELECT id FROM marker AS after WHERE after.session = opened.session
            AND after.kind = '{MarkerKind.DECLARED}' AND after.label = '{DECLARED_UNTIL}'
            AND after.at > opened.at ORDER BY after.at, id LIMIT 1)
    WHERE opened.kind = '{MarkerKind.DECLARED}'
        AND substr(opened.label, 1, {len(DECLARED_FROM)}) = '{DECLARED_FROM}'"""
"""SQL: the stretches of sessions of which somebody declared afterwards whose face was seen."""
IS_OF_PARTICIPANT = f"""(is_primary = 1 OR attribution = '{Attribution.UNKNOWN}' AND EXISTS (
    SELECT 1 FROM ({DECLARED_STRETCHES}) WHERE at > first AND at <= last))"""
"""SQL condition of a row of ``expression``, ``movement`` or ``unfit`` of the participant's face."""
POINTS = 9
"""Points of the scales of valence and arousal."""
NO_PRIOR = "none"
"""Prior of a model that classifies nothing."""
UNKNOWN_PRIOR = "unknown"
"""Prior of a model that schema 34 recorded, which keeps none."""


def iso(column: str) -> str:
    """Return SQL that writes epoch milliseconds as ``2026-11-20T08:15:00.250Z``."""
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', "
        f"{column} % 1000)"
    )
