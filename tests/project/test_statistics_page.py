"""The dashboard's page about the statistics: the text of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.web.rendering import HERE
from tests.support.dashboard import client_of, set_up
from tests.support.timeline import database
from tools.render_statistics import PAGE, SOURCES, render


def test_the_page_holds_the_text_of_the_documentation_as_it_is_now() -> None:
    assert PAGE.parent == HERE / "templates"
    made = render(*(one.read_text(encoding="utf-8") for one in SOURCES))
    assert PAGE.read_text(encoding="utf-8") == made, "run: python tools/render_statistics.py"


def test_sections_have_addresses_and_rows_of_tables_name_their_columns() -> None:
    text = "# Title\nFirst.\n\n## Why *so*?\n\n| a | b | c |\n|---|---|---|\n| 1 | <2 {{ x }} | |\n"
    page = render(text)
    assert "Title" not in page and "table-scroll" not in page
    assert '<li><a href="#why-em-so-em">' in page
    assert '<details class="fold" id="why-em-so-em">' in page
    assert '<table class="table table-stack">' in page and '<th scope="col">b</th>' in page
    assert (
        '<th scope="row">1</th>\n<td data-label="b:">&lt;2 {{ x }}</td>\n<td></td>\n</tr>' in page
    )


def test_the_page_is_read_after_a_login_without_a_network(tmp_path: Path) -> None:
    database(tmp_path)
    with client_of(tmp_path) as browser:
        assert browser.get("/analysis/statistics").status_code == 303
        set_up(browser, tmp_path)
        assert 'href="/analysis/statistics"' in browser.get("/analysis").text
        page = browser.get("/analysis/statistics").text
    assert '<details class="fold" id="one-person-one-number">' in page
    assert "<h3>One person, one number</h3>" in page
    assert "Hedges" in page and "37.5 %" in page
    assert not re.search(r'(?:src|href)="https?://', page)


def test_every_link_of_the_page_leads_to_a_section_or_a_page(tmp_path: Path) -> None:
    database(tmp_path)
    with client_of(tmp_path) as browser:
        set_up(browser, tmp_path)
        page = browser.get("/analysis/statistics").text
    places = set(re.findall(r'href="([^"]+)"', page))
    sections = set(re.findall(r'id="([^"]+)"', page))
    assert len({one for one in places if one.startswith("#")}) > 20
    assert not {one for one in places if one.startswith("#") and one[1:] not in sections}
    assert not {one for one in places if not one.startswith(("#", "/"))}
