"""People and readings on their way to the tests, and what was not measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from dashboard.analysis.inference.flow import flow_of
from dashboard.analysis.inference.groups import (
    MissingState,
    attribute_of,
    compare_groups,
    compare_missing,
    in_group_tests,
)
from dashboard.analysis.query import AnalysisQuery, Outcome
from dashboard.analysis.readings.means import StateMean, Visits, find_baselines
from dashboard.analysis.readings.recorded import read_recorded
from dashboard.analysis.results import FlowModel, FollowedModel, LeftOutModel, VitalGroupsModel
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
    groups = _groups(reader, tested.visits, query)
    flow = flow_of(recorded, query, readings, tested.of_sessions, left_out, tested.compared)
    followed = FollowedModel(
        flow=flow.model_copy(update={"groups": tuple(map(in_group_tests, groups))}),
        groups=groups,
        not_measured=_vitals_without_readings(query, recorded.counts),
    )
    return followed, _missing(reader, material, tested.means, flow)


def _groups(reader: Reader, visits: Visits, query: AnalysisQuery) -> tuple[VitalGroupsModel, ...]:
    """Compare groups of people, where an attribute is asked for."""
    if query.group is None:
        return ()
    return compare_groups(visits, attribute_of(reader.attributes(), query.group), query)


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
