"""Break the code on purpose, one thing at a time, and count how often a test notices.

``tools/mutants.toml`` says which modules are changed, which tests check each, and which changes
make no difference, with the reason. A sample is drawn by its seed; each mutant runs in a copy of
the project. A mutant dies when a test fails or takes far too long, or when mypy refuses it. The
survivors are printed as diffs, each as soon as it is known: a bug that nobody would have noticed.

Use: ``python -m tools.mutants --seed 1 --number 150 --minutes 20 [--only retention]``
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from tools.mutations import MutableModule, Mutant

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tools" / "mutants.toml"
CACHE = ROOT / ".mypy_cache"
PRODUCT = ("affect_edge", "edge_agent", "dashboard")
BASELINE_S = 300.0
POLL_S = 0.02
NOT_STARTED = 70  # exit code; those of pytest end at 5
TOLD_EVERY = 25
# Loaded once and not for each mutant: most of the time that a short test takes.
HEAVY = (
    "ai_edge_litert.interpreter",
    "argon2",
    "cv2",
    "fastapi",
    "hypothesis",
    "jinja2",
    "numpy",
    "paho.mqtt.client",
    "pydantic",
    "pytest_timeout",
    "scipy.stats",
    "sqlite_utils",
    "starlette.testclient",
)
# Plugins of pytest that take a second to load and that none of these tests needs.
UNUSED = ("cacheprovider", "pytest_cov", "schemathesis", "xdist")
Tests = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MutantPlan:
    """What ``mutants.toml`` says.

    Attributes:
        tests: that check a module, by its path.
        equivalent: path, old lines and new lines of changes that make no difference.
    """

    tests: dict[str, Tests]
    equivalent: frozenset[tuple[str, str, str]]


def read_plan() -> MutantPlan:
    """Return the plan; raises ``FileNotFoundError`` for a module or a test that is not there."""
    told = tomllib.loads(LIST.read_text(encoding="utf-8"))
    tests = {
        module: tuple(judged["tests"]) for judged in told["judged"] for module in judged["modules"]
    }
    for name in {*tests, *(test for selection in tests.values() for test in selection)}:
        if not (ROOT / name).exists():
            raise FileNotFoundError(f"{LIST.name} names {name}, which is not there.")
    equivalent = told.get("equivalent", [])
    return MutantPlan(
        tests, frozenset((one["module"], one["was"], one["becomes"]) for one in equivalent)
    )


def draw(plan: MutantPlan, seed: int, number: int, only: str, modules: int | None) -> list[Mutant]:
    """Return the sample: every change of every module is as likely as any other.

    Args:
        plan: the modules.
        seed: draws the sample.
        number: of changes at the most.
        only: modules whose path holds this text.
        modules: so many of them, drawn as well; ``None``: all.
    """
    named = [module for module in sorted(plan.tests) if only in module]
    if modules is not None:
        named = sorted(random.Random(seed).sample(named, min(modules, len(named))))
        print("\n".join(named))
    sources = [MutableModule(ROOT, module) for module in named]
    all_of_them = [(source, number) for source in sources for number in range(len(source))]
    order = random.Random(seed).sample(all_of_them, len(all_of_them))
    print(f"{len(all_of_them):,} changes in {len(sources)} modules; seed {seed}", flush=True)
    return [source.mutant(which) for source, which in order[:number]]


def make_copy(folder: Path) -> Path:
    """Copy the project as it is in the working tree, compiled; return the folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    # Checked by content, so that a changed module is never taken from its old bytecode.
    words = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", *PRODUCT]
    subprocess.run([sys.executable, *words], cwd=folder, check=True)
    return folder


def _run_tests(folder: Path, tests: Tests) -> None:
    """Run tests to the first failure; the exit code is that of pytest. In a process of its own."""
    try:
        os.setsid()  # so that what the tests start can be ended with them
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silence, descriptor)
        os.chdir(folder)
    except OSError:
        os._exit(NOT_STARTED)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path[0] = str(folder)
    # The libraries are loaded already, and pytest would warn that it cannot look into them.
    known = "ignore::pytest.PytestAssertRewriteWarning"
    options = ["-x", "-W", known, "--no-header", "--tb=no"]
    options += [word for plugin in UNUSED for word in ("-p", f"no:{plugin}")]
    os._exit(pytest.main([*options, *tests]))


class MutantRun:
    """The tests of a module in a copy of the project, with a mutant or without.

    Args:
        folder: of the copy.
        tests: which to run.
        within_s: how long they may take.
        mutant: what is changed; ``None``: nothing.
    """

    def __init__(self, folder: Path, tests: Tests, within_s: float, mutant: Mutant | None) -> None:
        self.folder = folder
        self.tests = tests
        self.mutant = mutant
        self.begun_s = time.monotonic()
        self._until_s = self.begun_s + within_s
        self._whole = b""
        if mutant is not None:
            self._whole = (folder / mutant.path).read_bytes()
            (folder / mutant.path).write_text(mutant.code, encoding="utf-8")
        self._process = multiprocessing.get_context("fork").Process(
            target=_run_tests, args=(folder, tests)
        )
        self._process.start()

    @property
    def has_ended(self) -> bool:
        """Whether the tests are through, or have taken too long."""
        # Not by the exit code: asking for it would free the number that ``end`` sends a signal to.
        through = wait([self._process.sentinel], timeout=0)
        return bool(through) or time.monotonic() >= self._until_s

    def end(self) -> bool:
        """Clean up; return whether all tests passed.

        Raises:
            RuntimeError: the tests were never started, which tells nothing about a mutant.
        """
        if self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        if self.mutant is not None:
            (self.folder / self.mutant.path).write_bytes(self._whole)
        if self._process.exitcode == NOT_STARTED:
            raise RuntimeError("This machine could not start the tests: look at its /dev/null.")
        return self._process.exitcode == 0


class TestRunner:
    """Runs tests in several copies at once, each run forked from a process that has the libraries.

    Args:
        plan: which tests check which module.
        copies: folders; one for each run at a time.
    """

    def __init__(self, plan: MutantPlan, copies: Sequence[Path]) -> None:
        self._plan = plan
        self._free = list(copies)
        self._running: list[MutantRun] = []
        self._took_s: dict[str, float] = {}
        for name in HEAVY:
            with suppress(ImportError):
                importlib.import_module(name)

    def measure(self, modules: set[str]) -> None:
        """Run the tests of these modules unchanged, each file once, for the time they take.

        Raises:
            RuntimeError: they fail, so they can check nothing.
        """
        for test in sorted({test for module in modules for test in self._plan.tests[module]}):
            self._start((test,), BASELINE_S, None)
        self._wait_for(0)

    def survivors(self, mutants: Sequence[Mutant], until_s: float) -> tuple[list[Mutant], int]:
        """Return the mutants that no test noticed, and how many were tried before ``until_s``."""
        tried = 0
        lived: list[Mutant] = []
        for mutant in mutants:
            if time.monotonic() >= until_s:
                break
            tests = self._plan.tests[mutant.path]
            within_s = 15 + 4 * sum(self._took_s[test] for test in tests)
            lived += self._start(tests, within_s, mutant)
            tried += 1
            if tried % TOLD_EVERY == 0:
                print(f"{tried} tried", flush=True)
        return lived + self._wait_for(0), tried

    def close(self) -> None:
        """End what is under way."""
        for run in self._running:
            run.end()

    def _start(self, tests: Tests, within_s: float, mutant: Mutant | None) -> list[Mutant]:
        """Start a run as soon as a copy is free; return who has survived meanwhile."""
        if self._free:
            lived = []
        else:
            lived = self._wait_for(len(self._running) - 1)
        self._running.append(MutantRun(self._free.pop(), tests, within_s, mutant))
        return lived

    def _wait_for(self, left: int) -> list[Mutant]:
        """Wait until no more than ``left`` runs are under way; return who has survived."""
        lived: list[Mutant] = []
        while len(self._running) > left:
            time.sleep(POLL_S)
            for run in [run for run in self._running if run.has_ended]:
                self._running.remove(run)
                lived += self._settle(run, run.end())
                self._free.append(run.folder)
        return lived

    def _settle(self, run: MutantRun, passed: bool) -> list[Mutant]:
        if run.mutant is None:
            self._took_s |= dict.fromkeys(run.tests, time.monotonic() - run.begun_s)
            if not passed:
                raise RuntimeError(f"With nothing changed, these tests fail: {' '.join(run.tests)}")
            return []
        if not passed:
            return []
        print(f"not noticed by a test:\n{run.mutant.diff}\n", flush=True)
        return [run.mutant]


def refused(folder: Path, mutant: Mutant) -> bool:
    """Return whether the type checker refuses a mutant, as ``make lint`` would."""
    path = folder / mutant.path
    whole = path.read_bytes()
    path.write_text(mutant.code, encoding="utf-8")
    # The modules that use it, too: a constant may be refused only there.
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(CACHE), *PRODUCT]
    answer = subprocess.run(command, cwd=folder, check=False, capture_output=True)
    path.write_bytes(whole)
    return answer.returncode == 1


def main() -> int:
    """Test a sample; return 1 when fewer than ``--bar`` percent of it died."""
    parser = argparse.ArgumentParser(description="Count how often a test notices a changed line.")
    parser.add_argument("--seed", type=int, default=1, help="draws the sample (1)")
    parser.add_argument("--number", type=int, default=120, help="mutants at the most (120)")
    parser.add_argument("--minutes", type=float, default=20, help="time for them (20)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="at once (one a core)"
    )
    parser.add_argument("--only", default="", help="modules whose path holds this text")
    parser.add_argument("--modules", type=int, help="so many modules, drawn by the seed (all)")
    parser.add_argument("--bar", type=float, default=90, help="percent that must die (90)")
    given = parser.parse_args()
    plan = read_plan()
    until_s = time.monotonic() + 60 * given.minutes
    drawn = draw(plan, given.seed, given.number, given.only, given.modules)
    same = [one for one in drawn if (one.path, one.was, one.becomes) in plan.equivalent]
    mutants = [one for one in drawn if one not in same]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [make_copy(Path(folder) / str(number)) for number in range(given.jobs)]
        with closing(TestRunner(plan, copies)) as runner:
            runner.measure({mutant.path for mutant in mutants})
            passed, tried = runner.survivors(mutants, until_s)
        typed = [mutant for mutant in passed if refused(copies[0], mutant)]
    for mutant in typed:
        print(f"but the type checker refuses, in {mutant.path}: {mutant.becomes}")
    died = tried - len(passed) + len(typed)
    share = 100 * died / max(tried, 1)
    print(
        f"{died} of {tried} mutants died: {share:.0f} %, at least {given.bar:.0f} % is asked for;"
    )
    print(f"of these the type checker alone refuses {len(typed)};")
    print(f"{len(same)} more make no difference, and there was no time for {len(mutants) - tried}.")
    if tried and share >= given.bar:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
