"""The last green run of each target beyond `make test`, kept in ``tests/last-green.toml``.

python -m tools.last_green TARGET [--part] -- WORDS   runs Python with these words, as that target
python -m tools.last_green TARGET …                   lists the last green run of each

A run of pytest in which no test passed is red, whatever pytest says: every test was skipped. A
green run is kept unless it was a part of the target, or the checkout differs from its commit.
Only the standard library is needed, so that `make test-fresh` can use it before anything is
installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from tools import last_figures

RECORD = Path("tests/last-green.toml")
"""From the root of the checkout, where `make` runs."""
HEAD = "# What `make` keeps of the last green run of each target; `make test-all` lists it.\n"
PYTEST = ["-m", "pytest"]
WRITTEN = (RECORD, last_figures.RECORD, *map(Path, last_figures.DOCUMENTS))
"""What a run itself writes, and which therefore may differ from its commit."""
_BUT_THE_RECORD = ["--", ".", *(f":(exclude){path}" for path in WRITTEN)]


@dataclass(frozen=True, slots=True)
class GreenRun:
    """One green run of a target.

    Attributes:
        date: of its end, UTC.
        commit: what the checkout was.
        passed, skipped: tests; ``None`` where the target does not run pytest.
    """

    date: date
    commit: str
    passed: int | None = None
    skipped: int | None = None

    def described(self) -> str:
        counts = f"  {self.passed} passed" if self.passed is not None else ""
        return f"{self.date}  {self.commit}{counts}" + (
            f", {self.skipped} skipped" if self.skipped else ""
        )


def run_target(target: str, words: Sequence[str], *, part: bool) -> int:
    """Run Python with the words; return its exit status, or 1 where every test was skipped."""
    commit = _commit()
    why_not = _why_not_kept(commit, part=part)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        is_pytest = list(words[:2]) == PYTEST
        command = [*PYTEST, f"--junitxml={report}", "-rs", *words[2:]] if is_pytest else words
        offered = Path(folder) / "figures.json"
        code = _waited_for(command, {last_figures.VARIABLE: str(offered)})
        if offered.exists() and " SMALL=" not in target:
            _keep_figures(target, offered, commit, why_not or _why_not_kept(commit, part=part))
        if code:
            return code
        passed, skipped = _counts(report) if is_pytest else (None, None)
    if passed == 0:
        print(f"{target} is red: every test was skipped ({skipped}).", file=sys.stderr)
        return 1
    why_not = why_not or _why_not_kept(commit, part=part)
    if why_not:
        print(f"This green run is not kept in {RECORD}: {why_not}.", file=sys.stderr)
    else:
        _keep(target, GreenRun(datetime.now(UTC).date(), commit, passed, skipped))
    return 0


def list_runs(targets: Sequence[str]) -> None:
    """Print a line for each target."""
    kept = _kept()
    print(f"Last green runs ({RECORD}):")
    for target in targets:
        run = kept.get(target)
        print(f"  {target:36} {run.described() if run else 'none is kept'}")


def rows_of_commit() -> str:
    """Return the rows of the present commit as they stand in the record; empty: there is none."""
    commit = _commit()
    return "".join(
        _table(target, run) for target, run in sorted(_kept().items()) if run.commit == commit
    )


def _keep_figures(target: str, offered: Path, commit: str, why_not: str) -> None:
    """Keep what a run printed, and carry it into the documents."""
    if why_not:
        print(f"Its figures are not kept in {last_figures.RECORD}: {why_not}.", file=sys.stderr)
        return
    last_figures.keep(target, offered, commit, datetime.now(UTC).date())
    subprocess.run([sys.executable, "-B", "-m", "tools.write_figures"], check=True)


def _waited_for(words: Sequence[str], surroundings: Mapping[str, str]) -> int:
    """Run Python and return its exit status; whoever ends this lets it end in an orderly way."""
    environment = {**os.environ, **surroundings}
    with subprocess.Popen([sys.executable, *words], env=environment) as running:
        signal.signal(signal.SIGTERM, lambda *_: running.terminate())
        # The terminal tells both.
        signal.signal(signal.SIGINT, lambda *_: None)
        code = running.wait()
    return code if code >= 0 else 128 - code


def _counts(report: Path) -> tuple[int, int]:
    """Return how many tests passed and were skipped, by the report of a green run of pytest."""
    suites = list(ET.parse(report).iter("testsuite"))
    skipped = sum(int(suite.get("skipped", 0)) for suite in suites)
    return sum(int(suite.get("tests", 0)) for suite in suites) - skipped, skipped


def _commit() -> str:
    """Return the commit of the checkout; nothing where there is none."""
    return _git("rev-parse", "--short=8", "HEAD").stdout.strip()


def _why_not_kept(commit: str, *, part: bool) -> str:
    """Say why a run would not tell how that commit is; nothing where it would."""
    if part:
        return "it had ARGS, so that it may be a part of the target"
    if not commit:
        return "this folder is no checkout of git"
    unknown = _git("ls-files", "--others", "--exclude-standard", *_BUT_THE_RECORD).stdout
    if unknown or _git("diff", "--quiet", commit, *_BUT_THE_RECORD).returncode:
        return f"the files differ from commit {commit}; commit them and run it again"
    return ""


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False)


def kept_run(target: str) -> GreenRun | None:
    """Return the last green run of a target that is kept; ``None``: none is."""
    return _kept().get(target)


def age_of(commit: str) -> int | None:
    """Return how many commits the checkout is ahead of one; ``None`` where git does not know it."""
    counted = _git("rev-list", "--count", f"{commit}..HEAD")
    return int(counted.stdout) if counted.returncode == 0 else None


def _kept() -> dict[str, GreenRun]:
    if not RECORD.exists():
        return {}
    tables = tomllib.loads(RECORD.read_text(encoding="utf-8"))
    return {target: GreenRun(**table) for target, table in tables.items()}


def _keep(target: str, run: GreenRun) -> None:
    """Write the run into the record, in place of that target's last one."""
    runs = sorted((_kept() | {target: run}).items())
    RECORD.write_text(HEAD + "".join(_table(*one) for one in runs), encoding="utf-8")
    print(f"{target}: {run.described()}, kept in {RECORD}")


def _table(target: str, run: GreenRun) -> str:
    values = {name: value for name, value in asdict(run).items() if value is not None}
    lines = [
        f'{name} = "{v}"' if name == "commit" else f"{name} = {v}" for name, v in values.items()
    ]
    return f'\n["{target}"]\n' + "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Run a target, or list some."""
    if "--" not in arguments:
        list_runs(arguments)
        return 0
    at = arguments.index("--")
    target, *options = arguments[:at]
    return run_target(target, arguments[at + 1 :], part=options == ["--part"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
