"""A linear mixed model of readings that are nested in sessions, and these in participants. Pure."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics import LEVEL, MINIMUM
from dashboard.statistics.distributions import Values
from dashboard.statistics.likelihood import (
    PARTICIPANT,
    RESIDUAL,
    SESSION,
    CrossedGroups,
    Groups,
    criterion,
    curvature,
    fit,
    group,
    group_crossed,
)
from dashboard.statistics.samples import (
    Interval,
    NoVariationError,
    TooFewError,
    check_values,
    is_constant,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

INTERCEPT = "intercept"
"""Name of the effect that every model has: the value where all others are 0."""

_DEPENDENT = 1e-10  # eigenvalue of the correlations below which an effect is a sum of others


@dataclass(frozen=True, slots=True)
class FixedEffect:
    """The estimate of a fixed effect, or of a weighted sum of effects.

    Attributes:
        name: of the effect.
        estimate: in the unit of the values, for each unit of the effect.
        error: its standard error.
        df: degrees of freedom by Satterthwaite's method.
        t: estimate over error.
        p: two-sided, unadjusted.
        interval: 95 % interval of the estimate.
    """

    name: str
    estimate: float
    error: float
    df: float
    t: float
    p: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class EffectCovariance:
    """Covariance of the effects, with what Satterthwaite's method needs.

    Attributes:
        matrix: the covariance.
        slopes: its derivatives along each variance that is not 0.
        of_variances: covariance of those variances.
    """

    matrix: Values
    slopes: Values
    of_variances: Values


@dataclass(frozen=True, slots=True)
class MixedModel:
    """A fitted model: value ~ effects + (1 | participant / session), with + (1 | participant :
    state) where people’s own reactions were asked for.

    Attributes:
        n: values.
        participants: how many.
        sessions: how many.
        effects: the fixed effects, the intercept first.
        participant_variance: between participants; 0 where the estimate lies at the boundary.
        session_variance: between sessions of one participant; ``None`` where the data cannot tell
            it (nobody has two sessions, or no session has two values).
        residual_variance: within sessions.
        criterion: −2 log of the restricted likelihood, constants included; only models with the
            same effects can be compared by it.
        covariance: of the effects.
        reaction_variance: between what participants make of the same state; ``None`` where that
            was not asked for.
    """

    n: int
    participants: int
    sessions: int
    effects: tuple[FixedEffect, ...]
    participant_variance: float
    session_variance: float | None
    residual_variance: float
    criterion: float
    covariance: EffectCovariance
    reaction_variance: float | None = None

    @property
    def singular(self) -> bool:
        """Tell whether a variance was estimated as 0: the fit is then that of a simpler model."""
        return 0.0 in (self.participant_variance, self.session_variance, self.reaction_variance)

    def effect(self, name: str) -> FixedEffect:
        """Return one effect.

        Raises:
            StatisticsError: the model has no effect of this name.
        """
        for effect in self.effects:
            if effect.name == name:
                return effect
        names = ", ".join(effect.name for effect in self.effects)
        raise StatisticsError(
            N_("the model has no effect {name}; it has {names}"), name=name, names=names
        )

    def contrast(self, name: str, weights: Mapping[str, float]) -> FixedEffect:
        """Test a weighted sum of effects: ``{"anger": 1, "happiness": −1}`` is their difference.

        Raises:
            StatisticsError: the model lacks an effect of ``weights``, or all of them are 0.
        """
        for unknown in weights:
            self.effect(unknown)
        row = np.array([weights.get(effect.name, 0.0) for effect in self.effects])
        if not row.any():
            raise StatisticsError(
                N_("all weights of the contrast {name} are 0; give one that is not"), name=name
            )
        estimate = math.fsum(
            weights[effect.name] * effect.estimate
            for effect in self.effects
            if effect.name in weights
        )
        return _test_effect(name, estimate, row, self.covariance)


def mixed_model(
    values: Iterable[float],
    effects: Mapping[str, Sequence[float] | Values],
    participants: Sequence[Hashable],
    sessions: Sequence[Hashable],
    reactions: Sequence[Hashable] | None = None,
) -> MixedModel:
    """Fit value ~ effects + (1 | participant / session) by restricted maximum likelihood (REML).

    Formula: y = Xβ + participant + session + residual, the last three normal with mean 0 and
    variances φ of their own; V(φ) is the covariance of y. −2ℓ = log |V| + log |XᵀV⁻¹X| + (y −
    Xβ)ᵀV⁻¹(y − Xβ) + (N − p) log 2π is minimised over φ ≥ 0, with β = (XᵀV⁻¹X)⁻¹XᵀV⁻¹y and its
    covariance C = (XᵀV⁻¹X)⁻¹. Degrees of freedom of lᵀβ: 2 (lᵀCl)² / (gᵀAg), g the derivatives of
    lᵀCl along φ, A = 2 H⁻¹, H the second derivatives of −2ℓ (observed, not expected). A variance
    whose estimate is 0 (a singular fit) is left out of φ there, which gives the degrees of freedom
    of the model without it. With two states and one value in each, t, df and p are those of the
    paired t-test, unless the estimate between participants is 0. States may be missing and of
    unequal length: every value counts. With ``reactions`` the model has one more term, (1 |
    participant : state): what a person makes of a state comes back in each session, so that the
    second session of a person tells less of a state's effect than a second person.

    Assumes independent participants, residuals from one normal distribution without correlation in
    time (so give means of stretches, not readings that follow each other closely), and that what is
    missing does not depend on the value that it would have had.

    Source: Laird & Ware 1982; Patterson & Thompson 1971 (REML); Satterthwaite 1946 and
    Kuznetsova, Brockhoff & Christensen 2017 (degrees of freedom). Equal to ``lmer`` of R's lme4
    with lmerTest.

    Args:
        values: one for each reading, or each mean of readings.
        effects: a column for each effect but the intercept: 1 or 0 for a state (all states but
            the one to compare with), a number for a covariate such as minutes in the session.
        participants: whose each value is.
        sessions: in which of this participant's sessions it was taken; the same name in two
            participants is two sessions.
        reactions: the state of each value, where people have several values of one state and their
            own reactions to it are to have a variance.

    Raises:
        TooFewError: fewer than three participants, nobody with two values, or not more values than
            effects.
        NoVariationError: effects and groups explain the values without a rest, or an effect does
            not vary.
        StatisticsError: lengths differ, a value is not finite, or an effect is a sum of others.
    """
    y = check_values(values)
    columns = {name: check_values(column) for name, column in effects.items()}
    _check(y, columns, participants, sessions)
    table = np.column_stack([np.ones(len(y)), *columns.values(), y])
    # Centred and scaled, so that starts and tolerances of the fit hold for every unit.
    middle = table.mean(axis=0)
    # The column of ones stays, or there would be no intercept left.
    middle[0] = 0.0
    table -= middle
    spread = np.sqrt(np.mean(table**2, axis=0))
    table /= spread
    together = table.T @ table
    _check_independent(together[:-1, :-1], tuple(columns))
    turn = np.eye(len(spread))
    # Orthogonal columns: correlated covariates then cost the fit no digits.
    turn[:-1, :-1] = np.linalg.inv(np.linalg.cholesky(together[:-1, :-1])).T
    if reactions is None:
        groups: Groups = group(table, participants, sessions)
    else:
        groups = group_crossed(table, participants, sessions, reactions)
    groups = groups.transform(turn)
    # The way back: scaling, the means that move into the intercept, and the turn.
    back = np.diag(1 / spread[:-1])
    back[0] -= middle[:-1] / spread[:-1] * (np.arange(len(back)) > 0)
    unit = float(spread[-1])
    back = unit * back @ turn[:-1, :-1]
    try:
        return _model((INTERCEPT, *columns), groups, back, unit, middle[-1])
    except np.linalg.LinAlgError as error:
        raise StatisticsError(
            N_("the data cannot separate the variances of the model; more participants are needed")
        ) from error


def _check(
    y: Values,
    columns: Mapping[str, Values],
    participants: Sequence[Hashable],
    sessions: Sequence[Hashable],
) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    lengths |= {"participants": len(participants), "sessions": len(sessions)}
    for name, length in lengths.items():
        if length != len(y):
            raise StatisticsError(
                N_("{name} has {length} entries for {n} values"), name=name, length=length, n=len(y)
            )
    people = len(set(participants))
    if people < MINIMUM:
        raise TooFewError(
            N_("a mixed model needs at least {minimum} participants; there are {people}"),
            minimum=MINIMUM,
            people=people,
        )
    if people == len(y):
        raise TooFewError(N_("a mixed model needs participants with two values; nobody has two"))
    if len(y) < len(columns) + 3:
        raise TooFewError(
            N_("a mixed model with {n} effects needs at least {n_2} values; there are {n_3}"),
            n=len(columns) + 1,
            n_2=len(columns) + 3,
            n_3=len(y),
        )
    for name, column in {**columns, "the value": y}.items():
        if is_constant(column, column):
            raise NoVariationError(
                N_("{name} is the same everywhere, so nothing can be tested"), name=name
            )


def _check_independent(products_of_columns: Values, names: Sequence[str]) -> None:
    """Refuse effects of which one is a weighted sum of others."""
    n = products_of_columns[0, 0]
    eigenvalues, vectors = np.linalg.eigh(products_of_columns / n)
    if eigenvalues[0] < _DEPENDENT:
        # Without the intercept, which the user did not name.
        share = np.abs(vectors[1:, 0])
        involved = [name for name, one in zip(names, share, strict=True) if one > 1e-6]
        raise StatisticsError(
            N_(
                "the effects {names} are linearly dependent: each is a sum of the others. Leave "
                "one out."
            ),
            names=", ".join(involved),
        )


def _model(
    names: Sequence[str], groups: Groups, back: Values, unit: float, middle: float
) -> MixedModel:
    """Fit standardized columns, and say the result in the unit of the values.

    ``back`` turns fitted coefficients into effects; ``middle`` is added to the first effect.
    """
    variances = fit(groups)
    sums = groups.products(variances)
    inverse, row = sums.solve()
    estimates = back @ -row[:-1].real
    estimates[0] += middle
    free = np.flatnonzero(variances)
    # The criterion is −2 log likelihood: half of its curvature is the information.
    information: Values = curvature(groups, variances)[np.ix_(free, free)] / 2
    spread = back @ inverse.real
    covariance = EffectCovariance(
        matrix=spread @ back.T,
        # The derivative of an inverse: −C · ∂(C⁻¹) · C.
        slopes=-spread @ sums.slopes[free, :-1, :-1].real @ spread.T,
        of_variances=np.linalg.inv(information).astype(np.float64),
    )
    rows = np.eye(len(names))
    in_units = unit**2 * variances
    sessions = float(in_units[SESSION]) if groups.with_sessions else None
    reactions = float(in_units[-1]) if isinstance(groups, CrossedGroups) else None
    # The criterion was that of scaled and turned columns; the change of volume is added again.
    scale = np.log(unit) * groups.spare - np.linalg.slogdet(back / unit)[1]
    return MixedModel(
        n=groups.spare + len(names),
        participants=groups.participants,
        sessions=groups.sessions,
        effects=tuple(
            _test_effect(name, float(estimate), one, covariance)
            for name, estimate, one in zip(names, estimates, rows, strict=True)
        ),
        participant_variance=float(in_units[PARTICIPANT]),
        session_variance=sessions,
        residual_variance=float(in_units[RESIDUAL]),
        criterion=criterion(groups, variances) + 2 * float(scale),
        covariance=covariance,
        reaction_variance=reactions,
    )


def _test_effect(
    name: str, estimate: float, row: Values, covariance: EffectCovariance
) -> FixedEffect:
    """Return the test of a weighted sum of the effects."""
    variance = float(row @ covariance.matrix @ row)
    slopes = covariance.slopes @ row @ row
    spread = float(slopes @ covariance.of_variances @ slopes)
    # Written so that NaN is refused as well.
    if not (variance > 0 and spread > 0):
        raise StatisticsError(
            N_("the data do not show how precise {name} is; more participants are needed"),
            name=name,
        )
    df = 2 * variance**2 / spread
    error = math.sqrt(variance)
    t = estimate / error
    half = float(special.stdtrit(df, 0.5 + LEVEL / 2)) * error
    return FixedEffect(
        name=name,
        estimate=estimate,
        error=error,
        df=df,
        t=t,
        p=2 * float(special.stdtr(df, -abs(t))),
        interval=Interval(estimate - half, estimate + half),
    )
