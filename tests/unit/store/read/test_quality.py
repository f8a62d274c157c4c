"""The quality report of a session: what it counts, asks for and advises; estimates count little."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.expression import RejectedFrames, RejectReason
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.quality import Check, Level, SessionQuality, Thresholds, share_covered
from edge_agent.store.read.quality_checks import session_quality
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.fold import make_anew
from edge_agent.store.write.timeline import write_gap, write_rejected_frames
from tests.support.studies import add_session, heart
from tests.support.timeline import START_MS, add, database, instant, query, reading, row


def hold(
    path: Path, labels: Sequence[str] = ("anger", "neutral"), end: float | None = 120.0
) -> int:
    """Hold a session of two minutes with conditions of 60 s each; return its number."""
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    session = study.start_session("P01", Purpose.RESEARCH, "films", instant(0))
    for number, label in enumerate(labels):
        study.add_marker(MarkerKind.STIMULUS_START, label, instant(60.0 * number))
    if end is not None:
        study.end_session(instant(end))
    return session.id


def well_recorded(path: Path, face: Sequence[int] = range(1, 121)) -> int:
    """Hold a session in which face and strap were there every second, and the cuff once under each
    condition.
    """
    session = hold(path)
    strap = [reading(second, 70.0) for second in range(120)]
    cuff = [reading(second, 120.0, VitalKind.SYSTOLIC, "cuff") for second in (55, 115)]
    add(path, [row(second) for second in face], [*strap, *cuff])
    return session


def report(path: Path, session: int) -> SessionQuality:
    return session_quality(Reader(path), session)


def check(report: SessionQuality, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def test_an_empty_session_is_not_fit_and_says_what_is_missing_and_what_to_do(path: Path) -> None:
    found = report(path, hold(path, labels=()))
    assert found.level is Level.BAD
    assert found.sentence == (
        "This session is not fit for analysis because of conditions, the face and readings."
    )
    assert "No condition is marked" in check(found, "conditions").found
    assert all(check.cure for check in found.checks if check.level is not Level.GOOD)
    assert not (found.measures.vitals or found.measures.conditions or found.measures.gaps)


def test_a_session_without_length_is_judged_too(path: Path) -> None:
    found = report(path, hold(path, labels=("anger",), end=0.0))
    assert found.measures.face_share is None
    assert found.measures.conditions == ()
    assert found.level is Level.BAD


def test_an_open_session_is_judged_up_to_now_with_care(path: Path) -> None:
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    session = study.start_session("P01", Purpose.RESEARCH, "")
    study.add_marker(MarkerKind.STIMULUS_START, "anger")
    found = report(path, session.id)
    assert found.end_ms is None
    assert check(found, "conditions").level is Level.CARE
    assert "still open" in check(found, "conditions").found


def test_a_well_recorded_session_is_fit_and_its_counts_are_right(path: Path) -> None:
    found = report(path, well_recorded(path))
    assert found.sentence == (
        "This session is fit for analysis: everything that was looked at is as it should be."
    )
    assert found.level is Level.GOOD
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


@pytest.mark.parametrize(("seconds", "level"), [(96, Level.CARE), (95, Level.BAD)])
def test_the_face_must_be_read_in_four_fifths_of_the_condition_time(
    path: Path, seconds: int, level: Level
) -> None:
    found = check(report(path, well_recorded(path, range(1, seconds + 1))), "the face")
    assert found.level is level
    assert (
        f"in {seconds / 120:.0%} of the condition time; 80% is wanted. Less under neutral."
    ) in found.found


@pytest.mark.parametrize(
    ("flaw", "advice"),
    [
        (RejectReason.TOO_DARK, "a lamp in front"),
        (RejectReason.TURNED_AWAY, "a turned head"),
        (RejectReason.BLURRED, "focus the camera"),
        (RejectReason.CUT_OFF, "turn the camera towards"),
        (RejectReason.COVERED, "take off mask"),
    ],
)
def test_the_advice_for_a_lost_face_names_what_took_most_of_it(
    path: Path, flaw: RejectReason, advice: str
) -> None:
    session = well_recorded(path, range(1, 61))
    with write_transaction(path) as connection:
        rows = [
            (RejectedFrames(instant(second), 1, flaw, 10, True), None) for second in range(61, 121)
        ]
        write_rejected_frames(connection, rows, 1000, simulated=False)
        write_gap(connection, Gap("camera", instant(60), instant(70), "no_face"), None)
    found = report(path, session)
    assert advice in check(found, "the face").cure
    assert found.measures.frames.unfit == {flaw: 590}  # the row at the end lies behind it
    assert found.measures.lost_s == {flaw: 60.0}
    light = check(found, "light")
    assert (light.level is Level.CARE) == (flaw is RejectReason.TOO_DARK)
    assert light.cure == (
        "Put a lamp in front of the participant, not behind them." if light.cure else ""
    )


def test_frames_lost_in_a_second_that_was_read_all_the_same_are_no_cause(path: Path) -> None:
    session = well_recorded(path, range(1, 61))
    with write_transaction(path) as connection:
        rows = [
            (RejectedFrames(instant(second), 1, RejectReason.TOO_DARK, 9, True), None)
            for second in range(1, 61)
        ]
        write_rejected_frames(connection, rows, 1000, simulated=False)
        write_gap(connection, Gap("camera", instant(60), instant(120), "no_face"), None)
    found = report(path, session)
    assert found.measures.lost_s == {}
    assert "no face was in the picture" in check(found, "the face").cure


@pytest.mark.parametrize(
    ("source", "reason", "advice"),
    [
        ("agent", "agent_stopped", "the agent did not run"),
        ("recorder", "not_written", "could not be written"),
        ("camera", "opening", "the camera stopped"),
    ],
)
def test_a_face_that_was_lost_while_nothing_was_recorded_names_why(
    path: Path, source: str, reason: str, advice: str
) -> None:
    session = well_recorded(path, range(1, 61))
    with write_transaction(path) as connection:
        write_gap(connection, Gap(source, instant(60), instant(120), reason), None)
    assert advice in check(report(path, session), "the face").cure


def test_gaps_are_summed_by_source_and_reason_as_far_as_they_lie_in_the_session(path: Path) -> None:
    session = well_recorded(path, range(1, 61))
    with write_transaction(path) as connection:
        for start, end, source, why in (
            (-30, 10, "camera", "stalled"),
            (60, 75, "camera", "no_face"),
            (80, 90, "camera", "no_face"),
            (110, 500, "ble:strap", "disconnected"),
        ):
            write_gap(connection, Gap(source, instant(start), instant(end), why), None)
    gaps = [
        (gap.source, gap.reason, gap.count, gap.seconds)
        for gap in report(path, session).measures.gaps
    ]
    assert gaps == [
        ("camera", "no_face", 2, 25.0),
        ("ble:strap", "disconnected", 1, 10.0),
        ("camera", "stalled", 1, 10.0),
    ]


def test_each_kind_needs_a_usable_reading_under_each_condition(path: Path) -> None:
    session = hold(path)
    lost = frozenset({VitalFlag.CONTACT_LOST})
    add(path, [row(second) for second in range(1, 121)], [reading(second) for second in range(120)])
    add(
        path,
        (),
        [reading(30, 121, VitalKind.SYSTOLIC), reading(90, 140, VitalKind.SYSTOLIC, "cuff", lost)],
    )
    found = report(path, session)
    assert check(found, "readings").found.startswith(
        "Missing: systolic pressure under neutral; wanted: at least 1"
    )
    assert found.level is Level.BAD
    assert check(found, "flagged readings").level is Level.CARE
    assert ("50% of the readings of systolic pressure are flagged") in check(
        found, "flagged readings"
    ).found


def test_silences_of_a_strap_and_readings_without_a_face_ask_for_care(path: Path) -> None:
    session = hold(path)
    add(path, [row(second) for second in range(20, 121)], [reading(second) for second in range(40)])
    add(path, (), [reading(second) for second in (60, 118)])
    found = report(path, session)
    stream = check(found, "the course of heart rate")
    assert (stream.level, "in 51% of the condition time" in stream.found) == (Level.CARE, True)
    unmatched = check(found, "unmatched readings")
    assert (unmatched.level, "Before 60% of the readings of heart rate" in unmatched.found) == (
        Level.CARE,
        True,
    )
    assert found.level is Level.CARE
    assert found.sentence.startswith(
        "This session is fit for analysis, with care: look at the face, the course of heart rate "
        "and "
    )


def test_frames_that_were_dropped_show_as_intervals_with_few(path: Path) -> None:
    session = hold(path)
    with write_transaction(path) as connection:
        rows = [
            (RejectedFrames(instant(s), 1, RejectReason.BLURRED, 10 if s % 3 else 2, True), None)
            for s in range(1, 121)
        ]
        write_rejected_frames(connection, rows, 1000, simulated=False)
    found = check(report(path, session), "frames")
    assert found.level is Level.CARE
    assert found.found.startswith("10.0 frames per second; 33% of the time less than half of that")


def boots(path: Path, *rows: tuple[str, float, float, int]) -> None:
    """Write boot rows: identifier, when, seconds by which the wall clock is ahead, whether the
    network had set it.
    """
    with write_transaction(path) as connection:
        connection.executemany(
            "INSERT INTO boot (boot_id, started_ms, wall_minus_boot_ms, synchronised) VALUES (?, "
            "?, ?, ?)",
            [
                (name, instant(at).wall_ms, instant(ahead).wall_ms, known)
                for name, at, ahead, known in rows
            ],
        )


@pytest.mark.parametrize(
    ("rows", "level", "said"),
    [
        ([("a", -50, -100, 1)], Level.GOOD, "did not jump"),
        ([("a", -50, -100, 1), ("a", 130, 200, 1)], Level.GOOD, "did not jump"),
        ([("a", -50, -100, 0)], Level.CARE, "had not set the clock"),
        ([("a", -50, -100, 0), ("a", 30, -40, 1)], Level.BAD, r"jumped during the session: \+60 s"),
        ([("a", -50, -100, 1), ("b", 30, 20, 1)], Level.CARE, "started anew during the session"),
        ([("a", -500, -900, 1), ("b", 5, -100, 1)], Level.GOOD, "did not jump"),
        # The clock was set in the session, and rows of before were moved; later parts came first.
        ([("a", 20, -100, 1), ("a", -50, -100, 1), ("a", 40, -100, 1)], Level.GOOD, "did not jump"),
    ],
)
def test_a_clock_that_jumps_makes_a_session_unusable(
    path: Path, rows: list[tuple[str, float, float, int]], level: Level, said: str
) -> None:
    session = well_recorded(path)
    boots(path, *rows)
    found = check(report(path, session), "the clock")
    assert found.level is level
    assert re.search(said, found.found)


def test_other_thresholds_can_be_asked_for(path: Path) -> None:
    session = well_recorded(path, range(1, 61))
    assert session_quality(Reader(path), session, Thresholds(face_share=0.4)).level is Level.CARE


def test_where_every_frame_is_a_row_each_stands_for_the_second_before_it(path: Path) -> None:
    session = hold(path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM expression")
    add(path, [row(second / 2) for second in range(2, 241)])
    with write_transaction(path) as connection:
        connection.execute("UPDATE expression SET interval_ms = 0")
    found = report(path, session)
    assert found.measures.face_share == 1.0
    assert found.measures.frame_rate is None


def test_shares_count_overlapping_spans_once() -> None:
    assert share_covered([(0, 100)], [(10, 30), (20, 40), (90, 200)]) == pytest.approx(0.4)
    assert share_covered([(0, 10), (90, 100)], [(5, 95)]) == pytest.approx(0.5)
    assert share_covered([(5, 5)], [(0, 10)]) is None


def test_readings_of_other_sessions_and_after_the_end_do_not_count(path: Path) -> None:
    session = well_recorded(path)
    add(
        path,
        (),
        [VitalReading(Instant(0, START_MS + 400_000), VitalKind.HEART_RATE, 99.0, "strap")],
    )
    assert report(path, session).measures.vitals[0].usable == 120


MINUTE_MS = 60_000
MEASURED = [reading(second, 70.0) for second in range(10)]
ESTIMATED = [
    reading(5.0 * n, 110.0, source="camera_pulse", flags=[VitalFlag.ESTIMATED]) for n in range(3)
]


def test_a_trend_from_rows_or_rollups_holds_what_was_measured_alone(tmp_path: Path) -> None:
    path = database(tmp_path, readings=[*MEASURED, *ESTIMATED])
    for length_ms, buckets in ((MINUTE_MS, 60), (60 * MINUTE_MS, 60)):
        trend = Reader(path).vital_trend(
            VitalKind.HEART_RATE, START_MS, START_MS + length_ms, buckets
        )
        assert {mean for mean in trend.mean if mean is not None} == {70.0}
        assert (sum(trend.n), sum(trend.flagged)) == (10, 3)
    assert query(path, "SELECT count(*) FROM vital") == [(13,)], "every reading is kept"


def test_rollups_that_are_made_anew_are_the_same(tmp_path: Path) -> None:
    path = database(tmp_path, readings=[*MEASURED, *ESTIMATED])
    before = query(path, "SELECT * FROM vital_minute ORDER BY at")
    with write_transaction(path) as connection:
        make_anew(connection, (START_MS, START_MS + MINUTE_MS), ())
    assert query(path, "SELECT * FROM vital_minute ORDER BY at") == before


def test_a_session_with_nothing_but_estimates_has_no_readings_and_is_not_fit(path: Path) -> None:
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0), flags=[VitalFlag.ESTIMATED])
    report = session_quality(Reader(path), 1)
    readings = next(check for check in report.checks if check.name == "readings")
    assert (readings.level, report.level) == (Level.BAD, Level.BAD)
    assert readings.found == "There is no reading of heart rate or blood pressure."


def test_estimates_beside_measurements_change_no_verdict(path: Path) -> None:
    add_session(path, "P-1", heart(anger=80.0, neutral=70.0))
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags) "
            "SELECT at + 1, kind, 'camera_pulse', 99, 'estimated' FROM vital"
        )
    [heart_rate] = session_quality(Reader(path), 1).measures.vitals
    assert (heart_rate.usable, heart_rate.flagged) == (2, 0)
