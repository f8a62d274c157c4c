"""Words and picture for an association beside that with others at the same stimuli."""

from __future__ import annotations

from pathlib import Path

from dashboard.analysis.rendering.numbers import macros_of
from dashboard.analysis.rendering.words import say
from dashboard.charts.chart import Chart
from dashboard.languages.figures import number, p_equals
from dashboard.questions.coupling.answer import LEAST_PAIRS, POSE, CouplingModel, LagModel
from dashboard.statistics import MINIMUM
from edge_agent.core.csv_cells import table_text

UNWATCHED = (22, 51, 77)
"""Percent of simulated studies (``python -m benchmarks coupling``) of 6, 12 and 20 people in which
an association that does not exist is reported where three in ten did not follow the stimuli.
"""
_MACROS = macros_of(Path(__file__).parent, MINIMUM=MINIMUM, say=say)
_OF_PERSON = ("sessions", "pairs", "r", "others", "r_others", "difference")
_OF_STUDY = (
    *("sessions", "without_times", "step_s", "stimuli", "pairs", "repeated_r"),
    *("r", "low", "high", "r_others", "difference", "difference_low", "difference_high"),
    *("t", "df", "p"),
)


def put_into_words(model: CouplingModel) -> CouplingModel:
    """Return an answer with its sentences, in the language in use."""
    beside = _MACROS.sentences("words", "beside", model, _say("lags", model), LEAST_PAIRS)
    is_pose = model.question.measure in POSE
    return model.model_copy(
        update={
            "sentences": (_say("answer", model), *beside),
            "notes": _MACROS.sentences("words", "notes", model, UNWATCHED, is_pose),
        }
    )


def _say(macro: str, *values: object) -> str:
    return _MACROS.say("words", macro, *values)


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
    heads = ("measure", "vital", "lag_s", "participant", "name", "value")
    return table_text(heads, ((*of, *row) for row in rows))


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
    across, upright = _MACROS.sentences("words", "axes", model)
    lags = [one.lag_s for one in model.lags]
    return Chart(
        id="coupling-lags",
        title=_say("title", model),
        sentence=_say("lags", model),
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
                },
            ],
            "layout": {
                "showlegend": False,
                "margin": {"l": 44, "r": 14, "t": 8, "b": 44},
                "xaxis": _axis(across),
                "yaxis": {**_axis(upright), "automargin": True, "nticks": 6, "rangemode": "tozero"},
            },
        },
        columns=_MACROS.sentences("words", "heads"),
        rows=tuple(_row(one) for one in model.lags),
        caption=f"{_say('caption', model, bool(_lag_intervals(model)))} {_say('lags', model)}",
    )


def _row(one: LagModel) -> tuple[str, ...]:
    compared = (one.r_others, one.difference)
    return (
        number(one.lag_s, 0),
        number(one.r, 2),
        *("–" if value is None else number(value, 2) for value in compared),
        "–" if one.p is None else p_equals(one.p).removeprefix("= "),
    )


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
