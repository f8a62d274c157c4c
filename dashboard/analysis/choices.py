"""Choices of how readings come to their state: window and lags with observed emotions, else the
settling times. Quick to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from dashboard.analysis.query import AnalysisQuery
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import AnalysisOption

_FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class MatchingChoice:
    """By what readings were matched to the emotion before them, in seconds.

    Attributes:
        window_s: length of the window.
        lag_heart_rate_s: by how much heart rate follows the face.
        lag_pressure_s: by how much pressure does.
        other_lags_s: by how much the vitals do that neither of the two is for.
    """

    window_s: float
    lag_heart_rate_s: float
    lag_pressure_s: float
    other_lags_s: tuple[tuple[Measure, float], ...] = ()

    def lag_s(self, kind: Measure) -> float:
        """Return by how many seconds a vital follows the face."""
        match kind.spec.option:
            case AnalysisOption.HEART_RATE:
                return self.lag_heart_rate_s
            case AnalysisOption.PRESSURE:
                return self.lag_pressure_s
        return dict(self.other_lags_s)[kind]

    def scale(self, window: float, lag: float) -> MatchingChoice:
        """Return the setting with so many times the window and so many times every lag."""
        return MatchingChoice(
            window * self.window_s,
            lag * self.lag_heart_rate_s,
            lag * self.lag_pressure_s,
            tuple((kind, lag * seconds) for kind, seconds in self.other_lags_s),
        )


@dataclass(frozen=True, slots=True)
class SettlingChoice:
    """A choice of how much of the beginning of each stimulus is left out.

    Attributes:
        seconds: for each vital.
    """

    seconds: tuple[tuple[Measure, float], ...]

    def settling_s(self, kind: Measure) -> float:
        """Return how many seconds of each stimulus are left out for a vital."""
        return dict(self.seconds)[kind]

    def settling_ms(self, kind: Measure) -> int:
        """Return the same in milliseconds."""
        return round(1000 * self.settling_s(kind))

    def scale(self, factor: float) -> SettlingChoice:
        """Return so many times every settling time."""
        return SettlingChoice(tuple((kind, factor * seconds) for kind, seconds in self.seconds))


def choices_around(chosen: MatchingChoice) -> tuple[MatchingChoice, ...]:
    """Return the settings with half, the same and twice the window and lags: nine, the chosen one
    among them.

    A lag of 0 stays 0. All lags change together, because all are guesses about how fast the body
    follows.
    """
    scaled = (chosen.scale(window, lag) for window, lag in product(_FACTORS, _FACTORS))
    # A lag of 0 scaled is 0 again, and each setting stands once.
    return tuple(dict.fromkeys(scaled))


def settling_choices(chosen: SettlingChoice) -> tuple[SettlingChoice, ...]:
    """Return the chosen settling times and none, half and twice of them, the shortest first.

    All change together, because all are guesses about how fast body and instrument follow.
    """
    return tuple(dict.fromkeys(chosen.scale(factor) for factor in (0.0, *_FACTORS)))


def matchings_of(query: AnalysisQuery) -> tuple[MatchingChoice, ...]:
    """Return the window and lags that were declared and, where asked for, those around them."""
    others = tuple((kind, query.lag_s(kind)) for kind in query.vital if kind.spec.option is None)
    chosen = MatchingChoice(query.window, query.lag_heart_rate, query.lag_pressure, others)
    around = choices_around(chosen) if query.sensitivity else ()
    # The chosen one first: callers take the first for the declared choice.
    return tuple(dict.fromkeys((chosen, *around)))


def settlings_of(query: AnalysisQuery) -> tuple[SettlingChoice, ...]:
    """Return the settling times that were declared and, where asked for, those around them."""
    chosen = SettlingChoice(tuple((kind, query.settling_s(kind)) for kind in query.vital))
    around = settling_choices(chosen) if query.sensitivity else ()
    return tuple(dict.fromkeys((chosen, *around)))
