"""The command that runs the tests many times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import stress

RED = "def test_red():\n    assert False\n\n\ndef test_green():\n    assert True\n"


def alone(tests: Path) -> list[str]:
    """Return the words for pytest that leave out the settings of this project."""
    return ["--", "-q", "-c", str(tests / "none.ini"), "-p", "no:cacheprovider", str(tests)]


def test_stress_of_a_red_test_counts_each_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # loading them takes far longer than the two tests
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    (tmp_path / "test_made.py").write_text(RED, encoding="utf-8")

    assert stress.main(["--runs", "2", *alone(tmp_path)]) == 1

    said = capfd.readouterr().out
    assert "run 1 of 2: 1 failed" in said
    assert "run 2 of 2 beside 2 busy loops: 1 failed" in said
    assert "2 runs, 2 red, 2 failures" in said
    assert said.splitlines()[-1] == "2 × test_made::test_red"
