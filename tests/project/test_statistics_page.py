"""The dashboard's page about the statistics: the text of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.web.rendering import HERE
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import database
from tools.render_statistics import PAGE, SOURCE, render


def test_the_page_holds_the_text_of_the_documentation_as_it_is_now() -> None:
    assert PAGE.parent == HERE / "templates"
    made = render(SOURCE.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == made, "run: python tools/render_statistics.py"


def test_sections_have_addresses_and_tables_scroll_on_a_phone() -> None:
    page = render("# Title\nFirst.\n\n## Why *so*?\n\n| a | b |\n|---|---|\n| 1 | <2 {{ x }} |\n")
    assert "Title" not in page
    assert '<li><a href="#why-em-so-em">' in page and '<h2 id="why-em-so-em">' in page
    assert re.search(
        r'<div class="table-scroll"[^>]*><table class="table">.*&lt;2 {{ x }}.*</table></div>',
        page,
        re.S,
    )


def test_the_page_is_read_after_a_login_without_a_network(tmp_path: Path) -> None:
    database(tmp_path)
    with client_of(tmp_path) as browser:
        assert browser.get("/analysis/statistics").status_code == 303
        set_up(browser, tmp_path)
        assert 'href="/analysis/statistics"' in browser.get("/analysis").text
        page = browser.get("/analysis/statistics").text
    assert '<h2 id="one-person-one-number">One person, one number</h2>' in page
    assert "Hedges" in page and "37.5 %" in page
    assert not re.search(r'(?:src|href)="https?://', page)
