"""Thirteen designs in real timelines: whoever tells a comparison tells the same conclusion and p.

What is decided is read from the numbers of the answer; what table, sentences and pictures say is
read from their texts, as a person reads them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from dashboard.analysis.query import AnalysisQuery, Correction, pairs_of
from dashboard.analysis.results import (
    AnalysisModel,
    DecisionModel,
    SensitivityModel,
    SettlingSensitivityModel,
)
from dashboard.analysis.results import TestRow as Row  # pytest takes a ``Test…`` for its own
from dashboard.questions.comparison.computing import Sheet
from dashboard.questions.comparison.computing import sheet as sheet_of
from dashboard.questions.entry import Inquiry
from edge_agent.core.expression import Emotion
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.protocol_runs import SelfReport, insert_reports
from tests.support.studies import HEART, add_session
from tests.support.timeline import instant, row, timeline

STATES = ("anger", "happiness", "neutral")
ORDERS = tuple(permutations(STATES)) * 2
HOUR_S = 3600.0
SLOT_S = 300.0
"""From one stimulus to the next in the sessions that ``add_session`` writes."""
Said = tuple[str, str]
"""A conclusion, and the adjusted p as it is printed; empty without a test."""
ALPHA = 0.05


def recorded(
    path: Path,
    orders: Iterable[Sequence[str]],
    seed: int,
    effects: Mapping[str, float] | None = None,
    *,
    spread: float = 2.0,
    by_place: float = 0.0,
    codes: Callable[[int], str] = "P-{:02d}".format,
) -> None:
    """Write a session for each order of states.

    Args:
        path: of the timeline.
        orders: the states of each session, as they were met.
        seed: of the chance.
        effects: what a state adds.
        spread: sd of a mean about a person's level.
        by_place: what each further place in the session adds, as a heart that calms down.
        codes: whose session it is, by its number.
    """
    added = effects or {}
    rng = random.Random(seed)
    levels: dict[str, float] = {}
    for number, order in enumerate(orders):
        level = levels.setdefault(codes(number), rng.gauss(70, 7))
        means = {
            state: level + added.get(state, 0.0) + by_place * place + rng.gauss(0, spread)
            for place, state in enumerate(order)
        }
        add_session(path, codes(number), {state: {HEART: [mean]} for state, mean in means.items()})


def clear(path: Path) -> None:
    recorded(path, ORDERS, 1, {"anger": 8})


def nothing(path: Path) -> None:
    recorded(path, ORDERS, 2)


def by_the_order(path: Path) -> None:
    """A heart calms down, and thirteen of sixteen people met anger last; anger does nothing."""
    orders = [("neutral", "anger")] * 13 + [("anger", "neutral")] * 3
    recorded(path, orders, 3, by_place=-4, spread=1.5)


def one_order(path: Path) -> None:
    recorded(path, [("neutral", "happiness", "anger")] * 9, 4, {"anger": -8})


def separate_groups(path: Path) -> None:
    recorded(path, [(state,) for state in STATES for _ in range(6)], 5, {"anger": 16}, spread=1.0)


def several_sessions(path: Path) -> None:
    """Most people come twice, and some sessions lack a state."""
    orders = [order[: 2 + number % 3] for number, order in enumerate(ORDERS * 2)]
    recorded(path, orders, 6, {"anger": 6}, codes=lambda number: f"P-{number % 14:02d}")


def near_the_level(path: Path) -> None:
    """p of 0.009 and 0.025, the latter of which Holm's method alone does not let pass."""
    recorded(path, ORDERS, 9, {"anger": 2.0, "neutral": -2.0}, spread=3.0)


def faces(path: Path) -> None:
    """Faces show the states in stimuli that are called otherwise."""
    rng = random.Random(9)
    migrate(path)
    shown = []
    for number, order in enumerate(ORDERS):
        level = rng.gauss(70, 7)
        means = {
            state: level + rng.gauss(-8.0 if state == "happiness" else 0.0, 2) for state in order
        }
        named = {f"film {state}": {HEART: [mean]} for state, mean in means.items()}
        add_session(path, f"P-{number:02d}", named)
        for place, state in enumerate(order):
            # the reading is taken 70 s after the begin of the hour and of the place
            at = HOUR_S * number + SLOT_S * place + 70
            shown += [row(at - 20 + second, Emotion(state)) for second in range(25)]
    timeline(path, expression=shown)


def reports(path: Path) -> None:
    """People say what they felt in stimuli that are called otherwise."""
    recorded(
        path, [[f"film {state}" for state in order] for order in ORDERS], 10, {"film anger": 7}
    )
    with write_transaction(path) as connection:
        for number, order in enumerate(ORDERS):
            said = [
                SelfReport(
                    instant(HOUR_S * number + SLOT_S * place + 200),
                    f"film {state}",
                    "emotion",
                    state,
                )
                for place, state in enumerate(order)
            ]
            insert_reports(connection, number + 1, said)


def no_numbers(path: Path) -> None:
    """Anger adds the same in everybody, and nobody met happiness."""
    for number in range(6):
        means = {"anger": 65.0 + number, "neutral": 60.0 + number}
        add_session(path, f"P-{number}", {state: {HEART: [mean]} for state, mean in means.items()})


def rested(path: Path) -> None:
    recorded(path, [("baseline", *order) for order in ORDERS], 12, {"anger": 8, "happiness": -6})


@dataclass(frozen=True)
class Design:
    """A study, what is asked of it, and what comes out: for anger and neutral, happiness and
    neutral, anger and happiness.
    """

    make: Callable[[Path], None]
    told: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)


DESIGNS = {
    "clear": Design(clear, ("higher", "not_shown", "higher")),
    "nothing": Design(nothing, ("not_shown", "not_shown", "not_shown")),
    "by the order": Design(by_the_order, ("not_shown",), {"states": ("anger", "neutral")}),
    "one order": Design(one_order, ("lower", "not_shown", "lower")),
    "separate groups": Design(separate_groups, ("higher", "not_shown", "higher")),
    "several sessions": Design(several_sessions, ("higher", "not_shown", "higher")),
    "holm": Design(near_the_level, ("higher", "not_shown", "not_shown")),
    "benjamini-hochberg": Design(
        near_the_level, ("higher", "not_shown", "higher"), {"correction": "benjamini_hochberg"}
    ),
    "families": Design(
        near_the_level,
        ("higher", "not_shown", "higher"),
        {"family": ("heart_rate: anger, neutral", "heart_rate: happiness, anger")},
    ),
    "observed": Design(faces, ("not_shown", "lower", "higher"), {"state": "observed"}),
    "reported": Design(reports, ("higher", "not_shown", "higher"), {"state": "reported"}),
    "no numbers": Design(no_numbers, ("no_test", "no_test", "no_test")),
    "change": Design(rested, ("higher", "lower", "higher"), {"outcome": "change"}),
}
Sheets = Callable[..., Sheet]


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> Sheets:
    """Return what the page shows of a design, or of one with something else asked of it; each study
    is made once, and the design computed once.
    """
    paths: dict[str, Path] = {}
    made: dict[str, Sheet] = {}

    def sheet(name: str, **other: object) -> Sheet:
        if name in made and not other:
            return made[name]
        design = DESIGNS[name]
        if name not in paths:
            paths[name] = tmp_path_factory.mktemp("study") / "affect-edge.db"
            design.make(paths[name])
        asked = {"vital": ("heart_rate",), **design.asked, **other}
        query = AnalysisQuery.model_validate(asked)
        shown = sheet_of(Inquiry((("", paths[name]),), query, ()))
        if not other:
            made[name] = shown
        return shown

    return sheet


def decided(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the result of each comparison, of the answer that programs get."""
    answer = json.loads(sheet.response.model_dump_json())
    return [one["result"] for one in answer["comparisons"]]


def conclusion_of(numbers: Mapping[str, Any]) -> str:
    if numbers["adjusted_p"] is None:
        return "no_test"
    if numbers["adjusted_p"] >= ALPHA:
        return "not_shown"
    return "higher" if numbers["difference"] > 0 else "lower"


def said_in(sentence: str) -> Said:
    """Read the conclusion and the adjusted p of a sentence; the first that it tells counts."""
    printed = re.search(r"(?:Holm|Benjamini–Hochberg)(?:-adjusted)? p ([=<] [\d.]+)", sentence)
    p = printed[1].removeprefix("= ").rstrip(".,") if printed else ""
    if ": no test." in sentence or not sentence:
        return "no_test", p
    if re.search(r"no significant difference|not differ significantly|not significantly", sentence):
        return "not_shown", p
    if way := re.search(r"\b(higher|lower) in\b", sentence):
        return way[1], p
    raise AssertionError(f"no conclusion in: {sentence}")


def is_rounded(printed: str, p: float) -> bool:
    """Tell whether a printed p, such as ``.021``, ``1.2e−5`` or ``< 0.001``, is this one."""
    if printed.startswith("<"):
        return p < float(printed.removeprefix("<"))
    digits, _, power = printed.partition("e")
    unit = 10.0 ** (int(power.replace("−", "-") or 0) - len(digits.partition(".")[2]))
    return abs(float(printed.replace("−", "-")) - p) <= 0.51 * unit


def assert_tells(said: Said, numbers: Mapping[str, Any]) -> None:
    told, printed = said
    assert told == conclusion_of(numbers)
    p = numbers["adjusted_p"]
    assert bool(printed) == (p is not None)
    assert p is None or is_rounded(printed, p), f"{printed} is not {p}"


def rows_of(sheet: Sheet) -> list[Row]:
    return [one for group in sheet.groups for one in group.rows]


@pytest.mark.parametrize("name", DESIGNS)
def test_decided_result_each_design_is_what_the_study_was_made_for(
    name: str, sheets: Sheets
) -> None:
    design, sheet = DESIGNS[name], sheets(name)
    assert tuple(map(conclusion_of, decided(sheet))) == design.told
    pairs = [(one.first, one.second) for one in sheet.response.comparisons]
    assert pairs == list(pairs_of(sheet.response.question.states))
    assert sheet.response.main == ("mixed_model" if name == "several sessions" else "t_tests")
    if name == "by the order":  # the t-test errs, and the estimate at equal times decides
        (only,) = sheet.response.comparisons
        assert only.at_equal_times
        assert only.adjusted_p is not None
        assert only.adjusted_p < ALPHA


@pytest.mark.parametrize("name", DESIGNS)
def test_decided_result_each_design_table_and_headline_tell_it(name: str, sheets: Sheets) -> None:
    sheet = sheets(name)
    for line, numbers in zip(rows_of(sheet), decided(sheet), strict=True):
        conclusion = conclusion_of(numbers)
        assert_tells(said_in(line.main_claim), numbers)
        assert_tells(said_in(line.main_sentence), numbers)
        assert_tells((conclusion, line.main_p), numbers)
        assert line.main_is_shown == (conclusion in {"higher", "lower"})
        assert line.main_sentence_is_tested == (conclusion != "no_test")
        # a claimed difference has its sign in the table, too
        if line.main_is_shown:
            assert line.main_difference.startswith("−") == (conclusion == "lower")


@pytest.mark.parametrize("name", DESIGNS)
def test_decided_result_each_design_pictures_point_the_same_way(name: str, sheets: Sheets) -> None:
    sheet = sheets(name)
    tested = [one for one in map(conclusion_of, decided(sheet)) if one != "no_test"]
    marks = [] if sheet.effects is None else sheet.effects.figure["data"]
    assert len(tested) == len(marks)
    for conclusion, mark in zip(tested, marks, strict=True):
        (g,), (more,), (less,) = mark["x"], mark["error_x"]["array"], mark["error_x"]["arrayminus"]
        assert less >= 0 <= more
        if conclusion != "not_shown":
            assert (g > 0) == (conclusion == "higher")
            # The interval of a difference that is told leaves out 0.
            assert (g - less > 0) if g > 0 else (g + more < 0)


@pytest.mark.parametrize("name", DESIGNS)
def test_decided_result_each_design_sentence_for_a_report_tells_it(
    name: str, sheets: Sheets
) -> None:
    sheet = sheets(name)
    for one, numbers in zip(sheet.response.comparisons, decided(sheet), strict=True):
        assert_tells(said_in(one.apa), numbers)
        assert numbers["conclusion"] == conclusion_of(numbers)


def rows_at(answer: AnalysisModel, *, window: float, settling: float) -> list[dict[str, Any]]:
    """Return of each comparison the row of one choice of window, or of settling time."""
    return [
        dict(one)
        for table in answer.sensitivity
        for one in table.variants
        if (one.window, one.lag) == (window, 5.0)
    ] + [
        dict(one)
        for table in answer.settling_sensitivity
        for one in table.variants
        if one.settling == settling
    ]


SHARED = ("n_first", "n_second", "difference", "interval", "p", "adjusted_p", "conclusion")


def numbers_of(result: object) -> list[object]:
    return [getattr(result, name) for name in SHARED]


@pytest.mark.parametrize("name", DESIGNS)
def test_declared_row_of_other_choices_is_the_result(name: str, sheets: Sheets) -> None:
    answer = sheets(name).response
    rows = rows_at(answer, window=10.0, settling=10.0)
    for test, own, around in zip(answer.comparisons, rows, answer.neighbours, strict=True):
        assert [own[key] for key in SHARED] == numbers_of(test.result)
        (cell,) = [one for one in around.choices if one.declared]
        assert [getattr(cell, key) for key in SHARED[:3]] == numbers_of(test.result)[:3]
        if cell.difference is not None:
            assert around.low is not None and around.high is not None
            assert around.low <= cell.difference <= around.high


@pytest.mark.parametrize("name", DESIGNS)
def test_count_of_conclusions_that_change_follows_from_the_rows(name: str, sheets: Sheets) -> None:
    answer = sheets(name).response
    tables: tuple[SensitivityModel | SettlingSensitivityModel, ...]
    tables = (*answer.sensitivity, *answer.settling_sensitivity)
    for test, table in zip(answer.comparisons, tables, strict=True):
        rows: Sequence[DecisionModel] = table.variants
        concluded = [one.conclusion for one in rows]
        assert table.conclusion is test.result.conclusion
        assert table.changed == sum(one is not test.result.conclusion for one in concluded)
        if answer.question.correction is Correction.HOLM:
            assert all(one.holm_p == one.adjusted_p for one in rows)


@pytest.mark.parametrize("name", DESIGNS)
def test_row_of_another_choice_is_the_result_of_asking_for_it(name: str, sheets: Sheets) -> None:
    rows = rows_at(sheets(name).response, window=20.0, settling=20.0)
    # the window is that of observed emotions, the settling time that of all others
    other = {"window": 20.0, "settling_heart_rate": 20.0}
    asked = sheets(name, **other, sensitivity=False).response
    for test, own in zip(asked.comparisons, rows, strict=True):
        assert [own[key] for key in SHARED] == pytest.approx(numbers_of(test.result))
