"""A bundle's ``responses.csv``, which ``analysis.R --responses`` computes again."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard.analysis.question import AnalysisQuery
from dashboard.computing.answers import Inquiry, compute, tables_of
from edge_agent.core.readings import VitalFlag
from tests.support.script_studies import example, left_out, unpacked
from tests.support.timeline import reading, session_row, timeline

Key = tuple[str, str, str, str, float | None]
Make = Callable[[Path], None]


def gaps(path: Path) -> None:
    """Seven people with a strap that lost contact, a watch, events near each other, and doubts."""
    sessions, readings = [], []
    for person in range(7):
        start = 2000 * person
        labels = ("anger", "neutral") if person % 2 else ("neutral", "anger")
        begins = zip((20, 100, 125 + 10 * person), (*labels, "happiness"), strict=True)
        events = [(start + at, start + at + 2, label) for at, label in begins]
        sessions.append(session_row(start, start + 260, *events, participant=f"P{person}"))
        for second in range(260):
            value = 70 + person + (second * 7919 * (person + 1)) % 17 / 10
            is_doubtful = second % 11 == person
            flags = [VitalFlag.POOR_SIGNAL] if is_doubtful else []
            if not (person == 3 and 110 <= second < 118):
                readings.append(reading(start + second + 0.3, value, flags=flags))
            readings.append(reading(start + 1.37 * second, value + 9, source="watch"))
    timeline(path, session=sessions, vital=readings)


def numbers_of(text: str) -> dict[Key, float]:
    """Return each number by vital, event, participant, name and time."""
    return {
        (
            *(row["vital"], row["event"], row["participant"], row["name"]),
            float(row["at_s"]) if row["at_s"] else None,
        ): float(row["value"])
        for row in csv.DictReader(io.StringIO(text))
    }


@pytest.mark.parametrize(
    ("make", "question", "words"),
    [
        pytest.param(example, {}, (), marks=pytest.mark.deep),
        (
            example,
            {"vital": ["heart_rate", "smile"]},
            ("--vital", "heart_rate", "--vital", "smile"),
        ),
        pytest.param(left_out, {}, (), marks=pytest.mark.deep),
        (gaps, {}, ("--prefer-source", "strap")),
    ],
)
def test_responses_table_of_a_bundle_is_computed_again_in_r(
    make: Make, question: dict[str, object], words: tuple[str, ...], tmp_path: Path
) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    database, folder = unpacked(make, tmp_path)
    preferred = ("strap",) if "strap" in words else ()
    inquiry = Inquiry((("", database),), AnalysisQuery.model_validate(question), (), preferred)
    expected = numbers_of(tables_of(inquiry, compute(inquiry))["responses.csv"])
    command = [program, "--vanilla", str(folder / "analysis.R"), "--responses", *words]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, text=True)
    assert done.returncode == 0, done.stderr
    found = numbers_of(done.stdout)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-9), key
    assert any(name == "mean" for _, _, _, name, _ in expected)
