"""Analysis of variance over all states at once: repeated measures, and groups of people beside them
(split plot). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics import MINIMUM
from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import NoVariationError, TooFewError, check_values, is_constant
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_


@dataclass(frozen=True, slots=True)
class RepeatedAnova:
    """A one-way analysis of variance with every participant in every state.

    Attributes:
        n: participants.
        states: how many states.
        f: the test statistic.
        df_states: degrees of freedom of the states, uncorrected.
        df_error: degrees of freedom of the error, uncorrected.
        p: p if the covariances were spherical; report ``corrected_p``.
        epsilon: Greenhouse and Geisser's estimate, 1 / (states − 1) … 1; 1 is spherical.
        corrected_p: p with both degrees of freedom multiplied by ``epsilon``.
        partial_eta_squared: share of the states in what is not between participants, 0…1.
        generalized_eta_squared: share of the states in everything, 0…1; comparable between designs.
    """

    n: int
    states: int
    f: float
    df_states: int
    df_error: int
    p: float
    epsilon: float
    corrected_p: float
    partial_eta_squared: float
    generalized_eta_squared: float

    @property
    def corrected_df(self) -> tuple[float, float]:
        """Degrees of freedom of states and error that belong to ``corrected_p``."""
        return self.epsilon * self.df_states, self.epsilon * self.df_error


def repeated_anova(states: Sequence[Iterable[float]]) -> RepeatedAnova:
    """Test whether the means of the states differ at all, within participants.

    Formula, for n participants, k states, M the mean of all values:
        SS_states = n Σ (mean of state − M)², SS_people = k Σ (mean of participant − M)²,
        SS_error = Σ (value − mean of state − mean of participant + M)²
        F = (SS_states / (k − 1)) / (SS_error / ((k − 1)(n − 1)))
        ε = (Σ λ)² / ((k − 1) Σ λ²), λ the eigenvalues of the states' covariances, centred by rows
        and columns partial η² = SS_states / (SS_states + SS_error) generalized η² = SS_states /
        (SS_states + SS_people + SS_error)
    Assumes independent participants and normal values; equal variances of all pairwise differences
    (sphericity) are not assumed, because ε corrects for it always, never after a test of
    sphericity. A participant who lacks a state must be left out by the caller. Source: Greenhouse &
    Geisser 1959; Olejnik & Algina 2003, Bakeman 2005 for the generalized η². Equal to R's
    ``anova(lm(cbind(…) ~ 1), X = ~1, test = "Spherical")``. For two states F = t² of the paired
    test.

    Args:
        states: for each state one value a participant; the same participants in the same order.

    Raises:
        TooFewError: fewer than three participants.
        NoVariationError: every participant differs between the states by the same amounts.
        StatisticsError: fewer than two states, lengths differ, or a value is not finite or beyond
            1e±60.
    """
    values = _table(states)
    n, k = values.shape
    # Centred first: sums of squares of raw values lose the digits in which people differ.
    centred = values - values.mean()
    of_people = centred.mean(axis=1, keepdims=True)
    of_states = centred.mean(axis=0, keepdims=True)
    error = centred - of_people - of_states
    # Rounding leaves a little of a perfect fit; F would be that noise in the denominator.
    if is_constant(error, values):
        raise NoVariationError(
            N_("the states differ by the same amounts for all {n} participants, so F is undefined"),
            n=n,
        )
    ss_states = n * _squares(of_states)
    ss_people = k * _squares(of_people)
    ss_error = _squares(error)
    df_states = k - 1
    df_error = (k - 1) * (n - 1)
    f = (ss_states / df_states) / (ss_error / df_error)
    epsilon = greenhouse_geisser(error)
    return RepeatedAnova(
        n=n,
        states=k,
        f=f,
        df_states=df_states,
        df_error=df_error,
        p=float(special.fdtrc(df_states, df_error, f)),
        epsilon=epsilon,
        corrected_p=float(special.fdtrc(epsilon * df_states, epsilon * df_error, f)),
        partial_eta_squared=ss_states / (ss_states + ss_error),
        generalized_eta_squared=ss_states / (ss_states + ss_people + ss_error),
    )


def greenhouse_geisser(error: Values) -> float:
    """Return ε from the values freed of state and participant (participants × states), whose cross
    products are the centred covariances.
    """
    # ε has no scale; fourth powers of tiny values would vanish
    scaled = error / np.max(np.abs(error))
    products = scaled.T @ scaled
    epsilon: float = float(np.trace(products)) ** 2 / (
        (error.shape[1] - 1) * float(np.sum(products**2))
    )
    return min(1.0, epsilon)  # for two states it is 1 but for rounding


def _squares(values: Values) -> float:
    return float(np.sum(np.square(values)))


def _table(states: Sequence[Iterable[float]]) -> Values:
    """Return participants by states, checked."""
    columns = [check_values(values) for values in states]
    if len(columns) < 2:
        raise StatisticsError(
            N_("an analysis of variance needs at least 2 states; there is {n}"), n=len(columns)
        )
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        raise StatisticsError(
            N_(
                "every participant needs a value in every state; the states have {lengths} "
                "to {lengths_2} values"
            ),
            lengths=lengths[0],
            lengths_2=lengths[-1],
        )
    if lengths[0] < MINIMUM:
        raise TooFewError(
            N_(
                "a repeated-measures analysis of variance needs at least {minimum} "
                "participants with all {n} states; there are {lengths}"
            ),
            minimum=MINIMUM,
            n=len(columns),
            lengths=lengths[0],
        )
    return np.column_stack(columns)


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
        epsilon: Greenhouse and Geisser's ε, estimated from the residuals: each value less the means
            of its person and of its state in the group, plus the mean of the group.
    """

    sizes: tuple[int, ...]
    states: int
    groups: FTest
    interaction: FTest
    epsilon: float


def mixed_anova(groups: Sequence[Sequence[Sequence[float]]]) -> MixedAnova:
    """Test whether groups of people differ, and whether the states differ otherwise between them.

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
    # From the mean of the own group: groups that differ must not look like people who differ.
    own = np.concatenate([table.mean(axis=1) - table.mean() for table in tables])
    left = np.concatenate([_residuals(table) for table in tables])
    _check_variation(own, left, every)
    of_groups = sum(len(table) * (float(table.mean()) - grand) ** 2 for table in tables)
    # Over all people, not over the groups' means, so that a large group counts with its size.
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
        # Groups are compared by one mean a person, which has no sphericity to correct for.
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


def _tables(groups: Sequence[Sequence[Sequence[float]]]) -> list[Values]:
    """Return for each group people by states, checked."""
    if len(groups) < 2:
        raise StatisticsError(
            N_("a comparison needs at least 2 groups; there is {n}"), n=len(groups)
        )
    smallest = min(len(group) for group in groups)
    if smallest < MINIMUM:
        raise TooFewError(
            N_("each group needs at least {minimum} people with all states; one has {smallest}"),
            minimum=MINIMUM,
            smallest=smallest,
        )
    widths = {len(person) for group in groups for person in group}
    if len(widths) != 1 or min(widths) < 2:
        raise StatisticsError(
            N_("every person needs a value in each of at least 2 states, not {sorted}"),
            sorted=sorted(widths),
        )
    tables = [np.asarray(group, dtype=np.float64) for group in groups]
    if not all(bool(np.isfinite(table).all()) for table in tables):
        raise StatisticsError(
            N_("a value is not finite; leave the participant out or correct the value")
        )
    return tables
