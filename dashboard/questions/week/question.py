"""The entry of a person's week: how it went, and what is unlike the own weeks before."""

from __future__ import annotations

import click

from dashboard.questions.entry import Inquiry, OwnWay, Question, Way
from dashboard.questions.week.answer import WeekQuery, WeekSummaryModel
from edge_agent.store.study.people import list_entry_of
from edge_agent.vitals.csv import zone_named

_OF_A_PERSON = "a carer may see the own people alone, and each look at a person is noted"


def answer(inquiry: Inquiry) -> WeekSummaryModel:
    """Return one participant's week at a glance, in words.

    Raises:
        DataFileError: the time zone is unknown.
        StoreError: the database cannot be read.
        StudyError: there is no such participant, or the day is still to come.
    """
    from dashboard.questions.week.counting import last_day
    from dashboard.questions.week.words import weeks_in_words

    query: WeekQuery = inquiry.query
    zone = zone_named(query.zone)
    code = list_entry_of(inquiry.database, query.participant).code
    (week,) = weeks_in_words(inquiry.database, code, last_day(query.to, zone), zone)
    return week.model


def report(model: WeekSummaryModel) -> str:
    """Return it as text for a terminal."""
    from dashboard.questions.week.report import report_of

    return report_of(model)


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
)
