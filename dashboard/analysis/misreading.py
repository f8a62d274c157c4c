"""What misread faces and mixed windows do to differences between observed states. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.analysis.comparison import Comparison
from dashboard.analysis.request import AnalysisQuery, StateBy
from dashboard.languages.current import N_
from dashboard.statistics import (
    Attenuation,
    Bounds,
    Equivalence,
    Recall,
    attenuation,
    equivalence,
)
from edge_agent.core.expression import Emotion
from edge_agent.store.read.matching import Mixture

MANY_MIXED = 0.25
"""From this share of mixed windows on, a difference may shrink or turn its sign."""


@dataclass(frozen=True, slots=True)
class FaceReading:
    """What the card of the classifier says: its name, and how often it reads each state rightly."""

    model: str
    recalls: Mapping[Emotion, Recall]


@dataclass(frozen=True, slots=True)
class Misreading:
    """By how much misreading shrinks one difference; ``attenuation`` is ``None`` where no card says
    how often the two states are read rightly.
    """

    model: str
    attenuation: Attenuation | None


def misreading_of(
    query: AnalysisQuery, first: str, second: str, face: FaceReading | None
) -> Misreading | None:
    """Return what misreading does to a difference; ``None`` where states are not observed."""
    if query.state is not StateBy.OBSERVED:
        return None
    if face is None or not {first, second} <= face.recalls.keys():
        return Misreading("" if face is None else face.model, None)
    one = face.recalls[Emotion(first)]
    other = face.recalls[Emotion(second)]
    return Misreading(face.model, attenuation(one, other))


def bounds_of(
    comparison: Comparison, declared: Equivalence | None, misread: Misreading | None
) -> Equivalence | None:
    """Return the equivalence test that decides: bounds as far in as misreading may pull a
    difference.

    A true difference of the size of the bound is observed as that times the factor: what must be
    excluded is the smaller one.
    """
    if declared is None or comparison.method is None or misread is None:
        return declared
    if misread.attenuation is None or misread.attenuation.interval.low <= 0:
        return declared
    bound = declared.bounds.high * misread.attenuation.interval.low
    return equivalence(
        comparison.first, comparison.second, comparison.method, Bounds(-bound, bound)
    )


def doubt_of(misread: Misreading | None, mixed: Mixture | None) -> str:
    """Say why no difference may be called excluded; empty where there is no reason."""
    if misread is None:
        return ""
    if too_short(mixed):
        return N_("the observed states are too short for the window")
    if misread.attenuation is None:
        return N_("how often the classifier misreads these states is not known")
    if misread.attenuation.interval.low <= 0:
        return N_("the classifier may misread these states so often that nothing is left")
    return ""


def too_short(mixed: Mixture | None) -> bool:
    """Tell whether states are too short for the window."""
    if mixed is None or not mixed.stretch_ms:
        return False
    return mixed.mixed > MANY_MIXED * mixed.windows or mixed.stretch_ms < mixed.window_ms
