"""Differences of a comparison under the neighbouring choices that could have been declared: windows
and lags, or settling times, each with every source. They are described; no p.

Pure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dashboard.analysis.choices import MatchingChoice, SettlingChoice
from dashboard.analysis.inference.sensitivity import ChosenResult
from dashboard.analysis.query import AnalysisQuery, Outcome
from dashboard.analysis.readings.means import Place, less_baseline
from dashboard.analysis.readings.states import ReadingGroup, StateReadings, of_one_source
from dashboard.analysis.results import NeighbourModel, NeighboursModel
from edge_agent.core.measures import Measure

MOST_SOURCES = 4
"""Sources of a vital that are tried, those with most readings: with nine windows and lags at most
45 choices."""
_Setting = tuple[float | None, float | None, float | None]


def neighbours(
    query: AnalysisQuery,
    readings: Sequence[tuple[MatchingChoice | SettlingChoice, StateReadings]],
    baselines: Mapping[Place, float],
    decide: Callable[[StateReadings], Sequence[ChosenResult]],
    decided: Mapping[MatchingChoice | SettlingChoice, Sequence[ChosenResult]],
) -> tuple[NeighboursModel, ...]:
    """Return for each comparison its difference under each choice; without sentences.

    A researcher could have declared any of them (Steegen, Tuerlinckx, Gelman & Vanpaemel 2016,
    Perspectives on Psychological Science 11:702–712).

    Args:
        query: the question.
        readings: as they were read under each choice, not as changes; the first is the declared
            one.
        baselines: means at rest, where a change is asked for.
        decide: returns the result of each comparison, in the order of vitals and pairs.
        decided: these results of each choice with the sources as they are.
    """
    declared, declared_readings = readings[0]
    sources = _sources(declared_readings, query)
    cells: defaultdict[int, list[NeighbourModel]] = defaultdict(list)
    seen: set[tuple[int, str, _Setting]] = set()
    pairs = [(kind, *pair) for kind in query.vital for pair in query.pairs]
    for source in ("", *dict.fromkeys(name for own in sources.values() for name in own)):
        for choice, one in sorted(readings, key=lambda entry: _seconds(entry[0])):
            results = decided[choice]
            if source:
                chosen = _of_source(one, source, query)
                if query.outcome is Outcome.CHANGE:
                    chosen = less_baseline(chosen, baselines)
                results = decide(chosen)
            for place, ((kind, _, _), (result, _)) in enumerate(zip(pairs, results, strict=True)):
                setting = _setting(choice, kind)
                is_declared = setting == _setting(declared, kind)
                # A time of 0 stays 0: for this vital two choices may be the same. Others' times
                # differ between them, and with these what is decided.
                is_same = (place, source, setting) in seen or (is_declared and choice != declared)
                if is_same or (source and source not in sources[kind]):
                    continue
                seen.add((place, source, setting))
                settling, window, lag = setting
                cells[place].append(
                    NeighbourModel(
                        settling=settling,
                        window=window,
                        lag=lag,
                        source=source,
                        declared=is_declared and not source,
                        n_first=result.n_first,
                        n_second=result.n_second,
                        difference=result.difference,
                    )
                )
    return tuple(
        _model(kind, first, second, cells[place])
        for place, (kind, first, second) in enumerate(pairs)
    )


def _seconds(choice: MatchingChoice | SettlingChoice) -> tuple[float, ...]:
    """Return the key by which choices are sorted: their seconds."""
    if isinstance(choice, SettlingChoice):
        return tuple(seconds for _, seconds in choice.seconds)
    return choice.window_s, choice.lag_heart_rate_s, choice.lag_pressure_s


def _setting(choice: MatchingChoice | SettlingChoice, kind: Measure) -> _Setting:
    """Return settling time, window and lag of a choice as a vital has them, in seconds."""
    if isinstance(choice, SettlingChoice):
        return choice.settling_s(kind), None, None
    return None, choice.window_s, choice.lag_s(kind)


def _model(
    kind: Measure, first: str, second: str, cells: Sequence[NeighbourModel]
) -> NeighboursModel:
    differences = [cell.difference for cell in cells if cell.difference is not None]
    own = next(cell.difference for cell in cells if cell.declared)
    return NeighboursModel(
        vital=kind,
        first=first,
        second=second,
        computed=len(differences),
        low=min(differences, default=None),
        high=max(differences, default=None),
        same_sign=None if own is None else sum(own * one > 0 or own == one for one in differences),
        sentence="",
        choices=tuple(cells),
    )


def _groups(readings: StateReadings) -> tuple[ReadingGroup, ...]:
    """Return the readings of every source in the states that are compared."""
    return (*readings.in_states(), *readings.passed_over)


def _sources(readings: StateReadings, query: AnalysisQuery) -> dict[Measure, tuple[str, ...]]:
    """Return for each vital the sources that change what counts if they are preferred."""
    counts: defaultdict[Measure, Counter[str]] = defaultdict(Counter)
    for group in _groups(readings):
        if not group.doubts(query.counted):
            counts[group.kind][group.source] += group.n
    kept: defaultdict[tuple[Measure, str], list[ReadingGroup]] = defaultdict(list)
    for name in ("", *dict.fromkeys(name for own in counts.values() for name in own)):
        for group in _of_source(readings, name, query).groups:
            kept[group.kind, name].append(group)
    return {
        kind: tuple(
            name
            for name in sorted(counts[kind], key=lambda name: (-counts[kind][name], name))
            if kept[kind, name] != kept[kind, ""]
        )[:MOST_SOURCES]
        for kind in query.vital
    }


def _of_source(readings: StateReadings, source: str, query: AnalysisQuery) -> StateReadings:
    """Return the readings that count if a source is preferred; empty: as declared."""
    preferred = (source, *query.prefer_source) if source else query.prefer_source
    kept, _ = of_one_source(_groups(readings), preferred, query.states)
    return replace(readings, groups=kept, passed_over=())
