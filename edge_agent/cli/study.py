"""Participants, sessions, past, import.

The commands about the study: its participants and sessions.

The commands about a study that has taken place: its sessions and markers at any time.

The command that tells what a participant is like: age band, sex, medication, own fields.

The command that imports a study that exists.

The command that lists imports of readings and studies, and takes one back.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_agent.cli.options import (
    ACTOR,
    common_options,
    instant_ms,
    json_option,
    load,
    log_to_stderr,
    timezone_option,
)
from edge_agent.core.errors import DataFileError, ReadingError, shown_value

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_agent.config.settings import Settings
    from edge_agent.core.study import Session
    from edge_agent.store.intake.cells import ImportOptions, StatedConsent, StudyImport
    from edge_agent.store.study.past import PastMarker
    from edge_agent.store.study.study import Study


E = TypeVar("E", bound=StrEnum)

"""Who did it, in the audit trail: whoever may run commands on this machine."""


@click.group()
def participant() -> None:
    """Participants of the study."""


@participant.command("list")
@common_options
@json_option
def participant_list(config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the participants' codes."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.core.clock import iso_utc
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.study.study import Study

    people = Study(folder / DATABASE_NAME).participants()
    if as_json:
        from edge_agent.store.study.people import attributes_of

        told = attributes_of(folder / DATABASE_NAME)
        rows = [
            {
                "code": p.code,
                "created": iso_utc(p.created_ms),
                "simulated": p.simulated,
                "attributes": told.get(p.code, {}),
            }
            for p in people
        ]
        click.echo(json.dumps(rows))
        return
    for person in people:
        click.echo(
            f"{person.code}  "
            f"{iso_utc(person.created_ms)}" + ("  simulated" if person.simulated else "")
        )


@participant.command("add")
@click.argument("code", required=False)
@click.option("--simulated", is_flag=True, help="They are made up, as all of theirs.")
@common_options
@json_option
def participant_add(
    code: str | None, simulated: bool, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Add a participant under CODE, which must not be a name; without CODE one is made up.

    No session of theirs can start before `participant consent`.
    """
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.core.clock import iso_utc
    from edge_agent.store.database.schema import DATABASE_NAME, migrate
    from edge_agent.store.study.past import add_simulated_participant
    from edge_agent.store.study.study import Study

    # a study may be prepared before the agent ran for the first time
    migrate(folder / DATABASE_NAME)
    if simulated:
        person = add_simulated_participant(folder / DATABASE_NAME, code, actor=ACTOR)
    else:
        person = Study(folder / DATABASE_NAME).create_participant(code, actor=ACTOR)
    row = {
        "code": person.code,
        "created": iso_utc(person.created_ms),
        "simulated": person.simulated,
    }
    click.echo(json.dumps(row) if as_json else person.code)


@participant.command("consent")
@click.argument("code")
@click.option(
    "--text",
    required=True,
    metavar="VERSION",
    help="Version of the text that they have read and agreed to.",
)
@click.option(
    "--on",
    "given",
    metavar="TIME",
    help="When they agreed, such as 2026-11-20T08:15:00Z, for a session that has taken place. "
    "Default: now.",
)
@click.option(
    "--attributes",
    "use",
    help="What they agree to about attributes such as the age band. none: none are kept; here: "
    "they are kept and analysed here; shared: they may go along in exports. Default: as before, "
    "at first none.",
)
@timezone_option
@common_options
def participant_consent(
    code: str, text: str, config: Path | None, data: Path | None, **agreed: str | None
) -> None:
    """Record that participant CODE has read the text and agreed to it, now or at a time.

    Show them the text first: that of the page Study, or that which your ethics board approved.
    """
    from edge_agent.core.study import AttributeUse

    given = agreed["given"]
    use = agreed["use"]
    about = None if use is None else named(AttributeUse, "--attributes", use)
    if given is None:
        study_of(config, data).give_consent(code, text, actor=ACTOR)
    else:
        _settings, database = data_of(config, data)
        from edge_agent.store.study.past import give_past_consent

        given_ms = instant_ms("--on", given, agreed["timezone"])
        give_past_consent(database, code, text, given_ms, actor=ACTOR)
    if about is not None:
        _settings, database = data_of(config, data)
        from edge_agent.store.study.people import agree_to_attributes

        agree_to_attributes(database, code, about, actor=ACTOR)
        if about is not AttributeUse.SHARED:
            from edge_agent.store.database.dashboard_file import delete_prepared_exports

            delete_prepared_exports(database.parent)  # one that waits may hold them
    click.echo(f"{code} has agreed to the text {text.strip()}.")


@participant.command("withdraw")
@click.argument("code")
@common_options
def participant_withdraw(code: str, config: Path | None, data: Path | None) -> None:
    """Record that participant CODE has withdrawn: an open session of theirs ends at once."""
    from edge_agent.store.database.dashboard_file import delete_prepared_exports

    study_of(config, data).withdraw_consent(code, actor=ACTOR)
    _settings, database = data_of(config, data)
    delete_prepared_exports(database.parent)  # one that waits may hold them
    click.echo(f"{code} has withdrawn. What was recorded stays until `participant erase`.")


@participant.command("erase")
@click.argument("code")
@click.option(
    "--confirm",
    metavar="CODE",
    help="The code once more, for scripts; without it the command asks for it.",
)
@common_options
@json_option
def participant_erase(
    code: str, confirm: str | None, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Erase participant CODE for ever: all that was recorded in their sessions, and the code.

    It asks for the code once more before it erases anything.
    """
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    require_same_code(code, ask_for_code(code) if confirm is None else confirm)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.upkeep.erasure import erase_participant

    done = erase_participant(
        folder / DATABASE_NAME, code, actor=ACTOR, outbox_rows=settings.mqtt.outbox_rows
    )
    click.echo(json.dumps(asdict(done)) if as_json else done.sentence)


def ask_for_code(code: str) -> str:
    """Ask for the code of who is to be erased, on standard error, and return what was typed.

    Raises:
        click.UsageError: nobody answered.
    """
    try:
        answer: str = click.prompt(f"This cannot be undone. Type {code} to erase", err=True)
    except click.Abort as error:
        raise click.UsageError(
            "Nothing was typed, nothing was erased. Scripts: --confirm CODE."
        ) from error
    return answer


def require_same_code(code: str, typed: str) -> None:
    """Make sure that both codes are the same; upper and lower case are the same, as everywhere.

    Raises:
        click.UsageError: it was not.
    """
    if typed.strip().casefold() != code.casefold():
        raise click.UsageError(f"{typed!r} is not {code!r}. Nothing was erased.")


@click.group()
def session() -> None:
    """Sessions of the study."""


@session.command("quality")
@click.argument("number", type=click.IntRange(1))
@common_options
@json_option
def session_quality(number: int, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Say what was recorded of session NUMBER, and whether it is fit for analysis."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.read.quality_checks import session_quality as quality_of
    from edge_agent.store.read.reader import Reader

    report = quality_of(Reader(folder / DATABASE_NAME), number)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    click.echo(report.sentence)
    for check in report.checks:
        click.echo(f"{check.level.value:5} {check.name}: {check.found}")
        if check.cure:
            click.echo(f"{'':5} → {check.cure}")


@session.command("start")
@click.argument("participant_code", metavar="CODE")
@click.option(
    "--purpose", required=True, help="research, medical, safety, personal or demonstration."
)
@click.option(
    "--setting",
    default="other",
    show_default=True,
    help="home, laboratory, clinic, workplace, education.",
)
@click.option("--name", default="", help="What to call it.")
@common_options
@json_option
def session_start(
    participant_code: str,
    purpose: str,
    setting: str,
    name: str,
    config: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Open a session of participant CODE, who has consented, now."""
    study = study_of(config, data)
    from edge_agent.core.study import Purpose, SessionSetting

    opened = study.start_session(
        participant_code,
        named(Purpose, "--purpose", purpose),
        name,
        setting=named(SessionSetting, "--setting", setting),
    )
    say_session(opened, as_json)


@session.command("mark")
@click.argument("kind")
@click.argument("label", default="")
@common_options
@json_option
def session_mark(
    kind: str, label: str, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Set a marker in the open session, now.

    KIND is stimulus_start (opens the condition LABEL), stimulus_end, baseline or note. Markers of
    times that have passed: `import-markers`.
    """
    study = study_of(config, data)
    from edge_agent.core.clock import iso_utc
    from edge_agent.core.study import MarkerKind

    marker = study.add_marker(named(MarkerKind, "KIND", kind), label)
    message = {
        "at": iso_utc(marker.at.wall_ms),
        "kind": marker.kind,
        "label": marker.label,
        "session": marker.session,
    }
    click.echo(json.dumps(message) if as_json else f"{marker.kind} {marker.label}, {message['at']}")


@session.command("end")
@common_options
@json_option
def session_end(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Close the open session, now."""
    say_session(study_of(config, data).end_session(), as_json)


@session.command("show")
@common_options
@json_option
def session_show(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Show the open session. Ends with 1 if there is none."""
    session = study_of(config, data).open_session()
    if session is None:
        click.echo("null" if as_json else "No session is open.", err=not as_json)
        sys.exit(1)
    say_session(session, as_json)


def data_of(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """Return the settings and the database of a data folder, made where there is none."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME, migrate

    migrate(folder / DATABASE_NAME)
    return settings, folder / DATABASE_NAME


def study_of(config: Path | None, data: Path | None) -> Study:
    """Return the study of a data folder, as the dashboard uses it."""
    log_to_stderr(logging.WARNING)
    settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.study.study import Study

    purposes = settings.dashboard.purposes
    outbox_rows = settings.mqtt.outbox_rows
    return Study(folder / DATABASE_NAME, purposes=purposes, outbox_rows=outbox_rows)


def named(kind: type[E], option: str, text: str) -> E:
    """Return the member of an enumeration that a word names."""
    try:
        return kind(text)
    except ValueError as error:
        raise click.BadParameter(f"{option} {text!r}: choose one of {', '.join(kind)}") from error


def say_session(session: Session, as_json: bool) -> None:
    """Print a session."""
    from edge_agent.core.clock import iso_utc

    start = iso_utc(session.start_ms)
    end = None if session.end_ms is None else iso_utc(session.end_ms)
    if as_json:
        message = {
            "session": session.id,
            "participant": session.participant,
            "purpose": session.purpose,
        }
        message |= {"setting": session.setting, "name": session.name, "start": start, "end": end}
        click.echo(json.dumps(message))
        return
    about = f"{session.participant}, {session.purpose}" + (
        f", {session.name}" if session.name else ""
    )
    click.echo(f"session {session.id} ({about}): {start} to {end or 'now'}")


_NEEDED = ("at", "kind")
_KNOWN = (*_NEEDED, "label", "session")
_PASSED_OVER = ("at_ms", "participant")
_PROBLEMS_SHOWN = 10
_DIGITS = 18  # of a number that a database holds


@session.command("add")
@click.option("--participant", "code", required=True, metavar="CODE", help="Whose session it was.")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="Start, such as 2026-11-20T08:15:00Z."
)
@click.option("--to", "end", required=True, metavar="TIME", help="End.")
@click.option(
    "--purpose", required=True, help="research, medical, safety, personal or demonstration."
)
@click.option(
    "--setting",
    default="other",
    show_default=True,
    help="home, laboratory, clinic, workplace, education.",
)
@click.option("--name", default="", help="What to call it.")
@click.option("--simulated", is_flag=True, help="It is made up.")
@timezone_option
@common_options
@json_option
def session_add(
    code: str,
    start: str,
    end: str,
    timezone: str | None,
    config: Path | None,
    data: Path | None,
    as_json: bool,
    **about: str | bool,
) -> None:
    """Add a session that has taken place: an interval of the timeline at any time.

    Consent must have stood, and no other session may lie in its time. What was recorded or
    imported in that time belongs to it from then on.
    """
    settings, database = data_of(config, data)
    from edge_agent.core.study import Purpose, SessionSetting
    from edge_agent.store.study.past import PastSession
    from edge_agent.store.study.past import add_session as add

    new = PastSession(
        participant=code,
        purpose=named(Purpose, "--purpose", str(about["purpose"])),
        start_ms=instant_ms("--from", start, timezone),
        end_ms=instant_ms("--to", end, timezone),
        name=str(about["name"]),
        setting=named(SessionSetting, "--setting", str(about["setting"])),
        simulated=bool(about["simulated"]),
    )
    say_session(add(database, new, purposes=settings.dashboard.purposes, actor=ACTOR), as_json)


@click.command("import-markers")
@click.argument("file", type=click.Path(path_type=Path))
@timezone_option
@common_options
@json_option
def import_markers(
    file: Path, timezone: str | None, config: Path | None, data: Path | None, as_json: bool
) -> None:
    """Import markers of sessions from a CSV file: all of them, or nothing.

    Columns: at, kind (stimulus_start, stimulus_end, baseline, note), label, and session where the
    time alone shall not say which it is.
    """
    _settings, database = data_of(config, data)
    from edge_agent.cli.options import zone_of
    from edge_agent.store.study.past import add_markers

    markers = read_markers(file, zone_of(timezone))
    inserted, there = add_markers(database, markers, actor=ACTOR)
    if as_json:
        click.echo(json.dumps({"imported": inserted, "duplicates": there}))
        return
    more = f", {there} were there already" if there else ""
    click.echo(f"{inserted} {'marker' if inserted == 1 else 'markers'} imported{more}")


def read_markers(path: Path, zone: tzinfo | None) -> list[PastMarker]:
    """Return the markers of a CSV file.

    Raises:
        DataFileError: the file cannot be read, a column is missing or not known, or rows are bad:
            the first ten are named by row, column and value.
    """
    from edge_agent.vitals.csv import read_file

    file = read_file(path)
    header = [name.lower() for name in file.header]
    _check_header(file.name, header)
    markers: list[PastMarker] = []
    problems: list[str] = []
    for number, cells in file.rows():
        try:
            markers.append(_marker_of(header, cells, zone))
        except ReadingError as error:
            column = f", column {error.field}: {error.shown}" if error.field else ""
            problems.append(f"{file.name}, row {number}{column} {error.reason}")
            if len(problems) == _PROBLEMS_SHOWN:
                break
    if problems:
        shown = "\n".join(problems)
        raise DataFileError(f"{shown}\nNothing was imported.")
    if not markers:
        raise DataFileError(f"{file.name}: has no rows below the names of the columns.")
    return markers


def _check_header(name: str, header: list[str]) -> None:
    for column in _NEEDED:
        if column not in header:
            raise DataFileError(
                f"{name}, row 1: column {column} is missing. Columns found: {', '.join(header)}; "
                f"known: {', '.join(_KNOWN)}."
            )
    for column in header:
        if column not in (*_KNOWN, *_PASSED_OVER) or header.count(column) > 1:
            raise DataFileError(
                f"{name}, row 1: column {column!r} is not known, or there twice. Known: "
                f"{', '.join(_KNOWN)}."
            )


def _marker_of(header: list[str], cells: list[str], zone: tzinfo | None) -> PastMarker:
    """Return the marker of a row.

    Raises:
        ReadingError: a cell is missing, too many or no value of its column.
    """
    from edge_agent.core.readings import time_ms
    from edge_agent.core.study import MarkerKind
    from edge_agent.store.export.rows import recorded
    from edge_agent.store.study.past import PastMarker

    if len(cells) != len(header):
        counts = f"has {len(cells)} values, but there are {len(header)} columns."
        raise ReadingError("", "", f"{counts} A comma in a label needs quotes around it.")
    row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    number, kind = row.get("session", ""), row["kind"]
    if number and not (number.isdecimal() and len(number) <= _DIGITS):
        raise ReadingError("session", shown_value(number), "is no number of a session.")
    if kind not in list(MarkerKind):
        raise ReadingError("kind", shown_value(kind), f"is not one of {', '.join(MarkerKind)}.")
    label = recorded(row.get("label", ""))
    at_ms = time_ms(row["at"], zone)
    return PastMarker(at_ms, MarkerKind(kind), label, int(number) if number else None)


@click.command("describe")
@click.argument("code")
@click.option("--age-band", help="Such as 18-29 or '80 and over'; an empty text removes it.")
@click.option("--sex", help="female, male, other or 'not told'; an empty text removes it.")
@click.option("--medication", help="What they take that matters; an empty text removes it.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of your own, such as handedness=left; NAME= removes it. May be repeated.",
)
@common_options
@json_option
def participant_describe(
    code: str, config: Path | None, data: Path | None, as_json: bool, **told: Any
) -> None:
    """Set attributes of participant CODE, and print all there are.

    They are kept only where the consent says so (`participant consent CODE --attributes here`),
    leave in exports only where it says shared, and are erased with the participant.
    """
    _settings, database = data_of(config, data)
    from edge_agent.store.study.people import attribute_use_of, attributes_of, set_attributes

    values = dict(_field(text) for text in told.pop("fields"))
    values |= {name: value for name, value in told.items() if value is not None}
    if values:
        set_attributes(database, code, values, actor=ACTOR)
    use = attribute_use_of(database, code)
    by_code = {one.casefold(): kept for one, kept in attributes_of(database).items()}
    kept = by_code.get(code.casefold(), {})
    if as_json:
        click.echo(json.dumps({"code": code, "consent": use, "attributes": kept}))
        return
    click.echo(f"consent to attributes: {use}")
    for name, value in kept.items():
        click.echo(f"{name}: {value}")


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--field {text!r}: write NAME=VALUE, such as handedness=left.")
    return name, value


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
    from edge_agent.store.intake.study_import import import_study as take
    from edge_agent.store.intake.study_import import opened_study

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
    from edge_agent.store.intake.cells import ImportOptions

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
    from edge_agent.core.study import AttributeUse
    from edge_agent.store.intake.cells import StatedConsent

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
        + (f", {count.outside_sessions:,} in no session" if count.outside_sessions else "")
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


@click.command("imports")
@click.option("--undo", type=int, metavar="N", help="Remove what import N added, and nothing else.")
@common_options
@json_option
def imports(undo: int | None, config: Path | None, data: Path | None, as_json: bool) -> None:
    """List the files of readings and the studies that were imported, or take an import back."""
    _settings, database = data_of(config, data)
    from edge_agent.store.intake.imports import list_imports, undo_import

    if undo is not None:
        undone = undo_import(database, undo, actor=ACTOR)
        answer = json.dumps(asdict(undone)) if as_json else "\n".join(undone.sentences)
        click.echo(answer)
        return
    known = list_imports(database)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in known]))
        return
    for one in known:
        click.echo(one.sentence)
    if not known:
        click.echo("Nothing was imported.")
