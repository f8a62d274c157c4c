"""What `make hook` leaves to git: the quick check, beside no hook that somebody wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.style import ROOT


def make_hook(repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "hook"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def test_hook_refuses_a_commit_where_the_quick_check_fails(repository: Path) -> None:
    done = make_hook(repository)
    assert done.returncode == 0, done.stderr
    (repository / "Makefile").write_text("quick:\n\t@echo a word >&2; exit 1\n")
    commit = ["git", "-c", "user.name=N", "-c", "user.email=n@example.org", "commit"]
    refused = subprocess.run(
        [*commit, "--allow-empty", "-m", "Try"], cwd=repository, capture_output=True, check=False
    )
    assert refused.returncode != 0
    assert b"a word" in refused.stderr
    (repository / "Makefile").write_text("quick:\n\t@true\n")
    subprocess.run([*commit, "-q", "--allow-empty", "-m", "Try"], cwd=repository, check=True)
    assert make_hook(repository).returncode == 0


def test_hook_of_somebody_else_stays(repository: Path) -> None:
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexec true\n")
    refused = make_hook(repository)
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert hook.read_text() == "#!/bin/sh\nexec true\n"
