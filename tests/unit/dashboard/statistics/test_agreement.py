"""Cohen's kappa, and the agreement of two instruments, against R."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dashboard.statistics.agreement import (
    Judgement,
    NoInterval,
    cohens_kappa,
    intraclass_correlation,
    limits_of_agreement,
)
from dashboard.statistics.samples import NoVariationError, TooFewError

Table = tuple[tuple[int, ...], ...]


THREE: Table = ((20, 5, 3), (4, 15, 6), (1, 2, 24))


TWO: Table = ((8, 1), (2, 9))


CROSSED: Table = ((0, 3), (4, 1))


# R 4.2.2, base R, from the table's shares: po, pe, kappa, and kappa ± qt(.975, n - 1) * se * sqrt(n
# / (n - 1)), with se by Fleiss, Cohen & Everitt 1969, eq. 13: sqrt((A + B - C) / (n * (1 - pe)^4))
FROM_R = (
    (
        THREE,
        (0.7375, 0.33453124999999995, 0.6055412068560696),
        (0.45947426559764154, 0.75160814811449761),
    ),
    (TWO, (0.85, 0.5, 0.7), (0.35880700633016327, 1.0)),  # R: 1.0411929936698372, cut at 1
    # R: -1.3223843966535644, cut at -1
    (CROSSED, (0.125, 0.5, -0.75), (-1.0, -0.17761560334643556)),
)


def judgements(table: Table, people: int = 10_000) -> list[Judgement]:
    """The judgements of a table, given in turns to ``people`` participants."""
    cells = [
        (i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)
    ]
    return [Judgement(f"P{n % people}", "abc"[i], "abc"[j]) for n, (i, j) in enumerate(cells)]


@pytest.mark.parametrize(("table", "kappa", "interval"), FROM_R)
def test_kappa_and_its_interval_equal_r_with_one_judgement_a_participant(
    table: Table, kappa: tuple[float, float, float], interval: tuple[float, float]
) -> None:
    found = cohens_kappa(judgements(table))
    assert found.table == table
    assert (found.observed, found.expected, found.kappa) == pytest.approx(kappa, rel=1e-9)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(interval, rel=1e-9)


def test_asking_everybody_twice_does_not_narrow_the_interval() -> None:
    once = cohens_kappa(judgements(THREE))
    twice = cohens_kappa([judgement for judgement in judgements(THREE) for _ in range(2)])
    assert (twice.n, twice.participants) == (160, 80)
    assert twice.kappa == pytest.approx(once.kappa)
    assert once.interval is not None and twice.interval is not None
    assert twice.interval.low == pytest.approx(once.interval.low)


def simulated(rng: np.random.Generator, people: int) -> list[Judgement]:
    """Six judgements each of people whom the first source reads well or badly, and the second
    always equally well.
    """
    found = []
    for person in range(people):
        skill = rng.beta(6, 2.5)
        for trial in range(6):
            truth = trial % 3
            first = truth if rng.random() < skill else rng.integers(3)
            second = truth if rng.random() < 0.85 else rng.integers(3)
            found.append(Judgement(str(person), "abc"[first], "abc"[second]))
    return found


def test_interval_holds_kappa_of_population_in_95_percent_of_small_studies() -> None:
    rng = np.random.default_rng(3)
    true = cohens_kappa(simulated(rng, 2_000)).kappa
    intervals = [cohens_kappa(simulated(rng, 12)).interval for _ in range(200)]
    held = [
        interval is not None and interval.low <= true <= interval.high for interval in intervals
    ]
    assert 0.91 <= np.mean(held) <= 0.99


def test_two_participants_have_no_interval_however_often_they_judged() -> None:
    two = cohens_kappa(judgements(THREE, people=2))
    assert (two.interval, two.no_interval) == (None, NoInterval.TOO_FEW)
    assert cohens_kappa(judgements(THREE, people=3)).interval is not None


def test_perfect_agreement_is_1_without_an_interval() -> None:
    found = cohens_kappa(judgements(((5, 0), (0, 4))))
    assert (found.kappa, found.interval, found.no_interval) == (1.0, None, NoInterval.PERFECT)


@pytest.mark.parametrize(
    "table",
    [((7, 3), (0, 0)), ((7, 0), (3, 0)), ((4, 3, 7), (0, 0, 0), (0, 0, 0))],
    ids=["first", "second", "three labels"],
)
def test_a_source_that_always_says_same_has_a_kappa_of_0_and_no_interval(table: Table) -> None:
    found = cohens_kappa(judgements(table))
    assert found.kappa == pytest.approx(0.0, abs=1e-15)
    assert (found.interval, found.no_interval) == (None, NoInterval.CONSTANT)


def test_participants_who_all_agree_give_no_interval() -> None:
    said = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "b"), ("a", "a"), ("b", "a"), ("a", "a")]
    found = cohens_kappa([Judgement(f"P{n}", *pair) for n in range(9) for pair in said])
    assert found.kappa == pytest.approx(10 / 24)  # p_o = 5/7, p_e = (4 · 4 + 3 · 3) / 49
    assert (found.interval, found.no_interval) == (None, NoInterval.NO_SPREAD)


def test_labels_come_in_the_order_given_and_others_after_them() -> None:
    found = cohens_kappa(
        [Judgement("a", "anger", "fear"), Judgement("b", "neutral", "neutral")],
        ["neutral", "anger"],
    )
    assert found.labels == ("neutral", "anger", "fear")
    assert found.table == ((1, 0, 0), (0, 0, 1), (0, 0, 0))


def test_nothing_said_and_one_label_only_are_refused() -> None:
    with pytest.raises(TooFewError, match="at least 1 judgement by both sources; there are 0"):
        cohens_kappa([])
    with pytest.raises(NoVariationError, match="both sources gave a every time"):
        cohens_kappa(judgements(((5,),)))


PEOPLE = ["a", "a", "a", "b", "b", "c", "c", "c", "c", "d"]


DIFFERENCES = [1.5, 2.25, 0.5, -1, 0.25, 3, 2.5, 4, 3.25, 0.75]


FIRST = [62.0, 71.5, 80.25, 55.0, 90.0, 68.0]


SECOND = [64.5, 70.0, 84.0, 58.5, 93.0, 69.0]


def test_limits_count_what_people_differ_by_and_what_each_varies_by() -> None:
    found = limits_of_agreement(PEOPLE, DIFFERENCES)
    assert (found.n, found.people) == (10, 4)
    numbers = (found.bias, found.sd, found.limits.low, found.limits.high)
    known = (1.7, 1.72937104357313, -1.68956724540333, 5.08956724540333)
    assert numbers == pytest.approx(known, rel=1e-12)


def test_limits_have_intervals_by_how_many_people_they_are_of() -> None:
    found = limits_of_agreement(PEOPLE, DIFFERENCES)
    intervals = (found.bias_interval, found.low_interval, found.high_interval)
    # Zou 2013, section 3.2, written out with scipy.stats.chi2 and scipy.stats.t (SciPy 1.17)
    known = (
        *(-0.673039715894707, 4.073039715894708),
        *(-9.674640842275767, 0.174288857519086),
        *(3.225711142480915, 13.074640842275768),
    )
    ends = tuple(end for one in intervals for end in (one.low, one.high))
    assert ends == pytest.approx(known, rel=1e-12)
    more = limits_of_agreement([*PEOPLE, *"efghefgh"], [*DIFFERENCES, *[1.0, 2.0] * 4])
    assert more.low_interval.high - more.low_interval.low < 6.5, "more people, narrower"


def test_limits_of_one_person_or_of_single_differences_are_refused() -> None:
    with pytest.raises(TooFewError, match="there are 3 of 1"):
        limits_of_agreement(["a"] * 3, [1.0, 2.0, 3.0])
    with pytest.raises(TooFewError, match="there are 3 of 3"):
        limits_of_agreement(["a", "b", "c"], [1.0, 2.0, 3.0])


# R 4.2.2, base R: the mean squares of anova(lm(value ~ person + instrument)) in the formulas of
# McGraw & Wong 1996, tables 4 and 7, case 2A, with qf. The last two are judges 1 and 4, and 1 and
# 2, of Shrout & Fleiss 1979, table 2.
ICC_OF_R = (
    (FIRST, SECOND, (0.9772098788976830, 0.7069316821300462, 0.9970438883869475)),
    (
        (9, 6, 8, 7, 10, 6),
        (8, 2, 8, 6, 9, 7),
        (0.6478873239436622, -0.0600694997242952, 0.9391485672053501),
    ),
    (
        (9, 6, 8, 7, 10, 6),
        (2, 1, 4, 1, 5, 2),
        (0.1256544502617800, -0.0236532215432571, 0.5998514840379151),
    ),
)


@pytest.mark.parametrize(("first", "second", "known"), ICC_OF_R)
def test_an_intraclass_correlation_and_its_interval_equal_r(
    first: Sequence[float], second: Sequence[float], known: tuple[float, ...]
) -> None:
    found = intraclass_correlation(first, second)
    assert (found.icc, found.interval.low, found.interval.high) == pytest.approx(known, rel=1e-9)


def test_instruments_that_differ_by_a_constant_have_no_correlation_to_tell() -> None:
    with pytest.raises(NoVariationError, match="the same amount in everybody"):
        intraclass_correlation([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    with pytest.raises(TooFewError, match="there are 2"):
        intraclass_correlation([1.0, 2.0], [2.0, 3.0])
