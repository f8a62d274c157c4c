"""Streams of the Lab Streaming Layer: names of ours, and samples of markers decoded. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        text: of the first channel that has one, or its number; empty: none has any.
        notes: texts of the channels after it.
    """

    text: str
    notes: tuple[str, ...] = ()


class MarkerSamples:
    """Decodes the samples of a stream of markers, one after the other.

    A recording and the network are decoded alike.
    """

    def __init__(self) -> None:
        self._state = MarkerSample("")

    def read(self, values: Sequence[object], rate_hz: float) -> MarkerSample | None:
        """Return a sample decoded; ``None``: it is no event.

        Samples at a rate tell a state again and again: their event is its change.

        Args:
            values: text or number of each channel.
            rate_hz: nominal rate of the stream; 0: samples come irregularly.
        """
        told = [(_text_of(value), isinstance(value, str)) for value in values]
        place = next((place for place, (text, _) in enumerate(told) if text), len(told))
        text = told[place][0] if place < len(told) else ""
        notes = tuple(text for text, is_text in told[place + 1 :] if text and is_text)
        sample, before = MarkerSample(text, notes), self._state
        self._state = sample
        return None if rate_hz and (not text or sample == before) else sample


def _text_of(value: object) -> str:
    """Return a value as text; of no number, an empty one."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return str(value).strip()
