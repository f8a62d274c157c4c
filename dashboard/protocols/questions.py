"""Questions in a protocol's own words, and what is an answer to them."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.protocols.texts import SHAPING
from edge_agent.core.errors import StudyError
from edge_agent.core.study import QuestionKind
from edge_agent.core.texts import N_


@dataclass(frozen=True, slots=True)
class ProtocolQuestion:
    """A question of a protocol.

    Attributes:
        name: of the question in the data.
        kind: how it is answered.
        ask: its words.
        options: labels of the points, or the answers; empty for the other kinds.
        low, high: labels of the ends of a slider.
        required: whether it must be answered.
    """

    name: str
    kind: QuestionKind
    ask: str
    options: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    required: bool = False

    def check(self, value: int | str | None) -> int | str | None:
        """Return an answer as it is kept; ``None``: they would rather not say.

        Raises:
            StudyError: it is no answer to this question.
        """
        if isinstance(value, str):
            value = value.strip() or None
        if value is None:
            if self.required:
                raise StudyError(N_("This question needs an answer."))
            return None
        if self.kind.numbers is not None:
            low, high = self.kind.numbers
            return whole_number(value, low, len(self.options) or high)
        if not self.options:
            return _words(value, self.kind.longest)
        if value not in self.options:
            raise StudyError(
                N_("Answer {value!r}: choose one of {names}."),
                value=str(value)[:20],
                names=", ".join(self.options),
            )
        return value


def whole_number(value: int | str, low: int, high: int) -> int:
    """Return a whole number; refuse what is none, or lies outside.

    Raises:
        StudyError: it does.
    """
    # ``bool`` is a kind of ``int``: true would pass for 1.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise StudyError(
            N_("Answer {value!r}: choose a whole number from {low} to {high}."),
            value=str(value)[:20],
            low=low,
            high=high,
        )
    return value


def on_a_line(text: str) -> str:
    """Return a text on one line, as tables keep it, without what is never seen."""
    kept = (one if one.isprintable() or one in SHAPING else " " for one in text)
    return " ".join("".join(kept).split())


def _words(value: int | str, most: int) -> str:
    text = on_a_line(str(value))
    if len(text) > most:
        raise StudyError(
            N_("The answer has {count:,} characters; {most:,} are allowed. Shorten it."),
            count=len(text),
            most=most,
        )
    return text
