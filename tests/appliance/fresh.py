"""`make test` on a machine that has never seen the project: what `make test-fresh` runs.

    python -m tests.appliance.fresh SUITE [ARGS]

A clone of HEAD on a bare Debian 13 (trixie) or 12 (bookworm), with git, make and python3-venv and
nothing else. The exit status is that of `make test`; the last line is what became of the tests.
Needs root, or sudo.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time

from tests.appliance.machine import FROM_THIS_MACHINE, ROOT, Machine

CLONE = "/root/affect-edge"
NEEDED = "git make python3 python3-venv"
"""What README asks for before its commands."""
PREPARING_SECONDS = 900.0
TESTING_SECONDS = 7200.0
_SUMMARY = re.compile(r"^[= ]*(\d+ (?:passed|failed|skipped|error).*?) in [\d.]+s\b")


def main(arguments: list[str]) -> int:
    """Run it and return the exit status of `make test`."""
    suite, *options = arguments
    if os.geteuid() != 0:
        _again_as_root(arguments)
    warn_of_changes()
    # whoever ends this ends the machine, too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Machine(suite) as machine:
        clone = machine.root / CLONE.removeprefix("/")
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", ROOT, clone], check=True)
        prepare(machine)
        command = f"cd {CLONE} && exec make test ARGS={shlex.quote(' '.join(options))}"
        began = time.monotonic()
        done = machine.follow("bash", "-c", command, within_s=TESTING_SECONDS)
        seconds = time.monotonic() - began
    print(sentence(suite, done.code, done.output, seconds), flush=True)
    return done.code


def prepare(machine: Machine) -> None:
    machine.wait_for("ip route | grep -q default", 30.0)
    install = f"apt-get install -y -qq --no-install-recommends {NEEDED}"
    machine.shell(f"apt-get update -qq && {install}", within_s=PREPARING_SECONDS)


def sentence(suite: str, code: int, output: str, seconds: float) -> str:
    """Say what became of the tests.

    Args:
        suite: trixie or bookworm.
        code: exit status of `make test`.
        output: all that it printed.
        seconds: that it took, setting up included.
    """
    lines = [found[1] for found in map(_SUMMARY.match, output.splitlines()) if found]
    # the tests of training are a run of their own, behind all others
    counts = "; training: ".join(lines) if lines else "no test was run"
    ending = "green" if code == 0 else f"red (exit status {code})"
    minutes, rest = divmod(round(seconds), 60)
    return f"make test on a bare Debian {suite}: {ending}; {counts}; {minutes} min {rest} s"


def warn_of_changes() -> None:
    """Say it when files are not committed, for the clone has only what is."""
    asked = ["git", "status", "--porcelain"]
    if subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout:
        print("Changes that are not committed are not part of the clone.", file=sys.stderr)


def _again_as_root(arguments: list[str]) -> None:
    """Start this program again through sudo, which asks for the password."""
    kept = ",".join(("HOME", *FROM_THIS_MACHINE))
    program = [sys.executable, "-B", "-m", "tests.appliance.fresh"]
    os.execvp("sudo", ["sudo", f"--preserve-env={kept}", *program, *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
