"""What time in the session and misread faces do to a difference, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.choices import matchings_of
from dashboard.analysis.conclusions import Caution, Doubt
from dashboard.analysis.decision import NO_RESULT
from dashboard.analysis.inference.checks import (
    ClassifierByCard,
    bounds_of,
    doubt_of,
    effect_of,
    hides,
    misreading_of,
    reaches,
    too_short,
)
from dashboard.analysis.inference.comparison import compare
from dashboard.analysis.inference.family import in_family
from dashboard.analysis.query import AnalysisQuery, Correction, StateBy
from dashboard.analysis.readings.means import Place, at_equal_times, less_baseline, session_means
from dashboard.analysis.readings.states import find_observed
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.charts import effects_chart
from dashboard.analysis.rendering.tables import groups_of
from dashboard.analysis.results import By
from dashboard.statistics.period import Recall
from dashboard.statistics.t_tests import EquivalenceBounds, Method, equivalence
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.timeline.read.matching import FaceLabels, Matching, mixture
from edge_agent.timeline.read.observed import match
from edge_agent.timeline.read.reader import Reader
from tests.support.analyses import analysed
from tests.support.script_studies import turns
from tests.support.studies import HEART, States, make_study

NOISE = (0.6, -0.9, 0.3, 1.1, -0.5, -0.8, 0.7, -0.2, 0.9, -0.6)


def studied(folder: Path, reversed_people: int, fall: float, effect: float = 0.0) -> Analysis:
    """Ten people meet anger and neutral, five minutes apart; anger first for the reversed ones."""
    people: dict[str, States] = {}
    for place, noise in enumerate(NOISE):
        level = 70.0 + place
        order = ("neutral", "anger") if place >= reversed_people else ("anger", "neutral")
        added = [effect * (state == "anger") for state in order]
        people[f"P-{place}"] = {
            order[0]: {HEART: [level + noise + added[0]]},
            order[1]: {HEART: [level - fall - NOISE[place - 3] + added[1]]},
        }
    return analysed(make_study(folder, people), vital=("heart_rate",))


def test_one_order_for_all_is_no_effect_of_the_state(tmp_path: Path) -> None:
    found = studied(tmp_path, 0, fall=8.0)
    [period] = response_of(found).periods
    assert "everybody had anger after neutral, 5.0 min apart on average" in period.sentence
    assert "must not be called an effect of the state" in period.sentence
    assert period.difference is None
    [drift] = response_of(found).drifts
    assert (drift.slope, drift.interval, drift.p, drift.people) == (None, None, None, 0)
    assert drift.reason == "all participants went through the states at nearly the same times"
    assert (
        response_of(found)
        .comparisons[0]
        .sentence.endswith(
            "), but the order may explain it: 10 of 10 people had anger after neutral."
        )
    )
    evidence = response_of(found).comparisons[0].bayes_factor
    assert evidence is not None
    assert "extreme evidence for a difference, but the order may explain it" in evidence.sentence
    balanced = studied(tmp_path / "balanced", 5, fall=0.5)
    assert balanced.answer.comparisons[0].result.caution_codes == ()
    assert balanced.answer.comparisons[0].bayes_factor is not None
    assert balanced.answer.comparisons[0].bayes_factor.caution_codes == ()


def test_another_conclusion_at_equal_times_stands_in_the_sentence(tmp_path: Path) -> None:
    # Five of ten each way round: the drift is noise of the t-test, and none at equal times.
    test = response_of(studied(tmp_path, 5, fall=8.0, effect=2.0)).comparisons[0]
    assert (test.result.by, test.result.conclusion) == ("paired_t", "not_shown")
    assert test.result.caution_codes == (Caution.DISAGREES,)
    assert "At equal times in the session it is 2." in test.sentence


def test_one_of_ten_the_other_way_round_show_where_difference_comes_from(tmp_path: Path) -> None:
    found = studied(tmp_path, 1, fall=8.0)
    [period] = found.answer.periods
    assert period.difference is not None
    assert abs(period.difference) < 1
    assert (period.gap_minutes, period.people, period.same_way) == (4.0, 10, 9)
    assert found.answer.drifts[0].slope is not None
    assert -1.9 < found.answer.drifts[0].slope < -1.3
    assert found.answer.comparisons[0].result.caution_codes == (), (
        "nothing is left for time to explain"
    )
    assert [(one.by, one.conclusion) for one in found.answer.comparisons[0].others] == [
        ("paired_t", "lower"),
        ("mixed_model", "not_shown"),
    ]
    evidence = response_of(found).comparisons[0].bayes_factor
    assert evidence is not None
    assert evidence.caution_codes == (Caution.ORDER,), "the factor ignores time"
    assert evidence.sentence.endswith(
        "the order may explain it: 9 of 10 people had anger after neutral."
    )
    [model] = response_of(found).periods
    assert "The two disagree" in model.sentence
    assert model.disagrees
    assert model.difference == period.difference


def test_the_headline_of_an_uneven_order_is_the_estimate_at_equal_times(tmp_path: Path) -> None:
    found = response_of(studied(tmp_path, 3, fall=2.0, effect=5.0))
    # R 4.2.2: summary and confint of lm(difference ~ minutes between the two), the intercept
    [period] = found.periods
    assert period.interval_90 is not None and period.error is not None
    # t(0.95; 8) = 1.859548 of the tables
    width = period.interval_90.high - period.interval_90.low
    assert width == pytest.approx(2 * 1.859548 * period.error, rel=1e-6)
    assert found.comparisons[0].sentence == (
        "Heart rate was 4.9 /min higher in anger than in neutral at equal times in the session "
        "(95 % CI 4.1 to 5.8; 10 people, t(8) = 13.55, Holm p < 0.001). As measured, ignoring "
        "time: 4.1 /min, Holm p < 0.001."
    )


THREE = ("neutral", "happiness", "anger")
REVERSED = THREE[::-1]
OTHERS = [("happiness", "anger", "neutral"), ("anger", "neutral", "happiness")]


def fallen(folder: Path, orders: Sequence[Sequence[str]]) -> Analysis:
    """Hearts fall by 12 from the first to the second state of a session, then by 1: no state does
    anything.
    """
    people: dict[str, States] = {
        f"P-{number:02d}": {
            state: {HEART: [70.0 + number + fall + 0.4 * NOISE[(3 * number + place) % 10]]}
            for place, (state, fall) in enumerate(zip(order, (0.0, -12.0, -13.0), strict=True))
        }
        for number, order in enumerate(orders)
    }
    return analysed(make_study(folder, people), vital=("heart_rate",))


def test_fall_that_is_no_line_is_reported_at_equal_places(tmp_path: Path) -> None:
    found = fallen(tmp_path, [THREE] * 11 + OTHERS * 2 + [REVERSED])
    for test, period in zip(found.answer.comparisons, found.answer.periods, strict=True):
        assert (period.uneven, period.places, period.slope) == (True, 3, None)
        assert (test.result.by, test.result.conclusion) == ("equal_times", "not_shown")
        # what the order makes is what the t-test has more
        assert period.by_time is not None and test.difference is not None
        assert period.by_time == pytest.approx(test.difference - (period.difference or 0.0))
    told = [one.conclusion for one in found.answer.comparisons[1].others]
    assert told == ["lower", "not_shown"], "the t-test calls the fall a difference"
    answer = response_of(found)
    assert "the places in the order made −6.76 /min" in answer.periods[1].sentence
    assert "regressed on the places of the two states in the order" in answer.comparisons[0].apa


def test_orders_that_do_not_separate_state_and_place_are_a_caution(tmp_path: Path) -> None:
    found = response_of(fallen(tmp_path, [THREE, REVERSED] * 9))
    separate, middle, _ = found.comparisons
    # anger and neutral swap places
    assert (separate.result.by, separate.result.conclusion) == ("paired_t", "not_shown")
    assert separate.result.caution_codes == ()
    assert (middle.first, middle.second) == ("happiness", "neutral")
    assert middle.result.caution_codes == (Caution.ORDER,)
    assert "the orders cannot separate these states from their places." in middle.sentence
    assert found.periods[1].inseparable
    [model] = found.models
    assert (model.places, model.minute, model.inseparable) == (0, None, True)
    assert "because the orders cannot separate the states from their places" in model.sentence
    effect = found.periods[1]
    assert hides(effect, 5.0) is Doubt.INSEPARABLE


def test_mixed_model_has_the_place_in_the_order_in_it(tmp_path: Path) -> None:
    found = fallen(tmp_path, [THREE] * 11 + OTHERS * 2 + [REVERSED])
    assert found.answer.models[0].places == 3
    [model] = response_of(found).models
    assert "The place of a state in the order, one of 3, is in the model." in model.sentence
    for test in found.answer.comparisons:
        assert test.model_result is not None
        assert (test.model_result.at_equal_times, test.model_result.conclusion) == (
            True,
            "not_shown",
        )


def test_drift_over_the_session_alone_is_no_main_difference(tmp_path: Path) -> None:
    analysis = studied(tmp_path, 2, fall=8.0)
    [row] = groups_of(response_of(analysis))[0].rows[:1]
    assert (row.main_difference, row.main_interval, row.main_is_shown) == (
        "0.1",
        "\N{MINUS SIGN}0.9 to 1.0",
        False,
    )
    assert row.main_sentence.startswith("Heart rate did not differ significantly between anger and")
    # 0.1 /min over √((s₁² + s₂²) / 2) / J of the two columns, by hand
    assert (row.g, row.main_g) == ("\N{MINUS SIGN}0.98", "0.01")
    chart = effects_chart(analysis)
    assert chart and "that the results tell" in chart.sentence
    assert chart.rows[0][1] == "0.01"


def hidden(folder: Path, reversed_people: int) -> Analysis:
    """Anger adds 5 /min, which the five minutes before it have taken away from most people."""
    people: dict[str, States] = {}
    for place, noise in enumerate(NOISE):
        neutral = {HEART: [70.0 + place + noise]}
        if place < reversed_people:
            anger = {HEART: [80.0 + place]}
            people[f"P-{place}"] = {"anger": anger, "neutral": neutral}
        else:
            anger = {HEART: [70.0 + place]}
            people[f"P-{place}"] = {"neutral": neutral, "anger": anger}
    return analysed(make_study(folder, people), vital=("heart_rate",))


@pytest.mark.parametrize(
    ("reversed_people", "why"), [(0, Doubt.ONE_ORDER), (1, Doubt.REACHES_BOUND)]
)
def test_difference_that_time_may_hide_is_not_called_excluded(
    tmp_path: Path, reversed_people: int, why: Doubt
) -> None:
    test = hidden(tmp_path, reversed_people).answer.comparisons[0]
    assert test.equivalence_adjusted_p is not None
    assert test.equivalence_adjusted_p < 0.05, "the t-test alone would exclude it"
    assert not test.equivalent
    assert test.doubt == why


@pytest.mark.parametrize(
    ("by", "error", "why"),
    [
        (By.PAIRED, 0.9, None),
        (By.EQUAL_TIMES, 0.9, Doubt.RESULT_REACHES_BOUND),
        (By.MIXED_MODEL, 0.9, Doubt.RESULT_REACHES_BOUND),
        (By.MIXED_MODEL, 0.5, None),
    ],
)
def test_nothing_is_called_excluded_that_the_reported_result_reaches(
    by: By, error: float, why: Doubt | None
) -> None:
    update = {"by": by, "difference": -3.9, "error": error, "df": 20.0}
    assert reaches(NO_RESULT.model_copy(update=update), 5.0) is why


def test_a_drift_that_order_balances_hides_nothing(tmp_path: Path) -> None:
    [period] = studied(tmp_path, 5, fall=3.0).answer.periods
    assert period.difference is not None
    assert hides(period, 5.0) is None
    later = period.model_copy(update={"by_time": -3.0})
    assert hides(later, 5.0) is None, "narrow enough at equal times"
    assert hides(later, 0.5)
    alone = period.model_copy(update={"by_time": None, "interval_90": None, "by_drift": 2.0})
    assert hides(alone, 5.0) is Doubt.NO_ESTIMATE
    assert hides(alone.model_copy(update={"by_drift": 1.0}), 5.0) is None
    assert hides(None, 5.0) is None


OBSERVED = AnalysisQuery(state=StateBy.OBSERVED)
HEART_OBSERVED = AnalysisQuery(state=StateBy.OBSERVED, vital=(HEART,), sensitivity=False)
TURNS = (3, 4, 5, 6, 7, 8, 9)
"""The sessions of the study in which the states take turns."""


@pytest.fixture(scope="module")
def taking_turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("turns") / "affect-edge.db"
    turns(path)
    return path


def by_single_readings(path: Path) -> dict[int, dict[str, float]]:
    """Return of each session the least-squares values of its states at its mean time."""
    reader = Reader(path)
    sessions = {one.id: one for one in reader.session_list() if one.id in TURNS}
    by = Matching(OBSERVED.window, {HEART: OBSERVED.lag_s(HEART)}, OBSERVED.share)
    readings = reader.session_readings(TURNS, (HEART,))
    matched, _ = match(readings, reader.face_labels(sessions.values()), by)
    means = {}
    for number, session in sessions.items():
        own = [one for one in matched if one.session == number]
        states = sorted({one.state for one in own})
        minutes = np.array([(one.at_ms - session.start_ms) / 60_000 for one in own])
        columns = [[one.state == state for one in own] for state in states]
        columns.append((minutes - minutes.mean()).tolist())
        found = np.linalg.lstsq(np.array(columns, dtype=float).T, [one.value for one in own])[0]
        means[number] = dict(zip(states, found[:-1].tolist(), strict=True))
    return means


def test_observed_states_that_take_turns_are_compared_at_equal_times(taking_turns: Path) -> None:
    found = analysed(
        taking_turns, **HEART_OBSERVED.model_dump() | {"sample": "selected", "session": TURNS}
    )
    expected = by_single_readings(taking_turns)
    for one in found.session_means:
        assert one.mean == pytest.approx(expected[one.session][one.state], rel=1e-10)
    result = found.answer.comparisons[0].result
    anger = [expected[number]["anger"] for number in TURNS]
    theirs = stats.ttest_rel(anger, [expected[number]["neutral"] for number in TURNS])
    assert (result.by, result.at_equal_times) == ("paired_t", True)
    assert (result.t, result.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-8)
    told = response_of(found).comparisons[0]
    assert "at equal times in the session" in told.sentence
    assert "t test of means at equal times in each session showed" in told.apa
    # the drift is of the readings as they are, 0.8 /min each minute
    assert found.answer.drifts[0].slope == pytest.approx(-0.8, abs=0.25)
    assert found.answer.models[0].minute is None, "nothing is adjusted twice"


def test_observed_state_that_came_in_one_piece_keeps_session_as_measured(
    taking_turns: Path,
) -> None:
    found = analysed(taking_turns, **HEART_OBSERVED.model_dump())
    [anger] = [one for one in found.session_means if (one.session, one.state) == (1, "anger")]
    assert anger.minutes == pytest.approx(8.4, abs=0.2)
    result, period = found.answer.comparisons[0].result, found.answer.periods[0]
    # Two of nine met anger late; the means of the others stand at 0 minutes.
    assert (period.same_way, period.people, period.within_sessions) == (2, 9, False)
    assert (result.by, result.at_equal_times) == ("equal_times", True)


def test_changes_from_baseline_at_equal_times_are_the_means_less_baseline(
    taking_turns: Path,
) -> None:
    reader = Reader(taking_turns)
    sessions = reader.session_list()
    [readings] = find_observed(
        reader, HEART_OBSERVED, sessions, reader.face_labels(sessions), matchings_of(HEART_OBSERVED)
    )
    rests: dict[Place, float] = {(one.id, HEART, "strap"): 60.0 + one.id for one in sessions}
    means = at_equal_times(session_means(readings.groups))
    changes = at_equal_times(session_means(less_baseline(readings, rests).groups))
    for mean, change in zip(means, changes, strict=True):
        assert change.mean == pytest.approx(mean.mean - 60.0 - mean.session, abs=1e-9)
        assert change.minutes == mean.minutes


NEUTRAL_PLACE = EMOTIONS.index(Emotion.NEUTRAL)


ANGER_PLACE = EMOTIONS.index(Emotion.ANGER)


def alternating(seconds: int) -> FaceLabels:
    """Ten minutes at 1 Hz in which neutral and anger take turns."""
    at = np.arange(600, dtype=np.int64)
    states = np.where(at // seconds % 2 == 0, NEUTRAL_PLACE, ANGER_PLACE)
    return FaceLabels(1000 * at, states)


@pytest.mark.parametrize("bits", [[1e-16] * 4, [-1e-16] * 4, [3e-17, -2e-17, 4e-16, -1e-16]])
@pytest.mark.parametrize("apart", [(1.0, 1.0, 1.0, -1.0), (2.0, 1.0, 3.0, 1.0)])
def test_last_bits_of_equal_times_decide_nothing(
    apart: tuple[float, ...], bits: list[float]
) -> None:
    first, second = (71.0, 80.0, 66.5, 84.2, 90.0, 77.0, 68.4, 79.9), (70.0, 78.0) * 4
    exact, rounded = (
        effect_of((HEART, "anger", "neutral"), (first, second), [*apart, *own], 0.5, observed=True)
        for own in ([0.0] * 4, bits)
    )
    assert rounded.model_copy(update={"gap_minutes": exact.gap_minutes}) == exact


def test_exact_bound_of_an_uneven_order_is_not_above_it() -> None:
    values = ([float(one % 7) for one in range(30)], [float(one % 3) for one in range(30)])
    uneven = [
        effect_of((HEART, "anger", "neutral"), values, gaps, None).uneven
        # a fifth more met the first state later, and one more than that
        for later in (18, 19)
        for gaps in ([0.3] * later + [-0.3] * (30 - later),)
    ]
    assert uneven == [False, True]


def test_states_of_five_seconds_are_too_short_for_a_window_of_ten() -> None:
    for seconds in (5, 7):
        assert too_short(mixture([alternating(seconds)], 10_000, 0.6)), seconds
    found = mixture([alternating(60)], 10_000, 0.6)
    assert not too_short(found)
    assert found.stretch_ms == 60_000
    assert 0 < found.mixed < 0.1 * found.windows
    assert not too_short(mixture([], 10_000, 0.6))


def test_equivalence_must_hold_where_misreading_shrinks_the_bound() -> None:
    first = [70.0, 75.1, 80.2, 66.4, 71.0, 77.3]
    second = [73.4, 78.6, 83.0, 69.9, 74.5, 80.4]
    comparison = compare(
        {f"P{n}": value for n, value in enumerate(first)},
        {f"P{n}": value for n, value in enumerate(second)},
    )
    declared = equivalence(first, second, Method.PAIRED, EquivalenceBounds(-5, 5))
    assert declared is not None and declared.p < 0.05
    face = ClassifierByCard(
        "m 1", {Emotion.ANGER: Recall(0.8, 287), Emotion.NEUTRAL: Recall(0.9, 1182)}
    )
    misread = misreading_of(OBSERVED, Emotion.ANGER, Emotion.NEUTRAL, face)
    strict = bounds_of(comparison, declared, misread)
    assert strict is not None
    assert strict.bounds.high < 3.6
    [decided] = in_family([(comparison, strict)], Correction.HOLM)
    assert decided is not None
    assert not decided.equivalent


def test_without_a_card_nothing_is_called_excluded() -> None:
    unknown = misreading_of(OBSERVED, Emotion.ANGER, Emotion.NEUTRAL, None)
    assert doubt_of(unknown, None) is Doubt.UNKNOWN_MISREADING
    assert misreading_of(AnalysisQuery(), Emotion.ANGER, Emotion.NEUTRAL, None) is None
    assert doubt_of(None, None) is None
