"""The security table: every provision has a row, and every row a test or a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
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
ROWS = re.findall(r"^\| ((?:5\.\d+|6)-\d+) ([^|]*)\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)
EXCUSES = ("Reason: ", "Not applicable: ", "Not met: ")


def known_tests() -> set[str]:
    files = [*(ROOT / "tests").rglob("test_*.py"), ROOT / "tests/appliance/on_debian.py"]
    return {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }


def test_every_provision_has_its_row_in_order() -> None:
    wanted = [
        f"{clause}-{number}" for clause, count in CLAUSES.items() for number in range(1, count + 1)
    ]
    assert [row[0] for row in ROWS] == wanted


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_row_has_a_test_that_is_there_or_a_reason(row: tuple[str, str, str, str]) -> None:
    _, title, how, proof = (cell.strip() for cell in row)
    named = re.findall(r"`(test_\w+)`", proof)
    assert title
    if named:
        assert how and set(named) <= known_tests()
    else:
        assert proof.startswith(EXCUSES), f"neither a test nor a reason: {proof}"
