"""The engine of a bundle's ``analysis.py``: the analysis of a bundle that was imported for the time
of one answer.

Scripts of earlier bundles call ``main`` here too, so its name and its options stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from click.core import ParameterSource
from pydantic import ValidationError

from dashboard.analysis.query import AnalysisQuery, Correction, describe
from dashboard.analysis.results import AnalysisModel, ComparisonModel, MeasureTestModel
from dashboard.commands.analyse import analyse_command, no_reading, question_of, report
from dashboard.commands.exit_codes import run_command
from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.command_line import Command, warn
from edge_agent.core.errors import DataFileError
from edge_agent.core.study import Purpose
from edge_agent.core.unmet import is_unmet
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.preregistration_files import FOLDER
from edge_agent.timeline.intake.cells import StudyImportOptions
from edge_agent.timeline.intake.study_import import import_study
from edge_agent.timeline.intake.tidy import TidySource

_NEEDED = {
    "participant": ("participant",),
    "session": ("session", "participant", "purpose", "start_ms", "end_ms", "simulated"),
    "exclusion": ("session", "start_ms", "end_ms", "reason"),
    "marker": ("session", "at_ms", "kind", "label"),
    "self_report": ("session", "at_ms", "scale", "value"),
    "vital": ("session", "at_ms", "kind", "value", "source", "flags"),
    "expression": ("at_ms",),
}
"""Tables and columns without which numbers could silently be others; every bundle has them."""
_LARGEST_JSON = 2**20
"""Bytes of a question or a card; ours have a few thousand."""
_CURE = "Unpack the whole zip again; a spreadsheet that saved a file may have changed it."
_RESULT = (
    *("by", "difference", "low", "high", "t", "df", "p", "adjusted_p", "n_first", "n_second"),
    "conclusion",
)
_STATES = ("n", "f", "epsilon", "p", "partial_eta_squared", "generalized_eta_squared")

_NO_PREREGISTRATION = (
    *(ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError),
)
"""What reading a damaged file comes to."""

# --- The bundle -----------------------------------------------------------------------------------


@contextmanager
def imported(folder: Path, leave_out: Iterable[str] = ()) -> Iterator[Path]:
    """Import an unpacked bundle into a database that is deleted at the end.

    Args:
        folder: its files, which may come from a stranger.
        leave_out: codes of participants of whom nothing is taken.

    Raises:
        DataFileError: a table is missing or damaged, or ``import-study`` would refuse the bundle.
        StoreError: the database cannot be written.
    """
    with TemporaryDirectory(prefix="affect-edge-bundle-") as passing:
        database = Path(passing) / DATABASE_NAME
        migrate(database)
        # Nothing is kept, so every purpose will do.
        options = StudyImportOptions(
            purposes=tuple(Purpose), leave_out=frozenset(leave_out), flag_artefacts=False
        )
        try:
            source = TidySource(folder)
            _check_tables(folder, source)
            done = import_study(database, source, options, actor="analysis.py")
        except DataFileError as error:
            raise DataFileError(f"{error} {_CURE}") from error
        warn(filter(is_unmet, done.notes))
        if done.problem_count:
            sentences = [problem.sentence for problem in done.problems]
            if more := done.problem_count - len(sentences):
                sentences.append(f"… and {more:,} more.")
            sentences.append(f"Nothing was computed. Is a file damaged? {_CURE}")
            raise DataFileError("\n".join(sentences))
        _add_preregistration(database, folder)
        yield database


def _add_preregistration(database: Path, folder: Path) -> None:
    """Add the newest preregistration of a bundle, if there is one, with its number and time.

    ``import-study`` takes none along: in another timeline it would pass for what was decided
    there.

    Raises:
        DataFileError: the file is damaged.
    """
    numbered = {
        int(path.stem): path for path in (folder / FOLDER).glob("*.json") if path.stem.isdecimal()
    }
    if not numbered:
        return
    path = numbered[max(numbered)]
    try:
        values = json.loads(_small_file(path))
        at, _, document = values["frozen"].partition("\n")
        row = {"id": max(numbered), "at": int(at), "document": document, "sha256": values["sha256"]}
        with write_transaction(database) as connection:
            insert(connection, "preregistration", **row)
    except _NO_PREREGISTRATION as error:
        raise DataFileError(f"{path}: holds no preregistration. {_CURE}") from error


def _check_tables(folder: Path, source: TidySource) -> None:
    """Refuse a bundle that lost a table or a column: an import takes studies without them."""
    for name, columns in _NEEDED.items():
        if name not in source.tables():
            raise DataFileError(f"{folder}: holds no {name}.csv.")
        there = source.columns(name)
        if missing := [column for column in columns if column not in there]:
            raise DataFileError(f"{name}.csv: there is no column {', '.join(missing)}.")


def _exported(folder: Path) -> AnalysisQuery | None:
    """Return the question that went with the export; ``None`` without one.

    Raises:
        DataFileError: the file is damaged.
    """
    path = folder / "question.json"
    text = _small_file(path)
    try:
        if text.strip() in {b"", b"{}"}:  # nobody asked one
            return None
        return AnalysisQuery.model_validate_json(text)
    except ValidationError as error:
        raise DataFileError(f"{path}: {' '.join(describe(error))} {_CURE}") from error


def _small_file(path: Path) -> bytes:
    """Return the content of a JSON file; empty where there is none.

    Raises:
        DataFileError: it cannot be read, or is too large.
    """
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_JSON + 1)
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror}). {_CURE}") from error
    if len(text) > _LARGEST_JSON:
        raise DataFileError(f"{path}: is larger than {_LARGEST_JSON:,} bytes. {_CURE}")
    return text


def _cards(folder: Path) -> tuple[str, ...]:
    """Return the paths of the bundle's model cards, which say how faces are misread."""
    paths = sorted((folder / "models").glob("*.json"))
    return tuple(str(path) for path in paths if _small_file(path))


def _asked(exported: AnalysisQuery, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a question, and those that were given in their place."""
    options = exported.model_dump(mode="json")
    options["no_sensitivity"] = not options.pop("sensitivity")
    options |= given
    if "session" in given or "sample" in given:  # each of them replaces both
        return options | {"session": given.get("session", ()), "sample": given.get("sample")}
    selected = options["sample"] == "selected"
    return options | ({"sample": None} if selected else {"session": ()})


# --- Writing --------------------------------------------------------------------------------------


def _result(test: ComparisonModel | MeasureTestModel) -> dict[str, Any]:
    """Return the figures of the result that is told of two states, as ``analysis.R`` names them."""
    figures = test.result.model_dump(mode="json")
    figures |= figures.pop("interval") or {"low": None, "high": None}
    return {name: figures[name] for name in _RESULT}


def _preregistered_lines(response: AnalysisModel) -> list[str]:
    """Say whether the question is the preregistered one, and what differs."""
    decided = response.preregistration
    if decided is None:
        return []
    name = f"Preregistration {decided.id}, frozen {iso_utc(decided.at_ms)}"
    if decided.as_preregistered:
        return [f"{name}: followed."]
    changes = [
        f"- {one.name}: preregistered {one.decided}, here {one.current}" for one in decided.changed
    ]
    return [f"{name}: not followed.", *changes]


def _figures(test: ComparisonModel, by: str) -> dict[str, object]:
    """Return every number of a comparison by the name that ``analysis.R`` gives it.

    Rank and equivalence tests have p adjusted by the correction that was asked for, none by the
    other.
    """
    low, high = (test.interval.low, test.interval.high) if test.interval else (None, None)
    g_low, g_high = (test.g_interval.low, test.g_interval.high) if test.g_interval else (None, None)
    names = ("n_both", "left_out", "n_first", "n_second", "difference", "t", "df", "p", "g")
    return {
        **{name: getattr(test, name) for name in (*names, "holm_p", "bh_p")},
        "method": "Welch" if test.method == "welch" else test.method,
        "low": low,
        "high": high,
        "g_low": g_low,
        "g_high": g_high,
        "rank": test.rank and test.rank.p,
        "equivalence": test.equivalence and test.equivalence.p,
        "needed": test.needed and test.needed.n,
        **dict.fromkeys(("rank_holm_p", "rank_bh_p", "equivalence_holm_p", "equivalence_bh_p")),
        f"rank_{by}_p": test.rank_adjusted_p,
        f"equivalence_{by}_p": test.equivalence_adjusted_p,
        "needed_in_family": test.needed_in_family and test.needed_in_family.n,
        "log_bf": test.bayes_factor and test.bayes_factor.log_for_difference,
        **{f"shapiro_{place}": one.p for place, one in enumerate(test.shapiro, 1)},
        **{f"result_{name}": value for name, value in _result(test).items()},
    }


def _table(response: AnalysisModel, computed: Iterable[MeasureTestModel]) -> str:
    """Return every number with all its digits, for programs."""
    by = "holm" if response.question.correction is Correction.HOLM else "bh"
    figures_of = [
        (one.vital.value, f"{one.first}-{one.second}", _figures(one, by))
        for one in response.comparisons
    ]
    for test in computed:
        names = ("n_both", "difference", "low", "high", "t", "df", "p")
        figures = {name: getattr(test, name) for name in names} | {f"{by}_p": test.adjusted_p}
        figures |= {f"result_{name}": value for name, value in _result(test).items()}
        figures_of.append((test.measure.value, f"{test.first}-{test.second}", figures))
    for states in response.all_states:
        df_states, df_error = states.df or (None, None)
        figures = {name: getattr(states, name) for name in _STATES}
        figures |= {"df_states": df_states, "df_error": df_error}
        figures_of.append((states.vital.value, "all", figures))
    lines = [
        f"{of},{comparison},{name},{'' if value is None else value}"
        for of, comparison, figures in figures_of
        for name, value in figures.items()
    ]
    return "\n".join(["vital,comparison,name,value", *lines])


# --- The command ----------------------------------------------------------------------------------


@click.command(
    cls=Command,
    params=[
        one
        for one in analyse_command.params
        if one.name in AnalysisQuery.model_fields or one.name == "no_sensitivity"
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--heart", is_flag=True, help="With --csv: the tests of the intervals between beats, too."
)
@click.option(
    "--skin", is_flag=True, help="With --csv: the tests of the responses of skin conductance, too."
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="Every number with all its digits, for programs."
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, that of `analyse --json`."
)
@click.option(
    "--leave-out",
    "left_out",
    multiple=True,
    metavar="CODE",
    help="Leave out this participant; may be repeated.",
)
@click.option("--beside", type=click.Path(path_type=Path), hidden=True)
@click.pass_context
def analyse_bundle_command(
    ctx: click.Context,
    /,
    folder: Path | None,
    left_out: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Import a bundle into a temporary folder, and ask it the question of the Analysis page.

    An option that is not given is that of the bundle's question.json.
    """
    from dashboard.analysis.unmet import unmet_of_question
    from dashboard.questions.comparison.computing import answer
    from dashboard.questions.entry import Inquiry

    beside, heart, skin = (options.pop(name) for name in ("beside", "heart", "skin"))
    folder = folder or beside or Path()
    exported = _exported(folder)
    if exported is not None:
        by_default = (ParameterSource.DEFAULT, None)
        given = {n: v for n, v in options.items() if ctx.get_parameter_source(n) not in by_default}
        options = _asked(exported, given)
    # Only the JSON object says what other choices would come to, which takes time.
    options["no_sensitivity"] = options["no_sensitivity"] or not as_json
    options.pop("sensitivity", None)
    query = question_of(options)
    with imported(folder, left_out) as database:
        response = answer(Inquiry((("", database),), query, _cards(folder)))
        warn(unmet_of_question((("", database),), query))
    notes = _preregistered_lines(response)
    # with --csv and --json the output is that and nothing else
    click.echo(f"Computed by affect-edge {__version__}.", err=as_csv or as_json)
    if as_json:
        click.echo(response.model_dump_json(indent=2))
    elif as_csv:
        click.echo("".join(f"{text}\n" for text in notes), nl=False, err=True)
        computed = [
            *(response.heart_tests if heart or exported is not None else ()),
            *(response.skin_tests if skin or exported is not None else ()),
        ]
        click.echo(_table(response, computed))
    else:
        parts = ("\n".join(notes), report(response), "" if response.means else no_reading(response))
        click.echo("\n\n".join(filter(None, parts)))


def main(arguments: list[str]) -> int:
    """Run the command; return the exit code: 0 done, 1 failed, 2 wrong use."""
    return run_command(analyse_bundle_command, arguments, "analysis.py")
