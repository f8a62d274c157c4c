"""Compares the sources of a vital, over all sessions or for one of them."""

from __future__ import annotations

from pathlib import Path

from dashboard.analysis.inference.agreement import compare_sensors
from dashboard.analysis.readings.minutes import read_minutes
from dashboard.analysis.rendering.answer import sensors_in_words
from dashboard.analysis.results import SensorComparison
from dashboard.questions.sensors.answer import COMPARED, SensorsQuery
from edge_agent.timeline.read.reader import Reader


def compare(database: Path, query: SensorsQuery) -> tuple[SensorComparison, ...]:
    """Return how far sources agree that measured the same, in words.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    measured = read_minutes(Reader(database), query.vital or COMPARED, query.session)
    return sensors_in_words(compare_sensors(measured))


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
