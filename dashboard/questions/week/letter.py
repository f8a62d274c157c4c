"""The letter about a person's week, or the last four: sentence, three numbers, and the picture.

It is written in plain text with a PNG, so that each mail program shows it; the text tells in words
what the picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dashboard.charts.week_png import week_png
from dashboard.languages.figures import day
from dashboard.questions.week.report import lines_of, period
from dashboard.questions.week.words import Week, say, weeks_in_words


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is ready to be sent.

    Attributes:
        title: its subject, without anything measured.
        body: its text.
        picture: of the weeks, as PNG; empty where nothing was recorded.
    """

    title: str
    body: str
    picture: bytes = field(repr=False)


def write_letter(path: Path, code: str, until: date, weeks: int, device: str) -> Letter:
    """Return the letter about some weeks, in the language in use; days are those of this machine.

    Args:
        path: the database.
        code: the participant, as stored.
        until: the last day.
        weeks: how many.
        device: name of the appliance.

    Raises:
        StoreError: the database cannot be read.
    """
    told = weeks_in_words(path, code, until, None, weeks)[::-1]
    first, last = told[-1].model.first, told[0].model.last
    shown = [one for one in told if one.model.recorded_days]
    return Letter(
        say("letter_title", code, day(first), day(last)),
        "\n\n".join(_parts(told, code, device)),
        week_png([one.picture for one in shown], [period(one.model) for one in shown])
        if shown
        else b"",
    )


def _parts(told: Sequence[Week], code: str, device: str) -> Iterator[str]:
    for one in told:
        yield from lines_of(one.model)
        if one.model.recorded_days:
            yield "\n".join(
                f"{shapes.words.name}: {shapes.words.sentence}" for shapes in one.picture.days
            )
    if any(one.model.simulated for one in told):
        yield say("letter_simulated")
    yield say("letter_end")
    yield say("letter_sender", code, device)
