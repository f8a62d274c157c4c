"""Training is tested where it, or what it imports, changed since its tests were green."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.project.test_deep_targets import commit, git
from tools import last_green, touched

MADE = {
    "training/fit.py": "from edge_agent.core.measures import Measure\n",
    "edge_agent/core/measures.py": "import edge_agent.core.texts\n",
    "edge_agent/core/texts.py": "",
    "dashboard/page.py": "",
    "README.md": "",
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up checkout, in which the tests of training are green at the first commit."""
    for name, text in MADE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(touched, "ROOT", tmp_path)
    first = git(tmp_path, "rev-parse", "--short=8", "HEAD")
    last_green._keep("test-training", last_green.GreenRun(date(2026, 1, 1), first, 5, 0))
    return tmp_path


def change(checkout: Path, name: str) -> bool:
    """Change a file in a commit, and tell whether training is touched."""
    (checkout / name).write_text("# changed\n", encoding="utf-8")
    commit(checkout)
    return touched.is_touched()


def test_training_is_touched_by_its_files_and_by_those_it_imports(checkout: Path) -> None:
    assert not touched.is_touched()
    assert not change(checkout, "dashboard/page.py")
    assert not change(checkout, "edge_agent/core/texts.py")  # imported by what it imports
    assert change(checkout, "edge_agent/core/measures.py")


@pytest.mark.parametrize("name", ["training/fit.py", "training/recipe.toml", "pyproject.toml"])
def test_training_is_touched_by_any_file_of_its_folder_and_by_its_packages(
    checkout: Path, name: str
) -> None:
    (checkout / name).write_text("# not committed\n", encoding="utf-8")
    assert touched.is_touched()
    assert change(checkout, name)


def test_training_counts_as_touched_where_no_recent_green_run_is_known(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(touched, "MOST", 0)
    assert change(checkout, "README.md")
    monkeypatch.undo()
    monkeypatch.chdir(checkout)
    last_green._keep("test-training", last_green.GreenRun(date(2026, 1, 1), "0123abcd", 5, 0))
    assert touched.is_touched()
