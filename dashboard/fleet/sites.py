"""The sites of a study, as everybody hands them on."""

from __future__ import annotations

from pathlib import Path

Sites = tuple[tuple[str, Path], ...]
"""Name and database of each site; one without a name is an appliance's own."""
