"""The real LabRecorder over the streams of one appliance, and what pyxdf reads of its file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("recorder.py")
_END_S = 30


@dataclass(frozen=True)
class Recording:
    """A recording that goes on.

    Attributes:
        file: what it writes.
        process: LabRecorder.
    """

    file: Path
    process: subprocess.Popen[str]

    def end(self) -> None:
        """Let LabRecorder write its last bytes."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(_END_S) == 0


@contextmanager
def lab_recorder(file: Path, device: str) -> Iterator[Recording]:
    """LabRecorder, watching for every stream of an appliance."""
    predicate = f"starts-with(source_id,'affect-edge/{device}/')"
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), str(file), predicate],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        while "recording" not in (line := process.stdout.readline()):
            assert line, "LabRecorder ended"
        try:
            yield Recording(file, process)
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
