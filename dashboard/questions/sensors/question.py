"""The entry of the agreement of sensors."""

from __future__ import annotations

import click

from dashboard.questions.entry import Documented, OwnWay, Question, Way
from dashboard.questions.sensors.answer import COMPARED, SensorsModel, SensorsQuery
from dashboard.questions.sensors.asking import answer, part
from dashboard.questions.sensors.report import report
from dashboard.questions.sensors.table import TABLE

_OF_SESSION = "the sources of one session are judged over all sessions of its nature"
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
    part=part,
    tables=(TABLE,),
    own=(
        OwnWay(Way.PAGE, _OF_SESSION, "/study/sessions/{number}/quality"),
        OwnWay(Way.API, _OF_SESSION, "/api/v1/sessions/{number}/sensors"),
    ),
    listed="Say how far two sources of a vital agree.",
    documented=Documented(
        answers=("how far two sources of one vital agree; see [statistics.md](statistics.md)")
    ),
)
