"""The table of tests as people read it: every number of a comparison as text, for page and
terminal. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.present.schemas import AnalysisModel, ComparisonModel
from dashboard.analysis.present.study.model_text import factor_text
from dashboard.analysis.present.text import (
    ALPHA,
    df_text,
    interval_text,
    number,
    p_text,
    unit_of,
    vital_name,
)
from dashboard.languages.current import pgettext
from dashboard.languages.figures import thousands
from dashboard.languages.names import state_name


@dataclass(frozen=True, slots=True)
class TestRow:
    """One comparison as text; numbers that could not be computed are empty.

    Attributes:
        comparison: the two states, first minus second.
        test: ``paired``, ``Welch`` or ``none``.
        n: people, or both groups as ``5 + 6``.
        left_out: people whom the test does not use; empty for none.
        difference: mean difference.
        interval: its 95 % interval.
        t: test statistic.
        df: degrees of freedom.
        p: unadjusted p.
        adjusted_p: p adjusted by the method that was asked for.
        g: Hedges' g.
        g_interval: its 95 % interval.
        shapiro: p of the Shapiro–Wilk test; of both groups with Welch's test.
        rank: p of the rank test.
        adjusted_rank: the same, adjusted for the family.
        rank_biserial: the effect size of the rank test.
        equivalence: p of the equivalence test.
        adjusted_equivalence: the same, adjusted for the family.
        needed: people that a difference of the bound's size takes at the level of the family; in
            each group with Welch.
        is_shown: whether the adjusted p is below 0.05.
        sentence: the result in words.
        main_sentence: the same by the main analysis.
        main_is_shown: whether the main analysis says that there is a difference.
        main_sentence_is_tested: whether the main analysis has a test of it.
        model_difference: difference by the mixed model.
        model_interval: its 95 % interval.
        model_df: its degrees of freedom.
        model_adjusted_p: its p, adjusted over the tests of the models.
        model_is_shown: whether that is below 0.05.
        differs: whether model and t-test conclude otherwise.
        bayes_factor: BF10 of the t-test.
    """

    comparison: str
    test: str
    n: str
    left_out: str
    difference: str
    interval: str
    t: str
    df: str
    p: str
    adjusted_p: str
    g: str
    g_interval: str
    shapiro: str
    rank: str
    adjusted_rank: str
    rank_biserial: str
    equivalence: str
    adjusted_equivalence: str
    needed: str
    is_shown: bool
    sentence: str
    main_sentence: str = ""
    main_is_shown: bool = False
    main_sentence_is_tested: bool = False
    model_difference: str = ""
    model_interval: str = ""
    model_df: str = ""
    model_adjusted_p: str = ""
    model_is_shown: bool = False
    differs: bool = False
    bayes_factor: str = ""


@dataclass(frozen=True, slots=True)
class TestGroup:
    """The comparisons of one vital; ``title`` names it and its unit."""

    title: str
    rows: tuple[TestRow, ...]


def groups_of(response: AnalysisModel) -> tuple[TestGroup, ...]:
    """Write the family of tests, one group for each vital."""
    kinds = dict.fromkeys(test.vital for test in response.comparisons)
    return tuple(
        TestGroup(
            f"{vital_name(kind)}, {unit_of(kind)}",
            tuple(
                _with_model(row_of(test), test, response.main == "mixed_model")
                for test in response.comparisons
                if test.vital is kind
            ),
        )
        for kind in kinds
    )


def row_of(test: ComparisonModel) -> TestRow:
    """Write one comparison."""
    return TestRow(
        comparison=f"{state_name(test.first)} − {state_name(test.second)}",
        test=_test_name(test),
        n=_n(test),
        left_out=str(test.left_out or ""),
        difference=_number(test.difference, 1),
        interval=_interval(test.interval, 1),
        t=_number(test.t, 2),
        df="" if test.df is None else df_text(test.df),
        p=_p(test.p),
        adjusted_p=_p(test.adjusted_p),
        g=_number(test.g, 2),
        g_interval=_interval(test.g_interval, 2),
        shapiro=", ".join(_p(shapiro.p) for shapiro in test.shapiro),
        rank="" if test.rank is None else _p(test.rank.p),
        adjusted_rank=_p(test.rank_adjusted_p),
        rank_biserial="" if test.rank is None else _number(test.rank.rank_biserial, 2),
        equivalence="" if test.equivalence is None else _p(test.equivalence.p),
        adjusted_equivalence=_p(test.equivalence_adjusted_p),
        needed=""
        if test.needed_in_family is None
        else _needed(test.needed_in_family.n, in_groups=test.method == "welch"),
        is_shown=test.adjusted_p is not None and test.adjusted_p < ALPHA,
        sentence=test.sentence,
    )


def _with_model(row: TestRow, test: ComparisonModel, is_main: bool) -> TestRow:
    """Add what the mixed model and the Bayes factor say, and which of the sentences is the main
    one.
    """
    factor = test.bayes_factor
    by_factor = ""
    if factor is not None:
        by_factor = factor_text(factor.for_difference or float("inf"))
    row = replace(
        row,
        main_sentence=row.sentence,
        main_is_shown=row.is_shown,
        main_sentence_is_tested=test.adjusted_p is not None,
        bayes_factor=by_factor,
    )
    model = test.by_model
    if model is None:
        return row
    row = replace(
        row,
        model_difference=number(model.difference),
        model_interval=_interval(model.interval, 1),
        model_df=df_text(round(model.df, 1)),
        model_adjusted_p=p_text(model.adjusted_p),
        model_is_shown=model.adjusted_p < ALPHA,
        differs=model.differs,
    )
    if not is_main:
        return row
    return replace(
        row,
        main_sentence=model.sentence,
        main_is_shown=row.model_is_shown,
        main_sentence_is_tested=True,
    )


def _test_name(test: ComparisonModel) -> str:
    match test.method:
        case "paired":
            return pgettext("t-test", "paired")
        case "welch":
            return "Welch"
        case _:
            return pgettext("t-test", "none")


def _n(test: ComparisonModel) -> str:
    if test.method == "welch":
        return f"{test.n_first} + {test.n_second}"
    return str(test.n_first if test.method else test.n_both)


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return ""
    return number(value, digits)


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return p_text(value)


def _needed(n: int, *, in_groups: bool) -> str:
    if in_groups:
        return f"{thousands(n)} + {thousands(n)}"
    return thousands(n)


def _interval(interval: IntervalModel | None, digits: int) -> str:
    if interval is None:
        return ""
    return interval_text(interval.low, interval.high, digits)
