"""The entry of a person's week: how it went, and what is unlike the own weeks before."""

from __future__ import annotations

import click

from dashboard.questions.entry import Documented, OwnWay, Question, Way
from dashboard.questions.week.answer import WeekQuery, WeekSummaryModel
from dashboard.questions.week.asking import answer, report

_OF_A_PERSON = "a carer may see the own people alone, and each look at a person is noted"
WEEK = Question(
    name="week",
    query=WeekQuery,
    model=WeekSummaryModel,
    answer=answer,
    options=(
        click.argument("participant", metavar="CODE"),
        click.option(
            "--to",
            type=click.DateTime(["%Y-%m-%d"]),
            callback=lambda _context, _option, given: given and given.date(),
            help="The last day, such as 2026-11-29. Default: today.",
        ),
        click.option(
            "--zone",
            help="Time zone of the days, such as Europe/Berlin. Default: that of this machine.",
        ),
    ),
    help="Say how one participant's week went, beside the own weeks before.",
    report=report,
    own=(
        OwnWay(Way.PAGE, _OF_A_PERSON, "/study/participants/{code}/days"),
        OwnWay(Way.API, _OF_A_PERSON, "/api/v1/participants/{code}/week"),
        OwnWay(Way.BUNDLE, "it describes one person, and a bundle holds the rows that it is of"),
    ),
    listed="Say how one participant's week went.",
    documented=Documented(
        usage="CODE [--to DAY] [--zone ZONE]",
        answers=(
            "one participant's [week](dashboard.md#a-persons-week), beside the own weeks before"
        ),
    ),
)
