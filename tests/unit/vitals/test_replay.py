"""A recording whose readings are played again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from edge_agent.agent.loop import Agent
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.errors import DataFileError, StoreError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.text_formats import CSV
from edge_agent.store.read.reader import recorded_vitals
from edge_agent.vitals.csv import read_readings
from edge_agent.vitals.sources import ReplayVitals
from tests.support.timeline import database, reading, wait_for

RECORDED = [
    reading(0.2, 71.0),
    reading(0.0, 120.0, VitalKind.SYSTOLIC, "cuff"),
    reading(0.0, 80.0, VitalKind.DIASTOLIC, "cuff"),
    reading(0.4, 999.0, flags=[VitalFlag.OUT_OF_RANGE]),
]


def play() -> tuple[list[VitalReading], list[float]]:
    """Play the recording to its end.

    Return what was heard, and when, in seconds since the start.
    """
    heard: list[VitalReading] = []
    at: list[float] = []

    def sink(given: VitalReading) -> None:
        heard.append(given)
        at.append(time.monotonic() - begun)

    source = ReplayVitals(sink, RECORDED, "vital.csv")
    begun = time.monotonic()
    source.start()
    assert source.join(60)
    return heard, at


def test_readings_come_in_order_at_their_own_pace_and_say_that_they_are_played_again() -> None:
    before = clock.now().wall_ms
    heard, at = play()
    assert [(r.value, r.source) for r in heard] == [
        (120.0, "replay:vital.csv:cuff"),
        (80.0, "replay:vital.csv:cuff"),
        (71.0, "replay:vital.csv:strap"),
        (999.0, "replay:vital.csv:strap"),
    ]
    assert all({VitalFlag.REPLAYED, VitalFlag.SIMULATED} <= r.flags for r in heard)
    assert VitalFlag.OUT_OF_RANGE in heard[3].flags
    assert all(before <= r.at.wall_ms <= clock.now().wall_ms for r in heard), "they are of now"
    assert at[2] >= 0.19
    assert at[3] >= 0.39


def test_a_recording_can_be_played_faster() -> None:
    heard: list[VitalReading] = []
    source = ReplayVitals(heard.append, [reading(0.0), reading(60.0)], "vital.csv", speed=100.0)
    source.start()
    assert source.join(60)
    assert len(heard) == 2


def test_a_loop_goes_on_until_it_is_stopped_and_stops_at_once() -> None:
    heard: list[VitalReading] = []
    source = ReplayVitals(heard.append, RECORDED, "vital.csv", speed=100.0, loop=True)
    source.start()
    wait_for(lambda: len(heard) > 2 * len(RECORDED), 20)
    source.stop()
    assert source.join(60)
    assert source.error is None
    assert len({(r.at.wall_ms, r.kind, r.source) for r in heard}) == len(heard), (
        "none is taken for another"
    )


def test_a_long_pause_in_the_recording_does_not_hold_up_the_end() -> None:
    heard = threading.Event()
    source = ReplayVitals(lambda _: heard.set(), [reading(0), reading(3600)], "vital.csv")
    source.start()
    assert heard.wait(60)
    source.stop()
    assert source.join(60)


def test_an_export_and_the_database_itself_play_the_same(tmp_path: Path) -> None:
    path = database(tmp_path, readings=RECORDED)
    CSV.export(path, tmp_path / "out")
    from_file = read_readings(tmp_path / "out" / "vital.csv")
    from_database = recorded_vitals(path)
    assert [(r.at, r.kind, r.value, r.source) for r in from_file] == [
        (r.at, r.kind, r.value, r.source) for r in from_database
    ]
    assert {r.flags - {VitalFlag.CLOCK_DIFFERS, VitalFlag.IMPORTED} for r in from_file} == {
        r.flags for r in from_database
    }


def test_a_recording_without_readings_is_refused() -> None:
    with pytest.raises(
        DataFileError, match=r"vitals.replay.file: vital.csv has no readings to play. Name another"
    ):
        ReplayVitals(lambda _: None, [], "vital.csv")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("nowhere.csv", DataFileError, "nowhere.csv: no such file"),
        ("nowhere.db", StoreError, "nowhere.db: there is no database"),
        ("bad.csv", DataFileError, "bad.csv, row 2, column value: 'fast' is not a number"),
    ],
)
def test_an_agent_whose_recording_cannot_be_read_does_not_start(
    tmp_path: Path, name: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "bad.csv").write_text("at,kind,value\n1790000400,heart_rate,fast\n")
    settings = load_settings(
        None, {"vitals": {"replay": {"file": str(tmp_path / name)}}, "mqtt": {"enabled": False}}
    )
    for _ in range(2):  # and the database is free for the next attempt
        with pytest.raises(error, match=said):
            Agent(settings, tmp_path / "data", {})
