"""The values of the project: their words, which are stored and sent, and what is computed from
them.
"""

from __future__ import annotations

import itertools

import pytest

from edge_agent.core.clock import Instant
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
    face_state,
)
from edge_agent.core.readings import DOUBTED, UNRELIABLE, UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting, forbidden_because
from edge_agent.core.vitals import AnalysisOption, SensorKind, SensorState, VitalKind

AT = Instant(1000, 1_790_000_000_000)
NEUTRAL = Expression((1.0, 0, 0, 0, 0, 0, 0, 0))


def test_every_flag_says_how_it_bears_on_its_reading() -> None:
    assert all(flag.bearing for flag in VitalFlag)
    assert UNUSABLE.isdisjoint(DOUBTED) and UNRELIABLE < DOUBTED


def test_the_words_that_databases_and_messages_hold_stay() -> None:
    assert [flag.value for flag in VitalFlag][:14] == [
        "out_of_range", "contact_lost", "manual", "estimated", "simulated", "imported",
        "body_movement", "cuff_loose", "irregular_pulse", "pulse_high", "pulse_low",
        "improper_position", "clock_differs", "replayed",
    ]  # fmt: skip
    assert [flaw.value for flaw in RejectReason] == [
        "cut_off", "too_small", "turned_away", "too_dark", "too_bright", "blurred", "covered",
    ]  # fmt: skip
    assert [one.value for one in Purpose] == [
        "research", "medical", "safety", "personal", "demonstration",
    ]  # fmt: skip
    assert [one.value for one in SessionSetting] == [
        "home", "laboratory", "clinic", "workplace", "education", "other",
    ]  # fmt: skip
    assert [one.value for one in MarkerKind] == [
        "stimulus_start", "stimulus_end", "baseline", "note", "declared",
    ]  # fmt: skip
    assert {"heart_rate", "blood_pressure"} <= {one.value for one in SensorKind}
    assert (*(emotion.value for emotion in EMOTIONS), "uncertain", "no_face") == FACE_STATES


@pytest.mark.parametrize(
    ("kind", "unit", "low", "high"),
    [
        ("heart_rate", "/min", 25, 250),
        ("systolic", "mm[Hg]", 50, 250),
        ("diastolic", "mm[Hg]", 30, 160),
        ("mean_arterial", "mm[Hg]", 30, 200),
        ("rr_interval", "s", 0.24, 2.4),
    ],
)
def test_each_vital_has_its_unit_and_what_lies_outside_range_is_flagged(
    kind: str, unit: str, low: float, high: float
) -> None:
    assert VitalKind(kind).unit == unit
    for value, flagged in ((low, False), (high, False), (low - 1e-9, True), (high + 1e-9, True)):
        reading = VitalReading(AT, VitalKind(kind), value, "strap")
        assert (VitalFlag.OUT_OF_RANGE in reading.flag_implausible().flags) is flagged
    assert reading.flags == frozenset()
    assert reading.device_time is None


def test_readings_in_doubt_and_estimates_count_in_no_mean() -> None:
    assert {str(flag) for flag in UNUSABLE} == {
        "out_of_range", "contact_lost", "clock_differs", "poor_signal", "artefact", "estimated",
    }  # fmt: skip


def test_valence_is_happiness_less_the_five_negative_categories() -> None:
    signs = []
    for emotion in EMOTIONS:
        alone = Expression(tuple(float(one is emotion) for one in EMOTIONS))
        signs.append(alone.valence)
        assert (alone.dominant, alone.confidence) == (emotion, 1.0)
    assert signs == [0, 1, 0, -1, -1, -1, -1, -1]


def test_boxes_overlap_by_what_they_share_of_both() -> None:
    whole = Box(10, 20, 40, 30)
    assert (whole.area, whole.center) == (1200, (30, 35))
    assert whole.overlap(Box(30, 20, 40, 30)) == pytest.approx(1 / 3)
    assert whole.overlap(Box(10, 30, 40, 30)) == pytest.approx(1 / 2)
    assert whole.overlap(Box(20, 25, 10, 10)) == pytest.approx(1 / 12)
    for apart in (Box(50, 20, 5, 5), Box(10, 50, 5, 5), Box(60, 20, 5, 5), Box(10, 60, 5, 5)):
        assert whole.overlap(apart) == 0


def seen(track: int, emotion: Emotion | None, *, primary: bool) -> Observation:
    face = Face(Box(0, 0, 9, 9), 0.9, ())
    return Observation(track, face, NEUTRAL, NEUTRAL, emotion, primary, 0.5)


def test_a_frame_shows_what_the_participant_shows_or_what_was_held() -> None:
    other = seen(1, Emotion.FEAR, primary=False)
    participant = seen(2, Emotion.ANGER, primary=True)
    frame = Recognition(AT, 1, 640, 480, (other, participant))
    assert (frame.primary, frame.state, frame.held) == (participant, "anger", None)
    assert Recognition(AT, 1, 640, 480, (other,)).state == "no_face"
    assert Recognition(AT, 1, 640, 480, (), held="anger").state == "anger"
    assert face_state(seen(3, None, primary=True)) == "uncertain"
    assert participant.reject_reason is None


def test_a_sensor_is_not_connected_until_it_says_so() -> None:
    state = SensorState("ble:A0", SensorKind.HEART_RATE)
    assert state.connected is False
    assert (state.battery_percent, state.contact, state.reason, state.problem) == (None,) * 4


def test_at_work_and_in_education_only_medical_and_safety_reasons_count() -> None:
    refused = {
        (purpose.value, setting.value): why
        for purpose, setting in itertools.product(Purpose, SessionSetting)
        if (why := forbidden_because(purpose, setting)) is not None
    }
    assert set(refused) == set(
        itertools.product(("research", "personal", "demonstration"), ("workplace", "education"))
    )
    assert "inferred at work for the purpose research" in refused["research", "workplace"]
    assert "inferred in education for the purpose personal" in refused["personal", "education"]


def test_the_three_pressures_are_asked_about_together() -> None:
    asked = {kind for kind in VitalKind if kind.spec.option is AnalysisOption.PRESSURE}
    assert asked == {VitalKind.SYSTOLIC, VitalKind.DIASTOLIC, VitalKind.MEAN_ARTERIAL}


def test_the_vitals_have_their_codes_of_loinc() -> None:
    codes = [code for kind in VitalKind for code, _ in kind.spec.loinc]
    assert codes == [
        "8867-4", "8480-6", "8462-4", "8478-0", "2708-6", "59408-5", "61008-9", "9279-1", "8310-5",
    ]  # fmt: skip
