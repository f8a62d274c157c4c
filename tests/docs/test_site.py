"""The site of the documentation: built without a warning, with nothing from elsewhere."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.pages import MORE, ROOT, pages, text_of

pytest.importorskip("mkdocs", reason="the extra docs is not installed (pip install '.[docs]')")
hooks = importlib.import_module("tools.documents.site_hooks")

CONFIG = ROOT / "tools/documents/mkdocs.yml"
ALL = [*pages(), *MORE]
PARTS = re.compile(r"<(li|ol|ul|tr|pre|code|h1|h2|h3|img|blockquote)\b")
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]* src=\"?([^\s\">]+)|<link[^>]* href=\"?([^\s\">]+)"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = ["mkdocs", "build", "--strict", "-f", str(CONFIG), "-d", str(folder)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", *build],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def html_of(site: Path, page: str) -> str:
    place = hooks.place_of(page)
    html = (site / place).with_suffix(".html").read_text(encoding="utf-8")
    article = re.search(r"<article[^>]*>(.*)</article>", html, re.DOTALL)
    assert article
    return article[1]


@pytest.mark.parametrize("page", ALL)
def test_a_page_has_the_same_parts_as_where_commonmark_is_read(site: Path, page: str) -> None:
    markdown = MarkdownIt("commonmark").enable("table").render(text_of(page))
    assert Counter(PARTS.findall(html_of(site, page))) == Counter(PARTS.findall(markdown))


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    texts = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]
    assert len(texts) > len(ALL)
    loaded = {one or other for text in texts for one, other in LOADED.findall(text)}
    assert len(loaded) > 5
    assert [address for address in loaded if re.match(r"(\w+:)?//", address)] == []


def test_a_link_to_what_is_not_in_the_site_ends_the_build() -> None:
    with pytest.raises(Exception, match=r"tools/rooms\.py is not part of the site"):
        hooks.with_links("[rooms](../tools/rooms.py)", "docs/architecture.md")


def test_a_link_leads_to_the_place_of_its_target() -> None:
    text = "[a](../SECURITY.md#contact) [b](data.md) [c](#here)\n[d]: ../config/affect-edge.toml\n"
    assert hooks.with_links(text, "docs/mqtt.md") == (
        "[a](security-policy.md#contact) [b](data.md) [c](#here)\n[d]: files/affect-edge.toml\n"
    )
    assert hooks.with_links("[i](../docs/data.md)", "training/README.md") == "[i](../data.md)"
