"""Groups of people and states at once: analysis of variance of a split-plot design. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics.anova import greenhouse_geisser
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import MINIMUM, NoVariationError, TooFewError, is_constant
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message


@dataclass(frozen=True, slots=True)
class FTest:
    """One F test.

    Attributes:
        f: the statistic.
        df: degrees of freedom of effect and error; those that ``p`` is of.
        p: unadjusted.
        partial_eta_squared: share of the effect in effect and error, 0…1.
    """

    f: float
    df: tuple[float, float]
    p: float
    partial_eta_squared: float


@dataclass(frozen=True, slots=True)
class MixedAnova:
    """Groups between people, states within them.

    Attributes:
        sizes: people of each group.
        states: how many states.
        groups: whether the groups differ over all states.
        interaction: whether the states differ otherwise in one group than in another; both df are
            multiplied by ``epsilon``.
        epsilon: Greenhouse and Geisser's estimate, from what is left within the groups.
    """

    sizes: tuple[int, ...]
    states: int
    groups: FTest
    interaction: FTest
    epsilon: float


def mixed_anova(groups: Sequence[Sequence[Sequence[float]]]) -> MixedAnova:
    """Do groups of people differ, and do the states differ otherwise between them?

    Formula, for N people in G groups of n_g, k states, M the mean of all values, and means of
    people i, groups g and cells gs:
        SS_groups = k Σ n_g (mean_g − M)², SS_people = k Σ (mean_i − mean_g)²
        F = (SS_groups / (G − 1)) / (SS_people / (N − G))
        SS_interaction = Σ n_g (mean_gs − mean_g − mean_s + M)², mean_s over all people
        SS_error = Σ (value − mean_i − mean_gs + mean_g)²
        F = (SS_interaction / ((G − 1)(k − 1))) / (SS_error / ((N − G)(k − 1)))
    Neither depends on an order of the factors where groups are unequal, for everybody has all
    states. Assumes independent people, normal values, and the same spread in each group; equal
    variances of all differences between states are not assumed, for both degrees of freedom of the
    interaction are multiplied by ε always. Where a smaller group varies more, p is too small, where
    a larger one does, too large: compare the groups by Welch's test beside it. Source: Greenhouse &
    Geisser 1959; Winer, Brown & Michels 1991, ch. 7. Equal to R's ``aov(value ~ group * state +
    Error(person / state))`` and, for ε, ``anova(lm(cbind(…) ~ group), X = ~1, test =
    "Spherical")``.

    Args:
        groups: of each group its people, each with one value a state.

    Raises:
        TooFewError: fewer than three people in a group.
        NoVariationError: people of a group do not differ, or the states differ by the same amounts
            for all of them.
        StatisticsError: fewer than two groups or states, or a value that is not finite.
    """
    tables = _tables(groups)
    sizes = tuple(len(table) for table in tables)
    every = np.concatenate(tables)
    n, k = every.shape
    grand = float(every.mean())
    own = np.concatenate([table.mean(axis=1) - table.mean() for table in tables])
    left = np.concatenate([_residuals(table) for table in tables])
    _check_variation(own, left, every)
    of_groups = sum(len(table) * (float(table.mean()) - grand) ** 2 for table in tables)
    shape = every.mean(axis=0) - grand
    of_cells = sum(
        len(table) * _squares(table.mean(axis=0) - table.mean() - shape) for table in tables
    )
    df_groups = len(tables) - 1
    df_people = n - len(tables)
    epsilon = greenhouse_geisser(left)
    return MixedAnova(
        sizes=sizes,
        states=k,
        groups=_f_test(k * of_groups, k * _squares(own), (df_groups, df_people), 1.0),
        interaction=_f_test(
            of_cells, _squares(left), (df_groups * (k - 1), df_people * (k - 1)), epsilon
        ),
        epsilon=epsilon,
    )


def _f_test(effect: float, error: float, df: tuple[int, int], epsilon: float) -> FTest:
    f = (effect / df[0]) / (error / df[1])
    corrected = (epsilon * df[0], epsilon * df[1])
    p = float(special.fdtrc(*corrected, f))
    return FTest(f, corrected, p, effect / (effect + error))


def _residuals(table: Values) -> Values:
    """Return what is left of the values of a group without its people and its states."""
    centred = table - table.mean()
    of_people = centred.mean(axis=1, keepdims=True)
    of_states = centred.mean(axis=0, keepdims=True)
    return np.asarray(centred - of_people - of_states)


def _check_variation(own: Values, left: Values, every: Values) -> None:
    if is_constant(own, every):
        raise NoVariationError(
            N_("people of a group do not differ from each other, so F is undefined")
        )
    if is_constant(left, every):
        raise NoVariationError(
            N_("the states differ by the same amounts for everybody of a group, so F is undefined")
        )


def _squares(values: Values) -> float:
    return float(np.sum(np.square(values)))


def _tables(groups: Sequence[Sequence[Sequence[float]]]) -> list[Values]:
    """Return for each group people by states, checked."""
    if len(groups) < 2:
        raise StatisticsError(
            Message(N_("groups are compared from 2 on; there is {n}"), n=len(groups))
        )
    smallest = min(len(group) for group in groups)
    if smallest < MINIMUM:
        raise TooFewError(
            Message(
                N_(
                    "each group needs at least {minimum} people with all states; one has {smallest}"
                ),
                minimum=MINIMUM,
                smallest=smallest,
            )
        )
    widths = {len(person) for group in groups for person in group}
    if len(widths) != 1 or min(widths) < 2:
        raise StatisticsError(
            Message(
                N_("every person needs a value in each of 2 states or more, not {sorted}"),
                sorted=sorted(widths),
            )
        )
    tables = [np.asarray(group, dtype=np.float64) for group in groups]
    if not all(bool(np.isfinite(table).all()) for table in tables):
        raise StatisticsError(N_("a value is not finite; leave the participant out or mend it"))
    return tables
