"""Variances of readings nested in sessions nested in participants, by restricted likelihood. Pure.

The covariance V of such readings has a closed inverse: all that the likelihood needs of them is
the mean of each session and one matrix of what is left within sessions.

Where people met the same states in several sessions, what each person makes of a state has a
variance, too. Sessions and states cross within a person, so V has no closed inverse as it has of
nested groups alone. But a person has one level and one reaction to each state, however many the
sessions: by Woodbury's identity what must be inverted is one small matrix a person.

Time and memory of a step grow with the number of sessions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, Union

import numpy as np
import numpy.typing as npt
from scipy import optimize

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import NoVariationError

Numbers = npt.NDArray[np.inexact[Any]]
"""Real numbers, or complex ones where a derivative is taken along the imaginary axis."""

Places = npt.NDArray[np.int64]

Groups: TypeAlias = Union["NestedGroups", "CrossedGroups"]
"""Readings in groups, each kind of group with a variance of its own."""

RESIDUAL = 0
PARTICIPANT = 1
SESSION = 2
"""Places of the variances in an array of them; the last is missing where it cannot be told."""

_STEP = 1e-30  # along the imaginary axis: such a derivative loses no digit by subtraction
_NEAR_ZERO = 0.05  # ratio of standard deviations below which a variance of 0 is tried
# ratios of standard deviations to the residual's
# With few participants the likelihood may have several optima, in which participants and sessions
# swap their shares: one start between, and one near each.
_STARTS = ((1.0, 1.0, 1.0), (3.0, 0.3, 0.3), (0.3, 3.0, 1.0))
_MANY = 200  # participants; with more, one start suffices: the likelihood has a single maximum
_PERFECT = 1e-12  # residual sum of squares of standardized values; less is rounding error
_NO_REST = 1e4  # ratio of standard deviations; above it the residual is rounding error
_EXPLAINED = (
    "effects, participants and sessions explain the values without a rest, so nothing can be tested"
)
# Only a bound; Newton's steps settle after a few.
_NEWTON_STEPS = 50
_SETTLED = 1e-8  # relative change of a variance; Newton's next step would square it


@dataclass(frozen=True, slots=True)
class NestedGroups:
    """All that the likelihood needs of the readings; columns are the effects and then the value.

    Attributes:
        within: sums of products of the columns, each less its mean of the session.
        means: of the columns in each session.
        n: readings of each session.
        person: number of the participant of each session, rising from 0.
        sessions: how many there are.
        with_sessions: whether sessions have a variance of their own. Where nobody has two sessions,
            or no session two readings, the data cannot tell it from another; participants stand in
            their place then.
    """

    within: Values
    means: Values
    n: Values
    person: Places
    sessions: int
    with_sessions: bool

    @property
    def participants(self) -> int:
        """Number of participants."""
        return int(self.person[-1]) + 1

    @property
    def variances(self) -> int:
        """Number of variances, the residual's among them."""
        return 2 + self.with_sessions

    @property
    def spare(self) -> int:
        """Readings less effects."""
        return round(math.fsum(self.n)) - len(self.within) + 1

    def transform(self, by: Values) -> NestedGroups:
        """Return the same readings with other columns: the present ones times a matrix."""
        return replace(self, within=by.T @ self.within @ by, means=self.means @ by)

    def products(self, variances: Numbers) -> Products:
        """Compute what the likelihood is made of.

        With λ = 1 / (φ_session + φ_residual / n) for each session, m its means, u their mean
        weighted by λ over a participant, and ρ = 1 / (φ_participant + 1 / Σλ): the matrix is
        within / φ_residual + Σ λ (m − u)(m − u)ᵀ + Σ ρ u uᵀ.
        """
        residual = variances[RESIDUAL]
        session = variances[SESSION] if self.with_sessions else 0.0
        n = self.n
        first = np.flatnonzero(np.diff(self.person, prepend=-1))
        weight = 1 / (session + residual / n)
        weights = np.add.reduceat(weight, first)
        middle = np.add.reduceat(weight[:, np.newaxis] * self.means, first) / weights[:, np.newaxis]
        apart = self.means - middle[self.person]
        person = 1 / (variances[PARTICIPANT] + 1 / weights)
        # Sums of squares within sessions, between sessions of a person, and between persons.
        matrix = self.within / residual
        matrix = matrix + _squares(weight, apart) + _squares(person, middle)
        slopes = []
        log_slopes = []
        along = (-(weight**2) / n, np.zeros_like(weight), -(weight**2))  # of λ
        for place in range(len(variances)):
            change = along[place]
            changes = np.add.reduceat(change, first)
            moved = np.add.reduceat(change[:, np.newaxis] * apart, first) / weights[:, np.newaxis]
            own = 1.0 if place == PARTICIPANT else 0.0
            bent = -(person**2) * (own - changes / weights**2)
            crossed = (person[:, np.newaxis] * moved).T @ middle
            slope = _squares(change, apart) + _squares(bent, middle) + crossed + crossed.T
            log_slope = -np.sum(bent / person) - np.sum(change / weight) + np.sum(changes / weights)
            if place == RESIDUAL:
                slope = slope - self.within / residual**2
                log_slope = log_slope + np.sum(n - 1) / residual
            slopes.append(slope)
            log_slopes.append(log_slope)
        # Real parts: the step along the imaginary axis
        # differentiates the gradient, never the criterion.
        determinant = (
            float(np.sum(n - 1)) * math.log(residual.real)
            - float(np.sum(np.log(weight.real / n)))
            - float(np.sum(np.log(person.real)))
            + float(np.sum(np.log(weights.real)))
        )
        return Products(matrix, np.array(slopes), determinant, np.array(log_slopes))


@dataclass(frozen=True, slots=True)
class Products:
    """[X y]ᵀV⁻¹[X y] and log |V| at some variances, each with its derivatives along them."""

    matrix: Numbers
    slopes: Numbers
    log_determinant: float
    log_slopes: Numbers

    def solve(self) -> tuple[Numbers, Numbers]:
        """Return (XᵀV⁻¹X)⁻¹, and the row (−β, 1) that makes residuals of the columns."""
        inverse = np.linalg.inv(self.matrix[:-1, :-1])
        return inverse, np.append(-inverse @ self.matrix[:-1, -1], 1.0)


def group(
    columns: Values, participants: Sequence[Hashable], sessions: Sequence[Hashable]
) -> NestedGroups:
    """Return the sufficient statistics of columns, one row for each reading.

    ``columns`` is overwritten, to spare the memory of another copy.

    Raises:
        NoVariationError: effects and groups leave no residual.
    """
    person = number(participants)
    place = number(zip(person.tolist(), sessions, strict=True))
    count = int(place.max()) + 1
    # Only where somebody has two sessions, and a session has two readings (see ``NestedGroups``).
    told_apart = len(person) > count > int(person.max()) + 1
    if not told_apart:
        place = person
    owner = np.zeros(int(place.max()) + 1, dtype=np.int64)
    owner[place] = person
    # ``np.add.reduceat`` sums neighbours, so the sessions of a participant must stand together.
    order = np.argsort(owner, kind="stable")
    place = np.argsort(order, kind="stable")[place]
    n = np.bincount(place).astype(np.float64)
    means = np.column_stack([np.bincount(place, column) for column in columns.T]) / n[:, np.newaxis]
    columns -= means[place]
    within = columns.T @ columns
    require_rest(within)
    return NestedGroups(within, means, n, owner[order], count, told_apart)


def number(names: Iterable[Hashable]) -> Places:
    """Return a number for each name, from 0 in the order of their first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def require_rest(within: Values) -> None:
    """Refuse values that the effects explain within each group, but for rounding."""
    effects = within[:-1, :-1]
    # A pseudoinverse: an effect that is constant within each session leaves a row of zeros here.
    explained = within[-1, :-1] @ np.linalg.pinv(effects, rcond=1e-12, hermitian=True)
    if within[-1, -1] - float(explained @ within[:-1, -1]) <= _PERFECT:
        raise NoVariationError(_EXPLAINED)


def _squares(weights: Numbers, rows: Numbers) -> Numbers:
    return (weights[:, np.newaxis] * rows).T @ rows


def criterion(groups: Groups, variances: Values) -> float:
    """Return −2 log of the restricted likelihood, constants included."""
    sums = groups.products(variances)
    _, row = sums.solve()
    log_effects = float(np.linalg.slogdet(sums.matrix[:-1, :-1])[1])
    rest = float((row @ sums.matrix @ row).real)
    return sums.log_determinant + log_effects + rest + groups.spare * math.log(2 * math.pi)


def gradient(groups: Groups, variances: Numbers) -> Numbers:
    """Return the derivatives of the criterion along the variances."""
    sums = groups.products(variances)
    inverse, row = sums.solve()
    traces = np.einsum("ij,kji->k", inverse, sums.slopes[:, :-1, :-1])
    slopes: Numbers = sums.log_slopes + traces + sums.slopes @ row @ row
    return slopes


def curvature(groups: Groups, variances: Values) -> Values:
    """Return the second derivatives of the criterion along the variances."""
    rows = []
    for place in range(len(variances)):
        stepped = variances.astype(np.complex128)
        stepped[place] += 1j * _STEP
        rows.append(gradient(groups, stepped).imag / _STEP)
    second = np.array(rows)
    # Symmetric but for rounding.
    return (second + second.T) / 2


def fit(groups: Groups) -> Values:
    """Return the variances that minimise the criterion; exactly 0 where that is the boundary.

    Raises:
        NoVariationError: effects and groups leave no residual.
    """
    count = groups.variances - 1
    free = [True] * count
    starts = _STARTS[:1] if groups.participants >= _MANY else _STARTS
    ratios = min(
        (_minimum(groups, np.array(start[:count]), free) for start in starts),
        key=lambda optimum: optimum[0],
    )[1]
    # The smallest first: what it gives up may lift the next one off the boundary.
    for place in np.argsort(ratios):
        if ratios[place] < _NEAR_ZERO:
            free[place] = False
            start = np.where(free, np.maximum(ratios, _NEAR_ZERO), 0.0)
            tried = _minimum(groups, start, free)[1]
            # The criterion rises from 0, so 0 is the optimum (the
            # condition of Karush, Kuhn and Tucker).
            if _profile(groups, tried**2)[1][place] >= 0:
                ratios = tried
            else:
                free[place] = True
    if ratios.max() >= _NO_REST:
        raise NoVariationError(_EXPLAINED)
    return _polish(groups, ratios)


def _minimum(groups: Groups, start: Values, free: Sequence[bool]) -> tuple[float, Values]:
    """Return the least criterion, and the ratios of standard deviations to the residual's there.

    The criterion has no slope along a ratio of 0, where a search bounded by 0 would stand still: a
    ratio may be negative here, which is the same as positive.
    """

    def profile_along(ratios: Values) -> tuple[float, Values]:
        value, slopes = _profile(groups, ratios**2)
        # The slope along a ratio of standard deviations, from that along its square (chain rule).
        return value, 2 * ratios * slopes

    bounds = [(-_NO_REST * one, _NO_REST * one) for one in free]
    optimum = optimize.minimize(
        profile_along, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12}
    )
    return float(optimum.fun), np.abs(optimum.x)


def _profile(groups: Groups, ratios: Values) -> tuple[float, Values]:
    """Return the criterion, less constants, and its derivatives at ratios of variances, with the
    residual variance that is best for them.
    """
    sums = groups.products(np.append(1.0, ratios))
    inverse, row = sums.solve()
    # The best residual variance is rest / spare: put in, it leaves one dimension less to search.
    rest = float((row @ sums.matrix @ row).real)
    value = groups.spare * math.log(rest) + sums.log_determinant
    value += float(np.linalg.slogdet(sums.matrix[:-1, :-1])[1])
    traces = np.einsum("ij,kji->k", inverse, sums.slopes[:, :-1, :-1])
    shares = groups.spare / rest * (sums.slopes @ row @ row)
    return value, np.asarray((sums.log_slopes + traces + shares)[1:].real)


def _polish(groups: Groups, ratios: Values) -> Values:
    """Return the variances after Newton's steps along those that are not 0, to the last digits."""
    sums = groups.products(np.append(1.0, ratios**2))
    _, row = sums.solve()
    residual = float((row @ sums.matrix @ row).real) / groups.spare
    variances = residual * np.append(1.0, ratios**2)
    free = np.flatnonzero(variances)
    for _ in range(_NEWTON_STEPS):
        slopes = gradient(groups, variances)[free].real
        step = np.linalg.solve(curvature(groups, variances)[np.ix_(free, free)], slopes)
        longest = float(np.max(np.abs(step) / variances[free]))
        # Damped so that no variance loses more than half of itself and turns negative.
        variances[free] -= step / max(1.0, 2 * longest)
        if longest < _SETTLED:
            break
    return variances


@dataclass(frozen=True, slots=True)
class CrossedGroups:
    """All that the likelihood needs of the values: sums of products of columns, of several kinds.

    Columns are one of ones and one for each state (1 in it, else 0), which the levels and reactions
    of people belong to, and the effects and the value. The first kind of sum is of columns less
    their mean of the session; each further one is of the means of sessions of one length.

    Attributes:
        levels: products of the ones and states among themselves, for each pattern of states in
            sessions; shape (kinds, patterns, 1 + states, 1 + states). Most participants share one
            of a few patterns, and what depends on nothing else is computed once for each.
        crossed: of each participant products of the ones and states with the effects and the value;
            shape (kinds, participants, 1 + states, columns).
        rest: products of the effects and the value, over all participants; shape (kinds, columns,
            columns).
        lengths: values of a session, each number that occurs once.
        counts: how many sessions there are of each length.
        pattern: of each participant the place of the pattern in ``levels``.
        sessions: how many there are.
        with_sessions: whether sessions have a variance of their own; where no session has two
            values, the data cannot tell it from the residual, and each value stands for itself.
    """

    levels: Values
    crossed: Values
    rest: Values
    lengths: Values
    counts: Values
    pattern: Places
    sessions: int
    with_sessions: bool

    @property
    def variances(self) -> int:
        """Number of variances: residual, participant, perhaps session, reaction."""
        return 3 + self.with_sessions

    @property
    def spare(self) -> int:
        """Values less effects."""
        return int(self.n - len(self.rest[0]) + 1)

    @property
    def n(self) -> int:
        """Values."""
        return round(math.fsum(self.lengths * self.counts))

    @property
    def participants(self) -> int:
        """Number of participants."""
        return len(self.pattern)

    def transform(self, by: Values) -> CrossedGroups:
        """Return the same values with other columns: the present ones times a matrix.

        The columns of ones and of states stay as they are.
        """
        return replace(self, crossed=self.crossed @ by, rest=by.T @ self.rest @ by)

    def products(self, variances: Numbers) -> Products:
        """Compute the products of which the likelihood and its slopes are made.

        D is the covariance without level and reactions, block by block of a session: D⁻¹ = (I − 11ᵀ
        φ_s / (φ_e + n φ_s)) / φ_e. With U the columns of ones and states, G their variances and C =
        UᵀD⁻¹U of a person, V⁻¹ = D⁻¹ − D⁻¹UHUᵀD⁻¹, H = (I + GC)⁻¹G. Slopes are −[X y]ᵀV⁻¹(∂V)V⁻¹[X
        y]; that along the residual follows from the others, since Σ φ ∂V/∂φ = V.
        """
        own = self.levels.shape[-1]
        residual = variances[RESIDUAL]
        session = variances[SESSION] if self.with_sessions else 0.0
        spread = np.repeat(variances[[PARTICIPANT, -1]], [1, own - 1])
        weight = 1 / (session + residual / self.lengths)
        levels, crossed, rest = self._sum_over_kinds(np.append(1 / residual, weight))
        stretched = np.eye(own) + spread[:, np.newaxis] * levels
        solved = np.linalg.inv(stretched) * spread  # H
        removed = solved[self.pattern] @ crossed
        matrix = rest - _cross_product(crossed, removed)
        rows = crossed - levels[self.pattern] @ removed  # UᵀV⁻¹[X y]
        having = np.bincount(self.pattern)
        # the diagonal of C − CHC, for C is symmetric
        kept = np.diagonal(levels, axis1=1, axis2=2) - (levels @ solved * levels).sum(axis=2)
        traces = having @ kept
        slopes = [-_cross_product(one, one) for one in (rows[:, :1], rows[:, 1:])]
        log_slopes = [traces[0], traces[1:].sum()]
        free = [variances[PARTICIPANT], variances[-1]]
        if self.with_sessions:
            # V changes by 11ᵀ in each session
            twice, crossed, rest = self._sum_over_kinds(np.append(0.0, weight**2))
            mixed = _cross_product(crossed, removed)
            explained = _cross_product(removed, twice[self.pattern] @ removed)
            slopes.insert(1, mixed + mixed.T - explained - rest)
            bent = having @ np.sum(solved * twice.transpose(0, 2, 1), axis=(1, 2))
            log_slopes.insert(1, self.counts @ weight - bent)
            free.insert(1, session)
        # Euler's theorem: the slopes times their variances sum
        # to a known total, which saves a pass.
        along = sum(one * slope for one, slope in zip(free, slopes, strict=True))
        log_along = sum(one * slope for one, slope in zip(free, log_slopes, strict=True))
        slopes.insert(0, (-matrix - along) / residual)
        log_slopes.insert(0, (self.n - log_along) / residual)
        determinant = (
            float(self.counts @ (self.lengths - 1)) * np.log(residual.real)
            - float(self.counts @ np.log(weight.real / self.lengths))
            + float(having @ np.linalg.slogdet(stretched.real)[1])
        )
        return Products(matrix, np.array(slopes), float(determinant), np.array(log_slopes))

    def _sum_over_kinds(self, weights: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return levels, crossed and rest summed over the kinds, each with its weight."""
        levels, crossed, rest = (
            (weights @ one.reshape(len(weights), -1)).reshape(one.shape[1:])
            for one in (self.levels, self.crossed, self.rest)
        )
        return levels, crossed, rest


def _cross_product(rows: Numbers, others: Numbers) -> Numbers:
    """Sum the products of two sets of columns over all rows of all participants."""
    width = rows.shape[-1]
    crossed: Numbers = rows.reshape(-1, width).T @ others.reshape(-1, width)
    return crossed


def group_crossed(
    columns: Values,
    participants: Sequence[Hashable],
    sessions: Sequence[Hashable],
    states: Sequence[Hashable],
) -> CrossedGroups:
    """Return the sufficient statistics of columns, one row for each value.

    Raises:
        NoVariationError: effects, levels and reactions leave no residual.
    """
    person = number(participants)
    # ``_by_person`` sums neighbours.
    order = np.argsort(person, kind="stable")
    person = person[order]
    state = number(states)[order]
    place = number(zip(person.tolist(), (sessions[i] for i in order.tolist()), strict=True))
    count = int(place.max()) + 1
    told_apart = len(person) > count > int(person[-1]) + 1
    # Each value is its own session then, and the two variances are one.
    if not told_apart:
        place = np.arange(len(person))
    n = np.bincount(place).astype(np.float64)
    kinds = np.eye(int(state.max()) + 1)[state]
    rows = np.column_stack([np.ones(len(person)), kinds, columns[order]])
    means = np.column_stack([np.bincount(place, column) for column in rows.T]) / n[:, np.newaxis]
    owner = np.zeros(len(n), dtype=np.int64)
    owner[place] = person
    rows -= means[place]
    lengths = np.unique(n)
    counts = np.array([float(np.sum(n == length)) for length in lengths])
    sums = np.stack(
        [
            _by_person(rows, person),
            *(_by_person(means * (n == length)[:, np.newaxis], owner) for length in lengths),
        ]
    )
    own = 1 + kinds.shape[1]
    rest = sums[:, :, own:, own:].sum(axis=1)
    # With one value a session nothing is left within, and this would refuse every study.
    if told_apart:
        require_rest(rest[0])
    first, pattern = _patterns(sums[:, :, :own, :own])
    return CrossedGroups(
        levels=sums[:, first, :own, :own],
        crossed=sums[:, :, :own, own:],
        rest=rest,
        lengths=lengths,
        counts=counts,
        pattern=pattern,
        sessions=count,
        with_sessions=told_apart,
    )


def _patterns(levels: Values) -> tuple[Places, Places]:
    """Group the participants whose sums over the intercept and state columns are identical.

    Returns:
        The first participant of each group, and the number of the group of each participant.
    """
    rows = np.ascontiguousarray(levels.swapaxes(0, 1)).reshape(levels.shape[1], -1)
    numbers: dict[bytes, int] = {}
    # Compared bit by bit: a difference by rounding costs one more group, never a wrong result.
    pattern = np.array(
        [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64
    )
    return np.unique(pattern, return_index=True)[1], pattern


def _by_person(rows: Values, person: Places) -> Values:
    """Sum the products of the columns over the rows of each person; rows of one stand together."""
    first = np.flatnonzero(np.diff(person, prepend=-1))
    width = rows.shape[1]
    sums = np.empty((len(first), width, width))
    # One pair of columns at a time: all products of all rows at once would take width² the memory.
    for one in range(width):
        for other in range(one, width):
            sums[:, one, other] = np.add.reduceat(rows[:, one] * rows[:, other], first)
            sums[:, other, one] = sums[:, one, other]
    return sums
