"""The benchmark's devices: a collector has just the rows that they sent, also after erasures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from benchmarks.fleet._day import ERASES_AT, ROWS, Player, record_day
from benchmarks.fleet._load import Load
from benchmarks.fleet._place import Lags, running
from benchmarks.fleet.fleet import Wrong
from edge_agent.fleet.chunks import decode
from tests.support.broker import wait_until
from tests.support.fleet import rabbit
from tests.support.fleet.postgres import INSTALL, postgres_programs

ROOT = Path(__file__).parents[3]
MARK = "TEST_OF_A_FLEET"
"""The variable by which every process of a run is known, whoever its parent is."""


def test_a_recording_is_played_as_messages_that_follow_each_other(tmp_path: Path) -> None:
    player = Player(record_day(tmp_path), 3)
    first, second = (decode(player.payload(number, 0)) for number in (1, 2))
    assert (first.first, first.last, second.first) == (2, 1 + ROWS, 2 + ROWS)
    assert player.clock_error_ms == first.sent == 0
    assert Player(player.day, 13).clock_error_ms == 3 * 3_600_000
    assert len({tuple(change[3][:3]) for change in (*first.changes, *second.changes)}) == 2 * ROWS


@pytest.mark.deep
@pytest.mark.broker
@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
@pytest.mark.timeout(180)
def test_rows_of_played_devices_are_stored_once(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    day = record_day(tmp_path / "day")
    with running(tmp_path, 2) as place:
        load = Load(place.port, day, 4, 0)
        try:
            load.begin()
            assert load.finish(60)
            with Lags(place, load) as lags:
                load.backlog(ERASES_AT + 2)
                load.look()
                assert load.finish(60)
                assert place.has({n: one.last_position for n, one in load.devices.items()})
        finally:
            load.close()
        wrong = Wrong()
        wrong.add(load, place)
        assert (wrong.lost, wrong.double, wrong.devices) == (0, 0, 0)
        assert lags.share(0.99) > 0
        load.devices["sim-0"].made += 1  # as if one message had been lost
        wrong.add(load, place)
        assert (wrong.lost, wrong.devices) == (ROWS, 1)
        collectors, postgres = place.cpu_s()
        assert collectors > 0
        assert postgres > 0


def start_short_form(folder: Path) -> subprocess.Popen[str]:
    """Start what ``make fleet`` starts."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.fleet.fleet", "--json"],
        cwd=ROOT,
        env={**os.environ, MARK: str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Return the commands of the processes that a run has started and that are still there."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(folder):
                found.append(" ".join(process.cmdline()))
    return found


@pytest.mark.deep
@pytest.mark.broker
@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
@pytest.mark.timeout(1200)
def test_the_short_form_finds_every_row_once_and_leaves_no_process(tmp_path: Path) -> None:
    with start_short_form(tmp_path) as run:
        printed, said = run.communicate()
    assert run.returncode == 0, said + printed
    figures = json.loads(printed.splitlines()[-1])
    assert figures["fleet_kills_of_each_part"] == 1
    assert figures["fleet_study_answers"] > figures["fleet_study_answers_that_differ"] == 0
    assert "fleet_trend_year_ms" in figures
    if rabbit.is_installed():
        assert figures["fleet_rabbitmq_kills_of_each_part"] == 1
    assert processes_of(tmp_path) == []


@pytest.mark.deep
@pytest.mark.broker
@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
def test_a_run_that_is_ended_leaves_no_process(tmp_path: Path) -> None:
    with start_short_form(tmp_path) as run:
        wait_until(lambda: any("-m collector" in one for one in processes_of(tmp_path)), "it")
        run.send_signal(signal.SIGTERM)
        run.communicate()
    assert run.returncode == 128 + signal.SIGTERM
    assert processes_of(tmp_path) == []
