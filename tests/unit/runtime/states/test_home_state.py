"""What is known now: a value is gone as soon as it is old, in doubt, or no longer seen."""

from __future__ import annotations

import pytest

from edge_agent.agent.dispatcher import SINGLE_S, STREAM_S, Conditions, HomeState
from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    EMOTIONS,
    NO_FACE,
    Box,
    Emotion,
    Expression,
    Face,
    Observation,
    Recognition,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind

START = Instant(boot_ms=100_000, wall_ms=1_795_162_320_250)
GOOD = Conditions(capture=True, camera=True, late_s=2.0, recording=True, session=False)


def seen(emotion: Emotion | None, at: Instant = START, held: str | None = None) -> Recognition:
    smoothed = Expression(tuple(0.86 if e is Emotion.HAPPINESS else 0.02 for e in EMOTIONS))
    face = Face(Box(0, 0, 50, 60), 0.9, ((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)))
    observation = Observation(4, face, smoothed, smoothed, emotion, True, 0.5)
    return Recognition(at, 0, 640, 480, (observation,) if emotion else (), held)


def reading(kind: VitalKind, value: float, at: Instant = START, *flags: VitalFlag) -> VitalReading:
    return VitalReading(at, kind, value, "strap", frozenset(flags))


@pytest.fixture
def home() -> HomeState:
    return HomeState(simulated=False, window_s=10.0)


def test_nothing_is_known_at_the_start(home: HomeState) -> None:
    state = home.now(GOOD, START)
    assert (state.emotion, state.shares, state.valence, state.faces) == (None, None, None, None)
    assert (state.frames_per_second, state.temperature_celsius, state.alarms) == (None, None, None)
    assert set(state.vitals) == set(VitalKind)
    assert set(state.vitals.values()) == {None}


def test_what_the_newest_picture_shows_is_known_until_it_is_late(home: HomeState) -> None:
    home.see(seen(Emotion.HAPPINESS))
    state = home.now(GOOD, START.shifted(2.0))
    assert (state.emotion, state.faces) == ("happiness", 1)
    assert state.valence is not None and state.valence > 0.5
    late = home.now(GOOD, START.shifted(2.1))
    assert (late.emotion, late.faces, late.valence) == (None, None, None)


def test_without_a_face_valence_is_not_known(home: HomeState) -> None:
    home.see(seen(None))
    state = home.now(GOOD, START)
    assert (state.emotion, state.faces, state.valence) == (NO_FACE, 0, None)


def test_a_camera_that_gives_no_pictures_shows_nothing(home: HomeState) -> None:
    home.see(seen(Emotion.HAPPINESS))
    off = Conditions(capture=True, camera=False, late_s=2.0, recording=False, session=None)
    state = home.now(off, START)
    assert (state.emotion, state.session) == (None, None)
    assert (state.camera, state.recording) == (False, False)


@pytest.mark.parametrize(
    ("kind", "limit_s"), [(VitalKind.HEART_RATE, STREAM_S), (VitalKind.SYSTOLIC, SINGLE_S)]
)
def test_a_reading_is_known_until_it_is_old(
    home: HomeState, kind: VitalKind, limit_s: float
) -> None:
    home.add_vital(reading(kind, 71.0))
    known = home.now(GOOD, START.shifted(limit_s)).vitals[kind]
    assert known is not None
    assert (known.value, known.source) == (71.0, "strap")
    assert known.measured_at == "2026-11-20T08:12:00.250Z"
    assert home.now(GOOD, START.shifted(limit_s + 0.1)).vitals[kind] is None


@pytest.mark.parametrize(
    "flag", [VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST, VitalFlag.ESTIMATED]
)
def test_a_reading_in_doubt_ends_what_was_known(home: HomeState, flag: VitalFlag) -> None:
    home.add_vital(reading(VitalKind.HEART_RATE, 71.0))
    home.add_vital(reading(VitalKind.HEART_RATE, 71.0, START.shifted(1), flag))
    assert home.now(GOOD, START.shifted(1)).vitals[VitalKind.HEART_RATE] is None


def test_a_reading_that_comes_after_a_newer_one_changes_nothing(home: HomeState) -> None:
    home.add_vital(reading(VitalKind.HEART_RATE, 71.0, START.shifted(1)))
    home.add_vital(reading(VitalKind.HEART_RATE, 60.0))
    known = home.now(GOOD, START.shifted(1)).vitals[VitalKind.HEART_RATE]
    assert known is not None and known.value == 71.0


def test_shares_are_those_of_the_last_window_in_per_cent(home: HomeState) -> None:
    home.close_window({"shares": {"happiness": 0.6512, "no_face": 0.3488}})
    assert home.now(GOOD, START).shares == {"happiness": 65.12, "no_face": 34.88}
    home.close_window({"shares": None})
    assert home.now(GOOD, START).shares is None


def test_it_is_due_once_a_window_and_when_something_changes(home: HomeState) -> None:
    assert home.due(GOOD, START) is not None
    assert home.due(GOOD, START.shifted(9.9)) is None
    assert home.due(GOOD, START.shifted(10)) is not None
    home.see(seen(Emotion.HAPPINESS, START.shifted(11)))
    changed = home.due(GOOD, START.shifted(11))
    assert changed is not None and changed.emotion == "happiness"
    assert home.due(GOOD, START.shifted(12)) is None
    gone = home.due(GOOD, START.shifted(14))
    assert gone is not None and gone.emotion is None


def test_an_alarm_is_told_at_once(home: HomeState) -> None:
    report = {"camera": {"fps": 14.0}, "temperature_celsius": 51.0, "alarms": []}
    home.set_health(report)
    first = home.due(GOOD, START)
    assert first is not None
    assert (first.alarms, first.frames_per_second, first.temperature_celsius) == ({}, 14.0, 51.0)
    home.set_health(report | {"alarms": [{"name": "hot", "text": "Cool it."}]})
    second = home.due(GOOD, START.shifted(1))
    assert second is not None and second.alarms == {"hot": "Cool it."}
