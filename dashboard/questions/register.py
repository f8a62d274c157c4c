"""The questions, in the order of their links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.questions.comparison.question import COMPARISON
from dashboard.questions.coupling.question import COUPLING
from dashboard.questions.entry import Inquiry
from dashboard.questions.responses.question import RESPONSES

QUESTIONS = (COMPARISON, RESPONSES, COUPLING)


def tables_beside(inquiry: Inquiry, readings: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the other questions in a bundle, by name of the file; none without rows.

    Args:
        inquiry: the comparison whose bundle it is.
        readings: which sessions and readings count, as ``entry.readings_of`` names them.

    Raises:
        StatisticsError: a question cannot be answered.
        StoreError: a database cannot be read.
    """
    texts = {
        f"{question.name}.csv": question.table(inquiry, readings)
        for question in QUESTIONS
        if question.table is not None
    }
    return {name: text for name, text in texts.items() if text}
