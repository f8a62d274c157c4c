"""What the store promises: bytes written to the card, and the time of questions about long ranges.

    python -m benchmarks.store [--json]

An hour of 1 Hz rows goes through a real recorder, in transactions of 60 rows and, as by default, of
ten seconds, there also with the rows of a strap whose electrocardiogram is kept. Bytes are those
handed to the system by this process (``wchar`` of ``/proc/self/io``), write-ahead log and
checkpoints included. Times are medians of eleven calls.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from benchmarks._command import benchmark, median_ms
from edge_agent.config.data import RecorderOptions
from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.expression import Box, Emotion, Expression, Face, Observation, Recognition
from edge_agent.core.movements import MOVEMENTS, FaceMovements
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.vitals.polar_frames import ecg_of

START_MS = 1_790_000_400_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAYS = 90
STRAP = "ble:A0:9E:1A:00:00:01"
BEAT_S = 0.85
MOST_WAITING = 2_000
"""Items that wait for the recorder; it takes 4,000."""
# A row of each rollup for every minute and hour, in which happiness and neutral come and go.
SERIES = (
    "WITH RECURSIVE series(at) AS (SELECT :start UNION ALL SELECT at + :length FROM series WHERE "
    "at + :length < :end) "
)
EXPRESSIONS = (
    "INSERT INTO expression_{name} (at, rows, frames, uncertain, sum_happiness, sum_neutral, "
    "count_happiness, count_neutral) SELECT at, 60, 600, 3, 20000 + at % 7000, 30000, at % 41, 16 "
    "FROM series"
)
VITALS = (
    "INSERT INTO vital_{name} (kind, at, n, total, least, most) "
    "SELECT 'heart_rate', at, 60, 60 * (60 + at % 29), 55, 95 FROM series"
)


def bytes_written() -> int:
    """Return how many bytes this process has handed to the system so far."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("wchar")))


def write_an_hour(
    path: Path, rows: int, movements: FaceMovements | None = None, *, strap: bool = False
) -> float:
    """Send an hour of one face at 1 Hz through a recorder and return the megabytes written.

    Args:
        path: the database, made here.
        rows: in one transaction, which are as many faces.
        movements: of the face; ``None``: not read.
        strap: whether a strap sends heart rate, beats and an electrocardiogram that is kept.
    """
    migrate(path)
    shown = Expression((0.1, 0.7, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01))
    box = Box(10, 10, 100, 120)
    face = Observation(
        1,
        Face(box, 0.9, ()),
        shown,
        shown,
        Emotion.HAPPINESS,
        True,
        0.8,
        movements=movements,
        smoothed_movements=movements,
    )
    before = bytes_written()
    of_strap = list(strap_rows()) if strap else []
    rows += len(of_strap) * rows // 3600
    recorder = Recorder(path, RecorderOptions.model_construct(batch_seconds=3600, batch_rows=rows))
    recorder.start()
    for second in range(3600):
        while recorder.queue_depth > MOST_WAITING:
            time.sleep(0.01)
        at = Instant(boot_ms=second * 1000, wall_ms=START_MS + second * 1000)
        recorder.submit(Recognition(at, second, 640, 480, (face,)))
        while of_strap and of_strap[0].at.boot_ms <= at.boot_ms:
            recorder.submit(of_strap.pop(0))
    recorder.stop()
    if not recorder.join(120) or recorder.error or recorder.dropped:
        raise SystemExit(f"the recorder failed: {recorder.error}, {recorder.dropped} items lost")
    return (bytes_written() - before) / 1e6


def strap_rows() -> Iterator[VitalReading | EcgStretch]:
    """Yield what an H10 gives in an hour: a heart rate each second, a beat each 0.85 s, and ten
    seconds of an electrocardiogram with noise of 10 µV at a time.
    """
    draws = random.Random(1)
    clean = ecg_of([BEAT_S * number for number in range(1, 12)], 10)
    ended_s = 0.0
    for second in range(1, 3600):
        at = Instant(boot_ms=second * 1000, wall_ms=START_MS + second * 1000)
        while ended_s + BEAT_S <= second:
            ended_s += BEAT_S
            ended = at.shift(ended_s - second)
            yield VitalReading(ended, VitalKind.RR_INTERVAL, BEAT_S, STRAP, error=0.0005)
        yield VitalReading(at, VitalKind.HEART_RATE, 70.0, STRAP)
        if second % 10 == 0:
            samples = tuple(one + round(draws.gauss(0, 10)) for one in clean)
            yield EcgStretch(at, STRAP, 10.0, samples)


def fill_rollups(path: Path) -> None:
    """Write what 90 days of recording leave in the rollups."""
    span = {"start": START_MS - DAYS * DAY_MS, "end": START_MS}
    with closing(connect(path, readonly=False)) as connection, transaction(connection):
        for name, length in (("minute", 60_000), ("hour", HOUR_MS)):
            for insert in (EXPRESSIONS, VITALS):
                connection.execute(SERIES + insert.format(name=name), span | {"length": length})


def _by_the_clock(call: Callable[[], object]) -> float:
    return median_ms(call, 11, time.perf_counter)


def measure(folder: Path) -> dict[str, float]:
    """Return all figures."""
    path = folder / DATABASE_NAME
    figures = {"store_mb_written_per_hour": write_an_hour(path, 60)}
    face = FaceMovements((*[0.3] * len(MOVEMENTS), 12.3, -8.1, 2.5, 0.2, -0.2))
    for name, rows, movements, strap in (
        ("with_movements", 60, face, False),
        ("by_default", 10, None, False),
        ("by_default_with_movements", 10, face, False),
        ("by_default_with_movements_and_strap", 10, face, True),
    ):
        written = write_an_hour(folder / name / DATABASE_NAME, rows, movements, strap=strap)
        figures[f"store_mb_written_per_hour_{name}"] = written
    fill_rollups(path)
    reader = Reader(path)
    first = START_MS - DAYS * DAY_MS
    figures["store_trend_90_days_ms"] = _by_the_clock(lambda: reader.trend(first, START_MS))
    figures["store_vital_trend_90_days_ms"] = _by_the_clock(
        lambda: reader.vital_trend(VitalKind.HEART_RATE, first, START_MS)
    )
    study = folder / "study" / DATABASE_NAME
    migrate(study)
    began = time.perf_counter()
    seed_example_study(study, SimulatedPerson)
    figures["store_example_study_ms"] = 1000 * (time.perf_counter() - began)
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure)
