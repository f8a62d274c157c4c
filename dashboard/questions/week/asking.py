"""Ways to ask for a person's week; load what computes when they are called."""

from __future__ import annotations

from dashboard.questions.entry import Inquiry
from dashboard.questions.week.answer import WeekQuery, WeekSummaryModel
from edge_agent.timeline.study.people import list_entry_of
from edge_agent.vitals.zone_names import zone_named


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
