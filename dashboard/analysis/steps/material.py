"""The material of an analysis: all that is read once, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from dashboard.analysis.choices import MatchingChoice, SettlingChoice, matchings_of, settlings_of
from dashboard.analysis.inference.checks import orders_of
from dashboard.analysis.inference.loss import (
    Losses,
    Seconds,
    doubts_in_states,
    losses_in_states,
    seconds_of,
)
from dashboard.analysis.inference.motion import Motions, compare_motion
from dashboard.analysis.query import AnalysisQuery, Outcome, Sample, StateBy
from dashboard.analysis.readings.means import Place, find_baselines, less_baseline, without_baseline
from dashboard.analysis.readings.places import Places, Predecessors, places_of, predecessors_of
from dashboard.analysis.readings.states import (
    ReadingGroup,
    StateReadings,
    find_motion,
    find_observed,
    find_readings,
)
from dashboard.analysis.steps.shown import question_of_check, read_shown
from edge_agent.core.measures import Measure
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.matching import FaceLabels, Mixture, mixture
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.sites import sites_of
from edge_agent.timeline.read.stimuli import PieceSums, SessionStimulus
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.study.own_neutral import OwnNeutral, untested_by_session

if TYPE_CHECKING:
    from edge_agent.timeline.read.matching import Integers


@dataclass(frozen=True, slots=True)
class Choices:
    """The readings under the declared choice, which comes first, and under those around it.

    Attributes:
        matched: by observed emotion; empty otherwise.
        settled: by condition or self-report; empty otherwise.
        mixture: how far windows hold several states; ``None`` without windows.
        without_baseline: sessions without a baseline, where a change is asked for.
        baselines: means at rest, where a change is asked for.
        levels: the readings before a baseline was taken away, in the same order.
    """

    matched: dict[MatchingChoice, StateReadings]
    settled: dict[SettlingChoice, StateReadings]
    mixture: Mixture | None
    without_baseline: int
    baselines: Mapping[Place, float] = field(default_factory=dict)
    levels: tuple[StateReadings, ...] = ()

    @property
    def declared(self) -> StateReadings:
        # Dicts keep their order, and the declared choice was put in first.
        return next(iter((self.matched or self.settled).values()))


def read_choices(
    reader: Reader,
    query: AnalysisQuery,
    sessions: tuple[Session, ...],
    stimuli: Sequence[SessionStimulus],
    shown: Mapping[int, FaceLabels],
) -> Choices:
    """Read the vital signs once, under each choice; as changes where these are asked for."""
    matched: dict[MatchingChoice, StateReadings] = {}
    settled: dict[SettlingChoice, StateReadings] = {}
    mixed = None
    if query.state is StateBy.OBSERVED:
        # The first of them is the declared one, here and in ``settlings_of``.
        matchings = matchings_of(query)
        every = find_observed(reader, query, sessions, shown, matchings)
        matched = dict(zip(matchings, every, strict=True))
        mixed = mixture(shown.values(), round(1000 * query.window), query.share)
    else:
        settlings = settlings_of(query)
        every = find_readings(reader, query, sessions, stimuli, settlings)
        settled = dict(zip(settlings, every, strict=True))
    if query.outcome is not Outcome.CHANGE:
        return Choices(matched, settled, mixed, 0, levels=tuple(every))
    baselines = find_baselines(reader, query, sessions)
    return Choices(
        {choice: less_baseline(one, baselines) for choice, one in matched.items()},
        {choice: less_baseline(one, baselines) for choice, one in settled.items()},
        mixed,
        # Of the declared choice, which comes first: the others only stand beside it.
        without_baseline(every[0], baselines),
        baselines,
        tuple(every),
    )


@dataclass(frozen=True)
class Material:
    """All that the steps of an analysis start from.

    Attributes:
        query: the question.
        sample: which sessions it was asked of.
        sessions: those that are looked at, without those that somebody left out.
        excluded: what somebody left out of the sessions that were asked for.
        stimuli: those that count.
        met: with those that somebody left out.
        shown: by observed emotion the labels of the faces of each session; empty otherwise.
        check: what the check of the stimuli asks; ``None`` where there is none.
        faces: by other states what the faces in the stimuli showed; ``None`` by observed emotion.
        choices: the readings under each choice.
        own: by session the participant's own neutral.
        sites: where each participant was measured; empty where that is one site.
        motion: how much the wearers of sensors moved.
    """

    query: AnalysisQuery
    sample: Sample
    sessions: tuple[Session, ...]
    excluded: Sequence[Exclusion]
    stimuli: Sequence[SessionStimulus]
    met: Sequence[SessionStimulus]
    shown: Mapping[int, FaceLabels]
    check: AnalysisQuery | None
    faces: tuple[PieceSums, Integers] | None
    choices: Choices
    own: Mapping[int, OwnNeutral]
    sites: Mapping[str, str]
    motion: Sequence[ReadingGroup] = ()

    @property
    def readings(self) -> StateReadings:
        """The readings under the declared choice."""
        return self.choices.declared

    @cached_property
    def counted(self) -> Sequence[ReadingGroup]:
        """Those of them that no flag keeps out."""
        return self.readings.counting(self.query.counted)

    @cached_property
    def used(self) -> Sequence[ReadingGroup]:
        """Those of them in the states of the question."""
        return [group for group in self.counted if self.query.state_of(group.state) is not None]

    @cached_property
    def made_up(self) -> frozenset[int]:
        """Sessions whose times nobody measured."""
        return frozenset(session.id for session in self.sessions if session.has_made_up_times)

    @property
    def is_timed(self) -> bool:
        """Whether any time was measured: else there is no course, no order and no settling."""
        return len(self.made_up) < len(self.sessions)

    @cached_property
    def timed_stimuli(self) -> Sequence[SessionStimulus]:
        """The stimuli at times that were measured."""
        return [one for one in self.stimuli if one.session not in self.made_up]

    @cached_property
    def orders(self) -> Mapping[tuple[str, ...], int]:
        """How many participants met the states in which order, the commonest first."""
        return orders_of(self.timed_stimuli, self.query.states)

    @property
    def starts(self) -> Mapping[int, int]:
        """When each session started, UTC epoch milliseconds."""
        return {session.id: session.start_ms for session in self.sessions}

    @cached_property
    def places(self) -> Places:
        """The place of each state in the order in which it was met."""
        query = self.query
        return places_of(self.met, query.states, query.state, made_up=self.made_up)

    @cached_property
    def after(self) -> Predecessors:
        """States that came right before each state."""
        query = self.query
        return predecessors_of(self.met, query.states, query.state, made_up=self.made_up)

    @cached_property
    def untested(self) -> Mapping[int, Sequence[tuple[int, int]]]:
        """By session the stretches that are in no test, in order."""
        return untested_by_session(self.excluded, self.own.values())

    @cached_property
    def lasted(self) -> Seconds:
        """How long the stimuli of each state lasted; empty by observed emotion."""
        if self.query.state is StateBy.OBSERVED:
            return {}
        timed = (*self.query.vital, VitalKind.RR_INTERVAL)
        return seconds_of(self.timed_stimuli, self.query, timed, self.untested, FOREVER_MS)

    @cached_property
    def lost(self) -> Mapping[Measure, Mapping[str, Losses]]:
        """Which share of each measure each person lost in each state."""
        return losses_in_states(self.readings.groups, self.query, self.lasted)

    @cached_property
    def doubted(self) -> Mapping[Measure, Mapping[str, Losses]]:
        """Which share of the readings that count their device doubts."""
        return doubts_in_states(self.counted, self.query)

    @cached_property
    def moved(self) -> Motions:
        """How much the wearers of sensors moved in each pair of states."""
        return compare_motion(self.motion, self.query)

    @property
    def calibrated(self) -> tuple[int, ...]:
        """Sessions whose baseline calibrated the participant's own neutral."""
        ids = (session.id for session in self.sessions)
        return tuple(one for one in ids if one in self.own and self.own[one].applied is not None)


def read_material(
    reader: Reader, query: AnalysisQuery, sample: Sample, sessions: Iterable[Session]
) -> Material:
    """Read what the steps start from, in the sessions that were asked for.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    by_number = {session.id: session for session in sessions}
    looked_at = tuple(session for session in by_number.values() if session.left_out != "whole")
    numbers = [session.id for session in looked_at]
    stimuli = reader.stimuli(numbers)
    by_face = query.state is StateBy.OBSERVED
    shown = reader.face_labels(looked_at) if by_face else {}
    check = question_of_check(query, stimuli)
    return Material(
        query=query,
        sample=sample,
        sessions=looked_at,
        excluded=[one for one in reader.exclusions() if one.session in by_number],
        stimuli=stimuli,
        met=reader.stimuli(numbers, with_left_out=True),
        shown=shown,
        check=check,
        faces=None if by_face else read_shown(reader, check, stimuli),
        choices=read_choices(reader, query, looked_at, stimuli, shown),
        own=reader.own_neutrals(),
        sites=sites_of(reader),
        motion=find_motion(reader, query, looked_at, stimuli, shown),
    )
