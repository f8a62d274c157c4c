"""Whether training was touched since its tests were green: ``python -m tools.touched``.

The exit status is 0 where a file of training, of its tests, or one that these import differs from
the commit of the last green ``make test-training`` (``tests/last-green.toml``), where that run is
more than ``MOST`` commits old, or where none is known. Else it is 1, and a sentence says so:
neither the environment of training nor its tests would tell anything new. Only the standard library
is needed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.last_green import age_of, kept_run
from tools.rooms import ROOT, imports_in

TARGET = "test-training"
MOST = 200
"""Commits: what lies further below training changes, too."""
FOLDERS = ("training", "tests/unit/training", "tests/integration/training", "edge_agent/vision")
FILES = ("pyproject.toml", "tests/conftest.py", "tests/docs/test_snippets.py")


def paths_of_training() -> list[str]:
    """Return folders and files, from the root: training, its tests, and what these import."""
    modules = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    imported = {name for path in modules for name in _imported(path)}
    return [*FOLDERS, *FILES, *sorted(imported)]


def _imported(path: Path) -> Iterator[str]:
    """Yield the files of the project that a module imports."""
    for name in imports_in(path.read_text(encoding="utf-8")):
        place = ROOT.joinpath(*name.split("."))
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield str(file.relative_to(ROOT))


def is_touched() -> bool:
    """Tell whether training may behave otherwise than when its tests were green; say why not."""
    run = kept_run(TARGET)
    age = age_of(run.commit) if run else None
    if run is None or age is None or age > MOST:
        return True
    paths = paths_of_training()
    differs = ["git", "diff", "--quiet", run.commit, "--", *paths]
    new = ["git", "ls-files", "--others", "--exclude-standard", "--", *paths]
    if subprocess.run(differs, cwd=ROOT, check=False).returncode:
        return True
    if subprocess.run(new, cwd=ROOT, capture_output=True, check=True).stdout:
        return True
    print(f"Training is as in commit {run.commit}, where its tests were green: {run.described()}")
    return False


if __name__ == "__main__":
    sys.exit(not is_touched())
