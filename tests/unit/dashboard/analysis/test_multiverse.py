"""A question under every set of defensible choices: which there are, and what they come to."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.analysis.analyse import analyse
from dashboard.analysis.multiverse.multiverse import Budget, Multiverse, multiverse
from dashboard.analysis.multiverse.specifications import Visit, Way
from dashboard.analysis.present.multiverse.chart import curve_chart
from dashboard.analysis.present.multiverse.text import multiverse_csv, multiverse_model
from dashboard.analysis.request import AnalysisQuery
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.read.reader import Reader
from tests.support.studies import HEART, add_session, add_stimuli

PEOPLE = 8
ORDERS = tuple(itertools.permutations(("neutral", "anger", "happiness")))
QUERY = AnalysisQuery(vital=(HEART,))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people in all orders; anger is 4 /min higher, twice that with the readings without
    contact, which count only where somebody wants them.
    """
    path = tmp_path_factory.mktemp("multiverse") / "affect-edge.db"
    migrate(path)
    for number in range(PEOPLE):
        states = {}
        for place, label in enumerate(ORDERS[number % len(ORDERS)]):
            level = 60.0 + number - place + (4.0 + number % 3) * (label == "anger")
            states[label] = [level + second % 2 for second in range(40)]
        add_stimuli(path, f"P-{number}", states)
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE vital SET flags = 'contact_lost', value = value + 20 WHERE at / 1000 % 40 = 35 "
            "AND EXISTS (SELECT 1 FROM condition WHERE label = 'anger' AND vital.at >= started AND "
            "vital.at < ended)"
        )
    return path


@pytest.fixture(scope="module")
def whole(study: Path) -> Multiverse:
    return multiverse(Reader(study), QUERY)


def test_the_declared_set_comes_first_and_is_what_the_analysis_says(
    study: Path, whole: Multiverse
) -> None:
    test = analyse(Reader(study), QUERY).family[0]
    assert test.comparison.tests is not None
    first = whole.results[0].estimates[0]
    assert first.difference == test.comparison.tests.t.difference
    assert first.p == test.comparison.tests.t.p
    assert first.adjusted_p == test.adjusted_p


def test_every_set_of_choices_that_makes_a_difference_is_there_once(whole: Multiverse) -> None:
    specifications = [one.specification for one in whole.results]
    assert len(set(specifications)) == len(specifications) == whole.planned == 4 * 2 * 2
    settled = {one.data.choice.settling_s(HEART) for one in specifications}  # type: ignore[union-attr]
    assert settled == {0.0, 5.0, 10.0, 20.0}
    assert {one.data.counted for one in specifications} == {frozenset(), frozenset(UNUSABLE)}
    assert {one.way for one in specifications} == {Way.T_TEST, Way.EQUAL_TIMES}
    assert {one.data.visit for one in specifications} == {Visit.ALL}


def test_each_set_says_what_the_analysis_says_that_is_asked_so(
    study: Path, whole: Multiverse
) -> None:
    for result in whole.results:
        made = result.specification
        asked = QUERY.model_copy(
            update={
                "settling_heart_rate": made.data.choice.settling_s(HEART),  # type: ignore[union-attr]
                "count_flagged": tuple(made.data.counted),
                "sensitivity": False,
            }
        )
        test = analyse(Reader(study), asked).family[0]
        assert test.comparison.tests is not None and test.period is not None
        if made.way is Way.T_TEST:
            assert result.estimates[0].difference == test.comparison.tests.t.difference
            assert result.estimates[0].adjusted_p == test.adjusted_p
        else:
            assert test.period.adjusted is not None
            # mean times of pieces put together differ from those of one piece in the last bits
            at_equal_times = pytest.approx(test.period.adjusted.difference, rel=1e-9)
            assert result.estimates[0].difference == at_equal_times
            assert result.estimates[0].adjusted_p == pytest.approx(test.period.adjusted_p, rel=1e-9)


def test_the_sentence_counts_what_agrees_and_the_table_holds_every_number(
    whole: Multiverse,
) -> None:
    model = multiverse_model(whole)
    curve = model.comparisons[0]
    assert model.complete and curve.computed == 16
    values = [one.difference for one in curve.estimates if one.difference is not None]
    assert (curve.lowest, curve.highest) == (min(values), max(values))
    same = sum(one.conclusion == curve.estimates[0].conclusion for one in curve.estimates)
    assert curve.same_conclusion == same
    assert f"and {same} come to the same conclusion" in curve.sentence
    assert "no further family of tests" in model.caution
    rows = list(csv.DictReader(io.StringIO(multiverse_csv(model))))
    assert len(rows) == 3 * 16
    assert [float(row["difference"]) for row in rows[:16]] == values
    assert sum(share.sets for share in curve.by_choice if share.name == "Test") == 16


def test_the_curve_rises_and_has_a_dot_for_each_choice_of_each_set(whole: Multiverse) -> None:
    curve = multiverse_model(whole).comparisons[0]
    chart = curve_chart(curve)
    assert chart is not None
    *estimates, declared, dots = chart.figure["data"]
    placed = sorted(
        pair for trace in estimates for pair in zip(trace["x"], trace["y"], strict=True)
    )
    assert [place for place, _ in placed] == list(range(16))
    assert [value for _, value in placed] == sorted(value for _, value in placed)
    assert len(declared["x"]) == 1
    assert len(dots["x"]) == 3 * 16
    assert len(chart.rows) == 16


def test_what_the_time_does_not_allow_is_said_and_never_left_out_in_silence(study: Path) -> None:
    seconds: Iterator[float] = itertools.count(0.0, 1.0)
    told: list[tuple[int, int]] = []
    cut = multiverse(
        Reader(study),
        QUERY,
        budget=Budget(3.0, lambda: next(seconds)),
        on_progress=lambda done, planned: told.append((done, planned)),
    )
    assert told == [(1, 16), (2, 16), (3, 16)]
    model = multiverse_model(cut)
    assert (model.computed, model.planned, model.complete) == (3, 16, False)
    assert "the other 13 were not computed" in model.summary


def test_a_second_session_can_be_left_aside_and_a_doubt_that_is_nowhere_is_no_choice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "affect-edge.db"
    for visit in range(2):
        for number in range(5):
            level = 60.0 + number + 5 * visit
            rise = level + 3 + number * visit + number % 2
            states = {"anger": {HEART: [rise]}, "neutral": {HEART: [level]}}
            add_session(path, f"P-{number}", states, flags=[VitalFlag.MANUAL])
    whole = multiverse(Reader(path), QUERY)
    ways = {one.specification.way for one in whole.results}
    assert ways == {Way.T_TEST, Way.MIXED_MODEL}
    assert {one.specification.data.counted for one in whole.results} == {frozenset()}
    assert whole.planned == 4  # all readings lie after the longest settling time
    of_visit = {
        one.specification.data.visit: one.estimates[0].difference
        for one in whole.results
        if one.specification.way is Way.T_TEST
    }
    assert of_visit[Visit.FIRST] == pytest.approx(3.4)
    assert of_visit[Visit.ALL] == pytest.approx(4.4)


def test_an_empty_timeline_has_nothing_to_compare(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    add_session(path, "P-1", {})
    model = multiverse_model(multiverse(Reader(path), QUERY))
    assert model.comparisons[0].computed == 0
    assert "nothing to compare" in model.comparisons[0].sentence
    assert curve_chart(model.comparisons[0]) is None
