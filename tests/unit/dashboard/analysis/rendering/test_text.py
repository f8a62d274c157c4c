"""Results in words: as certain as they are, with the numbers that a reviewer asks for."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.charts import analysis_charts
from dashboard.analysis.rendering.words import sentences
from dashboard.languages.figures import exact_df, number, p_equals, p_text
from edge_agent.core.readings import VitalFlag
from edge_agent.timeline.read.reader import Reader
from tests.support.analyses import analysed, answered
from tests.support.studies import HEART, SYSTOLIC, States, add_session, heart, make_study


def first_sentence(folder: Path, people: dict[str, States]) -> str:
    return answered(make_study(folder, people)).comparisons[0].sentence


def persons(anger: list[float], neutral: list[float]) -> dict[str, States]:
    """Every second one meets neutral first."""
    people = {}
    for n, (a, b) in enumerate(zip(anger, neutral, strict=True)):
        if n % 2:
            people[f"P-{n}"] = heart(neutral=b, anger=a)
        else:
            people[f"P-{n}"] = heart(anger=a, neutral=b)
    return people


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (-6.14, 1, "−6.1"),
        (-0.0, 1, "0.0"),
        (-0.001, 1, "−0.001"),
        (0.0417, 1, "0.04"),
        (0.00001, 1, "1.0 × 10⁻⁵"),
        (5_302_852_954_794.6, 1, "5.3 × 10¹²"),
        (0.896, 2, "0.90"),
    ],
)
def test_numbers_are_written_for_people(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_the_last_bits_of_a_number_do_not_decide_how_it_is_rounded() -> None:
    assert 0.1 + 0.2 + 0.05 != 0.35
    assert number(0.1 + 0.2 + 0.05) == number(0.35)
    assert p_text(0.0125) == p_text(0.0125 + 1e-17)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0213, "0.021"),
        (0.04997, "0.04997"),
        (0.0502, "0.0502"),
        (0.05, "0.05"),
        (1.0, "1.000"),
        (0.001, "0.001"),
        (0.00091, "< 0.001"),
    ],
)
def test_p_is_never_rounded_across_5_percent_and_small_ones_are_told_alike(
    p: float, text: str
) -> None:
    assert p_text(p) == text
    assert p_equals(p) == (text if "<" in text else f"= {text}")


def test_a_difference_is_reported_with_its_size_and_its_numbers(tmp_path: Path) -> None:
    text = first_sentence(
        tmp_path, persons([75, 84, 71, 90, 82, 79], [70, 78, 65.5, 83, 77, 74.25])
    )
    # R 4.2.2, t.test(paired = TRUE): 5.541667, 4.657137 to 6.426196, t = 16.105, df = 5, p =
    # 1.682e-05; g = 0.7206700
    assert text == (
        "Heart rate was 5.5 /min higher in anger than in neutral (95 % CI 4.7 to 6.4; 6 people, "
        "paired t(5) = 16.10, Holm p < 0.001, g = 0.72)."
    )


def test_a_null_result_says_what_the_data_still_allow(tmp_path: Path) -> None:
    text = first_sentence(tmp_path, persons([70, 78, 66, 83], [72, 77, 67, 80]))
    assert text.startswith(
        "Heart rate did not differ significantly between anger and neutral (difference 0.2 /min, "
        "95 % CI −3.3"
    )
    assert text.endswith(
        "The data are compatible with anything from 3.3 /min lower to 3.8 /min higher in anger. A "
        "difference of 5 /min or more in either direction is excluded (equivalence test, Holm p = "
        "0.012, 90 % CI −2.4 to 2.9)."
    )


def test_a_null_result_that_shows_nothing_says_how_many_people_it_takes(tmp_path: Path) -> None:
    # R 4.2.2: d = c(-6, 8, -9, 10); t.test(d, mu = 5, alternative = "less")$p.value = 0.2214078;
    # t.test(d, conf.level = 0.9): -10.59242 to 12.09242; power.t.test(delta = 5, sd = sd(d), type =
    # "paired", power = 0.8, strict = TRUE)$n = 31.14689
    text = first_sentence(tmp_path, persons([70, 78, 66, 83], [76, 70, 75, 73]))
    assert text.endswith(
        "A difference of 5 /min or more in either direction is not excluded (equivalence "
        "test, Holm p = 0.221, 90 % CI −10.6 to 12.1). To find a difference of 5 /min in four "
        "of five studies, you need 32 people. That is 28 more than there are."
    )


def test_a_difference_can_be_real_and_small(tmp_path: Path) -> None:
    text = first_sentence(tmp_path, persons([71, 79, 66.5, 84.2, 90], [70, 78, 66, 83, 89]))
    assert text.endswith(" It is small: within ± 5 /min (equivalence test, Holm p < 0.001).")


def test_benjamini_and_hochberg_are_named_where_they_were_asked_for(tmp_path: Path) -> None:
    path = make_study(tmp_path, persons([75, 84, 71, 90, 82, 79], [70, 78, 65.5, 83, 77, 74.25]))
    found = analysed(path, correction="benjamini_hochberg")
    assert "paired t(5) = 16.10, Benjamini–Hochberg p < 0.001" in (
        response_of(found).comparisons[0].sentence
    )
    assert (
        "p values are adjusted by Benjamini and Hochberg’s method"
        in sentences("method", "method", found)[3]
    )
    assert any(
        "not the chance of any error" in text
        for text in sentences("method", "assumptions", found.answer.question)
    )


def test_a_design_that_was_asked_for_is_not_replaced_by_another(tmp_path: Path) -> None:
    path = make_study(tmp_path, persons([70, 78, 66, 83], [72, 77, 67, 80]))
    assert answered(path, design="independent").comparisons[0].sentence == (
        "Heart rate, anger and neutral: no test. Welch’s test needs at least 3 people on each side "
        "with readings in only that state; there are 0 for anger and 0 for neutral. 4 people had "
        "both: a paired design may fit."
    )
    groups = {f"A-{n}": heart(anger=80.0 + n) for n in range(4)} | {
        f"N-{n}": heart(neutral=70.0 + n) for n in range(3)
    }
    path = make_study(tmp_path / "groups", groups)
    assert answered(path, design="paired").comparisons[0].sentence == (
        "Heart rate, anger and neutral: no test. It needs at least 3 people with readings in both "
        "states in one session; there are 0."
    )
    assert (
        analysed(path).answer.tests_computed
        == analysed(path, design="independent").answer.tests_computed
        == 1
    )


def test_result_lost_by_holms_correction_is_no_difference(tmp_path: Path) -> None:
    made = persons([70, 78, 66, 83], [68, 77, 61, 80])
    for code, wobble in zip(made, (1.0, -2.0, 2.5, -1.0), strict=True):
        made[code] = {**made[code], "happiness": {HEART: [70 + wobble]}}
    text = first_sentence(tmp_path, made)
    assert text.startswith(
        "Heart rate did not differ significantly between anger and neutral (difference 2.8 /min"
    )
    assert "p before adjustment = 0.049" in text


def test_doubtful_normality_points_to_the_rank_test(tmp_path: Path) -> None:
    rises = [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 40]
    text = first_sentence(
        tmp_path,
        persons([70 + n + rise for n, rise in enumerate(rises)], [70 + n for n in range(8)]),
    )
    assert ("The differences depart from normality (Shapiro–Wilk p < 0.001); the rank test") in text
    assert text.endswith("does not agree (Holm p = 0.008).")


def test_too_few_people_with_one_state_each_are_told_what_welch_needs(tmp_path: Path) -> None:
    made = persons([70], [72]) | {
        "Q-1": heart(anger=80.0),
        "Q-2": heart(neutral=80.0),
        "Q-3": heart(neutral=81.0),
    }
    text = first_sentence(tmp_path, made)
    assert "there is 1. Welch’s test needs at least 3 people on each side" in text
    assert text.endswith("there is 1 for anger and 2 for neutral.")


def test_equal_differences_are_reported_instead_of_an_endless_t(tmp_path: Path) -> None:
    text = first_sentence(tmp_path, persons([72, 82, 92], [70, 80, 90]))
    assert text == (
        "Heart rate, anger and neutral: no test. The difference is exactly 2.0 /min for all 3 "
        "people, so there is no variation to test against."
    )


def test_made_up_readings_are_named_first(tmp_path: Path) -> None:
    path = make_study(tmp_path, persons([72, 82, 91], [70, 80, 90]), simulated=True)
    assert response_of(analysed(path)).warnings[:2] == (
        (
            "All of these readings are simulated. They show how the page works and say nothing "
            "about people."
        ),
        (
            "No measured session has readings in anger, happiness or neutral yet; the example "
            "study is shown instead."
        ),
    )
    add_session(path, "P-9", heart(anger=99.0))
    ids = [session.id for session in Reader(path).session_list()]
    text = response_of(analysed(path, sample="selected", session=ids)).warnings[0]
    assert text.startswith("Simulated and measured readings are mixed: 6 of 7 are simulated.")


def test_nothing_to_compare_is_reported(tmp_path: Path) -> None:
    path = make_study(tmp_path, {})
    assert ("There is no measured session, so there is nothing to compare.") in response_of(
        analysed(path)
    ).warnings
    assert "There is no example study" in response_of(analysed(path, sample="example")).warnings[0]
    assert (
        "There is no session selected" in response_of(analysed(path, sample="selected")).warnings[0]
    )


def test_flagged_readings_are_counted_in_words(tmp_path: Path) -> None:
    path = make_study(tmp_path, persons([72, 82, 91], [70, 80, 90]))
    add_session(path, "P-0", heart(anger=300.0), flags=[VitalFlag.OUT_OF_RANGE])
    usual = response_of(analysed(path)).cautions
    assert (
        "1 reading in doubt is left out of all means and tests (out of range). If every reading "
        "counted, each test would reach the same conclusion."
    ) in usual
    counted = response_of(analysed(path, count_flagged=["out_of_range"])).cautions
    assert "1 reading in doubt is counted in the means, as chosen." in counted


def test_people_left_out_and_other_states_are_reported(tmp_path: Path) -> None:
    made = persons([72, 82, 91], [70, 80, 90]) | {"Q": heart(anger=70.0)}
    made["R"] = {"fear": {HEART: [99.0]}}
    found = analysed(make_study(tmp_path, made))
    other = "Readings in other states are not tested: fear (1). To compare them, choose"
    assert "Some tests leave out up to 1 person" in " ".join(response_of(found).cautions)
    assert response_of(found).warnings[-1].startswith(other), "they may have been forgotten"
    assert "--states" in response_of(found).warnings[-1]
    chosen = analysed(tmp_path / "affect-edge.db", states=["neutral", "anger"])
    assert not any("other states" in text for text in response_of(chosen).warnings)
    assert any(
        "other states are not tested: fear (1)" in text for text in response_of(chosen).cautions
    )


def test_the_method_names_its_rule_of_states(tmp_path: Path) -> None:
    path = make_study(tmp_path, persons([72, 82, 91], [70, 80.5, 90]))
    assert (
        "condition (stimulus) that was running" in sentences("method", "method", analysed(path))[0]
    )
    observed = sentences(
        "method",
        "method",
        analysed(path, state="observed", window=12, lag_heart_rate=4, share=0.75),
    )[0]
    assert (
        "at least 75 % of the 12 s which end 4 s before a heart-rate reading and 45 s before"
    ) in observed
    assert ("for what could be computed (1 of the 9 tests of the family)") in sentences(
        "method", "method", analysed(path)
    )[3]


def test_the_picture_of_means_names_test_and_family(tmp_path: Path) -> None:
    level = {"anger": 74.0, "happiness": 72.0, "neutral": 70.0}
    made: dict[str, States] = {
        f"P-{n}": {
            state: {HEART: [level[state] + place], SYSTOLIC: [50 + level[state] + place]}
            for place, state in enumerate(order)
        }
        for n, order in enumerate(permutations(level))
    }
    heart_chart, _ = analysis_charts(analysed(make_study(tmp_path, made)))
    assert (
        "(paired t-test over people; p adjusted by the method of Holm over the 6 tests of the "
        "family: 2 measures × 3 pairs of states): anger − neutral 4.0"
    ) in heart_chart.caption
    assert "an interval can exclude 0 while its adjusted p is .05 or more" in heart_chart.caption


def test_the_picture_has_a_line_for_each_person_and_a_mean_beside(tmp_path: Path) -> None:
    made = persons([72, 82, 91], [70, 80, 90])
    made["Q-1"] = {"anger": {HEART: [70.0], SYSTOLIC: [130.0]}}
    charts = analysis_charts(analysed(make_study(tmp_path, made)))
    heart_chart, systolic = charts
    assert (heart_chart.title, systolic.title) == ("Heart rate (1/min)", "Systolic pressure (mmHg)")
    *lines, overall = heart_chart.figure["data"]
    assert [line["y"] for line in lines] == [
        [70, None, 72],
        [80, None, 82],
        [90, None, 91],
        [None, None, 70.0],
    ]
    assert overall["error_y"]["array"][0] == pytest.approx(24.84, abs=0.01)  # t(0.975; 2) · 10 / √3
    assert "neutral 80.0 (55.2 to 104.8), 3 people; happiness: no readings" in heart_chart.sentence
    assert systolic.sentence.endswith("anger 130.0, 1 person.")
    assert "Means are of the whole stimulus but its first 10 s." in heart_chart.caption
    told = "CI (mixed model): anger − neutral 1.7 (−3.8 to 7.2), p = 0.155"
    assert told in heart_chart.caption
    assert "The differences are tested within people" in heart_chart.caption
    assert heart_chart.rows[0] == ("P-0", "70.0", "", "72.0", "2")


def test_whole_degrees_of_freedom_with_a_last_bit_are_reported_whole() -> None:
    assert [exact_df(df) for df in (1.0000000000000002, 10.999999999999998, 10.62)] == [
        *("1", "11", "10.62")
    ]
