"""Commands that export the timeline, or answer questions about it in SQL."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from affect_edge.options import PATH, Here, cli, instant_ms, on_appliance, plain, table_lines
from affect_edge.output import exact_output
from edge_agent.config.removed import NO_MULTIVERSE, removed_option
from edge_agent.core.command_line import warn
from edge_agent.core.unmet import unmet_choices

if TYPE_CHECKING:
    from dashboard.analysis.query import AnalysisQuery
    from edge_agent.config.settings import Settings
    from edge_agent.timeline.export.ad_hoc import SqlAnswer
    from edge_agent.timeline.export.appliance import Appliance
    from edge_agent.timeline.export.format import ExportFormat
    from edge_agent.timeline.export.source import OnProgress
    from edge_agent.timeline.read.sites import Sites


_ZIP = ".zip"
_PLACE = re.compile(r"[:@$](\w+)")
"""A named place of a query in SQL."""


class FormatChoice(click.Choice[str]):
    """The names of the formats, read when they are needed: reading them loads their modules."""

    def __init__(self) -> None:
        self.case_sensitive = True

    @property
    # click asks for the choices when a word is parsed or completed, not when the module is loaded.
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # read late, and never set
        from edge_agent.timeline.export.format_register import all_formats

        return tuple(each.name for each in all_formats())


class FormatOption(click.Option):
    """The option ``--format``, whose help describes each format."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from edge_agent.timeline.export.format_register import all_formats

        lines = [f"{each.name}: {each.summary}." for each in all_formats()]
        self.help = f"{' '.join(lines)} Default: bundle for a name that ends in .zip, else csv."
        return super().get_help_record(ctx)


@cli.command()
@on_appliance
@click.option(
    "--out",
    type=PATH,
    required=True,
    help="New file or folder, as the format says; made if needed. A folder becomes one zip where "
    "the name ends in .zip.",
)
@click.option(
    "--session", "sessions", type=int, multiple=True, help="Only this session; may be repeated."
)
@click.option("--participant", metavar="CODE", help="Only the sessions of this participant.")
@click.option(
    "--question",
    type=PATH,
    help="JSON file with the question of the analysis, for the bundle: `analyse --print-question` "
    "writes it. Default: the default question of the Analysis page, or the labels of the study "
    "where it has none of its states.",
)
@removed_option("--multiverse", NO_MULTIVERSE)
@click.option("--from", "start", metavar="TIME", help="Begin, local time.")
@click.option("--to", "end", metavar="TIME", help="End, local time.")
@click.option("--format", "form", cls=FormatOption, type=FormatChoice())
@click.option(
    "--passphrase", is_flag=True, help="Ask for a passphrase, and lock the export with it (age)."
)
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="File whose first line is the passphrase; - is standard input.",
)
@click.option(
    "--source",
    help="Export studies from the PostgreSQL of a collector, such as "
    "postgresql://reader@db.example/fleet: one zip, with a folder for each device.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="With --source: whose study, by device.name; may be repeated.",
)
@click.option("--all-devices", is_flag=True, help="With --source: of all devices.")
def export(
    here: Here,
    out: Path,
    sessions: tuple[int, ...],
    participant: str | None,
    question: Path | None,
    start: str | None,
    end: str | None,
    form: str | None,
    passphrase: bool,
    passphrase_file: Path | None,
    source: str | None,
    devices: tuple[str, ...],
    all_devices: bool,
) -> None:
    """Export the timeline: expressions, vitals, episodes, markers, self-reports and sessions."""
    from edge_agent.timeline.export.format_register import format_named
    from edge_agent.timeline.export.rows import ExportChoice, holds_rows, sessions_of
    from edge_agent.timeline.export.sealed import Work, export_sealed

    start_ms, end_ms = (
        None if time is None else instant_ms(option, time, None, local=True)
        for option, time in (("--from", start), ("--to", end))
    )
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise click.UsageError(f"--from {start} is not before --to {end}.")
    if source is None and (devices or all_devices):
        raise click.UsageError("--device and --all-devices choose devices of --source.")
    if participant is not None and (sessions or source is not None):
        other = "--session" if sessions else "--source"
        raise click.UsageError(f"--participant {participant}: leave out {other}, or use it alone.")
    chosen = format_named(form or ("bundle" if out.suffix.lower() == _ZIP else "csv"))
    _check_name(out, chosen, is_zip=source is not None or passphrase or passphrase_file is not None)
    preferred = here.settings.vitals.prefer_sources
    models = (here.settings.vision.expression_model, here.settings.vision.detector_model)
    if source is not None:
        from dashboard.commands.export_sites import Wanted, export_studies

        export_studies(
            Wanted(
                source=source,
                devices=devices,
                every=all_devices,
                out=out,
                form=chosen,
                choice=ExportChoice(sessions or None, start_ms, end_ms),
                question=partial(_question, _read_question(question), preferred),
                models=models,
                passphrase=_passphrase(passphrase_file, ask=passphrase),
            )
        )
        click.echo(out)
        return
    code = ""
    if participant is not None:
        code, sessions = sessions_of(participant, here.study.sessions())
    if chosen.needs_sessions and not sessions:
        raise click.UsageError(
            f"--format {chosen.name} takes sessions only: name at least one with --session, or "
            "--participant."
        )
    word = _passphrase(passphrase_file, ask=passphrase)
    choice = ExportChoice(sessions or None, start_ms, end_ms, code)
    about = _appliance(here.settings, models)
    if chosen.computed:
        from dashboard.analysis.unmet import unmet_of_question
        from dashboard.computing.answers import computed_files

        sites = (("", here.database),)
        whole = _question(_read_question(question), preferred, sites, choice.sessions)
        query = whole.model_dump(mode="json")
        warn(unmet_of_question(sites, whole))
        tables = computed_files(chosen.computed, sites, query, choice, models)
        about = replace(about, question=query, tables=tables)
    with _progress_bar() as shown:
        on_progress = _leaving_reserve(out, here.database.parent, shown)
        if word is None and chosen.is_folder and out.suffix.lower() == _ZIP:
            files = [chosen.export_zip(here.database, out, choice, about, on_progress)]
        elif word is None:
            files = chosen.export(here.database, out, choice, about, on_progress)
        else:
            work = Work(here.database, chosen, choice, about)
            files = [export_sealed(work, out, word, on_progress)]
    for file in files:
        click.echo(file)
    if not holds_rows(here.database, choice):
        # To standard error: the output is a list of files.
        click.echo("Nothing was recorded in this range; the files hold no rows of it.", err=True)


def _check_name(out: Path, form: ExportFormat, *, is_zip: bool) -> None:
    """Refuse a name that ends as another kind of file than the export makes.

    Args:
        out: the name.
        form: the format.
        is_zip: whether one zip is made of any format.

    Raises:
        click.UsageError: it ends so.
    """
    from edge_agent.timeline.export.format_register import all_formats

    ending, is_folder = out.suffix.lower(), form.is_folder
    known = {each.ending for each in all_formats()} | {_ZIP}
    made = {_ZIP} if is_zip or is_folder else {form.ending}
    if ending in made or ending not in known - {""}:
        return
    what = "one zip" if is_zip else "a folder, or a zip" if is_folder else f"a file {form.ending}"
    stem = out.with_suffix("")
    better = f"{stem}, or {stem}{_ZIP}" if is_folder and not is_zip else f"{stem}{min(made)}"
    such = [each.name for each in all_formats() if not each.is_folder and each.ending == ending]
    other = f" A file {ending} is made by --format {such[0]}." if such and not is_zip else ""
    raise click.UsageError(f"{out}: --format {form.name} makes {what}. Name it {better}.{other}")


def _passphrase(file: Path | None, *, ask: bool) -> str | None:
    """Return the passphrase that locks the export; ``None``: it is not locked.

    Raises:
        StoreError: it is weak.
    """
    from affect_edge.backup import read_passphrase
    from edge_agent.timeline.export.sealed import check_passphrase

    if file == Path("-"):
        word: str | None = sys.stdin.readline().rstrip("\r\n")
    else:
        word = read_passphrase(file, ask=ask)
    if word is not None:
        check_passphrase(word)
    return word


def _read_question(file: Path | None) -> AnalysisQuery | None:
    """Return the question of a file, if one is given.

    Raises:
        DataFileError: the file is missing, or contains no question.
    """
    from dashboard.commands.analyse import read_question

    return None if file is None else read_question(file)


def _question(
    given: AnalysisQuery | None,
    preferred: Sequence[str],
    sites: Sites,
    sessions: tuple[int, ...] | None,
) -> AnalysisQuery:
    """Return the question of the analysis: the one that is given, or what the Export page asks.

    Args:
        given: the question of a file; ``None``: there is none.
        preferred: the sources of the configuration, which count where the question names none: the
            scripts of a bundle know no configuration.
        sites: the study, whose conditions are compared where it has none of the usual ones.
        sessions: those that are exported; ``None``: all.

    Raises:
        StatisticsError: a session does not exist.
        StoreError: a database cannot be read.
    """
    from dashboard.analysis.readings.marked import question_of_export
    from edge_agent.timeline.read.sites import reader_of

    query = question_of_export(reader_of(sites), sessions, given)
    if query.prefer_source:
        return query
    return query.model_copy(update={"prefer_source": tuple(preferred)})


def _appliance(settings: Settings, models: tuple[str, ...]) -> Appliance:
    """Return the description of this appliance for an export."""
    from edge_agent.timeline.export.appliance import Appliance, public_settings
    from edge_agent.vision.models.card import known_cards

    return Appliance(settings.device.name, public_settings(settings), known_cards(models))


def _leaving_reserve(out: Path, data: Path, shown: OnProgress | None) -> OnProgress:
    """Return what an export calls on its way: it raises where no room is left."""
    from edge_agent.core.errors import StoreError
    from edge_agent.core.files import RESERVED_BYTES, room_in

    folder = next(one for one in out.absolute().parents if one.is_dir())

    def on_progress(share: float) -> None:
        if room_in(folder, data=data) < 0:
            raise StoreError(
                f"{out}: less than {RESERVED_BYTES / 1e6:.0f} MB would stay free on the disk of "
                "the recording. Free some, or name a file on another disk. Nothing was exported."
            )
        if shown is not None:
            shown(share)

    on_progress(0.0)
    return on_progress


@contextmanager
def _progress_bar() -> Iterator[OnProgress | None]:
    """Show the progress of an export, on a terminal only.

    It goes to standard error, so that the output stays a list of files.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1000, label="Exporting", file=sys.stderr) as bar:

        def on_progress(share: float) -> None:
            step = int(1000 * share) - bar.pos
            if step > 0:
                bar.update(step)

        yield on_progress
        on_progress(1.0)


@cli.command()
@click.argument("query", required=False)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fill a named place of the query, such as :session.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "jsonl"]),
    default="table",
    show_default=True,
    help="json: one list; jsonl: a line for each row.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Longest time for the answer.",
)
@on_appliance
def sql(here: Here, query: str | None, values: tuple[str, ...], form: str, seconds: float) -> None:
    """Answer a question in SQL (SELECT …) from the timeline; without one, list tables and views.

    The database is only read, also beside a running agent. Its tables and views are described in
    docs/data.md.
    """
    from edge_agent.timeline.export.ad_hoc import AdHocReader, QueryError

    given = dict(_pair(value) for value in values)
    with AdHocReader(here.database, seconds) as reader:
        if query is None:
            for kind, name, columns in reader.tables():
                click.echo(f"{kind} {name}: {', '.join(columns)}")
            return
        try:
            _print(reader.ask(query, given), form)
            warn(unmet_choices("--value", given, _PLACE.findall(query)))
        except QueryError as error:
            raise click.UsageError(str(error)) from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.UsageError(f"--value {text!r} names no value: write --value NAME=VALUE.")
    return name, value


def _print(answer: SqlAnswer, form: str) -> None:
    rows = (_object(answer.columns, row) for row in answer.rows)
    if form == "csv":
        with exact_output() as out:
            writer = csv.writer(out)
            writer.writerow(answer.columns)
            writer.writerows(plain(row) for row in answer.rows)
    elif form == "json":
        click.echo(json.dumps(list(rows), ensure_ascii=False))
    elif form == "jsonl":
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        for line in table_lines(answer.columns, answer.rows):
            click.echo(line)


def _object(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """Return a row as a dictionary; of two columns with one name the last counts."""
    return dict(zip(columns, plain(row), strict=True))
