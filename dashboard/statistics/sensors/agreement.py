"""How far two instruments agree that measured the same people many times. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics.samples import Interval, NoVariationError, TooFewError, checked
from edge_agent.core.texts import N_, Message

_NORMAL = 1.96  # as Bland and Altman write it
_TAIL = 0.975


@dataclass(frozen=True, slots=True)
class LimitsOfAgreement:
    """What a difference of two instruments, first minus second, comes to.

    Attributes:
        n: differences.
        people: how many people they are of.
        bias: their mean.
        sd: standard deviation of a single difference of anybody: within and between people.
        limits: bias ± 1.96 sd; 95 % of single differences lie between, if they are normal.
    """

    n: int
    people: int
    bias: float
    sd: float
    limits: Interval


def limits_of_agreement(people: Sequence[str], differences: Sequence[float]) -> LimitsOfAgreement:
    """Return Bland and Altman's limits for repeated measures whose true value varies.

    Formula: a one-way analysis of variance of the differences by person gives MS between and
    within; the variance of a single difference is MSw + (MSb − MSw) / m₀, where m₀ = ((Σm)² − Σm²)
    / ((k − 1) Σm) for k people with m differences each (an MSb below MSw adds nothing). Assumes
    that the differences do not grow with the value, and are about normal. Source: Bland & Altman
    2007, J Biopharm Stat 17:571–582, section 3.

    Args:
        people: whose difference each is.
        differences: first instrument minus second, at the same time.

    Raises:
        TooFewError: fewer than two people, or nobody has two differences.
        StatisticsError: a value is not finite.
    """
    values = checked(differences)
    counts = Counter(people)
    if len(counts) < 2 or len(values) == len(counts):
        raise TooFewError(
            Message(
                N_(
                    "limits of agreement need two people or more, and one with several "
                    "differences; there are {n} of {n_2}"
                ),
                n=len(values),
                n_2=len(counts),
            )
        )
    own: defaultdict[str, list[float]] = defaultdict(list)
    for person, value in zip(people, values.tolist(), strict=True):
        own[person].append(value)
    total = len(values)
    bias = float(values.mean())
    means = {person: math.fsum(row) / len(row) for person, row in own.items()}
    between = math.fsum(counts[person] * (means[person] - bias) ** 2 for person in own)
    within = math.fsum((value - means[person]) ** 2 for person, row in own.items() for value in row)
    ms_between = between / (len(own) - 1)
    ms_within = within / (total - len(own))
    squares = sum(count**2 for count in counts.values())
    usual = (total**2 - squares) / ((len(own) - 1) * total)
    sd = math.sqrt(ms_within + max(0.0, ms_between - ms_within) / usual)
    limits = Interval(bias - _NORMAL * sd, bias + _NORMAL * sd)
    return LimitsOfAgreement(total, len(own), bias, sd, limits)


@dataclass(frozen=True, slots=True)
class IntraclassCorrelation:
    """ICC(A,1): how much of the variance of single values is between people, bias counted.

    Attributes:
        n: people.
        icc: at most 1; below 0 where the instruments differ more than people.
        interval: its 95 % interval.
    """

    n: int
    icc: float
    interval: Interval


def intraclass_correlation(
    first: Sequence[float], second: Sequence[float]
) -> IntraclassCorrelation:
    """Return ICC(A,1) of two instruments, a value of each person each.

    Formula: (MSR − MSE) / (MSR + (k − 1) MSE + k (MSC − MSE) / n), k = 2, of a two-way analysis of
    variance by people (R) and instruments (C); interval of case 2A with Satterthwaite's degrees of
    freedom. It depends on how much people differ: wide people make it large. Source: McGraw & Wong
    1996, Psychological Methods 1:30–46, tables 4 and 7.

    Raises:
        TooFewError: fewer than three people.
        NoVariationError: all values are equal, or the two instruments agree to the last digit.
        StatisticsError: a value is not finite.
    """
    table = np.column_stack([checked(first), checked(second)])
    n = len(table)
    k = 2
    if n < 3:
        raise TooFewError(
            Message(N_("an intraclass correlation needs three people; there are {n}"), n=n)
        )
    grand = table.mean()
    msr = k * float(np.sum((table.mean(axis=1) - grand) ** 2)) / (n - 1)
    msc = n * float(np.sum((table.mean(axis=0) - grand) ** 2)) / (k - 1)
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + grand
    mse = float(np.sum(rest**2)) / ((n - 1) * (k - 1))
    if mse <= 1e-24 * max(1.0, grand**2):
        raise NoVariationError(N_("the instruments differ by the same amount in everybody"))
    icc = (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    df = (a * msc + b * mse) ** 2 / (
        (a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1))
    )
    above = float(special.fdtri(n - 1, df, _TAIL))
    below = float(special.fdtri(df, n - 1, _TAIL))
    noise = k * msc + (k * n - k - n) * mse
    low = n * (msr - above * mse) / (above * noise + n * msr)
    high = n * (below * msr - mse) / (noise + n * below * msr)
    return IntraclassCorrelation(n, icc, Interval(low, high))
