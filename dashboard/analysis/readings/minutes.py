"""Means of each source in each minute of a session. They need no statistics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.readings import DOUBTED, DOUBTFUL, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import end_of
from edge_agent.timeline.read.stimuli import ReadingSum, SessionStimulus
from edge_agent.timeline.study.exclusions import Exclusion, stretches_within

MINUTE_MS = 60_000
STEP_MS = 10_000
"""Length of the steps in which a source that measures all the time is looked for."""
_Sums = defaultdict[tuple[int, int, str], list[ReadingSum]]


@dataclass(frozen=True, slots=True)
class Minutes:
    """The means of one vital by source in the minutes of sessions.

    Attributes:
        by_minute: session and start of the minute → source → mean.
        participants: whose each session is.
        estimated: sources without a measured reading, of which the means are those of their
            estimates; of a source that has both its estimates do not count.
        doubted: session, start of the minute and source where the source doubts a reading itself.
        simulated: the same where one is simulated.
        made_up: sessions whose times nobody measured.
    """

    by_minute: Mapping[tuple[int, int], Mapping[str, float]]
    participants: Mapping[int, str]
    estimated: frozenset[str]
    doubted: Collection[tuple[int, int, str]] = frozenset()
    simulated: Collection[tuple[int, int, str]] = frozenset()
    made_up: frozenset[int] = frozenset()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield each two sources that share a minute, in the order of their names, but what is
        estimated before what is measured.
        """
        sources = {source for own in self.by_minute.values() for source in own}
        in_order = sorted(sources, key=lambda source: (source not in self.estimated, source))
        for first, second in combinations(in_order, 2):
            if any(first in own and second in own for own in self.by_minute.values()):
                yield first, second


@dataclass(frozen=True, slots=True)
class SourceShares:
    """The time in which sources gave a usable reading.

    Attributes:
        covered_ms: session and source → milliseconds of the steps with a reading.
        length_ms: session → milliseconds of all its steps.
    """

    covered_ms: Mapping[tuple[int, str], int]
    length_ms: Mapping[int, int]

    def share(self, sessions: Collection[int], source: str) -> float | None:
        """Return the share of the time of the sessions, 0…1; ``None`` where it is not known."""
        total = sum(self.length_ms.get(one, 0) for one in sessions)
        if not total:
            return None
        return sum(self.covered_ms.get((one, source), 0) for one in sessions) / total


@dataclass(frozen=True, slots=True)
class SourceMinutes:
    """Measurements of the sources of one vital, minute by minute.

    Attributes:
        kind: the vital.
        means: of each source.
        shares: of the time of the sessions, for what is measured all the time.
        excluded: why somebody left out sessions or stretches of them.
    """

    kind: Measure
    means: Minutes
    shares: SourceShares
    excluded: tuple[str, ...]


def read_minutes(
    reader: Reader,
    kinds: Sequence[Measure],
    session_ids: Sequence[int] = (),
    *,
    simulated: bool | None = None,
) -> Iterator[SourceMinutes]:
    """Yield the vitals that two sources measured in the same minute of a session.

    Readings in doubt do not count, nor what somebody left out.

    Args:
        reader: the timeline.
        kinds: vitals to look at.
        session_ids: sessions to look at; empty is all.
        simulated: only demonstrations, or none; ``None`` is both.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    missing = sorted(set(session_ids) - {session.id for session in sessions})
    if missing:
        raise StatisticsError(N_("There is no session {missing}."), missing=missing[0])
    chosen = {
        one.id: one
        for one in sessions
        if (one.id in session_ids or not session_ids) and simulated in (None, one.simulated)
    }
    excluded = [one for one in reader.exclusions() if one.session in chosen]
    reasons = tuple(one.reason for one in excluded)
    counted = [one for one in chosen.values() if one.left_out != "whole"]
    for kind in kinds:
        means = means_of(reader, counted, kind)
        if next(means.pairs(), None) is None:
            continue
        shares = SourceShares({}, {})
        if kind.spec.stream:
            measured = [chosen[number] for number in sorted({of for of, _ in means.by_minute})]
            shares = shares_of(reader, measured, kind, excluded, means)
        yield SourceMinutes(kind, means, shares, reasons)


def has_pairs(reader: Reader, session_id: int) -> bool:
    """Tell whether two sources measured the same vital in one minute of a session.

    Raises:
        StoreError: the database cannot be read.
    """
    session, _ = reader.session(session_id)
    kinds = [kind for kind in reader.recorded_kinds() if kind is not VitalKind.RR_INTERVAL]
    # Stops at the first pair.
    return any(True for kind in kinds for _ in means_of(reader, [session], kind).pairs())


def means_of(reader: Reader, sessions: Sequence[Session], kind: Measure) -> Minutes:
    """Return the mean of each source in each minute; readings in doubt do not count."""
    measured: _Sums = defaultdict(list)
    estimated: _Sums = defaultdict(list)
    doubted, simulated = set[tuple[int, int, str]](), set[tuple[int, int, str]]()
    minutes = [minute for one in sessions for minute in _pieces(one, MINUTE_MS)]
    for minute, own in reader.vital_sums(minutes, [kind]):
        flags = flags_of(own.flags)
        if not flags & DOUBTFUL:
            sums = estimated if VitalFlag.ESTIMATED in flags else measured
            place = minute.session, minute.start_ms, own.source
            sums[place].append(own)
            if flags & DOUBTED:
                doubted.add(place)
            if VitalFlag.SIMULATED in flags or minute.simulated:
                simulated.add(place)
    only_estimated = {source for *_, source in estimated} - {source for *_, source in measured}
    by_minute: defaultdict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    counted = {place: own for place, own in estimated.items() if place[2] in only_estimated}
    for (session, start_ms, source), parts in {**measured, **counted}.items():
        total = math.fsum(part.total for part in parts)
        by_minute[session, start_ms][source] = total / sum(part.n for part in parts)
    return Minutes(
        by_minute,
        {one.id: one.participant for one in sessions},
        frozenset(only_estimated),
        doubted,
        simulated,
        frozenset(one.id for one in sessions if one.has_made_up_times),
    )


def shares_of(
    reader: Reader,
    sessions: Sequence[Session],
    kind: Measure,
    excluded: Collection[Exclusion],
    means: Minutes,
) -> SourceShares:
    """Return how much of the time each source gave a usable reading.

    Steps that somebody left out, or a part of them, are not looked at.
    """
    stretches = sorted(one.span for one in excluded if one.span is not None)
    steps = [
        step
        for one in sessions
        for step in _pieces(one, STEP_MS)
        if not stretches_within(step.start_ms, step.end_ms, stretches)
    ]
    given = {
        (step.session, step.start_ms, own.source): step.end_ms - step.start_ms
        for step, own in reader.vital_sums(steps, [kind])
        if not (flags := flags_of(own.flags)) & DOUBTFUL
        and (VitalFlag.ESTIMATED not in flags or own.source in means.estimated)
    }
    covered: defaultdict[tuple[int, str], int] = defaultdict(int)
    for (session, _, source), length in given.items():
        covered[session, source] += length
    lengths: defaultdict[int, int] = defaultdict(int)
    for step in steps:
        lengths[step.session] += step.end_ms - step.start_ms
    return SourceShares(covered, lengths)


def _pieces(session: Session, length_ms: int) -> list[SessionStimulus]:
    """Return a session in pieces of equal length; the last one may be shorter."""
    end = end_of(session)
    code = session.participant
    return [
        SessionStimulus(session.id, code, session.simulated, "", at, min(at + length_ms, end), None)
        for at in range(session.start_ms, end, length_ms)
    ]
