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
    "infinity": (lambda text: re.sub(r",(\d+\.\d+),", ",inf,", text, count=1), "'inf'"),
    "semicolons": (lambda text: text.replace(",", ";"), "column"),
    "cut off in a row": (lambda text: text[: text.rindex(",")].rpartition(",")[0], "vital.csv"),
    "an open quote": (lambda text: text.replace("\n", '\n"', 1), "vital.csv"),
    "nothing": (lambda _: "", "column"),
}
"""Damaged forms of ``vital.csv``, and what is said of each."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that nothing has happened to."""
    return unpacked(few, tmp_path_factory.mktemp("few"))[1]


IN_PYTHON = (sys.executable, "analysis.py")
IN_R = ("Rscript", "analysis.R")
RUNS = (
    # Another separator is no damage for the program, whose reader of tables knows it.
    *(
        pytest.param(IN_PYTHON, fault, id=f"python-{fault}")
        for fault in DAMAGES
        if fault != "semicolons"
    ),
    pytest.param(IN_R, "semicolons", id="r-semicolons"),
    *(
        pytest.param(IN_R, fault, id=f"r-{fault}", marks=pytest.mark.deep)
        for fault in DAMAGES
        if fault != "semicolons"
    ),
)


@pytest.mark.parametrize(("command", "fault"), RUNS)
def test_a_damaged_file_gives_no_numbers(
    command: tuple[str, ...], fault: str, tmp_path: Path, whole: Path
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "bundle"))
    damage, said = DAMAGES[fault]
    if shutil.which(command[0]) is None:
        pytest.skip("R is not installed (apt install r-base-core)")
    text = (whole / "vital.csv").read_text("utf-8")
    assert damage(text) != text
    (folder / "vital.csv").write_text(damage(text), encoding="utf-8")
    done = subprocess.run(command, capture_output=True, check=False, cwd=folder, text=True)
    assert done.returncode != 0 and done.stdout == ""
    for words in (said, "vital.csv", "Unpack the whole zip again"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr and "Execution halted" not in done.stderr
