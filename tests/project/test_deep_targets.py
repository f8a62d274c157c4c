"""The targets beyond `make test`: what they need, and what is kept of a green run."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.appliance.kept_apart import STUDY
from tests.support.timeline import query
from tools.last_green import RECORD

ROOT = Path(__file__).resolve().parents[2]
ONLY_HERE = ("pytest", "hypothesis", "psycopg", "playwright")
"""Packages of the tests, which an installed appliance does not have."""
GREEN = "def test_green(): pass\n"
SKIPPED = "import pytest\n@pytest.mark.skip(reason='no podman')\ndef test_skipped(): pass\n"
RED = "def test_red(): assert False\n"
NEITHER = {
    "demo",
    "test",
    "test-unit",
    "test-training",
    "release",
    "release-key",
    "image-layer",
    "lint",
}
NEITHER |= {"formatted", "typed", "shell-checked", "worded", "style", "format", "screenshots"}
NEITHER |= {
    "deep",
    "typed-training",
    "container",
    "fleet-containers",
    "fleet-server",
    "clean",
    "help",
    "servers",
}
NEITHER |= {"torch", "write", "quick", "hook", "judged"}
"""Targets that make something, or run with every change."""


def test_study_on_an_installed_machine_needs_no_package_of_the_tests(tmp_path: Path) -> None:
    away = f"import sys; sys.modules.update(dict.fromkeys({ONLY_HERE}))"
    script = f"{away}\n{STUDY.replace('DATABASE', str(tmp_path / 'made.db'))}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, timeout=120)
    assert query(tmp_path / "made.db", "SELECT count(*) FROM session") == [(4,)]


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a commit, whose tests have no settings."""
    (tmp_path / "tests").mkdir()
    for name, text in {
        "none.ini": "[pytest]\n",
        "test_made.py": GREEN,
        ".gitignore": "__pycache__\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def commit(checkout: Path) -> None:
    git(checkout, "add", "--all")
    git(checkout, "commit", "-q", "-m", "Change it")


def last_green(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.last_green", *words],
        cwd=checkout,
        env={
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            # most of the time that such a run takes is their loading
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run(checkout: Path, target: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the made tests as a target, with the settings of no project."""
    alone = ("-c", "none.ini", "-p", "no:cacheprovider", "test_made.py")
    return last_green(checkout, target, *options, "--", "-m", "pytest", *alone)


def test_a_green_run_is_kept_with_its_commit_and_listed(checkout: Path) -> None:
    commit_of_it = git(checkout, "rev-parse", "--short=8", "HEAD")
    assert run(checkout, "test-made SUITE=trixie").returncode == 0
    assert last_green(checkout, "bench", "--", "-c", "").returncode == 0  # the record may differ
    kept = tomllib.loads((checkout / RECORD).read_text(encoding="utf-8"))
    made = kept["test-made SUITE=trixie"]
    assert (made["commit"], made["passed"], made["skipped"]) == (commit_of_it, 1, 0)
    assert kept["bench"] == {"date": made["date"], "commit": commit_of_it}
    lines = last_green(checkout, "bench", "api", "test-made SUITE=trixie").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["bench", str(made["date"]), commit_of_it],
        ["api", "none", "is", "kept"],
        ["test-made", "SUITE=trixie", str(made["date"]), commit_of_it, "1", "passed"],
    ]


def test_a_run_in_which_every_test_is_skipped_is_red(checkout: Path) -> None:
    (checkout / "test_made.py").write_text(SKIPPED, encoding="utf-8")
    commit(checkout)
    done = run(checkout, "test-made")
    assert done.returncode == 1 and not (checkout / RECORD).exists()
    assert "no podman" in done.stdout
    assert "test-made is red: every test was skipped (1)" in done.stderr


def test_a_red_run_a_part_and_a_changed_checkout_are_not_kept(checkout: Path) -> None:
    part = run(checkout, "test-made", "--part")
    assert part.returncode == 0 and "it had ARGS" in part.stderr
    (checkout / "new.py").touch()
    changed = run(checkout, "test-made")
    assert changed.returncode == 0 and "the files differ from commit" in changed.stderr
    (checkout / "test_made.py").write_text(RED, encoding="utf-8")
    commit(checkout)
    assert run(checkout, "test-made").returncode == 1
    assert not (checkout / RECORD).exists()


def dry_run(*targets: str) -> str:
    # which Python there is has been found out for this one: each look starts four others
    words = ["make", f"PYTHON={sys.executable}", "--dry-run", "--always-make", *targets]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_deep_target_keeps_its_green_runs_and_is_listed_by_test_all() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):(?! export)", makefile, re.MULTILINE)) - NEITHER
    assert {"test-container", "test-appliance", "bench"} <= targets
    (listed,) = (line for line in dry_run("test-all").splitlines() if "; exit $status" in line)
    planned = dry_run(*sorted(targets - {"test-all"})) + dry_run("test-all")
    for target in targets:
        found = re.search(rf"tools\.last_green '({target}(?: SUITE=\w+)?)' ", planned)
        assert found, f"make {target} keeps nothing"
        assert f" {found[1]} " in listed.replace("'", " ").replace(";", " "), target


def test_a_deep_target_that_lacks_a_package_fails() -> None:
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        assert not re.search(r"system-packages.*\|\|", line), line
