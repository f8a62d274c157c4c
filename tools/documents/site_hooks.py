"""What turns the pages of the repository into a site: pages and files outside ``docs`` come along.

MkDocs reads only its own folder. Pages beside it get a place in the site, files that pages link to
are copied, and every link between them is changed to where its target lies there. A link to
anything else ends the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "training/README.md": "training/index.md",
    "training/RESULTS.md": "training/results.md",
}
"""Page outside ``docs`` → its place in the site."""
FILES = {
    "config/affect-edge.toml": "files/affect-edge.toml",
    "benchmarks/bars.toml": "files/bars.toml",
    "container/fleet/kubernetes/kustomization.yaml": "files/kustomization.yaml",
    "dashboard/protocols/examples/anger-happiness-neutral.toml": (
        "files/anger-happiness-neutral.toml"
    ),
    "dashboard/protocols/examples/three-conditions.toml": "files/three-conditions.toml",
    "edge_agent/vision/quality.py": "files/quality.py",
    "tests/unit/timeline/database/test_upgrade.py": "files/test_upgrade.py",
}
"""File that a page links to, or the site needs → its place in the site."""
PLACES = PAGES | FILES
FOLDERS = {"docs/models": "models/expression.md"}
"""Folder that a page links to → the page that is shown for it."""
SOURCES = {place: source for source, place in PAGES.items()}
LINK = re.compile(r"(?P<before>\]\(|^\[[^\]\n]+\]: )(?P<target>[^)\s]+)", re.MULTILINE)
LIST = re.compile(r"(?:[-*+]|\d+\.) ")
IN_A_LIST = re.compile(r" {7}\s*\S")
FENCE = re.compile(r"\s*(?:```|~~~)")


def place_of(source: str) -> str:
    """Return where a file of the repository lies in the site.

    Raises:
        PluginError: it is not part of the site.
    """
    if source in FOLDERS:
        return FOLDERS[source]
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source not in PLACES:
        raise PluginError(f"{source} is not part of the site: name it in {Path(__file__).name}")
    return PLACES[source]


def with_links(text: str, source: str) -> str:
    """Return the text of a page with its links as they are in the site.

    Args:
        text: in Markdown.
        source: path of the page in the repository.
    """
    place = place_of(source)

    def changed(link: re.Match[str]) -> str:
        parts = urlsplit(link["target"])
        if parts.scheme or not parts.path:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), parts.path))
        path = posixpath.relpath(place_of(target), posixpath.dirname(place) or ".")
        return link["before"] + path + (f"#{parts.fragment}" if parts.fragment else "")

    return LINK.sub(changed, text)


def as_python_markdown(text: str) -> str:
    """Return a text that Python-Markdown reads as CommonMark does.

    It needs a blank line before a list, and eight blanks, not seven, before code within one.
    """
    lines: list[str] = []
    fenced = in_a_list = False
    for line in text.split("\n"):
        before = lines[-1] if lines else ""
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and LIST.match(line):
            if before and not in_a_list:
                lines.append("")
            in_a_list = True
        elif line and not before and not line.startswith(" "):
            in_a_list = False
        lines.append(f" {line}" if IN_A_LIST.match(line) and not fenced else line)
    return "\n".join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files from outside of ``docs``."""
    for source, place in PLACES.items():
        file = File.generated(config, place, abs_src_path=str(ROOT / source))
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_more: Any) -> str:
    """Change the links of a page, and what Python-Markdown reads in another way."""
    place = page.file.src_uri
    return as_python_markdown(with_links(markdown, SOURCES.get(place, f"docs/{place}")))
