"""Words and picture for an association beside that with others at the same stimuli."""

from __future__ import annotations

import csv
import io

from dashboard.analysis.conclusions import shows
from dashboard.charts.chart import Chart
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, interval_text, number, p_equals, thousands
from dashboard.languages.names import people, vital_in_text, vital_label
from dashboard.questions.coupling.answer import (
    LEAST_PAIRS,
    POSE,
    CouplingModel,
    Disturbance,
    DisturbanceModel,
    LagModel,
    NotTested,
)
from dashboard.statistics import MINIMUM
from edge_agent.core.measures import ExpressionKind

UNWATCHED = (22, 51, 77)
"""Percent of simulated studies (``python -m benchmarks coupling``) of 6, 12 and 20 people in which
an association is told that does not exist, where three in ten did not follow the stimuli.
"""
_OF_PERSON = ("sessions", "pairs", "r", "others", "r_others", "difference")
_OF_STUDY = (
    *("sessions", "without_times", "step_s", "stimuli", "pairs", "repeated_r"),
    *("r", "low", "high", "r_others", "difference", "difference_low", "difference_high"),
    *("t", "df", "p"),
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
    elif model.question.lags and model.people:
        sentences.append(
            gettext("Nobody has {least} pairs at each of the lags that are asked for.").format(
                least=LEAST_PAIRS
            )
        )
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
    if model.p is None:
        return _refusal(model).format(**names, least=MINIMUM, described=_description(model))
    if not model.shown:
        text = gettext(
            "{measure} and {vital} {lag}: no association beyond that with others at the same "
            "stimuli is shown. {numbers}."
        )
    elif (model.difference or 0.0) > 0:
        text = gettext(
            "{measure} and {vital} {lag} go together more than with others at the same stimuli: "
            "{numbers}. {instead}"
        )
    else:
        text = gettext(
            "{measure} and {vital} {lag} go together less, or more in opposite directions, than "
            "with others at the same stimuli: {numbers}. {instead}"
        )
    instead = gettext(
        "This may still come of people who followed the stimuli beside people who did not, or of a "
        "movement that nobody recorded."
    )
    numbers = _numbers(model)
    if not model.shown:
        numbers = numbers[0].upper() + numbers[1:]
    return text.format(**names, numbers=numbers, instead=instead)


def _numbers(model: CouplingModel) -> str:
    return gettext(
        "mean r = {r} with their own {vital}, {r_others} with that of others; difference of "
        "Fisher’s z = {difference} (95 % CI {interval}), t({df}) = {t}, p {p}, {people}"
    ).format(
        vital=vital_in_text(model.question.vital),
        r=number(model.r or 0.0, 2),
        r_others=number(model.r_others or 0.0, 2),
        difference=number(model.difference or 0.0, 2),
        interval=interval_text(model.difference_low or 0.0, model.difference_high or 0.0, 2),
        df=model.df,
        t=number(model.t or 0.0, 2),
        p=p_equals(1.0 if model.p is None else model.p),
        people=people(len(model.people)),
    )


def _description(model: CouplingModel) -> str:
    """Return what is said of an association that is not tested."""
    r = number(model.r or 0.0, 2)
    if model.r_others is None:
        return gettext("mean r = {r}, {people}").format(r=r, people=people(len(model.people)))
    return gettext("mean r = {r}, {r_others} with others at the same stimuli, {people}").format(
        r=r, r_others=number(model.r_others, 2), people=people(len(model.people))
    )


def _refusal(model: CouplingModel) -> str:
    match model.refused:
        case NotTested.TOO_FEW:
            return gettext(
                "{measure} and {vital} {lag}: {people}. A test needs {least} people at the least."
            )
        case NotTested.NO_VARIATION:
            return gettext(
                "{measure} and {vital} {lag}: everybody differs from the others by the same "
                "correlation."
            )
        case NotTested.NO_OTHERS:
            return gettext(
                "{measure} and {vital} {lag}: {described}. This is described and not tested: fewer "
                "than {least} people were at stimuli that others were at, too, so that whatever "
                "moves everybody would pass for an association."
            )
        case NotTested.MOVEMENT:
            return " ".join(
                [
                    gettext(
                        "{measure} and {vital} {lag}: {described}. This is described and not "
                        "tested:"
                    ),
                    *(_disturbance(one) for one in model.disturbances if one.explains),
                ]
            )
        case _:
            return gettext(
                "{measure} and {vital} {lag}: no session has both for half a minute or more."
            )


def _disturbance(one: DisturbanceModel) -> str:
    names = {
        Disturbance.HEAD_MOVEMENT: gettext("how fast the head moved"),
        Disturbance.HEAD_POSE: gettext("how far the head was from its usual pose"),
        Disturbance.DOUBTFUL_READINGS: gettext("the time around readings in doubt"),
    }
    return gettext(
        "{name} went with the face (z = {face}) and with the sensor (z = {vital}) more than with "
        "others’, which explains such an association."
    ).format(name=names[one.kind], face=number(one.face, 2), vital=number(one.vital, 2))


def _lags(model: CouplingModel) -> str:
    names = {"first": number(model.lags[0].lag_s, 0), "last": number(model.lags[-1].lag_s, 0)}
    least = min((one.p for one in model.lags if one.p is not None), default=None)
    if least is None:
        best = max(model.lags, key=lambda one: abs(one.r))
        text = gettext(
            "Of the lags from {first} to {last} s the mean r farthest from 0 is {r}, at {lag} s."
        ).format(**names, r=number(best.r, 2), lag=number(best.lag_s, 0))
        if model.refused is None:
            return " ".join([text, gettext("It is not tested: that needs 6 people.")])
        return " ".join([text, gettext("It is not tested.")])
    best = max(model.lags, key=lambda one: abs(one.difference or 0.0))
    text = gettext(
        "Of the lags from {first} to {last} s the mean z farthest from that with others differs by "
        "{difference}, at {lag} s."
    ).format(**names, difference=number(best.difference or 0.0, 2), lag=number(best.lag_s, 0))
    if shows(least):
        answer = gettext(
            "More than with others at the same stimuli is shown, p {p}, adjusted for trying all "
            "these lags"
        )
    else:
        answer = gettext(
            "Nothing beyond others at the same stimuli is shown, p {p}, adjusted for trying all "
            "these lags"
        )
    how = gettext("(permutation test, {n} sign flips of whole people, {people}).").format(
        n=thousands(model.flips or 0), people=people(model.lags_people)
    )
    return f"{text} {answer.format(p=p_equals(least))} {how}"


def _notes(model: CouplingModel) -> list[str]:
    notes = [
        gettext(
            "An association is no cause. What all people share, such as the course of a film, is "
            "in the comparison with others, too. What is not shared may still move both: a "
            "movement, or that some people followed the stimuli and others did not. With three in "
            "ten who did not, an association that does not exist is shown in {few}, {some} and "
            "{many} % of simulated studies of 6, 12 and 20 people."
        ).format(few=UNWATCHED[0], some=UNWATCHED[1], many=UNWATCHED[2]),
        gettext(
            "The test has one value a person, because values that follow one another are no "
            "independent observations: Fisher’s z of the own correlation less the mean of those "
            "with other people at the same stimuli. Linear drifts of a stimulus are taken out."
        ),
        _about_movement(model),
        gettext(
            "Declare measure, vital and lag before you look. This test stands beside the "
            "analysis and belongs to none of its families."
        ),
    ]
    if model.left_out:
        notes.append(
            ngettext(
                "{n} person is left out: too few pairs, a measure that never varied, or nobody "
                "else at the same stimuli.",
                "{n} people are left out: too few pairs, a measure that never varied, or nobody "
                "else at the same stimuli.",
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


def _about_movement(model: CouplingModel) -> str:
    kinds = {one.kind for one in model.disturbances}
    if model.question.measure in POSE:
        return gettext("The measure is a movement of the head itself.")
    if kinds & {Disturbance.HEAD_MOVEMENT, Disturbance.HEAD_POSE}:
        return gettext(
            "Movements of the head were recorded. Where they go with both, nothing is tested; what "
            "else moved the sensor, such as a hand, is not known."
        )
    return gettext(
        "No movement of the head was recorded with these values: one that disturbs face and sensor "
        "together passes for an association."
    )


def coupling_csv(model: CouplingModel) -> str:
    """Return a tested association as a table of a bundle; empty where nobody has both measures.

    A line is a figure of one participant (such as ``pairs`` and ``r``, or ``left_out``), or of the
    whole study: sessions looked at, people, pairs, and the test.
    """
    if not (model.people or model.left_out):
        return ""
    rows: list[tuple[str, str, float]] = []
    for person in model.people:
        values = ((name, getattr(person, name)) for name in _OF_PERSON)
        rows += ((person.participant, name, value) for name, value in values if value is not None)
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
    """Draw the mean z less that with others by lag, or the mean r where there are no others;
    ``None`` where no lags were asked for.
    """
    if not model.lags:
        return None
    if model.stimuli:
        title, axis = (
            gettext("{measure} and {vital} beside others’, by lag"),
            gettext("Difference of z"),
        )
    else:
        title, axis = gettext("{measure} and {vital}: mean r by lag"), gettext("Mean r")
    title = title.format(
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
                    "y": [
                        one.r if one.difference is None else one.difference for one in model.lags
                    ],
                    "line": {"color": "var(--accent)", "width": 2.2},
                    "hovertemplate": "%{x} s: %{y:.2f}<extra></extra>",
                },
            ],
            "layout": {
                "showlegend": False,
                "margin": {"l": 44, "r": 14, "t": 8, "b": 44},
                "xaxis": _axis(gettext("Lag behind the face (s)")),
                "yaxis": {**_axis(axis), "automargin": True, "nticks": 6, "rangemode": "tozero"},
            },
        },
        columns=(
            gettext("lag, s"),
            gettext("mean r"),
            gettext("with others"),
            gettext("difference of z"),
            gettext("p, adjusted"),
        ),
        rows=tuple(_row(one) for one in model.lags),
        caption=" ".join([*_what(model), _lags(model)]),
    )


def _row(one: LagModel) -> tuple[str, ...]:
    compared = (one.r_others, one.difference)
    return (
        number(one.lag_s, 0),
        number(one.r, 2),
        *("–" if value is None else number(value, 2) for value in compared),
        "–" if one.p is None else p_equals(one.p).removeprefix("= "),
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
    if model.stimuli:
        line = gettext(
            "Line: by how much more {measure} and {vital} go together in each of {people} than "
            "with other people’s {vital} at the same stimuli, second by second, as the mean "
            "difference of Fisher’s z (linear drifts of a stimulus are taken out). Below 0: "
            "less, or more in opposite directions. Right of 0 s {vital} follows the face, left of "
            "it {vital} comes first."
        )
    else:
        line = gettext(
            "Line: how {measure} and {vital} go together in each of {people} second by second, as "
            "the mean of their correlations (by Fisher’s z; linear drifts of a session are taken "
            "out); whatever moves everybody is in it. Negative r: {vital} is lower where {measure} "
            "is higher. Right of 0 s {vital} follows the face, left of it {vital} comes first."
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
        (one.lag_s, one.difference_low, one.difference_high)
        for one in model.lags
        if one.difference_low is not None and one.difference_high is not None
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
