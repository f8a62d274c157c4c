"""Sentences of the documentation: none is longer than a reader can hold."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import pages, text_of, tokens_of

MOST_WORDS = 60
PAGES = [page for page in pages() if page != "CHANGELOG.md"]
END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z“\"(]|\w+: )")
WORD = re.compile(r"[\w’'-]+")


def sentences(page: str) -> Iterator[str]:
    """Yield the sentences of a page; a piece of code counts as one word."""
    for token in tokens_of(page):
        parts = []
        for child in token.children or ():
            if child.type == "code_inline":
                parts.append("Code")
            elif child.type in {"softbreak", "hardbreak"}:
                parts.append(" ")
            elif child.type == "text":
                parts.append(child.content)
        yield from END.split("".join(parts))


@pytest.mark.parametrize("page", PAGES)
def test_sentences_of_the_page_have_sixty_words_at_most(page: str) -> None:
    assert [one for one in sentences(page) if len(WORD.findall(one)) > MOST_WORDS] == []


def test_sentences_are_read_from_a_page() -> None:
    lengths = [len(WORD.findall(one)) for one in sentences("README.md")]
    assert 50 < sum(lengths) < len(text_of("README.md").split()) * 2
    assert max(lengths) > 10
