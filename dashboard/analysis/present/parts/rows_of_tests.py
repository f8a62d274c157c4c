"""The rows of the table of tests, as text. They need no statistics to be read."""

from __future__ import annotations

from dataclasses import dataclass


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
        main_difference: difference by the main analysis.
        main_interval: its 95 % interval.
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
    main_difference: str = ""
    main_interval: str = ""
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
