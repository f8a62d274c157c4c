"""``python -m dashboard analyse`` as a person and a program use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.__main__ import main as dashboard
from tests.support.studies import FOUR_PEOPLE, add_session, heart, make_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_study(tmp_path, FOUR_PEOPLE)
    return tmp_path


def test_json_is_one_object_with_nine_comparisons(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dashboard(["analyse", "--data", str(folder), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["comparisons"]) == 9
    first = answer["comparisons"][0]
    assert (first["vital"], first["first"], first["second"], first["n_first"]) == (
        "heart_rate",
        "anger",
        "neutral",
        4,
    )
    # R 4.2.2: t.test(c(75, 84, 71, 90), c(70.5, 78, 65.5, 83), paired = TRUE)
    assert (first["t"], first["df"], first["p"]) == pytest.approx(
        (11.048842612551013, 3, 0.0015880320602926861)
    )


def test_the_terminal_gives_the_answer_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(folder), "--vital", "heart_rate"]
    assert dashboard(["analyse", *words, "--states", "neutral", "--states", "anger"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("- Heart rate was 5.8 /min higher in anger than in neutral (Holm p")
    assert len(text.splitlines()) <= 30 and max(map(len, text.splitlines())) <= 100
    assert "anger − neutral  4         5.8  4.1 to 7.4   0.002  0.51" in text
    for told_by_full in ("Shapiro", "From consent", "Equivalence", "Mixed model:"):
        assert told_by_full not in text
    assert dashboard(["analyse", *words, "--states", "calm", "--states", "storm"]) == 0
    assert capsys.readouterr().out == (
        "No reading counts in calm, storm. There are readings in anger (4), happiness (4), neutral "
        "(4): name\ntwo with --states.\n"
    )


def test_the_full_table_is_readable_in_a_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dashboard(["analyse", "--data", str(folder), "--full"]) == 0
    text = capsys.readouterr().out
    assert "Heart rate, /min\nanger − neutral" in text
    assert "- Heart rate was 5.8 /min higher in anger than in neutral (95 % CI" in text
    assert "Not measured in these sessions, so there is no test: systolic pressure" in text
    assert max(map(len, text.splitlines())) < 140


def test_the_table_of_the_flow_follows_the_question_of_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "question.json"
    file.write_text('{"sample": "selected", "session": [1, 2], "sensitivity": false}')
    assert (
        dashboard(["analyse", "--data", str(folder), "--print-flow", "--question", str(file)]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step,vital,first,second,state,reason,people,sessions,readings"
    assert "consented,,,,,,4,4," in lines
    assert "lost,,,,,other_sessions,2,," in lines
    assert "in_state,,,,,,2,2,6" in lines
    assert "tested,,,,,,0,0,0" in lines


def test_a_question_that_cannot_be_read_is_refused_with_its_file(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "question.json"
    assert dashboard(["analyse", "--data", str(folder), "--question", str(file)]) == 2
    assert "question.json: no such file" in capsys.readouterr().err
    file.write_text('{"window": 0}')
    assert dashboard(["analyse", "--data", str(folder), "--question", str(file)]) == 2
    assert "question.json: window" in capsys.readouterr().err


def test_it_runs_as_the_process_that_affect_edge_starts(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "dashboard", "analyse", "--data", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    assert json.loads(found.stdout)["participants"] == 4


def test_the_example_can_be_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_session(folder / "affect-edge.db", "SIM-1", heart(anger=80.0), simulated=True)
    assert dashboard(["analyse", "--data", str(folder), "--sample", "example", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sessions"] == [5]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--config", "none.toml"], 2, "none.toml: no such file"),
        (["--share", "2"], 2, "share = 2.0: input should be less than or equal to 1"),
        (["--sample", "example", "--session", "1"], 2, "give --sample or --session, not both"),
        (["--state", "mood"], 2, "'mood' is not one of 'condition', 'observed'"),
        (["--states", "a,b"], 2, "--states a,b: give each state with an option of its own"),
        (["--states", "a", "--states", "A"], 2, "Error: states = a, A: "),
        (["--session", "77"], 1, "There is no session 77. Sessions: 1, 2, 3, 4."),
        (["--data", "nothing"], 2, "--data was given 2 times ("),
    ],
)
def test_wrong_use_ends_with_2_and_what_is_not_there_with_1(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert dashboard(["analyse", "--data", str(folder), *words]) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_json_is_one_object_and_the_words_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert dashboard(["plan-study", "--d-z", "0.8", "--tests", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["level"] == 0.05 / 3
    assert dashboard(["plan-study", "--d-z", "0.8", "--tests", "3"]) == 0
    assert found["sentence"] in capsys.readouterr().out


def test_plan_counts_the_family_from_a_file_of_the_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "question.json"
    words = ["plan-study", "--d-z", "0.8", "--question", str(file)]
    file.write_text('{"vital": ["systolic", "diastolic", "smile", "anger", "valence"]}')
    assert dashboard([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["question"]
    assert (found["vital"], found["tests"]) == ("systolic", 15)
    assert dashboard([*words, "--vital", "heart_rate"]) == 2
    assert "does not test heart_rate" in capsys.readouterr().err
    file.write_text("{")
    assert dashboard(words) == 2
    assert str(file) in capsys.readouterr().err


def test_wrong_use_and_impossible_plans_have_their_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dashboard(["plan-study"]) == 2
    assert "Error: Give the difference with sd" in capsys.readouterr().err
    assert dashboard(["plan-study", "--difference", "0"]) == 2
    assert "Error: No study can find a difference of 0: give the" in capsys.readouterr().err
    assert dashboard(["plan-study", "--d-z", "0.8", "--order", "1"]) == 1
    assert "no number of people" in capsys.readouterr().err
