"""Readings that count, with the state they belong to: from the timeline to sums by session and
state.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from dashboard.analysis.choices import MatchingChoice, SettlingChoice, matchings_of, settlings_of
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, StateBy, tested_state
from dashboard.analysis.results import SettlingModel
from edge_agent.core.measures import Measure, measure_of
from edge_agent.core.readings import DOUBTFUL, UNUSABLE, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import MatchCounts, flags_of
from edge_agent.timeline.read.matching import FaceLabels, Matching
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.observed import Beats, SkinConductance, StateSpan, spans_observed
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import ReadingCount
from edge_agent.timeline.read.stimuli import PieceSums, ReadingSum, SessionStimulus

if TYPE_CHECKING:
    from edge_agent.timeline.read.matching import Integers, Reals

_MINUTE_MS = 60_000
_LARGEST = 1e200
_Part = TypeVar("_Part", Beats, SkinConductance)


Summed = tuple[str, int, str, Measure, frozenset[VitalFlag], bool, int, float, float, float, str]
"""What a ``ReadingGroup`` is made of, in its order."""


class SummedPieces:
    """The pieces of the stimuli of a question, ready to be put together in several ways.

    Pieces belong together that share session, state, vital, flags and source.

    Args:
        sums: of the pieces.
        sessions: by id, all that have a stimulus.
        stimuli: with the label of their state, in the order that ``sums`` counts them in.
    """

    def __init__(
        self,
        sums: PieceSums,
        sessions: Mapping[int, Session],
        stimuli: Sequence[tuple[SessionStimulus, str]],
    ) -> None:
        self._sums = sums
        kinds = tuple(dict.fromkeys(sums.kinds))
        self._kinds = [measure_of(kind) for kind in kinds]
        self._kind = _codes(sums.kinds, kinds)
        flags = tuple(dict.fromkeys(sums.flags))
        sources = tuple(dict.fromkeys(sums.sources))
        states = tuple(dict.fromkeys((one.session, label) for one, label in stimuli))
        state = _codes([(one.session, label) for one, label in stimuli], states)[sums.stimulus]
        # One number for each combination; divmod takes it apart below, in the opposite order.
        cell = (state * len(kinds) + self._kind) * len(flags) + _codes(sums.flags, flags)
        cell = cell * len(sources) + _codes(sums.sources, sources)
        cells, self._group = np.unique(cell, return_inverse=True)
        # Pieces of one group stand together in this order, so that a slice sums them.
        self._order = np.argsort(self._group, kind="stable")
        counts = np.bincount(self._group, minlength=len(cells))
        self._ends = [0, *np.cumsum(counts).tolist()]
        starts_ms = np.array([sessions[one.session].start_ms for one, _ in stimuli], dtype=np.int64)
        # Of made-up times no order and no course is reported: all states were met at once.
        is_told = np.array([not sessions[one.session].has_made_up_times for one, _ in stimuli])
        since_start = (sums.mean_at_ms - starts_ms[sums.stimulus]) / _MINUTE_MS
        self._minutes = np.where(is_told[sums.stimulus], since_start, 0.0)
        self._names = []
        for number in cells.tolist():
            rest, source = divmod(number, len(sources))
            rest, flag = divmod(rest, len(flags))
            place, kind = divmod(rest, len(kinds))
            session, label = states[place]
            of_all = flags_of(flags[flag])
            simulated = sessions[session].simulated or VitalFlag.SIMULATED in of_all
            names = (sessions[session].participant, session, label, self._kinds[kind], of_all)
            self._names.append((*names, simulated, sources[source]))

    def split_by_settling(
        self, begins_ms: Mapping[Measure, int]
    ) -> tuple[list[Summed], list[Summed]]:
        """Put together the pieces that begin late enough for their vital, and the others."""
        least = np.array([begins_ms[kind] for kind in self._kinds], dtype=np.int64)
        late = self._sums.after_ms >= least[self._kind]
        return self._together(late), self._together(~late)

    def _together(self, used: npt.NDArray[np.bool_]) -> list[Summed]:
        """Put the used pieces together."""
        of_group = self._group[used]
        size = len(self._names)
        n = np.bincount(of_group, self._sums.n[used], size).astype(np.int64)
        largest = np.zeros(size)
        np.maximum.at(largest, of_group, self._sums.largest[used])
        total = self._totals(used)
        minutes = self._mean_minutes(used, n)
        columns = (n.tolist(), total, largest.tolist(), minutes.tolist())
        return [
            (*names, *numbers, source)
            for (*names, source), *numbers in zip(self._names, *columns, strict=True)
            # A group of which nothing is used here would divide by 0.
            if numbers[0]
        ]

    def _totals(self, used: npt.NDArray[np.bool_]) -> list[float]:
        """Return the sum of each group, rounded once: as if it had been one piece."""
        parts = np.where(used, self._sums.total, 0.0)
        if not np.all(np.abs(parts) < _LARGEST):  # refused later, by the name of who has it
            rough: list[float] = np.bincount(self._group, parts, len(self._names)).tolist()
            return rough
        in_order = parts[self._order].tolist()
        pairs = zip(self._ends, self._ends[1:], strict=False)
        return [math.fsum(in_order[first:last]) for first, last in pairs]

    def _mean_minutes(self, used: npt.NDArray[np.bool_], n: Integers) -> Reals:
        """Return the mean time of each group; that of a single piece is its very own."""
        of_group = self._group[used]
        size = len(self._names)
        weighed = np.bincount(of_group, (self._sums.n * self._minutes)[used], size)
        minutes = weighed / np.maximum(n, 1)
        # n · mean / n does not always give the mean back; that of a single piece is kept as it is.
        single = np.bincount(of_group, minlength=size) == 1
        plain = np.bincount(of_group, self._minutes[used], size)
        return np.where(single, plain, minutes)


def _codes(values: Sequence[object], names: Sequence[object]) -> Integers:
    """Return for each value its place among the names."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[value] for value in values], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class ReadingGroup:
    """Readings of one participant in one session that share kind, state, flags and source, summed.

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
        minutes: mean time of the readings, in minutes since the start of the session; 0 where
            times are made up.
        source: who measured.
        minutes_squared: by observed emotion, the sum of the squares of their times, minutes².
        product: by observed emotion, the sum of value · minutes.
    """

    participant: str
    session: int
    state: str
    kind: Measure
    flags: frozenset[VitalFlag]
    simulated: bool
    n: int
    total: float
    largest: float
    minutes: float = 0.0
    source: str = ""
    minutes_squared: float = 0.0
    product: float = 0.0

    @property
    def doubtful(self) -> bool:
        """Tell whether the readings are flagged as out of range, without contact, of a poor
        signal, of doubtful time or as artefacts.
        """
        return bool(self.flags & DOUBTFUL)

    @property
    def estimated(self) -> bool:
        """Tell whether the readings are estimates, not measurements."""
        return VitalFlag.ESTIMATED in self.flags

    def doubts(self, counted: Collection[VitalFlag]) -> frozenset[VitalFlag]:
        """Return the flags for which the readings count in no mean, unless they are asked for."""
        return (self.flags & UNUSABLE) - frozenset(counted)


@dataclass(frozen=True, slots=True)
class StateReadings:
    """The readings of a question.

    Attributes:
        groups: those with a state, tested or not, and whatever their flags; in a session of each
            vital those of one source.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, the stimuli of which nothing was reported.
        settling: by condition or self-report, for each vital what the beginnings held.
        beginnings: by condition or self-report, the readings of these beginnings themselves; like
            ``settling`` and ``unreported`` of the first of several choices alone.
        passed_over: those in these states whose source is not the one of the session.
        states: those that are compared.
        recorded: with observed emotions, how many readings the sessions hold, matched or not.
    """

    groups: tuple[ReadingGroup, ...]
    matching: MatchCounts | None = None
    unreported: int = 0
    settling: tuple[SettlingModel, ...] = ()
    beginnings: tuple[ReadingGroup, ...] = ()
    passed_over: tuple[ReadingGroup, ...] = ()
    states: tuple[str, ...] = TESTED_STATES
    recorded: tuple[ReadingCount, ...] = ()

    def in_states(self) -> tuple[ReadingGroup, ...]:
        """Return the groups in the states that are compared."""
        return tuple(group for group in self.groups if tested_state(group.state, self.states))

    def counting(self, flags: Collection[VitalFlag]) -> tuple[ReadingGroup, ...]:
        """Return the groups that count in means where these flags of doubt are asked for."""
        doubts = UNUSABLE - frozenset(flags)
        return tuple(group for group in self.groups if not group.flags & doubts)


def find_readings(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    choices: Sequence[SettlingChoice],
) -> list[StateReadings]:
    """Read the vital signs in stimuli, by condition or by what was reported, without the beginnings
    of the stimuli under each choice.

    However many choices there are, every reading is read once.

    Raises:
        StoreError: the database cannot be read.
    """
    # Stimuli without a label are not read at all.
    labels = [_label(stimulus, query.state) for stimulus in stimuli]
    named = [(one, label) for one, label in zip(stimuli, labels, strict=True) if label]
    # Cut at the settling times of all choices, so that each choice is a sum of whole pieces.
    cuts = {choice.settling_ms(kind) for choice in choices for kind in query.vital}
    sums = reader.piece_sums([stimulus for stimulus, _ in named], query.vital, cuts)
    pieces = SummedPieces(sums, {session.id: session for session in sessions}, named)
    unreported = labels.count("") if query.state is StateBy.REPORTED else 0
    declared, *others = choices
    return [
        _leave_out_settling(pieces, declared, query, unreported),
        *(_of_choice(pieces, choice, query) for choice in others),
    ]


def find_shown(
    sums: PieceSums,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    choice: SettlingChoice,
) -> StateReadings:
    """Return the readings of sums of the face in stimuli, without their beginnings."""
    named = [(one, _label(one, query.state)) for one in stimuli]
    pieces = SummedPieces(sums, {session.id: session for session in sessions}, named)
    return _of_choice(pieces, choice, query)


def _of_choice(pieces: SummedPieces, choice: SettlingChoice, query: AnalysisQuery) -> StateReadings:
    """Leave out the pieces that begin before a vital has settled."""
    late, _ = pieces.split_by_settling({kind: choice.settling_ms(kind) for kind in query.vital})
    kept, passed_over = of_one_source(
        [ReadingGroup(*one) for one in late], query.prefer_source, query.states
    )
    return StateReadings(kept, passed_over=passed_over, states=query.states)


def _leave_out_settling(
    pieces: SummedPieces, choice: SettlingChoice, query: AnalysisQuery, unreported: int
) -> StateReadings:
    """Leave out the same pieces, and say what they held."""
    begins = {kind: choice.settling_ms(kind) for kind in query.vital}
    late, early = pieces.split_by_settling(begins)
    skipped = tuple(ReadingGroup(*one) for one in early)
    kept, passed_over = of_one_source(
        [ReadingGroup(*one) for one in late], query.prefer_source, query.states
    )
    usable = _usable(skipped, query)
    places = _places(_usable(kept, query), query)
    # Places that had readings only in the beginnings that are left out.
    emptied = Counter(kind for kind, _, _ in _places(usable, query) - places)
    held = Counter[Measure]()
    for group in usable:
        held[group.kind] += group.n
    return StateReadings(
        kept,
        passed_over=passed_over,
        unreported=unreported,
        settling=tuple(
            SettlingModel(
                vital=kind,
                seconds=choice.settling_s(kind),
                readings=held[kind],
                emptied=emptied[kind],
            )
            for kind in query.vital
        ),
        beginnings=skipped,
        states=query.states,
    )


def _usable(groups: Iterable[ReadingGroup], query: AnalysisQuery) -> list[ReadingGroup]:
    """Return the groups in the three states that count by their flags."""
    doubts = UNUSABLE - query.counted
    return [
        group
        for group in groups
        if query.state_of(group.state) is not None and not group.flags & doubts
    ]


def _places(
    groups: Iterable[ReadingGroup], query: AnalysisQuery
) -> set[tuple[Measure, str, str | None]]:
    """Return of which vital, whose and which states they are."""
    return {(group.kind, group.participant, query.state_of(group.state)) for group in groups}


def find_observed(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    shown: Mapping[int, FaceLabels],
    choices: Sequence[MatchingChoice],
) -> list[StateReadings]:
    """Group readings by the emotion that was observed before them, for each window and lags.

    Every reading is loaded only once, for all choices.

    Raises:
        StoreError: the database cannot be read.
    """
    # Of made-up times no course is reported.
    by_id = {session.id: (session, not session.has_made_up_times) for session in sessions}
    matchings = [
        Matching(choice.window_s, lags_of(query, choice), query.share) for choice in choices
    ]
    every = []
    for one in reader.observed_sums(sessions, shown, query.vital, matchings):
        groups = tuple(_group(*by_id[number], state, sums) for number, state, sums in one.sums)
        kept, passed_over = of_one_source(groups, query.prefer_source, query.states)
        every.append(
            StateReadings(
                kept,
                one.counts,
                passed_over=passed_over,
                states=query.states,
                recorded=one.recorded,
            )
        )
    return every


def of_one_source(
    groups: Sequence[ReadingGroup],
    preferred: Sequence[str] = (),
    states: tuple[str, ...] = TESTED_STATES,
) -> tuple[tuple[ReadingGroup, ...], tuple[ReadingGroup, ...]]:
    """Choose in each session, of each vital, the source that counts: a difference between two
    states must not be one between two sensors, and a mean of two sensors is neither's.

    The first of ``preferred`` that measured counts; else the one with the most readings in the
    three states that no flag casts doubt on, then with the most.

    Returns:
        What counts, and what is passed over of the three states.
    """
    sources = {(group.session, group.kind, group.source) for group in groups}
    # As many sources as places: no place has two.
    if len(sources) == len({(session, kind) for session, kind, _ in sources}):
        return tuple(groups), ()  # as nearly always
    measured: defaultdict[tuple[int, Measure], dict[str, tuple[int, int]]] = defaultdict(dict)
    for group in groups:
        if tested_state(group.state, states) is not None:
            sound, every = measured[group.session, group.kind].get(group.source, (0, 0))
            sound += 0 if group.flags & UNUSABLE else group.n
            measured[group.session, group.kind][group.source] = (sound, every + group.n)
    chosen = {place: best_source(sources, preferred) for place, sources in measured.items()}
    kept = tuple(
        group
        for group in groups
        # A session without readings in the states has nothing to choose by, and keeps all.
        if chosen.get((group.session, group.kind), group.source) == group.source
    )
    passed_over = tuple(
        group
        for group in groups
        if tested_state(group.state, states) is not None
        and chosen[group.session, group.kind] != group.source
    )
    return kept, passed_over


def best_source(sources: Mapping[str, tuple[int, int]], preferred: Sequence[str]) -> str:
    """Return which source counts.

    Args:
        sources: of each how many readings without doubt it has, and how many in all.
        preferred: names, the first that is there counts.
    """
    for name in preferred:
        if name in sources:
            return name
    # The name breaks a tie, or the order of the rows would decide.
    return min(sources, key=lambda name: (-sources[name][0], -sources[name][1], name))


def find_beats(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    shown: Mapping[int, FaceLabels],
) -> list[Beats]:
    """Read the intervals between beats in the states that are compared, one entry for each time of
    one state.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.RR_INTERVAL not in reader.recorded_kinds():
        return []
    return _of_best_source(
        reader.beats(_spans(VitalKind.RR_INTERVAL, query, sessions, stimuli, shown)),
        query.prefer_source,
    )


def find_skin_conductance(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    shown: Mapping[int, FaceLabels],
) -> list[SkinConductance]:
    """Read the skin conductance of the sessions with a state that is compared, one entry each.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.SKIN_CONDUCTANCE not in reader.recorded_kinds():
        return []
    return _of_best_source(
        reader.skin_conductance(
            _spans(VitalKind.SKIN_CONDUCTANCE, query, sessions, stimuli, shown)
        ),
        query.prefer_source,
    )


def find_motion(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    shown: Mapping[int, FaceLabels],
) -> tuple[ReadingGroup, ...]:
    """Read how much the wearers of sensors moved in the states that are compared, without readings
    in doubt.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.BODY_MOTION not in reader.recorded_kinds():
        return ()
    alone = query.model_copy(update={"vital": (VitalKind.BODY_MOTION,), "sensitivity": False})
    if query.state is StateBy.OBSERVED:
        (readings,) = find_observed(reader, alone, sessions, shown, matchings_of(alone))
    else:
        (readings,) = find_readings(reader, alone, sessions, stimuli, settlings_of(alone))
    return readings.counting(query.counted)


def find_skin_courses(
    reader: Reader, sessions: Sequence[Session], preferred: Sequence[str]
) -> list[SkinConductance]:
    """Read the skin conductance of whole sessions, one entry each.

    Args:
        reader: the timeline of a site, or of several.
        sessions: which.
        preferred: which source counts where several measured it, the best first.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.SKIN_CONDUCTANCE not in reader.recorded_kinds():
        return []
    spans = (
        StateSpan(one, "", one.start_ms, FOREVER_MS if one.end_ms is None else one.end_ms)
        for one in sessions
    )
    return _of_best_source(reader.skin_conductance(spans), preferred)


def _spans(
    kind: VitalKind,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    shown: Mapping[int, FaceLabels],
) -> Iterator[StateSpan]:
    """Yield the times of the states that are compared, session by session; by observed emotion they
    are later by the lag of the kind.
    """
    if query.state is StateBy.OBSERVED:
        lags: dict[Measure, float] = {kind: query.lag_s(kind)}
        by = Matching(query.window, lags, query.share)
        spans = (
            span
            for session in sessions
            for span in spans_observed(session, shown[session.id], by, kind)
        )
    else:
        by_id = {session.id: session for session in sessions}
        spans = (
            StateSpan(by_id[one.session], _label(one, query.state), one.start_ms, one.end_ms)
            for one in stimuli
        )
    return (span for span in spans if query.state_of(span.state) is not None)


def _of_best_source(parts: Sequence[_Part], preferred: Sequence[str]) -> list[_Part]:
    """Return of each session what the source measured that it is analysed with."""
    measured: defaultdict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for part in parts:
        every = measured[part.session].get(part.source, (0, 0))[1] + len(part.at_ms)
        measured[part.session][part.source] = (every, every)
    chosen = {session: best_source(sources, preferred) for session, sources in measured.items()}
    return [part for part in parts if part.source == chosen[part.session]]


def lags_of(query: AnalysisQuery, choice: MatchingChoice) -> Mapping[Measure, float]:
    """Return by how many seconds each vital follows the face."""
    return {kind: choice.lag_s(kind) for kind in query.vital}


def count_states(
    groups: Iterable[ReadingGroup], states: tuple[str, ...] = TESTED_STATES
) -> dict[str, int]:
    """Count the readings in states that no test uses, by label."""
    counts: Counter[str] = Counter()
    for group in groups:
        if tested_state(group.state, states) is None:
            counts[group.state] += group.n
    return dict(sorted(counts.items()))


def _label(stimulus: SessionStimulus, by: StateBy) -> str:
    if by is StateBy.CONDITION:
        return stimulus.condition
    return stimulus.reported or ""


def _group(session: Session, is_told: bool, state: str, sums: ReadingSum) -> ReadingGroup:
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
        minutes=sums.minutes if is_told else 0.0,
        source=sums.source,
        minutes_squared=sums.minutes_squared if is_told else 0.0,
        product=sums.product if is_told else 0.0,
    )
