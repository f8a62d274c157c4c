"""Windows of response curves that are declared before the data, and how people write them.

A window is written in a line: what is measured, around which events, compared with which others
(left out: with the baseline alone), the seconds after the event, the seconds of the baseline before
it, and the kind of the events, where it is not the start of a stimulus:

    >>> window = ResponseWindow.model_validate(read_line("heart_rate: anger - neutral, 5 to 20 s"))
    >>> window.line
    'heart_rate: anger - neutral, 5 to 20 s, baseline 5 s'
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from dashboard.analysis.query import Label, Model, same_label
from dashboard.languages.refused import RealNumber
from edge_agent.core.measures import MEASURES, Measure
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import EventKind

MOST_WINDOWS = 20
_NUMBERS = frozenset({"start", "end", "before"})
_NUMBER = r"\d+(?:\.\d+)?"
_LINE = re.compile(
    rf"(?P<vital>\w+)\s*:\s*(?P<event>.+?)(?:\s+-\s+(?P<against>.+?))?"
    rf"\s*,\s*(?P<start>{_NUMBER})\s+to\s+(?P<end>{_NUMBER})(?:\s*s)?"
    rf"(?:\s*,\s*baseline\s+(?P<before>{_NUMBER})(?:\s*s)?)?"
    rf"(?:\s*,\s*(?P<kind>{'|'.join(EventKind)}))?\s*"
)
_LIKE = "heart_rate: anger - neutral, 5 to 20 s, baseline 5 s"


class ResponseWindow(Model):
    """A window of a response curve: the mean change within it is compared, and nothing else."""

    vital: Measure = Field(VitalKind.HEART_RATE, description="What is measured")
    event: Label = Field(description="Label of the events, such as anger")
    against: str = Field(
        "",
        max_length=200,
        description="Label of the events that these are compared with, within people; empty: the "
        "mean change is compared with 0, the baseline",
    )
    kind: EventKind = Field(
        EventKind.STIMULUS_START, description="Kind of both events, as in the question of responses"
    )
    start: RealNumber = Field(
        ge=0, lt=3600, description="Where the window begins, seconds after the event"
    )
    end: RealNumber = Field(gt=0, le=3600, description="Where it ends, seconds after the event")
    before: RealNumber = Field(
        5.0, ge=1, le=600, description="Seconds before an event, whose mean is the baseline"
    )

    @field_validator("event", "against")
    @classmethod
    def _stripped(cls, label: str) -> str:
        return label.strip()

    @model_validator(mode="after")
    def _is_a_comparison(self) -> ResponseWindow:
        if self.end <= self.start:
            raise ValueError(N_("a window ends after it begins"))
        if not self.event:
            raise ValueError(N_("a window names no event"))
        if same_label(self.event) == same_label(self.against):
            raise ValueError(Message(N_("{label} is compared with itself"), label=self.event))
        return self

    @property
    def line(self) -> str:
        """The window as people write it; the same for every window that means the same."""
        against = f" - {self.against}" if self.against else ""
        kind = "" if self.kind is EventKind.STIMULUS_START else f", {self.kind}"
        return (
            f"{self.vital}: {self.event}{against}, {self.start:g} to {self.end:g} s, "
            f"baseline {self.before:g} s{kind}"
        )


def read_line(line: object) -> Any:
    """Return the fields of a window that is written in a line; what is no text stays.

    Raises:
        ValueError: the line is written otherwise.
    """
    if not isinstance(line, str):
        return line
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(
            Message(N_("{line!r} is no window; write one as {like}"), line=line.strip(), like=_LIKE)
        )
    if match["vital"] not in tuple(MEASURES):
        raise ValueError(
            Message(N_("{name} is no measure, such as heart_rate or valence"), name=match["vital"])
        )
    fields = {name: text for name, text in match.groupdict().items() if text is not None}
    numbers = {name: float(text) for name, text in fields.items() if name in _NUMBERS}
    return fields | numbers


WindowInLine = Annotated[ResponseWindow, BeforeValidator(read_line)]
"""A window, or the line in which somebody wrote it."""
