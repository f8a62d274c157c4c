"""People and readings on their way to the tests, and what was not measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from dashboard.analysis.decision import with_cautions
from dashboard.analysis.inference.flow import flow_of
from dashboard.analysis.inference.groups import (
    MissingState,
    attribute_of,
    beside_groups,
    compare_groups,
    compare_missing,
    in_group_tests,
)
from dashboard.analysis.inference.loss import compare_doubts, compare_losses
from dashboard.analysis.inference.motion import can_change, compare_movers, motion_in_states
from dashboard.analysis.query import AnalysisQuery, Outcome
from dashboard.analysis.readings.means import StateMean, Visits, find_baselines, states_together
from dashboard.analysis.readings.recorded import read_recorded
from dashboard.analysis.results import (
    FlowModel,
    FollowedModel,
    GroupContrastModel,
    LeftOutModel,
    VitalGroupsModel,
)
from dashboard.analysis.steps.material import Material
from dashboard.analysis.steps.tested import Tested
from edge_agent.core.measures import Measure
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import ReadingCount


def followed_of(
    reader: Reader, material: Material, tested: Tested, left_out: Sequence[LeftOutModel]
) -> tuple[FollowedModel, tuple[MissingState, ...]]:
    """Follow people and readings from consent to the tests, and compare groups of people; beside it
    in what those who lack a state differ from the others.

    Args:
        reader: the timeline.
        material: what was read.
        tested: its tests.
        left_out: readings in no mean and no test.

    Raises:
        StoreError: the database cannot be read.
    """
    query, readings = material.query, material.readings
    recorded = read_recorded(
        reader, query, material.sessions, material.stimuli, readings, material.excluded
    )
    groups = _groups(reader, material, tested.visits)
    flow = flow_of(recorded, query, readings, tested.of_sessions, left_out, tested.compared)
    followed = FollowedModel(
        flow=flow.model_copy(update={"groups": tuple(map(in_group_tests, groups))}),
        groups=groups,
        not_measured=_vitals_without_readings(query, recorded.counts),
    )
    return followed, _missing(reader, material, tested.means, flow)


def _groups(reader: Reader, material: Material, visits: Visits) -> tuple[VitalGroupsModel, ...]:
    """Compare groups of people, where an attribute is asked for."""
    query = material.query
    if query.group is None:
        return ()
    values = attribute_of(reader.attributes(), query.group)
    return tuple(
        one.model_copy(update={"contrasts": _with_cautions(one, material, visits, values)})
        for one in compare_groups(visits, values, query)
    )


def _with_cautions(
    one: VitalGroupsModel, material: Material, visits: Visits, values: Mapping[str, str]
) -> tuple[GroupContrastModel, ...]:
    """Return the contrasts of a vital with what is remarked on the readings of the groups."""
    states, kind = material.query.states, one.vital
    whole = states_together(visits, kind, states).columns[0]
    group_of = {code: values[code] for code in whole if code in values}
    moved = motion_in_states(material.motion, material.query) if can_change(kind) else {}
    lost, doubted = material.lost.get(kind, {}), material.doubted.get(kind, {})
    return with_cautions(
        one.contrasts,
        {
            "loss": beside_groups(lost, group_of, states, compare_losses),
            "doubted": beside_groups(doubted, group_of, states, compare_doubts),
            "motion": beside_groups(moved, group_of, states, compare_movers),
        },
    )


def _vitals_without_readings(
    query: AnalysisQuery, counts: Iterable[ReadingCount]
) -> tuple[Measure, ...]:
    """Return the vitals without any reading, none of them where there is no reading at all; those
    that a declared family names are tests that somebody decided on.
    """
    recorded = {one.kind for one in counts}
    declared = {
        kind for kind in query.vital for pair in query.pairs if query.family_of(kind, *pair) >= 0
    }
    absent = tuple(
        kind
        for kind in query.vital
        if isinstance(kind, VitalKind) and kind not in recorded and kind not in declared
    )
    return absent if len(absent) < len(query.vital) else ()


def _missing(
    reader: Reader, material: Material, means: Sequence[StateMean], flow: FlowModel
) -> tuple[MissingState, ...]:
    """Compare who lacks a state with who has it; read what they were at rest where there are such
    people, unless a change from it was asked for and it is read already.
    """
    if not flow.missing:
        return ()
    query = material.query
    baselines = material.choices.baselines
    if query.outcome is not Outcome.CHANGE:
        baselines = find_baselines(reader, query, material.sessions)
    person = {session.id: session.participant for session in material.sessions}
    at_rest: defaultdict[tuple[Measure, str], list[float]] = defaultdict(list)
    # Averaged over the sessions below: one value a person, as everywhere.
    for (session, kind, _), value in baselines.items():
        at_rest[kind, person[session]].append(value)
    return compare_missing(
        flow.missing,
        means,
        {place: fmean(values) for place, values in at_rest.items()},
        changes=query.outcome is Outcome.CHANGE,
    )
