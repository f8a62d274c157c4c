"""Ways to ask for the agreement of sensors, by a command and by the page of a session; loads what
computes when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboard.analysis.results import SensorComparison
from dashboard.questions.entry import BundlePart, Inquiry
from dashboard.questions.sensors.answer import SensorsModel, SensorsQuery


def answer(inquiry: Inquiry) -> SensorsModel:
    """Return how far sources agree that measured the same.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.sensors.computing import compare

    return SensorsModel(compare(inquiry.database, inquiry.query))


def part(inquiry: Inquiry, readings: Mapping[str, Any]) -> BundlePart:
    """Return ``sensors.csv``: limits of agreement of each two sources in the sessions that count;
    nothing of a study over several sites, whose clocks and sources are their own.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.sensors.computing import compare, sensors_csv

    if len(inquiry.sites) > 1:
        return BundlePart("")
    query = SensorsQuery(session=readings["session"])
    return BundlePart(sensors_csv(compare(inquiry.database, query, inquiry.span)))


def of_session(database: Path, session: int) -> list[SensorComparison]:
    """Return how far the sources of a session agree, over all sessions of its nature.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    from dashboard.questions.sensors.computing import compare_beside

    return compare_beside(database, session)
