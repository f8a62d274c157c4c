"""From a real database to the family of nine tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.comparison import Obstacle
from dashboard.analysis.present.response import response_of
from dashboard.analysis.readings import ReadingGroup, means_of
from dashboard.analysis.request import AnalysisQuery, Sample, StateBy
from dashboard.analysis.states import PAIRS, TESTED_STATES, VITALS
from dashboard.statistics import Method, paired_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion, ExpressionRow
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts
from tests.support.studies import DIASTOLIC, HEART, SYSTOLIC, add_session, heart, make_study
from tests.support.timeline import add, instant, mostly, reading

ANGER = (70.0, 82.5, 75.0, 91.0)
HAPPINESS = (69.0, 80.0, 76.5, 85.0)
NEUTRAL = (68.0, 79.0, 71.5, 84.0)
FOUR = {
    f"P-{number}": heart(anger=a, happiness=h, neutral=n)
    for number, (a, h, n) in enumerate(zip(ANGER, HAPPINESS, NEUTRAL, strict=True))
}


def analysed(path: Path, **asked: object) -> Analysis:
    return analyse(Reader(path), AnalysisQuery.model_validate(asked))


def test_the_family_is_nine_tests_in_a_fixed_order(tmp_path: Path) -> None:
    found = analysed(make_study(tmp_path, FOUR))
    names = [(test.kind, test.first, test.second) for test in found.family]
    assert names == [(kind, *pair) for kind in VITALS for pair in PAIRS]
    assert [test.comparison.tests is not None for test in found.family] == [True] * 3 + [False] * 6
    assert found.tests_computed == 3
    tests = found.family[0].comparison.tests
    assert tests is not None
    assert tests.t == paired_t(ANGER, NEUTRAL)


def test_a_thousand_readings_of_a_person_weigh_as_much_as_one(tmp_path: Path) -> None:
    many = dict(FOUR)
    many["P-0"] = {
        "anger": {HEART: [69.0, 71.0] * 100},
        "happiness": {HEART: [69.0]},
        "neutral": {HEART: [68.0]},
    }
    few = analysed(make_study(tmp_path / "few", FOUR))
    more = analysed(make_study(tmp_path / "many", many))
    assert more.readings == few.readings + 199
    assert [test.comparison for test in more.family] == [test.comparison for test in few.family]


def test_sessions_of_one_participant_are_one_mean(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    add_session(path, "P-0", heart(anger=72.0))
    found = analysed(path)
    own = next(m for m in found.means if m.participant == "P-0" and m.state is Emotion.ANGER)
    assert (own.mean, own.readings) == (71.0, 2)


def test_labels_name_a_state_in_any_case_and_others_are_listed(tmp_path: Path) -> None:
    people = {
        code: {
            " Anger ".strip().upper() if state == "anger" else state: vitals
            for state, vitals in states.items()
        }
        for code, states in FOUR.items()
    }
    path = make_study(tmp_path, people)
    add_session(path, "P-0", {"film 3": {HEART: [70.0, 71.0]}, "Baseline": {HEART: [66.0]}})
    found = analysed(path)
    assert found.other_states == {"Baseline": 1, "film 3": 2}
    assert found.readings == 12
    assert {mean.state for mean in found.means} == set(TESTED_STATES)


def test_pressure_is_tested_beside_heart_rate(tmp_path: Path) -> None:
    people = {
        code: {
            state: {
                HEART: [70.0 + n],
                SYSTOLIC: [120.0 + n * len(state)],
                DIASTOLIC: [80.0 + n * n * len(state)],
            }
            for state in ("anger", "happiness", "neutral")
        }
        for n, code in enumerate(("a", "b", "c"))
    }
    found = analysed(make_study(tmp_path, people))
    obstacles = [test.comparison.obstacle for test in found.family]
    assert obstacles[:3] == [Obstacle.NO_VARIATION] * 3
    assert {test.comparison.method for test in found.family} == {Method.PAIRED}
    summaries = {(s.kind, s.state): s.summary for s in found.summaries}
    summary = summaries[VitalKind.SYSTOLIC, Emotion.ANGER]
    assert summary is not None
    assert (summary.n, summary.mean) == (3, 125.0)


def test_while_nothing_is_measured_the_example_study_is_shown(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR, simulated=True)
    found = analysed(path)
    assert found.sample is Sample.EXAMPLE
    assert found.simulated_readings == found.readings == 12
    add_session(path, "real", heart(anger=75.0))
    assert analysed(path).sample is Sample.MEASURED
    assert analysed(path, sample="example").participants == found.participants


def test_without_an_example_the_measured_sessions_are_shown_though_there_are_none(
    tmp_path: Path,
) -> None:
    found = analysed(make_study(tmp_path, {}))
    assert (found.sample, found.sessions, found.means, found.tests_computed) == (
        Sample.MEASURED,
        (),
        (),
        0,
    )


def test_measured_sessions_leave_the_example_out(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    add_session(path, "SIM-1", heart(anger=120.0, neutral=60.0), simulated=True)
    found = analysed(path, sample="measured")
    assert (found.simulated_readings, len(found.participants), len(found.sessions)) == (0, 4, 4)


def test_only_selected_sessions_count(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    ids = [session.id for session in Reader(path).session_list()][:2]
    found = analysed(path, sample="selected", session=ids)
    assert sorted(session.id for session in found.sessions) == sorted(ids)
    assert len(found.participants) == 2
    assert analysed(path, sample="selected").sessions == ()


def test_a_session_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    with pytest.raises(StatisticsError, match=r"There is no session 99\. Sessions: 1, 2, 3, 4\."):
        analysed(path, sample="selected", session=[1, 99])


def test_flagged_readings_are_kept_and_counted_and_left_out_when_asked(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    add_session(path, "P-0", heart(anger=300.0), flags=[VitalFlag.OUT_OF_RANGE])
    add_session(path, "P-1", heart(anger=10.0), flags=[VitalFlag.CONTACT_LOST])
    add_session(path, "P-2", heart(anger=75.0), flags=[VitalFlag.MANUAL])
    kept = analysed(path)
    left_out = analysed(path, leave_out_flagged=True)
    assert (kept.flagged, left_out.flagged) == (2, 2)
    assert (kept.readings, left_out.readings) == (15, 13)
    assert left_out.family == analysed(make_study(tmp_path / "clean", FOUR)).family


def test_an_endless_reading_is_an_error_that_names_the_participant() -> None:
    bad = ReadingGroup("P-7", 3, "anger", HEART, frozenset(), False, 2, float("inf"), float("inf"))
    with pytest.raises(
        StatisticsError, match="Participant P-7 has a heart_rate reading of inf in session 3"
    ):
        means_of([bad])


def test_an_absurd_reading_is_an_error_that_names_the_participant(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-7": heart(anger=70.0)})
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET value = 1.7e308")
    with pytest.raises(
        StatisticsError, match="Participant P-7 has a heart_rate reading beyond 1e60"
    ):
        analysed(path)


def test_the_observed_emotion_takes_lag_window_and_share_from_the_question(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-0": {}})
    shown = [Emotion.ANGER] * 60 + [Emotion.NEUTRAL] * 60 + [Emotion.SADNESS] * 20
    rows = [
        ExpressionRow(instant(20 + second), 1, 10, mostly(e), mostly(e), e, 120.0, 0.8, True)
        for second, e in enumerate(shown)
    ]
    add(
        path,
        rows,
        [
            reading(75, 90.0),
            reading(87, 80.0),
            reading(130, 70.0),
            reading(160, 65.0),
            reading(900, 60.0),
        ],
    )
    found = analysed(path, state="observed", window=10, lag_heart_rate=5, share=0.8)
    assert [(m.state, m.mean) for m in found.means] == [
        (Emotion.NEUTRAL, 70.0),
        (Emotion.ANGER, 90.0),
    ]
    assert found.matching == MatchCounts(matched=3, unmatched=1, ambiguous=1)
    assert found.other_states == {"sadness": 1}
    sooner = analysed(path, state="observed", window=2, lag_heart_rate=0)
    assert [(m.state, m.mean) for m in sooner.means] == [
        (Emotion.NEUTRAL, 75.0),
        (Emotion.ANGER, 90.0),
    ]


def test_programs_get_the_same_numbers_unrounded(tmp_path: Path) -> None:
    found = analysed(make_study(tmp_path, FOUR))
    answer = response_of(found)
    tests = found.family[0].comparison.tests
    assert tests is not None
    first = answer.comparisons[0]
    assert (first.t, first.df, first.p, first.holm_p) == (
        tests.t.t,
        tests.t.df,
        tests.t.p,
        tests.holm_p,
    )
    assert first.g_interval is not None
    assert (first.g, first.g_interval.low) == (tests.effect.g, tests.effect.interval.low)
    assert (first.unit, first.method, first.n_first, first.n_second) == ("/min", "paired", 4, 4)
    assert [shapiro.of for shapiro in first.shapiro] == ["differences"]
    assert answer.comparisons[-1].obstacle == "too_few"
    assert (answer.comparisons[-1].t, answer.comparisons[-1].n_first) == (None, 0)
    assert answer.question.state is StateBy.CONDITION
    assert len(answer.means) == 12
    assert [state.n for state in answer.states] == [4, 4, 4, 0, 0, 0, 0, 0, 0]


def test_programs_get_both_groups_of_welchs_test(tmp_path: Path) -> None:
    people = {f"A-{n}": heart(anger=value) for n, value in enumerate(ANGER)}
    people |= {f"N-{n}": heart(neutral=value) for n, value in enumerate(NEUTRAL[:3])}
    answer = response_of(analysed(make_study(tmp_path, people)))
    first = answer.comparisons[0]
    assert (first.method, first.n_first, first.n_second, first.left_out) == ("welch", 4, 3, 0)
    assert [shapiro.of for shapiro in first.shapiro] == ["anger", "neutral"]
    assert first.rank is not None
    assert (first.rank.name, first.rank.exact) == ("mann_whitney", True)
    assert answer.tests_computed == 1
