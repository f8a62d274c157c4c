"""Words, tables and pictures of responses: curves around events by condition."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.analysis.conclusions import Caution
from dashboard.analysis.question import same_label
from dashboard.analysis.rendering.numbers import (
    df_text,
    interval_text,
    number,
    p_equals,
    pair_text,
    people,
    percent,
    sessions_text,
    unit_of,
)
from dashboard.charts.chart import Chart
from dashboard.charts.multiples import Curve, Multiples, small_multiples
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import (
    MARKERS,
    capitalise,
    moment,
    state_name,
    translate,
    vital_in_text,
    vital_label,
    with_and,
    with_unit,
)
from dashboard.questions.responses.answer import (
    DeclaredModel,
    FigureModel,
    PersonModel,
    Refusal,
    ResponseModel,
    ResponsesModel,
    ResponseTestModel,
    TooNearModel,
    UnreadVitalModel,
    WindowTestModel,
)
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_
from edge_agent.store.read.events import EventKind

EVENT_KINDS = dict(zip(EventKind, (*MARKERS, N_("reported emotion")), strict=True))
"""How people call the kinds of event."""
_OF_EMOTION: dict[str, str] = {
    Emotion.NEUTRAL: "slate",
    Emotion.HAPPINESS: "amber",
    Emotion.ANGER: "heart-rate",
    Emotion.SADNESS: "systolic",
    Emotion.FEAR: "violet",
    Emotion.DISGUST: "green",
}
_COLOURS = ("heart-rate", "systolic", "amber", "green", "violet", "diastolic", "slate")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid")
_WIDTH, _HEIGHT = 160, 80
_OF_SESSION = {"wide": 590.0, "narrow": 330.0}
"""Widths of the pictures of a session, for a screen or a sheet, and for a phone."""
_WAYS = {
    (True, True): N_(
        "{vital} rises by up to {peak} {unit} after {first}, and by up to {other} {unit} after "
        "{second}."
    ),
    (True, False): N_(
        "{vital} rises by up to {peak} {unit} after {first}, and falls by up to {other} {unit} "
        "after {second}."
    ),
    (False, True): N_(
        "{vital} falls by up to {peak} {unit} after {first}, and rises by up to {other} {unit} "
        "after {second}."
    ),
    (False, False): N_(
        "{vital} falls by up to {peak} {unit} after {first}, and by up to {other} {unit} after "
        "{second}."
    ),
}
"""How the mean curves move after two events, by whether each of them rises."""
_REFUSALS = {
    Refusal.NO_READINGS: N_("There are no readings in these sessions."),
    Refusal.TOO_SHORT: N_(
        "Its readings are so far apart that not one point of the curve lies in the window, or in "
        "the seconds before the event."
    ),
    Refusal.NO_VARIATION: N_("Everybody has the same value."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a small picture.

    Attributes:
        label: of the events.
        place: of the label among all, which has its colour and dash.
        strokes: points of each unbroken part, as SVG writes them.
    """

    label: str
    place: int
    strokes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """The curves of one participant as a small picture.

    Attributes:
        participant: code.
        sentence: what it shows, in words.
        lines: a curve for each label.
        zero_x: where the event is.
        zero_y: where the baseline is.
    """

    participant: str
    sentence: str
    lines: tuple[Line, ...]
    zero_x: float
    zero_y: float


@dataclass(frozen=True, slots=True)
class Panels:
    """The small pictures of one vital, all with the same axes."""

    title: str
    note: str
    every: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class FiguresTable:
    """The figures of the curves of one vital, a line for each label."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ResponsesSheet:
    """Everything that the page shows of responses."""

    response: ResponsesModel
    charts: tuple[Chart, ...]
    tables: tuple[FiguresTable, ...]
    panels: tuple[Panels, ...]
    labels: tuple[str, ...]
    colours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionFigure:
    """The curves of one measure in one session, a panel for each label.

    Attributes:
        id: unique in the page.
        title: heading over the picture.
        up: title of the vertical axes in a picture that is taken from the page.
        caption: what its lines are.
        pictures: by the room that they are for.
        sentences: what each panel shows, in words.
    """

    id: str
    title: str
    up: str
    caption: str
    pictures: dict[str, Multiples]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionCurves:
    """Responses on the page of a session; ``notes`` say what is missing."""

    figures: tuple[SessionFigure, ...]
    notes: tuple[str, ...]


def curves_of_session(model: ResponsesModel) -> SessionCurves:
    """Return the view of a session's page of an answer about that session, with its words."""
    labels = _labels(model)
    vitals = dict.fromkeys(one.vital for one in model.curves)
    unread = (one.sentence for one in model.unread)
    return SessionCurves(
        tuple(_session_figure(model, vital, labels) for vital in vitals),
        (*unread, *_left_out(model), *_without_curve(model)),
    )


def _without_curve(model: ResponsesModel) -> list[str]:
    """Say which labels of the session have no curve of any measure."""
    drawn = set(_labels(model))
    missing = [state_name(label) for label in model.labels if label not in drawn]
    if not drawn or not missing:
        return []
    text = gettext(
        "Without a curve: {labels}. Too little was measured around these events, others were too "
        "near, or six labels are drawn already."
    )
    return [text.format(labels=with_and(missing))]


def sheet_of_responses(model: ResponsesModel) -> ResponsesSheet:
    """Return the page's view of an answer that has its words."""
    vitals = list(dict.fromkeys(one.vital for one in model.curves))
    labels = _labels(model)
    return ResponsesSheet(
        response=model,
        charts=tuple(_chart(model, vital, labels) for vital in vitals),
        tables=tuple(_table(model, vital) for vital in vitals),
        panels=tuple(_panels(model, vital, labels) for vital in vitals),
        labels=tuple(map(state_name, labels)),
        colours=tuple(_colour(label, labels) for label in labels),
    )


# --- Words ----------------------------------------------------------------------------------------


def put_into_words(model: ResponsesModel) -> ResponsesModel:
    """Return an answer with its sentences, in the language in use."""
    return model.model_copy(
        update={
            "curves": tuple(
                one.model_copy(update={"sentence": _curve_sentence(one)}) for one in model.curves
            ),
            "tests": tuple(
                one.model_copy(update={"sentence": _test_sentence(one, model)})
                for one in model.tests
            ),
            "unread": tuple(
                one.model_copy(update={"sentence": _unread_sentence(one)}) for one in model.unread
            ),
            "declared": model.declared
            and model.declared.model_copy(update={"sentence": _declared_sentence(model.declared)}),
            "windows": tuple(
                one.model_copy(update={"sentence": _window_sentence(one)}) for one in model.windows
            ),
            "notes": _notes(model),
            "too_near": model.too_near
            and model.too_near.model_copy(update={"sentence": _too_near_sentence(model.too_near)}),
        }
    )


def _value(kind: Measure, value: float) -> str:
    """Write a value of a measure: with one decimal, or as many as it has."""
    return number(value, max(1, kind.spec.decimals))


def events_text(n: int) -> str:
    """Return a number of events, such as ``12 events``."""
    return ngettext("{n} event", "{n} events", n).format(n=thousands(n))


def _curve_sentence(one: ResponseModel) -> str:
    names = {
        "vital": vital_label(one.vital),
        "event": state_name(one.event),
        "people": people(len(one.people)),
        "events": events_text(one.events),
        "unit": unit_of(one.vital),
    }
    if one.mean_peak is None or one.mean_latency_s is None or one.baseline.mean is None:
        return gettext("{vital} around {event}: nothing was measured after the events.").format(
            **names
        )
    text = gettext(
        "{vital} around {event} ({people}, {events}): from a baseline of {baseline} {unit} the "
        "mean is farthest away {latency} s after the event, by {peak} {unit}."
    ).format(
        baseline=_value(one.vital, one.baseline.mean),
        latency=number(one.mean_latency_s),
        peak=_value(one.vital, one.mean_peak),
        **names,
    )
    if min(one.n) == max(one.n):
        return text
    along = gettext("With gaps: {low} to {high} people at each point.")
    return f"{text} {along.format(low=min(one.n), high=max(one.n))}"


def _test_sentence(one: ResponseTestModel, model: ResponsesModel) -> str:
    names = {
        "vital": vital_label(one.vital),
        "first": state_name(one.first),
        "second": state_name(one.second),
        "people": people(one.n),
    }
    if one.refused is not None or one.p is None:
        reason = _refusal(one, names["first"], names["second"])
        return gettext("{vital}, {first} and {second}: not tested. {reason}").format(
            reason=reason, **names
        )
    if one.shown:
        text = gettext(
            "{vital}: the curves after {first} and {second} differ (cluster-based permutation "
            "test, {people}, p {p}). It is shown that they differ, not when."
        )
    else:
        text = gettext(
            "{vital}: no difference between the curves after {first} and {second} is shown "
            "(cluster-based permutation test, {people}, p {p}). That does not show that there is "
            "none."
        )
    told = [text.format(p=p_equals(one.p), **names)]
    peaks = {curve.event: curve.mean_peak for curve in model.curves if curve.vital == one.vital}
    first, second = peaks.get(one.first), peaks.get(one.second)
    if first is not None and second is not None:
        # Which way, before whether: it is what people ask first. It describes, and dates nothing.
        told.insert(
            0,
            gettext(_WAYS[first >= 0, second >= 0]).format(
                peak=_value(one.vital, abs(first)),
                other=_value(one.vital, abs(second)),
                unit=unit_of(one.vital),
                **names,
            ),
        )
    told += _lost_unequally(one, names["first"], names["second"])
    told += _left_out_of(one)
    return " ".join(told)


def _lost_unequally(one: ResponseTestModel | WindowTestModel, first: str, second: str) -> list[str]:
    """Say that more was lost on one side, where that is a caution of the result."""
    loss = one.loss
    if loss is None or Caution.UNEQUAL_LOSS not in one.caution_codes:
        return []
    shares = {"in_first": percent(loss.first), "in_second": percent(loss.second), "first": first}
    if second:
        text = gettext(
            "Readings were lost, which may make or hide a difference: {in_first} after {first}, "
            "{in_second} after {second}."
        )
    else:
        text = gettext(
            "Readings were lost, which may make or hide a difference: {in_first} after {first}, "
            "{in_second} before."
        )
    return [text.format(second=second, **shares)]


def _left_out_of(one: ResponseTestModel | WindowTestModel) -> list[str]:
    """Say who is not in the test."""
    told = []
    if one.with_gaps:
        told.append(
            gettext("Left out because a curve has a gap: {people}.").format(
                people=with_and(one.with_gaps)
            )
        )
    if one.without_both:
        told.append(
            gettext("Left out because one of the two curves is missing: {people}.").format(
                people=people(one.without_both)
            )
        )
    return told


def _refusal(one: ResponseTestModel | WindowTestModel, first: str, second: str) -> str:
    """Say why two curves, or a window of them, are not tested; ``second`` is empty without one."""
    if one.refused in _REFUSALS:
        return gettext(_REFUSALS[one.refused])
    if one.refused is Refusal.NO_EVENTS:
        return gettext("One of the two has no curve.") if second else gettext("There is no curve.")
    if one.refused is Refusal.UNEQUAL_TIMES:
        return _unequal(one.minutes_apart or 0.0, first, second)
    told = gettext("It needs at least {minimum} people without a gap; there are {n}.")
    if second:
        told = gettext(
            "It needs at least {minimum} people with both curves and no gap; there are {n}."
        )
    return " ".join([told.format(minimum=one.least, n=one.n), *_left_out_of(one)])


def _unequal(minutes_apart: float, first: str, second: str) -> str:
    if minutes_apart > 0:
        text = gettext(
            "{first} came {minutes} min later in the session than {second} on average: a "
            "drift over the session cannot be told from a response. Balance the order."
        )
    else:
        text = gettext(
            "{first} came {minutes} min earlier in the session than {second} on average: a "
            "drift over the session cannot be told from a response. Balance the order."
        )
    return text.format(first=first, second=second, minutes=number(abs(minutes_apart)))


def _declared_sentence(one: DeclaredModel) -> str:
    """Say when the windows were declared, and whether that was before the data."""
    if not one.intact:
        text = gettext(
            "The text of preregistration {id} does not match its SHA-256: the database was "
            "changed. Its windows are not tested."
        )
    elif not one.sessions:
        text = gettext(
            "Declared in preregistration {id}, {when}. Only sessions that begin after it are "
            "tested; so far there are none with these events."
        )
    elif not one.sessions_before:
        text = gettext(
            "Declared before the data, in preregistration {id}, {when}: {sessions} with these "
            "events."
        )
    else:
        text = gettext(
            "Declared before the data, in preregistration {id}, {when}: {sessions} with these "
            "events. Left out because they began earlier: {before}."
        )
    told = text.format(
        id=one.id,
        when=moment(one.at_ms),
        sessions=sessions_text(one.sessions),
        before=sessions_text(one.sessions_before),
    )
    return " ".join([told, *map(capitalise, one.differences)])


def _window_sentence(one: WindowTestModel) -> str:
    """Say what a declared window shows."""
    first = state_name(one.window.event)
    second = state_name(one.window.against) if one.window.against else ""
    names = {
        "vital": vital_label(one.window.vital),
        "start": general(one.window.start),
        "end": general(one.window.end),
        "first": first,
        "second": second,
        "unit": unit_of(one.window.vital),
    }
    if one.refused is not None or one.difference is None:
        text = gettext("{vital}, {start} to {end} s after {first}: not tested. {reason}")
        if second:
            text = gettext(
                "{vital}, {start} to {end} s after {first} and {second}: not tested. {reason}"
            )
        return text.format(reason=_refusal(one, first, second), **names)
    text = _against(one, one.difference) if second else _against_baseline(one, one.difference)
    told = [
        text.format(
            value=_value(one.window.vital, abs(one.difference)),
            difference=_value(one.window.vital, one.difference),
            how=_how(one),
            **names,
        )
    ]
    if not one.shown:
        told.append(gettext("That does not show that there is none."))
    if not second:
        told.append(
            gettext(
                "A drift over the session cannot be told from a response, because there is no "
                "other event to compare with."
            )
        )
    told += _lost_unequally(one, first, second)
    told += _left_out_of(one)
    reach = one.window.before + one.window.end
    return " ".join([*told, *_events_left_out(one.overlapping, one.unmeasured, reach)])


def _against(one: WindowTestModel, difference: float) -> str:
    """Return the text about two kinds of event."""
    if not one.shown:
        return gettext(
            "{vital}, {start} to {end} s after {first} and {second}: no difference of the mean "
            "changes is shown ({difference} {unit}; {how})."
        )
    if difference < 0:
        return gettext(
            "{vital}, {start} to {end} s after the events: the mean change is {value} {unit} lower "
            "after {first} than after {second} ({how})."
        )
    return gettext(
        "{vital}, {start} to {end} s after the events: the mean change is {value} {unit} higher "
        "after {first} than after {second} ({how})."
    )


def _against_baseline(one: WindowTestModel, difference: float) -> str:
    """Return the text about one kind of event."""
    if not one.shown:
        return gettext(
            "{vital}, {start} to {end} s after {first}: no difference from the baseline is shown "
            "({difference} {unit}; {how})."
        )
    if difference < 0:
        return gettext(
            "{vital}, {start} to {end} s after {first}: the mean is {value} {unit} below the "
            "baseline ({how})."
        )
    return gettext(
        "{vital}, {start} to {end} s after {first}: the mean is {value} {unit} above the "
        "baseline ({how})."
    )


def _how(one: WindowTestModel) -> str:
    """Write the numbers of a window's test."""
    decimals = max(1, one.window.vital.spec.decimals)
    text = gettext(
        "95 % interval {interval}; t-test of one value a person, {people}, t({df}) = {t}, p {p} "
        "over all declared windows"
    )
    if one.g is not None:
        text = gettext(
            "95 % interval {interval}; paired t-test, {people}, t({df}) = {t}, p {p} over all "
            "declared windows, g = {g}"
        )
    return text.format(
        interval=interval_text(one.low or 0.0, one.high or 0.0, decimals),
        people=people(one.n),
        df=df_text(one.df or 0.0),
        t=number(one.t or 0.0, 2),
        p=p_equals(1.0 if one.adjusted_p is None else one.adjusted_p),
        g=number(one.g or 0.0, 2),
    )


def _unread_sentence(one: UnreadVitalModel) -> str:
    if one.step_s is None:
        return gettext("{vital}: no readings in these sessions.").format(
            vital=vital_label(one.vital)
        )
    return gettext(
        "{vital}: its readings are so far apart that a point of the curve needs {step} s. Choose "
        "at least as many seconds before and after the event."
    ).format(vital=vital_label(one.vital), step=general(one.step_s))


def _notes(model: ResponsesModel) -> tuple[str, ...]:
    """Say how the curves are to be read, what was left out, and how they were tested."""
    notes = []
    if model.curves:
        notes.append(
            gettext(
                "The band is the 95 % interval of the mean at each point by itself. It describes "
                "and tests nothing; nor do peaks, which are the largest of chance, too."
            )
        )
    tested = sum(one.p is not None for one in model.tests)
    if tested and model.flips is not None:
        notes.append(_method(model, tested))
    if any(one.p is not None for one in model.windows):
        notes.append(
            gettext(
                "In a declared window a person’s value is the mean of their curve there. All "
                "windows are one family, whatever is asked above (Holm). Its ends belong to the "
                "declaration and are no finding about times."
            )
        )
    if model.curves and not model.tests:
        notes.append(
            gettext(
                "Nothing is tested: without other events to compare with, a drift over the session "
                "cannot be told from a response."
            )
        )
    notes += _left_out(model)
    if model.without_times:
        notes.append(
            ngettext(
                "{n} session is left out: its times are made up.",
                "{n} sessions are left out: their times are made up.",
                model.without_times,
            ).format(n=thousands(model.without_times))
        )
    return tuple(notes)


def _too_near_sentence(near: TooNearModel) -> str:
    told = gettext(
        "All {n} events are left out because others are nearer than {seconds} s, the seconds "
        "before and after them together."
    ).format(n=thousands(near.events), seconds=general(near.within_s))
    if near.before is None or near.after is None:
        way = gettext("They are at least {nearest} s apart, too near for a curve around each.")
    else:
        way = gettext(
            "The nearest are {nearest} s apart: choose {before} s before and {after} s after them, "
            "or less (--before {before} --after {after})."
        )
    values = {"before": near.before, "after": near.after}
    shown = {name: general(value) for name, value in values.items() if value is not None}
    return f"{told} {way.format(nearest=general(near.nearest_s), **shown)}"


def _method(model: ResponsesModel, tested: int) -> str:
    if model.is_exact:
        how = gettext("all {flips} sign flips of whole people").format(
            flips=thousands(model.flips or 0)
        )
    else:
        how = gettext("{flips} random sign flips of whole people, seed {seed}").format(
            flips=thousands(model.flips or 0), seed=model.question.seed
        )
    return ngettext(
        "Cluster-based permutation test (Maris and Oostenveld 2007) of {n} difference within "
        "people: {how}.",
        "Cluster-based permutation test (Maris and Oostenveld 2007) of {n} differences within "
        "people as one family: {how}.",
        tested,
    ).format(n=tested, how=how)


def _left_out(model: ResponsesModel) -> list[str]:
    """Say which events are in no curve; of several vitals the most."""
    by_label: dict[str, tuple[int, int]] = {}
    for one in model.curves:
        overlapping, unmeasured = by_label.get(one.event, (0, 0))
        most = (max(overlapping, one.overlapping), max(unmeasured, one.unmeasured))
        by_label[one.event] = most
    overlapping = sum(one for one, _ in by_label.values())
    unmeasured = sum(one for _, one in by_label.values())
    return _events_left_out(overlapping, unmeasured, model.question.before + model.question.after)


def _events_left_out(overlapping: int, unmeasured: int, reach: float) -> list[str]:
    """Say how many events are in no curve, of so many seconds."""
    notes = []
    if overlapping:
        notes.append(
            ngettext(
                "{n} event is left out: another one was nearer than {seconds} s.",
                "{n} events are left out: others were nearer than {seconds} s.",
                overlapping,
            ).format(n=thousands(overlapping), seconds=general(reach))
        )
    if unmeasured:
        notes.append(
            ngettext(
                "{n} event is left out: too little was measured before or after it.",
                "{n} events are left out: too little was measured before or after them.",
                unmeasured,
            ).format(n=thousands(unmeasured))
        )
    return notes


def responses_csv(models: Iterable[ResponsesModel]) -> str:
    """Return every number of the curves as a table of a bundle; empty without curves.

    A line is a point of a mean curve (``mean``, ``low``, ``high``, ``n`` at a time), a figure of
    somebody's curve, or an exact ``p``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    rows = [row for model in models for row in _csv_rows(model)]
    if not rows:
        return ""
    writer.writerow(("vital", "event", "participant", "name", "at_s", "value"))
    writer.writerows(rows)
    return file.getvalue()


def _csv_rows(model: ResponsesModel) -> Iterator[tuple[str | float, ...]]:
    for one in model.curves:
        of = (one.vital.value, one.event)
        for place, at in enumerate(one.at_s):
            for name in ("mean", "low", "high", "n"):
                value = getattr(one, name)[place]
                if value is not None and one.n[place]:
                    yield (*of, "", name, at, value)
        for person in one.people:
            for name in ("baseline", "peak", "latency_s", "area", "half_s"):
                value = getattr(person, name)
                if value is not None:
                    yield (*of, person.participant, name, "", value)
    for test in model.tests if model.is_exact else ():
        if test.p is not None:
            yield (test.vital.value, f"{test.first}-{test.second}", "", "p", "", test.p)


# --- Tables and pictures --------------------------------------------------------------------------


def _labels(model: ResponsesModel) -> list[str]:
    return list(dict.fromkeys(one.event for one in model.curves))


def _colour(label: str, labels: Sequence[str]) -> str:
    """Return the colour of a label: that of an emotion is always the same."""
    name = _OF_EMOTION.get(same_label(label))
    if name is not None:
        return name
    taken = {_OF_EMOTION.get(same_label(one)) for one in labels}
    free = [one for one in _COLOURS if one not in taken]
    others = [one for one in labels if same_label(one) not in _OF_EMOTION]
    return free[others.index(label) % len(free)]


def _chart(model: ResponsesModel, vital: Measure, labels: Sequence[str]) -> Chart:
    """Draw the mean curves of a vital with their bands."""
    own = [one for one in model.curves if one.vital is vital]
    # On the page and below the picture that is taken from it stands the same text.
    caption = _caption(model, own)
    return Chart(
        id=f"response-{vital.value.replace('_', '-')}",
        title=_title(model, vital),
        sentence=caption,
        figure={
            "data": [trace for one in own for trace in _traces(one, labels)],
            "layout": _layout(own[0]),
        },
        columns=(
            gettext("seconds from the event"),
            *(
                gettext("{event}: mean, 95 % CI, n").format(event=state_name(one.event))
                for one in own
            ),
        ),
        rows=tuple(
            (number(at), *(_cell(one, place) for one in own))
            for place, at in enumerate(own[0].at_s)
        ),
        height="large",
        axes=("", _change(vital)),
        caption=caption,
    )


def _caption(model: ResponsesModel, own: Sequence[ResponseModel]) -> str:
    """Say what lines and bands of a vital are, where its mean curves peak, and what is tested."""
    first = own[0]
    told = [
        gettext(
            "0 is the event ({kind}). Each point covers {step} s and is the mean over people, less "
            "each one’s own mean of the {before} s before the event; points left of 0 hold only "
            "what was measured before it. Bands: 95 % CI of each point by itself, no test."
        ).format(
            kind=_kind(model), step=general(first.step_s), before=general(model.question.before)
        ),
        gettext("Peaks of the mean curves: {curves}.").format(
            curves="; ".join(map(_peak_text, own))
        ),
    ]
    tested = [one for one in model.tests if one.p is not None]
    pairs = [
        f"{pair_text(one.first, one.second)} p {p_equals(one.p)}"
        for one in tested
        if one.vital is first.vital and one.p is not None
    ]
    if pairs:
        text = ngettext(
            "Whole curves compared within people (cluster-based permutation test): {pairs}.",
            "Whole curves compared within people (cluster-based permutation test, p adjusted for "
            "{n} comparisons): {pairs}.",
            len(tested),
        )
        told.append(text.format(n=len(tested), pairs="; ".join(pairs)))
    return " ".join(told)


def _peak_text(one: ResponseModel) -> str:
    """Say where a mean curve is farthest from its baseline, and of whom it is."""
    of = [people(len(one.people)), events_text(one.events)]
    if min(one.n) != max(one.n):
        of.append(
            gettext("{low} to {high} people at each point").format(low=min(one.n), high=max(one.n))
        )
    names = {"event": state_name(one.event), "of": ", ".join(of)}
    if one.mean_peak is None or one.mean_latency_s is None:
        return gettext("{event} nothing measured after it ({of})").format(**names)
    return gettext("{event} {peak} {unit} at {latency} s ({of})").format(
        peak=_value(one.vital, one.mean_peak),
        unit=unit_of(one.vital),
        latency=number(one.mean_latency_s),
        **names,
    )


def _title(model: ResponsesModel, vital: Measure) -> str:
    title = gettext("{vital} around events, change from baseline").format(vital=vital_label(vital))
    return gettext("{title} · simulated").format(title=title) if model.simulated else title


def _kind(model: ResponsesModel) -> str:
    return translate(EVENT_KINDS[model.question.kind])


def _change(vital: Measure) -> str:
    return with_unit(
        gettext("Change of {vital}").format(vital=vital_in_text(vital)), vital.spec.unit_shown
    )


def _session_figure(model: ResponsesModel, vital: Measure, labels: Sequence[str]) -> SessionFigure:
    own = [one for one in model.curves if one.vital is vital]
    curves = [
        Curve(
            f"{state_name(one.event)}, {events_text(one.events)}",
            f"--vital-{_colour(one.event, labels)}",
            one.mean,
        )
        for one in own
    ]
    return SessionFigure(
        id=f"session-{vital.value.replace('_', '-')}",
        title=_title(model, vital),
        up=_change(vital),
        caption=gettext(
            "0 is the event ({kind}). Lines: means of the events, less the mean of the {before} s "
            "before each; where nothing was measured there is no line. One session is described, "
            "not tested."
        ).format(kind=_kind(model), before=general(model.question.before)),
        pictures={
            name: small_multiples(own[0].at_s, curves, width) for name, width in _OF_SESSION.items()
        },
        sentences=tuple(one.sentence for one in own),
    )


def _cell(one: ResponseModel, place: int) -> str:
    mean, low, high = one.mean[place], one.low[place], one.high[place]
    if mean is None:
        return "–"
    if low is None or high is None:
        return f"{_value(one.vital, mean)}, n {one.n[place]}"
    ends = interval_text(low, high, max(1, one.vital.spec.decimals))
    return f"{_value(one.vital, mean)} ({ends}), n {one.n[place]}"


def _traces(one: ResponseModel, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Compose band and line of one curve; both break where there is a gap."""
    colour = f"--vital-{_colour(one.event, labels)}"
    name = html.escape(state_name(one.event))
    dash = _DASHES[labels.index(one.event)]
    shared = {"type": "scatter", "mode": "lines", "legendgroup": one.event}
    bands = [
        shared
        | {
            "x": [*(at for at, _, _ in part), *(at for at, _, _ in reversed(part))],
            "y": [
                *(round(low, 5) for _, low, _ in part),
                *(round(high, 5) for _, _, high in reversed(part)),
            ],
            "fill": "toself",
            "fillcolor": f"var({colour}-band)",
            "line": {"width": 0, "dash": dash},
            "hoverinfo": "skip",
            "showlegend": False,
        }
        for part in _unbroken(one)
    ]
    line = shared | {
        "name": name,
        "x": list(one.at_s),
        "y": [None if value is None else round(value, 5) for value in one.mean],
        "customdata": list(one.n),
        "line": {"color": f"var({colour})", "width": 2.2, "dash": dash},
        "connectgaps": False,
        "hovertemplate": f"%{{y:.1f}} {unit_of(one.vital)}, n %{{customdata}}",
        "showlegend": True,
    }
    return [*bands, line]


def _unbroken(one: ResponseModel) -> list[list[tuple[float, float, float]]]:
    """Return time and ends of the band of each part without a gap."""
    parts: list[list[tuple[float, float, float]]] = [[]]
    for at, low, high in zip(one.at_s, one.low, one.high, strict=True):
        if low is None or high is None:
            parts.append([])
        else:
            parts[-1].append((at, low, high))
    return [part for part in parts if part]


def _layout(one: ResponseModel) -> dict[str, Any]:
    half = one.step_s / 2
    return {
        "hovermode": "x unified",
        "margin": {"l": 44, "r": 14, "t": 8, "b": 44},
        "showlegend": True,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {
            "title": {"text": gettext("Time from the event (s)")},
            "range": [one.at_s[0] - half, one.at_s[-1] + half],
            "zeroline": True,
            "zerolinecolor": "var(--text)",
            "zerolinewidth": 1.5,
            "gridcolor": "var(--chart-grid)",
            "linecolor": "var(--chart-line)",
            "fixedrange": True,
        },
        "yaxis": {
            "gridcolor": "var(--chart-grid)",
            "zeroline": True,
            "zerolinecolor": "var(--chart-line)",
            "automargin": True,
            "nticks": 9,
            "fixedrange": True,
        },
    }


def _table(model: ResponsesModel, vital: Measure) -> FiguresTable:
    """Lay the figures of the people's curves out: mean and standard deviation."""
    unit = unit_of(vital)
    decimals = max(1, vital.spec.decimals)
    return FiguresTable(
        title=vital_label(vital),
        heads=(
            gettext("Event"),
            gettext("People"),
            gettext("Events"),
            gettext("Baseline, {unit}").format(unit=unit),
            gettext("Mean of people’s own peaks, {unit}").format(unit=unit),
            gettext("Mean of their times, s"),
            gettext("Area, {unit} · s").format(unit=unit),
            gettext("Half of the peak left after, s"),
        ),
        rows=tuple(
            (
                state_name(one.event),
                thousands(len(one.people)),
                thousands(one.events),
                *(
                    _figure(figure, len(one.people), digits)
                    for figure, digits in (
                        (one.baseline, decimals),
                        (one.peak, decimals),
                        (one.latency_s, 1),
                        (one.area, decimals),
                        (one.half_s, 1),
                    )
                ),
            )
            for one in model.curves
            if one.vital is vital
        ),
    )


def _figure(figure: FigureModel, of: int, digits: int) -> str:
    """Write mean and standard deviation, with the number of people where it is not all of them."""
    if figure.mean is None:
        return "–"
    text = number(figure.mean, digits)
    if figure.sd is not None:
        text = f"{text} ({number(figure.sd, digits)})"
    return text if figure.n == of else f"{text}, n {figure.n}"


def _panels(model: ResponsesModel, vital: Measure, labels: Sequence[str]) -> Panels:
    """Draw each person's curves as a small picture; all have the same axes."""
    own = [one for one in model.curves if one.vital is vital]
    codes = sorted({person.participant for one in own for person in one.people})
    values = [
        value
        for one in own
        for person in one.people
        for value in person.values
        if value is not None
    ]
    low, high = min([*values, 0.0]), max([*values, 0.0])
    height = (high - low) or 1.0
    at_s = own[0].at_s
    width = (at_s[-1] - at_s[0]) or 1.0

    def x_of(at: float) -> float:
        return round((at - at_s[0]) / width * _WIDTH, 1)

    def y_of(value: float) -> float:
        return round((high - value) / height * _HEIGHT, 1)

    by_code = [
        (code, [(one, _of_person(one, code)) for one in own if _of_person(one, code)])
        for code in codes
    ]
    return Panels(
        title=gettext("{vital} by person").format(vital=vital_label(vital)),
        note=gettext(
            "From {low} to {high} {unit} and from {start} to {end} s; the lines cross at the event "
            "and the baseline."
        ).format(
            low=_value(vital, low),
            high=_value(vital, high),
            unit=unit_of(vital),
            start=number(at_s[0]),
            end=number(at_s[-1]),
        ),
        every=tuple(
            Panel(
                participant=code,
                sentence="; ".join(
                    _person_text(one, person) for one, person in curves if person is not None
                ),
                lines=tuple(
                    Line(
                        state_name(one.event),
                        labels.index(one.event),
                        _strokes(
                            [
                                None if value is None else f"{x_of(at)},{y_of(value)}"
                                for at, value in zip(at_s, person.values, strict=True)
                            ]
                        ),
                    )
                    for one, person in curves
                    if person is not None
                ),
                zero_x=x_of(0.0),
                zero_y=y_of(0.0),
            )
            for code, curves in by_code
        ),
    )


def _of_person(one: ResponseModel, code: str) -> PersonModel | None:
    return next((person for person in one.people if person.participant == code), None)


def _person_text(one: ResponseModel, person: PersonModel) -> str:
    names = {"event": state_name(one.event), "events": events_text(person.events)}
    if person.peak is None or person.latency_s is None:
        return gettext("{event}, {events}: nothing measured after it").format(**names)
    return gettext("{event}, {events}: peak {peak} {unit} after {latency} s").format(
        peak=_value(one.vital, person.peak),
        unit=unit_of(one.vital),
        latency=number(person.latency_s),
        **names,
    )


def _strokes(points: Sequence[str | None]) -> tuple[str, ...]:
    """Return the points of each part without a gap."""
    parts: list[list[str]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return tuple(" ".join(part) for part in parts if part)
