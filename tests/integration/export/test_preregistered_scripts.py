"""Both scripts of a bundle say alike whether its question is the preregistered one, as the page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dashboard.analysis.preregistration import (
    PreregistrationDocument,
    compared_choices,
    preregister,
)
from dashboard.analysis.query import AnalysisQuery
from dashboard.commands.analyse_bundle import main as analyse_bundle
from dashboard.questions.comparison.computing import answer as analysis_of
from dashboard.questions.entry import Inquiry
from edge_agent.core.clock import iso_utc
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.study.preregistrations import fingerprint
from tests.integration.export.test_scripts import DEEP, in_python, in_r
from tests.support.script_studies import few
from tests.support.timeline import START_MS

QUESTION = {"vital": ["heart_rate", "systolic"], "state": "condition", "share": 0.75}
TEXT = 'Who "moved", or said {no};\n[and] \\ so on: ü'


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A study of nine people, whose first sessions began before it was preregistered."""
    path = tmp_path / "affect-edge.db"
    few(path)
    return path


def bundle(database: Path, asked: dict[str, Any], *, people: int, late: bool = False) -> Path:
    """Preregister, and return the folder of the unpacked bundle of a question.

    Args:
        database: of the study.
        asked: the question, in other words than defaults.
        people: how many were preregistered.
        late: whether it was frozen now and not before the study.
    """
    decided = {"question": QUESTION, "people": people, "exclusions": TEXT, "stopping": "then"}
    made = preregister(database, PreregistrationDocument.model_validate(decided), "ada")
    if not late:
        date_back(database, made.id)
    question = AnalysisQuery.model_validate(QUESTION | asked).model_dump(mode="json")
    folder = database.parent / "bundle"
    about = Appliance(question=question)
    (file,) = BUNDLE.export(database, database.parent / "b.zip", ExportChoice(), about)
    shutil.unpack_archive(file, folder)
    return folder


def date_back(database: Path, number: int) -> None:
    """Have a preregistration frozen a day before the study, as if its clock had been that."""
    from edge_agent.timeline.database.connection import write_transaction

    at_ms = START_MS - 86_400_000
    with write_transaction(database) as connection:
        (text,) = connection.execute(
            "SELECT document FROM preregistration WHERE id = ?", (number,)
        ).fetchone()
        connection.execute("DROP TRIGGER preregistration_is_frozen")
        connection.execute(
            "UPDATE preregistration SET at = ?, sha256 = ? WHERE id = ?",
            (at_ms, fingerprint(at_ms, text), number),
        )


def said(text: str) -> list[str]:
    """Return the lines about the preregistration."""
    lines = text.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("Preregistration "))
    last = first + 1
    while lines[last].startswith("- "):
        last += 1
    return lines[first:last]


def test_scripts_say_that_the_preregistered_question_is_asked(database: Path) -> None:
    # what is written otherwise, or changes nothing of the answer
    asked = {"sample": "measured", "leave_out_flagged": True, "share": 0.9, "session": [1]}
    folder = bundle(database, asked, people=9)
    line = f"Preregistration 1, frozen {iso_utc(START_MS - 86_400_000)}: followed."
    assert said(in_python(folder, ())) == [line]
    assert said(in_r(folder, ())) == [line]


@pytest.mark.parametrize(
    "words",
    [
        (
            "--vital",
            "systolic",
            "--bound-pressure",
            "2.5",
            "--states",
            "anger",
            "--states",
            "disgust",
        ),
        pytest.param(
            ("--count-flagged", "artefact", "--estimated", "--outcome", "level"), marks=DEEP
        ),
        pytest.param(("--session", "2", "--session", "1", "--design", "paired"), marks=DEEP),
        pytest.param(("--state", "reported", "--settling-other", "0.5"), marks=DEEP),
    ],
)
def test_scripts_say_alike_what_was_preregistered_otherwise(
    database: Path, words: Sequence[str]
) -> None:
    folder = bundle(database, {}, people=12, late=True)
    lines = said(in_python(folder, words))
    assert lines == said(in_r(folder, words))
    assert lines[0].endswith(": not followed.") and len(lines) > 3
    assert any(line.startswith("- people: preregistered 12, here ") for line in lines)
    assert any(line.startswith("- sessions_before: preregistered 0, here ") for line in lines)


def test_r_compares_every_choice_of_a_question() -> None:
    script = (resources.files("edge_agent.timeline.export") / "scripts/analysis.R").read_text(
        "utf-8"
    )
    (listed,) = re.findall(r"^CHOSEN <- c\((.*?)\)$", script, re.DOTALL | re.MULTILINE)
    assert re.findall(r'"(\w+)"', listed) == list(compared_choices(AnalysisQuery()))


def test_script_says_the_same_as_the_page(database: Path) -> None:
    folder = bundle(database, {"vital": ["heart_rate"]}, people=9, late=True)
    query = AnalysisQuery.model_validate(QUESTION | {"vital": ["heart_rate"]})
    page = analysis_of(Inquiry((("", database),), query, ())).preregistration
    assert page is not None
    assert said(in_python(folder, ()))[1:] == [
        f"- {one.name}: preregistered {one.decided}, here {one.current}" for one in page.changed
    ]


def test_script_finds_a_frozen_text_that_was_changed(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bundle(database, {}, people=9)
    file = folder / "preregistrations" / "1.json"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("then", "when we like it"), "utf-8")
    assert any(line.startswith("- sha256: ") for line in said(in_python(folder, ())))
    file.write_text(whole[:100], "utf-8")
    assert analyse_bundle([str(folder)]) == 1
    assert "1.json: holds no preregistration" in capsys.readouterr().err
