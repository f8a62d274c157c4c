"""The tests of a question as its families, from the readings that count, and what the family makes
of the numbers beside its t-tests: rank tests, equivalence tests, and how many people are needed.
Pure.

A sentence says what holds after the correction that decides the t-tests: nine chances to be wrong
are nine chances for a rank test and for an equivalence test, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from dashboard.analysis.conclusions import Doubt, shows
from dashboard.analysis.inference.comparison import Comparison, compare_family, compare_states
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, Correction
from dashboard.analysis.readings.means import Sides, Visits, sides_of, states_together
from dashboard.analysis.results import AllStatesModel
from dashboard.statistics.corrections import P, benjamini_hochberg, holm, within_families
from dashboard.statistics.planning import RequiredSample, first_step, still_needed
from dashboard.statistics.t_tests import Equivalence
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure


@dataclass(frozen=True, slots=True)
class InFamily:
    """One comparison as its family decides it.

    Attributes:
        tests: how many comparisons of the family were computed.
        rank_p: p of the rank test, adjusted over the rank tests of the family.
        equivalence_p: p of the equivalence test, adjusted over those of the family.
        required_sample: how many people a difference of the size of the bound needs, at ``level``;
            ``None`` where no study could have so many.
        doubt: why a difference may not be called excluded whatever p says; ``None`` for no reason.
    """

    tests: int
    rank_p: float
    equivalence_p: float
    required_sample: RequiredSample | None
    doubt: Doubt | None = None

    @property
    def level(self) -> float:
        """The level that the smallest p of the family must reach."""
        return first_step(self.tests)

    @property
    def equivalent(self) -> bool:
        """Tell whether a difference of the size of the bound or more is excluded."""
        return shows(self.equivalence_p) and not self.doubt


def compare_visits(visits: Visits, query: AnalysisQuery) -> tuple[Comparison, ...]:
    """Compare every pair of states of every vital that is asked for, in that order."""
    every = _sides(visits, query)
    compared = compare_family(
        ((sides.first, sides.second) for sides in every), query.design, query.families
    )
    return tuple(
        _with_apart(comparison, len(sides.apart))
        for comparison, sides in zip(compared, every, strict=True)
    )


def compare_all_states(
    visits: Visits, kind: Measure, states: Sequence[str] = TESTED_STATES
) -> AllStatesModel:
    """Compare all states of a vital at once, over the people who have all of them in a session; p
    is of this vital alone, and there is no sentence yet.
    """
    together = states_together(visits, kind, states)
    compared = compare_states(together.columns)
    anova = compared.anova
    return AllStatesModel(
        vital=kind,
        n=compared.n,
        left_out=together.left_out,
        f=anova and anova.f,
        epsilon=anova and anova.epsilon,
        df=anova and anova.corrected_df,
        p=anova and anova.corrected_p,
        partial_eta_squared=anova and anova.partial_eta_squared,
        generalized_eta_squared=anova and anova.generalized_eta_squared,
        obstacle=compared.obstacle,
        sentence="",
    )


def adjusted_by(
    correction: Correction, p_values: Sequence[P], families: Sequence[int] = ()
) -> tuple[P, ...]:
    """Return p values adjusted by the method that was asked for, within each family; all are one
    where no families are given.

    Raises:
        StatisticsError: a p is not in 0…1.
    """
    method = holm if correction is Correction.HOLM else benjamini_hochberg
    return within_families(method, p_values, families)


def in_family(
    pairs: Iterable[tuple[Comparison, Equivalence | None]],
    correction: Correction,
    families: Sequence[int] = (),
) -> tuple[InFamily | None, ...]:
    """Decide what stands beside the t-tests of a family; ``None`` for those without numbers.

    The three families (t-tests, rank tests, equivalence tests) have the same members, and each is
    adjusted by itself with the same method.

    Args:
        pairs: the comparisons with their equivalence tests.
        correction: the method.
        families: for each comparison the number of its family; empty: all are one.

    Raises:
        StatisticsError: as the tests.
    """
    every = list(pairs)
    own = families or [0] * len(every)
    # The same members in each family, or each would be corrected by another number of tests.
    ranks = [c.tests.rank.p if c.tests and e else None for c, e in every]
    rank_p = adjusted_by(correction, ranks, own)
    equivalence_p = adjusted_by(correction, [e.p if c.tests and e else None for c, e in every], own)
    # Only tests that could be computed count: the others cannot err.
    sizes = Counter(family for family, p in zip(own, ranks, strict=True) if p is not None)
    return tuple(
        None
        if rank is None or other is None or e is None
        else InFamily(sizes[family], rank, other, required_sample(c, e, sizes[family]))
        for (c, e), family, rank, other in zip(every, own, rank_p, equivalence_p, strict=True)
    )


def required_sample(
    comparison: Comparison, declared: Equivalence, tests: int = 1
) -> RequiredSample | None:
    """Return how many people a difference of the size of the bound needs, at the level that the
    smallest p of so many tests must reach; ``None`` where no study could have so many.
    """
    c = comparison
    with suppress(StatisticsError):  # the bound is too small for any study to find it
        return still_needed(
            c.first, c.second, declared.method, declared.bounds.high, alpha=first_step(tests)
        )
    return None


def _sides(visits: Visits, query: AnalysisQuery) -> list[Sides]:
    return [sides_of(visits, kind, *pair) for kind in query.vital for pair in query.pairs]


def _with_apart(comparison: Comparison, apart: int) -> Comparison:
    """Count those who have both states in different sessions among those who are left out."""
    # Without a test there is nothing that they could be left out of.
    if comparison.method is None:
        return replace(comparison, n_apart=apart)
    return replace(comparison, n_apart=apart, left_out=comparison.left_out + apart)
