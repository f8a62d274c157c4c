"""A bundle's ``responses.csv`` and ``coupling.csv``, which ``analysis.R`` computes again."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard.computing.answers import analysis_files
from dashboard.questions.entry import Inquiry
from dashboard.questions.register import QUESTIONS
from dashboard.questions.responses.answer import ALWAYS_DRAWN
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.export.rows import ExportChoice
from tests.support.script_studies import example, left_out, unpacked
from tests.support.timeline import (
    Row,
    expression,
    movement_row,
    reading,
    row,
    session_row,
    timeline,
)

DIGITS = 1e-9
Key = tuple[str, ...]
Make = Callable[[Path], None]
COUPLING = next((one for one in QUESTIONS if one.name == "coupling"), None)
KINDS = ("heart_rate", "anger", "labelled_anger", "smile", "sam_valence")


def gaps(path: Path) -> None:
    """Ten people with a strap that lost contact, a watch, events near each other, doubts, faces
    that were away, a slider of valence, and labels in other spellings; the last one was measured
    for a few seconds.
    """
    sessions, readings, said, moved = [], [], [], []
    faces: list[Row] = []
    for person in range(10):
        start = 2000 * person
        labels = ("anger", "neutral") if person % 2 else ("neutral", "Anger")
        begins = zip((20, 100, 125 + 10 * person), (*labels, "happiness"), strict=True)
        events = [(start + at, start + at + 2, label) for at, label in begins]
        sessions.append(session_row(start, start + 260, *events, participant=f"P{person}"))
        for second in range(20 if person == 9 else 260):
            at = start + second
            value = 70 + person + (second * 7919 * (person + 1)) % 17 / 10
            is_doubtful = second % 11 == person
            flags = [VitalFlag.POOR_SIGNAL] if is_doubtful else []
            if not (person == 3 and 110 <= second < 118):
                readings.append(reading(at + 0.3, value, flags=flags))
            readings.append(reading(start + 1.37 * second, value + 9, source="watch"))
            if second % 53 != person and not (person == 4 and 60 < second < 140):
                shown = (second * 104729 * (person + 2)) % 89 / 100
                faces.append(row(at + 0.7, shown=expression(anger=shown)))
                moved.append(movement_row(at + 0.7, smile=1 - shown))
            mark = {"scale": "valence", "value": 1 + (second + person) ** 2 % 9}
            said.append({"session": person + 1, "at": at + 0.5, "condition": "", **mark})
    timeline(
        path, session=sessions, vital=readings, expression=faces, movement=moved, self_report=said
    )


def films(path: Path, turns: float = 0.0, moves: float = 0.0) -> None:
    """Seven people at films in orders of their own, one of them twice and one in two sessions, with
    doubts, faces that were away, and heads that turn now and then by some degrees, at which face
    and heart do something, too; or wearers that move now and then, of which a strap tells.
    """
    sessions, readings, faces, moved = [], [], [], []
    for visit in range(8):
        person, start = visit % 7, 1000 * visit
        labels = ("anger", "neutral", "anger") if visit % 2 else ("neutral", "Anger ", "anger")
        begins = zip((10.4, 70 + visit, 140), labels, strict=True)
        shown = [(start + at, start + at + 45 + person, label) for at, label in begins]
        sessions.append(session_row(start, start + 200, *shown, participant=f"P{person}"))
        for second in range(200):
            at = start + second
            turn = turns * ((second * (person + 3)) % 23 == 0)
            move = moves * ((second // 5 * (visit + 3)) % 7 == 0)
            value = 70 + (second * 7919 * (visit + 2)) % 29 / 10 + turn + move
            if moves and second % 5 == 4:
                motion = 4 + (second * 13) % 7 + move
                readings.append(reading(at + 0.9, motion, VitalKind.BODY_MOTION))
            flags = [VitalFlag.CONTACT_LOST] if (second + visit) % 31 == 0 else []
            readings.append(reading(at + 0.3, value, flags=flags))
            if second % 47 != person:
                happy = (second * 104729 * (visit + 3)) % 61 / 100 + (turn + move) / 60
                faces.append(row(at + 0.7, shown=expression(happiness=happy)))
                yaw = (second * 31 * (visit + 1)) % 40 + 5 * turn
                moved.append(movement_row(at + 0.7, yaw=yaw, pitch=(second * 17) % 13))
    timeline(path, session=sessions, vital=readings, expression=faces, movement=moved)


def restless_films(path: Path) -> None:
    """The same with heads that turn much."""
    films(path, turns=20.0)


def moving_films(path: Path) -> None:
    """The same with still heads, and wearers that move much."""
    films(path, moves=20.0)


def numbers_of(text: str) -> dict[Key, float]:
    """Return each number by all the other cells of its line."""
    return {
        tuple(str(float(cell)) if name.endswith("_s") and cell else cell for name, cell in row_of):
            float(value)
        for *row_of, (_, value) in (row.items() for row in csv.DictReader(io.StringIO(text)))
    }  # fmt: skip


def in_r(folder: Path, *words: str) -> dict[Key, float]:
    """Return the numbers that the script of a bundle prints."""
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    command = [program, "--vanilla", str(folder / "analysis.R"), *words]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, text=True)
    assert done.returncode == 0, done.stderr
    return numbers_of(done.stdout)


def agrees(found: dict[Key, float], expected: dict[Key, float]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=DIGITS, abs=DIGITS), key


@pytest.mark.parametrize(
    ("make", "question"),
    [
        (gaps, {"vital": KINDS, "prefer_source": ["strap"]}),
        (films, {}),
        (restless_films, {}),
        (moving_films, {}),
        pytest.param(example, {}, marks=pytest.mark.deep),
        pytest.param(example, {"vital": ALWAYS_DRAWN[:8]}, marks=pytest.mark.deep),
        pytest.param(left_out, {"vital": KINDS}, marks=pytest.mark.deep),
    ],
)
def test_tables_of_curves_and_coupling_are_computed_again_in_r(
    make: Make, question: dict[str, Any], tmp_path: Path
) -> None:
    database, folder = unpacked(make, tmp_path)
    (folder / "question.json").write_text(json.dumps(question))
    tables = analysis_files(
        (("", database),), {"sensitivity": False, **question}, ExportChoice(), ()
    )
    curves = numbers_of(tables["responses.csv"])
    drawn = {vital for vital, *_ in curves}
    asked = {str(kind) for kind in question.get("vital", ())}
    assert drawn >= asked - {"sam_valence"}, "the outcomes of the question are drawn"
    assert {"anger", "valence", "smile"} <= drawn, "and so is what the face shows"
    if make is gaps:
        assert drawn == {*KINDS, *ALWAYS_DRAWN}
        assert {(vital, event) for vital, event, _, name, _ in curves if name == "p"} == {
            (kind, "Anger-neutral") for kind in KINDS
        }
    # heads that turn and wearers that move change what of the coupling is told
    if make not in (restless_films, moving_films):
        agrees(in_r(folder, "--responses"), curves)
    if COUPLING is None:
        return
    told = numbers_of(tables["coupling.csv"])
    page = COUPLING.answer(
        Inquiry(
            (("", database),),
            COUPLING.query(),
            prefer_sources=tuple(question.get("prefer_source", ())),
        )
    )
    of_study = {name: value for *_, code, name, value in map(flat, told.items()) if not code}
    of_people = {
        code: value for *_, code, name, value in map(flat, told.items()) if code and name == "r"
    }
    assert of_people == {one.participant: one.r for one in page.people}
    assert of_study.get("p") == page.p and of_study["repeated_r"] == page.repeated_r
    if make in (films, restless_films, moving_films):
        assert page.refused == (None if make is films else "movement")
    if make is gaps:
        assert [code for *_, code, name, _ in map(flat, told.items()) if name == "left_out"] == [
            *page.left_out
        ]
        assert page.left_out
    agrees(in_r(folder, "--coupling"), told)


def flat(item: tuple[Key, float]) -> tuple[Any, ...]:
    """Return a line of a table."""
    key, value = item
    return (*key, value)


@pytest.mark.deep
def test_r_asked_for_one_curve_and_another_coupling_gives_those(tmp_path: Path) -> None:
    database, folder = unpacked(gaps, tmp_path)
    one = in_r(folder, "--responses", "--vital", "smile", "--prefer-source", "strap")
    assert {vital for vital, *_ in one} == {"smile"}
    if COUPLING is None:
        return
    words = ("--measure", "anger", "--vital", "heart_rate", "--lag", "-3")
    found = in_r(folder, "--coupling", *words, "--prefer-source", "watch")
    query = COUPLING.query.model_validate(
        {"measure": "anger", "lag": -3, "prefer_source": ["watch"]}
    )
    page = COUPLING.answer(Inquiry((("", database),), query))
    assert page.r is not None
    r = found["anger", "heart_rate", str(page.lag_s), "", "r"]
    assert math.isclose(r, page.r, rel_tol=DIGITS)
