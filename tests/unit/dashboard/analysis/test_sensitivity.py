"""Tables of what other windows, lags and settling times come to."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from dashboard.analysis.choices import MatchingChoice, SettlingChoice, choices_around, settlings_of
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.decision import NO_RESULT
from dashboard.analysis.inference.neighbours import neighbours
from dashboard.analysis.inference.sensitivity import ChosenResult, sensitivity
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.readings.states import StateReadings
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import SensitivityModel
from edge_agent.core.study import MADE_UP
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from tests.support.analyses import analysed
from tests.support.studies import DIASTOLIC, HEART, SYSTOLIC, add_stimuli

CHOSEN = MatchingChoice(10.0, 5.0, 45.0)
LONG = MatchingChoice(20.0, 5.0, 45.0)
SHORT = MatchingChoice(5.0, 5.0, 45.0)


def result(p: float | None, difference: float = 2.0) -> ChosenResult:
    numbers = {"p": p, "adjusted_p": p, "difference": None if p is None else difference}
    return ChosenResult(NO_RESULT.model_copy(update=numbers), p)


def tried(**rows: Sequence[ChosenResult]) -> tuple[SensitivityModel, ...]:
    named = {"short": SHORT, "chosen": CHOSEN, "long": LONG}
    pairs = [(HEART, "anger", "neutral"), (HEART, "happiness", "neutral")]
    results = {named[name]: row for name, row in rows.items()}
    return sensitivity(SensitivityModel, pairs, CHOSEN, results)


def test_conclusion_that_changes_is_counted_and_one_that_stays_is_not() -> None:
    risen, unsteady = tried(
        short=(result(None), result(0.6)),
        chosen=(result(0.01), result(0.7)),
        long=(result(0.2), result(0.8, -1.0)),
    )
    assert risen.conclusion is Conclusion.HIGHER
    assert [variant.conclusion for variant in risen.variants] == [
        Conclusion.NO_TEST,
        Conclusion.HIGHER,
        Conclusion.NOT_SHOWN,
    ]
    assert [variant.changes for variant in risen.variants] == [True, False, True]
    assert (risen.changed, unsteady.changed) == (2, 0)


def test_row_of_a_choice_has_the_numbers_of_its_result() -> None:
    own = NO_RESULT.model_copy(
        update={"difference": 2.5, "p": 0.03, "adjusted_p": 0.04, "n_first": 7, "n_second": 8}
    )
    table, _ = tried(chosen=(result(0.5), result(0.5)), long=(ChosenResult(own, 0.06), result(0.5)))
    _, row = table.variants
    assert (row.window, row.lag, row.lag_pressure) == (20.0, 5.0, 45.0)
    assert (row.n_first, row.n_second, row.difference) == (7, 8, 2.5)
    # Holm's p stands beside the one that decides
    assert (row.p, row.adjusted_p, row.holm_p) == (0.03, 0.04, 0.06)
    assert (row.conclusion, row.changes) == (Conclusion.HIGHER, True)


def test_settings_around_are_half_and_twice_the_chosen_one() -> None:
    found = choices_around(CHOSEN)
    assert len(found) == 9 and CHOSEN in found
    assert MatchingChoice(5.0, 10.0, 90.0) in found
    assert len(choices_around(MatchingChoice(10.0, 0.0, 0.0))) == 3


LATENCY_S = 10
RESPONSE_S = 30
STIMULUS_S = 40
EFFECT = 6.0


def slow_study(folder: Path) -> Path:
    """Six people, three stimuli of 40 s in every order, and a heart that has followed after 30 s:
    nothing happens for 10 s, then it goes to 6 /min more in anger, and back in the others.
    """
    path = folder / "affect-edge.db"
    migrate(path)
    for number, order in enumerate(itertools.permutations(("neutral", "anger", "happiness"))):
        at = 0.0
        level = 60.0 + number
        states: dict[str, Sequence[float]] = {}
        for label in order:
            aim = EFFECT * (label == "anger")
            way = [
                min(1.0, max(0.0, (second + 0.5 - LATENCY_S) / (RESPONSE_S - LATENCY_S)))
                for second in range(STIMULUS_S)
            ]
            states[label] = [level + at + (aim - at) * part for part in way]
            at = aim
        add_stimuli(path, f"P-{number}", states)
    return path


@pytest.mark.parametrize(("skipped", "found"), [(0, 0.333), (10, 0.556), (30, 1.0)])
def test_a_slow_response_is_found_whole_once_its_time_is_left_out(
    tmp_path: Path, skipped: float, found: float
) -> None:
    path = slow_study(tmp_path)
    query: dict[str, object] = {"vital": ["heart_rate"], "settling_heart_rate": skipped}
    comparison = analysed(path, **query).answer.comparisons[0]
    assert comparison.difference == pytest.approx(found * EFFECT, abs=0.05)


def test_settling_time_is_that_of_each_vital_and_what_it_takes_is_counted(tmp_path: Path) -> None:
    path = slow_study(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET kind = 'systolic' WHERE at / 1000 % 40 = 17")
    found = analysed(path, sensitivity=True)
    settling = {
        one.vital: (one.seconds, one.readings, one.emptied) for one in found.answer.settling
    }
    assert settling[HEART][:2] == (10.0, 6 * 3 * 10)
    assert settling[HEART][2] == settling[DIASTOLIC][2] == 0
    assert (settling[SYSTOLIC][0], settling[SYSTOLIC][2]) == (30.0, settling[SYSTOLIC][1])
    assert settling[SYSTOLIC][1] > 0
    variants = found.answer.settling_sensitivity[0].variants
    assert [one.settling for one in variants] == [0.0, 5.0, 10.0, 20.0]
    assert variants[2].p == found.answer.comparisons[0].p
    differences = [one.difference or 0.0 for one in variants]
    assert differences == sorted(differences) and differences[0] < differences[-1]
    assert any("Such stimuli are too short." in text for text in response_of(found).warnings)
    answer = response_of(found)
    assert [one.settling for one in answer.settling_sensitivity[3].variants] == [0, 15, 30, 60]
    assert answer.sensitivity == ()


@pytest.mark.parametrize("outcome", ["level", "change"])
def test_neighbouring_choices_are_those_asked_for_one_by_one(tmp_path: Path, outcome: str) -> None:
    path = slow_study(tmp_path)
    with write_transaction(path) as connection:
        # A second sensor, which sees half of what the first does and has fewer readings.
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags) SELECT at, kind, 'ble:B', "
            "60 + (value - 60) / 2, flags FROM vital WHERE at / 1000 % 3 > 0"
        )
        connection.execute("UPDATE marker SET label = 'baseline' WHERE label = 'happiness'")
    asked: dict[str, object] = {"vital": ["heart_rate"], "states": ["neutral", "anger"]}
    asked["outcome"] = outcome
    found = analysed(path, sensitivity=True, **asked).answer
    (table,) = found.neighbours
    every = itertools.product(("", "ble:B"), (0.0, 5.0, 10.0, 20.0))
    assert [(one.source, one.settling) for one in table.choices] == list(every)
    for one in table.choices:
        preferred = {"prefer_source": [one.source]} if one.source else {}
        alone = analysed(path, settling_heart_rate=one.settling, **preferred, **asked)
        (comparison,) = alone.answer.comparisons
        assert one.difference == pytest.approx(comparison.difference)
        assert one.difference and one.n_first == comparison.n_first == 6
    assert [one.settling for one in table.choices if one.declared] == [10.0]
    differences = [one.difference or 0.0 for one in table.choices]
    assert (table.low, table.high) == (min(differences), max(differences))
    assert (table.computed, table.same_sign) == (8, 8)
    assert analysed(path, **asked, sensitivity=False).answer.neighbours == ()


def test_source_that_changes_nothing_is_no_other_choice(tmp_path: Path) -> None:
    path = slow_study(tmp_path)
    found = analysed(path, vital=["heart_rate"], prefer_source=["simulated"], sensitivity=True)
    assert {one.source for one in found.answer.neighbours[0].choices} == {""}


def test_time_of_zero_that_stays_zero_is_one_choice(tmp_path: Path) -> None:
    path = slow_study(tmp_path)
    asked = {"vital": ["heart_rate", "systolic"], "settling_heart_rate": 0, "settling_pressure": 10}
    found = analysed(path, sensitivity=True, **asked).answer
    heart, pressure = (
        [(one.settling, one.declared) for one in table.choices]
        for table in found.neighbours
        if (table.first, table.second) == ("anger", "neutral")
    )
    assert heart == [(0, True)]
    assert pressure == [(0, False), (5, False), (10, True), (20, False)]


def test_time_of_zero_keeps_the_result_of_the_declared_choice() -> None:
    # other vitals have other times then, and who is tested of them may change the main analysis
    asked = {"vital": ("heart_rate", "systolic"), "states": ("neutral", "anger")}
    query = AnalysisQuery.model_validate(asked | {"settling_heart_rate": 0})
    declared, *others = settlings_of(query)
    decided: dict[MatchingChoice | SettlingChoice, Sequence[ChosenResult]] = {
        choice: [result(0.01, 5.0 if choice == declared else 3.0)] * 2
        for choice in (declared, *others)
    }
    readings = [(choice, StateReadings(())) for choice in decided]
    heart, _ = neighbours(query, readings, {}, lambda _: [], decided)
    assert [(one.settling, one.declared, one.difference) for one in heart.choices] == [(0, True, 5)]
    assert (heart.low, heart.high) == (5, 5)


def test_made_up_times_leave_no_other_settling_time(tmp_path: Path) -> None:
    path = slow_study(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("UPDATE session SET origin = ?", (f"table ({MADE_UP})",))
    found = analysed(path, vital=["heart_rate"], sensitivity=True).answer
    assert [len(one.choices) for one in found.neighbours] == [1, 1, 1]
