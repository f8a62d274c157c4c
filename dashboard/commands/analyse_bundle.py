"""The tests of the Analysis page from the CSV files of a bundle: the engine of ``analysis.py``.

The states of the readings are those that stand in the files, so observed emotions are those of the
window and lags of the export. From the sums of readings on, everything is computed as on the page.
"""

from __future__ import annotations

import csv
import json
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource
from pydantic import ValidationError

from dashboard.analysis.analyse import judged
from dashboard.analysis.question import (
    AnalysisQuery,
    Correction,
    Design,
    HeartMeasure,
    Outcome,
    Sample,
    StateBy,
    chosen_sessions,
    describe,
)
from dashboard.analysis.readings.means import Place, Visits, less_baseline, session_means, visits_of
from dashboard.analysis.readings.states import ReadingGroup, StateReadings, of_one_source
from dashboard.analysis.rendering.models import factor_text
from dashboard.analysis.rendering.numbers import (
    df_text,
    how_many,
    interval_text,
    number,
    p_equals,
    p_text,
    unit_of,
)
from dashboard.analysis.tests.comparison import Comparison, StatesComparison, evidence_of
from dashboard.analysis.tests.family import compare_all_states, compare_visits
from dashboard.analysis.tests.heart import HeartValue, HeartValues, compare_heart
from dashboard.commands.analyse import analyse_command, question_of
from dashboard.commands.exit_codes import run_command
from dashboard.languages.names import vital_label
from dashboard.statistics.distributions import benjamini_hochberg, holm, within_families
from dashboard.statistics.planning import RequiredSample, first_step, still_needed
from dashboard.statistics.t_tests import BayesFactor, Bounds, Equivalence, Method, equivalence
from edge_agent import __version__
from edge_agent.core.errors import DataFileError, StatisticsError
from edge_agent.core.measures import MovementKind, measure_of
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, Purpose, Session
from edge_agent.store.read.base import flags_of
from edge_agent.store.read.stimuli import FACE

_COLUMNS: dict[str, tuple[str, ...]] = {
    "session": ("session", "participant", "purpose", "start_ms", "simulated"),
    "exclusion": ("session", "start_at", "start_ms", "end_at", "end_ms", "reason"),
    "marker": ("session", "at_ms", "kind", "label"),
    "self_report": ("session", "at_ms", "scale", "value"),
    "attenuation": ("first", "second", "factor"),
    "baseline": ("session", "kind", "source", "mean"),
    "heart_measure": ("measure", "title", "participant", "session", "state", "value"),
    "vital": (
        *("session", "at_ms", "value", "kind", "participant"),
        *("condition", "observed", "flags", "source"),
    ),
    "movement": (
        *("session", "at_ms", "participant", "condition", "is_primary", "simulated"),
        "source",
        *MovementKind,
    ),
}
_HEADS = (
    *("comparison", "test", "n", "left out", "difference", "95 % CI", "t", "df", "p", "adj. p"),
    *("g", "95 % CI of g", "Shapiro p", "rank p", "adj. rank p", "equiv. p", "adj. equiv. p"),
    *("needed", "BF10"),
)
_CURE = "Unpack the whole zip again; a spreadsheet that saved the file may have changed it."
_BESIDE = (
    "People have several sessions or lack a state: the page's main analysis may be the mixed "
    "model. Below are the t-tests beside it."
)
_SHARED = frozenset(
    {
        *("state", "sample", "session", "vital", "states", "outcome", "design", "correction"),
        *("bound_heart_rate", "bound_pressure", "settling_heart_rate", "settling_pressure"),
        *("settling_other", "count_flagged", "prefer_source", "family", "leave_out_flagged"),
        "estimated",
    }
)
"""The options that are those of ``affect-edge analyse``."""


# --- Reading --------------------------------------------------------------------------------------


def _whole(text: str) -> int:
    """Read a whole number; 0 where there is none, as in a reading outside of every session."""
    return int(text or 0)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _told(text: str) -> float | None:
    """Read a movement; ``None`` where the program that read the face does not tell it."""
    return _finite(text) if text else None


_NUMBERS: dict[str, Callable[[str], float | None]] = {
    **dict.fromkeys(("session", "at_ms", "start_ms", "end_ms"), _whole),
    **dict.fromkeys(("factor", "mean"), _finite),
    **dict.fromkeys(MovementKind, _told),
}


def _rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, with their numbers read.

    Raises:
        DataFileError: it is not there, or is damaged.
    """
    path = folder / f"{name}.csv"
    numbers = {c: _NUMBERS[c] for c in _COLUMNS[name] if c in _NUMBERS}
    if name in {"vital", "heart_measure"}:
        numbers["value"] = _finite
    if not path.exists():
        raise DataFileError(
            f"{path}: no such file. Unpack the whole zip, then run the script in its folder."
        )
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            heads = reader.fieldnames or ()
            if missing := [column for column in _COLUMNS[name] if column not in heads]:
                raise ValueError(f"there is no column {', '.join(missing)}")
            row: dict[Any, Any]
            for row in reader:
                # ``DictReader`` puts cells too many under ``None``,
                # and ``None`` for those that lack.
                if None in row or None in row.values():
                    raise ValueError(f"there are not {len(heads)} cells")
                for column, read in numbers.items():
                    try:
                        row[column] = read(row[column])
                    except ValueError:
                        text = f"{column} is {row[column]!r}, which is no number"
                        raise ValueError(text) from None
                yield row
        except (ValueError, csv.Error) as error:
            raise DataFileError(f"{path}, line {reader.line_num}: {error}. {_CURE}") from error


class _Study:
    """The sessions of a bundle, and their stimuli as (start, emotion reported of it)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sessions = {
            row["session"]: Session(
                row["session"],
                row["participant"],
                Purpose(row["purpose"]),
                "",
                row["start_ms"],
                None,
                row["simulated"] == "1",
            )
            for row in _rows(folder, "session")
        }
        self._excluded = list(_rows(folder, "exclusion"))
        self._stretches: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for row in self._excluded:
            number = self._known(row)
            if row["start_at"]:
                self._stretches[number].append((row["start_ms"], row["end_ms"]))
        self._stimuli: dict[int, list[tuple[int, str]]] = {number: [] for number in self.sessions}
        begun = MarkerKind.STIMULUS_START
        starts = [row for row in _rows(folder, "marker") if row["kind"] == begun]
        self.labels = sorted({row["label"] for row in starts})
        for row in starts:
            self._of(row).append((row["at_ms"], ""))
        for stimuli in self._stimuli.values():
            stimuli.sort()
        for row in _rows(folder, "self_report"):
            stimuli = self._of(row)
            # Sorts after every label, so a stimulus of the same millisecond counts as before it.
            place = bisect_right(stimuli, (row["at_ms"], "\uffff")) - 1
            if row["scale"] == "emotion" and place >= 0:  # the last before the next stimulus
                stimuli[place] = (stimuli[place][0], row["value"])

    def _of(self, row: Mapping[str, Any]) -> list[tuple[int, str]]:
        return self._stimuli[self._known(row)]

    def _known(self, row: Mapping[str, Any]) -> int:
        number: int = row["session"]
        if number not in self.sessions:
            raise DataFileError(
                f"session.csv: there is no session {number}, which others name. {_CURE}"
            )
        return number

    def excluded(self, query: AnalysisQuery, sample: Sample) -> list[str]:
        """Name what somebody left out of the sessions that were taken."""
        chosen = {session.id for session in self._chosen(query, sample)}
        lines = []
        for row in self._excluded:
            if row["session"] in chosen:
                stretch = f" from {row['start_at']} to {row['end_at']}" if row["start_at"] else ""
                lines.append(f"left out: session {row['session']}{stretch} ({row['reason']})")
        return lines

    def _chosen(self, query: AnalysisQuery, sample: Sample) -> tuple[Session, ...]:
        return chosen_sessions(tuple(self.sessions.values()), sample, query.session)

    def visits(self, query: AnalysisQuery, sample: Sample) -> tuple[Sample, Visits]:
        """Return which sessions were taken and their means: the measured ones, or the example
        while there are none.
        """
        if sample is not Sample.AUTO:
            return sample, self._visits(query, sample)
        measured = self._visits(query, Sample.MEASURED)
        if measured or not any(session.simulated for session in self.sessions.values()):
            return Sample.MEASURED, measured
        return Sample.EXAMPLE, self._visits(query, Sample.EXAMPLE)

    def _visits(self, query: AnalysisQuery, sample: Sample) -> Visits:
        whole = {row["session"] for row in self._excluded if not row["start_at"]}
        chosen = {session.id for session in self._chosen(query, sample)}
        groups = self._groups(query, chosen - whole)
        kept, _ = of_one_source(groups, query.prefer_source, query.states)
        readings = StateReadings(kept, states=query.states)
        if query.outcome is Outcome.CHANGE:
            rests: dict[Place, float] = {
                (row["session"], measure_of(row["kind"]), row["source"]): row["mean"]
                for row in _rows(self._folder, "baseline")
            }
            readings = less_baseline(readings, rests)
        return visits_of(session_means(readings.counting(query.counted), query.states))

    def _groups(self, query: AnalysisQuery, numbers: set[int]) -> list[ReadingGroup]:
        """Sum the readings of sessions that are of a state and have settled."""
        values: defaultdict[tuple[int, str, str, str, str], list[float]] = defaultdict(list)
        for row in self._readings(query):
            stretches = self._stretches.get(row["session"], ())
            if any(first <= row["at_ms"] < last for first, last in stretches):
                continue
            if row["session"] in numbers and row["kind"] in query.vital:
                state = self._state(row, query)
                if state is not None:
                    place = (row["session"], state, row["kind"], row["flags"], row["source"])
                    values[place].append(row["value"])
        return [
            ReadingGroup(
                participant=self.sessions[session].participant,
                session=session,
                state=state,
                kind=measure_of(kind),
                flags=flags_of(flags),
                simulated=self.sessions[session].simulated,
                n=len(own),
                total=math.fsum(own),
                largest=max(map(abs, own)),
                source=source,
            )
            # Sorted: the order of rows in a file must not decide the order of what is summed.
            for (session, state, kind, flags, source), own in sorted(values.items())
        ]

    def _readings(self, query: AnalysisQuery) -> Iterator[Mapping[str, Any]]:
        """Yield the readings of the vitals and movements that are asked for."""
        moved = [kind for kind in query.vital if isinstance(kind, MovementKind)]
        if len(moved) < len(query.vital):
            yield from _rows(self._folder, "vital")
        for row in _rows(self._folder, "movement") if moved else ():
            if row["is_primary"] == "1":
                flags = VitalFlag.SIMULATED.value if row["simulated"] == "1" else ""
                source = row["source"] or FACE
                for kind in moved:
                    if row[kind] is not None:
                        value = row[kind] * kind.points
                        yield row | {"kind": kind, "value": value, "flags": flags, "source": source}

    def _state(self, row: Mapping[str, Any], query: AnalysisQuery) -> str | None:
        """Return the state of a reading; ``None`` for none that is compared, or before the vital
        has settled.
        """
        if query.state is StateBy.OBSERVED:
            return query.state_of(row["observed"])
        stimuli = self._of(row)
        place = bisect_right(stimuli, (row["at_ms"], "\uffff")) - 1
        label = row["condition"]
        if query.state is StateBy.REPORTED and label:
            label = stimuli[place][1]
        settling_ms = round(1000 * query.settling_s(measure_of(row["kind"])))
        if place >= 0 and row["at_ms"] < stimuli[place][0] + settling_ms:
            return None
        return query.state_of(label)


def _hearts(folder: Path) -> tuple[dict[HeartMeasure, str], tuple[HeartValue, ...]]:
    """Return title and values of the measures of the intervals between beats."""
    rows = list(_rows(folder, "heart_measure"))
    titles = {HeartMeasure(row["measure"]): row["title"] for row in rows}
    values = tuple(
        HeartValue(
            HeartMeasure(row["measure"]),
            *(row[name] for name in ("participant", "session", "state", "value")),
        )
        for row in rows
    )
    return titles, values


# --- Numbers --------------------------------------------------------------------------------------


class _Adjusted(NamedTuple):
    holm: float | None = None
    bh: float | None = None


_NOT_TESTED = _Adjusted()


@dataclass(slots=True)
class _Test:
    """A comparison of a vital or measure, with the equivalence tests of the declared bound and of
    the one that misread faces leave, and what its family makes of them.
    """

    of: str
    first: str
    second: str
    family: int
    comparison: Comparison
    evidence: BayesFactor | None = None
    declared: Equivalence | None = None
    strict: Equivalence | None = None
    needed: RequiredSample | None = None
    needed_in_family: RequiredSample | None = None
    rank: _Adjusted = _NOT_TESTED
    excluded: _Adjusted = _NOT_TESTED


def _vital_tests(visits: Visits, query: AnalysisQuery, folder: Path) -> list[_Test]:
    factors: dict[tuple[str, str], float] = {}
    if query.state is StateBy.OBSERVED and (folder / "attenuation.csv").exists():
        rows = _rows(folder, "attenuation")
        factors = {(row["first"], row["second"]): row["factor"] for row in rows}
    wanted = [(kind, *pair) for kind in query.vital for pair in query.pairs]
    tests = []
    for names, comparison in zip(wanted, compare_visits(visits, query), strict=True):
        one = judged(*names, comparison, query)
        test = _Test(*names, query.family_of(*names), comparison)
        test.declared = test.strict = one.equivalence
        test.needed = one.required_sample
        if comparison.tests is not None and comparison.method is not None:
            # Misread faces pull a difference in, and the bound with it.
            bound = query.bound(names[0]) * factors.get(names[1:], 1.0)
            test.strict = equivalence(
                comparison.first, comparison.second, comparison.method, Bounds(-bound, bound)
            )
        tests.append(test)
    return _in_families(tests)


def _heart_tests(
    titles: Iterable[HeartMeasure], values: tuple[HeartValue, ...], query: AnalysisQuery
) -> list[_Test]:
    compared = compare_heart(HeartValues(values, {name: {} for name in titles}), query)
    names = [(one.measure, one.first, one.second) for one in compared]
    return _in_families(
        [
            _Test(*name, query.family_of(*name), one.comparison)
            for name, one in zip(names, compared, strict=True)
        ]
    )


def _in_families(tests: list[_Test]) -> list[_Test]:
    """Add what the families make of rank and equivalence tests and of the people needed."""
    families = [test.family for test in tests]
    numbers = [test.comparison.tests for test in tests]
    ranks = [one.rank.p if one else None for one in numbers]
    excluded = [test.strict.p if test.strict else None for test in tests]
    sizes = Counter(test.family for test in tests if test.strict)
    columns = (
        within_families(method, p, families)
        for p in (ranks, excluded)
        for method in (holm, benjamini_hochberg)
    )
    for test, *adjusted in zip(tests, *columns, strict=True):
        test.rank = _Adjusted(*adjusted[:2])
        test.excluded = _Adjusted(*adjusted[2:])
        test.evidence = evidence_of(test.comparison)
        if test.strict is not None:
            c = test.comparison
            strict = test.strict
            with suppress(StatisticsError):  # no study could find so small a bound
                test.needed_in_family = still_needed(
                    c.first,
                    c.second,
                    strict.method,
                    strict.bounds.high,
                    alpha=first_step(sizes[test.family]),
                )
    return tests


_FIGURES = {
    "n_both": "comparison.n_both",
    "left_out": "comparison.left_out",
    "difference": "comparison.difference",
    "low": "comparison.tests.t.interval.low",
    "high": "comparison.tests.t.interval.high",
    "t": "comparison.tests.t.t",
    "df": "comparison.tests.t.df",
    "p": "comparison.tests.t.p",
    "holm_p": "comparison.tests.holm_p",
    "bh_p": "comparison.tests.bh_p",
    "g": "comparison.tests.effect.g",
    "g_low": "comparison.tests.effect.interval.low",
    "g_high": "comparison.tests.effect.interval.high",
    "rank": "comparison.tests.rank.p",
    "equivalence": "declared.p",
    "needed": "needed.size.n",
    "rank_holm_p": "rank.holm",
    "rank_bh_p": "rank.bh",
    "equivalence_holm_p": "excluded.holm",
    "equivalence_bh_p": "excluded.bh",
    "needed_in_family": "needed_in_family.size.n",
    "log_bf": "evidence.log_factor",
}
_STATES_FIGURES = {
    "n": "n",
    "f": "anova.f",
    "epsilon": "anova.epsilon",
    "p": "anova.corrected_p",
    "partial_eta_squared": "anova.partial_eta_squared",
    "generalized_eta_squared": "anova.generalized_eta_squared",
}
"""Column of the table for programs → path of its number in the result."""


def _figures(result: object, places: Mapping[str, str]) -> dict[str, Any]:
    """Return the numbers of a result by name; ``None`` where there is none."""
    return {name: reduce(_part, path.split("."), result) for name, path in places.items()}


def _part(value: object, name: str) -> Any:
    return None if value is None else getattr(value, name)


def _test_figures(test: _Test) -> dict[str, Any]:
    c = test.comparison
    normality = c.tests.normality if c.tests else ()
    return _figures(test, _FIGURES) | {
        "method": "Welch" if c.method is Method.WELCH else c.method,
        "n_first": len(c.first),
        "n_second": len(c.second),
        **{f"shapiro_{n}": w and w.p for n, w in enumerate(normality, 1)},
    }


def _states_figures(states: StatesComparison) -> dict[str, Any]:
    df = states.anova.corrected_df if states.anova else (None, None)
    return _figures(states, _STATES_FIGURES) | {"df_states": df[0], "df_error": df[1]}


# --- Writing --------------------------------------------------------------------------------------


def _cells(test: _Test, by: str) -> tuple[str, ...]:
    """Return a test as the cells of the page's table; empty where there is no number."""
    f = _test_figures(test)

    def written(name: str, write: Callable[[float], str]) -> str:
        return "" if f[name] is None else write(f[name])

    def between(low: str, high: str, digits: int) -> str:
        return "" if f[low] is None else interval_text(f[low], f[high], digits)

    in_groups = f["method"] == "Welch"
    needed = written("needed_in_family", "{:,}".format)
    shapiro = [f[name] for name in ("shapiro_1", "shapiro_2") if f.get(name) is not None]
    return (
        f"{test.first} − {test.second}",
        f["method"] or "none",
        f"{f['n_first']} + {f['n_second']}" if in_groups else str(f["n_first"] or f["n_both"]),
        str(f["left_out"] or ""),
        written("difference", number),
        between("low", "high", 1),
        written("t", lambda t: number(t, 2)),
        written("df", df_text),
        written("p", p_text),
        written(f"{by}_p", p_text),
        written("g", lambda g: number(g, 2)),
        between("g_low", "g_high", 2),
        ", ".join(map(p_text, shapiro)),
        written("rank", p_text),
        written(f"rank_{by}_p", p_text),
        written("equivalence", p_text),
        written(f"equivalence_{by}_p", p_text),
        f"{needed} + {needed}" if needed and in_groups else needed,
        # e¹⁰⁰ is far beyond what is written as a number, and cannot overflow.
        written("log_bf", lambda bf: factor_text(math.exp(min(bf, 100.0)))),
    )


def _print_table(
    tests: Sequence[_Test], groups: Iterable[tuple[str, str, str]], correction: Correction
) -> None:
    """Print the tests, for each vital or measure below its title, with a line after them."""
    by = "holm" if correction is Correction.HOLM else "bh"
    rows = [_HEADS, *(_cells(test, by) for test in tests)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heads, *lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    click.echo(heads)
    for of, title, after in groups:
        own = [line for line, test in zip(lines, tests, strict=True) if test.of == of]
        click.echo("\n".join(("", title, *own, *([after] if after else ()))))


def _adjusted_for(tests: Sequence[_Test], query: AnalysisQuery) -> str:
    """Say for how many tests p is adjusted, in each family where families are declared."""
    sizes = {test.family: 0 for test in tests} or {-1: 0}
    for test in tests:
        sizes[test.family] += test.comparison.tests is not None
    written = ", ".join(map(str, sizes.values()))
    how = f"within families of {written}" if query.family else f"for {written}"
    return f"p adjusted {how} test{'' if written == '1' else 's'} ({query.correction})"


def _calls_for_model(visits: Visits, tests: Iterable[_Test], query: AnalysisQuery) -> bool:
    """Tell whether the page may take the mixed model, which is not computed here."""
    methods = {test.comparison.method for test in tests if test.comparison.tests is not None}
    if query.design is not Design.AUTO or methods != {Method.PAIRED}:
        return False
    for people in visits.values():
        seen = {state for own in people.values() for one in own for state in one}
        if any(len(own) > 1 or len(own[0]) < len(seen) for own in people.values()):
            return True
    return False


def _states_line(f: Mapping[str, Any], states: int) -> str:
    """Say what the test over all states of a vital comes to; empty without numbers."""
    if f["p"] is None:
        return ""
    df = " and ".join(
        f"{d:.0f}" if d == round(d) else f"{d:.2f}"
        for d in (float(f"{f[name]:.12g}") for name in ("df_states", "df_error"))
    )
    every = "both" if states == 2 else f"all {how_many(states)}"
    return (
        f"{every} states: {f['n']} people, F = {number(f['f'], 2)} with {df} "
        f"degrees of freedom after Greenhouse and Geisser, p {p_equals(f['p'])}, generalized "
        f"η² = {number(f['generalized_eta_squared'], 2)}"
    )


def _nothing(study: _Study, query: AnalysisQuery) -> str:
    """Say that no reading is of a state, and which states could be asked for."""
    text = f"No reading counts in {', '.join(query.states)}."
    if query.state is StateBy.CONDITION and study.labels:
        text += f" Stimuli in marker.csv: {', '.join(study.labels)}. Name two with --states."
    return text


# --- The command ----------------------------------------------------------------------------------


def _exported(folder: Path) -> AnalysisQuery | None:
    """Return the question that went with the export; ``None`` without one.

    Raises:
        DataFileError: the file is damaged.
    """
    path = folder / "question.json"
    try:
        given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return AnalysisQuery.model_validate(given) if given else None
    except ValidationError as error:
        raise DataFileError(f"{path}: {' '.join(describe(error))} {_CURE}") from error
    except ValueError as error:
        raise DataFileError(f"{path}: {error}. {_CURE}") from error


def _asked(exported: AnalysisQuery, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a question, and those that were given in their place."""
    options = exported.model_dump() | given
    if "session" in given or "sample" in given:  # each of them replaces both
        return options | {"session": given.get("session", ()), "sample": given.get("sample")}
    selected = exported.sample is Sample.SELECTED
    return options | ({"sample": None} if selected else {"session": ()})


@click.command(
    params=[one for one in analyse_command.params if one.name in _SHARED],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--heart", is_flag=True, help="Test the measures of heart_measure.csv, too.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Every number with all its digits, for programs."
)
@click.option("--beside", type=click.Path(path_type=Path), hidden=True)
@click.pass_context
def analyse_bundle_command(
    ctx: click.Context,
    /,
    folder: Path | None,
    beside: Path | None,
    heart: bool,
    as_csv: bool,
    **options: Any,
) -> None:
    """Compute the tests of the dashboard's Analysis page from the CSV files of a bundle.

    An option that is not given is that of the bundle's question.json.
    """
    folder = folder or beside or Path()
    exported = _exported(folder)
    heart = heart or (exported is not None and (folder / "heart_measure.csv").exists())
    titles, values = _hearts(folder) if heart else ({}, ())
    if exported is not None:
        by_default = (ParameterSource.DEFAULT, None)
        given = {n: v for n, v in options.items() if ctx.get_parameter_source(n) not in by_default}
        options = _asked(exported, given)
    measures = tuple(titles) or options.pop("heart_measure", ())
    query = question_of({**options, "heart_measure": measures, "no_sensitivity": True})
    study = _Study(folder)
    sample, visits = study.visits(query, query.sample)
    tests = _vital_tests(visits, query, folder)
    hearts = _heart_tests(titles, values, query)
    states = {
        kind: _states_figures(compare_all_states(visits, kind, query.states))
        for kind in query.vital
    }
    # with --csv the output is a table and nothing else
    click.echo(f"Computed by affect-edge {__version__}.", err=as_csv)
    excluded = study.excluded(query, sample)
    if as_csv:
        click.echo("".join(f"{text}\n" for text in excluded), nl=False, err=True)
        click.echo("vital,comparison,name,value")
        results = [
            *((one.of, f"{one.first}-{one.second}", _test_figures(one)) for one in tests + hearts),
            *((kind, "all", figures) for kind, figures in states.items()),
        ]
        for of, comparison, figures in results:
            for name, value in figures.items():
                click.echo(f"{of},{comparison},{name},{'' if value is None else value}")
        return
    change = "; change from baseline" if query.outcome is Outcome.CHANGE else ""
    click.echo(
        f"States by {query.state}; sessions: {sample}{change}; {_adjusted_for(tests, query)}"
    )
    notes = [_BESIDE] if _calls_for_model(visits, tests, query) else []
    click.echo("".join(f"{text}\n" for text in (*excluded, *notes)), nl=False)
    groups = [
        (kind, f"{vital_label(kind)}, {unit_of(kind)}", _states_line(f, len(query.states)))
        for kind, f in states.items()
    ]
    _print_table(tests, groups, query.correction)
    if not visits:
        click.echo(f"\n{_nothing(study, query)}")
    if heart:
        click.echo(f"\nIntervals between beats; {_adjusted_for(hearts, query)}")
        _print_table(hearts, [(*one, "") for one in titles.items()], query.correction)


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code: 0 done, 1 failed, 2 wrong use."""
    return run_command(analyse_bundle_command, arguments, "analysis.py")
