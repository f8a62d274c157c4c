"""Comparing the files of two databases, in a process of its own.

SQLite's locks on a file belong to the process: they are gone when it closes the file anywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_agent.core.process import run_to_end

_HEADER = 100
"""Bytes at the start of a file that copying changes: who wrote it, and how the log is kept."""
_AT_ONCE = 1_000_000
_SAME, _OTHER = 0, 9
"""Exit codes of the process."""


def have_same_pages(database: Path, copy: Path, size: int) -> bool:
    """Tell whether two files have the same bytes after their headers.

    Args:
        database: one of them, which may be open in this process.
        copy: the other one.
        size: bytes of both that count.
    """
    words = (sys.executable, "-P", "-m", __name__)
    done = run_to_end(*words, str(database.absolute()), str(copy.absolute()), str(size))
    return done.returncode == _SAME


def main() -> None:
    """Compare two files, up to a number of bytes; the arguments are both paths and the number."""
    with Path(sys.argv[1]).open("rb") as one, Path(sys.argv[2]).open("rb") as other:
        left = int(sys.argv[3]) - _HEADER
        for file in (one, other):
            file.seek(_HEADER)
        while left > 0:
            parts = [file.read(min(left, _AT_ONCE)) for file in (one, other)]
            if parts[0] != parts[1] or not parts[0]:
                sys.exit(_OTHER)
            left -= len(parts[0])
    sys.exit(_SAME)


if __name__ == "__main__":
    main()
