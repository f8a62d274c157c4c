"""The commands about the study: its participants and sessions."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from edge_agent.cli.options import ACTOR, common_options, json_option, load, log_to_stderr
from edge_agent.cli.times import instant_ms, timezone_option

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.core.study import Session
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
        from edge_agent.store.study.attributes import attributes_of

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
    from edge_agent.core.attributes import AttributeUse

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
        from edge_agent.store.study.attributes import agree_to_attributes

        agree_to_attributes(database, code, about, actor=ACTOR)
        if about is not AttributeUse.SHARED:
            from edge_agent.store.export.prepared import delete_prepared_exports

            delete_prepared_exports(database.parent)  # one that waits may hold them
    click.echo(f"{code} has agreed to the text {text.strip()}.")


@participant.command("withdraw")
@click.argument("code")
@common_options
def participant_withdraw(code: str, config: Path | None, data: Path | None) -> None:
    """Record that participant CODE has withdrawn: an open session of theirs ends at once."""
    from edge_agent.store.export.prepared import delete_prepared_exports

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
    from edge_agent.store.quality.session_quality import session_quality as quality_of
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
