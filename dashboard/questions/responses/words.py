"""Words, tables and pictures of responses: curves around events by condition."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dashboard.analysis.query import Model, same_label
from dashboard.analysis.rendering.numbers import decimals_of, macros_of, value_of
from dashboard.analysis.rendering.words import say
from dashboard.charts.chart import Chart
from dashboard.charts.multiples import Curve, Multiples, small_multiples
from dashboard.languages.figures import interval_text, number, thousands
from dashboard.languages.names import MARKERS, state_name, translate, unit_of, vital_label
from dashboard.questions.basis import simulated_text
from dashboard.questions.responses.answer import (
    PersonModel,
    ResponseModel,
    ResponsesModel,
    SkinScale,
)
from dashboard.questions.responses.figures import FiguresTable, figure_text
from dashboard.questions.responses.skin_words import skin_in_words, skin_table
from edge_agent.core.csv_cells import table_text
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.timeline.read.events import EventKind

EVENT_KINDS = dict(zip(EventKind, (*MARKERS, N_("reported emotion")), strict=True))
"""How people call the kinds of event."""
SCALES = {
    SkinScale.MICROSIEMENS: N_("µS, as measured"),
    SkinScale.LOG: N_("ln(1 + µS)"),
    SkinScale.RANGE: N_("share of the session’s largest"),
}
"""How people call the scales of skin responses."""
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
_MACROS = macros_of(Path(__file__).parent, say=say)
_Told = TypeVar("_Told", bound=Model)


@dataclass(frozen=True, slots=True)
class CurveLine:
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
class CurvePanel:
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
    lines: tuple[CurveLine, ...]
    zero_x: float
    zero_y: float


@dataclass(frozen=True, slots=True)
class Panels:
    """The small pictures of one vital, all with the same axes."""

    title: str
    note: str
    every: tuple[CurvePanel, ...]


@dataclass(frozen=True, slots=True)
class ResponsesSheet:
    """Everything that the page shows of responses."""

    response: ResponsesModel
    charts: tuple[Chart, ...]
    tables: tuple[FiguresTable, ...]
    skin: FiguresTable | None
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
        (*unread, *_events_left_out(model), *_without_curve(model)),
    )


def _events_left_out(model: ResponsesModel) -> tuple[str, ...]:
    reach = model.question.before + model.question.after
    return _MACROS.sentences("words", "events_left_out", *_left_out(model), reach)


def _without_curve(model: ResponsesModel) -> list[str]:
    """Say which labels of the session have no curve of any measure."""
    drawn = set(_labels(model))
    missing = [label for label in model.labels if label not in drawn]
    return [_say("without_curve", missing)] if drawn and missing else []


def charts_of(model: ResponsesModel) -> tuple[Chart, ...]:
    """Return a picture of the curves of each measure; the answer needs no words for it."""
    labels = _labels(model)
    vitals = dict.fromkeys(one.vital for one in model.curves)
    return tuple(_chart(model, vital, labels) for vital in vitals)


def sheet_of_responses(model: ResponsesModel) -> ResponsesSheet:
    """Return the page's view of an answer that has its words."""
    vitals = list(dict.fromkeys(one.vital for one in model.curves))
    labels = _labels(model)
    return ResponsesSheet(
        response=model,
        charts=charts_of(model),
        tables=tuple(_table(model, vital) for vital in vitals),
        skin=skin_table(model.skin) if model.skin else None,
        panels=tuple(_panels(model, vital, labels) for vital in vitals),
        labels=tuple(map(state_name, labels)),
        colours=tuple(_colour(label, labels) for label in labels),
    )


# --- Words ----------------------------------------------------------------------------------------


def put_into_words(model: ResponsesModel) -> ResponsesModel:
    """Return an answer with its sentences, in the language in use."""
    peaks = {(one.vital, one.event): one.mean_peak for one in model.curves}
    return model.model_copy(
        update={
            "curves": _in_words("curve", model.curves),
            "tests": tuple(
                one.model_copy(
                    update={
                        "sentence": _say(
                            "test",
                            one,
                            peaks.get((one.vital, one.first)),
                            peaks.get((one.vital, one.second)),
                        )
                    }
                )
                for one in model.tests
            ),
            "unread": _in_words("unread", model.unread),
            "declared": _in_words("declared", [model.declared])[0] if model.declared else None,
            "windows": _in_words("window", model.windows),
            "notes": _MACROS.sentences("words", "notes", model, *_left_out(model)),
            "skin": skin_in_words(model.skin) if model.skin else None,
            "too_near": _in_words("too_near", [model.too_near])[0] if model.too_near else None,
        }
    )


def _say(macro: str, *values: object) -> str:
    return _MACROS.say("words", macro, *values)


def _in_words(macro: str, every: Sequence[_Told]) -> tuple[_Told, ...]:
    return tuple(one.model_copy(update={"sentence": _say(macro, one)}) for one in every)


def simulated_curves(sessions: Sequence[Session]) -> str:
    """Say how much of what the page shows is simulated, as the page Analysis does."""
    every = all(one.simulated for one in sessions)
    return _say("simulated", "" if every else simulated_text(sessions))


def _left_out(model: ResponsesModel) -> tuple[int, int]:
    """Return how many events another one was too near to, and how many were not measured; of
    several vitals the most.
    """
    by_label: dict[str, tuple[int, int]] = {}
    for one in model.curves:
        overlapping, unmeasured = by_label.get(one.event, (0, 0))
        most = (max(overlapping, one.overlapping), max(unmeasured, one.unmeasured))
        by_label[one.event] = most
    return sum(one for one, _ in by_label.values()), sum(one for _, one in by_label.values())


def responses_csv(models: Iterable[ResponsesModel]) -> str:
    """Return every number of the curves as a table of a bundle; empty without curves.

    A line is a point of a mean curve (``mean``, ``low``, ``high``, ``n`` at a time), a figure of
    somebody's curve, or an exact ``p``.
    """
    rows = [row for model in models for row in _csv_rows(model)]
    heads = ("vital", "event", "participant", "name", "at_s", "value")
    return table_text(heads, rows) if rows else ""


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
        title=_say("title", vital, model.simulated),
        sentence=caption,
        figure={
            "data": [trace for one in own for trace in _traces(one, labels)],
            "layout": _layout(own[0]),
        },
        columns=_MACROS.sentences("words", "chart_heads", own),
        rows=tuple(
            (number(at), *(_cell(one, place) for one in own))
            for place, at in enumerate(own[0].at_s)
        ),
        height="large",
        axes=("", _say("change", vital)),
        caption=caption,
    )


def _caption(model: ResponsesModel, own: Sequence[ResponseModel]) -> str:
    """Say what lines and bands of a vital are, where its mean curves peak, and what is tested."""
    tested = [one for one in model.tests if one.p is not None]
    of_vital = [one for one in tested if one.vital is own[0].vital]
    return _say("caption", model, _kind(model), own, of_vital, len(tested))


def _kind(model: ResponsesModel) -> str:
    return translate(EVENT_KINDS[model.question.kind])


def _session_figure(model: ResponsesModel, vital: Measure, labels: Sequence[str]) -> SessionFigure:
    own = [one for one in model.curves if one.vital is vital]
    curves = [
        Curve(
            f"{state_name(one.event)}, {_say('events', one.events)}",
            f"--vital-{_colour(one.event, labels)}",
            one.mean,
        )
        for one in own
    ]
    return SessionFigure(
        id=f"session-{vital.value.replace('_', '-')}",
        title=_say("title", vital, model.simulated),
        up=_say("change", vital),
        caption=_say("caption_of_session", model, _kind(model)),
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
        return f"{value_of(mean, one.vital)}, n {one.n[place]}"
    ends = interval_text(low, high, decimals_of(one.vital))
    return f"{value_of(mean, one.vital)} ({ends}), n {one.n[place]}"


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
        "line": {"color": f"var({colour})", "width": 2.2, "dash": dash},
        "connectgaps": False,
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
            "title": {"text": _say("time")},
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
    decimals = decimals_of(vital)
    return FiguresTable(
        title=vital_label(vital),
        heads=_MACROS.sentences("words", "figure_heads", unit_of(vital)),
        rows=tuple(
            (
                state_name(one.event),
                thousands(len(one.people)),
                thousands(one.events),
                *(
                    figure_text(figure, len(one.people), digits)
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
        title=_say("title_by_person", vital),
        note=_say("people_axes", vital, low, high, at_s),
        every=tuple(
            CurvePanel(
                participant=code,
                sentence="; ".join(
                    _say("person", one, person) for one, person in curves if person is not None
                ),
                lines=tuple(
                    CurveLine(
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


def _strokes(points: Sequence[str | None]) -> tuple[str, ...]:
    """Return the points of each part without a gap."""
    parts: list[list[str]] = [[]]
    for point in points:
        if point is None:
            parts.append([])
        else:
            parts[-1].append(point)
    return tuple(" ".join(part) for part in parts if part)
