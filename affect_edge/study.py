"""Commands about the study: participants, sessions, markers, and imports of them."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from affect_edge import options as common
from affect_edge.options import (
    ACTOR,
    PATH,
    Here,
    answer,
    cli,
    json_option,
    on_appliance,
    on_appliance_as_root,
)
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.command_line import warn
from edge_agent.core.errors import DataFileError, StoreError, StudyError
from edge_agent.core.owners import as_owner_of
from edge_agent.core.study import SESSION_FIELDS, STORED, NewSession
from edge_agent.core.unmet import is_unmet, unmet_choices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

    from edge_agent.config.settings import Settings
    from edge_agent.core.study import Marker, Participant, Session, SessionField
    from edge_agent.timeline.intake.cells import StudyImport, StudyImportOptions
    from edge_agent.timeline.intake.sent_files import StudyChoices
    from edge_agent.timeline.intake.tidy import StudySource
    from edge_agent.timeline.read.quality import EstimateQuality
    from edge_agent.timeline.read.reader import Reader
    from edge_agent.timeline.study.exclusions import Exclusion


E = TypeVar("E", bound=StrEnum)
_Command = TypeVar("_Command", bound="Callable[..., Any]")
_ALL_OF_IT = "All of it can be imported."
_WRITTEN_S = 5.0
"""How long a batch may take to be written after it was due; a slow card takes a second."""
_LOOK_S = 0.5
_NEAR = 0.8
"""So alike are a kind of marker and one that is spelt wrong."""
_OF_SUBJECT = re.compile(r"sub-([A-Za-z0-9]+)_")
"""Begins the name that LabRecorder gives a file by default."""
_OF_RECORDINGS = {
    "participants": "--participant",
    "channels": "--map",
    "units": "--unit",
    "orders": "--marker",
}
_IN_SESSION = "such as 2026-11-20T08:15:00.250Z, or 4:05.250 since the start of the session"


@cli.group()
def participant() -> None:
    """Participants of the study."""


def _row_of(person: Participant) -> dict[str, object]:
    created = iso_utc(person.created_ms)
    return {"code": person.code, "created": created, "simulated": person.simulated}


@participant.command("list")
@on_appliance
@json_option
def participant_list(here: Here, as_json: bool) -> None:
    """List the participants' codes."""
    from edge_agent.timeline.study.people import attributes_of

    people = here.study.participants()
    told = attributes_of(here.database) if as_json else {}
    rows = [_row_of(person) | {"attributes": told.get(person.code, {})} for person in people]
    lines = (
        f"{row['code']}  {row['created']}{'  simulated' * bool(row['simulated'])}" for row in rows
    )
    answer(as_json, rows, lines)


@participant.command("add")
@click.argument("code", required=False)
@click.option("--simulated", is_flag=True, help="An invented person, with invented data only.")
@on_appliance
@json_option
def participant_add(here: Here, code: str | None, simulated: bool, as_json: bool) -> None:
    """Add a participant under CODE, which must not be a name; without CODE a random one is used.

    No session of theirs can start before `participant consent`.
    """
    from edge_agent.core.participant_codes import misread_codes
    from edge_agent.timeline.study.past import add_simulated_participant

    database = here.made_database()
    others = [one.code for one in here.study.participants()]
    if simulated:
        person = add_simulated_participant(database, code, actor=ACTOR)
    else:
        person = here.study.create_participant(code, actor=ACTOR)
    answer(as_json, _row_of(person), [person.code])
    for remark in misread_codes([person.code], others):
        click.echo(remark, err=True)


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
    help="When they agreed, such as 2026-11-20T08:15:00Z, for a past session. Default: now.",
)
@click.option(
    "--attributes",
    "use",
    help="Their consent about attributes such as the age band. none: none are kept; here: "
    "they are kept and analysed here; shared: exports may contain them, too. Default: as before, "
    "at first none.",
)
@common.timezone_option
@on_appliance
def participant_consent(here: Here, code: str, text: str, **agreed: str | None) -> None:
    """Record that participant CODE has read the text and agreed to it, now or at a given time.

    Show them the text first: that of the page Study, or the one that your ethics board approved.
    """
    from edge_agent.core.study import AttributeUse
    from edge_agent.timeline.database.dashboard_file import delete_prepared_exports
    from edge_agent.timeline.study.past import give_past_consent
    from edge_agent.timeline.study.people import agree_to_attributes

    given = agreed["given"]
    use = agreed["use"]
    about = None if use is None else named(AttributeUse, "--attributes", use)
    if given is None:
        here.study.give_consent(code, text, actor=ACTOR)
    else:
        given_ms = common.instant_ms("--on", given, agreed["timezone"])
        give_past_consent(here.made_database(), code, text, given_ms, actor=ACTOR)
    if about is not None:
        agree_to_attributes(here.made_database(), code, about, actor=ACTOR)
        if about is not AttributeUse.SHARED:
            delete_prepared_exports(here.folder)  # one that waits may hold them
    click.echo(f"{code} has agreed to the text {text.strip()}.")


@participant.command("withdraw")
@click.argument("code")
@on_appliance
def participant_withdraw(here: Here, code: str) -> None:
    """Record that participant CODE has withdrawn: an open session of theirs ends at once."""
    from edge_agent.timeline.database.dashboard_file import delete_prepared_exports

    here.study.withdraw_consent(code, actor=ACTOR)
    try:
        delete_prepared_exports(here.folder)  # one that waits may hold them
    except (StoreError, OSError) as error:
        raise StoreError(f"{code} has withdrawn, but a prepared export is left. {error}") from error
    click.echo(f"{code} has withdrawn. What was recorded stays until `participant erase`.")


@participant.command("erase")
@click.argument("code")
@click.option(
    "--confirm",
    metavar="CODE",
    help="The code once more, for scripts; without it the command asks for it.",
)
@on_appliance_as_root
@json_option
def participant_erase(here: Here, code: str, confirm: str | None, as_json: bool) -> None:
    """Erase participant CODE permanently: all data of their sessions, and the code.

    It asks for the code once more before it erases anything. Ends with 1 if something is left. What
    only a dashboard that runs may erase it waits for, for a minute.
    """
    from edge_agent.timeline.upkeep.erasure import erase_participant

    # Root alone may take the rights of both users: of the timeline's and of the dashboard's.
    with as_owner_of(here.folder):
        # Typed, not confirmed with y: nothing brings back what was erased, except an old backup.
        typed = _asked_for(here.database, code) if confirm is None else confirm
        # upper and lower case are the same everywhere
        if typed.strip().casefold() != code.casefold():
            raise click.UsageError(f"{typed!r} is not {code!r}. Nothing was erased.")
        outbox_rows = here.settings.mqtt.outbox_rows
        done = erase_participant(here.database, code, actor=ACTOR, outbox_rows=outbox_rows)
        if not done.is_finished and _has_dashboard_finished(here.database):
            done = replace(done, left=())
    answer(as_json, asdict(done), [done.sentence])
    if not done.is_finished:
        sys.exit(1)


def _has_dashboard_finished(database: Path) -> bool:
    """Wait for what is left to the dashboard, if that runs; tell whether nothing is left."""
    from edge_agent.timeline.upkeep.unfinished import is_dashboards_turn, wait_for_dashboard

    if not is_dashboards_turn(database):
        return False
    click.echo("Waiting for the dashboard, which erases its part within a minute …", err=True)
    return wait_for_dashboard(database)


def _asked_for(database: Path, code: str) -> str:
    """Say what will be deleted, ask for the participant's code, and return the answer."""
    from edge_agent.timeline.upkeep.erasure import plan_erasure

    click.echo(plan_erasure(database, code).sentence, err=True)
    try:
        return str(click.prompt(f"This cannot be undone. Type {code} to erase", err=True))
    except click.Abort as error:
        raise click.UsageError(
            "No code was typed, so nothing was erased. In scripts, use --confirm CODE."
        ) from error


@cli.group()
def session() -> None:
    """Sessions of the study."""


@session.command("quality")
@click.argument("number", type=click.IntRange(1))
@on_appliance
@json_option
def session_quality(here: Here, number: int, as_json: bool) -> None:
    """Show what was recorded in session NUMBER, and whether it is fit for analysis."""
    from edge_agent.timeline.read.quality_checks import session_quality as quality_of
    from edge_agent.timeline.read.reader import Reader

    reader = Reader(here.database)
    _wait_until_written(here, reader, number)
    report = quality_of(reader, number)
    told = [text for text in (report.sentence, report.analysis_sentence) if text]
    lines = [*told, *(_left_out_line(one) for one in report.excluded)]
    lines += [report.faces_sentence] if report.faces_sentence else []
    for check in report.checks:
        lines.append(f"{check.level.value:5} {check.name}: {check.found}")
        if check.cure:
            lines.append(f"{'':5} → {check.cure}")
    lines += [_estimate_line(one) for one in report.measures.estimates]
    answer(as_json, asdict(report), lines)


def _estimate_line(estimate: EstimateQuality) -> str:
    during = "" if estimate.share is None else f", during {100 * estimate.share:.0f} % of the time"
    return (
        f"Estimates of {estimate.kind.spec.name_in_text} by {estimate.source}: "
        f"{estimate.readings}{during}. `affect-edge compare-sensors` says how far off they were."
    )


def _wait_until_written(here: Here, reader: Reader, number: int) -> None:
    """Wait until a running agent has written the end of a session, which it does in batches."""
    _, end_ms = reader.session(number)
    until_ms = end_ms + round(1000 * (here.settings.record.batch_seconds + _WRITTEN_S))

    def is_due() -> bool:
        span = reader.span()
        now_ms = clock.now().wall_ms
        return end_ms <= now_ms < until_ms and (span is None or span[1] < end_ms)

    if number == getattr(here.study.open_session(), "id", None) or not is_due():
        return
    from edge_agent.appliance.running_checks import agent_health
    from edge_agent.live.feed import SOCKET_NAME

    if agent_health(here.folder / SOCKET_NAME) is None:  # nobody writes
        return
    seconds = (until_ms - clock.now().wall_ms) // 1000
    click.echo(f"The agent still writes the end of the session: up to {seconds} s.", err=True)
    while is_due():
        clock.sleep(_LOOK_S)


def _session_options(*left_out: str) -> Callable[[_Command], _Command]:
    """Decorator: give a command an option for each field of a new session but its participant."""

    def decorate(command: _Command) -> _Command:
        for one in reversed(SESSION_FIELDS):
            if one.name not in {"participant", *left_out}:
                command = _option_of(one)(command)
        return command

    return decorate


def _option_of(one: SessionField) -> Callable[[_Command], _Command]:
    name, about = one.name.replace("_", "-"), one.about.text
    if one.kind is str:
        return click.option(f"--{name}", default=one.default, help=f"{about}.")
    if _is_choice(one):
        default = None if one.is_needed else one.default.value
        text = f"{about}: {', '.join(one.kind)}."
        return click.option(
            f"--{name}", required=one.is_needed, default=default, show_default=True, help=text
        )
    return click.option(f"--{name}/--no-{name}", one.name, default=one.default, help=f"{about}.")


def _is_choice(one: SessionField) -> bool:
    return isinstance(one.kind, type) and issubclass(one.kind, StrEnum)


def _new_session(code: str, about: Mapping[str, Any]) -> NewSession:
    """Return the session of these options; one that the command does not have has its default."""
    given = {
        one.name: named(one.kind, f"--{one.name}", about[one.name])
        if _is_choice(one)
        else about[one.name]
        for one in SESSION_FIELDS
        if one.name in about
    }
    return NewSession(code, **given)


@session.command("start")
@click.argument("participant_code", metavar="CODE")
@_session_options()
@on_appliance
@json_option
def session_start(here: Here, participant_code: str, as_json: bool, **about: Any) -> None:
    """Open a session of participant CODE, who has consented, now."""
    new = _new_session(participant_code, about)
    say_session(here.study.start_session(new, actor=ACTOR), as_json)


@session.command("mark")
@click.argument("kind")
@click.argument("label", default="")
@on_appliance
@json_option
def session_mark(here: Here, kind: str, label: str, as_json: bool) -> None:
    """Set a marker in the open session, now.

    KIND is stimulus_start (opens the condition LABEL), stimulus_end, baseline, note or
    declared (the leading face is the participant's). For markers of the past, use `import-markers`.
    """
    from edge_agent.core.study import MarkerKind

    marker = here.study.add_marker(named(MarkerKind, "KIND", kind), label, actor=ACTOR)
    at = iso_utc(marker.at.wall_ms)
    told = {"at": at, "kind": marker.kind, "label": marker.label, "session": marker.session}
    answer(as_json, told, [f"{marker.kind} {marker.label}, {at}"])


@session.command("markers")
@click.argument("number", type=click.IntRange(1))
@on_appliance
@json_option
def session_markers(here: Here, number: int, as_json: bool) -> None:
    """List the markers of session NUMBER, with the numbers that `correct-marker` takes."""
    rows = [_marker_row(marker) for marker in here.study.markers(number)]
    lines = [f"{row['marker']:>5}  {row['at']}  {row['kind']} {row['label']}" for row in rows]
    answer(as_json, rows, lines or ["No marker."])


def _marker_row(marker: Marker) -> dict[str, object]:
    at = iso_utc(marker.at.wall_ms)
    return {"marker": marker.id, "at": at, "kind": marker.kind, "label": marker.label}


def _written_as(of: Session, typed: str, timezone: str | None) -> Callable[[int], str]:
    """Return a function that writes times as one was typed: since the start, or in its zone."""
    from edge_agent.core.study import exact_since_start, since_start_ms

    def written(ms: int) -> str:
        with suppress(StudyError):
            since_start_ms(typed, "")
            return exact_since_start(ms - of.start_ms)
        zone: tzinfo | None = common.zone_of(timezone)
        with suppress(ValueError):  # it may be a number, too
            zone = zone or datetime.fromisoformat(typed).tzinfo
        moment = clock.utc_at(ms).astimezone(zone or UTC)
        return moment.isoformat(timespec="milliseconds")

    return written


@session.command("correct-marker")
@click.argument("number", type=click.IntRange(1))
@click.argument("marker", type=click.IntRange(1))
@click.option("--at", metavar="TIME", help=f"Its new time, {_IN_SESSION}.")
@click.option("--kind", help="Its new kind: stimulus_start, stimulus_end, baseline or note.")
@click.option("--label", help="Its new label; that of a start goes to its end and reports, too.")
@click.option("--remove", is_flag=True, help="Leave it out; needs a reason.")
@click.option("--reason", default="", help="Why; it is kept with the old values.")
@common.timezone_option
@on_appliance
@json_option
def session_correct_marker(
    here: Here, number: int, marker: int, as_json: bool, **changed: Any
) -> None:
    """Correct MARKER of session NUMBER, or leave it out. Its old values are kept.

    `session markers NUMBER` lists the numbers of the markers.
    """
    from edge_agent.core.study import MarkerKind
    from edge_agent.timeline.read.reader import Reader
    from edge_agent.timeline.study.marker_changes import check_inside, correct_marker, remove_marker
    from edge_agent.timeline.study.past import PastMarker

    at, kind, label, reason = (changed[name] for name in ("at", "kind", "label", "reason"))
    if changed["remove"] == any(one is not None for one in (at, kind, label)):
        raise click.UsageError("Give --at, --kind or --label, or --remove alone.")
    database = here.made_database()
    if changed["remove"]:
        remove_marker(database, number, marker, reason=reason, actor=ACTOR)
        answer(as_json, {"marker": marker, "removed": True}, [f"Marker {marker} was left out."])
        return
    old = next((one for one in here.study.markers(number) if one.id == marker), None)
    if old is None:
        raise click.UsageError(f"There is no marker {marker} in session {number}.")
    at_ms = old.at.wall_ms
    if at is not None:
        of, _ = Reader(database).session(number)
        at_ms = common.instant_ms("--at", at, changed["timezone"], start_ms=of.start_ms)
        written = _written_as(of, at, changed["timezone"])
        check_inside(of, at_ms, clock.now().wall_ms, written=written)
    new = PastMarker(
        at_ms,
        old.kind if kind is None else named(MarkerKind, "--kind", kind),
        old.label if label is None else label,
        number,
    )
    row = _marker_row(correct_marker(database, marker, new, reason=reason, actor=ACTOR))
    answer(as_json, row, [f"{row['marker']}  {row['at']}  {row['kind']} {row['label']}"])


@session.command("leave-out")
@click.argument("number", type=click.IntRange(1))
@click.option("--from", "start", metavar="TIME", help=f"Start of the stretch, {_IN_SESSION}.")
@click.option("--to", "end", metavar="TIME", help="Its end; without both: the whole session.")
@click.option("--reason", help="Why; every result names it.")
@click.option("--take-back", type=click.IntRange(1), help="Use again what has this number.")
@common.timezone_option
@on_appliance
@json_option
def session_leave_out(here: Here, number: int, as_json: bool, **given: Any) -> None:
    """Leave session NUMBER, or a stretch of it, out of the analysis. Nothing is deleted.

    Without --reason and --take-back it lists what is left out, with its numbers.
    """
    from edge_agent.timeline.read.reader import Reader
    from edge_agent.timeline.study import exclusions

    database = here.made_database()
    start, end, reason, back = (given[name] for name in ("start", "end", "reason", "take_back"))
    if (start is None) != (end is None):
        raise click.UsageError("Give --from and --to, or neither for the whole session.")
    if back is not None and (start or reason is not None):
        raise click.UsageError("Give --take-back alone.")
    if start is not None and reason is None:
        raise click.UsageError("Give the --reason, too.")
    if back is not None:
        exclusions.take_back(database, number, back, actor=ACTOR)
    elif reason is not None:
        span = None
        of, _ = Reader(database).session(number)
        if start is not None:
            first, last = (
                common.instant_ms(name, text, given["timezone"], start_ms=of.start_ms)
                for name, text in (("--from", start), ("--to", end))
            )
            span = first, last
            exclusions.check_order(span, start, end)
        written = _written_as(of, start or "", given["timezone"])
        exclusions.leave_out(database, number, span, reason=reason, actor=ACTOR, written=written)
    every = exclusions.exclusions(database, number)
    standing = [one for one in every if one.taken_back_ms is None]
    lines = [f"{one.id:>5}  {_left_out_line(one)}" for one in standing]
    answer(as_json, [_left_out_row(one) for one in standing], lines or ["Nothing is left out."])


def _left_out_row(one: Exclusion) -> dict[str, object]:
    start, end = (None, None) if one.span is None else map(iso_utc, one.span)
    return {"number": one.id, "from": start, "to": end, "reason": one.reason, "actor": one.actor}


def _left_out_line(one: Exclusion) -> str:
    row = _left_out_row(one)
    what = "the whole session" if one.span is None else f"{row['from']} to {row['to']}"
    return f"left out of the analysis: {what} ({one.reason})"


@session.command("end")
@on_appliance
@json_option
def session_end(here: Here, as_json: bool) -> None:
    """Close the open session, now."""
    say_session(here.study.end_session(actor=ACTOR), as_json)


@session.command("show")
@on_appliance
@json_option
def session_show(here: Here, as_json: bool) -> None:
    """Show the open session. Ends with 1 if there is none."""
    session = here.study.open_session()
    if session is None:
        click.echo("null" if as_json else "No session is open.", err=not as_json)
        sys.exit(1)
    say_session(session, as_json)


def named(kind: type[E], option: str, text: str) -> E:
    """Return the member of an enumeration with a value."""
    try:
        return kind(text)
    except ValueError as error:
        raise click.BadParameter(f"{option} {text!r}: choose one of {', '.join(kind)}") from error


def say_session(session: Session, as_json: bool, taken: int | None = None) -> None:
    """Print a session, and how many rows recorded before belong to it now; ``None``: it is new."""
    start = iso_utc(session.start_ms)
    end = None if session.end_ms is None else iso_utc(session.end_ms)
    told: dict[str, object] = {"session": session.id, "participant": session.participant}
    told |= {one.name: getattr(session, one.name) for one in STORED}
    told |= {"start": start, "end": end}
    about = ", ".join(filter(None, (session.participant, session.purpose, session.name)))
    lines = [f"session {session.id} ({about}): {start} to {end or 'now'}"]
    if taken is not None:
        told["rows"] = taken
        lines.append(
            f"{taken:,} rows of the timeline were recorded in that time. They belong to "
            f"{session.participant} now, and go when {session.participant} is erased."
        )
    answer(as_json, told, lines)


@session.command("add")
@click.option("--participant", "code", required=True, metavar="CODE", help="Its participant.")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="Start, such as 2026-11-20T08:15:00Z."
)
@click.option("--to", "end", required=True, metavar="TIME", help="End.")
@_session_options("own_neutral")
@click.option("--simulated", is_flag=True, help="An invented session.")
@common.timezone_option
@on_appliance
@json_option
def session_add(here: Here, code: str, start: str, end: str, as_json: bool, **about: Any) -> None:
    """Add a past session: an interval of the timeline at any time.

    Consent must have been given before it, and it must not overlap another session. All data
    recorded or imported in that time belongs to it from then on.
    """
    database = here.made_database()
    from edge_agent.timeline.study.past import PastSession, rows_taken
    from edge_agent.timeline.study.past import add_session as add

    timezone = about["timezone"]
    new = PastSession(
        about=_new_session(code, about),
        start_ms=common.instant_ms("--from", start, timezone),
        end_ms=common.instant_ms("--to", end, timezone),
        simulated=about["simulated"],
    )
    purposes = here.settings.dashboard.purposes
    made = add(database, new, purposes=purposes, actor=ACTOR)
    say_session(made, as_json, rows_taken(database, made))


@participant.command("describe")
@click.argument("code")
@click.option("--age-band", help="Such as 18-29 or '80 and over'; an empty text removes it.")
@click.option("--sex", help="female, male, other or 'not told'; an empty text removes it.")
@click.option("--medication", help="Relevant medication; an empty text removes it.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of your own, such as handedness=left; NAME= removes it. May be repeated.",
)
@on_appliance
@json_option
def participant_describe(here: Here, code: str, as_json: bool, **told: Any) -> None:
    """Set attributes of participant CODE, and print all of them.

    They are kept only with consent (`participant consent CODE --attributes here`), are in exports
    only with the consent `shared`, and are erased with the participant.
    """
    database = here.made_database()
    from edge_agent.timeline.study.people import attribute_use_of, attributes_of, set_attributes

    values = dict(_field(text) for text in told.pop("fields"))
    values |= {name: value for name, value in told.items() if value is not None}
    if values:
        set_attributes(database, code, values, actor=ACTOR)
    use = attribute_use_of(database, code)
    # A code is found whatever its case.
    by_code = {one.casefold(): kept for one, kept in attributes_of(database).items()}
    kept = by_code.get(code.casefold(), {})
    lines = [f"consent to attributes: {use}", *(f"{name}: {value}" for name, value in kept.items())]
    answer(as_json, {"code": code, "consent": use, "attributes": kept}, lines)


def _field(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise click.UsageError(f"--field {text!r}: write NAME=VALUE, such as handedness=left.")
    return name, value


@cli.command("import-study")
@click.argument("source", metavar="FILE_OR_FOLDER", type=PATH)
@click.option("--dry-run", is_flag=True, help="Only show what would be imported, and any faults.")
@click.option("--prefix", default="", metavar="TEXT", help="Prefix of every participant's code.")
@click.option(
    "--leave-out",
    multiple=True,
    metavar="CODE",
    help="Leave out this participant; may be repeated.",
)
@click.option(
    "--consent",
    metavar="VERSION",
    help="State that participants without a consent in the files agreed to this text.",
)
@click.option("--consent-on", metavar="TIME", help="When they agreed, before their sessions.")
@click.option(
    "--consent-attributes",
    default="none",
    show_default=True,
    help="Their consent about attributes such as the age band: none, here or shared.",
)
@click.option("--purpose", help="Purpose of sessions for which the files have none.")
@click.option(
    "--setting",
    default="other",
    show_default=True,
    help="Setting of sessions for which the files have none.",
)
@click.option(
    "--join-recorded",
    is_flag=True,
    help="Add data recorded here in the time of an imported session to that session.",
)
@click.option(
    "--starting",
    metavar="TIME",
    help="Start of the first session of a data set without times; the others follow it. Default "
    "with --wide: the time of the consent.",
)
@click.option(
    "--wide",
    is_flag=True,
    help="SOURCE is a table with a row for each person and a column for each state and vital, such "
    "as id,hr_neutral,hr_anger. Its times are made up, and marked so.",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=MEANING",
    help="With --wide, the meaning of a column whose name does not tell it: STATE:KIND[:UNIT], "
    "such as x1=anger:hr or 'film 2'=calm:sbp:kPa; participant: the codes; age or sex, kept as "
    "--consent-attributes says; an empty value (NAME=) leaves the column out. "
    "Several columns of a state and vital are averaged. May be repeated.",
)
@click.option(
    "--participant",
    "participants",
    multiple=True,
    metavar="CODE",
    help="Code of the participant of an XDF file, if its name has no sub-CODE; of one with several "
    "sessions once for each, in their order.",
)
@click.option(
    "--map",
    "channels",
    multiple=True,
    metavar="KIND=STREAM/CHANNEL",
    help="Meaning of a channel of an XDF file, as of import-vitals.",
)
@click.option(
    "--unit",
    "units",
    multiple=True,
    metavar="KIND=UNIT",
    help="Unit of the channels of a kind in an XDF file.",
)
@click.option(
    "--marker",
    "orders",
    multiple=True,
    metavar="[STREAM/]TEXT=MARKER",
    help="Meaning of a text or number in a stream of markers of an XDF file, such as "
    "--marker 11=stimulus_start/anger --marker 12=stimulus_end, of one stream alone --marker "
    "Films/11=stimulus_start/anger; others are notes.",
)
@common.timezone_option
@on_appliance
@json_option
def import_study(here: Here, source: Path, dry_run: bool, as_json: bool, **decided: Any) -> None:
    """Import a study: a bundle of `export`, a folder of tables in its form, a BIDS data set, a
    wide table, or an XDF file of LabRecorder.

    Participants, consents, sessions, markers, self-reports, expressions and readings: all of it,
    or nothing.
    """
    if dry_run and not here.database.exists():
        passing = click.get_current_context().with_resource(TemporaryDirectory("", "affect-edge-"))
        here = replace(here, folder=Path(passing))  # the data folder stays as it is
    database = here.made_database()
    from edge_agent.timeline.intake.study_import import import_study as take
    from edge_agent.timeline.intake.study_import import opened_study
    from edge_agent.vitals.health.xdf.recording import is_recording_at

    choices = _choices(decided)
    options = _over_settings(choices, here.settings)
    starting = decided["starting"]
    first_ms = (
        None if starting is None else common.instant_ms("--starting", starting, decided["timezone"])
    )
    importable = _ALL_OF_IT
    is_recording = not decided["wide"] and is_recording_at(source)
    given = next((name for name in _OF_RECORDINGS if decided[name]), None)
    if given is not None and not is_recording:
        raise click.UsageError(f"{_OF_RECORDINGS[given]} is for XDF files. Leave it out.")
    if decided["wide"]:
        study, importable = _wide_study(source, options, first_ms, decided)
    elif decided["columns"]:
        raise click.UsageError("--column explains a wide table. Add --wide.")
    elif is_recording:
        study, importable = _recorded_study(source, first_ms, decided)
    else:
        study = opened_study(source, first_ms, common.zone_of(decided["timezone"]))
    with common.row_bar(repeat(None), "Reading") as bar:
        on_row = partial(bar.update, 1)
        report = take(
            database,
            study,
            options,
            actor=ACTOR,
            dry_run=dry_run,
            on_row=on_row,
            agree=common.agree,
        )
    report.notes += choices.unmet(None)
    answer(as_json, report.as_json, _lines(report, importable if dry_run else ""))
    warn(() if as_json else filter(is_unmet, report.notes))
    if report.problem_count:
        sys.exit(1)


def _wide_study(
    path: Path, options: StudyImportOptions, first_ms: int | None, decided: dict[str, Any]
) -> tuple[StudySource, str]:
    """Return a wide table as a study, and a sentence on how much of it can be imported."""
    from edge_agent.core.brought_files import one_table
    from edge_agent.timeline.intake.wide import WideSource
    from edge_agent.timeline.study.rows import check_purpose
    from edge_agent.vitals.csv_files import read_file
    from edge_agent.vitals.wide import (
        CODES,
        FORM,
        columns_not_read,
        read_wide,
        told_cell,
        wide_columns,
    )

    if options.consent is None or options.purpose is None:
        raise click.UsageError(
            "A wide table tells no consent and no purpose. State them: --consent VERSION "
            "--consent-on TIME --purpose PURPOSE."
        )
    try:  # once here, and not for each person
        check_purpose(options.purpose, options.setting, options.purposes)
    except StudyError as error:
        raise click.UsageError(
            f"--purpose {options.purpose} with --setting {options.setting}: {error}"
        ) from error
    if options.join_recorded:
        raise click.UsageError("--join-recorded: the times of a wide table are made up.")
    told = {}
    for word in decided["columns"]:
        name, sign, meaning = word.rpartition("=")
        if not sign:
            raise click.UsageError(f"--column {word!r}: write NAME=MEANING: {FORM}.")
        told[name.strip()] = meaning
    written = dict(told)

    def ask(name: str) -> str:
        def checked(text: str) -> str:
            try:
                told_cell(name, text)
            except DataFileError as error:
                raise click.BadParameter(str(error)) from error
            written[name] = text
            return text

        text = f"Column {name} ({FORM})"
        return str(click.prompt(text, default="", err=True, value_proc=checked))

    with one_table(path) as (plain, others):
        file = read_file(plain, ("id", "hr_neutral", "hr_anger"))
    columns = wide_columns(file, told, ask if sys.stdin.isatty() else None)
    table = read_wide(file, columns, written)
    begin_ms = options.consent.given_ms if first_ms is None else first_ms
    not_taken = [*others, *columns_not_read(table, told)]
    importable = _ALL_OF_IT
    if not told.keys() >= set(table.not_taken):
        taken = sum(cell != CODES for cell in columns.values())
        importable = (
            f"{taken} of {taken + len(table.not_taken)} columns can be imported; name the others "
            "with --column."
        )
    return WideSource(table.name, table.persons, not_taken, table.notes, begin_ms), importable


def _recorded_study(
    path: Path, start_ms: int | None, decided: dict[str, Any]
) -> tuple[StudySource, str]:
    """Return a recording as a study, and a sentence on how much of it can be imported.

    It stays open until the command ends.
    """
    from edge_agent.core.readings import LocalTimes
    from edge_agent.timeline.intake.named_people import refuse_other_stream
    from edge_agent.timeline.intake.recorded import RecordedRows, RecordedSession, RecordedSource
    from edge_agent.timeline.intake.staged_rows import StagedReadings
    from edge_agent.vitals.health.files import RowValidator, member_at
    from edge_agent.vitals.health.xdf.recording import open_recording
    from edge_agent.vitals.health.xdf.streams import StreamRole
    from edge_agent.vitals.passed_over import PassedOver

    orders = _marker_orders(decided["orders"])
    zone = common.zone_of(decided["timezone"])
    validator = RowValidator(
        clock.now(),
        None if zone is None else LocalTimes(zone),
        start_ms,
        common.channel_choice(decided["channels"], decided["units"]),
    )
    opened = click.get_current_context().with_resource
    recording = opened(open_recording(member_at(path), validator))
    staged = opened(StagedReadings(path.name))
    passed_over = PassedOver()
    staged.add(passed_over.readings_of(recording.readings(validator)))
    spans = recording.sessions() or [recording.span_ms()]
    people = _people_of(path, decided["participants"], len(spans))
    for one in recording.plans if len({*people}) == 1 else ():
        refuse_other_stream(path.name, one.stream.name, people[0])
    faces = [*recording.of(StreamRole.EXPRESSION), *recording.of(StreamRole.MOVEMENTS)]
    is_simulated = any(one.nature == "simulated" for one in faces)

    def notes() -> list[str]:
        told = [*recording.heads(), *recording.channels_not_taken(), *recording.remarks]
        sentences = [row.sentence for row in passed_over.columns]
        sentences += passed_over.reasons  # alike ones are one line with a number
        kinds = [one.kind for one in staged.kinds()]
        unmet = unmet_choices("--unit", common.pairs_of("--unit", decided["units"]), kinds)
        return [f"{path.name}: {one}" for one in told] + sentences + recording.unmet + unmet

    taken = sum(one.role is not StreamRole.NOTHING for one in recording.plans)
    importable = f"{taken} of {len(recording.plans)} streams can be imported."
    source = RecordedSource(
        path.name,
        RecordedRows(
            [
                RecordedSession(start, end, code, is_simulated)
                for (start, end), code in zip(spans, people, strict=True)
            ],
            recording.markers(orders),
            partial(recording.faces, StreamRole.EXPRESSION),
            partial(recording.faces, StreamRole.MOVEMENTS),
            staged,
            notes,
        ),
    )
    return source, importable


def _marker_orders(words: Sequence[str]) -> dict[str, str]:
    """Return text → meaning of each ``--marker``; either may have an equals sign in it.

    Raises:
        click.UsageError: a word has no meaning, one that is nearly a kind, or a text has two.
        StudyError: a meaning is no marker.
    """
    from edge_agent.core.study import WORDS, read_order

    orders: dict[str, str] = {}
    for word in words:
        common.pairs_of("--marker", [word])
        # The first sign behind which a marker stands; else the first one: a note.
        places = [at for at, sign in enumerate(word) if sign == "=" and at]
        kinds = {at: word[at + 1 :].partition("/")[0].strip().lower() for at in places}
        at = next((at for at in places if kinds[at] in WORDS), places[0])
        text, order = word[:at].strip(), word[at + 1 :].strip()
        if kinds[at] not in WORDS and (near := get_close_matches(kinds[at], WORDS, 1, _NEAR)):
            raise click.UsageError(
                f"--marker {word}: {kinds[at]} is no kind of marker; perhaps {near[0]}. For a note "
                f"of these words, write {text}=note/{order}."
            )
        if orders.setdefault(text, order) != order:
            raise click.UsageError(
                f"--marker {text}=… is given twice: {orders[text]} and {order}. Leave one out."
            )
        read_order(order)
    return orders


def _people_of(path: Path, given: Sequence[str], sessions: int) -> Sequence[str]:
    """Return the participant of each session of a recording: as given, else by the file's name.

    Raises:
        click.UsageError: neither tells it.
    """
    from edge_agent.timeline.intake.named_people import are_of_two

    named = _OF_SUBJECT.match(path.name)
    if not given and named:
        return [named[1]] * sessions
    others = [one for one in given if named and are_of_two(named[1], one)]
    other = others[0] if others and len(others) == len(given) else None
    if named and other is not None:
        raise click.UsageError(
            f"{path.name} says in its name that it is of {named[1]}, and --participant that it is "
            f"of {other}. Leave --participant out, or rename the file if it is of {other}."
        )
    if len(given) == sessions:
        return given
    if sessions == 1:
        raise click.UsageError(
            f"{path.name} does not say whose recording it is. Give the code of one participant: "
            "--participant CODE."
        )
    raise click.UsageError(
        f"{path.name} has {sessions} sessions, and does not say whose they are. Give the code of "
        f"each in their order: --participant CODE, {sessions} times."
    )


def _over_settings(choices: StudyChoices, settings: Settings) -> StudyImportOptions:
    from edge_agent.appliance.gate_commands import import_options

    return choices.over(
        import_options(
            purposes=settings.dashboard.purposes,
            keep_days=settings.record.keep_days,
            vision=settings.vision,
        )
    )


def _choices(decided: dict[str, Any]) -> StudyChoices:
    from edge_agent.core.study import Purpose, SessionSetting
    from edge_agent.timeline.intake.sent_files import StudyChoices

    purpose = decided["purpose"]
    choices = StudyChoices(
        prefix=decided["prefix"],
        leave_out=decided["leave_out"],
        purpose=None if purpose is None else named(Purpose, "--purpose", purpose),
        setting=named(SessionSetting, "--setting", decided["setting"]),
        join_recorded=decided["join_recorded"],
    )
    return _with_consent(choices, decided)


def _with_consent(choices: StudyChoices, decided: dict[str, Any]) -> StudyChoices:
    """Return the choices with the consent that is stated."""
    from edge_agent.core.study import AttributeUse

    version = decided["consent"]
    given = decided["consent_on"]
    use = named(AttributeUse, "--consent-attributes", decided["consent_attributes"])
    # A consent without its time, or the other way round, would be no statement.
    if (version is None) != (given is None):
        raise click.UsageError(
            "--consent and --consent-on go together: give the text and the time."
        )
    if version is None or given is None:
        return replace(choices, attributes=use)
    if not version.strip():
        raise click.UsageError("--consent: name the version of the text.")
    given_ms = common.instant_ms("--consent-on", given, decided["timezone"])
    return replace(choices, text_version=version, given_ms=given_ms, attributes=use)


def _lines(report: StudyImport, importable: str) -> list[str]:
    """Return the result of an import of a study, for people.

    Args:
        report: the result.
        importable: of a dry run, a sentence on how much of it can be imported; else empty.
    """
    from edge_agent.timeline.intake.cells import sentences

    lines = [
        f"{count.file:18} {count.taken:>12,} of {count.rows:,} rows"
        + (f", {count.outside_sessions:,} in no session" if count.outside_sessions else "")
        + (f", {count.left_out:,} left out" if count.left_out else "")
        for count in report.counts.values()
    ]
    lines += [note for note in report.notes if not is_unmet(note)]
    lines += sentences(report.problems)
    more = report.problem_count - len(report.problems)
    if more > 0:
        lines.append(f"… and {more:,} more.")
    if report.imported:
        numbers = sorted(report.sessions.values())
        between = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
        lines.append(f"Imported: sessions {between}.")
    elif report.problem_count:
        lines.append("Nothing was imported.")
    elif importable:
        lines.append(f"{importable} Nothing was imported yet.")
    return lines


@cli.command("imports")
@click.option("--undo", type=int, metavar="N", help="Remove what import N added, and nothing else.")
@on_appliance_as_root
@json_option
def imports(here: Here, undo: int | None, as_json: bool) -> None:
    """List the imported files of readings and studies, or undo an import.

    Ends with 1 if something is left of people whom an undone import has removed.
    """
    from edge_agent.timeline.intake.imports import list_imports, undo_import

    # Letters about people whom an undo removes are the dashboard's user's, whose rights root takes.
    with as_owner_of(here.folder):
        database = here.made_database()
        if undo is not None:
            undone = undo_import(database, undo, actor=ACTOR)
            answer(as_json, asdict(undone), undone.sentences)
            if undone.left:
                sys.exit(1)
            return
        known = list_imports(database)
    lines = [one.sentence for one in known] or ["Nothing was imported."]
    answer(as_json, [asdict(one) for one in known], lines)
