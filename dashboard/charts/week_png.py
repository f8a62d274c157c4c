"""The picture of a week as PNG, for e-mail: the same shapes as on the page, drawn by Pillow.

Pillow's own font has no accents, which are set here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

from dashboard.charts.colours import light_colours
from dashboard.charts.week import HEIGHT, DayShapes, WeekPicture
from dashboard.languages.current import gettext
from dashboard.languages.figures import between, figure
from edge_agent.core.expression import EMOTIONS

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_NAMES = (*map(str, EMOTIONS), "uncertain")
_PAPER, _INK, _SOFT, _EMPTY, _HATCH = "#ffffff", "#1b2226", "#55626a", "#eef1f2", "#9aa7ad"
_LEFT, _RIGHT, _MARGIN, _GAP = 130, 210, 20, 8
_TEXT = 15
_LINE = 26
_SWATCH = 13
_STRIPE = 7
_ACCENT = {"\N{COMBINING ACUTE ACCENT}", "\N{COMBINING TILDE}", "\N{COMBINING DIAERESIS}"}
_PLAIN = str.maketrans({"–": "-", "−": "-", "’": "'", "ß": "ss", "\N{NO-BREAK SPACE}": " "})


def week_png(pictures: Sequence[WeekPicture], headings: Sequence[str]) -> bytes:
    """Return the picture of some weeks below one another.

    Args:
        pictures: of the weeks.
        headings: what stands above each.
    """
    # Only who writes a letter needs it.
    from PIL import Image, ImageDraw

    width = int(max(one.width for one in pictures)) + _LEFT + _RIGHT + 2 * _MARGIN
    row = int(HEIGHT) + _GAP
    names = [name for name in _NAMES if any(name in one.names for one in pictures)]
    height = sum(len(one.days) * row + 2 * _LINE + _GAP for one in pictures)
    height += 2 * _MARGIN + (len(names) + 2) // 3 * _LINE + 2 * _LINE
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    y = _MARGIN
    for picture, heading in zip(pictures, headings, strict=True):
        write_text(draw, (_MARGIN, y), heading, _INK)
        y += _LINE
        for one in picture.days:
            _draw_day(draw, picture, one, y)
            y += row
        for hour, x in picture.ticks():
            write_text(draw, (_MARGIN + _LEFT + x - 8, y), str(hour), _SOFT)
        y += _LINE + _GAP
    _draw_legend(draw, pictures, names, y)
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_day(draw: ImageDraw, picture: WeekPicture, one: DayShapes, y: int) -> None:
    left = _MARGIN + _LEFT
    write_text(draw, (_MARGIN, y + 10), one.words.name, _INK)
    draw.rectangle((left, y, left + picture.width, y + HEIGHT), fill=_EMPTY)
    for box in one.open:
        _hatch(draw, left + box.x, y, left + box.x + box.width)
    for bar in one.bars:
        if bar.height >= 1:
            # Pillow draws the last column and row as well.
            right, foot = left + bar.x + bar.width - 1, y + bar.y + bar.height - 1
            draw.rectangle((left + bar.x, y + bar.y, right, foot), fill=_colour(bar.name))
    for piece in one.lines:
        points = [(left + px, y + py) for px, py in piece]
        if len(points) == 1:
            ((px, py),) = points
            draw.ellipse((px - 3, py - 3, px + 3, py + 3), fill=_INK, outline=_PAPER)
        for colour, thick in ((_PAPER, 5), (_INK, 2)):
            draw.line(points, fill=colour, width=thick, joint="curve")
    write_text(draw, (left + picture.width + 12, y + 10), one.words.facts, _SOFT)


def _hatch(draw: ImageDraw, left: float, top: float, right: float) -> None:
    """Draw slanted lines within a part of a row."""
    x = left - left % _STRIPE - HEIGHT
    while x < right:
        first, last = max(left, x), min(right, x + HEIGHT)
        if first < last:
            draw.line((first, top + first - x, last, top + last - x), fill=_HATCH)
        x += _STRIPE


def _draw_legend(
    draw: ImageDraw, pictures: Sequence[WeekPicture], names: Sequence[str], y: int
) -> None:
    """Say what the colours and the line are."""
    third = (draw.im.size[0] - 2 * _MARGIN) // 3
    for number, name in enumerate([*names, "open", "nothing"]):
        x, top = _MARGIN + number % 3 * third, y + number // 3 * _LINE
        square = (x, top + 3, x + _SWATCH, top + 3 + _SWATCH)
        draw.rectangle(square, fill=_colour(name), outline=_HATCH)
        text = {"open": gettext("recorded without a face"), "nothing": gettext("not recorded")}.get(
            name
        ) or gettext(name)
        if name == "open":
            draw.line((x, top + 3, x + _SWATCH, top + 3 + _SWATCH), fill=_HATCH)
        write_text(draw, (x + 22, top), text, _SOFT)
    rates = [one.rates for one in pictures if one.rates]
    if rates:
        top = y + (len(names) + 4) // 3 * _LINE
        draw.line((_MARGIN, top + 9, _MARGIN + 16, top + 9), fill=_INK, width=2)
        text = gettext("heart rate")
        if len(pictures) == 1:
            low, high = (figure("%.0f", rate) for rate in rates[0])
            text = gettext("heart rate, {range} /min").format(range=between(low, high))
        write_text(draw, (_MARGIN + 22, top), text, _SOFT)


def write_text(draw: ImageDraw, at: tuple[float, float], text: str, colour: str) -> None:
    """Write a text, and the accents that Pillow's font lacks.

    Args:
        draw: on what.
        at: its left upper corner.
        text: one line.
        colour: of it.
    """
    from PIL import ImageFont

    font = ImageFont.load_default(_TEXT)
    x, y = at
    before = (x, x, y)
    for sign in unicodedata.normalize("NFD", text.translate(_PLAIN)):
        if sign in _ACCENT:
            _draw_accent(draw, sign, before, colour)
            continue
        if unicodedata.combining(sign):
            continue
        draw.text((x, y), sign, fill=colour, font=font)
        top = font.getbbox(sign)[1]
        before = (x, x + font.getlength(sign), y + top)
        x += font.getlength(sign)


def _draw_accent(
    draw: ImageDraw, sign: str, place: tuple[float, float, float], colour: str
) -> None:
    left, right, top = place
    middle, y = (left + right) / 2, top - 3
    if sign == "\N{COMBINING DIAERESIS}":
        for x in (middle - 3, middle + 1):
            draw.rectangle((x, y - 1, x + 1, y), fill=colour)
    elif sign == "\N{COMBINING ACUTE ACCENT}":
        draw.line((middle - 1, y + 1, middle + 2, y - 2), fill=colour)
    else:
        draw.line((middle - 3, y, middle - 1, y - 1, middle + 1, y, middle + 3, y - 1), fill=colour)


def _colour(name: str) -> str:
    return light_colours().get(f"--emotion-{name}", _EMPTY)
