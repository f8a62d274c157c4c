"""Compares the sources of a vital, over all sessions or for one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dashboard.analysis.inference.agreement import compare_sensors
from dashboard.analysis.readings.minutes import read_minutes
from dashboard.analysis.rendering.answer import sensors_in_words
from dashboard.analysis.results import SensorComparison
from dashboard.questions.sensors.answer import COMPARED, SensorsQuery
from edge_agent.core.csv_cells import Cell, table_text
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import reader_of

_OF_PAIR = (
    *("vital", "unit", "first", "second", "people", "sessions", "minutes", "bias", "sd"),
    *("low", "high", "off_by", "icc", "icc_low", "icc_high"),
)
_LIMITS = ("bias", "low", "high")
_ENDS = ("from", "to")


def compare(
    database: Path, query: SensorsQuery, span: tuple[int | None, int | None] | None = None
) -> tuple[SensorComparison, ...]:
    """Return how far sources agree that measured the same, in words.

    Args:
        database: the timeline.
        query: which sessions and vitals.
        span: only what lies between two times, UTC epoch milliseconds; ``None``: everything.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    reader = reader_of((("", database),), span)
    kinds = query.vital or COMPARED
    # Demonstrations count where they are named, and where nobody was measured by two sources.
    measured = () if query.session else read_minutes(reader, kinds, simulated=False)
    compared = compare_sensors(measured) or compare_sensors(
        read_minutes(reader, kinds, query.session)
    )
    return sensors_in_words(compared)


def sensors_csv(compared: Sequence[SensorComparison]) -> str:
    """Return comparisons as a table of a bundle; empty where there are none."""
    if not compared:
        return ""
    heads = (*_OF_PAIR, *(f"{name}_{end}" for name in _LIMITS for end in _ENDS))
    return table_text(heads, map(_csv_row, compared))


def _csv_row(one: SensorComparison) -> list[Cell]:
    intervals = (getattr(one, f"{name}_interval") for name in _LIMITS)
    ends = (
        None if interval is None else getattr(interval, end)
        for interval in intervals
        for end in ("low", "high")
    )
    return [*(getattr(one, name) for name in _OF_PAIR), *ends]


def compare_beside(database: Path, session: int) -> list[SensorComparison]:
    """Return how far sources agree that measured the same in a session, over all sessions of its
    nature: demonstrations, or the others.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    reader = Reader(database)
    simulated = reader.session(session)[0].simulated
    recorded = reader.recorded_kinds()
    kinds = [kind for kind in COMPARED if kind in recorded]
    # Only pairs that measured in this session; their agreement is judged over all sessions.
    here = compare_sensors(read_minutes(reader, kinds, [session]))
    pairs = {(one.vital, one.first, one.second) for one in here}
    if not pairs:
        return []
    vitals = sorted({one.vital for one in here})
    every = compare_sensors(read_minutes(reader, vitals, simulated=simulated))
    own = (one for one in every if (one.vital, one.first, one.second) in pairs)
    return list(sensors_in_words(own))
