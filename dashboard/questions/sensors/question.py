"""The entry of the agreement of sensors, and how the page of a session asks it."""

from __future__ import annotations

from pathlib import Path

import click

from dashboard.analysis.results import SensorComparison
from dashboard.questions.entry import Inquiry, OwnWay, Question, Way
from dashboard.questions.sensors.answer import COMPARED, SensorsModel, SensorsQuery
from dashboard.questions.sensors.report import report

_OF_SESSION = "the sources of one session are judged over all sessions of its nature"


def answer(inquiry: Inquiry) -> SensorsModel:
    """Return how far sources agree that measured the same.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    from dashboard.questions.sensors.computing import compare

    return SensorsModel(compare(inquiry.database, inquiry.query))


def of_session(database: Path, session: int) -> list[SensorComparison]:
    """Return how far the sources of a session agree, over all sessions of its nature.

    Raises:
        StoreError: the database cannot be read.
        StudyError: there is no such session.
    """
    from dashboard.questions.sensors.computing import compare_beside

    return compare_beside(database, session)


SENSORS = Question(
    name="sensors",
    command="compare-sensors",
    query=SensorsQuery,
    model=SensorsModel,
    answer=answer,
    options=(
        click.option(
            "--session", type=int, multiple=True, help="Only this session; can be repeated."
        ),
        click.option(
            "--vital",
            multiple=True,
            type=click.Choice([kind.value for kind in COMPARED]),
            help="Only this vital; can be repeated. Default: all.",
        ),
    ),
    help="Compare sources that measured the same vital in the same minutes of sessions.",
    report=report,
    own=(
        OwnWay(Way.PAGE, _OF_SESSION, "/study/sessions/{number}/quality"),
        OwnWay(Way.API, _OF_SESSION, "/api/v1/sessions/{number}/sensors"),
        OwnWay(Way.BUNDLE, "it says how readings were measured and nothing of people"),
    ),
)
