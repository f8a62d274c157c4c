"""The flow of people and readings from consent to the tests, and their losses on the way.

As a flow chart of a trial (CONSORT) has it: each step with who is still there, and beside it who
was lost, and why.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from dashboard.analysis.inference.comparison import Comparison
from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.readings.means import SessionMean, sides_of, visits_of
from dashboard.analysis.readings.recorded import Recorded
from dashboard.analysis.readings.states import StateReadings
from dashboard.analysis.results import (
    ExcludedModel,
    FlowModel,
    LeftOutModel,
    LossModel,
    MissingModel,
    StageModel,
    Step,
    TestFlowModel,
)
from dashboard.statistics.t_tests import Method
from edge_agent.core.measures import Measure
from edge_agent.core.readings import UNUSABLE
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.read.session_reader import ReadingCount


class LostReason(StrEnum):
    """The reason for a loss between two steps."""

    NO_SESSION = "no_session"
    OTHER_SESSIONS = "other_sessions"
    EXCLUDED = "excluded"
    NO_CONSENT = "no_consent"
    NO_READING = "no_reading"
    IN_DOUBT = "in_doubt"
    OUTSIDE_STATES = "outside_states"
    NOT_MATCHED = "not_matched"
    NOT_SETTLED = "not_settled"
    NO_PAIR = "no_pair"


class FlowCount(NamedTuple):
    """The numbers of people, sessions and readings; ``None``: readings are not counted yet."""

    people: int
    sessions: int
    readings: int | None


def _loss(
    reason: LostReason, people: int, readings: int | None = None, detail: str = "", state: str = ""
) -> LossModel:
    return LossModel(
        reason=reason, detail=detail, state=state, people=people, readings=readings, sentence=""
    )


def _stage(step: Step, count: FlowCount, lost: Iterable[LossModel] = ()) -> StageModel:
    return StageModel(step=step, title="", **count._asdict(), lost=tuple(lost))


def flow_of(
    recorded: Recorded,
    query: AnalysisQuery,
    readings: StateReadings,
    means: Sequence[SessionMean],
    left_out: Sequence[LeftOutModel],
    family: Sequence[Comparison],
) -> FlowModel:
    """Follow people and readings from consent to the tests; the texts are not written yet.

    Args:
        recorded: what there is.
        query: the question.
        readings: those with a state, whatever their flags.
        means: of each session and state, of what counts.
        left_out: readings in the states that their flags keep out.
        family: the t-tests, in order of the vitals asked for and the pairs of states.
    """
    of_session = {one.id: one.participant for one in recorded.sessions}
    doubts = UNUSABLE - query.counted
    usable = [one for one in recorded.counts if not flags_of(one.flags) & doubts]
    measured = _count(recorded.counts, of_session)
    clean = _count(usable, of_session)
    in_state = FlowCount(
        len({mean.participant for mean in means}),
        len({mean.session for mean in means}),
        sum(mean.readings for mean in means),
    )
    pairs = [(kind, *pair) for kind in query.vital for pair in query.pairs]
    tests = [(*names, comparison) for names, comparison in zip(pairs, family, strict=True)]
    stages = (
        *_recruitment(recorded, of_session),
        _stage(
            "measured",
            measured,
            _some(_loss(LostReason.NO_READING, len(set(of_session.values())) - measured.people)),
        ),
        _stage("usable", clean, _doubtful(measured, clean, recorded.counts, left_out, query)),
        _stage("in_state", in_state, _stateless(clean, in_state, readings, query)),
        _count_in_tests(in_state, means, tests),
    )
    return FlowModel(
        summary="",
        stages=stages,
        excluded=tuple(
            ExcludedModel(
                session=one.session,
                from_s=None if one.from_ms is None else one.from_ms / 1000,
                to_s=None if one.to_ms is None else one.to_ms / 1000,
                reason=one.reason,
                sentence="",
            )
            for one in recorded.excluded
        ),
        missing=_missing(means, query),
        tests=tuple(_test_flow(*names) for names in tests),
    )


def _recruitment(recorded: Recorded, of_session: Mapping[int, str]) -> Iterator[StageModel]:
    """Yield the first two steps: who consented, and who has a session that is looked at."""
    # Without any session the people are those of a real study.
    simulated = {one.simulated for one in recorded.sessions} or {False}
    alike = [one for one in recorded.people if one.simulated in simulated]
    consented = {one.code for one in alike if one.consented}
    here = set(of_session.values())
    elsewhere = {one.participant for one in recorded.every_session}
    whole = {one.session for one in recorded.excluded if one.span is None}
    excluded = {one.participant for one in recorded.every_session if one.id in whole}
    lost = consented - here
    losses = (
        *_some(_loss(LostReason.NO_SESSION, len(lost - elsewhere))),
        *_some(_loss(LostReason.EXCLUDED, len(lost & excluded))),
        *_some(_loss(LostReason.OTHER_SESSIONS, len((lost & elsewhere) - excluded))),
        # Negative, since people who are here without a recorded consent add to the step.
        *_some(_loss(LostReason.NO_CONSENT, -len(here - consented))),
    )
    sessions = sum(one.participant in consented for one in recorded.every_session)
    yield _stage("consented", FlowCount(len(consented), sessions, None))
    yield _stage("in_sessions", FlowCount(len(here), len(of_session), None), losses)


def _count(counts: Iterable[ReadingCount], of_session: Mapping[int, str]) -> FlowCount:
    own = [one for one in counts if one.n]
    sessions = {one.session for one in own}
    people = {of_session[number] for number in sessions}
    return FlowCount(len(people), len(sessions), sum(one.n for one in own))


def _doubtful(
    before: FlowCount,
    after: FlowCount,
    counts: Sequence[ReadingCount],
    left_out: Sequence[LeftOutModel],
    query: AnalysisQuery,
) -> tuple[LossModel, ...]:
    """Return what the flags of doubt cost, by flag: those in the three states by state, too."""
    people = before.people - after.people
    total = (before.readings or 0) - (after.readings or 0)
    by_flag: defaultdict[str, int] = defaultdict(int)
    doubts = UNUSABLE - query.counted
    for one in counts:
        for flag in flags_of(one.flags) & doubts:
            by_flag[flag.value] += one.n
    # The total comes first; a reading with two flags stands
    # under both, so lines can add up to more.
    losses = [_loss(LostReason.IN_DOUBT, people, total)] if total or people else []
    for name in sorted(by_flag):
        losses.append(_loss(LostReason.IN_DOUBT, 0, by_flag[name], name))
        losses += [
            _loss(LostReason.IN_DOUBT, 0, one.readings, name, one.state)
            for one in left_out
            if one.flag.value == name
        ]
    return tuple(losses)


def _stateless(
    before: FlowCount, after: FlowCount, readings: StateReadings, query: AnalysisQuery
) -> tuple[LossModel, ...]:
    """Return what lies in none of the three states, or before a vital has settled there."""
    settling = [
        _loss(LostReason.NOT_SETTLED, 0, one.readings, one.vital.value)
        for one in readings.settling
        if one.readings
    ]
    unsettled = sum(loss.readings or 0 for loss in settling)
    others = sum(
        group.n for group in readings.counting(query.counted) if query.state_of(group.state) is None
    )
    people = before.people - after.people
    outside = (before.readings or 0) - (after.readings or 0) - unsettled
    if query.state is not StateBy.OBSERVED:
        return (*_some(_loss(LostReason.OUTSIDE_STATES, people, outside)), *settling)
    return (
        # Readings matched to another emotion were matched, and are distinguished.
        *_some(_loss(LostReason.NOT_MATCHED, people, outside - others)),
        *_some(_loss(LostReason.OUTSIDE_STATES, 0, others)),
    )


def _count_in_tests(
    before: FlowCount,
    means: Sequence[SessionMean],
    tests: Sequence[tuple[Measure, str, str, Comparison]],
) -> StageModel:
    """Return the last step: who is in any t-test at all, with the readings that it uses."""
    visits = visits_of(means)
    # The flag says whether the mean is in a pair.
    used: set[tuple[Measure, str, str, bool]] = set()
    for kind, first, second, comparison in tests:
        sides = sides_of(visits, kind, first, second)
        both = sides.first.keys() & sides.second.keys()
        for state, codes in ((first, sides.first.keys()), (second, sides.second.keys())):
            if comparison.method is Method.PAIRED:
                used |= {(kind, state, code, True) for code in both}
            elif comparison.method is Method.WELCH:
                used |= {(kind, state, code, False) for code in codes - both}
    counted = _in_tests(means, used)
    count = FlowCount(
        len({mean.participant for mean in counted}),
        len({mean.session for mean in counted}),
        sum(mean.readings for mean in counted),
    )
    lost = before.people - count.people
    fewer = (before.readings or 0) - (count.readings or 0)
    return _stage("tested", count, _some(_loss(LostReason.NO_PAIR, lost, fewer)))


def _in_tests(
    means: Sequence[SessionMean], used: Collection[tuple[Measure, str, str, bool]]
) -> list[SessionMean]:
    """Return the means that a test uses: for pairs those of sessions with another state, too."""
    states = Counter((mean.kind, mean.session) for mean in means)
    return [
        mean
        for mean in means
        if (mean.kind, mean.state, mean.participant, False) in used
        # In a pair only sessions count in which there is something to compare.
        or (
            (mean.kind, mean.state, mean.participant, True) in used
            and states[mean.kind, mean.session] > 1
        )
    ]


def _some(loss: LossModel) -> tuple[LossModel, ...]:
    return (loss,) if loss.people or loss.readings else ()


def _missing(means: Sequence[SessionMean], query: AnalysisQuery) -> tuple[MissingModel, ...]:
    """Name those who have a vital in some state, but not in this one."""
    having: defaultdict[tuple[Measure, str | None], set[str]] = defaultdict(set)
    for mean in means:
        having[mean.kind, mean.state].add(mean.participant)
        # ``None`` stands for any state.
        having[mean.kind, None].add(mean.participant)
    return tuple(
        MissingModel(vital=kind, state=state, participants=tuple(sorted(codes)), sentence="")
        for kind in query.vital
        for state in query.states
        if (codes := having[kind, None] - having[kind, state])
    )


def _test_flow(kind: Measure, first: str, second: str, c: Comparison) -> TestFlowModel:
    welch = c.method is Method.WELCH
    return TestFlowModel(
        vital=kind,
        first=first,
        second=second,
        used=len(c.first) + (len(c.second) if welch else 0),
        # Who has only the second lacks the first.
        lacks_first=0 if welch else c.n_second_only,
        lacks_second=0 if welch else c.n_first_only,
        apart=c.n_apart,
        both=0 if c.method is Method.PAIRED else c.n_both,
    )
