"""Tables of an analysis as text: the tests for page and terminal, and what a bundle gets beside
its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.inference.measures import MeasuredValue
from dashboard.analysis.query import MEASURE_NAMES, HeartMeasure, Outcome, SkinMeasure
from dashboard.analysis.rendering.numbers import factor_text, pair_text
from dashboard.analysis.results import (
    AnalysisModel,
    By,
    ComparisonModel,
    FlowModel,
    IntervalModel,
    NeededInFamilyModel,
    NeighboursModel,
    TestGroup,
    TestRow,
)
from dashboard.languages.current import pgettext
from dashboard.languages.figures import df_text, interval_text, number, p_text, thousands
from dashboard.languages.names import unit_of, vital_label
from edge_agent.core.csv_cells import Cell, table_text
from edge_agent.core.measures import Measure

_OF_MEASURE = ("measure", "title", "participant", "session", "state", "value", "minutes")
_FLOW = ("step", "vital", "first", "second", "state", "reason", "people", "sessions", "readings")

_NEIGHBOURS = (
    *("vital", "first", "second", "settling_s", "window_s", "lag_s", "source"),
    *("declared", "n_first", "n_second", "difference"),
)


def groups_of(response: AnalysisModel) -> tuple[TestGroup, ...]:
    """Write the family of tests, one group for each vital."""
    rows: dict[Measure, list[TestRow]] = {}
    for test in response.comparisons:
        rows.setdefault(test.vital, []).append(_row_of(test))
    return tuple(
        TestGroup(f"{vital_label(kind)}, {unit_of(kind)}", tuple(own)) for kind, own in rows.items()
    )


def _row_of(test: ComparisonModel) -> TestRow:
    """Write one comparison."""
    in_groups = test.method == "welch"
    rank = test.rank
    factor = test.bayes_factor
    model = test.by_model
    result = test.result
    return TestRow(
        comparison=pair_text(test.first, test.second),
        test=_test_name(test.method),
        n=_people(test.n_first or test.n_both, test.n_second, in_groups=in_groups),
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
        rank=_p(rank.p if rank else None),
        adjusted_rank=_p(test.rank_adjusted_p),
        rank_biserial=_number(rank.rank_biserial if rank else None, 2),
        equivalence=_p(test.equivalence.p if test.equivalence else None),
        adjusted_equivalence=_p(test.equivalence_adjusted_p),
        needed=_needed_text(test.needed_in_family, in_groups=in_groups),
        is_shown=test.t_test_shows,
        main_difference=_number(result.difference, 1),
        main_interval=_interval(result.interval, 1),
        main_n=_people(result.n_first, result.n_second, in_groups=result.by is By.WELCH),
        main_p=_p(result.adjusted_p),
        main_g=_number(result.g, 2),
        main_g_interval=_interval(result.g_interval, 2),
        main_claim=test.claim,
        main_sentence=test.sentence,
        main_is_shown=result.shows_difference,
        main_sentence_is_tested=result.by is not None,
        model_difference=_number(model.difference if model else None, 1),
        model_interval=_interval(model.interval if model else None, 1),
        model_df=df_text(round(model.df, 1)) if model else "",
        model_adjusted_p=_p(model.adjusted_p if model else None),
        model_is_shown=model is not None and model.shows_difference,
        differs=model is not None and model.differs,
        # The answer has ``None`` for an infinite factor, which JSON could not hold.
        bayes_factor=factor_text(factor.for_difference or math.inf) if factor else "",
    )


def _people(first: int, second: int, *, in_groups: bool) -> str:
    return f"{first} + {second}" if in_groups else str(first)


def _test_name(method: str | None) -> str:
    if method == "welch":
        return "Welch"
    return pgettext("t-test", "paired") if method else pgettext("t-test", "none")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else number(value, digits)


def _p(value: float | None) -> str:
    return "" if value is None else p_text(value)


def _needed_text(needed: NeededInFamilyModel | None, *, in_groups: bool) -> str:
    if needed is None:
        return ""
    n = thousands(needed.n)
    return f"{n} + {n}" if in_groups else n


def _interval(interval: IntervalModel | None, digits: int) -> str:
    return "" if interval is None else interval_text(interval.low, interval.high, digits)


Row = Sequence[Cell]


def bundle_tables(analysis: Analysis) -> dict[str, str]:
    """Return the text of each table by the name of its file; none that would be empty.

    ``flow.csv``: people and readings from consent to the tests. ``attenuation.csv``: by observed
    emotion, how much of a difference is left if faces are misread. ``baseline.csv``: means at rest,
    where a change is asked for. ``heart_measure.csv``: what the tests of the beats compare;
    ``skin_measure.csv``: what those of the responses of skin conductance compare.
    ``session_mean.csv``: the means that the mixed model and the tests of groups start from.
    """
    tables = {
        "attenuation.csv": _attenuations(analysis),
        "baseline.csv": _baselines(analysis),
        "heart_measure.csv": _heart_measures(analysis),
        "session_mean.csv": _means(analysis),
        "skin_measure.csv": _csv(_OF_MEASURE, _measures_of(analysis.skin_values)),
    }
    present = {name: text for name, text in tables.items() if text}
    if analysis.answer.flow is not None:
        present["flow.csv"] = flow_csv(analysis.answer.flow)
    return present


def neighbours_csv(compared: Iterable[NeighboursModel]) -> str:
    """Return ``neighbours.csv``: each comparison under choices that could have been declared."""
    rows = (
        (
            one.vital.value,
            one.first,
            one.second,
            _or_empty(choice.settling),
            _or_empty(choice.window),
            _or_empty(choice.lag),
            choice.source,
            int(choice.declared),
            choice.n_first,
            choice.n_second,
            _or_empty(choice.difference),
        )
        for one in compared
        for choice in one.choices
    )
    return _csv(_NEIGHBOURS, rows)


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _attenuations(analysis: Analysis) -> str:
    """Return the factors that the equivalence bounds of the page are multiplied by."""
    factors: dict[tuple[str, str], float] = {}
    for test in analysis.answer.comparisons:
        lost = test.attenuation_interval
        if lost is not None and lost.low > 0:
            factors[test.first, test.second] = lost.low
    return _csv(("first", "second", "factor"), ((*pair, low) for pair, low in factors.items()))


def _baselines(analysis: Analysis) -> str:
    if analysis.answer.question.outcome is not Outcome.CHANGE:
        return ""
    rows = (
        (session, kind.value, source, mean)
        for (session, kind, source), mean in sorted(analysis.baselines.items())
    )
    # Always written: an empty table says that a change was asked for and no session has a baseline.
    return _csv(("session", "kind", "source", "mean"), rows, always=True)


def _heart_measures(analysis: Analysis) -> str:
    values = analysis.heart_values
    rows = ((*row, *one.limits) for row, one in zip(_measures_of(values), values, strict=True))
    return _csv((*_OF_MEASURE, "low", "high"), rows)


def _measures_of(
    values: Iterable[MeasuredValue[HeartMeasure]] | Iterable[MeasuredValue[SkinMeasure]],
) -> Iterator[tuple[str | int | float, ...]]:
    return (
        (
            one.measure.value,
            MEASURE_NAMES[one.measure],
            one.participant,
            one.session,
            str(one.state),
            one.value,
            one.minutes,
        )
        for one in values
    )


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
            one.place or "",
        )
        for one in analysis.session_means
    )
    heads = ("kind", "participant", "session", "state", "minutes", "mean", "readings", "place")
    return _csv(heads, rows)


def _csv(heads: Sequence[str], rows: Iterable[Row], *, always: bool = False) -> str:
    """Return the table as text; empty without rows, unless its heads are wanted all the same."""
    every = list(rows)
    return table_text(heads, every) if every or always else ""


def flow_csv(flow: FlowModel) -> str:
    """Return the flow as CSV, a line for each step, each loss, each missing state and each test."""
    return table_text(_FLOW, _rows(flow))


def _rows(flow: FlowModel) -> Iterator[tuple[str | int | None, ...]]:
    for stage in flow.stages:
        for loss in stage.lost:
            reason = f"{loss.reason}:{loss.detail}" if loss.detail else loss.reason
            yield ("lost", "", "", "", loss.state, reason, loss.people, None, loss.readings)
        yield (stage.step, "", "", "", "", "", stage.people, stage.sessions, stage.readings)
    for left_out in flow.excluded:
        what = "session" if left_out.from_s is None else "stretch"
        yield ("excluded", "", "", "", "", f"{what}:{left_out.reason}", None, 1, None)
    for one in flow.missing:
        yield ("missing", one.vital, "", "", one.state, "", len(one.participants), None, None)
    for test in flow.tests:
        names = (test.vital, test.first, test.second, "")
        yield ("test", *names, "used", test.used, None, None)
        for reason in ("lacks_first", "lacks_second", "apart", "both"):
            if count := getattr(test, reason):
                yield ("test", *names, reason, count, None, None)
    for own in flow.groups:  # what an attribute says of people stays here: only how many
        names = (own.vital, "", "", "")
        yield ("group", *names, "used", sum(own.used.values()), None, None)
        for reason in ("no_attribute", "incomplete", "too_small"):
            if count := getattr(own, reason):
                yield ("group", *names, reason, count, None, None)
