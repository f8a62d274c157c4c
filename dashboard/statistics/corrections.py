"""P values adjusted for tests that are shown together. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

P = TypeVar("P", float, float | None)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of one family by Holm's step-down method; the order stays.

    Formula, for p₍₁₎ ≤ … ≤ p₍ₘ₎: adjusted p₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) · p₍ⱼ₎).
    Bounds the chance of any false positive in the family by the level, whatever the dependence
    between the tests. Source: Holm 1979.

    Raises:
        StatisticsError: a p is not in 0…1.
    """
    order = _rising(p_values)
    stepped = (
        min(1.0, (len(order) - place) * p_values[index]) for place, index in enumerate(order)
    )
    # A larger p must not be adjusted below a smaller one.
    return _restore_order(order, list(accumulate(stepped, max)))


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust the p values of one family by the step-up method of Benjamini and Hochberg.

    The order stays.

    Formula, for p₍₁₎ ≤ … ≤ p₍ₘ₎: adjusted p₍ᵢ₎ = min over j ≥ i of min(1, m · p₍ⱼ₎ / j). Bounds the
    expected share of false positives among what is called a difference (the false discovery rate),
    which is less than Holm's method promises: with nine tests of which all are null it errs as
    often, with some real differences more often. Assumes tests that are independent or positively
    dependent. Source: Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001 for dependence. Equal
    to R's ``p.adjust(p, "BH")``. An adjusted p is never smaller than its p.

    Raises:
        StatisticsError: a p is not in 0…1.
    """
    order = _rising(p_values)
    count = len(order)
    # The division comes first, as in R: the factor is then at least 1, so rounding cannot take a p
    # below itself.
    factors = [count / place for place in range(1, count + 1)]
    stepped = [
        min(1.0, factor * p_values[index]) for factor, index in zip(factors, order, strict=True)
    ]
    # From the largest p down: step-up takes the least of all that are not smaller.
    return _restore_order(order, list(accumulate(reversed(stepped), min))[::-1])


def within_families(
    adjust: Callable[[Sequence[float]], Sequence[float]],
    p_values: Sequence[P],
    families: Sequence[int] = (),
) -> tuple[P, ...]:
    """Adjust the p values of several families, each by itself; the order stays, and ``None``, which
    belongs to no family.

    >>> within_families(holm, (0.01, 0.04, 0.02), (0, 1, 0))
    (0.02, 0.04, 0.02)

    Args:
        adjust: ``holm`` or ``benjamini_hochberg``.
        p_values: of all families.
        families: for each p the number of its family; empty: all are one.

    Raises:
        StatisticsError: a p is not in 0…1, or there is not one number for each p.
    """
    if families and len(families) != len(p_values):
        raise StatisticsError(
            N_("{n} p values have {n_2} families"), n=len(p_values), n_2=len(families)
        )
    adjusted = list(p_values)
    computed: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for place, p in enumerate(p_values):
        if p is not None:
            computed[families[place] if families else 0][place] = p
    for own in computed.values():
        for place, stepped in zip(own, adjust(list(own.values())), strict=True):
            adjusted[place] = stepped
    return tuple(adjusted)


def _rising(p_values: Sequence[float]) -> list[int]:
    """Return the places of the p values from the smallest to the largest, after checking them."""
    for p in p_values:
        # NaN fails this comparison, too.
        if not 0 <= p <= 1:
            raise StatisticsError(N_("a p value lies between 0 and 1; {p} does not"), p=p)
    return sorted(range(len(p_values)), key=p_values.__getitem__)


def _restore_order(order: Sequence[int], in_order: Sequence[float]) -> tuple[float, ...]:
    """Return values that stand in ``order`` in the order of the family."""
    by_place = dict(zip(order, in_order, strict=True))
    return tuple(by_place[place] for place in range(len(order)))
