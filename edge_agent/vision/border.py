"""How near a face is to getting or losing its label, for those who read it by need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Border:
    """Where labels come and go.

    Attributes:
        comes: probability from which there is a label after *uncertain*.
        goes: probability below which there is none any longer.
    """

    comes: float
    goes: float

    def distance(self, confidence: float, *, is_labelled: bool) -> float:
        """Return how much more or less of its largest probability changes the label of a face."""
        if is_labelled:
            return abs(confidence - self.goes)
        return abs(confidence - self.comes)

    def labels(self, confidence: float, *, is_labelled: bool) -> bool:
        """Return whether a face has a label that had one, or had none, until now."""
        if is_labelled:
            return confidence >= self.goes
        return confidence >= self.comes
