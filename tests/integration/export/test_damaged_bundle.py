"""A damaged bundle gives no numbers in either script, and each says why."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.script_studies import few, unpacked

DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "a word for a number": (
        lambda text: re.sub(r",(\d+\.\d+),", ",abc,", text, count=1),
        "value is 'abc'",
    ),
    "infinity": (lambda text: re.sub(r",(\d+\.\d+),", ",inf,", text, count=1), "value is 'inf'"),
    "semicolons": (lambda text: text.replace(",", ";"), "there is no column session, at_ms, value"),
    "cut off in a row": (lambda text: text[: text.rindex(",")].rpartition(",")[0], "vital.csv"),
    "no heads": (lambda text: text.split("\n", 1)[1], "there is no column session"),
    "an open quote": (lambda text: text.replace("\n", '\n"', 1), "vital.csv"),
    "nothing": (lambda _: "", "there is no column session"),
}
"""Damaged forms of ``vital.csv``, and what is said of each."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that nothing has happened to."""
    return unpacked(few, tmp_path_factory.mktemp("few"))[1]


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_file_gives_no_numbers(fault: str, tmp_path: Path, whole: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "bundle"))
    damage, said = DAMAGES[fault]
    text = (whole / "vital.csv").read_text("utf-8")
    assert damage(text) != text
    (folder / "vital.csv").write_text(damage(text), encoding="utf-8")
    for command in ([sys.executable, "analysis.py"], ["Rscript", "analysis.R"]):
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=60, cwd=folder, text=True
        )
        assert done.returncode != 0 and done.stdout == "", command
        assert (
            said in done.stderr
            and "vital.csv" in done.stderr
            and "Unpack the whole zip again" in done.stderr
        )
        assert "Traceback" not in done.stderr and "Execution halted" not in done.stderr
