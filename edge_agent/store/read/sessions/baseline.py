"""A participant's neutral face, by which their expressions are corrected. Pure.

It is computed when rows are read, and never written.

Some faces look sad or angry to a classifier while they rest. During a calibration (marker
``baseline``) the participant looks neutral for 20 s; what the classifier over-reads in that time is
taken away from what it reads later.

For each row and category c the log-odds against neutral are l_c = ln(p_c / p_neutral). With L_c,
their median over the calibration, and R, the log-odds that a neutral face may well have,

    s_c = max(0, L_c − R),    p'_c = p_c · exp(−s_c) / Σ_k p_k · exp(−s_k),    s_neutral = 0.

The shift of log-odds followed by renormalising is Aitchison's perturbation of a composition (1982,
J. R. Stat. Soc. B 44:139) and the correction of a classifier's outputs to other priors (Saerens,
Latinne & Decaestecker 2002, Neural Computation 14:21); the median of the person's own frames as
their neutral is that of Baltrušaitis, Mahmoud & Robinson (2015, FERA, person-specific
normalisation). One-sided it is ours: a category that rests lower than usual is not raised, for that
would blow up what is next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge_agent.core.expression import EMOTIONS, Emotion, Expression

BASELINE_S = 20.0
"""Length of a calibration, seconds from its marker."""
LEAST_ROWS = 5
"""Rows of the participant's face that a calibration needs."""
USUAL_LOG_ODDS = math.log(1 / 20)
"""R: a category with a twentieth of neutral's probability. On 700 neutral faces of FER2013 the
median of sadness, which expression-accurate 1.2.0 over-reads most, is exp(−3.9); those of all
others lie below exp(−7.1)."""
_LEAST_PROBABILITY = 0.65 * 0.0005
"""Stands for a recorded 0: 65 % of the limit of rounding (Martín-Fernández et al. 2003,
multiplicative replacement).
"""
_NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a participant's neutral face makes the classifier over-read.

    Attributes:
        session: in which the calibration lies, and for which it holds.
        start_ms: its marker.
        end_ms: 20 s later, or earlier where a stimulus began or the session ended.
        rows: rows that it is taken from.
        shift: s of each category in the order of ``EMOTIONS``, in units of log-odds, at least 0.
    """

    session: int
    start_ms: int
    end_ms: int
    rows: int
    shift: tuple[float, ...]

    def corrected(self, expression: Expression) -> Expression:
        """Return an expression without what the neutral face over-reads.

        Its probabilities sum to 1.
        """
        weights = [
            p * math.exp(-s) for p, s in zip(expression.probabilities, self.shift, strict=True)
        ]
        total = math.fsum(weights)
        if total:
            return Expression(tuple(weight / total for weight in weights))
        return expression


@dataclass(frozen=True, slots=True)
class CorrectedRow:
    """A row of the participant's face, as recorded and as it is after the correction.

    Attributes:
        at_ms: end of the recording interval.
        mean: mean raw probabilities, as recorded.
        smoothed: smoothed probabilities, as recorded.
        corrected_mean: ``mean`` without what the neutral face over-reads.
        corrected_smoothed: likewise.
    """

    at_ms: int
    mean: Expression
    smoothed: Expression
    corrected_mean: Expression
    corrected_smoothed: Expression


def neutral_shift(
    rows: Sequence[Expression], usual_log_odds: float = USUAL_LOG_ODDS
) -> tuple[float, ...]:
    """Return s of each category from the rows of a calibration.

    Args:
        rows: mean raw probabilities of the participant's neutral face.
        usual_log_odds: R.

    Raises:
        ValueError: fewer than ``LEAST_ROWS`` rows.
    """
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"a baseline needs {LEAST_ROWS} rows of the face, not {len(rows)}")
    by_category = [
        [_log_odds(row.probabilities, index) for row in rows] for index in range(len(EMOTIONS))
    ]
    return tuple(
        0.0 if index == _NEUTRAL else max(0.0, median(values) - usual_log_odds)
        for index, values in enumerate(by_category)
    )


def _log_odds(probabilities: Sequence[float], index: int) -> float:
    """Return ln(p / p_neutral), with what stands for a recorded 0."""
    return math.log(
        max(probabilities[index], _LEAST_PROBABILITY)
        / max(probabilities[_NEUTRAL], _LEAST_PROBABILITY)
    )
