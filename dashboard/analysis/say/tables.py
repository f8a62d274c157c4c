"""Tables.

The table of tests as people read it: every number of a comparison as text, for page and
terminal. Pure.

What an analysis adds to a bundle beside its rows: what only the dashboard can work out, and the
scripts of the bundle use. Pure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dashboard.analysis.request import HEART_NAMES, Outcome
from dashboard.analysis.results import (
    Analysis,
    AnalysisModel,
    ComparisonModel,
    IntervalModel,
    PeriodModel,
    TestGroup,
    TestRow,
)
from dashboard.analysis.say.models import factor_text
from dashboard.analysis.say.numbers import (
    ALPHA,
    df_text,
    interval_text,
    number,
    p_text,
    unit_of,
    vital_name,
)
from dashboard.analysis.say.people import flow_csv, flow_model
from dashboard.languages.current import pgettext
from dashboard.languages.figures import thousands
from dashboard.languages.names import state_name


def groups_of(response: AnalysisModel) -> tuple[TestGroup, ...]:
    """Write the family of tests, one group for each vital."""
    kinds = dict.fromkeys(test.vital for test in response.comparisons)
    periods = {(one.vital, one.first, one.second): one for one in response.periods}
    return tuple(
        TestGroup(
            f"{vital_name(kind)}, {unit_of(kind)}",
            tuple(
                _with_model(
                    _with_headline(
                        row_of(test), test, periods.get((test.vital, test.first, test.second))
                    ),
                    test,
                    response.main == "mixed_model",
                )
                for test in response.comparisons
                if test.vital is kind
            ),
        )
        for kind in kinds
    )


def row_of(test: ComparisonModel) -> TestRow:
    """Write one comparison."""
    return TestRow(
        comparison=f"{state_name(test.first)} − {state_name(test.second)}",
        test=_test_name(test),
        n=_n(test),
        left_out=str(test.left_out or ""),
        difference=_number(test.difference, 1),
        interval=_interval(test.interval, 1),
        t=_number(test.t, 2),
        df="" if test.df is None else df_text(test.df),
        p=_p(test.p),
        adjusted_p=_p(test.adjusted_p),
        g=_number(test.g, 2),
        g_interval=_interval(test.g_interval, 2),
        shapiro=", ".join(_p(shapiro.p) for shapiro in test.shapiro),
        rank="" if test.rank is None else _p(test.rank.p),
        adjusted_rank=_p(test.rank_adjusted_p),
        rank_biserial="" if test.rank is None else _number(test.rank.rank_biserial, 2),
        equivalence="" if test.equivalence is None else _p(test.equivalence.p),
        adjusted_equivalence=_p(test.equivalence_adjusted_p),
        needed=""
        if test.needed_in_family is None
        else _needed(test.needed_in_family.n, in_groups=test.method == "welch"),
        is_shown=test.adjusted_p is not None and test.adjusted_p < ALPHA,
        sentence=test.sentence,
    )


def _with_headline(row: TestRow, test: ComparisonModel, period: PeriodModel | None) -> TestRow:
    """Add what is told first: the t-test, or the estimate at equal times in the session."""
    if period is None or not test.at_equal_times:
        return replace(
            row,
            main_difference=row.difference,
            main_interval=row.interval,
            main_sentence=row.sentence,
            main_is_shown=row.is_shown,
            main_sentence_is_tested=test.adjusted_p is not None,
        )
    return replace(
        row,
        main_difference=_number(period.difference, 1),
        main_interval=_interval(period.interval, 1),
        main_sentence=row.sentence,
        main_is_shown=period.adjusted_p is not None and period.adjusted_p < ALPHA,
        main_sentence_is_tested=True,
    )


def _with_model(row: TestRow, test: ComparisonModel, is_main: bool) -> TestRow:
    """Add what the mixed model and the Bayes factor say, where the model is the main analysis as
    the headline.
    """
    factor = test.bayes_factor
    by_factor = ""
    if factor is not None:
        by_factor = factor_text(factor.for_difference or float("inf"))
    row = replace(row, bayes_factor=by_factor)
    model = test.by_model
    if model is None:
        return row
    row = replace(
        row,
        model_difference=number(model.difference),
        model_interval=_interval(model.interval, 1),
        model_df=df_text(round(model.df, 1)),
        model_adjusted_p=p_text(model.adjusted_p),
        model_is_shown=model.adjusted_p < ALPHA,
        differs=model.differs,
    )
    if not is_main:
        return row
    return replace(
        row,
        main_difference=row.model_difference,
        main_interval=row.model_interval,
        main_sentence=model.sentence,
        main_is_shown=row.model_is_shown,
        main_sentence_is_tested=True,
    )


def _test_name(test: ComparisonModel) -> str:
    match test.method:
        case "paired":
            return pgettext("t-test", "paired")
        case "welch":
            return "Welch"
        case _:
            return pgettext("t-test", "none")


def _n(test: ComparisonModel) -> str:
    if test.method == "welch":
        return f"{test.n_first} + {test.n_second}"
    return str(test.n_first if test.method else test.n_both)


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return ""
    return number(value, digits)


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return p_text(value)


def _needed(n: int, *, in_groups: bool) -> str:
    if in_groups:
        return f"{thousands(n)} + {thousands(n)}"
    return thousands(n)


def _interval(interval: IntervalModel | None, digits: int) -> str:
    if interval is None:
        return ""
    return interval_text(interval.low, interval.high, digits)


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
