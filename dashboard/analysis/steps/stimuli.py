"""The check whether the stimuli raised their own emotion on the face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dashboard.analysis.choices import settlings_of
from dashboard.analysis.decision import with_cautions
from dashboard.analysis.inference.loss import (
    Losses,
    Seconds,
    beside_by_measure,
    compare_losses,
    losses_in_states,
    seconds_of,
)
from dashboard.analysis.inference.mixed import Main
from dashboard.analysis.query import AnalysisQuery, same_label
from dashboard.analysis.readings.means import session_means
from dashboard.analysis.readings.places import places_of, with_places
from dashboard.analysis.readings.states import find_shown
from dashboard.analysis.results import ComparisonModel, PeriodModel, VitalModelModel
from dashboard.analysis.steps.decided import decide_family
from dashboard.analysis.steps.material import Material
from dashboard.analysis.steps.shown import OWN
from dashboard.analysis.steps.tested import compare_means
from edge_agent.core.expression import Emotion
from edge_agent.timeline.read.measured import FOREVER_MS


@dataclass(frozen=True, slots=True)
class StimuliCheck:
    """The tests whether each stimulus that is called after an emotion raised its probability.

    Attributes:
        query: what they ask; its second state stands for the emotion of each measure.
        family: of each emotion its stimulus against neutral.
        models: the mixed model of each probability.
        periods: of each paired test what time in the session may have to do with it.
        main: which analysis is the main one.
    """

    query: AnalysisQuery
    family: tuple[ComparisonModel, ...]
    models: tuple[VitalModelModel, ...]
    periods: tuple[PeriodModel, ...]
    main: Main


def check_stimuli(material: Material) -> StimuliCheck | None:
    """Test whether each stimulus that is called after an emotion raised its probability on the
    face above that in neutral; ``None`` without such stimuli or faces.

    Of each such probability the stimulus is called alike here, so that these tests are the ones of
    two states of as many measures: a family of their own, decided as every family is.
    """
    question, faces = material.check, material.faces
    if question is None or faces is None:
        return None
    (choice,) = settlings_of(question)
    readings = find_shown(faces[0], question, material.sessions, material.stimuli, choice)
    groups = [
        replace(group, state=OWN if label == group.kind else Emotion.NEUTRAL)
        for group in readings.groups
        if (label := same_label(group.state)) in (group.kind, Emotion.NEUTRAL)
    ]
    labels = tuple(str(one) for one in (Emotion.NEUTRAL, *question.vital))
    means = with_places(
        session_means(groups, question.states),
        places_of(material.met, labels, made_up=material.made_up),
        lambda mean: str(mean.kind) if mean.state == OWN else mean.state,
    )
    tested = compare_means(
        question, means, material.sites, is_timed=material.is_timed, only_main=True
    )
    if all(comparison.tests is None for comparison in tested.compared):
        return None
    lost = losses_in_states(groups, question, _lasting(question, material))

    def losses_of(one: ComparisonModel) -> Mapping[str, Losses]:
        return lost.get(one.vital, {})

    beside = beside_by_measure(losses_of, compare_losses)
    family = with_cautions(decide_family(question, tested), {"loss": beside})
    named = [{"first": str(kind), "second": str(Emotion.NEUTRAL)} for kind in question.vital]
    return StimuliCheck(
        query=question,
        family=tuple(
            test.model_copy(update=names) for test, names in zip(family, named, strict=True)
        ),
        models=tested.models,
        periods=tuple(
            effect.model_copy(update=names)
            for effect, names in zip(tested.effects, named, strict=True)
            if effect is not None
        ),
        main=tested.main,
    )


def _lasting(question: AnalysisQuery, material: Material) -> Seconds:
    """Return how long the stimuli of a check lasted, that of each probability and the neutral one.

    Of made-up times none is known.
    """
    of_labels = question.model_copy(update={"states": (Emotion.NEUTRAL, *question.vital)})
    lasted = seconds_of(
        material.timed_stimuli, of_labels, question.vital, material.untested, FOREVER_MS
    )
    return {
        (session, OWN if label == kind else label, kind): seconds
        for (session, label, kind), seconds in lasted.items()
        if label in (kind, Emotion.NEUTRAL)
    }
