"""Words for an association within people, and the picture of its lags."""

from __future__ import annotations

import csv
import io

from dashboard.analysis.conclusions import shows
from dashboard.analysis.coupling_results import CouplingModel, NotTested
from dashboard.analysis.rendering.numbers import interval_text, number, p_equals, people
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import vital_in_text, vital_label
from dashboard.statistics.samples import MINIMUM
from edge_agent.core.measures import ExpressionKind

_OF_PERSON = ("sessions", "pairs", "r")
_OF_STUDY = (
    *("sessions", "without_times", "step_s", "pairs", "repeated_r"),
    *("r", "low", "high", "t", "df", "p"),
)


def put_into_words(model: CouplingModel) -> CouplingModel:
    """Return an answer with its sentences, in the language in use."""
    sentences = [_answer(model)]
    if model.repeated_r is not None:
        sentences.append(
            gettext(
                "Repeated-measures correlation over {pairs} pairs of {people}: r = {r}."
            ).format(
                pairs=thousands(model.pairs),
                people=people(len(model.people)),
                r=number(model.repeated_r, 2),
            )
        )
    if model.lags:
        sentences.append(_lags(model))
    return model.model_copy(update={"sentences": tuple(sentences), "notes": tuple(_notes(model))})


def _names(model: CouplingModel) -> dict[str, str]:
    return {
        "measure": vital_label(model.question.measure),
        "vital": vital_in_text(model.question.vital),
        "lag": _lag_text(model.lag_s),
        "people": people(len(model.people)),
    }


def _lag_text(lag_s: float) -> str:
    if lag_s == 0:
        return gettext("at the same time")
    text = gettext("{n} s before it") if lag_s < 0 else gettext("{n} s after it")
    return text.format(n=general(abs(lag_s)))


def _answer(model: CouplingModel) -> str:
    names = _names(model)
    if model.p is None or model.t is None or model.low is None or model.high is None:
        return _refusal(model).format(**names, least=MINIMUM)
    if model.shown:
        text = gettext("{measure} and {vital} {lag} go together within people: {numbers}.")
    else:
        text = gettext(
            "{measure} and {vital} {lag}: no association within people is shown. {numbers}."
        )
    numbers = gettext("mean r = {r} (95 % CI {interval}), t({df}) = {t}, p {p}, {people}").format(
        r=number(model.r or 0.0, 2),
        interval=interval_text(model.low, model.high, 2),
        df=model.df,
        t=number(model.t, 2),
        p=p_equals(model.p),
        people=names["people"],
    )
    if not model.shown:
        numbers = numbers[0].upper() + numbers[1:]
    return text.format(**names, numbers=numbers)


def _refusal(model: CouplingModel) -> str:
    match model.refused:
        case NotTested.TOO_FEW:
            return gettext(
                "{measure} and {vital} {lag}: {people}. A test needs {least} people at the least."
            )
        case NotTested.NO_VARIATION:
            return gettext("{measure} and {vital} {lag}: everybody has the same correlation.")
        case _:
            return gettext(
                "{measure} and {vital} {lag}: no session has both for half a minute or more."
            )


def _lags(model: CouplingModel) -> str:
    best = max(model.lags, key=lambda one: abs(one.r))
    start = gettext(
        "Of the lags from {first} to {last} s the mean r farthest from 0 is {r}, at {lag} s."
    )
    text = start.format(
        first=number(model.lags[0].lag_s, 0),
        last=number(model.lags[-1].lag_s, 0),
        r=number(best.r, 2),
        lag=number(best.lag_s, 0),
    )
    least = min((one.p for one in model.lags if one.p is not None), default=None)
    if least is None or model.flips is None:
        return " ".join([text, gettext("It is not tested: that needs 6 people.")])
    if shows(least):
        answer = gettext("An association is shown, p {p}, adjusted for trying all these lags")
    else:
        answer = gettext("No association is shown, p {p}, adjusted for trying all these lags")
    how = gettext("(permutation test, {n} sign flips of whole people, {people}).").format(
        n=thousands(model.flips), people=people(model.lags_people)
    )
    return f"{text} {answer.format(p=p_equals(least))} {how}"


def _notes(model: CouplingModel) -> list[str]:
    notes = [
        gettext(
            "An association within people is no cause: both can follow the same stimulus, a "
            "movement or the course of the session."
        ),
        gettext(
            "The test has one value a person, because values that follow one another are no "
            "independent observations. Linear drifts of a session are taken out."
        ),
        gettext(
            "Declare measure, vital and lag before you look. This test stands beside the "
            "analysis and belongs to none of its families."
        ),
    ]
    if model.left_out:
        notes.append(
            ngettext(
                "{n} person is left out: too few pairs, or a measure that never varied.",
                "{n} people are left out: too few pairs, or a measure that never varied.",
                len(model.left_out),
            ).format(n=len(model.left_out))
        )
    if model.without_times:
        notes.append(
            ngettext(
                "{n} session is left out because its times are made up.",
                "{n} sessions are left out because their times are made up.",
                model.without_times,
            ).format(n=model.without_times)
        )
    if model.simulated:
        notes.append(gettext("These values are simulated."))
    return notes


def coupling_csv(model: CouplingModel) -> str:
    """Return a tested association as a table of a bundle; empty where nobody has both measures.

    A line is a figure of one participant (``sessions``, ``pairs``, ``r``, or ``left_out``), or of
    the whole study: sessions looked at, people, pairs, and the test.
    """
    if not (model.people or model.left_out):
        return ""
    rows: list[tuple[str, str, float]] = []
    for person in model.people:
        rows += ((person.participant, name, getattr(person, name)) for name in _OF_PERSON)
    rows += ((code, "left_out", 1) for code in model.left_out)
    whole = {"people": len(model.people)} | {name: getattr(model, name) for name in _OF_STUDY}
    rows += (("", name, value) for name, value in whole.items() if value is not None)
    of = (model.question.measure.value, model.question.vital.value, model.lag_s)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("measure", "vital", "lag_s", "participant", "name", "value"))
    writer.writerows((*of, *row) for row in rows)
    return file.getvalue()


def _axis(title: str) -> dict[str, object]:
    return {
        "title": {"text": title},
        "zeroline": True,
        "zerolinecolor": "var(--chart-line)",
        "gridcolor": "var(--chart-grid)",
        "linecolor": "var(--chart-line)",
        "fixedrange": True,
    }


def lags_chart(model: CouplingModel) -> Chart | None:
    """Draw the mean r by lag; ``None`` where no lags were asked for."""
    if not model.lags:
        return None
    title = gettext("{measure} and {vital}: mean r by lag").format(
        measure=vital_label(model.question.measure), vital=vital_in_text(model.question.vital)
    )
    lags = [one.lag_s for one in model.lags]
    return Chart(
        id="coupling-lags",
        title=gettext("{title} · simulated").format(title=title) if model.simulated else title,
        sentence=_lags(model),
        figure={
            "data": [
                *_band(model),
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": lags,
                    "y": [one.r for one in model.lags],
                    "line": {"color": "var(--accent)", "width": 2.2},
                    "hovertemplate": "%{x} s: r = %{y:.2f}<extra></extra>",
                },
            ],
            "layout": {
                "showlegend": False,
                "margin": {"l": 44, "r": 14, "t": 8, "b": 44},
                "xaxis": _axis(gettext("Lag behind the face (s)")),
                "yaxis": {
                    **_axis(gettext("Mean r within people")),
                    "automargin": True,
                    "nticks": 6,
                    "rangemode": "tozero",
                },
            },
        },
        columns=(gettext("lag, s"), gettext("mean r"), gettext("p, adjusted")),
        rows=tuple(
            (
                number(one.lag_s, 0),
                number(one.r, 2),
                "–" if one.p is None else p_equals(one.p).removeprefix("= "),
            )
            for one in model.lags
        ),
        caption=" ".join([*_what(model), _lags(model)]),
    )


def _what(model: CouplingModel) -> list[str]:
    """Say below the picture what its line and its band are, and what valence is."""
    parts = []
    if model.question.measure is ExpressionKind.VALENCE:
        parts.append(
            gettext(
                "Valence: how pleasant the face looks, from −1 (unpleasant) to 1 (pleasant), "
                "derived from the expressions that software recognised."
            )
        )
    names = _names(model)
    line = gettext(
        "Line: how {measure} and {vital} go together in each of {people} second by second, as the "
        "mean of their correlations (by Fisher’s z; linear drifts of a session are taken out). "
        "Negative r: {vital} is lower where {measure} is higher. Right of 0 s {vital} follows the "
        "face, left of it {vital} comes first."
    )
    measure = vital_in_text(model.question.measure)
    parts.append(
        line.format(measure=measure, vital=names["vital"], people=people(model.lags_people))
    )
    if _lag_intervals(model):
        parts.append(gettext("Band: 95 % CI of the mean at each lag by itself, no test."))
    return parts


def _lag_intervals(model: CouplingModel) -> list[tuple[float, float, float]]:
    """Return lag and ends of the interval, where there is one."""
    return [
        (one.lag_s, one.low, one.high)
        for one in model.lags
        if one.low is not None and one.high is not None
    ]


def _band(model: CouplingModel) -> list[dict[str, object]]:
    """Fill between the ends of the intervals."""
    known = _lag_intervals(model)
    if not known:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [*(lag for lag, _, _ in known), *(lag for lag, _, _ in reversed(known))],
            "y": [*(low for _, low, _ in known), *(high for _, _, high in reversed(known))],
            "fill": "toself",
            "fillcolor": "var(--vital-diastolic-band)",
            "line": {"width": 0},
            "hoverinfo": "skip",
        }
    ]
