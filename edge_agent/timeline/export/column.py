"""The description of one column of an exported file; light, for the dashboard's questions name
theirs, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file; ``type`` is that of the Table Schema standard."""

    name: str
    type: str
    description: str
    unit: str | None = None
    allowed: tuple[str, ...] = ()

    def as_field(self) -> dict[str, Any]:
        """Return the column as a field of a Table Schema (frictionlessdata.io)."""
        field: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "description": self.description,
        }
        if self.unit:
            field["unit"] = self.unit
        if self.allowed:
            field["constraints"] = {"enum": list(self.allowed)}
        if self.type == "boolean":
            field |= {"trueValues": ["1"], "falseValues": ["0"]}
        if self.type == "datetime":
            field["format"] = "%Y-%m-%dT%H:%M:%S.%fZ"
        return field
