"""``affect-edge analyse``: the tests of the analysis page in a terminal, or as JSON for
programs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from dashboard.analysis.present.schemas import AnalysisModel
from dashboard.analysis.query import describe
from dashboard.analysis.request import (
    DOUBTS,
    AnalysisQuery,
    Correction,
    HeartMeasure,
    Outcome,
    Sample,
    StateBy,
)
from dashboard.analysis.states import Design
from dashboard.commands.analyse_text import report
from dashboard.commands.exit_codes import run_command
from dashboard.fleet.sites import Sites
from dashboard.fleet.source import study_source
from edge_agent.cli.removed import NO_MULTIVERSE, removed_option
from edge_agent.core.vitals import TESTED

if TYPE_CHECKING:
    from dashboard.analysis.results import Analysis
    from dashboard.web.settings import DashboardOptions


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
    "--outcome",
    type=click.Choice([outcome.value for outcome in Outcome]),
    default=_DEFAULTS.outcome.value,
    show_default=True,
    help="Compare readings, or their change from the participant's baseline in the same session.",
)
@click.option(
    "--heart-measure",
    multiple=True,
    type=click.Choice([measure.value for measure in HeartMeasure]),
    help="What intervals between beats are tested for; can be repeated. Default: ln_rmssd.",
)
@click.option(
    "--states",
    multiple=True,
    help="A state to compare: the label of a stimulus or an emotion; give two to six, the one that "
    "the others are compared with first. Default: neutral, happiness, anger.",
)
@click.option(
    "--group",
    help="Attribute of the participants, such as sex: compare its groups, and whether the states "
    "differ otherwise between them.",
)
@click.option(
    "--prefer-source",
    multiple=True,
    help="Where several sources measured a vital in a session, this one counts; can be repeated, "
    "the best first. Default: vitals.prefer_sources, else the one with the most readings.",
)
@click.option(
    "--family",
    multiple=True,
    help="Adjust p within this family of tests: vitals or heart measures, and states where not all "
    "are meant, such as 'heart_rate' or 'all: anger, neutral'; can be repeated. Default: all tests "
    "are one family.",
)
@click.option(
    "--leave-out-flagged",
    is_flag=True,
    help="Leave out readings in doubt, which is done without this option as well.",
)
@click.option(
    "--question",
    type=click.Path(path_type=Path),
    help="JSON file with the question, as --print-question writes it, instead of these options.",
)
@click.option(
    "--print-flow",
    is_flag=True,
    help="Only print the flow of people and readings as CSV.",
)
@removed_option("--multiverse", NO_MULTIVERSE)
@removed_option("--print-multiverse", NO_MULTIVERSE)
@click.option(
    "--print-tables",
    is_flag=True,
    help="Only print what the analysis adds to a bundle, as JSON: text by the name of the file.",
)
@click.option(
    "--range",
    "span",
    type=(int, int),
    help="Only what lies between two times, in milliseconds since 1970 (UTC).",
)
@click.option(
    "--source",
    help="Read the study from the PostgreSQL of a collector, such as "
    "postgresql://reader@db.example/fleet.",
)
@click.option(
    "--device",
    multiple=True,
    help="With --source: whose study, by device.name; repeated, devices are sites of one study.",
)
@click.option("--all-devices", is_flag=True, help="With --source: all devices, as sites.")
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
    print_flow: bool,
    **options: Any,
) -> None:
    """Test whether heart rate and blood pressure differ between anger, happiness and neutral, or
    between other states.
    """
    file = options.pop("question")
    print_tables = options.pop("print_tables")
    span = options.pop("span")
    address, devices = options.pop("source"), options.pop("device")
    every = options.pop("all_devices")
    query = question_of(options) if file is None else _read_question(file)
    if print_question:
        click.echo(query.model_dump_json(indent=2), color=False)
        return
    dashboard = _options(config_file, data)
    source = study_source(address, dashboard.database, devices, every=every)
    with source.databases() as sites:
        analysis = _analysis(dashboard, sites, query, span)
        if print_tables:
            from dashboard.analysis.present.study.bundle_tables import bundle_tables

            click.echo(json.dumps(bundle_tables(analysis)), color=False)
            return
        response = _response(sites, analysis)
    if print_flow:
        from dashboard.analysis.present.study.flow_text import flow_csv

        click.echo(flow_csv(response.flow) if response.flow else "", nl=False, color=False)
        return
    click.echo(response.model_dump_json(indent=2) if as_json else report(response), color=False)


def question_of(options: dict[str, Any]) -> AnalysisQuery:
    """Return the question that the options ask; what was not given keeps its default."""
    fields = dict(options)
    fields["sensitivity"] = not fields.pop("no_sensitivity")
    if fields["sample"] is not None and fields["session"]:
        raise click.UsageError("give --sample or --session, not both")
    if fields["session"]:
        fields["sample"] = Sample.SELECTED.value
    elif fields["sample"] is None:
        fields["sample"] = Sample.AUTO.value
    if len(fields["states"]) == 1 and "," in fields["states"][0]:
        raise click.UsageError(
            f"--states {fields['states'][0]}: give each state with an option of its own, such as "
            "--states neutral --states anger"
        )
    for several in ("vital", "heart_measure", "states"):
        if not fields[several]:
            del fields[several]
    try:
        return AnalysisQuery.model_validate(fields)
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error


def _read_question(file: Path) -> AnalysisQuery:
    """Return the question of a file."""
    try:
        return AnalysisQuery.model_validate_json(file.read_bytes())
    except OSError as error:
        raise click.UsageError(f"--question {file}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise click.UsageError(f"--question {file}: {' '.join(describe(error))}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use or
    configuration.
    """
    return run_command(analyse_command, arguments, "affect-edge analyse")


def _options(config_file: Path | None, data: Path | None) -> DashboardOptions:
    from dashboard.web.settings import options_from
    from edge_agent.config import load_settings

    return options_from(load_settings(config_file), data)


def _analysis(
    options: DashboardOptions, sites: Sites, query: AnalysisQuery, span: tuple[int, int] | None
) -> Analysis:
    from dashboard.analysis.analyse import analyse
    from dashboard.analysis.sites.pooled_reader import reader_of
    from dashboard.computing.face_reading import face_reading_of

    face = face_reading_of(sites, options.models)
    return analyse(reader_of(sites, span), query, face, options.prefer_sources)


def _response(sites: Sites, analysis: Analysis) -> AnalysisModel:
    from dashboard.analysis.present.response import response_of
    from dashboard.computing.answers import preregistered

    return response_of(analysis, preregistered(sites, analysis))
