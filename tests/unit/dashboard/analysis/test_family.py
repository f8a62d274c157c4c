"""What the family of tests decides, and families that a question declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.query import AnalysisQuery, query_of
from dashboard.analysis.rendering.answer import response_of
from dashboard.commands.analyse import analyse_command, report
from dashboard.statistics.corrections import benjamini_hochberg, holm, within_families
from dashboard.statistics.planning import sample_size
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from tests.support.analyses import analysed
from tests.support.studies import HEART, SYSTOLIC, States, make_study

NEUTRAL = (70.0, 78.0, 66.0, 83.0, 74.0, 69.0)


ANGER = (76.4, 77.0, 71.0, 80.0, 75.0, 74.0)


def nine_tests(folder: Path, **asked: object) -> Analysis:
    """Three states of two vitals: six tests, of which none shows much."""
    people: dict[str, States] = {}
    for place, (neutral, anger) in enumerate(zip(NEUTRAL, ANGER, strict=True)):
        happy = neutral + (2.0, -3.0, 1.0, -2.0, 3.0, 0.5)[place]
        met = [("neutral", neutral), ("anger", anger), ("happiness", happy)]
        if place % 2:
            met.reverse()
        people[f"P-{place}"] = {
            state: {HEART: [value], SYSTOLIC: [value + 50 + place % 2]} for state, value in met
        }
    return analysed(make_study(folder, people), **asked)


def test_report_in_terminal_lists_cautions_and_assumptions_under_headings(tmp_path: Path) -> None:
    found = response_of(nine_tests(tmp_path))
    assert found.cautions and found.assumptions
    lines = report(found).splitlines()
    # Each text begins a line: its first words stand under its heading, and under no other.
    headings = [lines.index("Cautions"), lines.index("Assumptions"), len(lines)]
    for texts, start, end in (
        (found.cautions, headings[0], headings[1]),
        (found.assumptions, headings[1], headings[2]),
    ):
        listed = [line for line in lines[start:end] if line.startswith("* ")]
        assert [line[2:40] for line in listed] == [text[:38] for text in texts]


@pytest.mark.parametrize(
    ("correction", "adjust"), [("holm", holm), ("benjamini_hochberg", benjamini_hochberg)]
)
def test_rank_and_equivalence_tests_are_adjusted_as_the_t_tests_are(
    tmp_path: Path, correction: str, adjust: object
) -> None:
    found = nine_tests(tmp_path, correction=correction)
    assert callable(adjust)
    family = [test for test in found.answer.comparisons if test.p is not None]
    assert len(family) == found.answer.tests_computed == 6
    rank = [test.rank.p for test in family if test.rank]
    equal = [test.equivalence.p for test in family if test.equivalence]
    assert [test.rank_adjusted_p for test in family] == list(adjust(rank))
    assert [test.equivalence_adjusted_p for test in family] == list(adjust(equal))


def test_difference_excluded_by_one_test_may_remain_in_the_family(tmp_path: Path) -> None:
    found = nine_tests(tmp_path)
    open_ones = [
        test
        for test in response_of(found).comparisons
        if test.equivalence and test.equivalence.shown and not test.equivalent
    ]
    assert open_ones, "this study has a difference that only the single test excludes"
    for test in open_ones:
        assert "is excluded" not in test.sentence
        assert "It is small" not in test.sentence
        assert test.equivalence_adjusted_p is not None
        assert test.equivalence_adjusted_p >= 0.05


def test_people_are_counted_at_the_level_that_decides(tmp_path: Path) -> None:
    test = next(
        one
        for one in response_of(nine_tests(tmp_path)).comparisons
        if "not excluded" in one.sentence
    )
    required = test.needed_in_family
    assert required is not None and test.needed is not None
    size = sample_size(Method.PAIRED, required.difference / required.sd, alpha=0.05 / 6)
    assert (required.n, required.power, required.tests) == (size.n, size.power, 6)
    assert required.n > test.needed.n
    assert (
        f"you need {required.n} people (at 0.05 / 6, which the smallest p of 6 tests must reach)"
        in test.sentence
    )


DECLARED = ("systolic", "heart_rate: anger, neutral")


def test_families_are_adjusted_each_by_itself() -> None:
    p = (0.01, 0.04, 0.02, 0.3)
    assert within_families(holm, p) == holm(p)
    assert within_families(holm, p, (0, 1, 0, 1)) == (0.02, 0.08, 0.02, 0.3)
    assert within_families(benjamini_hochberg, p, (0, 1, 2, 3)) == p
    assert within_families(holm, (), ()) == ()
    with pytest.raises(StatisticsError, match="4 p values have 2 families"):
        within_families(holm, p, (0, 1))


def test_every_p_is_adjusted_within_its_family(tmp_path: Path) -> None:
    found = nine_tests(tmp_path, family=DECLARED)
    answer = response_of(found)
    of: dict[int, list[int]] = {}
    for place, number in enumerate(found.answer.question.families):
        if answer.comparisons[place].p is not None:
            of.setdefault(number, []).append(place)
    assert {number: len(places) for number, places in of.items()} == {0: 1, -1: 2, 1: 3}
    for places in of.values():
        tests = [answer.comparisons[place] for place in places]
        for name, adjusted in (("p", "holm_p"), ("p", "adjusted_p")):
            raw = [getattr(test, name) for test in tests]
            assert [getattr(test, adjusted) for test in tests] == list(holm(raw))
        assert [t.rank_adjusted_p for t in tests] == list(holm([t.rank.p for t in tests if t.rank]))
        models = [test.by_model for test in tests if test.by_model]
        assert [m.adjusted_p for m in models] == list(holm([m.p for m in models]))
        for test in tests:
            assert test.needed_in_family is None or test.needed_in_family.tests == len(tests)
        variants = [answer.settling_sensitivity[place].variants for place in places]
        for own in zip(*variants, strict=True):
            assert [v.holm_p for v in own] == list(holm([v.p for v in own if v.p is not None]))


def test_the_answer_names_the_families_and_what_is_in_none(tmp_path: Path) -> None:
    answer = response_of(nine_tests(tmp_path, family=DECLARED))
    assert [one.family for one in answer.families] == ["heart_rate: neutral, anger", "systolic", ""]
    assert [one.computed for one in answer.families] == [1, 3, 2]
    first = "Family “heart_rate: neutral, anger”: heart rate, anger − neutral (1 of 1 computed)."
    assert answer.families[0].sentence == first
    assert answer.families[2].sentence.startswith("In no declared family: heart rate, happiness")
    assert first in " ".join(report(answer).split())
    assert any("within each family of tests" in text for text in answer.method)
    assert response_of(nine_tests(tmp_path / "two")).families == ()


@pytest.mark.parametrize(
    ("family", "written"),
    [
        ((" Systolic , heart_rate ",), ("heart_rate, systolic",)),
        (("systolic: happiness,ANGER", "heart_rate"), ("heart_rate", "systolic: happiness, anger")),
        (("all: anger, neutral",), ("heart_rate, systolic, diastolic: neutral, anger",)),
        (("sdnn", "heart_rate"), ("heart_rate", "sdnn")),
        (
            ("heart_rate: happiness, neutral; heart_rate: anger, neutral",),
            ("heart_rate: neutral, anger; heart_rate: neutral, happiness",),
        ),
    ],
)
def test_a_family_is_written_in_one_way(family: tuple[str, ...], written: tuple[str, ...]) -> None:
    query = AnalysisQuery.model_validate({"family": family, "heart_measure": ("ln_rmssd", "sdnn")})
    assert query.family == written
    again = AnalysisQuery.model_validate_json(query.model_dump_json())
    assert again == query


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        (("pulse",), "'pulse' is not tested; choose from heart_rate"),
        (("",), "at least 1 character"),
        (("heart_rate: anger",), "fewer than two states"),
        (("heart_rate: anger, film",), "'film' is not compared; choose from neutral"),
        (("heart_rate", "all: anger, neutral"), "heart_rate, anger - neutral, is in two families"),
        (("heart_rate, ln_rmssd",), "mixes vitals, measures"),
        (("heart_rate",) * 31, "at most 30"),
    ],
)
def test_a_family_that_cannot_be_is_refused(family: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        AnalysisQuery(family=family)


def test_the_page_takes_a_line_for_each_family_and_the_command_an_option() -> None:
    asked = query_of([("family", "systolic\r\n\r\n heart_rate: anger, neutral\r\n")])
    assert asked.family == ("heart_rate: neutral, anger", "systolic")
    assert query_of([("family", "  \n")]).family == ()
    words = ["--family", "systolic", "--family", "heart_rate: anger, neutral", "--print-question"]
    done = CliRunner().invoke(analyse_command, words)
    assert AnalysisQuery.model_validate_json(done.stdout) == asked
    wrong = CliRunner().invoke(analyse_command, ["--family", "pulse", "--print-question"])
    assert wrong.exit_code == 2
    assert "'pulse' is not tested" in wrong.output
