"""The commands ``analyse`` (the tests of the Analysis page in a terminal, or as JSON) and
``plan-study`` (how many people a study needs).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource
from pydantic import ValidationError

from dashboard.analysis.query import (
    AnalysisQuery,
    Correction,
    HeartMeasure,
    SkinMeasure,
    address_of,
    describe,
)
from dashboard.commands.exit_codes import CONFIG, DATA
from dashboard.commands.questions import question_from, sample_options
from edge_agent.config.removed import NO_MULTIVERSE, removed_option
from edge_agent.core.columns import aligned
from edge_agent.core.command_line import Command, warn
from edge_agent.core.errors import DataFileError
from edge_agent.core.files import why_unreadable
from edge_agent.core.measures import TESTABLE

# Imports stand in the commands: whoever presses the Tab key waits for those above.
if TYPE_CHECKING:
    from dashboard.analysis.results import (
        AnalysisModel,
        SkinModel,
        StimuliCheckModel,
        VariabilityModel,
    )
    from dashboard.web.options import DashboardOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])
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


_ANSWERED = (
    ("comparison", "comparison"),
    ("main_n", "n"),
    ("main_difference", "difference"),
    ("main_interval", "95 % CI"),
    ("main_p", "adj. p"),
    ("main_g", "g"),
)
_MORE = "With --full: every figure, checks, flow, method. With --json: every digit."
_DEFAULTS = AnalysisQuery()


def answer(response: AnalysisModel) -> str:
    """Return the answer for people: warnings, each result in one sentence, and a small table."""
    from dashboard.analysis.rendering.tables import groups_of
    from dashboard.analysis.rendering.words import sentences

    response = response.for_people()
    groups = groups_of(response) if response.means else ()
    claims = [row.main_claim for group in groups for row in group.rows]
    by_group = [text for one in response.groups for text in sentences("groups", "lines", one)]
    computed = [test.sentence for test in (*response.heart_tests, *response.skin_tests)]
    check = response.stimuli_check
    decides = response.tests_computed and response.main == "mixed_model"
    parts = (
        [_wrapped(f"! {text}", "  ") for text in response.warnings],
        _check(check, [test.claim for test in check.comparisons]) if check and claims else [],
        [_wrapped(f"- {text}", "  ") for text in claims],
        _absent_lines(response) if claims else [],
        [_wrapped(no_reading(response), "")] if response.sessions and not claims else [],
        _table(response, _ANSWERED) if response.tests_computed else [],
        [_wrapped(response.main_reason, "")] if decides else [],
        [_wrapped(f"- {text}", "  ") for text in (*by_group, *computed)],
        [_wrapped(f"{response.flow.summary}.", "")] if response.flow and response.means else [],
        [_MORE] if claims else [],
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _absent_lines(response: AnalysisModel) -> list[str]:
    """Say what of the question was not measured."""
    sentence = response.not_measured_sentence
    return [_wrapped(sentence, "")] if sentence else []


def _check(check: StimuliCheckModel, tests: Sequence[str]) -> list[str]:
    """Lay out whether the stimuli raised their own emotion on the face."""
    title = f"Check of the stimuli: {check.sentence}"
    return [*_listed(_wrapped(title, "  "), tests), _wrapped(check.note, "")]


def no_reading(response: AnalysisModel) -> str:
    """Say that no reading is of a state, and which states have readings."""
    text = f"No reading counts in {', '.join(response.question.states)}."
    if not response.other_states:
        return text
    others = ", ".join(f"{state} ({count:,})" for state, count in response.other_states.items())
    return f"{text} There are readings in {others}: name two with --states."


def report(response: AnalysisModel) -> str:
    """Return everything for people: warnings, each result in full, the table of tests, and the
    supplement.
    """
    from dashboard.analysis.rendering.tables import groups_of
    from dashboard.analysis.rendering.words import sentences

    response = response.for_people()
    results = [row.main_sentence for group in groups_of(response) for row in group.rows]
    several = len(response.question.states) > 2
    supplement = [states.sentence for states in response.all_states if several]
    supplement += [agreement.sentence for agreement in response.agreements]
    supplement += [sensitivity.sentence for sensitivity in response.sensitivity]
    supplement += [sensitivity.sentence for sensitivity in response.settling_sensitivity]
    supplement += [one.sentence for one in response.neighbours]
    supplement += [one.sentence for one in response.without_own_neutral]
    supplement += [test.sentence for test in (*response.heart_tests, *response.skin_tests)]
    supplement += [drift.sentence for drift in response.drifts]
    supplement += [period.sentence for period in response.periods]
    groups = [text for one in response.groups for text in sentences("groups", "lines", one)]
    check = response.stimuli_check
    parts = (
        [_wrapped(f"! {text}", "  ") for text in response.warnings],
        _check(check, [test.sentence for test in check.comparisons]) if check else [],
        [_wrapped(response.main_reason, "")] if response.tests_computed else [],
        [_wrapped(one.sentence, "") for one in response.families],
        [_wrapped(f"- {sentence}", "  ") for sentence in results],
        _absent_lines(response),
        _table(response, _COLUMNS),
        [_wrapped(f"- {text}", "  ") for text in _beside(response)],
        [_wrapped(f"- {text}", "  ") for text in supplement],
        [_wrapped(f"- {text}", "  ") for text in groups],
        _flow(response),
        _left_out(response),
        _variability(response),
        _skin(response),
        _listed("Cautions", response.cautions),
        _listed("Assumptions", response.assumptions),
        [_wrapped(text, "") for text in response.method],
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _listed(title: str, texts: Sequence[str]) -> list[str]:
    """Return texts under their title; nothing without any."""
    return [title, *(_wrapped(f"* {text}", "  ") for text in texts)] if texts else []


def _beside(response: AnalysisModel) -> list[str]:
    """Say what stands beside the main analysis: the other one where it differs, the models, the
    evidence.
    """
    if not response.tests_computed:
        return []
    others = [text for test in response.comparisons for text in test.beside]
    evidence = [test.bayes_factor.sentence for test in response.comparisons if test.bayes_factor]
    return [*others, *(model.sentence for model in response.models), *evidence]


def _flow(response: AnalysisModel) -> list[str]:
    """Lay out where people and readings were lost."""
    flow = response.flow
    if flow is None:
        return []
    excluded = list(flow.excluded_sentences)
    if not response.participants:
        return excluded
    lines = ["From consent to the tests", *(f"  {sentence}" for sentence in excluded)]
    for stage in flow.stages:
        lines += [f"    - {loss.sentence}" for loss in stage.lost if not loss.state]
        readings = "" if stage.readings is None else f", {stage.readings:,} readings"
        lines.append(f"  {stage.title}: {stage.people:,} people{readings}")
    return lines + [f"  {one.sentence}" for one in flow.missing]


def _left_out(response: AnalysisModel) -> list[str]:
    """Say what was left out by flag and state, and where it would change a conclusion."""
    from dashboard.analysis.rendering.light import left_out_table

    table = left_out_table(response)
    states = response.question.states
    lines = [
        f"{row.name}: "
        + ", ".join(f"{count} in {state}" for state, count in zip(states, row.counts, strict=True))
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
    """Write the measures with the share of beats that were corrected, and of which sessions."""
    share = 100 * (one.rejected or 0.0)
    sessions = [f"{one.sessions} session{'s' * (one.sessions != 1)}"]
    sessions += [f"{one.ultra_short} ultra-short"] if one.ultra_short else []
    sessions += [f"{one.refused} more without a number"] if one.refused else []
    return (
        f"RMSSD {one.rmssd_ms:.1f}{_limits(one.rmssd_low_ms, one.rmssd_high_ms)}  "
        f"SDNN {one.sdnn_ms:.1f}{_limits(one.sdnn_low_ms, one.sdnn_high_ms)}  "
        f"{share:.0f} % of the beats corrected  "
        f"{', '.join(sessions)}"
    )


def _limits(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"


def _skin(response: AnalysisModel) -> list[str]:
    """Lay the responses of skin conductance out, a participant's state a line."""
    if not response.skin:
        return []
    return ["Responses of skin conductance"] + [
        f"{one.participant}  {one.state:10}  {one.reason or _responses(one)}"
        for one in response.skin
    ]


def _responses(one: SkinModel) -> str:
    amplitude = "" if one.scr_amplitude is None else f"  {one.scr_amplitude:.2f} µS"
    sessions = [f"{one.sessions} session{'s' * (one.sessions != 1)}"]
    sessions += [f"{one.refused} more without a number"] if one.refused else []
    sessions += [f"{one.clipped_s:.0f} s at the sensor's ceiling"] if one.clipped_s else []
    return f"{one.scr_count:.1f} a minute{amplitude}  {', '.join(sessions)}"


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _table(response: AnalysisModel, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Lay the tests out in columns, under the vital that they are about."""
    from dashboard.analysis.rendering.tables import groups_of

    groups = groups_of(response)
    names, heads = zip(*columns, strict=True)
    rows = [[getattr(row, name) or "–" for name in names] for group in groups for row in group.rows]
    numbers = {place for place, name in enumerate(names) if name not in {"comparison", "test"}}
    head, *lines = aligned([heads, *rows], numbers)
    table = [head]
    for group in groups:
        table += ["", group.title, *lines[: len(group.rows)]]
        del lines[: len(group.rows)]
    return table


def _field(name: str, text: str) -> Callable[[_Command], _Command]:
    """Return the option of a number or a choice of the question, with its default."""
    default = getattr(_DEFAULTS, name)
    allowed: Any = float
    if isinstance(default, StrEnum):
        allowed = click.Choice([one.value for one in type(default)])
        default = default.value
    option = f"--{name.replace('_', '-')}"
    return click.option(option, type=allowed, default=default, show_default=True, help=text)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@CONFIG
@DATA
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object, the response of /api/v1/analysis.",
)
@click.option(
    "--full",
    is_flag=True,
    help="Print all figures of every test, the checks, the flow of people and the method as well.",
)
@_field(
    "state",
    "State by stimulus condition, by the emotion observed before a reading, or by what the "
    "participant reported.",
)
@sample_options
@click.option(
    "--vital",
    multiple=True,
    type=click.Choice([kind.value for kind in TESTABLE]),
    help="Measure to test: a vital sign, an expression or movement of the face, or an own rating; "
    "can be repeated. Default: heart_rate, systolic, diastolic.",
)
@_field("design", "Use people with both states, people with one, or choose by their number.")
@_field("correction", "How p is adjusted for the number of tests.")
@_field("bound_heart_rate", "Differences below this count as none, in /min.")
@_field("bound_pressure", "Differences below this count as none, in mmHg.")
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Repeat the analysis with other choices, the default with --full and --json: observed "
    "with half and double the window and lags, otherwise with none, half and double the settling "
    "times.",
)
@_field(
    "settling_heart_rate", "Condition, self-report: seconds left out at the start of each stimulus."
)
@_field("settling_pressure", "The same of pressures.")
@click.option(
    "--settling-other",
    type=float,
    help="The same for all other vitals. Default: the settling time of each.",
)
@click.option("--no-sensitivity", is_flag=True, help="Observed: do not repeat anything.")
@_field("window", "Observed: seconds of expression before a reading.")
@_field("lag_heart_rate", "Observed.")
@_field("lag_pressure", "Observed.")
@_field("share", "Observed: smallest share of the window with one emotion.")
@click.option(
    "--estimated",
    is_flag=True,
    help="The same as --count-flagged estimated: count them, such as the camera's pulse.",
)
@_field(
    "outcome",
    "Compare readings, or their change from the participant's baseline in the same session.",
)
@click.option(
    "--heart-measure",
    multiple=True,
    type=click.Choice([measure.value for measure in HeartMeasure]),
    help="What intervals between beats are tested for; can be repeated. Default: ln_rmssd.",
)
@click.option(
    "--skin-measure",
    multiple=True,
    type=click.Choice([measure.value for measure in SkinMeasure]),
    help="What the responses of skin conductance are tested for; can be repeated. Default: "
    "scr_count.",
)
@_field("scr_threshold", "Smallest skin response that counts, in µS.")
@click.option(
    "--states",
    multiple=True,
    help="A state to compare: the label of a stimulus or an emotion; give two to six, the one that "
    "the others are compared with first. Default: neutral, happiness, anger, or the study's own "
    "labels where it has not two of these.",
)
@click.option(
    "--group",
    help="Attribute of the participants, such as sex: compare its groups, and whether the states "
    "differ otherwise between them.",
)
@click.option(
    "--family",
    multiple=True,
    help="Adjust p within this family of tests: vitals, heart measures or skin measures, and "
    "states where not all are meant, such as 'heart_rate' or 'all: anger, neutral'; can be "
    "repeated. Default: all tests are one family.",
)
@click.option(
    "--leave-out-flagged", is_flag=True, help="Leave out readings in doubt. This is the default."
)
@click.option(
    "--question",
    type=click.Path(path_type=Path),
    help="JSON file with the question, as --print-question writes it, instead of these options.",
)
@click.option(
    "--print-flow", is_flag=True, help="Only print the flow of people and readings as CSV."
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
    help="With --source: device.name of the study's device; if repeated, the sites of one study.",
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
    file, full = options.pop("question"), options.pop("full")
    print_tables = options.pop("print_tables")
    span = options.pop("span")
    address, devices = options.pop("source"), options.pop("device")
    every = options.pop("all_devices")
    try:
        query = question_of(options) if file is None else read_question(file)
    except DataFileError as error:
        raise click.UsageError(str(error)) from error
    if print_question:
        # Which states a study has is asked where the question is.
        unnamed = {"states"} - query.model_fields_set
        click.echo(query.model_dump_json(indent=2, exclude=unnamed), color=False)
        return
    # Loads SciPy, which printing the question does not need.
    from dashboard.analysis.rendering.tables import flow_csv
    from dashboard.analysis.unmet import unmet_of_question
    from dashboard.computing.answers import tables_of
    from dashboard.fleet.source import study_source
    from dashboard.questions.comparison.computing import compute, flow_of, put_into_words
    from dashboard.questions.entry import Inquiry

    if not (as_json or full):  # a short answer has no table of other choices
        query = query.model_copy(update={"sensitivity": False})
    dashboard = _options(config_file, data)
    source = study_source(address, dashboard.database, devices, every=every)
    with source.databases() as sites:
        inquiry = Inquiry(sites, query, dashboard.models, dashboard.prefer_sources, span)
        if print_flow and not print_tables:
            flow = flow_of(inquiry)
            warn(unmet_of_question(sites, query))
            click.echo(flow_csv(flow) if flow else "", nl=False, color=False)
            return
        analysis = compute(inquiry)
        warn(unmet_of_question(sites, query))
        if print_tables:
            files = tables_of(inquiry, analysis).items()
            tables = {name: text for name, text in files if name.endswith(".csv")}
            click.echo(json.dumps(tables), color=False)
            return
        response = put_into_words(sites, analysis, dashboard.prefer_sources)
    said = report if full else answer
    click.echo(response.model_dump_json(indent=2) if as_json else said(response), color=False)


def question_of(options: dict[str, Any]) -> AnalysisQuery:
    """Return the question that the options ask; what was not given keeps its default."""
    fields = dict(options)
    fields["sensitivity"] = not fields.pop("no_sensitivity")
    if len(fields["states"]) == 1 and "," in fields["states"][0]:
        raise click.UsageError(
            f"--states {fields['states'][0]}: give each state with an option of its own, such as "
            "--states neutral --states anger"
        )
    return question_from(AnalysisQuery, fields)


def read_question(file: Path) -> AnalysisQuery:
    """Return the question of the file that ``--question`` names.

    Raises:
        DataFileError: it cannot be read, or contains no question.
    """
    try:
        return AnalysisQuery.model_validate_json(file.read_bytes())
    except OSError as error:
        raise DataFileError(f"--question {why_unreadable(file, error)}") from error
    except ValidationError as error:
        raise DataFileError(
            f"--question {file}: {' '.join(describe(error))} Write it with `affect-edge analyse "
            "--print-question`."
        ) from error


def _options(config_file: Path | None, data: Path | None) -> DashboardOptions:
    from dashboard.web.options import options_of_reader

    return options_of_reader(config_file, data)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--question",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the study's question, as `affect-edge analyse --print-question` writes it: the "
    "family is counted from it.",
)
@click.option(
    "--vital",
    type=click.Choice([kind.value for kind in TESTABLE]),
    default="heart_rate",
    show_default=True,
    help="Measure that is to differ. Default: the first measure of --question, if there is one.",
)
@click.option("--difference", type=float, help="Smallest difference worth finding, in its unit.")
@click.option("--sd", type=float, help="Standard deviation between people in one state.")
@click.option(
    "--correlation", type=float, default=0.7, show_default=True, help="Of a person's two."
)
@click.option("--sd-difference", type=float, help="Of a person's differences, for sd, correlation.")
@click.option("--d-z", type=float, help="Difference over that, in place of all these.")
@click.option(
    "--design",
    type=click.Choice(["paired", "groups"]),
    default="paired",
    show_default=True,
    help="Two states of each person, or two groups of people.",
)
@click.option(
    "--tests",
    type=int,
    default=9,
    show_default=True,
    help="Size of the family; counted from the question, where there is one.",
)
@click.option(
    "--correction",
    type=click.Choice([one.value for one in Correction]),
    default="holm",
    show_default=True,
    help="How p is adjusted for the number of tests.",
)
@click.option("--power", type=float, default=0.8, show_default=True, help="Above 0.05, below 1.")
@click.option(
    "--order",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of people who meet the first state first.",
)
@click.pass_context
def plan_command(
    ctx: click.Context, /, *, as_json: bool, question: Path | None, **options: Any
) -> None:
    """Say how many people a study needs, by the rule that decides in its family of tests."""
    from dashboard.analysis.planning import PlanQuery, plan_of

    by_default = ParameterSource.DEFAULT
    given = {n: v for n, v in options.items() if ctx.get_parameter_source(n) is not by_default}
    try:
        if question is not None:
            given["question"] = address_of(read_question(question))
        query = PlanQuery.model_validate(given)
    except DataFileError as error:
        raise click.UsageError(str(error)) from error
    except ValidationError as error:
        raise click.UsageError(" ".join(describe(error))) from error
    answer = plan_of(query)
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    click.echo(answer.sentence)
    for point in answer.curve:
        click.echo(f"{point.n:6}  {100 * point.power:5.1f} %")
