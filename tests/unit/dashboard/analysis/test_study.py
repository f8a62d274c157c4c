"""The study as a whole: mixed model or t-tests, evidence, sentences for a report, the flow."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.preregistration import PreregistrationDocument, preregister
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.rendering.tables import flow_csv, groups_of
from dashboard.languages.current import speaking
from dashboard.questions.comparison.computing import answer
from dashboard.questions.entry import Inquiry
from dashboard.statistics.t_tests import bayes_factor_independent
from edge_agent.core.readings import VitalFlag
from edge_agent.timeline.read.reader import Reader
from tests.support.analyses import answered
from tests.support.script_studies import groups, sessions
from tests.support.studies import HEART, SYSTOLIC, add_session, heart, make_study

STATES = ("anger", "happiness", "neutral")


def add_person(
    path: Path, code: str, rng: random.Random, rise: float = 0.0, lacking: str = ""
) -> None:
    """A session with the states in random order, whose anger lies higher by ``rise``."""
    level = rng.gauss(70, 7)
    order = [state for state in rng.sample(STATES, 3) if state != lacking]
    values = {
        state: level + rng.gauss(0, 2) + (rise if state == "anger" else 0.0) for state in order
    }
    add_session(path, code, heart(**values))


def whole_study(folder: Path, people: int = 8) -> Path:
    """Everybody has one session with all states."""
    path = make_study(folder, {})
    rng = random.Random(2)
    for number in range(people):
        add_person(path, f"P-{number}", rng)
    return path


def test_one_session_with_all_states_leaves_the_t_tests_the_main_analysis(tmp_path: Path) -> None:
    found = answered(whole_study(tmp_path))
    assert found.main == "t_tests"
    assert found.main_reason == (
        "Main analysis: the t-tests, because everybody has one session with all states. The mixed "
        "model is shown beside them."
    )
    assert all(test.by_model is not None for test in found.comparisons)
    assert found.models[0].reaction_variance is None


def test_a_second_session_makes_the_mixed_model_the_main_analysis(tmp_path: Path) -> None:
    path = whole_study(tmp_path)
    rng = random.Random(3)
    for number in range(4):
        add_person(path, f"P-{number}", rng)
    found = answered(path)
    assert found.main == "mixed_model"
    assert "because 4 people have several sessions." in found.main_reason
    [model] = found.models
    assert (model.participants, model.sessions, model.means) == (8, 12, 36)
    assert model.reaction_variance is not None
    assert answered(path, design="paired").main == "t_tests"


def test_means_of_few_readings_in_one_state_leave_t_tests_main_analysis(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    rng = random.Random(6)
    for number in range(12):
        for state, n in (("neutral", 40), ("anger", 4)):
            states = {one: {HEART: [rng.gauss(70, 5)] * n} for one in (state, "happiness")}
            add_session(path, f"P-{number % 6}", states)
        add_person(path, f"P-{number % 6}", rng)
    found = answered(path)
    assert found.main == "t_tests"
    assert found.main_reason.startswith(
        "Main analysis: the t-tests, because the mixed model treats means of few and of many "
        "readings as equally precise."
    )


def test_a_missing_state_makes_the_mixed_model_use_who_t_test_leaves_out(tmp_path: Path) -> None:
    path = whole_study(tmp_path)
    rng = random.Random(4)
    for number in range(6):
        add_person(path, f"Q-{number}", rng, lacking="anger")
    found = answered(path)
    assert found.main == "mixed_model"
    assert "6 sessions lack a state" in found.main_reason
    assert found.comparisons[0].n_first == 8
    assert found.models[0].participants == 14
    row = groups_of(found)[0].rows[0]
    assert row.main_n == "14"
    test = found.comparisons[0]
    assert (test.result.by, test.result.sessions) == ("mixed_model", 14)
    # The t-test's g divides its own difference by the same standard deviation.
    assert test.g is not None and test.difference is not None
    assert test.result.g is not None and test.result.difference is not None
    assert test.result.g / test.result.difference == pytest.approx(test.g / test.difference)


def test_where_the_two_conclude_otherwise_the_sentence_says_why(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    rng = random.Random(5)
    for number in range(6):
        add_person(path, f"P-{number}", rng, rise=3.0)
    for number in range(30):
        add_person(path, f"Q-{number}", rng, rise=3.0, lacking=rng.choice(("anger", "neutral")))
    found = answered(path)
    test = found.comparisons[0]
    assert test.by_model is not None
    assert test.by_model.differs
    assert "The estimate at equal times reaches another conclusion (d" in test.by_model.sentence
    assert "uses 30 people whom the t-test leaves out" in test.by_model.sentence


def test_groups_leave_the_t_tests_alone_and_the_reason_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    groups(path)
    found = answered(path)
    assert found.main == "t_tests"
    assert found.models[0].sentence == (
        "Heart rate: no mixed model. It needs at least 3 people with two states in one session."
    )
    with speaking("de"):
        reason = answered(path).models[0].reason
    assert reason == "es braucht mindestens 3 Personen mit zwei Zuständen in einer Sitzung"
    assert [test.by_model for test in found.comparisons] == [None] * 3


USUAL = ("heart_rate", "systolic", "diastolic")


def test_vital_without_a_reading_is_one_sentence_and_counts_nowhere(tmp_path: Path) -> None:
    path = whole_study(tmp_path)
    found = answered(path, vital=USUAL)
    assert found.not_measured == ("systolic", "diastolic")
    assert found.not_measured_sentence == (
        "Not measured in these sessions, so there is no test: systolic pressure and diastolic "
        "pressure."
    )
    assert [len(one.rows) for one in groups_of(found.for_people())] == [3]
    # The family stays whole for programs, and what was not measured corrects nothing.
    alone = answered(path)
    assert (len(found.comparisons), found.tests_computed) == (9, 3)
    assert [one.holm_p for one in found.comparisons[:3]] == [
        one.holm_p for one in alone.comparisons
    ]
    assert (alone.not_measured, alone.not_measured_sentence) == ((), "")


def test_one_reading_in_doubt_keeps_the_lines_of_its_vital(tmp_path: Path) -> None:
    path = whole_study(tmp_path)
    add_session(path, "P-9", {"anger": {SYSTOLIC: [120.0]}}, flags=[VitalFlag.OUT_OF_RANGE])
    found = answered(path, vital=USUAL)
    assert found.not_measured == ("diastolic",)
    assert [len(one.rows) for one in groups_of(found.for_people())] == [3, 3]


def test_study_without_any_reading_names_none_as_not_measured(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    assert answered(path, vital=USUAL).not_measured == ()


def test_test_of_a_declared_family_keeps_its_line_without_readings(tmp_path: Path) -> None:
    found = answered(whole_study(tmp_path), vital=USUAL, family=("heart_rate, systolic",))
    assert found.not_measured == ("diastolic",)
    assert [len(one.rows) for one in groups_of(found.for_people())] == [3, 3]


def test_preregistered_test_keeps_its_line_without_readings(tmp_path: Path) -> None:
    path = whole_study(tmp_path)
    decided = {"people": 8, "stopping": "then", "question": {"vital": ("heart_rate", "systolic")}}
    preregister(path, PreregistrationDocument.model_validate(decided), "me")
    found = answer(Inquiry((("", path),), AnalysisQuery(vital=USUAL)))
    assert found.not_measured == ("diastolic",)
    assert [len(one.rows) for one in groups_of(found.for_people())] == [3, 3]
    assert "diastolic pressure" in found.not_measured_sentence


def test_evidence_of_groups_is_that_of_students_t(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    low = [70.0, 72.0, 75.0, 71.0]
    high = [80.0, 77.0, 79.0]
    path = make_study(
        tmp_path,
        {
            **{f"A-{place}": heart(anger=value) for place, value in enumerate(high)},
            **{f"N-{place}": heart(neutral=value) for place, value in enumerate(low)},
        },
    )
    factor = answered(path).comparisons[0].bayes_factor
    # R: t.test(c(80, 77, 79), c(70, 72, 75, 71), var.equal = TRUE)$statistic is 4.51753951453
    assert factor is not None
    expected = bayes_factor_independent(4.51753951453, 3, 4).log_factor
    assert factor.log_for_difference == pytest.approx(expected, abs=1e-9)


def test_no_difference_gets_its_evidence_in_words(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    for number in range(30):
        even = 70.0 + number + (1 if number % 2 else -1)
        states = heart(anger=even, happiness=70.5, neutral=70.0 + number)
        if number // 2 % 2:
            states = {state: states[state] for state in reversed(list(states))}
        add_session(path, f"P-{number:02d}", states)
    factor = answered(path).comparisons[0].bayes_factor
    assert factor is not None
    assert factor.for_none == pytest.approx(5.1, abs=0.1)
    assert factor.sentence.endswith("moderate evidence for no difference.")
    assert "scale r = 0.707" in factor.sentence


def test_each_test_has_a_sentence_for_a_report(tmp_path: Path) -> None:
    values = {"anger": (70.0, 82.5, 75.0, 91.0), "neutral": (68.0, 79.0, 71.5, 84.0)}
    path = make_study(
        tmp_path,
        {
            f"P-{place}": heart(anger=a, neutral=n)
            for place, (a, n) in enumerate(zip(*values.values(), strict=True))
        },
    )
    [test, *others] = answered(path).comparisons
    assert test.apa == (
        "A paired-samples t test showed that heart rate was higher in anger (M = 79.62, SD = 9.16) "
        "than in neutral (M = 75.62, SD = 7.23), mean difference 4.00 /min, 95% CI [0.62, 7.38], "
        "t(3) = 3.77, p = .033, Holm-adjusted p = .033, Hedges’ g = 0.35, 95% CI [0.03, 0.92], "
        "BF10 = 3.18 (JZS, r = 0.707), N = 4, but the order may explain it: 4 of 4 people had "
        "anger before neutral."
    )
    assert [other.apa for other in others] == ["", ""]


def test_the_flow_loses_nothing_silently(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    sessions(path)
    found = analyse(Reader(path), AnalysisQuery())
    assert found.answer.flow is not None
    before = None
    for stage in found.answer.flow.stages:
        whole = [one for one in stage.lost if not one.state]
        if stage.step == "usable":
            whole = [one for one in whole if not one.detail]  # a reading may have two flags
        if before is not None:
            assert before.people - sum(one.people for one in whole) == stage.people
        if before is not None and before.readings is not None:
            lost = sum(one.readings or 0 for one in whole)
            assert before.readings - lost == stage.readings
        before = stage
    assert before is not None
    assert found.answer.flow.stages[-2].readings == found.answer.readings


def test_the_flow_names_who_was_lost_and_why(tmp_path: Path) -> None:
    path = whole_study(tmp_path, people=4)
    add_session(path, "Q-1", heart(neutral=70.0))
    add_session(path, "Q-2", {"anger": {HEART: [0.0, 0.0]}}, flags=[VitalFlag.CONTACT_LOST])
    add_session(path, "Q-3", heart(disgust=70.0))
    add_session(path, "Q-4", {"anger": {}})
    flow = answered(path).flow
    assert flow is not None
    assert [stage.people for stage in flow.stages] == [8, 8, 7, 6, 5, 4]
    assert [loss.sentence for stage in flow.stages for loss in stage.lost if not loss.state] == [
        "1 person: no reading in any session",
        "1 person and 2 readings: in doubt",
        "2 readings: without sensor contact (2 in anger)",
        "1 person and 1 reading: outside the compared states",
        "1 person and 1 reading: no second state in the same session to compare with",
    ]
    assert flow.missing[0].sentence == (
        "Heart rate: 1 person has no reading that counts in happiness (Q-1)"
    )
    rows = list(csv.DictReader(io.StringIO(flow_csv(flow))))
    assert [row["people"] for row in rows if row["step"] == "tested"] == ["4"]
    reasons = {row["reason"] for row in rows if row["step"] == "test"}
    assert reasons == {"used", "lacks_first"}
