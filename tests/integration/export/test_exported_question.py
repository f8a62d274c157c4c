"""*Export this analysis* takes the page's question and sessions along: both scripts of the bundle,
run without any option, print the numbers of the page.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.analysis.results import AnalysisModel
from dashboard.commands.analyse_bundle import main as analyse_bundle
from tests.integration.export.test_scripts import (
    BOTH,
    DEEP,
    Run,
    assert_numbers_agree,
    in_python,
    in_r,
)
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, services_of, set_up
from tests.support.script_studies import example, few, moved, sessions, two_sensors
from tests.support.studies import add_session, heart, make_study
from tests.support.timeline import wait_for


def question_on(client: TestClient, address: str) -> str:
    """Return the question that the page's button sends."""
    page = client.get(f"/analysis?{address}").text
    found = re.search(r'name="question" value="([^"]*)"', page)
    assert found, page[:2000]
    return html.unescape(found[1])


def exported(client: TestClient, address: str, folder: Path) -> Path:
    """Export the analysis with the page's button; return the folder of the unpacked bundle."""
    sent = client.post("/export", data={"question": question_on(client, address)})
    assert (sent.status_code, sent.headers["location"]) == (303, "/export"), sent.text
    (made,) = re.findall(r'data-export="([^"]+)"', client.get("/export").text)
    state = f"/api/v1/exports/{made}"
    wait_for(lambda: client.get(state).json()["state"] != "preparing")
    with zipfile.ZipFile(io.BytesIO(client.get(f"{state}/file").content)) as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize(
    ("run", "make", "address", "preferred"),
    [
        pytest.param(in_python, example, "", (), marks=DEEP),
        (
            in_python,
            example,
            "sample=example&state=observed&window=4&lag_heart_rate=1&lag_pressure=20&share=0.8",
            (),
        ),
        (
            in_python,
            sessions,
            (
                "sample=selected&session=1&session=3&session=4&session=6&session=8&design=paired"
                "&correction=benjamini_hochberg&count_flagged=contact_lost&settling_heart_rate=3"
                "&family=heart_rate&family=systolic,diastolic&bound_pressure=8"
            ),
            (),
        ),
        (in_python, two_sensors, "vital=heart_rate", ("watch",)),
        (
            in_r,
            moved,
            (
                "vital=smile&vital=yaw&states=neutral&states=happiness&family=smile&family=sdnn"
                "&heart_measure=sdnn"
            ),
            (),
        ),
        pytest.param(
            *(in_r, few, "state=reported&states=anger&states=neutral&bound_heart_rate=2", ()),
            marks=DEEP,
        ),
    ],
    ids=["asked of itself", "window", "choices", "configured source", "movements-r", "reported-r"],
)
def test_the_scripts_of_an_exported_analysis_print_the_page(
    run: Run, make: Callable[[Path], None], address: str, preferred: Sequence[str], tmp_path: Path
) -> None:
    make(tmp_path / "affect-edge.db")
    with client_of(tmp_path, prefer_sources=preferred) as client:
        set_up(client, tmp_path)
        answer = AnalysisModel.model_validate_json(client.get(f"/api/v1/analysis?{address}").text)
        folder = exported(client, address, tmp_path / "bundle")
        services_of(client).exports.close()
    assert answer.tests_computed > 0
    assert_numbers_agree(run(folder, ("--csv",)), answer)
    with (folder / "session.csv").open(encoding="utf-8", newline="") as rows:
        assert {int(row["session"]) for row in csv.DictReader(rows)} == set(answer.sessions)


def test_options_go_before_the_question_of_the_bundle(tmp_path: Path) -> None:
    folder = bundle_of(tmp_path, {"sample": "selected", "session": [1], "vital": ["heart_rate"]})

    def asked(*words: str) -> tuple[str, list[str]]:
        answer = json.loads(in_python(folder, (*words, "--json")))
        return answer["sample"], answer["question"]["vital"]

    assert asked() == ("selected", ["heart_rate"])
    words = ("--sample", "measured", "--vital", "systolic")
    assert asked(*words) == ("measured", ["systolic"])
    assert asked("--session", "2") == ("selected", ["heart_rate"])


@DEEP
def test_options_go_before_the_question_in_r(tmp_path: Path) -> None:
    folder = bundle_of(tmp_path, {"sample": "selected", "session": [1], "vital": ["heart_rate"]})
    assert "sessions: selected" in in_r(folder, ())
    text = in_r(folder, ("--sample", "measured", "--vital", "systolic"))
    assert "sessions: measured" in text and "\nSystolic pressure, mmHg\n" in text
    assert "Heart rate" not in text
    assert "sessions: selected" in in_r(folder, ("--session", "2"))


@pytest.mark.parametrize("run", BOTH)
def test_a_bundle_without_a_reading_in_the_states_names_its_stimuli(
    run: Run, tmp_path: Path
) -> None:
    folder = bundle_of(tmp_path, {"states": ["calm", "storm"]})
    text = run(folder, ())
    assert "No reading counts in calm, storm. " in text
    assert re.search("anger.*, Überraschung.*ame two with --states", text)


def test_a_damaged_question_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle_of(tmp_path, {})
    for text, said in (('{"window": 0}', "question.json: window = 0"), ("{", "question.json: ")):
        (folder / "question.json").write_text(text)
        assert analyse_bundle([str(folder)]) == 1
        assert said in capsys.readouterr().err
    with pytest.raises(AssertionError):
        in_r(folder, ())


def bundle_of(folder: Path, question: dict[str, object]) -> Path:
    """Return the folder of a bundle of three people with a question of its own."""
    from edge_agent.timeline.export.appliance import Appliance
    from edge_agent.timeline.export.bundle import BUNDLE
    from edge_agent.timeline.export.rows import ExportChoice

    for number in range(3):
        values = heart(anger=70.0 + number, Überraschung=72.0 - number)
        add_session(folder / "affect-edge.db", f"P-{number}", values)
    asked = Appliance(question=question)
    file = BUNDLE.export(folder / "affect-edge.db", folder / "b.zip", ExportChoice(), asked)[0]
    shutil.unpack_archive(file, folder / "bundle")
    assert json.loads((folder / "bundle" / "question.json").read_text()) == question
    return folder / "bundle"


@pytest.mark.parametrize(
    ("labels", "asked"),
    [
        (("calm film", "loud film"), ["calm film", "loud film"]),
        (("anger", "loud film"), ["anger", "loud film"]),
        (("anger", "neutral"), ["neutral", "happiness", "anger"]),
    ],
)
def test_export_by_command_compares_the_conditions_of_the_study(
    labels: tuple[str, str], asked: list[str], tmp_path: Path
) -> None:
    people = {f"P-{n}": heart(**dict(zip(labels, (70.0 + n, 75.0), strict=True))) for n in range(3)}
    make_study(tmp_path, people)
    done = affect_edge("export", "--data", tmp_path, "--out", tmp_path / "b.zip")
    assert done.code == 0, done.err
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert json.loads(archive.read("question.json"))["states"] == asked
        method = " ".join(archive.read("method.txt").decode().split())
    assert all(state in method for state in asked)
