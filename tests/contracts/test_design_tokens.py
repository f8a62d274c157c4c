"""Colours, sizes of text, widths of lines and round corners are tokens of ``app.css``: other rules,
templates and scripts name them. The page of participants has a ``:root`` of its own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboard.web.delivery import STATIC

TEMPLATES = STATIC.parents[1]
_ROOT = re.compile(r":root \{.*?\}", re.DOTALL)
_COLOUR = r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\([\d ]"
_SIZE = r"(?:font-size: |stroke-width: |border-radius: )[\d.]+(?:rem|px|;| \})"
_OF_DRAWINGS = re.compile(r"(?<=text \{ )font-size: \d+px|(?<=figure-title \{ )font-size: \d+px")
"""Text of a drawing is measured in the drawing's own units."""
_FLAT = "border-radius: 0;"
_OF_PARTICIPANTS = "participate.css"
"""It stands alone, and its sizes follow the window."""


@pytest.mark.parametrize("sheet", sorted(STATIC.glob("*.css")), ids=lambda path: path.name)
def test_style_sheet_writes_no_colour_or_size_outside_its_tokens(sheet: Path) -> None:
    text = _OF_DRAWINGS.sub("", _ROOT.sub("", sheet.read_text(encoding="utf-8")))
    literal = _COLOUR if sheet.name == _OF_PARTICIPANTS else f"{_COLOUR}|{_SIZE}"
    assert re.findall(literal, text.replace(_FLAT, "")) == []


def test_style_sheet_names_only_tokens_that_exist() -> None:
    sheets = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
    scripts = " ".join(path.read_text(encoding="utf-8") for path in (STATIC / "js").glob("*.js"))
    known = set(re.findall(r"(--[\w-]+):", " ".join(sheets.values())))
    known |= set(re.findall(r'"(--[\w-]+)"', scripts))
    named = set(re.findall(r"var\((--[\w-]+)", " ".join(sheets.values())))
    assert named - known == set()


def test_templates_and_scripts_write_no_style_of_their_own() -> None:
    found = []
    for path in [*TEMPLATES.rglob("*.html"), *(STATIC / "js").glob("*.js")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"[ <]style=|<style|" + _COLOUR, line) and "theme-color" not in line:
                found.append(f"{path.name}: {line.strip()[:80]}")
    assert found == []
