"""A terminal for programs that ask a passphrase there and nowhere else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run_on_terminal(words: list[str], folder: Path, typed: str) -> int:
    """Run a program in a folder on a terminal of its own; return its exit status.

    Args:
        words: program and arguments.
        folder: where it runs.
        typed: what is typed, ended by line breaks.
    """
    terminal, other_end = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", *words],
        cwd=folder,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    ) as program:
        os.close(other_end)
        os.write(terminal, typed.encode())
        try:
            while os.read(terminal, 1024):
                pass
        except OSError:  # nobody is at the other end any more
            pass
    os.close(terminal)
    return program.returncode
