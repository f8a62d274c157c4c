"""One window of the timeline in one payload."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.agent.summary import SummaryWindow
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.expression import (
    EMOTIONS,
    FACE_STATES,
    Box,
    Emotion,
    Expression,
    Face,
    Observation,
    Recognition,
    RejectReason,
)
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.payloads import SummaryPayload

START = Instant(boot_ms=5_000, wall_ms=1_795_162_320_250)
FACE = Face(Box(10, 10, 40, 50), 0.9, ((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)))


def expression(**named: float) -> Expression:
    """An expression with the rest of the probability on neutral."""
    rest = 1.0 - sum(named.values())
    return Expression(
        tuple(named.get(e.value, rest if e is Emotion.NEUTRAL else 0.0) for e in EMOTIONS)
    )


def observation(
    smoothed: Expression, emotion: Emotion | None, *, primary: bool = True
) -> Observation:
    return Observation(1, FACE, expression(), smoothed, emotion, primary, 0.8)


def frame(*observations: Observation) -> Recognition:
    return Recognition(START, 0, 640, 480, observations)


def reading(kind: VitalKind, value: float, *flags: VitalFlag) -> VitalReading:
    return VitalReading(START, kind, value, "test", frozenset(flags))


def window(*, simulated: bool = False) -> SummaryWindow:
    return SummaryWindow("pi", START, simulated=simulated)


def test_a_window_says_what_was_seen_how_often_and_when() -> None:
    summary = window()
    happy = observation(expression(happiness=0.8), Emotion.HAPPINESS)
    for _ in range(6):
        summary.add_recognition(frame(happy))
    for _ in range(2):
        summary.add_recognition(frame(observation(expression(anger=0.4), None)))
    for _ in range(2):
        summary.add_recognition(frame())
    payload = summary.close(START.shifted(10))
    assert payload["window"] == {
        "start": "2026-11-20T08:12:00.250Z",
        "end": "2026-11-20T08:12:10.250Z",
        "seconds": 10.0,
    }
    assert (payload["frames"], payload["frames_with_face"]) == (10, 8)
    assert payload["dominant"] == "happiness"
    shares = payload["shares"]
    assert [shares[label] for label in ("happiness", "uncertain", "no_face")] == [0.6, 0.2, 0.2]
    assert payload["emotions"]["happiness"] == pytest.approx(0.6)
    assert payload["emotions"]["anger"] == pytest.approx(0.1)
    assert payload["valence"] == pytest.approx(0.5)
    assert payload["simulated"] is False


def test_frames_that_cannot_be_read_are_counted_by_reason_and_are_in_no_mean() -> None:
    summary = window()
    happy = expression(happiness=0.8)
    sad = expression(sadness=0.9)
    summary.add_recognition(frame(observation(happy, Emotion.HAPPINESS)))
    for reject_reason, emotion in (
        (RejectReason.BLURRED, Emotion.SADNESS),
        (RejectReason.TOO_DARK, None),
        (RejectReason.TOO_DARK, None),
    ):
        summary.add_recognition(
            frame(replace(observation(sad, emotion), reject_reason=reject_reason))
        )
    payload = summary.close(START.shifted(1))
    assert (payload["frames_with_face"], payload["unfit"]) == (4, {"too_dark": 2, "blurred": 1})
    assert (payload["emotions"]["happiness"], payload["emotions"]["sadness"]) == (0.8, 0.0)
    assert (payload["shares"]["sadness"], payload["shares"]["uncertain"]) == (0.25, 0.5)
    summary.add_recognition(
        frame(replace(observation(sad, None), reject_reason=RejectReason.TOO_DARK))
    )
    payload = summary.close(START.shifted(2))
    assert (payload["frames_with_face"], payload["emotions"], payload["valence"]) == (1, None, None)


def test_faces_that_are_not_the_primary_one_do_not_count() -> None:
    summary = window()
    other = observation(expression(anger=1.0), Emotion.ANGER, primary=False)
    summary.add_recognition(frame(other, observation(expression(), Emotion.NEUTRAL)))
    summary.add_recognition(frame(other))
    shares = summary.close(START.shifted(1))["shares"]
    assert (shares["neutral"], shares["no_face"], shares["anger"]) == (0.5, 0.5, 0)


def test_a_window_without_a_face_claims_no_emotion() -> None:
    summary = window()
    summary.add_recognition(frame())
    payload = summary.close(START.shifted(10))
    assert (payload["dominant"], payload["emotions"], payload["valence"]) == ("no_face", None, None)


def test_a_window_without_a_frame_claims_nothing_at_all() -> None:
    payload = window().close(START.shifted(10))
    assert (payload["frames"], payload["vitals"]) == (0, {})
    assert payload["dominant"] is payload["shares"] is payload["emotions"] is None


def test_vitals_are_condensed_by_kind_and_unusable_readings_are_only_counted() -> None:
    summary = window()
    for value in (70, 72, 77):
        summary.add_vital(reading(VitalKind.HEART_RATE, value))
    summary.add_vital(reading(VitalKind.HEART_RATE, 0, VitalFlag.CONTACT_LOST))
    summary.add_vital(reading(VitalKind.HEART_RATE, float("nan")).checked())
    summary.add_vital(reading(VitalKind.SYSTOLIC, 400, VitalFlag.OUT_OF_RANGE))
    vitals = summary.close(START.shifted(10))["vitals"]
    assert vitals == {
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
    summary.add_vital(reading(VitalKind.HEART_RATE, 70, VitalFlag.SIMULATED))
    payload = summary.close(START.shifted(10))
    assert payload["vitals"]["heart_rate"]["simulated"] is True
    assert payload["simulated"] is True
    assert summary.close(START.shifted(20))["simulated"] is False
    assert window(simulated=True).close(START.shifted(1))["simulated"] is True


def test_the_next_window_begins_empty_where_the_last_one_ended() -> None:
    summary = window()
    summary.add_recognition(frame())
    first = summary.close(START.shifted(10))
    second = summary.close(START.shifted(20))
    assert second["window"]["start"] == first["window"]["end"]
    assert second["frames"] == 0


def test_windows_touch_where_the_two_clocks_drift_apart_and_are_rounded() -> None:
    summary = window()
    end = START.shifted(10)
    first = summary.close(Instant(end.boot_ms, end.wall_ms + 1))
    second = summary.close(START.shifted(20))
    assert second["window"]["start"] == first["window"]["end"]


def test_a_wall_clock_that_was_set_within_the_window_does_not_stretch_it() -> None:
    end = Instant(boot_ms=START.boot_ms + 10_000, wall_ms=START.wall_ms + 3_610_000)
    told = window().close(end)["window"]
    assert told["start"] == iso_utc(START.wall_ms + 3_600_000)
    assert told["end"] == iso_utc(end.wall_ms)


def test_the_length_is_taken_from_the_clock_that_never_jumps() -> None:
    jumped = Instant(boot_ms=START.boot_ms + 10_000, wall_ms=START.wall_ms - 3_600_000)
    assert window().close(jumped)["window"]["seconds"] == 10.0


weights = st.lists(st.floats(0, 1), min_size=8, max_size=8).filter(lambda w: sum(w) > 0.01)
expressions = weights.map(lambda w: Expression(tuple(x / sum(w) for x in w)))
faces = st.builds(observation, expressions, st.none() | st.sampled_from(EMOTIONS))
frames = st.builds(frame) | st.builds(frame, faces)
readings = st.builds(
    lambda kind, value, flags: VitalReading(START, kind, value, "test", frozenset(flags)).checked(),
    st.sampled_from(VitalKind),
    st.floats(0, 300),
    st.sets(st.sampled_from(VitalFlag)),
)


@given(st.lists(frames, max_size=30), st.lists(readings, max_size=30), st.floats(0, 100))
def test_every_window_keeps_its_bounds_and_fits_the_published_form(
    seen: list[Recognition], measured: list[VitalReading], seconds: float
) -> None:
    summary = window()
    for recognition in seen:
        summary.add_recognition(recognition)
    for vital in measured:
        summary.add_vital(vital)
    payload = json.loads(json.dumps(summary.close(START.shifted(seconds))))
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
