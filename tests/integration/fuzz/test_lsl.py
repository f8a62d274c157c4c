"""Odd streams of the Lab Streaming Layer: no source dies, no false row, no harm to other streams.

``make fuzz`` sends 10,000 samples in 200 streams; other test runs send 300 in 6, the same ones.
"""

from __future__ import annotations

import json
import math
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.vitals import StreamSettings
from edge_agent.control.listening import MarkerStream
from edge_agent.control.orders import OrderWorker
from edge_agent.core import clock
from edge_agent.core.bounds import is_printable
from edge_agent.core.readings import CLOCK_TOLERANCE_S, VitalFlag, VitalReading
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.threads import RestartingWorker
from edge_agent.lsl.inlet import LslVitals, OfferedStream, configured_lsl, offered_streams
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from tests.support.fuzz.damage import SEED
from tests.support.timeline import query, wait_for

pylsl: Any = pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)

WANTED = int(os.environ.get("FUZZ_PAYLOADS", "300"))
IN_EACH = 50
AT_ONCE = 10
HANGS_S = 10.0
MOST = min(AT_ONCE, -(-WANTED // IN_EACH))
NAMES = ("\x1b[2J\x1b]0;gone\x07", "a\nERROR b", "x" * 3000, "\u202eevil", "%s %d", "'\"<&>", "é")
RATES = (0.0, 0.001, 1.0, 50.0, 10_000.0, math.nan, math.inf, 1e308)
NUMBERS = (
    *(pylsl.cf_float32, pylsl.cf_double64, pylsl.cf_int8, pylsl.cf_int16),
    *(pylsl.cf_int32, pylsl.cf_int64),
)
FLOATS = frozenset({pylsl.cf_float32, pylsl.cf_double64})
VALUES = (0.0, -1.0, 61.0, 72.5, 120.0, 1e9, -1e30, 3e38, math.nan, math.inf, -math.inf)
TEXTS = (
    *("", " ", "stimulus_end", "note/a\x1b[2Jb", "a\nb", "x" * 5000, "9" * 5000, "-1", "1e999"),
    *("session_start/P01", "session_start/P01/\x1b[31m", "\u202eevil", "٣", "session_end/x"),
)
CHOICES = (
    {"kind": "heart_rate", "unit": "bpm"},
    {"kind": "rr_interval", "unit": "ms"},
    {"kind": "skin_conductance", "unit": "uS"},
    {"kind": "skin_temperature", "unit": "cel"},
)


def stamp(source: random.Random) -> tuple[bool, float]:
    """A time that a sender may give: whether it is seconds from now, and the number."""
    odd = (math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0, -1.0, 1.7e9, 1.7e12, 1.7e18)
    near = (0.0, -5.0, -299.0, -301.0, 1.0, 3.0, 1e9, source.uniform(-10, 0))
    if source.random() < 0.5:
        return False, source.choice(odd)
    return True, source.choice(near)


def odd_stream(source: random.Random, content: str) -> dict[str, Any]:
    """A stream of a sender that does nothing right, with its samples."""
    number_format = source.choice((*NUMBERS, *NUMBERS, pylsl.cf_string))
    return {
        "name": source.choice(NAMES),
        "label": source.choice(NAMES),
        "content": content,
        "channels": source.randint(1, 3),
        "rate": source.choice(RATES),
        "format": number_format,
        "samples": [(odd_value(source, number_format), *stamp(source)) for _ in range(IN_EACH)],
    }


def odd_value(source: random.Random, number_format: int) -> Any:
    """A value that a stream of this format can hold."""
    if number_format == pylsl.cf_string:
        return source.choice(TEXTS)
    value = source.choice(VALUES)
    if number_format in FLOATS:
        return value
    return int(value) if abs(value) < 128 else 127


@contextmanager
def sender() -> Iterator[subprocess.Popen[str]]:
    """A process that offers streams, and sends when it is told to."""
    command = [sys.executable, "-m", "tests.support.fuzz.lsl_sender"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def has_told(process: subprocess.Popen[str], line: str, answer: str) -> bool:
    """Give the sender a line; return whether it answers: the library may hang in its process."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    if not select.select([process.stdout], [], [], HANGS_S)[0]:
        return False
    assert process.stdout.readline() == f"{answer}\n"
    return True


@contextmanager
def running(*workers: RestartingWorker) -> Iterator[None]:
    """The workers, until the block ends; none of them may have died."""
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in reversed(workers):
            worker.stop()
        for worker in reversed(workers):
            assert worker.join(60)
            assert worker.error is None, worker.name


def all_have_tried(caplog: pytest.LogCaptureFixture, sources: Sequence[LslVitals]) -> bool:
    """Whether each source listens to its stream, or has said why not."""
    said = [record.getMessage() for record in caplog.records]
    return all(any(line.startswith(source.source) for line in said) for source in sources)


def has_heard(readings: list[VitalReading], number: int) -> bool:
    """Whether so many readings have come."""
    return len(readings) == number


def check_row(reading: VitalReading) -> None:
    """Refuse a row that the sender's nonsense has made."""
    assert reading.kind.spec.is_possible(reading.value), reading
    ahead_s = reading.at.seconds_since(clock.now())
    assert -CLOCK_TOLERANCE_S - 60 <= ahead_s <= 2, reading
    low, high = reading.kind.plausible
    assert low <= reading.value <= high or VitalFlag.OUT_OF_RANGE in reading.flags


@pytest.mark.timeout(600)
def test_odd_payloads_of_streams_end_no_source_and_store_no_false_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, mark = random.Random(SEED or ""), tmp_path.stat().st_ino
    good = pylsl.StreamOutlet(pylsl.StreamInfo(f"good {mark}", "HR", 1, 0, pylsl.cf_float32, ""))
    begun_s, sent = time.monotonic(), 0
    heard: list[VitalReading] = []
    odd: list[VitalReading] = []
    listed: list[OfferedStream] = []
    caplog.set_level("INFO")
    sound = {"name": f"good {mark}", "kind": "heart_rate", "unit": "bpm"}
    with running(*configured_lsl([StreamSettings.model_validate(sound)], heard.append, print)):
        wait_for(good.have_consumers)
        for number, first in enumerate(range(0, max(1, WANTED // IN_EACH), AT_ONCE), 1):
            contents = [f"{mark} {first + place}" for place in range(MOST)]
            chosen = [
                StreamSettings.model_validate({"type": one, "channel": 0, **source.choice(CHOICES)})
                for one in contents
            ]
            streams = json.dumps([odd_stream(source, one) for one in contents])
            sources = configured_lsl(chosen, odd.append, print)
            with sender() as process:
                is_offered = has_told(process, streams, "offered")
                with running(*sources):
                    if is_offered:
                        wait_for(partial(all_have_tried, caplog, sources))
                        sent += has_told(process, "", "sent")
                    good.push_sample([60.0 + number % 100])
                    wait_for(partial(has_heard, heard, number))
                listed = listed or offered_streams(0.5)
    assert sent > number // 2
    assert [reading.value for reading in heard] == [60.0 + n % 100 for n in range(1, number + 1)]
    assert not any(reading.flags for reading in heard)
    assert odd, "what can be recorded is recorded"
    for reading in odd:
        check_row(reading)
    # each stream may have a burst of the time that is believed, and then its means
    assert len(odd) < WANTED + 20 * (time.monotonic() - begun_s)
    assert listed
    assert all(is_printable(str(stream)) for stream in listed)
    assert "died" not in caplog.text


@pytest.mark.timeout(600)
@pytest.mark.parametrize("content", [pylsl.cf_string, pylsl.cf_double64])
def test_odd_payloads_of_markers_are_refused_and_sound_ones_are_set(
    tmp_path: Path, content: int
) -> None:
    source, name = random.Random(SEED or ""), f"odd {tmp_path.stat().st_ino}"
    database = tmp_path / "affect-edge.db"
    migrate(database)
    study = Study(database)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    study.start_session(NewSession("P01", Purpose.RESEARCH))
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Markers", 1, 0, content, ""))
    orders = OrderWorker(study)
    codes = {1: "stimulus_start/anger", 7: "note/last"}
    with running(orders, MarkerStream(name, orders, codes)):
        wait_for(outlet.have_consumers)
        for _ in range(WANTED):
            is_relative, stamp_s = stamp(source)
            stamp_s += pylsl.local_clock() if is_relative else 0.0
            outlet.push_sample([odd_value(source, content)], stamp_s)
        time_out = time.monotonic() + 60
        while not query(database, "SELECT 1 FROM marker WHERE label = 'last'"):
            assert time.monotonic() < time_out
            outlet.push_sample(["7" if content == pylsl.cf_string else 7.0])
            clock.sleep(0.2)
    labels = [row[0] for row in query(database, "SELECT DISTINCT label FROM marker")]
    assert "last" in labels
    assert all(is_printable(label) and len(label) <= 200 for label in labels)
    present_ms = clock.now().wall_ms
    times = [row[0] for row in query(database, "SELECT at FROM marker")]
    assert all(-660_000 < at_ms - present_ms < 3_000 for at_ms in times)
