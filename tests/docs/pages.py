"""The pages of the documentation, and what is in them: blocks of code, links, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tools.documents import reference

ROOT = Path(__file__).resolve().parents[2]
TOP = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "training/README.md")
MORE = ("training/RESULTS.md",)
"""Pages whose links are checked, and whose commands belong to runs of long ago."""
_HEADING = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: path from the root of the project.
        line: its first line in the page, from 1.
        kind: what the fence names, such as ``json``; empty for an indented block.
        text: what stands in it.
    """

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return every page for readers, as paths from the root of the project."""
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("**/*.md")}
    return [*TOP, *sorted(found | set(reference.made_pages()))]


def text_of(page: str) -> str:
    """Return a page as readers see it, with the parts that are made."""
    return reference.text_of(page)


@cache
def tokens_of(page: str) -> list[Token]:
    """Return a page as a Markdown parser sees it, tables included."""
    return MarkdownIt("commonmark").enable("table").parse(text_of(page))


def blocks_of(page: str) -> Iterator[Block]:
    for token in tokens_of(page):
        if token.type in {"fence", "code_block"}:
            start = token.map[0] + 1 if token.map else 0
            yield Block(page, start, token.info.strip(), token.content)


def inline_of(page: str) -> Iterator[Token]:
    """Return the pieces of running text of a page: links, code, pictures, words."""
    for token in tokens_of(page):
        yield from token.children or ()


def inline_code_of(page: str) -> list[str]:
    return [token.content for token in inline_of(page) if token.type == "code_inline"]


def links_of(page: str) -> list[str]:
    found = []
    for token in inline_of(page):
        target = token.attrGet("href" if token.type == "link_open" else "src")
        if token.type in {"link_open", "image"} and target is not None:
            found.append(str(target))
    return found


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    found: dict[str, int] = {}
    tokens = tokens_of(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(child.content for child in inline.children or ())
            anchor = _HEADING.sub("", words.strip().lower()).replace(" ", "-")
            found[anchor] = found.get(anchor, 0) + 1
    repeated = {f"{anchor}-{n}" for anchor, times in found.items() for n in range(1, times)}
    return frozenset(found) | repeated
