"""The command that imports a study that exists."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.cli.options import ACTOR, common_options, json_option
from edge_agent.cli.studies.study import data_of, named
from edge_agent.cli.times import instant_ms, timezone_option

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.store.intake.options import ImportOptions, StatedConsent, StudyImport


@click.command("import-study")
@click.argument("source", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be imported, and what is wrong.")
@click.option("--prefix", default="", metavar="TEXT", help="Goes before every participant's code.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="CODE",
    help="Take nothing of this participant; may be repeated.",
)
@click.option(
    "--consent",
    metavar="VERSION",
    help="State that those of whom the files have no consent agreed to this text.",
)
@click.option("--consent-on", metavar="TIME", help="When they did, before their sessions.")
@click.option(
    "--consent-attributes",
    default="none",
    show_default=True,
    help="What they agreed to about attributes such as the age band: none, here or shared.",
)
@click.option("--purpose", help="Of sessions whose purpose the files do not say.")
@click.option(
    "--setting",
    default="other",
    show_default=True,
    help="Of sessions whose setting the files do not say.",
)
@click.option(
    "--join-recorded",
    is_flag=True,
    help="What was recorded here in the time of an imported session belongs to it.",
)
@click.option(
    "--starting",
    metavar="TIME",
    help="When the first session of a BIDS data set began that tells no times; the others follow.",
)
@timezone_option
@common_options
@json_option
def import_study(
    source: Path,
    dry_run: bool,
    config: Path | None,
    data: Path | None,
    as_json: bool,
    **decided: Any,
) -> None:
    """Import a study: a bundle of `export`, a folder of tables in its form, or a BIDS data set.

    Participants, consents, sessions, markers, self-reports, expressions and readings: all of it,
    or nothing.
    """
    settings, database = data_of(config, data)
    from edge_agent.store.intake.sources import opened_study
    from edge_agent.store.intake.study_import import import_study as take

    options = _options(settings, decided)
    starting = decided["starting"]
    first_ms = None if starting is None else instant_ms("--starting", starting, decided["timezone"])
    study = opened_study(source, first_ms)
    report = take(database, study, options, actor=ACTOR, dry_run=dry_run)
    click.echo(json.dumps(report.as_json) if as_json else "\n".join(_lines(report, dry_run)))
    if report.problem_count:
        sys.exit(1)


def _options(settings: Settings, decided: dict[str, Any]) -> ImportOptions:
    from edge_agent.core.study import Purpose, SessionSetting
    from edge_agent.store.intake.options import ImportOptions

    purpose = decided["purpose"]
    return ImportOptions(
        purposes=tuple(settings.dashboard.purposes),
        prefix=decided["prefix"],
        leave_out=frozenset(decided["leave_out"]),
        consent=_consent(decided),
        purpose=None if purpose is None else named(Purpose, "--purpose", purpose),
        setting=named(SessionSetting, "--setting", decided["setting"]),
        join_recorded=decided["join_recorded"],
        keep_days=settings.record.keep_days,
    )


def _consent(decided: dict[str, Any]) -> StatedConsent | None:
    from edge_agent.core.attributes import AttributeUse
    from edge_agent.store.intake.options import StatedConsent

    version = decided["consent"]
    given = decided["consent_on"]
    use = named(AttributeUse, "--consent-attributes", decided["consent_attributes"])
    if (version is None) != (given is None):
        raise click.UsageError("--consent and --consent-on go together: which text, and when.")
    if version is None or given is None:
        return None
    if not version.strip():
        raise click.UsageError("--consent: name the version of the text.")
    given_ms = instant_ms("--consent-on", given, decided["timezone"])
    return StatedConsent(version.strip(), given_ms, use)


def _lines(report: StudyImport, dry_run: bool) -> list[str]:
    """Return what became of a study, for people."""
    lines = [
        f"{count.file:18} {count.taken:>12,} of {count.rows:,} rows"
        + (f", {count.outside:,} in no session" if count.outside else "")
        + (f", {count.left_out:,} left out" if count.left_out else "")
        for count in report.counts.values()
    ]
    lines += report.notes
    lines += [problem.sentence for problem in report.problems]
    more = report.problem_count - len(report.problems)
    if more > 0:
        lines.append(f"… and {more:,} more.")
    if report.imported:
        numbers = sorted(report.sessions.values())
        between = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        lines.append(f"Imported: sessions {between}.")
    elif report.problem_count:
        lines.append("Nothing was imported.")
    elif dry_run:
        lines.append("All of it can be imported. Nothing was imported yet.")
    return lines
