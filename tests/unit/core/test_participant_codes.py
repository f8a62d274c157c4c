"""Codes that other programs take for one number, or for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pandas._libs.parsers import STR_NA_VALUES

from affect_edge import cli
from edge_agent.core import participant_codes
from edge_agent.core.participant_codes import misread_codes
from edge_agent.timeline.study.rows import _CODE


@pytest.mark.parametrize(
    ("code", "others", "said"),
    [
        ("01", ["1"], "the codes 1 and 01 as one number"),
        ("1.0", ["P1", "1"], "the codes 1 and 1.0 as one number"),
        ("1e3", ["1000"], "the codes 1000 and 1e3 as one number"),
        ("NA", [], "the code NA as a missing value"),
        ("null", [], "the code null as a missing value"),
    ],
)
def test_code_that_programs_misread_is_remarked(code: str, others: list[str], said: str) -> None:
    (remark,) = misread_codes([code], others)
    assert said in remark


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("01", ["02", "10"]),
        ("P01", ["P1"]),
        ("01", ["P-1", "A1"]),
        ("2026-01-02", ["2026-01-01"]),
        ("Nan", []),
        ("1-2", ["1"]),
    ],
)
def test_code_that_no_program_misreads_has_no_remark(code: str, others: list[str]) -> None:
    assert not list(misread_codes([code], others))


def test_new_codes_are_compared_with_each_other() -> None:
    assert len(list(misread_codes(["007", "7", "07", "8"]))) == 2


def test_missing_values_are_those_of_pandas() -> None:
    assert {one for one in STR_NA_VALUES if _CODE.fullmatch(one)} == participant_codes._MISSING


def test_command_adds_such_a_code_and_says_so_beside_its_answer(tmp_path: Path) -> None:
    def add(code: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(cli, ["participant", "add", code, "--data", str(tmp_path)])
        return done.exit_code, done.stdout, done.stderr

    assert add("1") == (0, "1\n", "")
    exit_code, answer, remark = add("01")
    assert (exit_code, answer) == (0, "01\n")
    assert "the codes 1 and 01 as one number" in remark
