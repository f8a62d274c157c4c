"""How far two sources agree about the state of the same things: Cohen's kappa. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from dashboard.statistics.distributions import Values
from dashboard.statistics.samples import LEVEL, MINIMUM, Interval, NoVariationError, TooFewError


@dataclass(frozen=True, slots=True)
class Judgement:
    """What two sources said of one thing, such as one stimulus: the face read anger, the person
    reported anger.

    Attributes:
        participant: whose it is; judgements of one participant are not independent.
        first: label given by the first source.
        second: label given by the second source.
    """

    participant: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """A confusion table and Cohen's kappa.

    Attributes:
        labels: rows and columns of the table, in order.
        table: how often the first source said the row's label and the second the column's.
        n: judgements.
        participants: how many participants they are of.
        observed: share of judgements in which both agree, 0…1.
        expected: the share to be expected if both spoke independently with their own frequencies,
            0…1.
        kappa: agreement beyond that, at most 1; 0 is what chance gives.
        interval: 95 % interval of kappa; ``None`` for fewer than three participants, and for
            perfect agreement, where the formula knows no uncertainty.
    """

    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...]
    n: int
    participants: int
    observed: float
    expected: float
    kappa: float
    interval: Interval | None


def cohens_kappa(judgements: Iterable[Judgement], labels: Sequence[str] = ()) -> Agreement:
    """Compare two sources.

    Formula, with shares p_ij of the table, row sums p_i. and column sums p_.i: p_o = Σ p_ii, p_e =
    Σ p_i. p_.i, κ = (p_o − p_e) / (1 − p_e). For the interval, each judgement (i, j) has the
    influence u = ([i = j] (1 − p_e) − (1 − p_o)(p_.i + p_j.) + (2 p_e − p_o p_e − p_o)) / (1 −
    p_e)² on κ, which is the linearisation behind the standard error of Fleiss, Cohen & Everitt
    1969; here the influences of one participant are added before squaring: SE² = G / (G − 1) · Σ
    over G participants of (Σ u)² / n², and κ ± t(0.975; G − 1) · SE. With one judgement a
    participant that is theirs, but for G / (G − 1) and t instead of z. Assumes independent
    participants; nothing about judgements of one participant. Kappa depends on how frequent the
    labels are: two kappas from studies with other frequencies cannot be compared. Source: Cohen
    1960; Fleiss, Cohen & Everitt 1969; sums by participant: Liang & Zeger 1986.

    Args:
        judgements: those in which both sources spoke; leave out, and count, the others.
        labels: which come first in the table, in this order, pairs or not; others follow in
            alphabetical order.

    Raises:
        TooFewError: no judgement.
        NoVariationError: both sources always gave the same one label, so that agreement by chance
            is certain.
    """
    pairs = tuple(judgements)
    if not pairs:
        raise TooFewError("agreement needs at least 1 judgement by both sources; there are 0")
    used = {judgement.first for judgement in pairs} | {judgement.second for judgement in pairs}
    if len(used) == 1:
        raise NoVariationError(
            f"both sources gave {pairs[0].first} every time, so agreement beyond chance is "
            "undefined"
        )
    names = (*labels, *sorted(used - set(labels)))
    rows = np.array([names.index(judgement.first) for judgement in pairs])
    columns = np.array([names.index(judgement.second) for judgement in pairs])
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    by_row = table.sum(axis=1) / len(pairs)
    by_column = table.sum(axis=0) / len(pairs)
    observed = float(np.trace(table)) / len(pairs)
    expected = float(by_row @ by_column)
    influence = (
        (rows == columns) * (1 - expected)
        - (1 - observed) * (by_column[rows] + by_row[columns])
        + (2 * expected - observed * expected - observed)
    ) / (1 - expected) ** 2
    kappa = (observed - expected) / (1 - expected)
    people = [judgement.participant for judgement in pairs]
    return Agreement(
        labels=names,
        table=tuple(tuple(int(count) for count in row) for row in table),
        n=len(pairs),
        participants=len(set(people)),
        observed=observed,
        expected=expected,
        kappa=kappa,
        interval=None if observed == 1 else _interval(kappa, influence, people),
    )


def _interval(kappa: float, influence: Values, people: Sequence[str]) -> Interval | None:
    """Return the interval from the influences summed by participant, cut at 1."""
    count = len(set(people))
    if count < MINIMUM:
        return None
    sums: dict[str, float] = {}
    for participant, value in zip(people, influence, strict=True):
        sums[participant] = sums.get(participant, 0.0) + float(value)
    variance = (
        count / (count - 1) * math.fsum(value**2 for value in sums.values()) / len(people) ** 2
    )
    half = float(special.stdtrit(count - 1, 0.5 + LEVEL / 2)) * math.sqrt(variance)
    return Interval(max(-1.0, kappa - half), min(1.0, kappa + half))
