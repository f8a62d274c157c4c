"""Responses: what a measure does around events, by condition, and whether conditions differ.

``read_responses`` asks the timelines; ``respond`` and ``compare_windows`` are pure. Nothing here is
written in words.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from dashboard.analysis.conclusions import Beside, UnlikeModel
from dashboard.analysis.decision import with_cautions
from dashboard.analysis.inference.comparison import Comparison, compare_family
from dashboard.analysis.inference.loss import Losses, StateLoss, compare_doubts, compare_losses
from dashboard.analysis.inference.motion import can_change, compare_movers
from dashboard.analysis.preregistration import PreregistrationModel
from dashboard.analysis.query import (
    MOST_STATES,
    Design,
    Sample,
    answer_of_sample,
    same_label,
    usual_states,
)
from dashboard.analysis.readings.series import (
    CountedSeries,
    faces_changed,
    read_series,
    with_own_times,
)
from dashboard.analysis.readings.states import find_skin_courses
from dashboard.analysis.windows import ResponseWindow
from dashboard.questions.responses.answer import (
    CurveRefusal,
    DeclaredModel,
    EffectModel,
    PersonModel,
    ResponseModel,
    ResponsesModel,
    ResponsesQuery,
    ResponseTestModel,
    SkinEventModel,
    TooNearModel,
    UnreadVitalModel,
    WindowTestModel,
)
from dashboard.questions.responses.skin import figure_of, skin_events, skin_responses
from dashboard.statistics import MINIMUM
from dashboard.statistics.responses import (
    LEAST_PEOPLE,
    CurveFigures,
    CurveTest,
    EventWindow,
    are_apart,
    band_of,
    cluster_test,
    counts_around,
    curve_around,
    figures_of,
    less_baseline,
    lost_around,
    mean_curve,
    step_for,
)
from dashboard.statistics.samples import NoVariationError
from dashboard.statistics.t_tests import Method, hedges_g, paired_t
from edge_agent.core.measures import Measure
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.events import Event, EventKind
from edge_agent.timeline.read.observed import SkinConductance
from edge_agent.timeline.read.reader import Reader

UNEVEN = 0.15
"""Two kinds of event come at equal times if their mean times in the session differ by no more than
this share of the time from its start to the last event. ``python -m benchmarks responses`` has what
a drift over the session then does to the test.
"""
_SHORT_S = 6
"""Events that are so far apart leave two seconds before them; nearer ones leave one."""
_LEAST_AFTER_S = 2.0
_MINUTE_MS = 60_000

Reals = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CurveMaterial:
    """Readings and events that curves are made of.

    Attributes:
        sessions: by the number with which events and series refer to them.
        series: of all sessions and kinds.
        events: of one kind, in order of session and time.
        without_times: sessions whose times are made up, which are not among these.
        skin: skin conductance of each whole session that has an event; empty if the question does
            not ask for it.
        motion: by number of the session how much the wearer of a sensor moved.
        reading_changed_ms: when another model or prior began to read the faces that are asked for.
    """

    sessions: Mapping[int, Session]
    series: Sequence[CountedSeries]
    events: Sequence[Event]
    without_times: int = 0
    skin: Sequence[SkinConductance] = ()
    motion: Mapping[int, CountedSeries] = field(default_factory=dict)
    reading_changed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Beside:
    """Remarks on the readings around one event, bin by bin.

    Attributes:
        lost: share that was lost.
        doubted: number of the readings that count which their device itself doubts.
        n: number of those that count.
        moved: how much the wearer moved, mg; NaN without a reading, ``None`` where none was asked.
    """

    lost: Reals
    doubted: Reals
    n: Reals
    moved: Reals | None


@dataclass(frozen=True, slots=True)
class _Around:
    """The curve around one event.

    Attributes:
        curve: less its baseline.
        baseline: of it.
        minute: when the event was, since the start of its session.
        last: when the last event of that session was.
    """

    curve: Reals
    baseline: float
    minute: float
    last: float


@dataclass(frozen=True, slots=True)
class _Person:
    """One participant's curve; ``minute`` and ``last`` are means over its events."""

    code: str
    events: int
    curve: Reals
    figures: CurveFigures
    minute: float
    last: float


@dataclass(frozen=True, slots=True)
class _Sided:
    """Remarks on the readings of two sides, by person."""

    lost: tuple[Losses, Losses] = ({}, {})
    doubted: tuple[Losses, Losses] = ({}, {})
    moved: tuple[Mapping[str, float], Mapping[str, float]] = ({}, {})


@dataclass(frozen=True, slots=True)
class _Sides:
    """Values that a declared window compares: of each person the mean change, on both sides.

    Attributes:
        draft: all but the numbers of the test.
        first: by code, after the event.
        second: after the other one, or 0; empty where it is refused.
        beside: what is remarked on the readings of each person, in the window after the event and
            after the other one, or before the event.
    """

    draft: WindowTestModel
    first: Mapping[str, float]
    second: Mapping[str, float]
    beside: _Sided


@dataclass(frozen=True, slots=True)
class _Curves:
    """The curves of one vital around the events of one label.

    ``beside`` is by participant what is remarked on all their events where the vital was measured,
    with a curve or without one.
    """

    vital: Measure
    label: str
    window: EventWindow
    people: Mapping[str, _Person]
    overlapping: int
    unmeasured: int
    beside: Mapping[str, Sequence[_Beside]]

    def losses(self, inside: Marks) -> dict[str, StateLoss]:
        """Return which share each person lost of some bins."""
        shares = {
            code: float(np.mean([one.lost for one in own], axis=0)[inside].mean())
            for code, own in self.beside.items()
        }
        return {code: StateLoss(share, share) for code, share in shares.items()}

    def doubts(self, inside: Marks) -> dict[str, StateLoss]:
        """Return which share of each person's readings in some bins their device doubts."""
        counts = {
            code: [sum(of[inside].sum() for of in ofs) for ofs in zip(*own, strict=True)]
            for code, own in (
                (code, [(one.doubted, one.n) for one in every])
                for code, every in self.beside.items()
            )
        }
        shares = {code: doubted / n for code, (doubted, n) in counts.items() if n}
        return {code: StateLoss(share, share) for code, share in shares.items()}

    def moves(self, inside: Marks) -> dict[str, float]:
        """Return how much each person moved in some bins, mg, a mean over their events."""
        every = {
            code: [
                float(np.nanmean(one.moved[inside]))
                for one in own
                if one.moved is not None and not np.isnan(one.moved[inside]).all()
            ]
            for code, own in self.beside.items()
        }
        return {code: fmean(own) for code, own in every.items() if own}

    @property
    def events(self) -> int:
        return sum(one.events for one in self.people.values())


# --- Reading --------------------------------------------------------------------------------------


def read_responses(
    reader: Reader,
    query: ResponsesQuery,
    prefer_sources: Sequence[str] = (),
    decided: PreregistrationModel | None = None,
) -> ResponsesModel:
    """Read what the question asks for, and answer it, without sentences.

    Args:
        reader: the timeline of a site, or of several as one study.
        query: the question.
        prefer_sources: which source counts where the question names none, the best first.
        decided: a preregistration; windows that it declares are compared as well. ``None``: there
            is none.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    query = query.preferring(prefer_sources)

    # What was changed after it was frozen declares nothing.
    windows = decided.document.windows if decided and decided.intact else ()

    def answer(sample: Sample, sessions: Sequence[Session]) -> ResponsesModel:
        materials = _read(reader, sessions, query, windows)
        model = respond(materials[query.kind], query, sample)
        if decided is None:
            return model
        return model.model_copy(
            update={
                "declared": _declared_model(decided, materials),
                "windows": compare_windows(_since(materials, decided.at_ms), windows),
            }
        )

    return answer_of_sample(query, reader.session_list(), answer, _is_answered)


def read_skin_events(
    reader: Reader, query: ResponsesQuery
) -> tuple[tuple[EventKind, SkinEventModel], ...]:
    """Read the skin's responses to the starts of the question's stimuli and to all notes.

    Notes are what programs and people mark that is neither start nor end of a stimulus, so the
    markers of an experiment are among them.

    Raises:
        StatisticsError: a session is asked for that does not exist.
        StoreError: the database cannot be read.
    """
    query = query.preferring(())
    labels = {same_label(one) for one in query.event}

    def answer(
        _sample: Sample, sessions: Sequence[Session]
    ) -> tuple[tuple[EventKind, SkinEventModel], ...]:
        timed, _ = with_own_times(sessions)
        starts = reader.events(timed, EventKind.STIMULUS_START)
        events = {
            EventKind.STIMULUS_START: starts,
            EventKind.NOTE: reader.events(timed, EventKind.NOTE),
        }
        holding = {one.session for own in events.values() for one in own}
        of_these = [one for one in timed if one.id in holding]
        recorded = find_skin_courses(reader, of_these, query.prefer_source)
        rows = skin_events(recorded, {one.id: one for one in timed}, events, query)
        return tuple(
            (kind, row)
            for kind, row in rows
            if kind is EventKind.NOTE or not labels or same_label(row.event) in labels
        )

    return answer_of_sample(query, reader.session_list(), answer, bool)


def _is_answered(model: ResponsesModel) -> bool:
    return bool(model.curves or (model.skin and model.skin.people))


def _read(
    reader: Reader,
    sessions: Sequence[Session],
    query: ResponsesQuery,
    windows: Sequence[ResponseWindow],
) -> dict[EventKind, CurveMaterial]:
    """Read series and events of sessions, for each kind of event that question and windows name."""
    timed, without_times = with_own_times(sessions)
    kinds = {query.kind, *(one.kind for one in windows)}
    vitals = dict.fromkeys([*query.vital, *(one.vital for one in windows)])
    events = {kind: reader.events(timed, kind) for kind in kinds}
    # Sessions without an event have no curve, and are not read.
    holding = {kind: {one.session for one in events[kind]} for kind in kinds}
    looked = [one for one in timed if any(one.id in held for held in holding.values())]
    is_moved = any(map(can_change, vitals))
    measures = dict.fromkeys([*vitals, *([VitalKind.BODY_MOTION] if is_moved else [])])
    every = read_series(reader, looked, measures, query.counted, query.prefer_source)
    series = [one for one in every if one.kind in vitals]
    motion = {one.session.id: one for one in every if one.kind is VitalKind.BODY_MOTION}
    changed_ms = faces_changed(reader, vitals, looked)
    skin: Sequence[SkinConductance] = ()
    if VitalKind.SKIN_CONDUCTANCE in query.vital:
        own = [one for one in timed if one.id in holding[query.kind]]
        skin = find_skin_courses(reader, own, query.prefer_source)
    return {
        kind: CurveMaterial(
            {one.id: one for one in timed},
            [one for one in series if one.session.id in holding[kind]],
            events[kind],
            without_times,
            skin if kind is query.kind else (),
            motion,
            changed_ms,
        )
        for kind in kinds
    }


# --- Curves ---------------------------------------------------------------------------------------


def respond(material: CurveMaterial, query: ResponsesQuery, sample: Sample) -> ResponsesModel:
    """Make the curves of a study and test them."""
    counts = Counter[str]()
    spelled: dict[str, str] = {}
    for event in material.events:
        label = spelled.setdefault(same_label(event.label), event.label.strip())
        counts[label] += 1
    query = _about_events(query, material.events)
    labels = _labels_of(query, spelled, counts)
    made: list[_Curves] = []
    unread: list[UnreadVitalModel] = []
    for vital in query.vital:
        own = [one for one in material.series if one.kind is vital]
        step = step_for(_spacings(own))
        window = EventWindow(query.before, query.after, step)
        if not own or not window.bins_before or not window.bins_after:
            unread.append(UnreadVitalModel(vital=vital, step_s=step if own else None))
            continue
        made += _curves_of(vital, own, material, labels, window)
    drawn = [one for one in made if one.people]
    tests, flips, is_exact = _tests(query, made)
    used = {code for one in drawn for code in one.people}
    skin = None
    if material.skin:
        skin = skin_responses(material.skin, material.sessions, material.events, labels, query)
        used |= {one.participant for one in skin.events}
    return ResponsesModel(
        question=query,
        sample=sample,
        sessions=len(material.sessions),
        without_times=material.without_times,
        participants=tuple(sorted(used)),
        simulated=any(one.simulated for one in material.series),
        reading_changed_ms=material.reading_changed_ms,
        labels=dict(counts.most_common()),
        curves=tuple(map(_response, drawn)),
        tests=tests,
        unread=tuple(unread),
        too_near=None if drawn else _too_near(made, material.events, query),
        skin=skin,
        flips=flips,
        is_exact=is_exact,
    )


def _about_events(query: ResponsesQuery, events: Sequence[Event]) -> ResponsesQuery:
    """Return the question with what the others are compared with, where it names none itself: the
    one that the Analysis compares them with.
    """
    if "against" in query.model_fields_set:
        return query
    labels: dict[str, str] = {}
    for event in sorted(events, key=lambda event: event.at_ms):
        labels.setdefault(same_label(event.label), event.label.strip())
    compared = [labels[one] for one in labels if one != "baseline"]
    states = (labels.get(same_label(one)) for one in usual_states(compared))
    first = next((one for one in (*states, *compared) if one), query.against)
    return query.model_copy(update={"against": first})


def _too_near(
    made: Sequence[_Curves], events: Sequence[Event], query: ResponsesQuery
) -> TooNearModel | None:
    """Tell how near events are, where all are left out for it, and what can be asked for."""
    by_label: Counter[str] = Counter()
    for one in made:
        by_label[one.label] = max(by_label[one.label], one.overlapping)
    if not by_label.total() or any(one.unmeasured for one in made):
        return None
    of_session: defaultdict[int, list[int]] = defaultdict(list)
    for event in events:
        of_session[event.session].append(event.at_ms)
    steps = [step for times in of_session.values() for step in np.diff(sorted(times)).tolist()]
    nearest_s = min(steps) / 1000
    whole = math.floor(nearest_s)
    before = 2.0 if whole >= _SHORT_S else 1.0
    return TooNearModel(
        events=by_label.total(),
        within_s=query.before + query.after,
        nearest_s=nearest_s,
        before=before if whole - before >= _LEAST_AFTER_S else None,
        after=whole - before if whole - before >= _LEAST_AFTER_S else None,
    )


def _spacings(series: Sequence[CountedSeries]) -> Reals:
    """Return the seconds from each value to the next one in its session."""
    parts = [np.diff(one.at_ms) / 1000 for one in series]
    return np.concatenate(parts) if parts else np.zeros(0)


def _labels_of(
    query: ResponsesQuery, spelled: Mapping[str, str], counts: Mapping[str, int]
) -> list[str]:
    """Return the labels that are drawn: those asked for, else the commonest; last the one that the
    others are compared with.
    """
    other = spelled.get(same_label(query.against), query.against.strip())
    named = [spelled.get(same_label(one), one) for one in query.event]
    # By name where they are equally common, so that a new session does not shuffle them.
    common = sorted(counts, key=lambda label: (-counts[label], label))
    chosen = [one for one in named or common if one != other][:MOST_STATES]
    shown = counts.get(other, 0) > 0 or other in named
    return [*chosen, *([other] if other and shown else [])]


def _curves_of(
    vital: Measure,
    series: Sequence[CountedSeries],
    material: CurveMaterial,
    labels: Sequence[str],
    window: EventWindow,
) -> list[_Curves]:
    """Return the curves of a vital for each label."""
    by_session: defaultdict[int, list[Event]] = defaultdict(list)
    for event in material.events:
        by_session[event.session].append(event)
    measured = {one.session.id: one for one in series}
    curves: defaultdict[str, defaultdict[str, list[_Around]]]
    curves = defaultdict(lambda: defaultdict(list))
    beside: defaultdict[str, defaultdict[str, list[_Beside]]]
    beside = defaultdict(lambda: defaultdict(list))
    overlapping, unmeasured = Counter[str](), Counter[str]()
    names = {same_label(one): one for one in labels}
    for number, events in by_session.items():
        session = material.sessions[number]
        last_ms = events[-1].at_ms
        apart = are_apart([one.at_ms for one in events], window)
        for event, alone in zip(events, apart, strict=True):
            label = names.get(same_label(event.label))
            if label is None:
                continue
            if not alone:
                overlapping[label] += 1
                continue
            own = measured.get(number)
            if own is not None:
                motion = material.motion.get(number) if can_change(vital) else None
                remarked = _beside(own, motion, event.at_ms, window)
                beside[label][session.participant].append(remarked)
            made = _around(own, event, window)
            if made is None:
                unmeasured[label] += 1
                continue
            minutes = [(at - session.start_ms) / _MINUTE_MS for at in (event.at_ms, last_ms)]
            curves[label][session.participant].append(_Around(*made, *minutes))
    return [
        _Curves(
            vital=vital,
            label=label,
            window=window,
            people={
                code: _person(code, own, window) for code, own in sorted(curves[label].items())
            },
            overlapping=overlapping[label],
            unmeasured=unmeasured[label],
            beside=dict(sorted(beside[label].items())),
        )
        for label in labels
    ]


def _beside(
    series: CountedSeries, motion: CountedSeries | None, event_ms: int, window: EventWindow
) -> _Beside:
    """Return what is remarked on the readings around one event."""
    doubted, n = (
        counts_around(np.asarray(at_ms, np.int64), event_ms, window)
        for at_ms in (series.doubted_ms, series.at_ms)
    )
    return _Beside(
        lost_around(series.at_ms, series.doubtful_ms, event_ms, window),
        doubted,
        n,
        None if motion is None else curve_around(motion.at_ms, motion.values, event_ms, window),
    )


def _around(
    series: CountedSeries | None, event: Event, window: EventWindow
) -> tuple[Reals, float] | None:
    """Return the curve around one event less its baseline, and the baseline."""
    if series is None:
        return None
    curve = curve_around(series.at_ms, series.values, event.at_ms, window)
    return less_baseline(curve, window)


def _person(code: str, events: Sequence[_Around], window: EventWindow) -> _Person:
    curve = mean_curve([one.curve for one in events])
    baseline = fmean(one.baseline for one in events)
    return _Person(
        code=code,
        events=len(events),
        curve=curve,
        figures=figures_of(curve, baseline, window),
        minute=fmean(one.minute for one in events),
        last=fmean(one.last for one in events),
    )


def _response(made: _Curves) -> ResponseModel:
    """Return the mean curve with its band, each person's curve and their figures."""
    people = list(made.people.values())
    band = band_of([one.curve for one in people])
    of_mean = figures_of(band.mean, 0.0, made.window)
    figures = [one.figures for one in people]
    return ResponseModel(
        vital=made.vital,
        unit=made.vital.unit,
        event=made.label,
        step_s=made.window.step_s,
        at_s=tuple(made.window.times_s.tolist()),
        mean=_known(band.mean),
        low=_known(band.low),
        high=_known(band.high),
        n=tuple(band.n.tolist()),
        events=made.events,
        overlapping=made.overlapping,
        unmeasured=made.unmeasured,
        baseline=figure_of(one.baseline for one in figures),
        peak=figure_of(one.peak for one in figures),
        latency_s=figure_of(one.latency_s for one in figures),
        area=figure_of(one.area for one in figures),
        half_s=figure_of(one.half_s for one in figures),
        mean_peak=of_mean.peak,
        mean_latency_s=of_mean.latency_s,
        people=tuple(
            PersonModel(
                participant=one.code,
                events=one.events,
                values=_known(one.curve),
                baseline=one.figures.baseline,
                peak=one.figures.peak,
                latency_s=one.figures.latency_s,
                area=one.figures.area,
                half_s=one.figures.half_s,
            )
            for one in people
        ),
    )


def _known(values: Reals) -> tuple[float | None, ...]:
    """Return values with ``None`` for a gap, which JSON can write."""
    return tuple(None if value != value else value for value in values.tolist())  # noqa: PLR0124


# --- Tests ----------------------------------------------------------------------------------------


def _tests(
    query: ResponsesQuery, made: Sequence[_Curves]
) -> tuple[tuple[ResponseTestModel, ...], int | None, bool]:
    """Test each label of each vital against the other one, all curves as one family."""
    other = same_label(query.against)
    second = {one.vital: one for one in made if same_label(one.label) == other}
    pairs = [(one, second.get(one.vital)) for one in made if same_label(one.label) != other]
    if not other:
        return (), None, False
    codes = sorted({code for one in made for code in one.people})
    drafts = [_draft(first, against, query.against) for first, against in pairs]
    tested = [
        (place, _differences(first, against, codes))
        for place, (first, against) in enumerate(pairs)
        if against is not None and drafts[place].refused is None
    ]
    steps = [pairs[place][0].window.step_s for place, _ in tested]
    results = cluster_test([table for _, table in tested], steps, query.seed) if tested else ()
    for (place, _), test in zip(tested, results, strict=True):
        if test is not None:
            effect = _effect(*pairs[place])
            drafts[place] = drafts[place].model_copy(update={"p": test.p, "effect": effect})
    # The curves of each vital are one family.
    families = [first.vital for first, _ in pairs]
    remarks = _remarks([_after_both(*pair) for pair in pairs], families)
    drafts = list(with_cautions(drafts, remarks))
    done: CurveTest | None = next((one for one in results if one is not None), None)
    if done is None:
        return tuple(drafts), None, False
    return tuple(drafts), done.flips, done.is_exact


def _effect(first: _Curves, second: _Curves | None) -> EffectModel | None:
    """Return how large the mean difference after the events is, of the people who are tested."""
    of_second = second.people if second else {}
    after = first.window.bins_before
    rows = [
        (own.curve[after:], of_second[code].curve[after:])
        for code, own in first.people.items()
        if code in of_second
    ]
    means = [(float(a.mean()), float(b.mean())) for a, b in rows if not np.isnan(a - b).any()]
    sides = [a for a, _ in means], [b for _, b in means]
    try:
        test, effect = paired_t(*sides), hedges_g(*sides, Method.PAIRED)
    except NoVariationError:
        return None
    return EffectModel(
        difference=test.difference,
        low=test.interval.low,
        high=test.interval.high,
        g=effect.g,
        g_low=effect.interval.low,
        g_high=effect.interval.high,
    )


def _after_both(first: _Curves, second: _Curves | None) -> _Sided:
    """Return what is remarked on the readings of each person after the events of both curves."""
    after = first.window.times_s > 0
    return _on_sides(first, after, second, after)


def _on_sides(first: _Curves, inside: Marks, second: _Curves | None, other: Marks) -> _Sided:
    if second is None:
        return _Sided((first.losses(inside), {}), (first.doubts(inside), {}))
    return _Sided(
        (first.losses(inside), second.losses(other)),
        (first.doubts(inside), second.doubts(other)),
        (first.moves(inside), second.moves(other)),
    )


def _remarks(
    sides: Sequence[_Sided], families: Sequence[object]
) -> dict[str, Beside[Any, UnlikeModel]]:
    """Return what is remarked on the readings of tests: those of one family are adjusted together.

    Args:
        sides: of each test.
        families: of each test the name of its family.
    """
    remarks: dict[str, list[UnlikeModel | None]] = {
        name: [None] * len(sides) for name in ("loss", "doubted", "motion")
    }
    for name in dict.fromkeys(families):
        own = [place for place, family in enumerate(families) if family == name]
        of_family = [sides[place] for place in own]
        compared: dict[str, Sequence[UnlikeModel | None]] = {
            "loss": compare_losses([one.lost for one in of_family]),
            "doubted": compare_doubts([one.doubted for one in of_family]),
            "motion": compare_movers([one.moved for one in of_family]),
        }
        for field_name, models in compared.items():
            for place, model in zip(own, models, strict=True):
                remarks[field_name][place] = model
    return {name: partial(_as_given, models) for name, models in remarks.items()}


def _as_given(
    models: Sequence[UnlikeModel | None], _tests: Sequence[object]
) -> Sequence[UnlikeModel | None]:
    return models


def _draft(first: _Curves, second: _Curves | None, against: str) -> ResponseTestModel:
    """Say who could be tested, and why not."""
    of_second = second.people if second else {}
    both = [code for code in first.people if code in of_second]
    after = first.window.bins_before
    gaps = [
        code
        for code in both
        if np.isnan(first.people[code].curve[after:] - of_second[code].curve[after:]).any()
    ]
    used = [code for code in both if code not in gaps]
    minutes_apart, is_uneven = _apart(first.people, of_second, used)
    refused = None
    if not first.people or not of_second:
        refused = CurveRefusal.NO_EVENTS
    elif len(used) < LEAST_PEOPLE:
        refused = CurveRefusal.TOO_FEW
    elif is_uneven:
        refused = CurveRefusal.UNEQUAL_TIMES
    return ResponseTestModel(
        vital=first.vital,
        first=first.label,
        second=second.label if second else against,
        n=len(used),
        least=LEAST_PEOPLE,
        with_gaps=tuple(gaps),
        without_both=len(first.people.keys() ^ of_second.keys()),
        minutes_apart=minutes_apart,
        p=None,
        refused=refused,
    )


def _apart(
    first: Mapping[str, _Person], second: Mapping[str, _Person], codes: Sequence[str]
) -> tuple[float | None, bool]:
    """Return how many minutes later the first event came in the session on average, and whether
    that is so much that a drift over the session would pass for a response.
    """
    if not codes:
        return None, False
    apart = fmean(first[code].minute - second[code].minute for code in codes)
    last = fmean(max(first[code].last, second[code].last) for code in codes)
    return apart, abs(apart) > UNEVEN * last


def _differences(first: _Curves, second: _Curves, codes: Sequence[str]) -> Reals:
    """Return the differences of both curves after the event, a row for each code; a row of NaN for
    whom one of the two is missing or has a gap.
    """
    after = first.window.bins_before
    table = np.full((len(codes), first.window.bins_after), np.nan)
    for row, code in zip(table, codes, strict=True):
        if code in first.people and code in second.people:
            row[:] = first.people[code].curve[after:] - second.people[code].curve[after:]
    table[np.isnan(table).any(axis=1)] = np.nan
    return table


# --- Windows that were declared before ------------------------------------------------------------


def _since(
    materials: Mapping[EventKind, CurveMaterial], at_ms: int
) -> dict[EventKind, CurveMaterial]:
    """Return what is of sessions that began when the windows had been declared.

    Who declares a window after the data may have chosen it by them.
    """
    return {
        kind: replace(
            one,
            events=[event for event in one.events if one.sessions[event.session].start_ms >= at_ms],
            series=[series for series in one.series if series.session.start_ms >= at_ms],
        )
        for kind, one in materials.items()
    }


def compare_windows(
    materials: Mapping[EventKind, CurveMaterial], windows: Sequence[ResponseWindow]
) -> tuple[WindowTestModel, ...]:
    """Compare the mean change within each declared window, all windows as one family."""
    sides = [_sides(materials[one.kind], one) for one in windows]
    compared = compare_family([(one.first, one.second) for one in sides], Design.PAIRED)
    tests = [
        one.draft if one.draft.refused else one.draft.model_copy(update=_numbers(one, comparison))
        for one, comparison in zip(sides, compared, strict=True)
    ]
    return with_cautions(tests, _remarks([one.beside for one in sides], [""] * len(sides)))


def _sides(material: CurveMaterial, window: ResponseWindow) -> _Sides:
    """Return what a window compares, or why it is not compared."""
    series = [one for one in material.series if one.kind is window.vital]
    grid = EventWindow(window.before, window.end, step_for(_spacings(series)))
    inside = (grid.times_s >= window.start) & (grid.times_s < window.end)
    after = grid.times_s > 0
    refused = None
    if not material.events:
        refused = CurveRefusal.NO_EVENTS
    elif not series:
        refused = CurveRefusal.NO_READINGS
    elif not grid.bins_before or not inside.any():
        refused = CurveRefusal.TOO_SHORT
    labels = [window.event, *([window.against] if window.against else [])]
    made = [] if refused else _curves_of(window.vital, series, material, labels, grid)
    people = [one.people for one in made] or [{}]
    both = [code for code in people[0] if code in people[-1]]
    means = [{code: float(own[code].curve[inside].mean()) for code in both} for own in people]
    gaps = [code for code in both if any(np.isnan(own[code]) for own in means)]
    used = [code for code in both if code not in gaps]
    minutes_apart, is_uneven = _apart(people[0], people[-1], used)
    if refused is None and not all(people):
        refused = CurveRefusal.NO_EVENTS
    elif refused is None and len(used) < MINIMUM:
        refused = CurveRefusal.TOO_FEW
    elif refused is None and is_uneven:
        refused = CurveRefusal.UNEQUAL_TIMES
    beside = _Sided()
    if made:
        # Beside the baseline alone, its own readings are what it is compared with.
        beside = _on_sides(made[0], inside, made[-1], inside if window.against else ~after)
    draft = _blank(window, made).model_copy(
        update={
            "step_s": grid.step_s if series else None,
            "n": len(used),
            "with_gaps": tuple(gaps),
            "without_both": len(people[0].keys() ^ people[-1].keys()),
            "minutes_apart": minutes_apart if window.against else None,
            "refused": refused,
        }
    )
    if refused:
        return _Sides(draft, {}, {}, beside)
    second = means[1] if window.against else dict.fromkeys(used, 0.0)
    sides = ({code: means[0][code] for code in used}, {code: second[code] for code in used})
    return _Sides(draft, *sides, beside)


def _blank(window: ResponseWindow, made: Sequence[_Curves]) -> WindowTestModel:
    """Return a window without its people and numbers, with the events that its curves leave out."""
    return WindowTestModel(
        window=window,
        line=window.line,
        unit=window.vital.unit,
        step_s=None,
        n=0,
        least=MINIMUM,
        with_gaps=(),
        without_both=0,
        overlapping=sum(one.overlapping for one in made),
        unmeasured=sum(one.unmeasured for one in made),
        minutes_apart=None,
        first=None,
        second=None,
        difference=None,
        low=None,
        high=None,
        t=None,
        df=None,
        p=None,
        adjusted_p=None,
        g=None,
        shapiro_p=None,
        rank_p=None,
        refused=None,
    )


def _numbers(sides: _Sides, comparison: Comparison) -> dict[str, object]:
    """Return the numbers of a window's test."""
    is_paired = bool(sides.draft.window.against)
    means = {
        "first": fmean(comparison.first),
        "second": fmean(comparison.second) if is_paired else None,
        "difference": comparison.difference,
    }
    tests = comparison.tests
    if tests is None:
        return means | {"refused": CurveRefusal.NO_VARIATION}
    (normality,) = tests.normality
    return means | {
        "low": tests.t.interval.low,
        "high": tests.t.interval.high,
        "t": tests.t.t,
        "df": tests.t.df,
        "p": tests.t.p,
        "adjusted_p": tests.holm_p,
        # Its standardiser is the spread of both sides; the baseline has none.
        "g": tests.effect.g if is_paired else None,
        "g_low": tests.effect.interval.low if is_paired else None,
        "g_high": tests.effect.interval.high if is_paired else None,
        "shapiro_p": normality and normality.p,
        "rank_p": tests.rank.p,
    }


def _declared_model(
    decided: PreregistrationModel, materials: Mapping[EventKind, CurveMaterial]
) -> DeclaredModel:
    """Say which preregistration declares the windows, and how many sessions began after it."""
    labels = {
        (one.kind, same_label(label))
        for one in decided.document.windows
        for label in (one.event, one.against)
    }
    about = {
        event.session: material.sessions[event.session]
        for kind, material in materials.items()
        for event in material.events
        if (kind, same_label(event.label)) in labels
    }
    before = sum(one.start_ms < decided.at_ms for one in about.values())
    return DeclaredModel(
        id=decided.id,
        at_ms=decided.at_ms,
        sha256=decided.sha256,
        intact=decided.intact,
        sessions=len(about) - before,
        sessions_before=before,
    )
