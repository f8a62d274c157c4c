"""What an analysis adds to a bundle beside its rows: what only the dashboard can work out, and the
scripts of the bundle use. Pure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from dashboard.analysis.present.study.flow_text import flow_csv, flow_model
from dashboard.analysis.request import HEART_NAMES, Outcome
from dashboard.analysis.results import Analysis

Row = Sequence[str | int | float]


def bundle_tables(analysis: Analysis) -> dict[str, str]:
    """Return the text of each table by the name of its file; none that would be empty.

    ``flow.csv``: people and readings from consent to the tests. ``attenuation.csv``: by observed
    emotion, what misreading leaves of a difference at the worst. ``baseline.csv``: means at rest,
    where a change is asked for. ``heart_measure.csv``: what the tests of the beats compare.
    ``session_mean.csv``: the means that the mixed model and the tests of groups start from.
    """
    tables = {
        "attenuation.csv": _attenuations(analysis),
        "baseline.csv": _baselines(analysis),
        "heart_measure.csv": _heart(analysis),
        "session_mean.csv": _means(analysis),
    }
    present = {name: text for name, text in tables.items() if text}
    if analysis.flow is not None:
        flow = flow_model(analysis.flow, analysis.query, analysis.groups)
        present["flow.csv"] = flow_csv(flow)
    return present


def _attenuations(analysis: Analysis) -> str:
    """Return the factors that the equivalence bounds of the page are multiplied by."""
    factors: dict[tuple[str, str], float] = {}
    for test in analysis.family:
        lost = test.misreading.attenuation if test.misreading else None
        if lost is not None and lost.interval.low > 0:
            factors[str(test.first), str(test.second)] = lost.interval.low
    return _csv(("first", "second", "factor"), ((*pair, low) for pair, low in factors.items()))


def _baselines(analysis: Analysis) -> str:
    if analysis.query.outcome is not Outcome.CHANGE:
        return ""
    rows = (
        (session, kind.value, source, mean)
        for (session, kind, source), mean in sorted(analysis.baselines.items())
    )
    return _csv(("session", "kind", "source", "mean"), rows, always=True)


def _heart(analysis: Analysis) -> str:
    rows = (
        (
            one.measure.value,
            HEART_NAMES[one.measure],
            one.participant,
            one.session,
            str(one.state),
            one.value,
        )
        for one in analysis.heart_values
    )
    return _csv(("measure", "title", "participant", "session", "state", "value"), rows)


def _means(analysis: Analysis) -> str:
    """Return one line a person, session and state of each vital."""
    rows = (
        (
            one.kind.value,
            one.participant,
            one.session,
            str(one.state),
            one.minutes,
            one.mean,
            one.readings,
        )
        for one in analysis.session_means
    )
    heads = ("kind", "participant", "session", "state", "minutes", "mean", "readings")
    return _csv(heads, rows)


def _csv(heads: Sequence[str], rows: Iterable[Row], *, always: bool = False) -> str:
    """Return the table as text; empty without rows, unless its heads are wanted all the same."""
    every = list(rows)
    if not (every or always):
        return ""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(every)
    return out.getvalue()
