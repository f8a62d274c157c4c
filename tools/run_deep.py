"""What `.ci/run` runs beyond `make test`: `make deep`.

python -m tools.run_deep --each TARGET … --in-turn TARGET …

Each target of the first list runs every time. Of the second list one runs: the number of commits
says which, so that every one has its turn. A target runs in its small form (``SMALL=yes``) and does
the work that it is for, only less of it. One in turn that is red runs once more; red twice is red.

A target that this machine cannot run says so by ``tools.cannot_run``. It is named at the end, and
does not make the run red. The rows of the green ones are printed for ``tests/last-green.toml``.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools.cannot_run import VARIABLE
from tools.last_green import RECORD, rows_of_commit

HANGS_S = 1800.0
"""Whatever takes so long hangs: the small forms take minutes."""
TAIL = 200
"""Lines of a red run that are printed."""


@dataclass(frozen=True, slots=True)
class TargetEnded:
    """How a target ended.

    Attributes:
        target: of ``make``.
        is_green: whether it passed.
        lacking: why this machine cannot run it; empty where it ran.
        seconds: that it took.
        output: what it printed.
    """

    target: str
    is_green: bool
    lacking: str
    seconds: float
    output: str

    def described(self) -> str:
        """Return a line for people."""
        if self.lacking:
            return f"make {self.target} did not run on this machine: {self.lacking}"
        return f"make {self.target}: {'green' if self.is_green else 'RED'}, {self.seconds:.0f} s"


def in_turn(targets: Sequence[str], commits: int) -> str:
    """Return the target whose turn it is after so many commits."""
    return targets[commits % len(targets)]


def run(target: str) -> TargetEnded:
    """Run the small form of a target to its end."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        reason = Path(folder) / "reason"
        printed = Path(folder) / "printed"
        with printed.open("wb") as out:
            process = subprocess.Popen(
                ["make", "--no-print-directory", target, "SMALL=yes"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | {VARIABLE: str(reason)},
                start_new_session=True,
            )
            code = _code_of(process)
        text = printed.read_text(encoding="utf-8", errors="replace")
        lacking = reason.read_text(encoding="utf-8").strip() if reason.exists() else ""
    return TargetEnded(target, code == 0, lacking, time.monotonic() - begun_s, text)


def _code_of(process: subprocess.Popen[bytes]) -> int:
    """Wait for a run; whatever it leaves behind, and it itself where it hangs, is ended."""
    try:
        return process.wait(HANGS_S)
    except subprocess.TimeoutExpired:
        return 1
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_all(each: Sequence[str], dear: str) -> list[TargetEnded]:
    """Run each of the cheap targets, and the dear one; print how every run ended."""
    all_ended = []
    for target in (*each, dear):
        ended = _shown(run(target))
        if target == dear and not ended.is_green and not ended.lacking:
            ended = _shown(run(target))
        all_ended.append(ended)
    return all_ended


def _shown(ended: TargetEnded) -> TargetEnded:
    if not ended.is_green and not ended.lacking:
        print("\n".join(ended.output.splitlines()[-TAIL:]))
    print(ended.described(), flush=True)
    return ended


def main(arguments: Sequence[str]) -> int:
    """Run them; return 1 where one is red."""
    parser = argparse.ArgumentParser(prog="python -m tools.run_deep", description=__doc__)
    parser.add_argument("--each", nargs="*", default=[], metavar="TARGET")
    parser.add_argument("--in-turn", nargs="+", required=True, metavar="TARGET")
    chosen = parser.parse_args(arguments)
    counted = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"], capture_output=True, text=True, check=True
    )
    commits = int(counted.stdout)
    dear = in_turn(chosen.in_turn, commits)
    print(f"After {commits} commits it is the turn of make {dear}.", flush=True)
    ended = run_all(chosen.each, dear)
    print(f"\nFor {RECORD}:\n{rows_of_commit()}")
    return int(any(not one.is_green and not one.lacking for one in ended))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
