"""Data that are no part of the project have one place, which a variable names."""

from pathlib import Path

from benchmarks._shared import VARIABLE, shared_data

ROOT = Path(__file__).resolve().parents[2]


def test_shared_data_of_a_folder_of_checkouts_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "shared" / "data").mkdir(parents=True)
    for checkout in ("main", "checkouts/one"):
        assert shared_data(tmp_path / checkout, {}) == tmp_path / "shared" / "data"


def test_shared_data_lie_where_the_variable_says(tmp_path: Path) -> None:
    (tmp_path / "shared" / "data").mkdir(parents=True)
    named = {VARIABLE: str(tmp_path / "elsewhere")}
    assert shared_data(tmp_path / "main", named) == tmp_path / "elsewhere"


def test_missing_shared_data_are_expected_beside_the_project(tmp_path: Path) -> None:
    assert shared_data(tmp_path / "main", {}) == tmp_path / "shared" / "data"


def test_no_other_module_says_where_the_shared_data_lie() -> None:
    modules = [
        file for room in ("benchmarks", "tests", "tools") for file in ROOT.glob(f"{room}/**/*.py")
    ]
    those = {
        file.name for file in modules if '"shared" / "data"' in file.read_text(encoding="utf-8")
    }
    assert those == {"_shared.py", Path(__file__).name}
