"""The questions, in the order of their links."""

from __future__ import annotations

from dashboard.questions.comparison.question import COMPARISON
from dashboard.questions.coupling.question import COUPLING
from dashboard.questions.responses.question import RESPONSES

QUESTIONS = (COMPARISON, RESPONSES, COUPLING)
