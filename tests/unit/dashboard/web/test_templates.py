"""The text of templates, as far as no single page shows it."""

from __future__ import annotations

import re
from pathlib import Path

import dashboard

TEMPLATES = Path(dashboard.__file__).parent
ELEMENT = re.compile(r"<(p|li|dd|dt|td|th|span|label)\b[^>]*>(?:(?!</\1>).)*?</\1>", re.DOTALL)
# The newline behind a block goes, and the blanks before the next one.
TOUCHING = re.compile(
    r"[.\w]\{% endtrans %\}(?:</span>)?(?:\{% endif %\})*[ \t]*\n[ \t]*"
    r"(?:\{% (?:if \w|trans)[^%]*%\}(?:\{% trans[^%]*%\}|<span class=\"badge)|\w)"
)


def test_templates_sentences_on_two_lines_keep_a_space_between() -> None:
    touching = [
        (file.name, found[0])
        for file in sorted(TEMPLATES.rglob("*.html"))
        for element in ELEMENT.finditer(file.read_text("utf-8"))
        for found in TOUCHING.finditer(element[0])
    ]
    assert touching == []
