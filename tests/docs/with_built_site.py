"""The site that `make docs` has built, which judges it by this: every page whole, nothing from
elsewhere, an index, and a search that finds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Page, expect

from tests.docs.pages import MORE, pages, text_of
from tests.support.browser import chromium
from tools.documents.build_site import BUILT, place_of

ALL = [*pages(), *MORE]
PARTS = re.compile(r"<(li|ol|ul|tr|pre|h1|h2|h3|img|blockquote)\b")
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]* src=\"?([^\s\">]+)|<link[^>]* href=\"?([^\s\">]+)"
)


@pytest.fixture(scope="module")
def site() -> Path:
    assert BUILT.is_dir(), "make docs builds it"
    return BUILT


def html_of(site: Path, page: str) -> str:
    place = place_of(page)
    html = (site / place).with_suffix(".html").read_text(encoding="utf-8")
    article = re.search(r"<article[^>]*>(.*)</article>", html, re.DOTALL)
    assert article
    return article[1]


@pytest.mark.parametrize("page", ALL)
def test_a_page_has_the_same_parts_as_where_commonmark_is_read(site: Path, page: str) -> None:
    markdown = MarkdownIt("commonmark").enable("table").render(text_of(page))
    assert Counter(PARTS.findall(html_of(site, page))) == Counter(PARTS.findall(markdown))


def test_codebook_of_the_site_is_shown_and_not_saved(site: Path) -> None:
    link = re.search(
        r"<a [^>]*href=\"([^\"]*/codebook\.html)\"[^>]*>", html_of(site, "docs/data.md")
    )
    assert link and "download=" not in link[0]
    assert '<h2 id="expression">' in (site / link[1]).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    texts = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]
    assert len(texts) > len(ALL)
    loaded = {one or other for text in texts for one, other in LOADED.findall(text)}
    assert len(loaded) > 5
    assert [address for address in loaded if re.match(r"(\w+:)?//", address)] == []


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("back up", "backup.html"),
        ("two people", "faq.html"),
        ("network", "dashboard.html"),
        ("chest strap", "sensors.html"),
        ("synchronous", "data.html"),
    ],
)
def test_search_of_the_site_shows_the_page_first(
    site: Path, page: Page, words: str, place: str
) -> None:
    page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
    expect(page.locator("#search-results .search a").first).to_have_attribute(
        "href", re.compile(f"^{re.escape(place)}")
    )


def test_site_has_an_index_and_the_changelog(site: Path) -> None:
    index = (site / "genindex.html").read_text(encoding="utf-8")
    assert '<a href="faq.html#index-' in index
    for name in ("index.html", "backup.html"):
        text = (site / name).read_text(encoding="utf-8")
        assert 'href="genindex.html"' in text
        assert 'href="changelog.html"' in text
