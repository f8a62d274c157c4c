"""The colours of the style sheet, as far as a standard decides them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

import dashboard

SHEET = Path(dashboard.__file__).parent / "web/static/app.css"
LEAST = 3.0
"""Contrast of the edge of a field with its ground: WCAG 2.2, 1.4.11."""


def tokens(scheme: int) -> dict[str, str]:
    """Return the colours of light (0) or dark (1)."""
    blocks = SHEET.read_text("utf-8").split(":root {")[1:]
    return dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6});", blocks[scheme].split("}")[0]))


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, as WCAG 2.2 defines it."""
    parts = [int(colour[a:b], 16) / 255 for a, b in pairwise((1, 3, 5, 7))]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["--surface", "--ground", "--surface-sunken"])
def test_edge_of_a_field_is_seen_on_every_ground(scheme: int, ground: str) -> None:
    colours = tokens(scheme)
    one, other = luminance(colours["--line-field"]), luminance(colours[ground])
    assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= LEAST
