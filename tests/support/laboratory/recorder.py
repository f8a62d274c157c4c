"""LabRecorder as a process of its own: ``recorder.py FILE PREDICATE [PREDICATE…]``.

Records the streams that fit a predicate, those that come later too, until its standard input ends.
"""

from __future__ import annotations

import sys

import labrecorder


def main() -> None:
    """Record, and say when it begins."""
    file, *predicates = sys.argv[1:]
    with labrecorder.Recording(file, [], predicates):
        print("recording", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
