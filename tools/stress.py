"""Run the tests many times, and name each test that failed.

python -m tools.stress                   ten runs, every second one beside two busy loops
python -m tools.stress --runs 3          three
python -m tools.stress -- tests/browser  the words after -- go to pytest

A test that fails here once fails by chance: mend it or remove it. The command ends with 1 when a
run was red.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[1]
LOOPS = 2
_BUSY = "while True: pass"


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep ``count`` processor cores busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def failed_tests(report: Path) -> list[str]:
    """Return the tests that failed according to a JUnit report.

    Args:
        report: the file that ``pytest --junitxml`` writes; one that is missing names itself, for
            pytest ended before it wrote.
    """
    if not report.exists():
        return ["(pytest ended without a report)"]
    cases = ET.parse(report).iter("testcase")
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def main(words: Sequence[str]) -> int:
    """Run the tests as often as asked for, and print runs, failures and their names."""
    parser = argparse.ArgumentParser(prog="python -m tools.stress", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="how often the tests run (10)")
    parser.add_argument("pytest", nargs="*", help="words for pytest, after --")
    chosen = parser.parse_args(words)
    names: Counter[str] = Counter()
    red = 0
    for run in range(1, chosen.runs + 1):
        loops = LOOPS if run % 2 == 0 else 0
        with tempfile.TemporaryDirectory() as folder, busy_loops(loops):
            report = Path(folder) / "tests.xml"
            began = monotonic()
            command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *chosen.pytest]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            minutes = (monotonic() - began) / 60
            failed = failed_tests(report) if code else []
        names.update(failed)
        red += bool(code)
        beside = f" beside {loops} busy loops" if loops else ""
        print(
            f"run {run} of {chosen.runs}{beside}: {len(failed)} failed, {minutes:.1f} minutes",
            flush=True,
        )
    print(f"{chosen.runs} runs, {red} red, {names.total()} failures")
    for name, count in names.most_common():
        print(f"{count} × {name}")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
