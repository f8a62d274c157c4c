"""The real LabRecorder over the streams of one appliance, and what pyxdf reads of its file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.broker import wait_until

_PROGRAM = """
import sys, labrecorder
file, *predicates = sys.argv[1:]
with labrecorder.Recording(file, [], predicates):
    print("recording", flush=True)
    sys.stdin.read()
"""
"""Records the streams that fit, those that come later too, until its standard input ends."""
_END_S = 30
_OPENED = "Started data collection for stream"


@dataclass(frozen=True)
class Recording:
    """A recording that goes on.

    Attributes:
        file: what it writes.
        process: LabRecorder.
        log: what it says.
    """

    file: Path
    process: subprocess.Popen[bytes]
    log: Path

    def opened(self) -> int:
        """How many streams it reads, or has read."""
        return self.log.read_text(encoding="utf-8").count(_OPENED)

    def end(self) -> None:
        """Let LabRecorder write its last bytes."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(_END_S) == 0


@contextmanager
def lab_recorder(file: Path, device: str) -> Iterator[Recording]:
    """LabRecorder, watching for every stream of an appliance."""
    predicate = f"starts-with(source_id,'affect-edge/{device}/')"
    log = file.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(file), predicate],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            wait_until(lambda: b"recording" in log.read_bytes(), "LabRecorder", _END_S)
            yield Recording(file, process, log)
        finally:
            process.kill()


def read_xdf(file: Path) -> dict[str, tuple[list[float], list[Any], dict[str, Any]]]:
    """Return times, samples and description of each stream of a file, by its name."""
    import pyxdf

    streams, _ = pyxdf.load_xdf(str(file), dejitter_timestamps=False)
    return {
        stream["info"]["name"][0]: (
            [float(stamp) for stamp in stream["time_stamps"]],
            [list(sample) for sample in stream["time_series"]],
            stream["info"],
        )
        for stream in streams
    }
