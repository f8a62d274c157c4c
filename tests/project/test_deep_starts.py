"""Each target beyond `make test` starts: one that cannot is red at once, not when it is next run.

A run of pytest finds its tests. Any other program does its work in its smallest size, or, where
that takes more than seconds or a package that `make test` does not install, loads what it needs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from tools.last_green import PYTEST

ROOT = Path(__file__).resolve().parents[2]
STARTED = re.compile(r"tools\.last_green '(?P<target>[\w-]+)[^']*' +-- (?P<words>[^;\n]*)")
LISTED = ("DEEP", "DEEP_ON_DEBIAN")
SMALLEST = {
    "bench": "-m benchmarks --help",
    "fleet": "-m benchmarks.fleet.fleet --help",
    "mutants": "-m tools.mutants --number 1 --jobs 1 --bar 0 --only core/own_neutral",
    "security": "-m benchmarks --help",
    "stress": "-m tools.stress --runs 1 -- tests/unit/core/test_texts.py",
    "test-fresh": "-c 'import tests.appliance.fresh'",
}
"""Words for Python, of each target that is no run of pytest."""
OWN_TEST = {
    "api": "tests/integration/api/test_conformance.py",
    "faults": "tests/faults/test_faults.py",
}
"""Tests that do in small what a target does."""
OTHERS = {"comparison": "needs packages of others, in an environment of its own"}


def words_by_target() -> dict[str, list[str]]:
    """Return what Python is run with, as each target beyond `make test`."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [
        target
        for name in LISTED
        for target in re.findall(rf"^{name} := (.*)$", makefile, re.MULTILINE)[0].split()
    ]
    command = ["make", f"PYTHON={sys.executable}", "--dry-run", "--always-make", *targets]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {
        one["target"]: shlex.split(one["words"])
        for one in STARTED.finditer(planned.replace("\\\n", ""))
    }
    assert set(found) == set(targets)
    return found


TARGETS = words_by_target()


def start(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=240
    )


def test_each_deep_target_has_its_smallest_size() -> None:
    others = {target for target, words in TARGETS.items() if words[:2] != PYTEST}
    assert set(SMALLEST) | set(OWN_TEST) == others
    assert all((ROOT / test).exists() for test in OWN_TEST.values())


def test_a_deep_target_of_pytest_finds_its_tests() -> None:
    files = {
        word
        for words in TARGETS.values()
        if words[:2] == PYTEST
        for word in words
        if word.startswith("tests/") and word.endswith(".py")
    }
    assert len(files) > 9
    done = start("-m", "pytest", "--collect-only", "-q", "-m", "deep or not deep", *sorted(files))
    assert done.returncode == 0, done.stdout[-2000:]
    found = {line.split(":")[0] for line in done.stdout.splitlines() if ": " in line}
    assert files <= found


@pytest.mark.parametrize("target", SMALLEST)
def test_a_deep_target_starts_in_its_smallest_size(target: str) -> None:
    done = start(*shlex.split(SMALLEST[target]))
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]


def test_every_benchmark_can_be_loaded() -> None:
    modules = [module for name, module in BENCHMARKS.items() if name not in OTHERS]
    done = start("-c", "".join(f"import {module}\n" for module in modules))
    assert done.returncode == 0, done.stderr[-2000:]
