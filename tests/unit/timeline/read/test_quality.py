"""The quality report of a session: what it counts, asks for and advises; estimates count little."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.expression import RejectReason
from edge_agent.core.own_neutral import BaselineRefusal, Calibration
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.quality import (
    Check,
    QualityLevel,
    SessionQuality,
    Thresholds,
    share_covered,
)
from edge_agent.timeline.read.quality_checks import session_quality
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.timeline.study.own_neutral import end_shift, keep, note_asked
from edge_agent.timeline.study.preregistrations import freeze
from edge_agent.timeline.study.sessions import Study
from tests.support.own_neutral import CLASSIFIER, LOGITS
from tests.support.studies import add_session, heart
from tests.support.timeline import (
    START_MS,
    Row,
    instant,
    movement_row,
    reading,
    row,
    session_row,
    timeline,
)


def hold(
    path: Path, labels: Sequence[str] = ("anger", "neutral"), end: float | None = 120.0
) -> int:
    """Hold a session of two minutes with conditions of 60 s each; return its number."""
    conditions = [(60.0 * number, None, label) for number, label in enumerate(labels)]
    timeline(path, session=[session_row(0, end, *conditions)])
    return 1


def gap(start: float, end: float, reason: str, source: str = "camera") -> Row:
    return {"started": start, "ended": end, "reason": reason, "source": source}


def well_recorded(path: Path, face: Sequence[int] = range(1, 121)) -> int:
    """Hold a session in which face and strap were there every second, and the cuff once under each
    condition.
    """
    session = hold(path)
    strap = [reading(second, 70.0) for second in range(120)]
    cuff = [reading(second, 120.0, VitalKind.SYSTOLIC, "cuff") for second in (55, 115)]
    after_the_end = reading(400, 99.0)
    readings = [*strap, *cuff, after_the_end]
    timeline(path, expression=face, vital=readings)
    return session


def report(path: Path, session: int) -> SessionQuality:
    return session_quality(Reader(path), session)


def check(report: SessionQuality, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_quality_session_without_conditions_is_no_error(path: Path) -> None:
    session = hold(path, labels=())
    found = report(path, session)
    assert found.level is QualityLevel.UNMARKED
    assert found.sentence == "No conditions: shown by day, not tested."
    levels = {one.name: one.level for one in found.checks}
    assert {levels[name] for name in ("conditions", "the face", "readings")} == {
        QualityLevel.UNMARKED
    }
    assert QualityLevel.BAD not in levels.values()
    assert "For a test, mark the start" in check(found, "conditions").cure
    assert not (found.measures.vitals or found.measures.conditions or found.measures.gaps)
    timeline(path, expression=range(1, 31), vital=[reading(second, 70.0) for second in range(51)])
    found = report(path, session)
    for name, text in {
        "the face": "The face was read in 25% of the session.",
        "readings": "There are readings of heart rate.",
        "the course of heart rate": "Heart rate was recorded in 50% of the session.",
    }.items():
        assert check(found, name).found == text
    assert found.level is QualityLevel.UNMARKED
    for at, ahead in ((-50, -100), (30, -40)):
        times = {"started_ms": instant(at).wall_ms, "wall_minus_boot_ms": instant(ahead).wall_ms}
        timeline(path, boot=[{"boot_id": "a", "synchronised": 0, **times}])
    jumped = check(report(path, session), "the clock")
    assert "jumped during" in jumped.found and jumped.level is QualityLevel.CARE, "nothing is unfit"


def test_a_session_that_is_open_or_without_length_is_judged_too(path: Path) -> None:
    session = hold(path, end=None)
    found = report(path, session)
    assert found.end_ms is None
    conditions = check(found, "conditions")
    assert conditions.level is QualityLevel.CARE and "still open" in conditions.found
    Study(path).end_session(instant(0))
    found = report(path, session)
    assert (found.measures.face_share, found.level) == (None, QualityLevel.BAD)


def test_quality_condition_without_length_is_not_fit(path: Path) -> None:
    session = well_recorded(path)
    for kind in ("stimulus_start", "stimulus_end"):
        timeline(path, marker=[{"at": 90, "kind": kind, "label": "happiness"}])
    conditions = check(report(path, session), "conditions")
    assert conditions.level is QualityLevel.BAD
    assert conditions.found == "3 conditions are marked. Less than a second long: happiness."
    assert "A spreadsheet drops the seconds" in conditions.cure


def test_a_well_recorded_session_is_fit_and_its_counts_are_right(path: Path) -> None:
    found = report(path, well_recorded(path))
    assert found.sentence == ("This session is fit for analysis. All checks passed.")
    assert found.level is QualityLevel.GOOD
    assert all(not check.cure for check in found.checks)
    assert found.measures.face_share == 1.0
    anger, neutral = found.measures.conditions
    expected = ("anger", START_MS, START_MS + 60_000, 1.0)
    assert (anger.label, anger.start_ms, anger.end_ms, anger.face_share) == expected
    assert neutral.readings == {VitalKind.HEART_RATE: 60, VitalKind.SYSTOLIC: 1}
    heart, cuff = found.measures.vitals
    assert (heart.usable, heart.flagged, heart.share) == (120, 0, 1.0)
    assert (heart.matched, heart.unmatched, heart.ambiguous) == (114, 6, 0)
    assert cuff.share is None
    assert found.measures.frame_rate is not None
    wanted = (10.0, 0.0)
    assert (found.measures.frame_rate.median_per_s, found.measures.frame_rate.slow_share) == wanted


@pytest.mark.parametrize(("seconds", "level"), [(96, QualityLevel.CARE), (95, QualityLevel.BAD)])
def test_the_face_must_be_read_four_fifths_of_the_time(
    path: Path, seconds: int, level: QualityLevel
) -> None:
    found = check(report(path, well_recorded(path, range(1, seconds + 1))), "the face")
    assert found.level is level
    wanted = (
        f"in {seconds / 120:.0%} of the condition time; at least 80% is needed. Less under neutral."
    )
    assert wanted in found.found
    lower = session_quality(Reader(path), 1, Thresholds(face_share=0.4))
    assert check(lower, "the face").level is QualityLevel.GOOD


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        (RejectReason.TOO_DARK, "a lamp in front"),
        (RejectReason.TURNED_AWAY, "the head was turned away"),
        (RejectReason.COVERED, "take off mask"),
    ],
)
def test_quality_unreadable_face_gets_advice_for_its_main_reason(
    path: Path, reason: RejectReason, advice: str
) -> None:
    session = well_recorded(path, range(1, 61))
    unfit = [{"at": second, "reason": reason, "frames": 10} for second in range(61, 121)]
    timeline(path, unfit=unfit, gap=[gap(60, 70, "no_face")])
    found = report(path, session)
    assert advice in check(found, "the face").cure
    assert found.measures.frames.unfit == {reason: 590}  # the row at the end lies behind it
    assert found.measures.lost_s == {reason: 60.0}
    light = check(found, "light")
    assert (light.level is QualityLevel.CARE) == (reason is RejectReason.TOO_DARK)
    assert light.cure == (
        "Put a lamp in front of the participant, not behind them." if light.cure else ""
    )


@pytest.mark.parametrize(
    ("source", "reason", "advice"),
    [
        ("agent", "agent_stopped", "the agent did not run"),
        ("recorder", "not_written", "could not be written"),
        ("camera", "opening", "the camera stopped"),
        ("camera", "stopped", "agent or machine stood still"),
        ("camera", "no_face", "no face was in the picture"),
    ],
)
def test_quality_missing_face_gets_advice_for_its_gap(
    path: Path, source: str, reason: str, advice: str
) -> None:
    session = well_recorded(path, range(1, 61))
    dark = [{"at": second, "reason": "too_dark"} for second in range(1, 61)]  # were read
    timeline(path, unfit=dark, gap=[gap(60, 120, reason, source)])
    found = report(path, session)
    assert found.measures.lost_s == {}
    assert advice in check(found, "the face").cure


def test_quality_gaps_within_the_session_are_summed_by_reason(path: Path) -> None:
    session = well_recorded(path, range(1, 61))
    faceless = [gap(60, 75, "no_face"), gap(80, 90, "no_face")]
    silent = gap(110, 500, "disconnected", "ble:strap")
    timeline(path, gap=[gap(-30, 10, "stalled"), *faceless, silent])
    found = report(path, session)
    assert [(one.source, one.reason, one.count, one.seconds) for one in found.measures.gaps] == [
        ("camera", "no_face", 2, 25.0),
        ("ble:strap", "disconnected", 1, 10.0),
        ("camera", "stalled", 1, 10.0),
    ]


def test_quality_condition_without_usable_reading_of_a_kind_is_not_fit(path: Path) -> None:
    session = hold(path)
    used, lost = (reading(s, 130, VitalKind.SYSTOLIC, "cuff") for s in (30, 90))
    lost = replace(lost, flags=frozenset({VitalFlag.CONTACT_LOST}))
    strap = [reading(second) for second in range(120)]
    timeline(path, expression=range(1, 121), vital=[*strap, used, lost])
    found = report(path, session)
    assert check(found, "readings").found.startswith(
        "Missing: systolic pressure under neutral; needed: a usable reading"
    )
    assert found.level is QualityLevel.BAD
    care = check(found, "flagged readings")
    assert care.level is QualityLevel.CARE
    assert "50% of the readings of systolic pressure are flagged" in care.found


def test_quality_kinds_missing_in_several_conditions_are_named_once(path: Path) -> None:
    session = hold(path, ("neutral", "anger"))
    of_cuff = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
    doubtful = [
        replace(reading(60, 90, kind, "cuff"), flags=frozenset({VitalFlag.CONTACT_LOST}))
        for kind in of_cuff
    ]
    strap = [reading(second) for second in range(240)]
    timeline(path, expression=range(1, 241), vital=[*strap, *doubtful])
    assert check(report(path, session), "readings").found.startswith(
        "Missing: systolic pressure and diastolic pressure under neutral and anger; needed:"
    )


def hold_with_baseline(path: Path, labels: Sequence[str], under: Sequence[str]) -> int:
    """Hold a session of a minute each condition, with a strap, and a cuff under some of them."""
    session = hold(path, labels, 60.0 * len(labels))
    seconds = range(60 * len(labels))
    cuff = [
        reading(60 * place + 45, 120.0, VitalKind.SYSTOLIC, "cuff")
        for place, label in enumerate(labels)
        if label in under
    ]
    strap = [reading(second, 70.0) for second in seconds]
    timeline(path, expression=[*seconds][1:], vital=[*strap, *cuff])
    return session


def test_quality_baseline_without_a_reading_of_the_cuff_is_fit(path: Path) -> None:
    session = hold_with_baseline(path, ("Baseline", "anger", "neutral"), ("anger", "neutral"))
    found = report(path, session)
    assert (found.level, found.analysis_sentence) == (QualityLevel.GOOD, "")
    assert check(found, "readings").found == (
        "There are readings of heart rate and systolic pressure: a usable reading of each kind "
        "under each condition that is compared (anger and neutral). There is none of "
        "systolic pressure in the baseline: where changes from it are compared, this session is "
        "left out for them."
    )


@pytest.mark.parametrize(
    ("states", "level"),
    [
        (["neutral", "Anger"], QualityLevel.GOOD),
        (["practice", "anger"], QualityLevel.BAD),
        (["x", "y"], QualityLevel.BAD),
    ],
)
def test_quality_readings_are_wanted_under_the_declared_states(
    path: Path, states: list[str], level: QualityLevel
) -> None:
    session = hold_with_baseline(path, ("practice", "anger", "neutral"), ("anger", "neutral"))
    freeze(path, json.dumps({"question": {"state": "condition", "states": states}}), "me")
    assert report(path, session).level is level
    freeze(path, '{"question": []}', "me")
    assert report(path, session).level is QualityLevel.BAD


def test_quality_says_what_the_analysis_does_with_an_unfit_session(path: Path) -> None:
    session = hold_with_baseline(path, ("anger", "neutral"), ("anger",))
    assert report(path, session).analysis_sentence == (
        "The analysis uses its usable readings all the same, unless somebody leaves it out."
    )
    leave_out(path, session, None, reason="no cuff", actor="ada")
    assert report(path, session).analysis_sentence == (
        "The analysis does not use it, because somebody left it out."
    )


def test_quality_silent_strap_and_unmatched_readings_ask_for_care(path: Path) -> None:
    session = hold(path)
    seconds = [*range(40), 60, 118]
    faces = [row(second) for second in range(20, 121)]
    timeline(path, expression=faces, vital=seconds)
    found = report(path, session)
    course = check(found, "the course of heart rate")
    assert "in 51% of the condition time" in course.found
    assert "beside Wi-Fi" in course.cure and "Bluetooth dongle" in course.cure
    assert (
        "No face was read before 60% of the readings of heart rate"
        in check(found, "unmatched readings").found
    )
    assert found.level is QualityLevel.CARE
    assert found.sentence.startswith(
        "This session is fit for analysis, with care: check the face, the course of heart rate and "
    )


def test_quality_dropped_frames_ask_for_care(path: Path) -> None:
    session = hold(path)
    timeline(path, unfit=[{"at": s, "frames": 10 if s % 3 else 2} for s in range(1, 121)])
    found = check(report(path, session), "frames")
    assert found.level is QualityLevel.CARE
    assert found.found.startswith(
        "10.0 frames per second; less than half of that for 33% of the time"
    )


@pytest.mark.parametrize(("turned", "level"), [(24, QualityLevel.GOOD), (25, QualityLevel.CARE)])
def test_quality_head_turned_away_for_long_asks_for_care(
    path: Path, turned: int, level: QualityLevel
) -> None:
    session = well_recorded(path)
    none = check(report(path, session), "head turned away")
    assert (none.level, none.found) == (QualityLevel.GOOD, "No pose of the head was recorded.")
    angles = [(31.0, 0.0), (0.0, -31.0), (-31.0, 0.0)] * 40
    away = [movement_row(s, yaw=angles[s][0], pitch=angles[s][1]) for s in range(1, turned + 1)]
    ahead = [movement_row(s, yaw=30.0, pitch=-30.0, roll=90.0) for s in range(turned + 1, 121)]
    # neither of another person, nor of another time
    others = [movement_row(5, primary=False, yaw=50.0), movement_row(-5, yaw=50.0)]
    timeline(path, movement=[*away, *ahead, *others])
    found = report(path, session)
    assert found.measures.turned_away_share == pytest.approx(turned / 120)
    turned_away = check(found, "head turned away")
    assert turned_away.level is level
    assert turned_away.found == (
        f"The head was turned away by more than 30° in {turned / 120:.0%} of the intervals with a "
        "pose; at most 20% is acceptable."
    )
    assert bool(turned_away.cure) == (level is QualityLevel.CARE)


@pytest.mark.parametrize(("mg", "level"), [(20.0, QualityLevel.GOOD), (60.0, QualityLevel.CARE)])
def test_quality_wearer_who_moves_in_a_condition_asks_for_care(
    path: Path, mg: float, level: QualityLevel
) -> None:
    session = well_recorded(path)
    assert "motion of the wearer" not in {one.name for one in report(path, session).checks}
    motion = [
        reading(second, mg if second < 60 else 3.0, VitalKind.BODY_MOTION)
        for second in range(5, 120, 5)
    ]
    lost = reading(57, 900.0, VitalKind.BODY_MOTION, flags=[VitalFlag.CONTACT_LOST])
    timeline(path, vital=[*motion, lost])
    found = report(path, session)
    assert [one.motion_mg for one in found.measures.conditions] == [mg, 3.0]
    moved = check(found, "motion of the wearer")
    assert (moved.level, bool(moved.cure)) == (level, level is QualityLevel.CARE)
    most = f"The wearer moved most in anger: {mg} mg on average; at most 27 mg is acceptable."
    assert moved.found == most


def test_own_neutral_says_what_calibrated_it_or_why_nothing_did(path: Path) -> None:
    session = well_recorded(path)
    names = [one.name for one in report(path, session).checks]
    assert "own neutral" not in names, "the session did not ask"
    note_asked(path, session)
    asked = check(report(path, session), "own neutral")
    assert (asked.level, asked.found) == (
        QualityLevel.CARE,
        "Not calibrated: no baseline of the session has ended.",
    )
    span = (START_MS + 2_000, START_MS + 22_000)
    refused = Calibration(20, LOGITS, 0.0, BaselineRefusal.SMILING)
    keep(path, session, span, refused, CLASSIFIER, START_MS + 23_000)
    found = report(path, session)
    assert found.level is QualityLevel.CARE
    assert check(found, "own neutral").found == (
        "Not calibrated by the baseline from 0:02 to 0:22 since the start (face read in 20 s): the "
        "participant smiled."
    )
    assert "Set a baseline marker" in check(found, "own neutral").cure
    keep(path, session, span, Calibration(19, LOGITS, -1.5), CLASSIFIER, START_MS + 23_250)
    calibrated = check(report(path, session), "own neutral")
    assert calibrated.level is QualityLevel.GOOD
    assert calibrated.found == (
        "Calibrated by the baseline from 0:02 to 0:22 since the start (face read in 19 s). From "
        "0:23.250 on, the logit of neutral is shifted by -1.50."
    )
    end_shift(path, session, START_MS + 60_000)
    ended = check(report(path, session), "own neutral")
    assert ended.level is QualityLevel.CARE
    assert ended.found.endswith(
        "At 1:00 another model or prior began to read the face: no shift since."
    )


@pytest.mark.parametrize(
    ("rows", "level", "said"),
    [
        ([("a", -50, -100, 1)], QualityLevel.GOOD, "did not jump"),
        ([("a", -50, -100, 1), ("a", 130, 200, 1)], QualityLevel.GOOD, "did not jump"),
        ([("a", -50, -100, 0)], QualityLevel.CARE, "had not set the clock"),
        (
            [("a", -50, -100, 0), ("a", 30, -40, 1)],
            QualityLevel.BAD,
            r"jumped during the session: \+60 s",
        ),
        (
            [("a", -50, -100, 1), ("b", 30, 20, 1)],
            QualityLevel.CARE,
            "restarted during the session",
        ),
        ([("a", -500, -900, 1), ("b", 5, -100, 1)], QualityLevel.GOOD, "did not jump"),
        # The clock was set in the session, and rows of before were moved; later parts came first.
        (
            [("a", 20, -100, 1), ("a", -50, -100, 1), ("a", 40, -100, 1)],
            QualityLevel.GOOD,
            "did not jump",
        ),
    ],
)
def test_quality_clock_that_jumps_in_the_session_is_not_fit(
    path: Path, rows: list[tuple[str, float, float, int]], level: QualityLevel, said: str
) -> None:
    session = well_recorded(path)
    for boot, at, ahead, is_right in rows:
        times = {"started_ms": instant(at).wall_ms, "wall_minus_boot_ms": instant(ahead).wall_ms}
        timeline(path, boot=[{"boot_id": boot, "synchronised": is_right, **times}])
    found = check(report(path, session), "the clock")
    assert found.level is level
    assert re.search(said, found.found)


def test_quality_row_without_length_counts_as_a_second(path: Path) -> None:
    session = hold(path)
    timeline(path, expression=[row(second / 2, interval_ms=0) for second in range(2, 241)])
    found = report(path, session)
    assert found.measures.face_share == 1.0
    assert found.measures.frame_rate is None


def test_shares_count_overlapping_spans_once() -> None:
    assert share_covered([(0, 100)], [(10, 30), (20, 40), (90, 200)]) == pytest.approx(0.4)
    assert share_covered([(0, 10), (90, 100)], [(5, 95)]) == pytest.approx(0.5)
    assert share_covered([(5, 5)], [(0, 10)]) is None


def test_a_session_of_estimates_alone_is_not_fit(path: Path) -> None:
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0), flags=[VitalFlag.ESTIMATED])
    report = session_quality(Reader(path), 1)
    readings = next(check for check in report.checks if check.name == "readings")
    assert (readings.level, report.level) == (QualityLevel.BAD, QualityLevel.BAD)
    assert readings.found == "There is no reading of heart rate or blood pressure."


STRAP = [reading(second, 70.0) for second in range(120)]
REPORTS = [
    {"at": 50.0, "condition": label, "scale": "valence", "value": 4}
    for label in ("anger", "neutral")
]


@pytest.mark.parametrize(
    ("rows", "unfit"),
    [
        ({"self_report": REPORTS}, set()),
        ({"self_report": REPORTS, "vital": STRAP}, set()),
        ({"self_report": REPORTS, "expression": range(1, 121)}, set()),
        ({"expression": range(1, 121)}, set()),
        ({"vital": STRAP}, set()),
        ({"self_report": REPORTS, "gap": [gap(0, 120, "stalled")]}, {"the face"}),
        ({"self_report": REPORTS, "gap": [gap(0, 120, "silent", "strap")]}, {"readings"}),
        (
            {"self_report": REPORTS, "gap": [gap(0, 120, "agent_stopped", "agent")]},
            {"the face", "readings"},
        ),
        ({}, {"the face", "readings"}),
    ],
)
def test_session_is_judged_by_what_it_meant_to_measure(
    path: Path, rows: dict[str, Sequence[Row]], unfit: set[str]
) -> None:
    session = hold(path)
    timeline(path, **rows)
    found = report(path, session)
    assert {one.name for one in found.checks if one.level is QualityLevel.BAD} == unfit
    assert (found.level is QualityLevel.BAD) == bool(unfit)


def test_estimates_beside_measurements_change_no_verdict(path: Path) -> None:
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0))
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags) "
            "SELECT at + 1, kind, 'camera_pulse', 99, 'estimated' FROM vital"
        )
    measures = session_quality(Reader(path), 1).measures
    [heart_rate] = measures.vitals
    assert (heart_rate.usable, heart_rate.flagged) == (2, 0)
    [estimate] = measures.estimates
    assert (estimate.kind, estimate.source, estimate.readings) == (
        VitalKind.HEART_RATE,
        "camera_pulse",
        2,
    )
    # ten seconds after each of two readings, in two conditions of 299 s
    assert estimate.share == pytest.approx(20 / 598)


def alternating(seconds: Sequence[int], length: int) -> list[Row]:
    """Rows of a face that comes back as another one after so many seconds each."""
    return [row(second, track=1 + second // length) for second in seconds]


def test_face_that_came_back_often_is_reported_with_care(path: Path) -> None:
    session = hold(path)
    timeline(path, expression=alternating(range(1, 121), 17))
    few = report(path, session)
    assert few.measures.faces.left == 7 > few.thresholds.face_breaks
    whose = check(few, "whose face it is")
    assert whose.level is QualityLevel.CARE and "recognised" in whose.cure
    assert whose.found == few.faces_sentence
    assert few.faces_sentence.startswith("The face was out of view 7 times")


def test_face_that_left_as_often_as_the_limit_sets_no_caution(path: Path) -> None:
    session = hold(path)
    timeline(path, expression=alternating(range(1, 121), 20))
    found = report(path, session)
    assert found.measures.faces.left == found.thresholds.face_breaks
    assert check(found, "whose face it is").level is QualityLevel.GOOD
    assert found.faces_sentence, "said all the same"


def test_several_faces_in_view_for_long_set_the_level_care(path: Path) -> None:
    session = well_recorded(path)
    beside = [row(second, track=2, primary=False) for second in range(50, 64)]
    timeline(path, expression=beside)
    found = report(path, session)
    assert found.measures.faces.several_s == 14.0
    assert check(found, "whose face it is").level is QualityLevel.CARE
    assert found.level is QualityLevel.CARE
    assert "check whose face it is, and report it" in found.sentence


def test_session_with_mostly_unknown_faces_sets_the_level_care(path: Path) -> None:
    session = well_recorded(path)
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE expression SET is_primary = 0, attribution = 'unknown' WHERE id % 2"
        )
    whose = check(report(path, session), "whose face it is")
    assert whose.level is QualityLevel.CARE
    assert "it is not known whose face was in view" in whose.found


def test_faces_that_nobody_followed_make_no_session_worse(path: Path) -> None:
    session = well_recorded(path)
    with write_transaction(path) as connection:
        connection.execute("UPDATE expression SET track = 0")
    found = report(path, session)
    whose = check(found, "whose face it is")
    assert (whose.level, found.level) == (QualityLevel.UNMARKED, QualityLevel.GOOD)
    assert "is not known" in whose.found == found.faces_sentence
