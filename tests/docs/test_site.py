"""The site of the documentation: built without a warning, with nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Page, expect

from tests.docs.pages import MORE, ROOT, pages, text_of
from tests.support.browser import chromium
from tools.documents.build_site import index_entry, place_of, with_links

pytest.importorskip("sphinx", reason="the extra docs is not installed (pip install '.[docs]')")

ALL = [*pages(), *MORE]
PARTS = re.compile(r"<(li|ol|ul|tr|pre|h1|h2|h3|img|blockquote)\b")
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]* src=\"?([^\s\">]+)|<link[^>]* href=\"?([^\s\">]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tools.documents.build_site", "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


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


def test_a_link_to_what_is_not_in_the_site_ends_the_build() -> None:
    with pytest.raises(Exception, match=r"tools/rooms\.py is not part of the site"):
        with_links("[rooms](../tools/rooms.py)", "docs/architecture.md")


def test_a_link_leads_to_the_place_of_its_target() -> None:
    text = "[a](../SECURITY.md#contact) [b](data.md) [c](#here)\n[d]: ../config/affect-edge.toml\n"
    assert with_links(text, "docs/mqtt.md") == (
        "[a](security-policy.md#contact) [b](data.md) [c](#here)\n[d]: files/affect-edge.toml\n"
    )
    assert with_links("[i](../docs/data.md)", "training/README.md") == "[i](../data.md)"


@pytest.mark.parametrize(
    ("heading", "entry"),
    [
        ("Can two people be in view?", "two people in view"),
        ("2. The `protocol`", "protocol"),
        ("[What a loss](data.md) says", "loss says"),
        ("Whatever", "Whatever"),
    ],
)
def test_heading_is_listed_by_the_word_one_looks_for(heading: str, entry: str) -> None:
    assert index_entry(heading) == entry


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
