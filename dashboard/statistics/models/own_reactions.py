"""Values of people who met the same states in several sessions, with a variance for what each
person makes of a state. Pure.

Sessions and states cross within a person, so V has no closed inverse as it has of nested groups
alone. But a person has one level and one reaction to each state, however many the sessions: by
Woodbury's identity what must be inverted is one small matrix a person. Time and memory of a step
grow with the number of sessions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dashboard.statistics.distributions import Values
from dashboard.statistics.models.restricted_likelihood import (
    PARTICIPANT,
    RESIDUAL,
    SESSION,
    Numbers,
    Places,
    Products,
    numbered,
    require_rest,
)


@dataclass(frozen=True, slots=True)
class CrossedGroups:
    """All that the likelihood needs of the values.

    Columns are one of ones, one for each state (1 in it, else 0), the effects, and the value.

    Attributes:
        within: of each participant the sums of products of the columns, each less its mean of the
            session.
        between: of each participant the sums of products of the means of sessions, apart for
            sessions of each length; shape (lengths, participants, columns, columns).
        lengths: values of a session, each number that occurs once.
        counts: how many sessions there are of each length.
        first: of each pattern of states in sessions the first participant who has it.
        pattern: of each participant the pattern, a place in ``first``; most share one of a few, and
            what depends on nothing else is computed once for each.
        states: how many there are.
        sessions: how many there are.
        with_sessions: whether sessions have a variance of their own; where no session has two
            values, the data cannot tell it from the residual, and each value stands for itself.
    """

    within: Values
    between: Values
    lengths: Values
    counts: Values
    first: Places
    pattern: Places
    states: int
    sessions: int
    with_sessions: bool

    @property
    def variances(self) -> int:
        """How many variances there are: residual, participant, perhaps session, reaction."""
        return 3 + self.with_sessions

    @property
    def spare(self) -> int:
        """Values less effects."""
        return int(self.n - (self.within.shape[1] - self.states - 2))

    @property
    def n(self) -> int:
        """Values."""
        return round(math.fsum(self.lengths * self.counts))

    @property
    def participants(self) -> int:
        """How many there are."""
        return len(self.within)

    def turned(self, by: Values) -> CrossedGroups:
        """Return the same values with other columns: the present ones times a matrix.

        The columns of ones and of states stay as they are.
        """
        own = 1 + self.states
        whole = np.eye(own + len(by))
        whole[own:, own:] = by
        return replace(
            self,
            within=whole.T @ self.within @ whole,
            between=whole.T @ self.between @ whole,
        )

    def products(self, variances: Numbers) -> Products:
        """Compute what the likelihood is made of.

        D is the covariance without level and reactions, block by block of a session: D⁻¹ = (I − 11ᵀ
        φ_s / (φ_e + n φ_s)) / φ_e. With U the columns of ones and states, G their variances and C =
        UᵀD⁻¹U of a person, V⁻¹ = D⁻¹ − D⁻¹UHUᵀD⁻¹, H = (I + GC)⁻¹G. Slopes are −[X y]ᵀV⁻¹(∂V)V⁻¹[X
        y]; that along the residual follows from the others, since Σ φ ∂V/∂φ = V.
        """
        own = 1 + self.states
        residual = variances[RESIDUAL]
        session = variances[SESSION] if self.with_sessions else 0.0
        spread = np.append(variances[PARTICIPANT], np.repeat(variances[-1], self.states))
        weight = 1 / (session + residual / self.lengths)
        together = self.within / residual + _weighted(weight, self.between)
        levels = together[:, :own, :own]
        crossed = together[:, :own, own:]
        some_levels = levels[self.first]
        stretched = np.eye(own) + spread[:, np.newaxis] * some_levels
        some_solved = np.linalg.inv(stretched) * spread  # H
        solved = some_solved[self.pattern]
        removed = solved @ crossed
        matrix = (together[:, own:, own:] - crossed.transpose(0, 2, 1) @ removed).sum(axis=0)
        rows = crossed - levels @ removed  # UᵀV⁻¹[X y]
        # the diagonal of CHC, for C is symmetric
        inner = (some_levels @ some_solved * some_levels).sum(axis=2)[self.pattern]
        traces = (np.diagonal(levels, axis1=1, axis2=2) - inner).sum(axis=0)
        slopes = [_squared(rows[:, :1]), _squared(rows[:, 1:])]
        log_slopes = [traces[0], traces[1:].sum()]
        free = [variances[PARTICIPANT], variances[-1]]
        if self.with_sessions:
            twice = _weighted(weight**2, self.between)
            slopes.insert(1, _left(twice, removed))
            bent = np.sum(solved * twice[:, :own, :own].transpose(0, 2, 1))
            log_slopes.insert(1, self.counts @ weight - bent)
            free.insert(1, session)
        rest = sum(one * slope for one, slope in zip(free, slopes, strict=True))
        log_rest = sum(one * slope for one, slope in zip(free, log_slopes, strict=True))
        slopes.insert(0, (-matrix - rest) / residual)
        log_slopes.insert(0, (self.n - log_rest) / residual)
        determinant = (
            float(self.counts @ (self.lengths - 1)) * np.log(residual.real)
            - float(self.counts @ np.log(weight.real / self.lengths))
            + float(np.linalg.slogdet(stretched.real)[1][self.pattern].sum())
        )
        return Products(matrix, np.array(slopes), float(determinant), np.array(log_slopes))


def _squared(rows: Numbers) -> Numbers:
    """Return minus the sum of products of rows: of each participant some rows of columns."""
    crossed: Numbers = -_crossed(rows, rows)
    return crossed


def _crossed(rows: Numbers, others: Numbers) -> Numbers:
    """Sum the products of two sets of columns over all rows of all participants."""
    # Small products, one a participant: a large one would wake the threads of BLAS, which cost more
    # processor time than they save.
    crossed: Numbers = (rows.transpose(0, 2, 1) @ others).sum(axis=0)
    return crossed


def _weighted(weight: Numbers, between: Values) -> Numbers:
    """Sum over lengths of sessions, each with its weight."""
    total: Numbers = weight[0] * between[0]
    for one, products in zip(weight[1:], between[1:], strict=True):
        total = total + one * products
    return total


def _left(products: Numbers, removed: Numbers) -> Numbers:
    """Return minus the sum over participants of products of columns, each less what level and
    reactions explain of it.
    """
    own = removed.shape[1]
    crossed = _crossed(products[:, :own, own:], removed)
    explained = _crossed(removed, products[:, :own, :own] @ removed)
    left: Numbers = crossed + crossed.T - explained - products[:, own:, own:].sum(axis=0)
    return left


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
    person = numbered(participants)
    order = np.argsort(person, kind="stable")
    person = person[order]
    state = numbered(states)[order]
    place = numbered(zip(person.tolist(), (sessions[i] for i in order.tolist()), strict=True))
    count = int(place.max()) + 1
    told_apart = len(person) > count > int(person[-1]) + 1
    if not told_apart:
        place = np.arange(len(person))
    n = np.bincount(place).astype(np.float64)
    kinds = np.eye(int(state.max()) + 1)[state]
    rows = np.column_stack([np.ones(len(person)), kinds, columns[order]])
    means = np.column_stack([np.bincount(place, column) for column in rows.T]) / n[:, np.newaxis]
    owner = np.zeros(len(n), dtype=np.int64)
    owner[place] = person
    rows -= means[place]
    within = _by_person(rows, person)
    if told_apart:
        require_rest(within.sum(axis=0)[kinds.shape[1] + 1 :, kinds.shape[1] + 1 :])
    owner = np.zeros(len(n), dtype=np.int64)
    owner[place] = person
    lengths = np.unique(n)
    counts = np.array([float(np.sum(n == length)) for length in lengths])
    between = np.stack(
        [_by_person(means * (n == length)[:, np.newaxis], owner) for length in lengths]
    )
    first, pattern = _patterns(within, between, 1 + kinds.shape[1])
    return CrossedGroups(
        within, between, lengths, counts, first, pattern, kinds.shape[1], count, told_apart
    )


def _patterns(within: Values, between: Values, own: int) -> tuple[Places, Places]:
    """Number the participants whose sums of the columns of ones and states are the same, to the
    last digit.
    """
    sums = np.concatenate([within[np.newaxis], between])[:, :, :own, :own]
    rows = np.ascontiguousarray(sums.transpose(1, 0, 2, 3)).reshape(len(within), -1)
    numbers: dict[bytes, int] = {}
    pattern = np.array(
        [numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], dtype=np.int64
    )
    return np.unique(pattern, return_index=True)[1], pattern


def _by_person(rows: Values, person: Places) -> Values:
    """Sum the products of the columns over the rows of each person; rows of one stand together."""
    first = np.flatnonzero(np.diff(person, prepend=-1))
    width = rows.shape[1]
    sums = np.empty((len(first), width, width))
    for one in range(width):
        for other in range(one, width):
            sums[:, one, other] = np.add.reduceat(rows[:, one] * rows[:, other], first)
            sums[:, other, one] = sums[:, one, other]
    return sums
