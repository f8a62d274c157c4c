"""Readings on their way, and what is known now: gone as soon as it is old, in doubt or not seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.dispatcher import SINGLE_S, STREAM_S, Conditions, EventDispatcher, HomeState
from edge_agent.agent.summary import SummaryWindow
from edge_agent.core import clock
from edge_agent.core.expression import NO_FACE, Observation, RejectReason
from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import LATE_S, LiveServer
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vitals.ingest import VitalIngest
from tests.support.timeline import instant, movements, observation, reading, recognition, timeline

START = instant(0)
GOOD = Conditions(capture=True, camera=True, late_s=2.0, recording=True, session=False)
HAPPY = recognition(0, observation())


@pytest.mark.parametrize(
    ("seconds", "is_shown"), [(0, True), (5 - LATE_S, True), (-LATE_S - 5, False), (3600, False)]
)
def test_a_reading_of_another_time_is_not_shown_as_one_of_now(
    tmp_path: Path, seconds: float, is_shown: bool
) -> None:
    live = LiveServer(tmp_path / "live.sock")
    shown: list[Mapping[str, Any]] = []
    live.on_message = shown.append
    heard: list[object] = []
    window = SummaryWindow("pi", clock.now(), simulated=False)
    dispatcher = EventDispatcher(Recorder(timeline(tmp_path)), window, live, None, simulated=False)
    dispatcher.listener = heard.append
    at = clock.now().shift(seconds)
    dispatcher.vital(VitalReading(at, VitalKind.HEART_RATE, 70.0, "cuff"))
    assert (len(shown), len(heard)) == (int(is_shown), int(is_shown))


@pytest.mark.parametrize(
    ("at_ms", "passed_on"),
    [
        ([0, 0, 0], 1),
        ([0, 1000, 0, 1000], 2),
        ([1000, 0], 2),
        ([0, 1000, 2000], 3),
        ([None, None, None], 3),
    ],
    ids=["repeated", "repeated in turn", "out of order", "steady", "without a time"],
)
def test_value_with_its_old_time_is_no_new_reading(
    tmp_path: Path, at_ms: list[int | None], passed_on: int
) -> None:
    live = LiveServer(tmp_path / "live.sock")
    shown: list[Mapping[str, Any]] = []
    live.on_message = shown.append
    window = SummaryWindow("pi", clock.now(), simulated=False)
    dispatcher = EventDispatcher(Recorder(timeline(tmp_path)), window, live, None, simulated=False)
    ingest = VitalIngest(dispatcher.vital, ReadingOrigin("watch"))
    begun_ms = clock.now().wall_ms - 10_000
    for one in at_ms:
        said = {"kind": "oxygen_saturation", "value": 98}
        ingest.accept(json.dumps(said if one is None else said | {"at": begun_ms + one}).encode())
    assert len(shown) == passed_on


@pytest.fixture
def home() -> HomeState:
    return HomeState(simulated=False, window_s=10.0)


def test_nothing_is_known_at_the_start(home: HomeState) -> None:
    state = home.now(GOOD, START)
    assert (state.emotion, state.shares, state.valence, state.faces) == (None, None, None, None)
    assert (state.frames_per_second, state.temperature_celsius, state.alarms) == (None, None, None)
    assert state.vitals == dict.fromkeys(VitalKind)


def test_what_the_newest_picture_shows_is_known_until_it_is_late(home: HomeState) -> None:
    home.see(HAPPY)
    state = home.now(GOOD, START.shift(2.0))
    assert (state.emotion, state.faces, state.valence) == ("happiness", 1, 0.76)
    late = home.now(GOOD, START.shift(2.1))
    assert (late.emotion, late.faces, late.valence) == (None, None, None)
    off = home.now(replace(GOOD, camera=False, recording=False, session=None), START)
    assert (off.emotion, off.session, off.camera, off.recording) == (None, None, False, False)
    home.see(recognition(0))
    empty = home.now(GOOD, START)
    assert (empty.emotion, empty.faces, empty.valence) == (NO_FACE, 0, None)


@pytest.mark.parametrize(
    ("kind", "limit_s"), [(VitalKind.HEART_RATE, STREAM_S), (VitalKind.SYSTOLIC, SINGLE_S)]
)
def test_a_reading_is_known_until_it_is_old(
    home: HomeState, kind: VitalKind, limit_s: float
) -> None:
    home.add_vital(reading(0, 71.0, kind))
    home.add_vital(reading(-1, 60.0, kind))  # comes after a newer one
    known = home.now(GOOD, START.shift(limit_s)).vitals[kind]
    assert known is not None
    assert (known.value, known.source) == (71.0, "strap")
    assert known.measured_at == "2026-09-21T14:20:00.000Z"
    assert home.now(GOOD, START.shift(limit_s + 0.1)).vitals[kind] is None


def test_a_reading_with_decimals_is_reported_as_it_is_stored(home: HomeState) -> None:
    home.add_vital(reading(0, 16.1 * 7.500617, VitalKind.SYSTOLIC))  # a cuff's 16.1 kPa
    known = home.now(GOOD, START).vitals[VitalKind.SYSTOLIC]
    assert known is not None and known.value == 120.75993370000002


@pytest.mark.parametrize(
    "flag", [VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST, VitalFlag.ESTIMATED]
)
def test_a_reading_in_doubt_ends_what_was_known(home: HomeState, flag: VitalFlag) -> None:
    home.add_vital(reading(0))
    home.add_vital(reading(1, flags=[flag]))
    assert home.now(GOOD, START.shift(1)).vitals[VitalKind.HEART_RATE] is None


@pytest.mark.parametrize(
    ("seen", "turned"),
    [
        (observation(movements=movements(yaw=-31.0)), True),
        (observation(movements=movements(pitch=31.0)), True),
        (observation(movements=movements(yaw=30.0, roll=80.0)), False),
        # too far for a reading
        (observation(reject_reason=RejectReason.TURNED_AWAY), True),
        (observation(reject_reason=RejectReason.BLURRED), None),
        (observation(primary=False, movements=movements(yaw=50.0)), None),
    ],
)
def test_a_head_turned_away_is_reported_only_where_movements_are(
    seen: Observation, turned: bool | None
) -> None:
    for is_told, expected in ((True, turned), (False, None)):
        home = HomeState(simulated=False, window_s=10.0, movements=is_told)
        home.see(recognition(0, seen))
        assert home.now(GOOD, START).turned_away is expected
        assert home.now(GOOD, START.shift(2.1)).turned_away is None


def test_shares_are_those_of_the_last_window_in_per_cent(home: HomeState) -> None:
    shares = {"happiness": 0.6512, "no_face": 0.3488}
    home.close_window({"shares": shares, "variability": None})
    assert home.now(GOOD, START).shares == {"happiness": 65.12, "no_face": 34.88}
    home.close_window({"shares": None, "variability": None})
    assert home.now(GOOD, START).shares is None


def test_summary_is_due_once_a_window_and_after_a_change(home: HomeState) -> None:
    assert home.due(GOOD, START) is not None
    assert home.due(GOOD, START.shift(9.9)) is None
    assert home.due(GOOD, START.shift(10)) is not None
    home.see(recognition(11, observation()))
    changed = home.due(GOOD, START.shift(11))
    assert changed is not None and changed.emotion == "happiness"
    assert home.due(GOOD, START.shift(12)) is None
    gone = home.due(GOOD, START.shift(14))
    assert gone is not None and gone.emotion is None


def test_an_alert_is_reported_at_once(home: HomeState) -> None:
    report = {"camera": {"fps": 14.0}, "temperature_celsius": 51.0, "alarms": []}
    home.set_health(report)
    first = home.due(GOOD, START)
    assert first is not None
    assert (first.alarms, first.frames_per_second, first.temperature_celsius) == ({}, 14.0, 51.0)
    home.set_health(report | {"alarms": [{"name": "hot", "text": "Cool it."}]})
    second = home.due(GOOD, START.shift(1))
    assert second is not None and second.alarms == {"hot": "Cool it."}


def test_a_doubled_heart_rate_is_in_doubt_live_and_in_no_summary(tmp_path: Path) -> None:
    live = LiveServer(tmp_path / "live.sock")
    shown: list[Mapping[str, Any]] = []
    live.on_message = shown.append
    start = clock.now()
    window = SummaryWindow("pi", start, simulated=False)
    dispatcher = EventDispatcher(Recorder(timeline(tmp_path)), window, live, None, simulated=False)
    for second, value in enumerate([70.0, 72.0, 71.0, 142.0, 71.0]):
        at = start.shift(second)
        dispatcher.vital(VitalReading(at, VitalKind.HEART_RATE, value, "strap"))
    assert [one["flags"] for one in shown] == [[], [], [], ["artefact"], []]
    summary = window.close(start.shift(5))["vitals"]["heart_rate"]
    assert (summary["mean"], summary["max"], summary["n"], summary["flagged"]) == (71, 72, 4, 1)


def test_variability_of_five_minutes_is_live_and_in_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveServer(tmp_path / "live.sock")
    shown: list[Mapping[str, Any]] = []
    live.on_message = shown.append
    home = HomeState(simulated=False, window_s=10.0)
    window = SummaryWindow("pi", START, simulated=False)
    dispatcher = EventDispatcher(
        Recorder(timeline(tmp_path)), window, live, None, simulated=False, home=home
    )
    at = START
    for number in range(400):
        seconds = 0.84 if number % 2 else 0.8
        at = at.shift(seconds)
        monkeypatch.setattr(clock, "now", lambda now=at: now)
        dispatcher.vital(VitalReading(at, VitalKind.RR_INTERVAL, seconds, "strap", error=0.0005))
    said = [one for one in shown if one["type"] == "variability"]
    # Every five seconds, in 328.
    assert 50 <= len(said) <= 66
    assert (said[0]["rmssd_ms"], said[-1]["rmssd_ms"]) == (None, 40.0)
    assert said[-1]["low_ms"] <= 40.0 <= said[-1]["high_ms"]
    dispatcher.close_window(at)
    state = home.now(GOOD, at)
    assert state.variability is not None
    assert (state.variability.rmssd_ms, state.variability.source) == (40.0, "strap")
    assert state.variability.share > 0.99
