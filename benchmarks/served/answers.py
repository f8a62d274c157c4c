"""How long the dashboard takes over curves around events, and over the trends of a year.

    python -m benchmarks answers  (python -m benchmarks.served.answers --json)

Responses: 36 people with a session of 17 minutes each, in which five events of each of three
conditions come in any order, a minute apart; a row of the face and a heart rate a second, and the
intervals between the beats. Asked for are heart rate and beats, whose curves are tested with 5,000
sign flips. Trends: a year at 1 Hz as its rollups keep it, and a week of rows, of which page and
data of the whole year are asked for.

Times are the least of seven answers by the clock, after one that starts the process that computes:
other load on the machine counts as little as it can there. The command is a process of its own,
and its time that of the processor, the least of three.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks._command import benchmark
from benchmarks._sessions import write_session
from benchmarks.served.viewers import Door, write_year
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.schema import DATABASE_NAME, DAY_MS
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.write.inserts import write_vitals
from tests.support.dashboard import DashboardProcess
from tests.support.live_browsers import log_in

START = Instant(boot_ms=1_000_000, wall_ms=1_790_000_400_000)
PEOPLE = 36
CONDITIONS = (Emotion.ANGER, Emotion.HAPPINESS, Emotion.NEUTRAL)
EVENTS = 5
APART_S = 60
SESSION_S = 60 + APART_S * EVENTS * len(CONDITIONS) + 60
ASKED = 7
RUNS = 3
VITALS = (VitalKind.HEART_RATE, VitalKind.RR_INTERVAL)
_FACES = (
    f"INSERT INTO expression (at, interval_ms, track, frames, {', '.join(EMOTIONS)}, "
    f"{', '.join(f'smoothed_{name}' for name in EMOTIONS)}, emotion, face_size, quality, "
    f"is_primary) VALUES (?, 1000, 1, 10, {', '.join(['125'] * 16)}, ?, 120, 0.8, 1)"
)


def write_study(path: Path) -> None:
    """Write the sessions, a day apart, with a heart that goes up by 4 /min after anger."""
    migrate(path)
    rng = random.Random(1)
    with closing(connect(path, readonly=False)) as connection:
        for number in range(PEOPLE):
            start = START.shift(number * 86_400)
            order = rng.sample(CONDITIONS * EVENTS, EVENTS * len(CONDITIONS))
            begins = [60.0 + APART_S * place for place in range(len(order))]
            stimuli = [
                (state.value, begin, begin + APART_S / 2)
                for state, begin in zip(order, begins, strict=True)
            ]
            shown = dict(zip((round(begin) for begin in begins), order, strict=True))
            with transaction(connection):
                write_session(connection, f"P-{number:02d}", start, stimuli, SESSION_S)
                connection.executemany(_FACES, _faces(start, shown))
                write_vitals(connection, [(one, None) for one in _heart(rng, start, shown)])


def _state(shown: dict[int, Emotion], second: float) -> Emotion:
    return shown.get(int(second) // APART_S * APART_S, Emotion.NEUTRAL)


def _faces(start: Instant, shown: dict[int, Emotion]) -> Iterator[tuple[int, str]]:
    for second in range(SESSION_S):
        yield start.shift(second + 0.4).wall_ms, _state(shown, second).value


def _heart(rng: random.Random, start: Instant, shown: dict[int, Emotion]) -> Iterator[VitalReading]:
    """Yield a heart rate a second, and the intervals between beats."""
    level = rng.gauss(72, 7)

    def rate(second: float) -> float:
        rise = 4.0 if _state(shown, second) is Emotion.ANGER else 0.0
        return level + rise + rng.gauss(0, 2)

    for second in range(SESSION_S):
        beats = round(rate(second))
        yield VitalReading(start.shift(second + 0.5), VitalKind.HEART_RATE, beats, "strap")
    at = 0.0
    while at < SESSION_S - 2:
        at += (beat := round(1024 * 60 / rate(at)) / 1024)
        yield VitalReading(start.shift(at), VitalKind.RR_INTERVAL, beat, "strap")


@contextmanager
def opened(folder: Path) -> Iterator[Door]:
    """Run a dashboard over a folder until the block ends."""
    with DashboardProcess(folder) as dashboard:
        request = log_in(folder / DATABASE_NAME, dashboard.port)
        yield Door(dashboard.port, request.split("Cookie: ")[1].split("\r\n")[0])


def least_ms(door: Door, path: str) -> float:
    """Return the least time of several answers after a first one, milliseconds by the clock."""
    door.took_ms(path)
    return min(door.took_ms(path) for _ in range(ASKED))


def command_cpu_s(folder: Path) -> float:
    """Return the least processor time of the command, seconds."""
    vitals = [word for kind in VITALS for word in ("--vital", kind.value)]
    words = ["-m", "edge_agent", "responses", *vitals, "--data", str(folder), "--json"]

    def used_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    taken = []
    for _ in range(RUNS):
        before = used_s()
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
        taken.append(used_s() - before)
        if done.returncode:
            raise SystemExit(f"the command failed:\n{done.stderr.decode()}")
    return min(taken)


def measure(folder: Path) -> dict[str, float]:
    """Return all figures."""
    study, year = folder / "study", folder / "year"
    write_study(study / DATABASE_NAME)
    address = "/responses?" + "&".join(f"vital={kind.value}" for kind in VITALS)
    with opened(study) as door:
        figures = {"responses_page_ms": least_ms(door, address)}
    figures["responses_command_cpu_s"] = command_cpu_s(study)
    year.mkdir()
    write_year(year / DATABASE_NAME)
    end = clock.now().wall_ms
    whole = f"start={end - 365 * DAY_MS}&end={end}"
    with opened(year) as door:
        figures["trends_year_page_ms"] = least_ms(door, f"/trends?{whole}")
        figures["trends_year_chart_ms"] = least_ms(door, f"/api/v1/trends/chart?{whole}")
        figures["trends_year_api_ms"] = least_ms(door, f"/api/v1/trends?{whole}")
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure)
