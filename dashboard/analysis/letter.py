"""The letter about a person's week, or the last four: sentence, three numbers, and the picture.

It is written in plain text with a PNG, so that each mail program shows it; the text tells in words
what the picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from dashboard.analysis.days import DAYS
from dashboard.analysis.week import Change, Week, WeekFigureModel, read_week
from dashboard.charts.week_png import week_png
from dashboard.languages.current import gettext
from dashboard.languages.figures import day

_ARROWS = {Change.HIGHER: "↑", Change.USUAL: "→", Change.LOWER: "↓"}


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
    lasts = [until - timedelta(days=DAYS * back) for back in range(weeks)]
    told = [read_week(path, code, last, None) for last in lasts]
    first, last = told[-1].model.first, told[0].model.last
    title = gettext("Affect Edge: {code}, {first} to {last}")
    shown = [one for one in told if one.model.recorded_days]
    return Letter(
        title.format(code=code, first=day(first), last=day(last)),
        "\n\n".join(_parts(told, code, device)),
        week_png([one.picture for one in shown], [_dates(one) for one in shown]) if shown else b"",
    )


def _parts(told: list[Week], code: str, device: str) -> Iterator[str]:
    for one in told:
        yield f"{code}, {_dates(one)}"
        yield one.model.sentence
        if one.model.faces_sentence:
            yield one.model.faces_sentence
        if one.model.recorded_days:
            yield "\n".join([*map(_line, one.model.figures), one.model.days_sentence])
            yield "\n".join(
                f"{shapes.words.name}: {shapes.words.sentence}" for shapes in one.picture.days
            )
    if any(one.model.simulated for one in told):
        yield gettext("This letter contains simulated data.")
    yield gettext(
        "Higher (↑) or lower (↓) than usual is what lies beyond all of the last eight weeks that "
        "can be compared, within twelve. Described, not tested: an expression does not prove what "
        "somebody feels, and this is no medical finding."
    )
    yield gettext(
        "Sent by Affect Edge {device}, because {code} agreed to it. Whoever looks after the device "
        "can end it at any time."
    ).format(device=device, code=code)


def _dates(week: Week) -> str:
    return f"{day(week.model.first)} – {day(week.model.last)}"


def _line(figure: WeekFigureModel) -> str:
    """Return one of the three numbers with its arrow."""
    unit = f" {figure.unit}" if figure.unit and figure.value is not None else ""
    arrow = f" {_ARROWS[figure.change]}" if figure.change else ""
    return f"{figure.title}: {figure.shown}{unit}{arrow} ({figure.note})"
