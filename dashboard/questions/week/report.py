"""A week as text, for a terminal and a letter."""

from __future__ import annotations

from collections.abc import Iterator

from dashboard.languages import figures
from dashboard.questions.week.answer import WeekSummaryModel
from dashboard.questions.week.words import say


def period(week: WeekSummaryModel) -> str:
    """Write the days of a week."""
    return figures.period(week.first, week.last)


def lines_of(week: WeekSummaryModel) -> Iterator[str]:
    """Yield a week in words, a paragraph each: whose and when, its sentence, its numbers."""
    yield f"{week.participant}, {period(week)}"
    yield week.sentence
    if week.faces_sentence:
        yield week.faces_sentence
    if week.recorded_days:
        numbers = [say("line", one) for one in week.figures]
        yield "\n".join(filter(None, [*numbers, week.variability_sentence, week.days_sentence]))


def report_of(week: WeekSummaryModel) -> str:
    """Return the week for people, with the rule by which it is compared."""
    return "\n\n".join([*lines_of(week), say("rule")])
