"""From a real database to the family of nine tests."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import mean

import pytest

from dashboard.analysis.query import PAIRS, TESTED_STATES, VITALS, Sample
from dashboard.analysis.readings.means import session_means
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import MatchModel
from dashboard.statistics.t_tests import paired_t
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.read.reader import Reader
from tests.support.analyses import analysed
from tests.support.studies import HEART, add_session, add_stimuli, heart, make_study
from tests.support.timeline import reading, row, timeline

ANGER = (70.0, 82.5, 75.0, 91.0)
HAPPINESS = (69.0, 80.0, 76.5, 85.0)
NEUTRAL = (68.0, 79.0, 71.5, 84.0)
FOUR = {
    f"P-{number}": heart(anger=a, happiness=h, neutral=n)
    for number, (a, h, n) in enumerate(zip(ANGER, HAPPINESS, NEUTRAL, strict=True))
}


def test_the_family_is_nine_tests_in_a_fixed_order(tmp_path: Path) -> None:
    found = analysed(make_study(tmp_path, FOUR))
    names = [(test.vital, test.first, test.second) for test in found.answer.comparisons]
    assert names == [(kind, *pair) for kind in VITALS for pair in PAIRS]
    assert [test.t is not None for test in found.answer.comparisons] == [True] * 3 + [False] * 6
    assert found.answer.tests_computed == 3
    test = found.answer.comparisons[0]
    expected = paired_t(ANGER, NEUTRAL)
    assert (test.difference, test.t, test.df, test.p) == (
        expected.difference,
        expected.t,
        expected.df,
        expected.p,
    )
    # NumPy: mean and std(ddof=1) of both
    assert (test.mean_first, test.sd_first) == pytest.approx((79.625, 9.159467))
    assert (test.mean_second, test.sd_second) == pytest.approx((75.625, 7.226975))


def test_a_thousand_readings_of_a_person_weigh_as_much_as_one(tmp_path: Path) -> None:
    many = dict(FOUR)
    many["P-0"] = {
        "anger": {HEART: [69.0, 71.0] * 100},
        "happiness": {HEART: [69.0] * 200},
        "neutral": {HEART: [68.0] * 200},
    }
    few = analysed(make_study(tmp_path / "few", FOUR))
    more = analysed(make_study(tmp_path / "many", many))
    assert more.answer.readings == few.answer.readings + 3 * 199
    assert more.answer.comparisons == few.answer.comparisons


def test_a_session_with_one_state_only_says_nothing_about_differences(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    alone = analysed(path)
    add_session(path, "P-0", heart(anger=172.0))
    found = analysed(path)
    own = next(m for m in found.means if m.participant == "P-0" and m.state is Emotion.ANGER)
    assert (own.mean, own.readings, own.sessions) == (70.0, 1, 1)
    for test, before in zip(found.answer.comparisons, alone.answer.comparisons, strict=True):
        assert (test.difference, test.p, test.n_both) == (
            before.difference,
            before.p,
            before.n_both,
        )


def test_sessions_of_different_level_and_time_show_no_difference(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    for number in range(10):
        calm = 60.0 + number
        excited = 75.0 + number + number % 3
        for level, times in ((calm, (30, 10)), (excited, (10, 30))):
            states = zip(("neutral", "anger"), times, strict=True)
            add_session(path, f"P-{number}", {s: {HEART: [level] * n} for s, n in states})
    comparison = analysed(path).answer.comparisons[0]
    assert (comparison.n_both, comparison.difference) == (10, 0.0)
    assert comparison.obstacle == "no_variation"


def test_a_difference_is_the_average_of_those_within_sessions(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    add_session(path, "P-0", {"anger": {HEART: [100.0] * 50}, "neutral": {HEART: [92.0]}})
    found = analysed(path)
    assert found.answer.comparisons[0].difference == (5 + 3.5 + 3.5 + 7) / 4
    shown = {m.state: (m.mean, m.sessions) for m in found.means if m.participant == "P-0"}
    assert shown[Emotion.ANGER] == (85.0, 2)
    assert shown[Emotion.NEUTRAL] == (80.0, 2)
    assert shown[Emotion.HAPPINESS] == (69.0, 1)
    assert found.answer.all_states[0].n == 4


def test_who_had_the_states_in_different_sessions_is_in_no_test_and_named(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    for number in range(4):
        for state in ("anger", "neutral"):
            add_session(path, f"P-{number}", heart(**{state: 70.0 + number}))
    answer = response_of(analysed(path)).comparisons[0]
    assert (answer.n_both, answer.n_first_only, answer.n_apart, answer.method) == (0, 0, 4, None)
    assert "there are 0. 4 people had them in different sessions only." in answer.sentence


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
    assert found.answer.other_states == {"Baseline": 1, "film 3": 2}
    assert found.answer.readings == 12
    assert {mean.state for mean in found.means} == set(TESTED_STATES)


def test_while_nothing_is_measured_the_example_study_is_shown(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR, simulated=True)
    found = analysed(path)
    assert found.answer.sample is Sample.EXAMPLE
    assert found.answer.simulated_readings == found.answer.readings == 12
    add_session(path, "real", heart(anger=75.0))
    measured = analysed(path)
    assert (measured.answer.sample, measured.answer.simulated_readings) == (Sample.MEASURED, 0)
    assert measured.participants == ("real",)
    assert analysed(path, sample="example").participants == found.participants


def test_only_selected_sessions_count(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    ids = [session.id for session in Reader(path).session_list()][:2]
    found = analysed(path, sample="selected", session=ids)
    assert sorted(session.id for session in found.sessions) == sorted(ids)
    assert len(found.participants) == 2
    assert analysed(path, sample="selected").sessions == ()
    with pytest.raises(StatisticsError, match=r"There is no session 99\. Sessions: 1, 2, 3, 4\."):
        analysed(path, sample="selected", session=[1, 99])


def test_analysis_flagged_readings_count_only_where_flag_is_asked_for(tmp_path: Path) -> None:
    path = make_study(tmp_path, FOUR)
    for code, value, flag in (
        ("P-0", 300.0, VitalFlag.OUT_OF_RANGE),
        ("P-1", 10.0, VitalFlag.CONTACT_LOST),
        ("P-2", 75.0, VitalFlag.MANUAL),
        ("P-3", 99.0, VitalFlag.POOR_SIGNAL),
    ):
        both = heart(anger=value, neutral=70.0)
        add_session(path, code, both, flags=[flag])
    usual = analysed(path)
    assert (usual.answer.readings, usual.answer.flagged, usual.answer.flagged_left_out) == (
        14,
        6,
        6,
    )
    assert [(one.flag.value, str(one.state), one.readings) for one in usual.answer.left_out] == [
        (flag, state, 1)
        for flag in ("out_of_range", "contact_lost", "poor_signal")
        for state in ("neutral", "anger")
    ]
    assert analysed(path, leave_out_flagged=True).answer.comparisons == usual.answer.comparisons
    some = analysed(path, count_flagged=["contact_lost", "poor_signal"])
    assert (some.answer.readings, some.answer.flagged, some.answer.flagged_left_out) == (18, 6, 2)
    every = analysed(path, count_flagged=["contact_lost", "out_of_range", "poor_signal"])
    with_all = usual.answer.comparisons[0].with_all
    test = every.answer.comparisons[0]
    assert with_all is not None and test.p is not None
    assert (with_all.p, with_all.adjusted_p) == (test.result.p, test.result.adjusted_p)
    assert every.answer.comparisons[0].with_all is None


def test_doubled_heart_rates_are_reported_by_state(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    without: list[float] = []
    with_all: list[float] = []
    for number in range(6):
        calm = [60.0 + number, 61.0 + number, 62.0 + number] * 20
        wrong = (20, 41)[: 1 + number % 2]
        anger = [2 * rate if second in wrong else rate for second, rate in enumerate(calm)]
        add_stimuli(path, f"P-{number}", {"neutral": calm, "anger": anger})
        sound = [rate for second, rate in enumerate(calm) if second not in wrong]
        without.append(mean(sound) - mean(calm))
        with_all.append(mean(anger) - mean(calm))
    usual = analysed(path, vital=["heart_rate"], settling_heart_rate=0)
    assert (usual.answer.readings, usual.answer.flagged, usual.answer.flagged_left_out) == (
        720 - 9,
        9,
        9,
    )
    told = [(one.flag.value, str(one.state), one.readings) for one in usual.answer.left_out]
    assert told == [("artefact", "anger", 9)]
    asked = {"count_flagged": ["artefact"]}
    every = analysed(path, vital=["heart_rate"], settling_heart_rate=0, **asked)
    for found, differences in ((usual, without), (every, with_all)):
        assert found.answer.comparisons[0].difference == pytest.approx(mean(differences))


def test_lost_contact_in_one_state_no_longer_makes_a_difference(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    for number in range(10):
        level = 60.0 + number
        add_session(
            path,
            f"P-{number}",
            {
                state: {HEART: [level + (number * len(state)) % 3 + beat % 5 for beat in range(38)]}
                for state in ("neutral", "anger")
            },
        )
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE vital SET value = 0, flags = 'contact_lost out_of_range' WHERE at / 1000 % 19 "
            "= 0 AND EXISTS (SELECT 1 FROM condition WHERE label = 'anger' AND at >= started AND "
            "at < ended)"
        )
    usual = analysed(path, vital=["heart_rate"])
    test = usual.answer.comparisons[0]
    with_all = test.with_all
    assert usual.answer.flagged_left_out == 20
    assert test.holm_p is not None and with_all is not None
    assert test.holm_p > 0.05
    assert with_all.adjusted_p is not None and with_all.adjusted_p < 0.001
    assert with_all.changes
    assert (
        "20 readings in doubt are left out of all means and tests (contact lost, out of range). "
        "If every reading counted, 1 test of 3 would reach another conclusion; see below."
    ) in response_of(usual).cautions


def test_an_absurd_reading_is_an_error_that_names_the_participant(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-7": heart(anger=70.0)})
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET value = 1.7e308")
    with pytest.raises(
        StatisticsError, match="Participant P-7 has a heart_rate reading beyond 1e60"
    ):
        analysed(path)
    endless = ReadingGroup("P-7", 3, "anger", HEART, frozenset(), False, 2, math.inf, math.inf)
    with pytest.raises(
        StatisticsError, match="Participant P-7 has a heart_rate reading of inf in session 3"
    ):
        session_means([endless])


def test_analysis_by_face_uses_lag_window_and_share_of_the_question(tmp_path: Path) -> None:
    path = make_study(tmp_path, {"P-0": {}})
    shown = [Emotion.ANGER] * 60 + [Emotion.NEUTRAL] * 60 + [Emotion.SADNESS] * 20
    rows = [row(second, emotion) for second, emotion in enumerate(shown, start=20)]
    values = {75: 90.0, 87: 80.0, 130: 70.0, 160: 65.0, 900: 60.0}
    timeline(path, expression=rows, vital=[reading(at, value) for at, value in values.items()])
    found = analysed(path, state="observed", window=10, lag_heart_rate=5, share=0.8)
    assert [(m.state, m.mean) for m in found.means] == [
        (Emotion.NEUTRAL, 70.0),
        (Emotion.ANGER, 90.0),
    ]
    assert found.answer.matching == MatchModel(matched=3, unmatched=1, ambiguous=1)
    assert found.answer.other_states == {"sadness": 1}
    sooner = analysed(path, state="observed", window=2, lag_heart_rate=0)
    assert [(m.state, m.mean) for m in sooner.means] == [
        (Emotion.NEUTRAL, 75.0),
        (Emotion.ANGER, 90.0),
    ]
