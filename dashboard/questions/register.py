"""The questions, in the order of their links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.charts.figure import figure_files
from dashboard.questions.comparison.question import COMPARISON
from dashboard.questions.coupling.question import COUPLING
from dashboard.questions.entry import Inquiry, Way
from dashboard.questions.responses.question import RESPONSES
from dashboard.questions.sensors.question import SENSORS
from dashboard.questions.week.question import WEEK

QUESTIONS = (COMPARISON, RESPONSES, COUPLING, WEEK, SENSORS)


def files_beside(inquiry: Inquiry, readings: Mapping[str, Any]) -> dict[str, str]:
    """Return tables and figures of the other questions in a bundle, by path; no table without rows.

    Args:
        inquiry: the comparison whose bundle it is.
        readings: which sessions and readings count, as ``entry.readings_of`` names them.

    Raises:
        StatisticsError: a question cannot be answered.
        StoreError: a database cannot be read.
    """
    texts: dict[str, str] = {}
    for question in QUESTIONS:
        if question.has(Way.BUNDLE):
            part = question.part(inquiry, readings)
            texts[f"{question.name}.csv"] = part.table
            texts |= {f"{name}.csv": table for name, table in part.others.items()}
            texts |= figure_files(part.charts, part.source)
    return {name: text for name, text in texts.items() if text}
