"""Which emotion was observed before a reading: window, lag, share, and what has no answer."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.base import MatchCounts
from edge_agent.timeline.read.matching import (
    AMBIGUOUS,
    OBSERVED,
    UNCERTAIN_CATEGORY,
    UNMATCHED,
    FaceLabels,
    Matching,
)
from edge_agent.timeline.read.observed import match, shown_in
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import ReadingSum, SessionStimulus
from tests.support.studies import HEART, SYSTOLIC, add_session, heart, make_study
from tests.support.timeline import instant, reading, row, session_row, timeline

ANGER = Emotion.ANGER
NEUTRAL = Emotion.NEUTRAL
T = 100_000  # a reading at 100 s: by default the rows at 86 to 95 s count


def rows(at_ms: Sequence[int], emotions: Sequence[Emotion | None]) -> FaceLabels:
    """What a face showed at given times; ``None`` is uncertain."""
    places = [
        UNCERTAIN_CATEGORY if emotion is None else EMOTIONS.index(emotion) for emotion in emotions
    ]
    return FaceLabels(np.array(at_ms, dtype=np.int64), np.array(places, dtype=np.int64))


def labels(**shown: Emotion | None) -> FaceLabels:
    """Labels at given seconds, such as ``s86=ANGER``."""
    return rows([1000 * int(name[1:]) for name in shown], list(shown.values()))


def each_second(first: int, emotions: Sequence[Emotion | None]) -> FaceLabels:
    return rows([1000 * (first + n) for n in range(len(emotions))], emotions)


def before(
    shown: FaceLabels,
    at_ms: int,
    kind: VitalKind = VitalKind.HEART_RATE,
    by: Matching | None = None,
) -> str:
    """What was observed before one reading."""
    how = by or Matching()
    steps = shown.steps(how.window_ms, how.share).later(how.lag_ms(kind))
    return OBSERVED[int(steps.at(np.array([at_ms]))[0])]


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (labels(s86=ANGER), "anger"),
        (labels(s95=ANGER), "anger"),
        (labels(s85=ANGER), UNMATCHED),
        (labels(s96=ANGER), UNMATCHED),
        (labels(s85=NEUTRAL, s90=ANGER, s96=NEUTRAL), "anger"),
        (labels(), UNMATCHED),
        (each_second(86, [ANGER] * 6 + [NEUTRAL] * 4), "anger"),
        (each_second(86, [ANGER] * 5 + [NEUTRAL] * 5), AMBIGUOUS),
        (each_second(86, [ANGER] * 5 + [None] * 5), AMBIGUOUS),
        (each_second(86, [None] * 10), AMBIGUOUS),
    ],
)
def test_one_emotion_must_hold_the_share_of_the_window(shown: FaceLabels, found: str) -> None:
    assert before(shown, T) == found


@pytest.mark.parametrize(("kind", "lag"), [(VitalKind.RR_INTERVAL, 5), (VitalKind.SYSTOLIC, 45)])
def test_each_kind_has_its_lag(kind: VitalKind, lag: int) -> None:
    assert before(rows([T - 1000 * lag], [ANGER]), T, kind) == "anger"
    assert before(rows([T - 1000 * lag + 1], [ANGER]), T, kind) == UNMATCHED
    assert before(rows([T], [ANGER]), T, kind, Matching(lag_s={kind: 0})) == "anger"


@pytest.mark.parametrize("of", range(3, 41))
def test_a_share_that_is_just_reached_is_reached(of: int) -> None:
    for held in range(of // 2 + 1, of):  # a share above 1 is not allowed
        shown = rows(list(range(of)), [ANGER] * held + [None] * (of - held))
        for share, found in ((held / of, "anger"), (held / of + 1e-9, AMBIGUOUS)):
            by = Matching(lag_s={VitalKind.HEART_RATE: 0}, share=share)
            assert before(shown, of, by=by) == found, (held, of)


@pytest.mark.parametrize(("window", "share"), [(0, 0.6), (-1, 0.6), (10, 0), (10, 1.1)])
def test_a_window_or_share_that_makes_no_sense_is_refused(window: float, share: float) -> None:
    with pytest.raises(ValueError, match="window_s"):
        Matching(window, share=share)


def single(seen: Sequence[tuple[int, Emotion | None]], after: int, until: int, share: float) -> str:
    """The rule, spelled out for one window (after, until]."""
    window = [emotion for time, emotion in seen if after < time <= until]
    held = Counter(emotion for emotion in window if emotion is not None).most_common(2)
    if not window:
        return UNMATCHED
    if not held or held[0][1] / len(window) < share or len({n for _, n in held}) < len(held):
        return AMBIGUOUS
    return held[0][0].value


@given(
    seen=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([ANGER, NEUTRAL, None])), max_size=40
    ),
    window=st.integers(1, 90),
    share=st.sampled_from([0.5, 0.6, 2 / 3, 1.0]),
)
def test_steps_say_at_every_instant_what_the_window_says(
    seen: list[tuple[int, Emotion | None]], window: int, share: float
) -> None:
    seen.sort(key=lambda row: row[0])
    steps = (
        rows([time for time, _ in seen], [emotion for _, emotion in seen])
        .steps(window, share)
        .later(7)
    )
    instants = range(-5, 520, 3)
    assert [OBSERVED[state] for state in steps.at(np.array(instants))] == [
        single(seen, instant - 7 - window, instant - 7, share) for instant in instants
    ]
    assert np.all(np.diff(steps.starts_ms) > 0) and np.all(np.diff(steps.states) != 0)


def flickering(tmp_path: Path) -> Reader:
    """Two sessions, the second still open, in which the face changes often and readings of three
    kinds come.
    """
    shown = random.Random(4)
    faces = [row(second, shown.choice([ANGER, ANGER, NEUTRAL, None])) for second in range(20, 400)]
    kinds = [VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC]
    readings = [
        reading(
            second + 0.5,
            60 + second % 37 / 7,
            kind,
            flags=[VitalFlag.OUT_OF_RANGE] if second % 11 == 0 else [],
        )
        for second in range(0, 450, 2)
        for kind in kinds
    ]
    path = timeline(
        tmp_path,
        expression=faces,
        vital=readings,
        session=[session_row(10, 200), session_row(210, None)],
    )
    return Reader(path)


def test_sums_of_the_database_are_those_of_single_readings(tmp_path: Path) -> None:
    reader = flickering(tmp_path)
    sessions = reader.session_list()
    kinds = (VitalKind.HEART_RATE, VitalKind.DIASTOLIC)
    settings = [
        Matching(window, dict.fromkeys(kinds, lag), 0.5) for window in (3, 10) for lag in (0, 5, 45)
    ]
    shown = reader.face_labels(sessions)
    every = reader.observed_sums(sessions, shown, kinds, settings)
    for by, sums in zip(settings, every, strict=True):
        found, counts = match(reader.session_readings(None, kinds), shown, by)
        values: defaultdict[tuple[int, str, Measure, str], list[float]] = defaultdict(list)
        for one in found:
            values[one.session, one.state, one.kind, " ".join(one.flags)].append(one.value)
        assert sums.counts == counts
        assert len(sums.sums) == len(values)
        for number, state, each in sums.sums:
            own = values[number, state, each.kind, each.flags]
            assert (each.n, each.largest) == (len(own), max(own))
            assert each.total == pytest.approx(sum(own), rel=1e-12)
    assert min(every[0].counts.matched, every[0].counts.ambiguous) > 20


def test_observed_sums_without_faces_or_readings_are_empty(tmp_path: Path) -> None:
    path = timeline(tmp_path, vital=[50], session=[session_row(10, None)])
    reader = Reader(path)
    sessions = reader.session_list()
    shown = reader.face_labels(sessions)
    (found,) = reader.observed_sums(sessions, shown, [VitalKind.HEART_RATE], [Matching()])
    assert (found.sums, found.counts) == ((), MatchCounts(0, 1, 0))
    (found,) = reader.observed_sums(sessions, shown, [VitalKind.SYSTOLIC], [Matching()])
    assert (found.sums, found.counts) == ((), MatchCounts(0, 0, 0))
    assert reader.observed_sums([], {}, [VitalKind.SYSTOLIC], [Matching()])[0].sums == ()


# Readings by the condition that was open or the emotion that was observed, and stimuli


def test_session_readings_are_narrowed_by_session_and_kind(path: Path) -> None:
    first, second = 1, 2
    cuff = reading(15.5, 131, VitalKind.SYSTOLIC, "cuff", [VitalFlag.MANUAL])
    timeline(
        path,
        session=[
            session_row(0, 100, (10, 20, "anger")),
            session_row(200, 300, (210, 220, "anger"), participant="P02"),
        ],
        vital=[reading(15, 80), reading(215, 70), reading(25, 75), cuff],
    )
    reader = Reader(path)
    every = reader.session_readings(None, tuple(VitalKind))
    assert [(r.session, r.participant, r.kind, r.value) for r in every if r.state] == [
        (first, "P01", VitalKind.HEART_RATE, 80),
        (first, "P01", VitalKind.SYSTOLIC, 131),
        (second, "P02", VitalKind.HEART_RATE, 70),
    ]
    assert {r.session for r in reader.session_readings([second], tuple(VitalKind))} == {second}
    only = reader.session_readings(None, [VitalKind.SYSTOLIC])
    assert [(r.flags, r.simulated, r.state) for r in only] == [
        (frozenset({VitalFlag.MANUAL}), False, "anger")
    ]
    assert reader.session_readings([], tuple(VitalKind)) == []
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET simulated = 1")
    assert all(one.simulated for one in reader.session_readings(None, tuple(VitalKind)))


def test_observed_sums_ignore_other_sessions_and_other_faces(tmp_path: Path) -> None:
    rows = [row(s, Emotion.ANGER) for s in range(1, 100)]
    rows += [row(s, Emotion.FEAR, primary=False) for s in range(100, 120)]
    path = timeline(
        tmp_path,
        expression=rows,
        vital=[reading(106), reading(115)],
        session=[session_row(0, 99.5), session_row(99.6, 200)],
    )
    reader = Reader(path)
    sessions = reader.session_list()
    shown = reader.face_labels(sessions)
    (found,) = reader.observed_sums(sessions, shown, [VitalKind.HEART_RATE], [Matching()])
    assert (found.sums, found.counts) == ((), MatchCounts(0, 2, 0))


STATES = {"anger": {HEART: [70.0, 72.0], SYSTOLIC: [120.0]}, "film 3": {HEART: [66.0]}}


def test_stimuli_come_in_order_with_their_last_reports(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": STATES})
    add_session(path, "SIM", heart(neutral=60.0), simulated=True)
    said = ((100, "fear"), (309.5, "anger"), (700, "none"))  # of two reports the last counts
    reports = [{"at": second, "scale": "emotion", "value": value} for second, value in said]
    reports.append({"at": 320, "value": 9})
    timeline(path, self_report=[{"session": 1, **report} for report in reports])
    first, second_one, third = Reader(path).stimuli([1, 2])
    assert first == SessionStimulus(
        1, "P-1", False, "anger", instant(10).wall_ms, instant(309).wall_ms, "anger"
    )
    wanted = ("film 3", "none", False)
    assert (second_one.condition, second_one.reported, second_one.simulated) == wanted
    expected = ("SIM", 2, True, None)
    assert (third.participant, third.session, third.simulated, third.reported) == expected


def test_readings_are_summed_by_kind_and_flags(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-1": STATES})
    add_session(path, "P-2", heart(anger=300.0), flags=[VitalFlag.OUT_OF_RANGE])
    reader = Reader(path)
    found = reader.vital_sums(reader.stimuli([1, 2]), (HEART, SYSTOLIC))
    assert [(stimulus.condition, sums) for stimulus, sums in found] == [
        ("anger", ReadingSum(HEART, "", 2, 142.0, 72.0)),
        ("anger", ReadingSum(SYSTOLIC, "", 1, 120.0, 120.0)),
        ("film 3", ReadingSum(HEART, "", 1, 66.0, 66.0)),
        ("anger", ReadingSum(HEART, "out_of_range", 1, 300.0, 300.0)),
    ]


@pytest.mark.parametrize(
    ("shown", "share", "dominant"),
    [
        ([Emotion.ANGER] * 6 + [None] * 4, 0.6, "anger"),
        ([Emotion.ANGER] * 5 + [None] * 5, 0.6, ""),
        ([Emotion.ANGER, Emotion.NEUTRAL], 0.5, ""),
        ([None] * 4, 0.6, ""),
        ([], 0.6, None),
    ],
)
def test_face_during_a_stimulus_shows_what_holds_its_share(
    tmp_path: Path, shown: list[Emotion | None], share: float, dominant: str | None
) -> None:
    path = make_study(tmp_path, {"P-1": heart(anger=70.0)})
    rows = [row(20 + second, emotion) for second, emotion in enumerate(shown)]
    timeline(path, expression=rows)
    reader = Reader(path)
    labels = reader.face_labels(reader.session_list())
    assert shown_in(reader.stimuli([1]), labels, share) == [dominant]
