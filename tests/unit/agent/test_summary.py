"""One window of the timeline in one payload."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agent.summary import SummaryWindow, rounded_shares
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.expression import (
    EMOTIONS,
    FACE_STATES,
    Emotion,
    Expression,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads import SummaryPayload
from tests.support.timeline import instant, reading, recognition
from tests.support.timeline import observation as made_observation

START = instant(0)


def observation(smoothed: Expression, emotion: Emotion | None = None) -> Observation:
    return replace(made_observation(emotion), smoothed=smoothed)


def showing(emotion: Emotion | None, **named: float) -> Observation:
    """A face with these probabilities and the rest on neutral."""
    rest = 1.0 - sum(named.values())
    values = (named.get(e.value, rest if e is Emotion.NEUTRAL else 0.0) for e in EMOTIONS)
    return observation(Expression(tuple(values)), emotion)


def window(*, simulated: bool = False) -> SummaryWindow:
    return SummaryWindow("pi", START, simulated=simulated)


def test_a_window_says_what_was_seen_how_often_and_when() -> None:
    summary = window()
    frames = [showing(Emotion.HAPPINESS, happiness=0.8)] * 6 + [showing(None, anger=0.4)] * 2
    for face in frames:
        summary.add_recognition(recognition(0, face))
    for _ in range(2):
        summary.add_recognition(recognition(0))
    payload = summary.close(START.shift(10))
    assert payload["window"] == {
        "start": "2026-09-21T14:20:00.000Z",
        "end": "2026-09-21T14:20:10.000Z",
        "seconds": 10.0,
    }
    assert (payload["frames"], payload["frames_with_face"]) == (10, 8)
    assert (payload["dominant"], payload["simulated"]) == ("happiness", False)
    shares = payload["shares"]
    assert [shares[label] for label in ("happiness", "uncertain", "no_face")] == [0.6, 0.2, 0.2]
    assert payload["emotions"]["happiness"] == pytest.approx(0.6)
    assert payload["emotions"]["anger"] == pytest.approx(0.1)
    assert payload["valence"] == pytest.approx(0.5)
    again = summary.close(START.shift(20))
    assert again["window"]["start"] == payload["window"]["end"]
    assert (again["seq"], again["frames"]) == (2, 0)


def test_unreadable_frames_are_counted_by_reason_and_in_no_mean() -> None:
    summary = window()
    dark = replace(showing(None, sadness=0.9), reject_reason=RejectReason.TOO_DARK)
    blurred = replace(showing(Emotion.SADNESS, sadness=0.9), reject_reason=RejectReason.BLURRED)
    for face in (showing(Emotion.HAPPINESS, happiness=0.8), blurred, dark, dark):
        summary.add_recognition(recognition(0, face))
    payload = summary.close(START.shift(1))
    assert (payload["frames_with_face"], payload["unfit"]) == (4, {"too_dark": 2, "blurred": 1})
    assert (payload["emotions"]["happiness"], payload["emotions"]["sadness"]) == (0.8, 0.0)
    assert (payload["shares"]["sadness"], payload["shares"]["uncertain"]) == (0.25, 0.5)
    summary.add_recognition(recognition(0, dark))
    payload = summary.close(START.shift(2))
    assert (payload["frames_with_face"], payload["emotions"], payload["valence"]) == (1, None, None)


def test_faces_that_are_not_the_primary_one_do_not_count() -> None:
    summary = window()
    other = replace(showing(Emotion.ANGER, anger=1.0), primary=False)
    summary.add_recognition(recognition(0, other, showing(Emotion.NEUTRAL)))
    summary.add_recognition(recognition(0, other))
    shares = summary.close(START.shift(1))["shares"]
    assert (shares["neutral"], shares["no_face"], shares["anger"]) == (0.5, 0.5, 0)


def test_without_a_face_or_a_frame_nothing_is_claimed() -> None:
    summary = window()
    summary.add_recognition(recognition(0))
    payload = summary.close(START.shift(10))
    assert (payload["dominant"], payload["emotions"], payload["valence"]) == ("no_face", None, None)
    payload = summary.close(START.shift(20))
    assert (payload["frames"], payload["vitals"]) == (0, {})
    assert payload["dominant"] is payload["shares"] is payload["emotions"] is None


def test_vitals_are_condensed_by_kind_and_unusable_ones_only_counted() -> None:
    summary = window()
    for value in (70, 72, 77):
        summary.add_vital(reading(0, value))
    summary.add_vital(reading(0, 0, flags=[VitalFlag.CONTACT_LOST]))
    summary.add_vital(reading(0, float("nan")).flag_implausible())
    summary.add_vital(reading(0, 400, VitalKind.SYSTOLIC, flags=[VitalFlag.OUT_OF_RANGE]))
    assert summary.close(START.shift(10))["vitals"] == {
        "heart_rate": {
            "mean": 73.0,
            "min": 70,
            "max": 77,
            "n": 3,
            "flagged": 2,
            "unit": "/min",
            "simulated": False,
        }
    }


def test_a_simulated_reading_makes_the_whole_summary_simulated() -> None:
    summary = window()
    summary.add_vital(reading(0, flags=[VitalFlag.SIMULATED]))
    payload = summary.close(START.shift(10))
    assert payload["vitals"]["heart_rate"]["simulated"] is payload["simulated"] is True
    assert summary.close(START.shift(20))["simulated"] is False
    assert window(simulated=True).close(START.shift(1))["simulated"] is True


def test_windows_touch_where_the_two_clocks_drift_apart_and_are_rounded() -> None:
    summary = window()
    end = START.shift(10)
    first = summary.close(Instant(end.boot_ms, end.wall_ms + 1))
    assert summary.close(START.shift(20))["window"]["start"] == first["window"]["end"]


@pytest.mark.parametrize("set_ms", [3_600_000, -3_600_000])
def test_a_wall_clock_that_was_set_within_the_window_does_not_stretch_it(set_ms: int) -> None:
    end = Instant(START.boot_ms + 10_000, START.wall_ms + 10_000 + set_ms)
    assert window().close(end)["window"] == {
        "start": iso_utc(START.wall_ms + set_ms),
        "end": iso_utc(end.wall_ms),
        "seconds": 10.0,
    }


weights = st.lists(st.floats(0, 1), min_size=8, max_size=8).filter(lambda w: sum(w) > 0.01)
expressions = weights.map(lambda w: Expression(tuple(x / sum(w) for x in w)))
faces = st.builds(observation, expressions, st.none() | st.sampled_from(EMOTIONS))
frames = st.builds(recognition, st.just(0)) | st.builds(recognition, st.just(0), faces)
readings = st.builds(
    lambda kind, value, flags: reading(0, value, kind, flags=flags).flag_implausible(),
    st.sampled_from(VitalKind),
    st.floats(0, 300),
    st.sets(st.sampled_from(VitalFlag)),
)


@given(st.lists(frames, max_size=30), st.lists(readings, max_size=30), st.floats(0, 100))
def test_every_window_keeps_its_bounds_and_fits_the_published_form(
    seen: list[Recognition], measured: list[VitalReading], seconds: float
) -> None:
    summary = window()
    for one in seen:
        summary.add_recognition(one)
    for vital in measured:
        summary.add_vital(vital)
    payload = json.loads(json.dumps(summary.close(START.shift(seconds))))
    SummaryPayload.model_validate({**payload, "epoch": "0" * 16, "replayed": False})
    assert payload["frames"] == len(seen)
    if seen:
        assert sum(payload["shares"].values()) == pytest.approx(1, abs=5e-4)
        assert payload["shares"][payload["dominant"]] == max(payload["shares"].values())
        assert list(payload["shares"]) == list(FACE_STATES)
    if payload["frames_with_face"]:
        assert sum(payload["emotions"].values()) == pytest.approx(1, abs=5e-4)
        assert -1 <= payload["valence"] <= 1
    for kind, vital in payload["vitals"].items():
        assert vital["min"] - 1e-3 <= vital["mean"] <= vital["max"] + 1e-3
        assert vital["n"] + vital["flagged"] == sum(r.kind == kind for r in measured)


PARTS = st.lists(st.floats(0, 1), min_size=1, max_size=10).filter(lambda parts: sum(parts) > 1e-6)


@given(PARTS, st.integers(1, 6))
def test_rounded_shares_make_one_and_each_is_right_within_a_unit(
    parts: list[float], places: int
) -> None:
    shares = rounded_shares(parts, places)
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    for share, part in zip(shares, parts, strict=True):
        assert share == pytest.approx(part / sum(parts), abs=1.001 * 10**-places)


def test_the_part_that_lost_most_gets_what_is_left() -> None:
    assert rounded_shares([2, 1, 0], 2) == [0.67, 0.33, 0]
    assert rounded_shares([1] * 8 + [0], 1) == [0.2, 0.2, *[0.1] * 6, 0]
