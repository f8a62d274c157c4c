"""Widths of texts in a picture, and texts broken into lines.

Widths are those of Helvetica, which Arial and Liberation Sans share, in thousandths of the size.
"""

from __future__ import annotations

SIZE = 12.0
"""Height of the letters of a picture, in its units."""
LINE = 14.0
"""From line to line."""
_USUAL = 556
_WIDTHS = {
    letter: width
    for letters, width in (
        ("ijl'’", 222),
        (" \N{NO-BREAK SPACE}!,./:;I[]\\ft|·", 278),
        ("()-r`", 333),
        ('"*', 370),
        ("ckxsvyzJ", 500),
        ("+<=>~−^", 584),
        ("FTZ", 611),
        ("ABEKPSVXY&", 667),
        ("CDHNRUw", 722),
        ("GOQ", 778),
        ("mM", 833),
        ("%W…", 920),
        ("@", 1015),
    )
    for letter in letters
}
_ROOM = 1.15  # DejaVu and Verdana, which stand in for it, are so much wider


def text_width(text: str, size: float = SIZE) -> float:
    """Return about how wide a line of text is, in units of the picture."""
    return _ROOM * size * sum(_WIDTHS.get(letter, _USUAL) for letter in text) / 1000


def cut_text(text: str, room: float) -> str:
    """Return a text that fits into a width, with an ellipsis where it was cut."""
    if text_width(text) <= room:
        return text
    while text and text_width(f"{text}…") > room:
        text = text[:-1]
    return f"{text.rstrip()}…"


def fold_text(text: str, room: float, most: int = 2) -> tuple[str, ...]:
    """Return a text in lines of a width; what more than ``most`` lines would need is cut."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer) > room and len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = longer
    return tuple(cut_text(line, room) for line in lines)
