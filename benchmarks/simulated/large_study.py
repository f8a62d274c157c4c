"""What the analysis of a large study costs: 1,000 people, 500,000 readings.

    python -m benchmarks large_study [--json] [--keep FOLDER]

Every second person comes twice, a tenth of the sessions lack a state, people react to each state in
their own way, and the heart calms down while a session lasts: the mixed model with people's own
reactions is fitted to each vital, beside the t-tests and the flow. 1,500 sessions hold 500,000
readings: heart rate every 3.4 s, both pressures a minute apart. The question is the one that the
Analysis page asks by itself; then with the tables of other choices, which it makes when one is
opened. A process of its own answers each twice.

Figures:
    large_study_cpu_s   processor time of one answer, all threads together, the smaller of the two;
                        loading the libraries aside
    large_study_choices_cpu_s  the same with the tables of other choices
    large_study_mb      the most memory that the process held without them
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks._command import command, show
from benchmarks._sessions import write_session
from edge_agent.core.clock import Instant
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate

PEOPLE = 1000
SESSIONS = 1500
READINGS = 500_000
STIMULUS_S = 300
PAUSE_S = 60
STATES = ("anger", "happiness", "neutral")
START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
VITAL = "INSERT INTO vital (at, kind, source, value) VALUES (?, ?, ?, ?)"


def write_study(path: Path) -> None:
    """Write the study; every session has as many readings as any other, give or take one."""
    migrate(path)
    rng = random.Random(17)
    people = [(rng.gauss(70, 7), [rng.gauss(0, 3) for _ in STATES]) for _ in range(PEOPLE)]
    with closing(connect(path, readonly=False)) as connection:
        for number in range(SESSIONS):
            person = number % PEOPLE
            level, reactions = people[person]
            code = f"P-{person:04d}"
            start = START.shift(3600 * number)
            with transaction(connection):
                places = rng.sample(range(3), 3 if rng.random() < 0.9 else 2)
                each_s = STIMULUS_S + PAUSE_S
                stimuli = [
                    (STATES[state], place * each_s, place * each_s + STIMULUS_S)
                    for place, state in enumerate(places)
                ]
                write_session(connection, code, start, stimuli, 3 * each_s)
                today = level + rng.gauss(0, 4)
                levels = [today + reactions[state] for state in places]
                connection.executemany(VITAL, _readings(rng, start.wall_ms, levels, number))


def _readings(
    rng: random.Random, start_ms: int, levels: list[float], number: int
) -> Iterator[tuple[int, str, str, float]]:
    """Yield a session's share of the readings."""
    share = READINGS * (number + 1) // SESSIONS - READINGS * number // SESSIONS
    each_ms = 1000 * 3 * (STIMULUS_S + PAUSE_S) // (share - 30)
    for count in range(share - 30):
        at = count * each_ms
        place = min(at // (1000 * (STIMULUS_S + PAUSE_S)), len(levels) - 1)
        value = levels[place] - 0.3 * at / 60_000 + rng.gauss(0, 3)
        yield start_ms + at + 500, "heart_rate", "strap", round(value)
    for count in range(15):
        at = count * 72_000
        place = min(at // (1000 * (STIMULUS_S + PAUSE_S)), len(levels) - 1)
        yield start_ms + at + 700, "systolic", "cuff", round(50 + levels[place] + rng.gauss(0, 5))
        yield start_ms + at + 700, "diastolic", "cuff", round(10 + levels[place] + rng.gauss(0, 4))


def answer(path: Path) -> dict[str, float]:
    """Answer the question twice in this process; return the figures."""
    from dashboard.analysis.analyse import analyse
    from dashboard.analysis.query import AnalysisQuery
    from dashboard.analysis.rendering.answer import response_of
    from edge_agent.timeline.read.reader import Reader

    def least_s(question: AnalysisQuery) -> float:
        times = []
        for _ in range(2):
            began = time.process_time()
            response_of(analyse(Reader(path), question))
            times.append(time.process_time() - began)
        return min(times)

    asked_s = least_s(AnalysisQuery(sensitivity=False))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "large_study_cpu_s": asked_s,
        "large_study_choices_cpu_s": least_s(AnalysisQuery()),
        "large_study_mb": most,
    }


def main() -> None:
    """Write the study, and measure in a fresh process."""
    parser = command(__doc__)
    parser.add_argument("--keep", type=Path, help="folder of the database, used again if there")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        print(json.dumps(answer(options.answer)))
        return
    with tempfile.TemporaryDirectory() as name:
        path = (options.keep or Path(name)) / DATABASE_NAME
        if not path.exists():
            write_study(path)
        words = [sys.executable, "-m", "benchmarks.simulated.large_study", "--answer", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
