"""What a template asks for stands in the record of its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.page_records import missing_names

SHARED = """
environment.globals.update(version=1)
class EveryPage(PageRecord):
    path: str
class Beside(PageRecord):
    unit: str
class Page(PageRecord):
    template = "page.html"
    beside = (Beside,)
    rows: list[str]
"""
BASE = "{% macro head(text) %}{{ text }}{{ version }}{% endmacro %}{% block body %}{% endblock %}"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("{{ head(path) }}{% for row in rows %}{{ row|words }}{{ unit }}{% endfor %}", []),
        ("{% set rest = rows %}{{ rest if rest is defined else later }}", ["later"]),
        ("{{ later if later is defined }}", []),
        ("{% include '_part.html' %}", ["weather"]),
        ("{% from '_macros.html' import fold as folded %}{{ folded(rows) }}", ["depth"]),
    ],
    ids=["known", "not-there", "asked-whether-it-is", "in-an-included-part", "in-a-macro"],
)
def test_name_that_no_record_has_is_reported(text: str, missing: list[str], tmp_path: Path) -> None:
    dashboard = tmp_path / "dashboard"
    dashboard.mkdir()
    for name, content in {
        "pages.py": SHARED,
        "base.html": BASE,
        "page.html": f"{{% extends 'base.html' %}}{{% block body %}}{text}{{% endblock %}}",
        "_part.html": "{{ weather }}",
        "_macros.html": "{% macro fold(rows) %}{{ rows }}{{ depth }}{% endmacro %}",
    }.items():
        (dashboard / name).write_text(content, encoding="utf-8")

    assert [one.split()[1] for one in missing_names(tmp_path)] == missing
