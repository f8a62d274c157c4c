"""Which positions of a stream are applied: all up to a mark, and ranges beyond it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

Range = tuple[int, int]
"""First and last position."""


@dataclass(slots=True)
class Positions:
    """Positions that are applied.

    Attributes:
        upto: every position up to this one is.
        beyond: ranges after it, rising, with holes before and between them.

    Example:
        >>> done = Positions(4)
        >>> done.add(8, 9)
        >>> done.add(5, 7)
        >>> done
        Positions(upto=9, beyond=[])
    """

    upto: int = 0
    beyond: list[Range] = field(default_factory=list)

    def covers(self, first: int, last: int) -> bool:
        """Tell whether all positions of a range are applied."""
        return last <= self.upto or any(
            start <= max(first, self.upto + 1) and last <= end for start, end in self.beyond
        )

    def has(self, position: int) -> bool:
        """Tell whether a position is applied."""
        return self.covers(position, position)

    def is_overtaken(self, first: int) -> bool:
        """Tell whether ``first`` or something after it is applied, with a hole before."""
        return bool(self.beyond) and self.beyond[-1][1] >= first

    def add(self, first: int, last: int) -> None:
        """Note that a range is applied."""
        if first > self.upto + 1:
            apart: list[Range] = []
            for start, end in self.beyond:
                if end + 1 < first or start > last + 1:
                    apart.append((start, end))
                else:
                    first, last = min(first, start), max(last, end)
            insort(apart, (first, last))
            self.beyond = apart
            return
        self.upto = max(self.upto, last)
        while self.beyond and self.beyond[0][0] <= self.upto + 1:
            self.upto = max(self.upto, self.beyond.pop(0)[1])

    def forget_beyond(self) -> bool:
        """Count nothing beyond the mark as applied; return whether something was."""
        was_there = bool(self.beyond)
        self.beyond = []
        return was_there

    def to_sql(self) -> str:
        """Return what is beyond the mark as an ``int8multirange``."""
        return "{" + ",".join(f"[{first},{last}]" for first, last in self.beyond) + "}"


def from_sql(upto: int, beyond: Iterable[tuple[int, int]]) -> Positions:
    """Return positions from a mark and ranges whose ends are not part of them."""
    return Positions(upto, [(start, end - 1) for start, end in beyond])
