"""Time and memory of the export of a year at 1 Hz with 200 sessions as a bundle.

    python -m benchmarks.export [--json] [--days N] [--keep FOLDER]

A year of recording: an expression and a heart rate every second, 200 sessions of a quarter of an
hour with three stimuli and a cuff's reading a minute: 63 million rows, 6 GB, some minutes to write.
The export runs in a process of its own; its rate counts the rows of all tables, by the clock
(``…_rows_per_second``); its memory is the most that it ever held.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path

from benchmarks._command import command, show
from benchmarks._sessions import write_session
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.rows import ExportChoice

START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
DAY_S = 86_400
SESSION_S = 900
STIMULUS_S = 240
PAUSE_S = 45
SESSIONS = 200
PEOPLE = 100
STATES = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL)
SECONDS = (
    "WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n + 1 < :last) "
)
# Labels change every 40 s; probabilities, face sizes and rates wander, so that the files are no
# easier to compress.
EXPRESSIONS = (
    SECONDS + "INSERT INTO expression (at, boot_ms, interval_ms, track, frames, neutral, "
    "happiness, surprise, sadness, anger, disgust, fear, contempt, smoothed_neutral, "
    "smoothed_happiness, smoothed_surprise, smoothed_sadness, smoothed_anger, "
    "smoothed_disgust, smoothed_fear, smoothed_contempt, emotion, face_size, quality, "
    "is_primary, simulated) SELECT :start + 1000 * n, 1000 * n, 1000, n / 5000, 10 + n % "
    "5, 400 - n * 7 % 97, 200 + n * 13 % 101, 50, 50, 200 - n * 11 % 89, 50, 25, 25, 400 "
    "- n * 3 % 97, 200 + n * 17 % 101, 50, 50, 200 - n * 19 % 89, 50, 25, 25, CASE n / "
    "40 % 4 WHEN 0 THEN 'neutral' WHEN 1 THEN 'happiness' WHEN 2 THEN 'anger' END, 100 + "
    "n * 31 % 977 / 9.0, 0.5 + n * 37 % 313 / 700.0, 1, 0 FROM s"
)
HEART_RATES = (
    SECONDS + "INSERT INTO vital (at, kind, source, value, boot_ms) SELECT :start + 1000 * n + "
    "500, 'heart_rate', 'ble:A0:9E:1A:00:00:01', 55 + n * 41 % 400 / 10.0, 1000 * n FROM "
    "s"
)
PRESSURE = "INSERT INTO vital (at, kind, source, value) VALUES (?, ?, 'ble:A0:9E:1A:00:00:02', ?)"


def write_timeline(path: Path, days: int) -> None:
    """Write so many days of recording, with all the sessions in them."""
    migrate(path)
    rng = random.Random(1)
    apart = days * DAY_S // SESSIONS
    with closing(connect(path, readonly=False)) as connection:
        for day in range(days):
            with transaction(connection):
                span = {"start": START.wall_ms, "first": day * DAY_S, "last": (day + 1) * DAY_S}
                connection.execute(EXPRESSIONS, span)
                connection.execute(HEART_RATES, span)
        with transaction(connection):
            for number in range(SESSIONS):
                start = START.shift(number * apart)
                code = f"P-{number % PEOPLE:03d}"
                begins = [PAUSE_S + place * (STIMULUS_S + PAUSE_S) for place in range(3)]
                stimuli = [
                    (state.value, begin, begin + STIMULUS_S)
                    for state, begin in zip(rng.sample(STATES, 3), begins, strict=True)
                ]
                write_session(connection, code, start, stimuli, SESSION_S)
                for minute in range(SESSION_S // 60):
                    at = start.wall_ms + 60_000 * minute + 250
                    values = (("systolic", rng.gauss(120, 9)), ("diastolic", rng.gauss(78, 6)))
                    connection.executemany(PRESSURE, [(at, kind, value) for kind, value in values])


def export(database: Path, file: Path) -> dict[str, float]:
    """Export all of it in this process; return the figures."""
    began = time.perf_counter()
    BUNDLE.export(database, file, ExportChoice())
    seconds = time.perf_counter() - began
    with zipfile.ZipFile(file) as archive:
        package = json.loads(archive.read("datapackage.json"))
    rows = sum(one.get("rows", 0) for one in package["resources"])
    return {
        "export_rows": rows,
        "export_rows_per_second": rows / seconds,
        "export_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }


def measure(folder: Path, days: int) -> dict[str, float]:
    """Write the timeline, unless it is there already, and export it in another process."""
    database = folder / DATABASE_NAME
    if not database.exists():
        unfinished = folder / "unfinished"
        write_timeline(unfinished / DATABASE_NAME, days)
        for file in unfinished.iterdir():
            shutil.move(file, folder / file.name)
    file = folder / "bundle.zip"
    file.unlink(missing_ok=True)
    words = [sys.executable, "-m", "benchmarks.export", "--export", str(database), str(file)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Measure and print."""
    parser = command(__doc__)
    parser.add_argument("--days", type=int, default=365, help="length of the recording")
    parser.add_argument(
        "--keep", type=Path, help="folder in which the timeline stays for the next time"
    )
    parser.add_argument("--export", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.export:
        print(json.dumps(export(*options.export)))
        return
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        figures = measure(options.keep, options.days)
    else:
        with tempfile.TemporaryDirectory() as name:
            figures = measure(Path(name), options.days)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
