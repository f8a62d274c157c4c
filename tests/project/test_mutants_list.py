"""The list of what `make mutants` changes names modules and tests that are there."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
TOLD = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text(encoding="utf-8"))
MODULES = [module for judged in TOLD["judged"] for module in judged["modules"]]


def test_every_module_and_every_test_is_there_and_each_module_once() -> None:
    tests = {test for judged in TOLD["judged"] for test in judged["tests"]}
    assert [name for name in {*MODULES, *tests} if not (ROOT / name).is_file()] == []
    assert len(set(MODULES)) == len(MODULES)


def test_change_that_makes_no_difference_is_of_listed_module_and_says_why() -> None:
    for one in TOLD.get("equivalent", []):
        assert one["module"] in MODULES
        assert one["was"] in (ROOT / one["module"]).read_text(encoding="utf-8")
        assert one["was"] != one["becomes"]
        assert len(one["reason"]) > 10
