"""Counts of people, readings and windows, which the tests stand on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboard.analysis.inference.agreement import compare_sources
from dashboard.analysis.inference.checks import count_left_out
from dashboard.analysis.query import emotions_of
from dashboard.analysis.readings.states import ReadingGroup, count_states
from dashboard.analysis.results import CountedModel, MatchModel
from dashboard.analysis.steps.material import Material
from dashboard.analysis.steps.tested import Tested
from edge_agent.core.readings import VitalFlag
from edge_agent.timeline.read.observed import emotions_in, shown_in


def counted_of(material: Material, tested: Tested) -> CountedModel:
    """Count what went into the means and what did not."""
    query, readings, used = material.query, material.readings, material.used
    doubtful = [group for group in readings.in_states() if group.doubtful]
    mixed = material.choices.mixture
    return CountedModel(
        participants=len({mean.participant for mean in tested.means}),
        readings=_sum(used),
        simulated_readings=_sum(group for group in used if group.simulated),
        estimated_readings=_sum(group for group in used if group.estimated),
        estimated_left_out=_sum(
            group
            for group in readings.in_states()
            if VitalFlag.ESTIMATED in group.doubts(query.counted)
        ),
        flagged=_sum(doubtful),
        flagged_left_out=_sum(group for group in doubtful if group.doubts(query.counted)),
        left_out=count_left_out(readings, query),
        settling=readings.settling,
        other_states=count_states(material.counted, query.states),
        matching=readings.matching and MatchModel.model_validate(readings.matching),
        unreported=readings.unreported,
        orders={"-".join(order): count for order, count in material.orders.items()},
        agreements=compare_sources(
            material.stimuli, _seen_in_stimuli(material), emotions_of(query.states)
        ),
        own_neutral_sessions=material.calibrated,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
    )


def _sum(groups: Iterable[ReadingGroup]) -> int:
    return sum(group.n for group in groups)


def _seen_in_stimuli(material: Material) -> Sequence[str | None]:
    """Return the emotion that the face showed in each stimulus."""
    if material.faces is not None:
        return emotions_in(material.faces[1], material.query.share)
    return shown_in(material.stimuli, material.shown, material.query.share)
