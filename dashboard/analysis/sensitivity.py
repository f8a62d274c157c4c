"""Sensitivity of a result to how readings came to their state: to window and lag with observed
emotions, else to the settling time.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

from dashboard.analysis.comparison import Decision
from dashboard.analysis.request import AnalysisQuery
from dashboard.analysis.results import Conclusion
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_
from edge_agent.core.vitals import AnalysisOption

ALPHA = 0.05
_FACTORS = (0.5, 1.0, 2.0)
C = TypeVar("C")


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

    def scaled(self, window: float, lag: float) -> MatchingChoice:
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

    def scaled(self, factor: float) -> SettlingChoice:
        """Return so many times every settling time."""
        return SettlingChoice(tuple((kind, factor * seconds) for kind, seconds in self.seconds))


@dataclass(frozen=True, slots=True)
class Variant(Generic[C]):
    """One comparison under one choice.

    Attributes:
        choice: window and lags, or settling times.
        decision: what it comes to in numbers; its ``holm_p`` is adjusted for the family under this
            choice.
        conclusion: what it comes to.
        changes: whether that differs from the conclusion under the chosen choice.
    """

    choice: C
    decision: Decision
    conclusion: Conclusion
    changes: bool


@dataclass(frozen=True, slots=True)
class Sensitivity(Generic[C]):
    """One comparison of the family under all settings; ``chosen`` is the one that was declared."""

    chosen: Variant[C]
    variants: tuple[Variant[C], ...]

    @property
    def changed(self) -> int:
        """Under how many settings the conclusion is another."""
        return sum(variant.changes for variant in self.variants)


def choices_around(chosen: MatchingChoice) -> tuple[MatchingChoice, ...]:
    """Return the settings with half, the same and twice the window and lags: nine, the chosen one
    among them.

    A lag of 0 stays 0. All lags change together, because all are guesses about how fast the body
    follows.
    """
    scaled = (chosen.scaled(window, lag) for window, lag in product(_FACTORS, _FACTORS))
    # A lag of 0 scaled is 0 again, and each setting stands once.
    return tuple(dict.fromkeys(scaled))


def settling_choices(chosen: SettlingChoice) -> tuple[SettlingChoice, ...]:
    """Return the chosen settling times and none, half and twice of them, the shortest first.

    All change together, because all are guesses about how fast body and instrument follow.
    """
    return tuple(dict.fromkeys(chosen.scaled(factor) for factor in (0.0, *_FACTORS)))


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


def sensitivity(
    chosen: C, choices: Iterable[C], family: Callable[[C], Sequence[Decision]]
) -> tuple[Sensitivity[C], ...]:
    """Repeat a family of comparisons under other choices.

    Nothing is tested anew; the table shows whether the conclusion depends on a choice that the
    data do not make (Steegen, Tuerlinckx, Gelman & Vanpaemel 2016, Perspectives on Psychological
    Science 11:702–712). The declared choice stays the result;
    picking the choice with the smallest p would be a false positive.

    Args:
        chosen: the setting that was declared.
        choices: those to be tried; ``chosen`` may be among them.
        family: gives the comparisons under a choice, always the same ones in the same order,
            adjusted as a family; of computed variants ``variants.__getitem__``.

    Returns:
        For each comparison of the family its table, in order of ``choices``.

    Raises:
        StatisticsError: a family has another size than that of the chosen choice.
    """
    base = family(chosen)
    tried = [(choice, base if choice == chosen else family(choice)) for choice in choices]
    for choice, decisions in tried:
        if len(decisions) != len(base):
            raise StatisticsError(
                N_("{choice} gives {n} comparisons, and {chosen} gives {n_2}"),
                choice=choice,
                n=len(decisions),
                chosen=chosen,
                n_2=len(base),
            )
    return tuple(
        Sensitivity(
            chosen=_variant(chosen, own, own),
            variants=tuple(_variant(choice, decided[place], own) for choice, decided in tried),
        )
        for place, own in enumerate(base)
    )


def _variant(choice: C, decision: Decision, chosen: Decision) -> Variant[C]:
    conclusion = conclude(decision.difference, decision.holm_p)
    return Variant(
        choice,
        decision,
        conclusion,
        changes=conclusion is not conclude(chosen.difference, chosen.holm_p),
    )


def conclude(difference: float | None, adjusted_p: float | None) -> Conclusion:
    """Return what a difference and the p that decides come to; without both there is no test."""
    if adjusted_p is None or difference is None:
        return Conclusion.NO_TEST
    if adjusted_p >= ALPHA:
        return Conclusion.NOT_SHOWN
    if difference > 0:
        return Conclusion.HIGHER
    return Conclusion.LOWER
