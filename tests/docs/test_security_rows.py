"""The security pages of OWASP ASVS and of the newer EN 303 645: no requirement lacks a verdict, and
each named test is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain

import pytest

from tests.docs.pages import ROOT, text_of

PAGE = "docs/security/provisions.md"
ASVS = "OWASP ASVS"
NEWER = "ETSI EN 303 645 V3"
"""How the titles of its two parts begin."""
VERDICTS = ("met", "met, no test", "not met", "not applicable")
ROW = re.compile(r"^\| (\d[\d., –]*) \|(?: ([12]) \|)? ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def part_of(page: str, part: str) -> str:
    """Return the text of the part of a page whose title begins so."""
    parts = re.split(r"^## ", text_of(page), flags=re.MULTILINE)
    (text,) = (one for one in parts if one.startswith(part))
    return text


def sections_of(part: str) -> Iterator[tuple[str, str]]:
    """Yield title and text of each section of a part."""
    _, *sections = re.split(r"^### ", part_of(PAGE, part), flags=re.MULTILINE)
    for section in sections:
        title, _, text = section.partition("\n")
        yield title, text


def rows_of(part: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield verdict, requirements, level, subject and proof of each row, from all sections."""
    for title, text in sections_of(part):
        verdict, _, level_of_all = title.lower().partition(", level ")
        for requirements, level, subject, proof in ROW.findall(text):
            yield verdict, requirements, level or level_of_all, subject, proof


ROWS = list(rows_of(ASVS))
# Requirements of levels 1 and 2 by section of ASVS 5.0.0: the first and the last number of each
# run. Those of level 3 lie between and are left out.
SECTIONS = {
    "1.1": "1-2", "1.2": "1-9", "1.3": "1-11", "1.4": "1-3", "1.5": "1-2",
    "2.1": "1-3", "2.2": "1-3", "2.3": "1-4", "2.4": "1",
    "3.2": "1-2", "3.3": "1-4", "3.4": "1-6", "3.5": "1-5", "3.7": "1-2",
    "4.1": "1-3", "4.2": "1", "4.3": "1-2", "4.4": "1-4",
    "5.1": "1", "5.2": "1-3", "5.3": "1-2", "5.4": "1-3",
    "6.1": "1-3", "6.2": "1-12", "6.3": "1-4", "6.4": "1-4", "6.5": "1-5", "6.6": "1-3",
    "6.8": "1-4",
    "7.1": "1-3", "7.2": "1-4", "7.3": "1-2", "7.4": "1-5", "7.5": "1-2", "7.6": "1-2",
    "8.1": "1-2", "8.2": "1-3", "8.3": "1", "8.4": "1",
    "9.1": "1-3", "9.2": "1-4",
    "10.1": "1-2", "10.2": "1-2", "10.3": "1-4", "10.4": "1-11", "10.5": "1-5", "10.6": "1-2",
    "10.7": "1-3",
    "11.1": "1-2", "11.2": "1-3", "11.3": "1-3", "11.4": "1-4", "11.5": "1", "11.6": "1",
    "12.1": "1-3", "12.2": "1-2", "12.3": "1-4",
    "13.1": "1", "13.2": "1-5", "13.3": "1-2", "13.4": "1-5",
    "14.1": "1-2", "14.2": "1-4", "14.3": "1-3",
    "15.1": "1-3", "15.2": "1-3", "15.3": "1-7",
    "16.1": "1", "16.2": "1-5", "16.3": "1-4", "16.4": "1-3", "16.5": "1-3",
    "17.1": "1", "17.2": "1-4", "17.3": "1-2",
}  # fmt: skip
OF_LEVEL_1, OF_LEVEL_2 = 70, 183
"""How many there are, as the standard counts them."""


def numbers_of(section: str, run: str) -> list[str]:
    first, _, last = run.partition("-")
    return [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]


def requirements_of(cell: str) -> list[str]:
    """Return the requirements of a row, such as ``5.4.1, 5.4.2`` or ``4.4.2–4.4.4``."""
    found = []
    for part in cell.split(", "):
        first, _, last = part.partition("–")
        section, number = first.rsplit(".", 1)
        assert not last or last.startswith(f"{section}."), "a run stays within its section"
        found += numbers_of(section, f"{number}-{last.rpartition('.')[2] or number}")
    return found


VERDICT_OF = {
    number: (verdict, level)
    for verdict, cell, level, *_ in ROWS
    for number in requirements_of(cell)
}
COUNTED = Counter(VERDICT_OF.values())


def test_every_requirement_of_both_levels_has_one_verdict() -> None:
    wanted = list(chain.from_iterable(numbers_of(*item) for item in SECTIONS.items()))
    found = list(chain.from_iterable(requirements_of(cell) for _, cell, *_ in ROWS))
    assert sorted(found) == sorted(wanted)
    levels = Counter(level for _, level in VERDICT_OF.values())
    assert levels == {"1": OF_LEVEL_1, "2": OF_LEVEL_2}
    lines = [line for line in part_of(PAGE, ASVS).splitlines() if re.match(r"\| \d", line)]
    assert len(lines) == len(ROWS), "a row that is not understood"


@pytest.mark.parametrize("row", ROWS, ids=[cell for _, cell, *_ in ROWS])
def test_every_row_has_a_test_or_a_reason(row: tuple[str, ...]) -> None:
    verdict, *_, proof = row
    assert verdict in VERDICTS
    check_proof(verdict, proof)


def check_proof(verdict: str, proof: str) -> None:
    """Refuse a verdict without its test or reason."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", proof)
    assert bool(named) == (verdict == "met"), "a test for what is met, a reason for the rest"
    for file, name in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file} has no {name}"
    if not named:
        assert len(proof.split()) >= 2, "a reason"


def test_the_table_on_top_counts_the_verdicts() -> None:
    for verdict in VERDICTS:
        line = f"| {verdict} | {COUNTED[verdict, '1']} | {COUNTED[verdict, '2']} |"
        assert line in part_of(PAGE, ASVS)


def test_the_security_page_says_the_same_figures() -> None:
    counted = Counter(verdict for verdict, _ in VERDICT_OF.values())
    assert (
        f"all {len(VERDICT_OF)} requirements by its numbers | {counted['met']} met by a test, "
        f"{counted['met, no test']} without one, {counted['not met']} not met, "
        f"{counted['not applicable']} not applicable |"
    ) in text_of("docs/security.md")


NUMBER = r"(?:5\.\d+|6)-\d+[AB]?"
ADDED_ROW = re.compile(
    rf"^\| ({NUMBER}(?:, {NUMBER})*) \| [MR] \| [^|]+ \| ([^|]+) \|$", re.MULTILINE
)
ADDED = [
    (title.lower(), requirements, proof)
    for title, text in sections_of(NEWER)
    for requirements, proof in ADDED_ROW.findall(text)
]
ONLY_IN_THE_NEWER = (
    *("5.0-1", "5.1-2A", "5.3-4A", "5.3-4B", "5.3-6A", "5.3-6B", "5.3-15A", "5.3-15B"),
    *("5.6-4A", "5.6-4B", "5.13-1A", "5.13-1B", "6-3A", "6-3B", "6-6", "6-7", "6-8"),
)
"""Numbers of table B.1 of V3.1.3 that V2.1.1 does not have."""


def test_each_number_that_only_the_newer_version_has_has_one_row() -> None:
    found = ", ".join(requirements for _, requirements, _ in ADDED).split(", ")
    assert sorted(found) == sorted(ONLY_IN_THE_NEWER)


@pytest.mark.parametrize("row", ADDED, ids=[requirements for _, requirements, _ in ADDED])
def test_every_row_of_newer_version_has_a_verdict_with_a_test_or_a_reason(
    row: tuple[str, str, str],
) -> None:
    verdict, _, proof = row
    assert verdict in VERDICTS
    check_proof(verdict, proof)


def test_the_verdicts_of_the_newer_version_are_counted() -> None:
    counted: Counter[str] = Counter()
    for verdict, requirements, _ in ADDED:
        counted[verdict] += len(requirements.split(", "))
    for verdict, number in counted.items():
        assert f"| {verdict} | {number} |" in part_of(PAGE, NEWER)
    assert (
        f"the {counted.total()} provisions that only it has | {counted['met']} met by a test, "
        f"{counted['not met']} not met, {counted['not applicable']} not applicable;"
    ) in text_of("docs/security.md")
