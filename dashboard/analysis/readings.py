"""Which readings count and what state they belong to: from the timeline to sums by session and
state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.analysis.request import AnalysisQuery, StateBy
from dashboard.analysis.sensitivity import MatchingChoice, SettlingChoice
from dashboard.analysis.states import tested_state
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import DOUBTFUL, UNUSABLE, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.beats import Beats, StateSpan, spans_observed
from edge_agent.store.read.matching import FaceLabels, Matching
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts, flags_of
from edge_agent.store.read.stimuli import ReadingSum, Stimulus


@dataclass(frozen=True, slots=True)
class ReadingGroup:
    """Readings of one participant in one session that share kind, state and flags, summed.

    Attributes:
        participant: pseudonymous code.
        session: id of the session.
        state: label of the state, any.
        kind: what was measured.
        flags: of every one of them.
        simulated: whether they are simulated.
        n: how many they are.
        total: sum of the values.
        largest: largest absolute value.
        minutes: mean time of the readings, in minutes since the start of the session.
    """

    participant: str
    session: int
    state: str
    kind: VitalKind
    flags: frozenset[VitalFlag]
    simulated: bool
    n: int
    total: float
    largest: float
    minutes: float = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether the readings are flagged as out of range, without contact, of a poor signal or of
        doubtful time.
        """
        return bool(self.flags & DOUBTFUL)

    @property
    def estimated(self) -> bool:
        """Whether the readings are no measurement."""
        return VitalFlag.ESTIMATED in self.flags

    def doubts(self, counted: Collection[VitalFlag]) -> frozenset[VitalFlag]:
        """Return the flags for which the readings count in no mean, unless they are asked for."""
        return (self.flags & UNUSABLE) - frozenset(counted)


@dataclass(frozen=True, slots=True)
class Settling:
    """What the beginnings of the stimuli, which are left out, held of one vital.

    Attributes:
        kind: what was measured.
        seconds: how much of each stimulus is left out.
        readings: how many readings in the three states that is, which would count otherwise.
        emptied: in how many of the participants' states no reading is left.
    """

    kind: VitalKind
    seconds: float
    readings: int
    emptied: int


@dataclass(frozen=True, slots=True)
class StateReadings:
    """The readings of a question.

    Attributes:
        groups: those with a state, tested or not, and whatever their flags.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, the stimuli of which nothing was reported.
        settling: by condition or self-report, for each vital what the beginnings held.
    """

    groups: tuple[ReadingGroup, ...]
    matching: MatchCounts | None = None
    unreported: int = 0
    settling: tuple[Settling, ...] = ()

    def in_states(self) -> tuple[ReadingGroup, ...]:
        """Return the groups in the three states."""
        return tuple(group for group in self.groups if tested_state(group.state) is not None)

    def counting(self, flags: Collection[VitalFlag]) -> tuple[ReadingGroup, ...]:
        """Return the groups that count in means where these flags of doubt are asked for."""
        return tuple(group for group in self.groups if not group.doubts(flags))


def find_readings(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[Stimulus],
    choices: Sequence[SettlingChoice],
) -> list[StateReadings]:
    """Read the vital signs in stimuli, by condition or by what was reported, without the beginnings
    of the stimuli under each choice.

    However many choices there are, every reading is read once.

    Raises:
        StoreError: the database cannot be read.
    """
    by_id = {session.id: session for session in sessions}
    labels = [_label(stimulus, query.state) for stimulus in stimuli]
    named = {stimulus: label for stimulus, label in zip(stimuli, labels, strict=True) if label}
    cuts = {choice.settling_ms(kind) for choice in choices for kind in query.vital}
    pieces = [
        (sums.after_ms, _group(by_id[stimulus.session], named[stimulus], sums))
        for stimulus, sums in reader.vital_sums(tuple(named), query.vital, cuts)
    ]
    unreported = labels.count("") if query.state is StateBy.REPORTED else 0
    return [_settled(pieces, choice, query, unreported) for choice in choices]


def _settled(
    pieces: Sequence[tuple[int, ReadingGroup]],
    choice: SettlingChoice,
    query: AnalysisQuery,
    unreported: int,
) -> StateReadings:
    """Leave out the pieces that begin before a vital has settled, and say what they held."""
    begins = {kind: choice.settling_ms(kind) for kind in query.vital}
    kept = tuple(group for after_ms, group in pieces if after_ms >= begins[group.kind])
    skipped = [group for after_ms, group in pieces if after_ms < begins[group.kind]]
    return StateReadings(
        kept,
        unreported=unreported,
        settling=tuple(
            Settling(
                kind,
                choice.settling_s(kind),
                sum(group.n for group in _usable(skipped, kind, query)),
                len(_places(_usable(skipped, kind, query)) - _places(_usable(kept, kind, query))),
            )
            for kind in query.vital
        ),
    )


def _usable(
    groups: Iterable[ReadingGroup], kind: VitalKind, query: AnalysisQuery
) -> list[ReadingGroup]:
    """Return the groups of a vital in the three states that count by their flags."""
    return [
        group
        for group in groups
        if group.kind is kind
        and tested_state(group.state) is not None
        and not group.doubts(query.counted)
    ]


def _places(groups: Iterable[ReadingGroup]) -> set[tuple[str, Emotion | None]]:
    """Return whose and which states they are."""
    return {(group.participant, tested_state(group.state)) for group in groups}


def find_observed(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    shown: Mapping[int, FaceLabels],
    choices: Sequence[MatchingChoice],
) -> list[StateReadings]:
    """Read the vital signs of sessions by the emotion observed before them, under each choice of
    window and lags.

    However many choices there are, every reading is read once.

    Raises:
        StoreError: the database cannot be read.
    """
    by_id = {session.id: session for session in sessions}
    matchings = [
        Matching(choice.window_s, lags_of(query, choice), query.share) for choice in choices
    ]
    return [
        StateReadings(
            tuple(_group(by_id[number], state, sums) for number, state, sums in one.sums),
            one.counts,
        )
        for one in reader.observed_sums(sessions, shown, query.vital, matchings)
    ]


def find_beats(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[Stimulus],
    shown: Mapping[int, FaceLabels],
) -> list[Beats]:
    """Read the intervals between beats in anger, happiness and neutral, one entry for each time of
    one state.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.RR_INTERVAL not in reader.recorded_kinds():
        return []
    if query.state is StateBy.OBSERVED:
        lags = {VitalKind.RR_INTERVAL: query.lag_s(VitalKind.RR_INTERVAL)}
        by = Matching(query.window, lags, query.share)
        spans = (
            span for session in sessions for span in spans_observed(session, shown[session.id], by)
        )
    else:
        by_id = {session.id: session for session in sessions}
        spans = (
            StateSpan(by_id[one.session], _label(one, query.state), one.start_ms, one.end_ms)
            for one in stimuli
        )
    return reader.beats(span for span in spans if tested_state(span.state) is not None)


def lags_of(query: AnalysisQuery, choice: MatchingChoice) -> Mapping[VitalKind, float]:
    """Return by how many seconds each vital follows the face."""
    return {kind: choice.lag_s(kind) for kind in query.vital}


def count_states(groups: Iterable[ReadingGroup]) -> dict[str, int]:
    """Count the readings in states that no test uses, by label."""
    counts: Counter[str] = Counter()
    for group in groups:
        if tested_state(group.state) is None:
            counts[group.state] += group.n
    return dict(sorted(counts.items()))


def _label(stimulus: Stimulus, by: StateBy) -> str:
    if by is StateBy.CONDITION:
        return stimulus.condition
    return stimulus.reported or ""


def _group(session: Session, state: str, sums: ReadingSum) -> ReadingGroup:
    flags = flags_of(sums.flags)
    return ReadingGroup(
        participant=session.participant,
        session=session.id,
        state=state,
        kind=sums.kind,
        flags=flags,
        simulated=session.simulated or VitalFlag.SIMULATED in flags,
        n=sums.n,
        total=sums.total,
        largest=sums.largest,
        minutes=(sums.mean_at_ms - session.start_ms) / 60_000,
    )
