"""What the stream to a collector costs an appliance: bytes on the disk, processor time, bytes sent.

    python -m benchmarks.reporting.cost [--json]

An hour of one face and one strap, a row of each every second and a commit every ten, is written
twice: without the stream, and with all that the sender does with it except for the network. The
folder must lie on a disk: in memory nothing is written.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks._command import benchmark
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, Expression, ExpressionRow
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.fleet.chunks import encode
from edge_agent.fleet.log import ChangeLog
from edge_agent.fleet.sender import ROWS_A_MESSAGE, timeline_message
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.inserts import write_expressions, write_vitals

START_MS = 1_790_000_400_000
BATCHES = 360
SECONDS = 10
FORGET_BATCHES = 6
MEGABYTE = 1_000_000


def written_bytes() -> int:
    """Return what this process has sent to the disk."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])


class Sender:
    """Does what the sender does after each commit, except for the network."""

    def __init__(self, path: Path) -> None:
        self._log = ChangeLog(path)
        self._epoch = self._log.begin().epoch
        self._sent = 0
        self._batches = 0
        self.bytes = 0

    def send(self) -> None:
        """Look as often as in the time of a batch, pack what is new, forget now and then."""
        for _ in range(SECONDS):
            self._log.has_changed()
        while (chunk := self._log.read(self._sent, ROWS_A_MESSAGE)) is not None:
            self.bytes += len(encode(timeline_message("lab", self._epoch, chunk)))
            self._sent = chunk.last
        self._batches += 1
        if self._batches % FORGET_BATCHES == 0:
            self._log.confirm(self._sent, {})

    def close(self) -> None:
        """Close the log."""
        self._log.close()


def hour(path: Path, *, with_stream: bool) -> tuple[float, float, float]:
    """Write an hour; return megabytes written, seconds of processor time, megabytes sent."""
    migrate(path)
    sender = Sender(path) if with_stream else None
    shown = Expression((0.86, *[0.02] * 7))
    with closing(connect(path, readonly=False)) as connection:
        before = written_bytes()
        cpu_s = time.process_time()
        for batch in range(BATCHES):
            times = [
                Instant(1 + 1000 * second, START_MS + 1000 * second)
                for second in range(batch * SECONDS, (batch + 1) * SECONDS)
            ]
            faces = [
                ExpressionRow(at, 1, 10, shown, shown, Emotion.NEUTRAL, 120.0, 0.75, True)
                for at in times
            ]
            pulses = [
                VitalReading(at, VitalKind.HEART_RATE, 60.0 + at.wall_ms % 13, "strap")
                for at in times
            ]
            with transaction(connection):
                write_expressions(connection, [(face, None) for face in faces], 1000, False)
                write_vitals(connection, [(pulse, None) for pulse in pulses])
            if sender is not None:
                sender.send()
        cpu_s = time.process_time() - cpu_s
        written = (written_bytes() - before) / MEGABYTE
    sent = 0.0
    if sender is not None:
        sender.close()
        sent = sender.bytes / MEGABYTE
    return written, cpu_s, sent


def measure() -> dict[str, float]:
    """Return all figures."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".cost-") as folder:
        Path(folder, "without").mkdir()
        Path(folder, "with").mkdir()
        without = hour(Path(folder, "without", DATABASE_NAME), with_stream=False)
        streamed = hour(Path(folder, "with", DATABASE_NAME), with_stream=True)
    return {
        "fleet_written_mb_an_hour": round(streamed[0] - without[0], 2),
        "fleet_core_percent": round((streamed[1] - without[1]) / 36, 4),
        "fleet_sent_mb_an_hour": round(streamed[2], 3),
    }


if __name__ == "__main__":
    benchmark(__doc__, measure)
