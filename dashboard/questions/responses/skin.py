"""Skin responses to events: which of them begin 1 to 4 s after an event. Pure.

A response belongs to an event if it begins within this window; of several the first counts. Its
amplitude is the mean of the events with a response, its magnitude the mean of all events, of which
those without a response count 0 (Boucsein et al. 2012, Psychophysiology 49:1017–1034). Somebody
without a response to any event is a non-responder, who is named.

Sizes are declared in µS, as ln(1 + µS), or as a share of the largest response to an event of the
same session (Lykken & Venables 1971, Psychophysiology 8:656–672).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

import numpy as np

from dashboard.analysis.inference.skin import Course
from dashboard.analysis.query import same_label
from dashboard.questions.responses.answer import (
    FigureModel,
    ResponsesQuery,
    SkinEventModel,
    SkinLabelModel,
    SkinPersonModel,
    SkinResponsesModel,
    SkinScale,
)
from dashboard.statistics.samples import TooShortError
from dashboard.statistics.skin import Responses, TooSlowError
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import Event, EventKind
from edge_agent.timeline.read.observed import SkinConductance

FROM_S = 1.0
TO_S = 4.0
"""A response begins within these seconds after an event (Boucsein et al. 2012: 1 to 3 or 4 s)."""
MEASURED_S = TO_S + 5.0
"""Seconds after an event that are recorded unbroken, or the event is left out: the latest response
has risen by then, for no more than 5 s of a rise count.
"""


@dataclass(frozen=True, slots=True)
class _Trial:
    """One event: ``amplitude`` is 0, and ``latency_s`` and ``rise_s`` are ``None``, without a
    response to it.
    """

    event: Event
    amplitude: float
    latency_s: float | None
    rise_s: float | None


@dataclass(slots=True)
class _Courses:
    """The recordings of skin conductance.

    Attributes:
        responses: of each in which there could be some, with its session.
        measured: sessions with a recording.
        too_slow: recordings with too few samples a second.
        too_short: those without a time that is long enough.
    """

    responses: list[tuple[int, Responses]] = field(default_factory=list)
    measured: set[int] = field(default_factory=set)
    too_slow: int = 0
    too_short: int = 0


@dataclass(frozen=True, slots=True)
class _Trials:
    """The events of one kind: those that count, and by label how many others are near another one
    or were not measured.
    """

    counted: list[_Trial] = field(default_factory=list)
    overlapping: Counter[str] = field(default_factory=Counter)
    unmeasured: Counter[str] = field(default_factory=Counter)


def skin_responses(
    recorded: Iterable[SkinConductance],
    sessions: Mapping[int, Session],
    events: Sequence[Event],
    labels: Sequence[str],
    query: ResponsesQuery,
) -> SkinResponsesModel:
    """Return the skin responses to the events of each label.

    Args:
        recorded: skin conductance of each whole session, by one source.
        sessions: by number.
        events: all of one kind, in order of session and time.
        labels: which are shown, in their order.
        query: least amplitude, scale, and the doubts that count all the same.
    """
    courses = _find_courses(recorded, query)
    trials = _find_trials(courses.responses, events)
    without = {event.session for event in events} - courses.measured
    trials.unmeasured.update(same_label(one.label) for one in events if one.session in without)
    shown = {same_label(label): label for label in labels}
    rows = _rows(trials.counted, sessions, shown, query.scr_scale)
    people = {one.participant for one in rows}
    responded = {one.participant for one in rows if one.amplitude_us}
    return SkinResponsesModel(
        scale=query.scr_scale,
        unit=_unit(query.scr_scale),
        threshold_us=query.scr_threshold,
        from_s=FROM_S,
        to_s=TO_S,
        measured_s=MEASURED_S,
        labels=tuple(
            _of_label(label, [one for one in rows if one.event == label]).model_copy(
                update={
                    "overlapping": trials.overlapping[same_label(label)],
                    "unmeasured": trials.unmeasured[same_label(label)],
                }
            )
            for label in labels
        ),
        people=len(people),
        non_responders=tuple(sorted(people - responded)),
        too_slow=courses.too_slow,
        too_short=courses.too_short,
        events=tuple(one for one in rows if one.event in labels),
    )


def skin_events(
    recorded: Iterable[SkinConductance],
    sessions: Mapping[int, Session],
    events: Mapping[EventKind, Sequence[Event]],
    query: ResponsesQuery,
) -> tuple[tuple[EventKind, SkinEventModel], ...]:
    """Return each event of several kinds with the skin's response to it, by session and time.

    Events hide those of their own kind alone, so that a kind has the same rows without the others.

    Args:
        recorded: skin conductance of each whole session, by one source.
        sessions: by number.
        events: of each kind, in order of session and time.
        query: least amplitude, and the doubts that count all the same.
    """
    courses = _find_courses(recorded, query)
    rows: list[tuple[EventKind, SkinEventModel]] = []
    for kind, own in events.items():
        names: dict[str, str] = {}
        for event in own:
            names.setdefault(same_label(event.label), event.label.strip())
        trials = _find_trials(courses.responses, own).counted
        rows += ((kind, row) for row in _rows(trials, sessions, names, query.scr_scale))
    return tuple(sorted(rows, key=lambda one: (one[1].session, one[1].at_s)))


def _find_courses(recorded: Iterable[SkinConductance], query: ResponsesQuery) -> _Courses:
    courses = _Courses()
    for one in recorded:
        courses.measured.add(one.session)
        try:
            responses = Course(one, query.counted, query.scr_threshold).responses
        except TooSlowError:
            courses.too_slow += 1
        except TooShortError:
            courses.too_short += 1
        else:
            courses.responses.append((one.session, responses))
    return courses


def _find_trials(courses: Iterable[tuple[int, Responses]], events: Sequence[Event]) -> _Trials:
    """Return the events of one kind with the responses to them, and how many have none for what is
    around them.
    """
    of_session: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        of_session[event.session].append(event)
    trials = _Trials()
    for session, responses in courses:
        own = of_session[session]
        for event, is_alone in zip(own, _are_alone(own), strict=True):
            at_s = event.at_ms / 1000
            if not is_alone:
                trials.overlapping[same_label(event.label)] += 1
            elif not any(
                first <= at_s and at_s + MEASURED_S <= last for first, last in responses.spans
            ):
                trials.unmeasured[same_label(event.label)] += 1
            else:
                trials.counted.append(_trial(event, responses))
    return trials


def _rows(
    trials: Sequence[_Trial],
    sessions: Mapping[int, Session],
    names: Mapping[str, str],
    scale: SkinScale,
) -> list[SkinEventModel]:
    """Return events as rows; ``names``: how the label of several spellings is written."""
    return [
        SkinEventModel(
            participant=sessions[trial.event.session].participant,
            session=trial.event.session,
            event=names.get(same_label(trial.event.label), trial.event.label),
            at_s=(trial.event.at_ms - sessions[trial.event.session].start_ms) / 1000,
            latency_s=trial.latency_s,
            rise_s=trial.rise_s,
            amplitude_us=trial.amplitude,
            scaled=size,
        )
        for trial, size in zip(trials, _sizes_on(trials, scale), strict=True)
    ]


def _unit(scale: SkinScale) -> str:
    if scale is SkinScale.RANGE:
        return ""
    unit = VitalKind.SKIN_CONDUCTANCE.spec.unit_shown
    return f"ln(1 + {unit})" if scale is SkinScale.LOG else unit


def _are_alone(events: Sequence[Event]) -> list[bool]:
    """Return for each event of a session whether no other one is within the window's end of it."""
    if not events:
        return []
    apart = np.diff([one.at_ms for one in events]) / 1000 > TO_S
    before, after = np.concatenate([[True], apart]), np.concatenate([apart, [True]])
    alone: list[bool] = (before & after).tolist()
    return alone


def _trial(event: Event, responses: Responses) -> _Trial:
    """Return the first response that begins within the window after an event."""
    at_s = event.at_ms / 1000
    since = responses.began_s - at_s
    inside = np.flatnonzero((since >= FROM_S) & (since <= TO_S))
    if not len(inside):
        return _Trial(event, 0.0, None, None)
    first = int(inside[0])
    rise_s = float(responses.at_s[first] - responses.began_s[first])
    return _Trial(event, float(responses.amplitude[first]), float(since[first]), rise_s)


def _sizes_on(trials: Sequence[_Trial], scale: SkinScale) -> list[float | None]:
    """Return each size on a scale; ``None`` where the session has no response to divide by."""
    if scale is SkinScale.MICROSIEMENS:
        return [one.amplitude for one in trials]
    if scale is SkinScale.LOG:
        return [math.log1p(one.amplitude) for one in trials]
    largest: defaultdict[int, float] = defaultdict(float)
    for one in trials:
        largest[one.event.session] = max(largest[one.event.session], one.amplitude)
    return [
        one.amplitude / largest[one.event.session] if largest[one.event.session] else None
        for one in trials
    ]


def _of_label(label: str, rows: Sequence[SkinEventModel]) -> SkinLabelModel:
    own: defaultdict[str, list[SkinEventModel]] = defaultdict(list)
    for row in rows:
        own[row.participant].append(row)
    people = tuple(_of_person(code, those) for code, those in sorted(own.items()))
    return SkinLabelModel(
        event=label,
        events=len(rows),
        responses=sum(one.responses for one in people),
        overlapping=0,
        unmeasured=0,
        amplitude=figure_of(one.amplitude for one in people),
        magnitude=figure_of(one.magnitude for one in people),
        latency_s=figure_of(one.latency_s for one in people),
        people=people,
    )


def _of_person(code: str, rows: Sequence[SkinEventModel]) -> SkinPersonModel:
    sizes = [one.scaled for one in rows if one.scaled is not None]
    heights = [one.scaled for one in rows if one.amplitude_us and one.scaled is not None]
    delays = [one.latency_s for one in rows if one.latency_s is not None]
    return SkinPersonModel(
        participant=code,
        events=len(rows),
        responses=len(delays),
        amplitude=fmean(heights) if heights else None,
        magnitude=fmean(sizes) if sizes else None,
        latency_s=fmean(delays) if delays else None,
    )


def figure_of(values: Iterable[float | None]) -> FigureModel:
    """Return mean and standard deviation of the values that are known."""
    known = [one for one in values if one is not None]
    return FigureModel(
        mean=fmean(known) if known else None,
        sd=stdev(known) if len(known) > 1 else None,
        n=len(known),
    )
