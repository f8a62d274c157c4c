"""By how much misread states shrink the difference between them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from dashboard.statistics.samples import LEVEL, Interval
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_, Message


@dataclass(frozen=True, slots=True)
class Recall:
    """How often faces that show a state are read as it.

    Attributes:
        share: of the pictures, 0…1.
        n: how many pictures.
    """

    share: float
    n: int


@dataclass(frozen=True, slots=True)
class Attenuation:
    """What is left of a difference between two states that are sometimes read as each other.

    Attributes:
        factor: observed difference over true one; 1 where nothing is misread.
        interval: its 95 % interval, from the numbers of pictures.
        first: how often the first state is read as itself.
        second: the same of the second.
    """

    factor: float
    interval: Interval
    first: Recall
    second: Recall


def attenuation(first: Recall, second: Recall) -> Attenuation:
    """Return by what factor misreading shrinks a difference, at the worst.

    Formula: with εₐ = 1 − recall of A, ε_b of B, and both states shown equally long, a reading that
    is called A is of A with P_a = (1 − εₐ) / (1 − εₐ + ε_b), and P_b alike. Its mean is
    P_a · μ_a + (1 − P_a) · μ_b, so the observed difference is (P_a + P_b − 1) · (μ_a − μ_b): with
    εₐ = ε_b = ε, 1 − 2ε. "At the worst": every misread face of one state is taken for the other;
    one that is read as a third state only leaves the test. Assumes that misreading does not depend
    on the reading, and that a face is misread for the whole window. Source: Bross 1954, Biometrics
    10:478–486; Copeland et al. 1977, American Journal of Epidemiology 105:488–495. Interval:
    Wilson's limits of both recalls, put together by the square-and-add method (Newcombe 1998,
    Statistics in Medicine 17:873–890).

    Raises:
        StatisticsError: a recall outside 0…1, or without pictures.
    """
    for recall in (first, second):
        if not 0 <= recall.share <= 1 or recall.n < 1:
            raise StatisticsError(
                Message(
                    N_("a recall is a share of at least 1 picture, not {share:g} of {n}"),
                    share=recall.share,
                    n=recall.n,
                )
            )
    factor = _factor(first.share, second.share)
    ends = []
    for place in (0, 1):
        one = factor - _factor(_wilson(first)[place], second.share)
        other = factor - _factor(first.share, _wilson(second)[place])
        ends.append(math.hypot(one, other))
    interval = Interval(max(0.0, factor - ends[0]), min(1.0, factor + ends[1]))
    return Attenuation(factor, interval, first, second)


def _factor(first: float, second: float) -> float:
    called_first = first + 1 - second
    called_second = second + 1 - first
    if min(called_first, called_second) <= 0:
        return 0.0
    return first / called_first + second / called_second - 1


def _wilson(recall: Recall) -> tuple[float, float]:
    """Return Wilson's 95 % limits of a share."""
    z = float(special.ndtri(0.5 + LEVEL / 2))
    n = recall.n
    middle = (recall.share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n)
    half *= math.sqrt(recall.share * (1 - recall.share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
