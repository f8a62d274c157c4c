"""From the readings of each session to the values that are compared: session first, then person.

Two sessions of a person differ for many reasons: the hour, the coffee, another sensor. So states
are compared within a session, and a person's sessions are averaged, each with the same weight. A
change from baseline is a reading less what the participant's were at rest in the same session.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, tested_state
from dashboard.analysis.readings.states import ReadingGroup, StateReadings
from dashboard.statistics.period import (
    OneWayError,
    TimedSums,
    are_mixed,
    mean_minute,
    means_at_equal_times,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import TESTABLE, Measure
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.stimuli import SessionStimulus

# As in ``statistics.samples``; refused here, where the person is still known.
_LARGEST = 1e60


@dataclass(frozen=True, slots=True)
class SessionMean:
    """The mean of all readings of a vital in one state of one session.

    By observed emotion it may be the mean that they would have at the mean time of the session.

    Attributes:
        participant: pseudonymous code.
        session: id of the session.
        kind: what was measured; the mean is in its unit.
        state: one of those that are compared.
        mean: mean of the readings.
        readings: number of readings.
        simulated: whether any of them is simulated.
        minutes: the time that the mean is of, in minutes since the start of the session: the mean
            time of the readings, or of those of the whole session.
        timed: the sums that a mean at another time follows from; ``None`` where there are none, as
            by condition, and where the mean is such a one already.
        place: as which number of the session its state came, from 1; 0 where that is not known.
        after: number of what came right before its state; 0 for nothing, or not known.
    """

    participant: str
    session: int
    kind: Measure
    state: str
    mean: float
    readings: int
    simulated: bool
    minutes: float = 0.0
    timed: TimedSums | None = None
    place: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class StateMean:
    """One participant's mean in one state, as tables and pictures show it.

    Attributes:
        participant: pseudonymous code.
        kind: what was measured; the mean is in its unit.
        state: one of those that are compared.
        mean: unweighted mean of the counted sessions' means.
        readings: number of readings in the state in these sessions.
        simulated: whether any of them is simulated.
        sessions: number of counted sessions: those with at least two of the states, or all
            sessions of a person who has none of that kind.
        minutes: mean time of the readings since the start of their session, averaged like
            the values.
    """

    participant: str
    kind: Measure
    state: str
    mean: float
    readings: int
    simulated: bool
    sessions: int = 1
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Sides:
    """The values of two states, for a test.

    Attributes:
        first: participant → value in the first state.
        second: the same in the second. Who is in both has them from the same sessions.
        apart: participants who have both, but never in one session. They are on neither side.
    """

    first: Mapping[str, float]
    second: Mapping[str, float]
    apart: frozenset[str]


@dataclass(frozen=True, slots=True)
class StatesTogether:
    """The values of all states of the people who have them in one session.

    Attributes:
        columns: for each state participant → value; the same people in each.
        left_out: how many have a state and are not among them.
    """

    columns: tuple[Mapping[str, float], ...]
    left_out: int


Visits = Mapping[Measure, Mapping[str, Sequence[Mapping[str, float]]]]
"""Of each vital and participant what each session says: state → mean."""


def session_means(
    groups: Iterable[ReadingGroup], states: tuple[str, ...] = TESTED_STATES
) -> tuple[SessionMean, ...]:
    """Average the readings of each session in each of the states.

    The state must be named so, in any case; other states are passed over.

    Raises:
        StatisticsError: a value is not finite; the text names participant and vital.
    """
    grouped: defaultdict[tuple[Measure, str, str, int], list[ReadingGroup]]
    grouped = defaultdict(list)
    for group in groups:
        state = tested_state(group.state, states)
        if state is not None:
            grouped[group.kind, state, group.participant, group.session].append(group)
    places = {name: place for place, name in enumerate((*TESTABLE, *states))}
    ordered = sorted(grouped.items(), key=lambda item: _place(places, item[0]))
    return tuple(_session_mean(*names, parts) for names, parts in ordered)


def _session_mean(
    kind: Measure, state: str, code: str, session: int, parts: Sequence[ReadingGroup]
) -> SessionMean:
    if len(parts) == 1:  # as nearly always
        (only,) = parts
        mean = _mean(parts)
        return SessionMean(
            code,
            session,
            kind,
            state,
            mean,
            only.n,
            only.simulated,
            only.minutes,
            _timed_sums(parts),
        )
    n = sum(part.n for part in parts)
    return SessionMean(
        code,
        session,
        kind,
        state,
        _mean(parts),
        n,
        any(part.simulated for part in parts),
        sum(part.n * part.minutes for part in parts) / n,
        _timed_sums(parts),
    )


def at_equal_times(means: Sequence[SessionMean]) -> tuple[SessionMean, ...]:
    """Return the means of each session at the mean time of the session, where its readings tell
    them; the others as they are.

    They do where each two of its states were met among each other: a single change with time is
    estimated from all of them, and none of the means is taken beyond what was measured. One state
    that came and went in one piece leaves its session as it is.
    """
    of_visit: defaultdict[tuple[Measure, str, int], list[int]] = defaultdict(list)
    for place, mean in enumerate(means):
        of_visit[mean.kind, mean.participant, mean.session].append(place)
    adjusted = list(means)
    for places in of_visit.values():
        at_middle = _at_one_time([means[place].timed for place in places])
        if at_middle is None:
            continue
        minute, values = at_middle
        for place, value in zip(places, values, strict=True):
            adjusted[place] = replace(means[place], mean=value, minutes=minute, timed=None)
    return tuple(adjusted)


def _timed_sums(parts: Sequence[ReadingGroup]) -> TimedSums | None:
    """Return the sums of readings with their times; ``None`` where these were not summed."""
    if len(parts) == 1:  # as nearly always
        (one,) = parts
        if not one.minutes_squared:
            return None
        return TimedSums(one.n, one.n * one.minutes, one.minutes_squared, one.total, one.product)
    if not any(part.minutes_squared for part in parts):
        return None
    return TimedSums(
        sum(part.n for part in parts),
        math.fsum(part.n * part.minutes for part in parts),
        math.fsum(part.minutes_squared for part in parts),
        math.fsum(part.total for part in parts),
        math.fsum(part.product for part in parts),
    )


def _at_one_time(sums: Sequence[TimedSums | None]) -> tuple[float, tuple[float, ...]] | None:
    """Return the mean time of the states of a session and their means at that time; ``None`` where
    the readings do not tell them.
    """
    states = [one for one in sums if one is not None]
    if not 2 <= len(states) == len(sums):
        return None
    if not all(are_mixed(first, second) for first, second in combinations(states, 2)):
        return None
    try:
        return mean_minute(states), means_at_equal_times(states)
    except OneWayError:
        return None


def state_means(means: Sequence[SessionMean]) -> tuple[StateMean, ...]:
    """Return each participant's mean in each state, of the sessions that count."""
    states_in: defaultdict[tuple[Measure, str, int], int] = defaultdict(int)
    most: defaultdict[tuple[Measure, str], int] = defaultdict(int)
    for mean in means:
        visit = (mean.kind, mean.participant, mean.session)
        states_in[visit] += 1
        most[visit[:2]] = max(most[visit[:2]], states_in[visit])
    together: defaultdict[tuple[Measure, str, str], list[SessionMean]] = defaultdict(list)
    for mean in means:
        counts = states_in[mean.kind, mean.participant, mean.session]
        if counts > 1 or most[mean.kind, mean.participant] == 1:
            together[mean.kind, mean.state, mean.participant].append(mean)
    return tuple(
        StateMean(
            code,
            kind,
            state,
            average([mean.mean for mean in own]),
            sum(mean.readings for mean in own),
            any(mean.simulated for mean in own),
            len(own),
            average([mean.minutes for mean in own]),
        )
        for (kind, state, code), own in together.items()
    )


def visits_of(means: Iterable[SessionMean]) -> Visits:
    """Put together what belongs to one session of one participant."""
    return _by_visit((mean, mean.mean) for mean in means)


def times_of(means: Iterable[SessionMean]) -> Visits:
    """Put together when it was measured, in minutes since the start of the session, so that
    ``sides_of`` weighs the times exactly as it weighs the values.
    """
    return _by_visit((mean, mean.minutes) for mean in means)


def place_visits_of(means: Iterable[SessionMean]) -> Visits:
    """Put together at which place of the session each state came."""
    return _by_visit((mean, mean.place) for mean in means)


def after_visits_of(means: Iterable[SessionMean]) -> Visits:
    """Put together what came right before each state, by its number."""
    return _by_visit((mean, mean.after) for mean in means)


def _by_visit(values: Iterable[tuple[SessionMean, float]]) -> Visits:
    visits: defaultdict[Measure, defaultdict[str, defaultdict[int, dict[str, float]]]]
    visits = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for mean, value in values:
        visits[mean.kind][mean.participant][mean.session][mean.state] = value
    return _without_numbers(visits)


def _without_numbers(
    visits: Mapping[Measure, Mapping[str, Mapping[int, Mapping[str, float]]]],
) -> Visits:
    """Leave out which session each is: only what belongs together matters."""
    return {
        kind: {code: list(own.values()) for code, own in people.items()}
        for kind, people in visits.items()
    }


def sides_of(visits: Visits, kind: Measure, first: str, second: str) -> Sides:
    """Return the values of two states.

    Who has both in a session gets the means over all such sessions, so that the difference is the
    average of the differences within sessions. Who has only one of the two gets the mean over all
    sessions with it.
    """
    one = {}
    two = {}
    apart = []
    for code, own in visits.get(kind, {}).items():
        if len(own) == 1:  # as nearly always: nothing to average
            # With one session there is nothing to choose, and
            # who has one state is on one side only.
            (session,) = own
            if first in session:
                one[code] = session[first]
            if second in session:
                two[code] = session[second]
            continue
        both = [session for session in own if first in session and second in session]
        firsts = [session[first] for session in both or own if first in session]
        seconds = [session[second] for session in both or own if second in session]
        # A difference between two sessions is no pair, and a person on both sides is no group.
        if firsts and seconds and not both:
            apart.append(code)
            continue
        if firsts:
            one[code] = average(firsts)
        if seconds:
            two[code] = average(seconds)
    return Sides(one, two, frozenset(apart))


def states_together(
    visits: Visits, kind: Measure, states: Sequence[str] = TESTED_STATES
) -> StatesTogether:
    """Return the values of all states, of the sessions that have all of them."""
    people = visits.get(kind, {})
    whole = {
        # Sessions with all of them: a mean over different sessions would compare the days.
        code: [session for session in own if len(session) == len(states)]
        for code, own in people.items()
    }
    complete = {code: own for code, own in whole.items() if own}
    columns = tuple(
        {code: average([session[state] for session in own]) for code, own in complete.items()}
        for state in states
    )
    return StatesTogether(columns, len(people) - len(complete))


def average(values: Sequence[float]) -> float:
    """Return the mean of the sessions of a person; of one session its very value."""
    return math.fsum(values) / len(values)


def _mean(parts: Sequence[ReadingGroup]) -> float:
    for part in parts:
        # The sum of huge readings can leave the range of a double.
        if not math.isfinite(part.largest):
            raise StatisticsError(
                N_(
                    "Participant {participant} has a {kind} reading of {largest} in session "
                    "{session}, which is not a finite number. Correct the reading or leave the "
                    "session out."
                ),
                participant=part.participant,
                kind=part.kind,
                largest=part.largest,
                session=part.session,
            )
        if part.largest > _LARGEST:
            raise StatisticsError(
                N_("Participant {participant} has a {kind} reading beyond 1e60."),
                participant=part.participant,
                kind=part.kind,
            )
    if len(parts) == 1:
        return parts[0].total / parts[0].n
    return math.fsum(part.total for part in parts) / sum(part.n for part in parts)


def _place(
    places: Mapping[str, int], names: tuple[Measure, str, str, int]
) -> tuple[int, int, str, int]:
    """Sort as the tables do: vitals and states in their order, then codes, then sessions."""
    kind, state, code, session = names
    return places[kind], places[state], code, session


Place = tuple[int, Measure, str]
"""Session, vital and source: what has one baseline."""


def find_baselines(
    reader: Reader, query: AnalysisQuery, sessions: Sequence[Session]
) -> dict[Place, float]:
    """Return the mean at rest of each source of each vital in each session.

    The time is that of a session's summary: the condition that a protocol opens for its baseline,
    20 s after a marker set by hand, or else the last condition called baseline.

    Raises:
        StoreError: the database cannot be read.
    """
    spans = reader.resting_times(sessions)
    rests = [
        SessionStimulus(one.id, one.participant, one.simulated, "baseline", *spans[one.id], None)
        for one in sessions
        if one.id in spans
    ]
    sums: defaultdict[Place, list[tuple[float, int]]] = defaultdict(list)
    for rest_of, own in reader.vital_sums(rests, query.vital):
        if not (flags_of(own.flags) & UNUSABLE) - query.counted:
            sums[rest_of.session, own.kind, own.source].append((own.total, own.n))
    return {
        place: math.fsum(total for total, _ in parts) / sum(n for _, n in parts)
        for place, parts in sums.items()
    }


def less_baseline(readings: StateReadings, baselines: Mapping[Place, float]) -> StateReadings:
    """Return the readings as differences from the baseline of their session and source.

    Those without a baseline are left out.
    """
    changed = []
    for group in readings.groups:
        rest = baselines.get((group.session, group.kind, group.source))
        if rest is not None:
            total = group.total - group.n * rest
            # An upper bound is enough: the readings themselves are summed already.
            largest = group.largest + abs(rest)
            product = group.product - group.n * group.minutes * rest
            changed.append(replace(group, total=total, largest=largest, product=product))
    return replace(readings, groups=tuple(changed))


def without_baseline(readings: StateReadings, baselines: Mapping[Place, float]) -> int:
    """Count the sessions with readings of a vital in the three states and no baseline of it."""
    places = {(group.session, group.kind, group.source) for group in readings.in_states()}
    return len({place[0] for place in places if place not in baselines})
