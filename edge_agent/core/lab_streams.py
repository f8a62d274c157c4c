"""Streams of the Lab Streaming Layer: names of ours, and samples of markers decoded. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

PREFIX = "AffectEdge"
"""Begins the name of each of our streams."""
MAKER = "Affect Edge"
"""Manufacturer in their descriptions."""
EXPRESSION = "Expression"
MOVEMENTS = "Movements"
"""Content types of the streams of a face."""


class MarkerSample(NamedTuple):
    """A sample of a stream of markers.

    Attributes:
        text: of the channel that tells the events, or its number; empty: it has none.
        notes: texts of the channels after it.
    """

    text: str
    notes: tuple[str, ...] = ()


class MarkerSamples:
    """Decodes the samples of a stream of markers, one after the other.

    A recording and the network are decoded alike. The first channel that ever has a text tells the
    events: a later one alone, such as that of a key, is a note.

    Args:
        first: that channel, where the samples are known; ``None``: it is learned from them.
    """

    def __init__(self, first: int | None = None) -> None:
        self._state = MarkerSample("")
        self._first = first

    @staticmethod
    def first_of(rows: Iterable[Sequence[object]]) -> int | None:
        """Return the first channel that has a text in any sample; ``None``: none has."""
        return min((place for row in rows if (place := _first_of(row)) < len(row)), default=None)

    def read(self, values: Sequence[object], rate_hz: float) -> MarkerSample | None:
        """Return a sample decoded; ``None``: it is no event.

        Samples at a rate tell a state again and again: their event is its change.

        Args:
            values: text or number of each channel.
            rate_hz: nominal rate of the stream; 0: samples come irregularly.
        """
        place = _first_of(values)
        text = _text_of(values[place]) if place < len(values) else ""
        notes = [_text_of(value) for value in values[place + 1 :] if isinstance(value, str)]
        if text and self._first is not None and place > self._first:
            text, notes = "", [text, *notes]
        elif text:
            self._first = place
        sample, before = MarkerSample(text, tuple(filter(None, notes))), self._state
        self._state = sample
        return None if rate_hz and (sample == MarkerSample("") or sample == before) else sample


def _first_of(values: Sequence[object]) -> int:
    """Return the place of the first text or number; where there is none, the length."""
    return next((place for place, value in enumerate(values) if _text_of(value)), len(values))


def _text_of(value: object) -> str:
    """Return a value as text; of no number, an empty one."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return str(value).strip()
