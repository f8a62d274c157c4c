"""Pointers of the documents into the code: files, files beside them, names in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import MORE, ROOT, pages, text_of
from tools.style import tracked

HISTORY = "CHANGELOG.md"
PAGES = [page for page in (*pages(), *MORE) if page != HISTORY]
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[\w./-]+\.(?:py|js|css|sql|jinja)")
PLACEHOLDER = re.compile(r"(?:^|[/_])[A-Z]{4,}(?=[/_.]|$)")
"""Such as NAME in the path of a file that somebody is going to write."""
NAMES_BEFORE = re.compile(r"(`\w+`(?: and `\w+`)*) (?:in|of) `([\w./-]+\.py)`")
NAMES_BEHIND = re.compile(r"`([\w./-]+\.py)` \((`\w+`(?:, `\w+`)*)\)")


@cache
def files() -> frozenset[str]:
    return frozenset(path.relative_to(ROOT).as_posix() for path in tracked("*"))


def matching(name: str) -> list[str]:
    """Return the files that a path, or the end of one, may mean."""
    return [file for file in files() if file == name or file.endswith(f"/{name}")]


def is_in(name: str, file: str) -> bool:
    return bool(re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")))


def paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with the folder of the last full path before a file that has none."""
    folder = ""
    for line in text.split("\n"):
        yield line, folder
        for code in CODE.findall(line):
            if FILE.fullmatch(code) and "/" in code and len(found := matching(code)) == 1:
                folder = found[0].rpartition("/")[0]


def faults_in(text: str) -> list[str]:
    """Return what is wrong with the pointers of a page, or of a part of one."""
    faults = []
    for line, before in paragraphs(text):
        folder = before
        for code in CODE.findall(line):
            if not FILE.fullmatch(code) or PLACEHOLDER.search(code):
                continue
            if not (found := matching(code)):
                faults.append(f"{code}: there is no such file")
            elif "/" in code:
                folder = found[0].rpartition("/")[0]
            elif f"`{code}` beside it" in line and f"{folder}/{code}" not in files():
                faults.append(f"{code}: it does not lie in {folder}")
        pointers = [(names, file) for names, file in NAMES_BEFORE.findall(line)]
        pointers += [(names, file) for file, names in NAMES_BEHIND.findall(line)]
        for names, file in pointers:
            faults += [
                f"{name}: {file} has no such name"
                for name in CODE.findall(names)
                if (found := matching(file)) and not any(is_in(name, one) for one in found)
            ]
    return faults


@pytest.mark.parametrize("page", PAGES)
def test_pointers_of_the_page_lead_to_files_and_names(page: str) -> None:
    assert faults_in(text_of(page)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("`edge_agent/core/nowhere.py`", "there is no such file"),
        ("`edge_agent/core/clock.py`\n`schema.sql` beside it", "does not lie in edge_agent/core"),
        ("`Nowhere` in `edge_agent/core/clock.py`", "has no such name"),
        ("`edge_agent/core/clock.py` (`Clock`, `Nowhere`)", "has no such name"),
    ],
)
def test_pointer_to_nothing_is_named(text: str, fault: str) -> None:
    assert fault in "".join(faults_in(text))


def test_pointer_of_a_file_to_be_written_is_left_out() -> None:
    assert faults_in("`edge_agent/camera/NAME.py`, `tests/test_ROOM.py`") == []
