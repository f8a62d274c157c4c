"""``affect-edge analyse``: the tests of the analysis page in a terminal, or as JSON for
programs.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from dashboard.analysis.present.schemas import AnalysisModel, VariabilityModel
from dashboard.analysis.query import describe
from dashboard.analysis.request import DOUBTS, AnalysisQuery, Correction, Sample, StateBy
from dashboard.analysis.states import TESTED_STATES, Design
from dashboard.commands.exit_codes import run_command
from edge_agent.core.vitals import TESTED

if TYPE_CHECKING:
    from dashboard.analysis.present.table import TestRow
    from dashboard.web.settings import DashboardOptions

_WIDTH = 100
_COLUMNS = (
    ("comparison", "comparison"),
    ("test", "test"),
    ("n", "n"),
    ("difference", "difference"),
    ("interval", "95 % CI"),
    ("t", "t"),
    ("df", "df"),
    ("p", "p"),
    ("adjusted_p", "adj. p"),
    ("g", "g"),
    ("g_interval", "95 % CI"),
    ("shapiro", "Shapiro p"),
    ("rank", "rank p"),
    ("equivalence", "equiv. p"),
)
_DEFAULTS = AnalysisQuery()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration (TOML)."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the database; overrides the configuration.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, the response of /api/v1/analysis.",
)
@click.option(
    "--state",
    type=click.Choice([by.value for by in StateBy]),
    default=_DEFAULTS.state.value,
    show_default=True,
    help="State by stimulus condition, by the emotion observed before a reading, or by what the "
    "participant reported.",
)
@click.option(
    "--sample",
    type=click.Choice([sample.value for sample in Sample if sample is not Sample.SELECTED]),
    help="Sessions: measured, the simulated example, or auto (the example while nothing is "
    "measured).",
)
@click.option("--session", type=int, multiple=True, help="Only this session; can be repeated.")
@click.option(
    "--vital",
    multiple=True,
    type=click.Choice([kind.value for kind in TESTED]),
    help="Vital sign to test; can be repeated. Default: heart_rate, systolic, diastolic.",
)
@click.option(
    "--design",
    type=click.Choice([design.value for design in Design]),
    default=_DEFAULTS.design.value,
    show_default=True,
    help="Use people with both states, people with one, or choose by their number.",
)
@click.option(
    "--correction",
    type=click.Choice([correction.value for correction in Correction]),
    default=_DEFAULTS.correction.value,
    show_default=True,
    help="How p is adjusted for the number of tests.",
)
@click.option(
    "--bound-heart-rate",
    type=float,
    default=_DEFAULTS.bound_heart_rate,
    show_default=True,
    help="Differences below this count as none, in /min.",
)
@click.option(
    "--bound-pressure",
    type=float,
    default=_DEFAULTS.bound_pressure,
    show_default=True,
    help="Differences below this count as none, in mmHg.",
)
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Repeat: observed with half and double the window and lags, else with none, half and "
    "double the settling times; so it is unless told not to.",
)
@click.option(
    "--settling-heart-rate",
    type=float,
    default=_DEFAULTS.settling_heart_rate,
    show_default=True,
    help="Condition, self-report: seconds left out at the start of each stimulus.",
)
@click.option(
    "--settling-pressure",
    type=float,
    default=_DEFAULTS.settling_pressure,
    show_default=True,
    help="The same of pressures.",
)
@click.option(
    "--settling-other",
    type=float,
    help="The same of all other vitals. Default: each its own.",
)
@click.option("--no-sensitivity", is_flag=True, help="Observed: do not repeat anything.")
@click.option(
    "--window",
    type=float,
    default=_DEFAULTS.window,
    show_default=True,
    help="Observed: seconds of expression before a reading.",
)
@click.option(
    "--lag-heart-rate",
    type=float,
    default=_DEFAULTS.lag_heart_rate,
    show_default=True,
    help="Observed.",
)
@click.option(
    "--lag-pressure",
    type=float,
    default=_DEFAULTS.lag_pressure,
    show_default=True,
    help="Observed.",
)
@click.option(
    "--share",
    type=float,
    default=_DEFAULTS.share,
    show_default=True,
    help="Observed: smallest share of the window with one emotion.",
)
@click.option(
    "--estimated",
    is_flag=True,
    help="The same as --count-flagged estimated: count them, such as the camera's pulse.",
)
@click.option(
    "--count-flagged",
    multiple=True,
    type=click.Choice([flag.value for flag in DOUBTS]),
    help="Count readings with this flag of doubt all the same; can be repeated.",
)
@click.option(
    "--leave-out-flagged",
    is_flag=True,
    help="Leave out readings in doubt, which is done without this option as well.",
)
@click.option(
    "--print-question",
    is_flag=True,
    help="Only print the question as JSON, for `export --question FILE`.",
)
def analyse_command(
    config_file: Path | None,
    data: Path | None,
    as_json: bool,
    print_question: bool,
    **options: Any,
) -> None:
    """Test whether heart rate and blood pressure differ between anger, happiness and neutral."""
    if print_question:
        click.echo(_query_of(options).model_dump_json(indent=2), color=False)
        return
    response = _response(_options(config_file, data), _query_of(options))
    click.echo(response.model_dump_json(indent=2) if as_json else report(response), color=False)


def _query_of(options: dict[str, Any]) -> AnalysisQuery:
    """Return the question that the options ask; what was not given keeps its default."""
    fields = dict(options)
    fields["sensitivity"] = not fields.pop("no_sensitivity")
    if fields["sample"] is not None and fields["session"]:
        raise click.UsageError("give --sample or --session, not both")
    if fields["session"]:
        fields["sample"] = Sample.SELECTED.value
    elif fields["sample"] is None:
        fields["sample"] = Sample.AUTO.value
    if not fields["vital"]:
        del fields["vital"]
    try:
        return AnalysisQuery.model_validate(fields)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use or
    configuration.
    """
    return run_command(analyse_command, arguments, "affect-edge analyse")


def report(response: AnalysisModel) -> str:
    """Return the answer for people: warnings, each result in a sentence, the table of tests, and
    the supplement.
    """
    supplement = [states.sentence for states in response.all_states]
    supplement += [agreement.sentence for agreement in response.agreements]
    supplement += [sensitivity.sentence for sensitivity in response.sensitivity]
    supplement += [sensitivity.sentence for sensitivity in response.settling_sensitivity]
    supplement += [drift.sentence for drift in response.drifts]
    supplement += [period.sentence for period in response.periods]
    parts = (
        [_wrapped(f"! {text}", "  ") for text in response.warnings],
        [_wrapped(f"- {test.sentence}", "  ") for test in response.comparisons],
        _tests(response),
        [_wrapped(f"- {text}", "  ") for text in supplement],
        _left_out(response),
        _variability(response),
        [_wrapped(f"* {text}", "  ") for text in (*response.cautions, *response.assumptions)],
        [_wrapped(text, "") for text in response.method],
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _left_out(response: AnalysisModel) -> list[str]:
    """Say what was left out by flag and state, and where it would change a conclusion."""
    from dashboard.analysis.present.left_out_table import left_out_table

    table = left_out_table(response)
    lines = [
        f"{row.name}: "
        + ", ".join(
            f"{count} in {state}" for state, count in zip(TESTED_STATES, row.counts, strict=True)
        )
        for row in table.flags
    ]
    lines += [
        f"{row.comparison} {row.difference} (adj. p {row.adjusted_p}); with every reading "
        f"{row.all_difference} (adj. p {row.all_adjusted_p})"
        f"{', another conclusion' if row.changes else ''}"
        for row in table.tests
    ]
    lines += [f"until settled: {text}" for text in table.settling]
    if lines:
        lines.insert(0, "Readings left out")
    return lines


def _variability(response: AnalysisModel) -> list[str]:
    """Lay the variability of the heart rate out, a participant's state a line."""
    if not response.variability:
        return []
    return ["Variability of the heart rate, ms"] + [
        f"{one.participant}  {one.state:10}  {one.reason or _measures(one)}"
        for one in response.variability
    ]


def _measures(one: VariabilityModel) -> str:
    """Write the measures with the share of beats that were corrected."""
    share = 100 * (one.rejected or 0.0)
    return f"RMSSD {one.rmssd_ms:.1f}  SDNN {one.sdnn_ms:.1f}  {share:.0f} % of the beats corrected"


def _options(config_file: Path | None, data: Path | None) -> DashboardOptions:
    from dashboard.web.settings import options_from
    from edge_agent.config import load_settings

    return options_from(load_settings(config_file), data)


def _response(options: DashboardOptions, query: AnalysisQuery) -> AnalysisModel:
    from dashboard.analysis.analyse import analyse
    from dashboard.analysis.planning.preregistration import compared
    from dashboard.analysis.present.response import response_of
    from dashboard.web.face_reading import face_reading
    from edge_agent.store.read.reader import Reader

    face = face_reading(options.database, options.models)
    analysis = analyse(Reader(options.database), query, face)
    preregistered = compared(options.database, query, len(analysis.participants))
    return response_of(analysis, preregistered)


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _tests(response: AnalysisModel) -> list[str]:
    """Lay the tests out in columns, under the vital that they are about."""
    from dashboard.analysis.present.table import groups_of

    groups = [(group.title, [_cells(row) for row in group.rows]) for group in groups_of(response)]
    heads = [head for _, head in _COLUMNS]
    every = [heads, *(cells for _, rows in groups for cells in rows)]
    widths = [max(len(cells[column]) for cells in every) for column in range(len(heads))]
    lines = [_aligned(heads, widths)]
    for title, rows in groups:
        lines += ["", title, *(_aligned(cells, widths) for cells in rows)]
    return lines


def _cells(row: TestRow) -> list[str]:
    return [getattr(row, name) for name, _ in _COLUMNS]


def _aligned(cells: list[str], widths: list[int]) -> str:
    """Join the cells: names to the left, numbers to the right."""
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(
        cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in pairs
    ).rstrip()
