"""The security table: every provision has a row, and every row tests or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security/provisions.md").read_text(encoding="utf-8")
OLDER = PAGE.partition("\n## ETSI EN 303 645 V2.1.1\n")[2].partition("\n## ")[0]
# How many provisions each clause of ETSI EN 303 645 V2.1.1 has.
CLAUSES = {
    "5.1": 5,
    "5.2": 3,
    "5.3": 16,
    "5.4": 4,
    "5.5": 8,
    "5.6": 9,
    "5.7": 2,
    "5.8": 3,
    "5.9": 3,
    "5.10": 1,
}
CLAUSES |= {"5.11": 4, "5.12": 3, "5.13": 1, "6": 5}
NUMBER = r"(?:5\.\d+|6)-\d+"
ROWS = re.findall(
    rf"^\| ({NUMBER}(?:, {NUMBER})*) ([^|]*)\|([^|]*)\|(?:([^|]*)\|)?$", OLDER, re.MULTILINE
)
"""Provisions, subject and reason; or provisions, subject, how they are met, and tests."""


def known_tests() -> set[str]:
    files = [*(ROOT / "tests").rglob("test_*.py"), ROOT / "tests/appliance/on_debian.py"]
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }


def test_every_provision_has_one_row() -> None:
    wanted = [
        f"{clause}-{number}" for clause, count in CLAUSES.items() for number in range(1, count + 1)
    ]
    assert sorted(", ".join(row[0] for row in ROWS).split(", ")) == sorted(wanted)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_row_has_a_test_that_is_there_or_a_reason(row: tuple[str, str, str, str]) -> None:
    _, subject, reason, proof = (cell.strip() for cell in row)
    named = re.findall(r"`(test_\w+)`", proof)
    assert subject and reason
    assert bool(named) == bool(proof), "tests in the third column"
    assert set(named) <= known_tests()
