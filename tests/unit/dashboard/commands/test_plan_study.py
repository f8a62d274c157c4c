"""``affect-edge plan-study``."""

from __future__ import annotations

import json

import pytest

from dashboard.commands.analyse import main_plan_study


def test_json_is_one_object_and_the_words_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_plan_study(["--d-z", "0.8", "--tests", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["level"] == 0.05 / 3
    assert main_plan_study(["--d-z", "0.8", "--tests", "3"]) == 0
    assert found["sentence"] in capsys.readouterr().out


def test_wrong_use_and_impossible_plans_have_their_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main_plan_study([]) == 2
    assert "Error: Give the difference with sd" in capsys.readouterr().err
    assert main_plan_study(["--difference", "0"]) == 2
    assert "Error: No study can find a difference of 0: give the" in capsys.readouterr().err
    assert main_plan_study(["--d-z", "0.8", "--order", "1"]) == 1
    assert "no number of people" in capsys.readouterr().err
