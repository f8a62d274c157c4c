"""Commands that look after an appliance: nightly work, health, speed, configuration, alerts."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

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
from edge_agent.core.addresses import masked
from edge_agent.core.advice import printable_lines, shell_word
from edge_agent.core.brought_values import ValuesError, parse_toml
from edge_agent.core.errors import AffectEdgeError, CertificateError, ConfigError, StoreError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.owners import as_owner_of

if TYPE_CHECKING:
    from edge_agent.alerts.sending import AlertOptions
    from edge_agent.config.settings import Settings
    from edge_agent.timeline.write.alert_log import AlertEntry


TLS_FOLDER = "tls"
"""Below the data folder: files that the appliance makes are data, those of people configuration."""
LOOK_WITHIN_S = 300.0
"""Limit of the check of the whole database on nights when a step has failed, seconds."""
GIVEN_DAYS = 14
"""The owner's certificate should have been renewed earlier than so many days before its end: ACME
clients renew 30 days before, or after two thirds of a shorter life.
"""
REPORT_NAME = "affect-edge-report.json"
FOLD_WITHIN_S = 30.0
"""Seconds a night for folding rollups; the backlog of years takes some nights."""


@cli.command()
@on_appliance_as_root
@click.option(
    "--clock-is-right",
    is_flag=True,
    help="Believe the clock after it jumped or the appliance was off for long.",
)
@click.option(
    "--remove-unreadable",
    is_flag=True,
    help="Only remove the rows whose times or values cannot be shown, as doctor names them.",
)
@click.option(
    "--upgrade",
    is_flag=True,
    help="Only upgrade a database of an earlier release, as the agent does when it starts.",
)
def maintenance(here: Here, clock_is_right: bool, remove_unreadable: bool, upgrade: bool) -> None:
    """Do the daily work: certificate, retention, disk budget, unfinished erasures, backup and check
    of the database.

    Each step runs even if another one fails. Ends with 1 if one of them failed.
    """
    log_to_stderr(logging.INFO)
    # Root alone may take the rights of both users: of the timeline's and of the dashboard's.
    with as_owner_of(here.folder):
        if upgrade:
            print_upgraded(here)
            return
        failed = do_daily_work(here, clock_is_right, remove_unreadable)
    sys.exit(int(failed))


def do_daily_work(here: Here, clock_is_right: bool, remove_unreadable: bool) -> bool:
    """Do each step, and print what became of it; return whether one failed."""
    if remove_unreadable:
        print_removed(here.database)
        return False
    from edge_agent.timeline.database.copy import copies_beside

    settings, database = here.settings, here.database
    steps = [("certificate", partial(certificate_step, settings, here.folder))]
    if database.exists():
        steps += [
            ("clock", partial(clock_step, database, clock_is_right)),
            ("audit trail", partial(audit_step, database)),
            ("retention", partial(retention_step, settings, database)),
            ("alerts", partial(alerts_step, settings, database)),
            # before the budget: no row goes for their space
            ("rollups", partial(rollups_step, settings, database)),
            ("budget", partial(budget_step, settings, database)),
            # before the copy, which need not hold what is left
            ("erasures", partial(erasures_step, database)),
            ("copy", partial(copy_step, database)),
            ("second place", partial(second_place_step, settings, database)),
        ]
    elif copies_beside(database):
        steps.append(("copy", partial(missing_step, database)))
    failed = [name for name, step in steps if not attempt(name, step)]
    # A damaged database is the usual cause of a step that fails on a worn card.
    if failed and database.exists():
        attempt("database", partial(damage_step, database))
    return bool(failed)


def print_upgraded(here: Here) -> None:
    """Upgrade the database, and print what became of it.

    Raises:
        StoreError: there is none, or it cannot be upgraded.
    """
    from edge_agent.timeline.database.connection import connect
    from edge_agent.timeline.database.upgrade import is_older

    if is_older(here.database):
        click.echo(f"{here.made_database()}: is upgraded to this release.")
        return
    connect(here.database, readonly=True).close()
    click.echo(f"{here.database}: is of this release. Nothing was changed.")


def print_removed(database: Path) -> None:
    """Remove the rows whose time or value lies beyond ``core.bounds``, and print their number.

    Raises:
        StoreError: the database cannot be written, or such rows are left.
    """
    from edge_agent.timeline.intake.unreadable import remove_unreadable

    removed = remove_unreadable(database, actor=ACTOR)
    if not removed.rows:
        click.echo("No row has a time or a value that cannot be shown. Nothing was removed.")
        return
    click.echo(f"{removed.sentence} removed; none is left. Copies made before still hold them.")


def certificate_step(settings: Settings, folder: Path) -> str:
    """Renew the appliance's own certificate when it ends soon.

    Raises:
        CertificateError: it cannot be made; or the owner's ends soon, which only the owner renews.
    """
    from edge_agent.appliance.certificates import CERTIFICATE, ends_at, is_given, keep_certificate

    own = folder / TLS_FOLDER
    file = own / CERTIFICATE
    if settings.dashboard.certificate != file:
        return "not used: the configuration names another certificate, or none"
    if keep_certificate(own):
        return "renewed"
    if not is_given(file):
        return "good"
    days = (ends_at(file) - clock.now().wall_ms / 1000) / 86_400
    if days < GIVEN_DAYS:
        ending = f"ends in {days:.0f} days" if days > 0 else f"ended {-days:.0f} days ago"
        raise CertificateError(
            f"{file}, which you have installed, {ending}. Renew it at its authority, then: "
            "affect-edge certificate install"
        )
    return f"installed by you, valid for {days:.0f} more days"


def clock_step(database: Path, is_right: bool) -> str:
    """Advance the counted time, by which rows become old.

    Raises:
        StoreError: the clock jumped too far to be trusted.
    """
    from edge_agent.timeline.upkeep.aging import carry_on, confirm_clock

    counted = confirm_clock(database) if is_right else carry_on(database)
    if counted.doubt:
        raise StoreError(counted.doubt)
    if counted.ahead_ms:
        return "ahead of the counted time; believed after three days of recording under it"
    return "agrees with the counted time"


def audit_step(database: Path) -> str:
    """Write the lines of the audit trail that were counted."""
    from edge_agent.timeline.database.connection import write_transaction
    from edge_agent.timeline.write.merged_notes import write_counted

    with write_transaction(database) as connection:
        return f"{write_counted(connection, clock.now())} lines that were counted written"


def retention_step(settings: Settings, database: Path) -> str:
    """Delete rows that are too old, and what interrupted imports and exports left."""
    from edge_agent.timeline.database.dashboard_file import sweep_prepared
    from edge_agent.timeline.upkeep.retention import prune

    sweep_prepared(database.parent)
    days = settings.record.keep_days
    return f"{prune(database, days)} rows older than {days} days deleted"


def alerts_step(settings: Settings, database: Path) -> str:
    """Delete alerts that ended long ago, by the counted time."""
    from edge_agent.timeline.upkeep.aging import carry_on
    from edge_agent.timeline.write.alert_log import prune_alerts

    days = settings.alerts.keep_days
    gone = prune_alerts(database, days, carry_on(database).present_ms)
    return f"{gone} that ended more than {days} days ago deleted"


def rollups_step(settings: Settings, database: Path) -> str:
    """Fold old minutes into hours and old hours into days, by the counted time."""
    from edge_agent.timeline.upkeep.aging import carry_on
    from edge_agent.timeline.upkeep.fold import fold_rollups

    record = settings.record
    minutes_days = max(record.keep_minutes_days, record.keep_days)
    hours_days = max(record.keep_hours_days, minutes_days)
    now_ms = carry_on(database).present_ms
    folded = fold_rollups(database, minutes_days, hours_days, within_s=FOLD_WITHIN_S, now_ms=now_ms)
    return (
        f"{folded.minutes} minutes older than {minutes_days} days became hours, "
        f"{folded.hours} hours older than {hours_days} days became days"
    )


def budget_step(settings: Settings, database: Path) -> str:
    """Delete the oldest rows beyond the disk budget."""
    from edge_agent.timeline.upkeep.budget import keep_to_budget

    record = settings.record
    kept = keep_to_budget(database, record.budget_mb, record.keep_days)
    share = f"{kept.space.used_bytes / 1e6:.0f} of {kept.space.share_bytes / 1e6:.0f} MB"
    return (
        f"{kept.rows} rows deleted, {kept.given_back / 1e6:.0f} MB given back; the "
        f"database has {share}"
    )


def copy_step(database: Path) -> str:
    """Copy the database aside and verify the copy.

    Raises:
        StoreError: it was not made, does not verify, or holds much less than an older one.
    """
    from edge_agent.timeline.upkeep.copies import copies_state, make_daily_copy

    copy = make_daily_copy(database)
    fuller = copies_state(database).smaller_than
    if fuller:
        raise StoreError(
            f"{copy.name} is sound, but holds much less than {fuller}, which is kept. If rows were "
            "lost, stop the agent and restore that copy. If they were meant to go, move it to "
            "another folder."
        )
    return f"{copy.name}, sound"


def erasures_step(database: Path) -> str:
    """Try again what erasures could not do.

    Raises:
        StoreError: it still cannot be done.
    """
    from edge_agent.timeline.upkeep.erasing_again import finish_erasures

    done = finish_erasures(database, actor="appliance")
    if not done:
        return "nothing is left of anybody"
    return f"{done} unfinished step{' was' if done == 1 else 's were'} done"


def damage_step(database: Path) -> str:
    """Check whether a damaged database made a step fail, and leave a note for the agent if so.

    Raises:
        StoreError: it is damaged, or cannot be read.
    """
    from edge_agent.timeline.upkeep.soundness import note_what_is_torn

    torn = note_what_is_torn(database, LOOK_WITHIN_S)
    if torn is not None:
        raise StoreError(
            f"is damaged ({torn}). The agent sets it aside and salvages what is readable into a "
            "new one; start it if it does not run."
        )
    return "no damage was found in it"


def second_place_step(settings: Settings, database: Path) -> str:
    """Copy the database to ``backup.also`` too."""
    from edge_agent.timeline.upkeep.copies import copy_to_second_place, forget_second_place

    if settings.backup.also is None:
        forget_second_place(database)
        return "not configured (backup.also)"
    return f"{copy_to_second_place(database, settings.backup.also, settings.device.name)}, sound"


def missing_step(database: Path) -> str:
    """Report that the database is missing.

    Raises:
        StoreError: always.
    """
    from edge_agent.timeline.database.copy import copies_beside

    names = ", ".join(copy.name for copy in copies_beside(database))
    raise StoreError(
        f"{database}: is missing, but its copies are there ({names}). Stop the agent and restore "
        "one of them."
    )


def attempt(name: str, step: Callable[[], str]) -> bool:
    """Do one step and print its result; return whether it succeeded."""
    try:
        click.echo(f"{name}: {step()}")
    except AffectEdgeError as error:
        click.echo(f"{name}: {printable_lines(error)}", err=True)
        return False
    return True


@cli.command()
@common.place_options
@json_option
@click.option("--deep", is_flag=True, help="Read the whole database and each copy of it.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an archive (ZIP) for support, without personal data.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    is_flag=False,
    flag_value=REPORT_NAME,
    help="Also measure the speed, and write what is worth knowing about this device as JSON, "
    f"without personal data; without FILE: {REPORT_NAME}.",
)
def doctor(
    config: Path | None,
    data: Path | None,
    as_json: bool,
    deep: bool,
    bundle: Path | None,
    report: Path | None,
) -> None:
    """Find faults on this machine, and say what to do."""
    log_to_stderr(logging.CRITICAL)
    from edge_agent.appliance.doctor import diagnose, exit_code
    from edge_agent.appliance.findings import Finding, problem
    from edge_agent.config.loading import load_right_part
    from edge_agent.config.section import at_home

    # A mistake in the configuration must not keep the doctor from finding the others.
    settings, wrong = load_right_part(config)
    folder = at_home(data or settings.data.folder)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            click.echo(
                f"{finding.verdict.value:8} {finding.check}: {printable_lines(finding.found)}"
            )
            if finding.cure:
                click.echo(f"{'':8} → {printable_lines(finding.cure)}")

    if wrong is not None:
        click.echo(f"affect-edge: {wrong}", err=True)
        cure = "Correct it; the following checks ignore the wrong part."
        tell(problem("configuration", str(wrong), cure))
    # Printed one by one: a check of a large database takes minutes, and a camera may hang.
    findings_here = diagnose(settings, folder, deep=deep)
    while True:
        with as_owner_of(folder):
            finding = next(findings_here, None)
        if finding is None:
            break
        tell(finding)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    if bundle is not None:
        from edge_agent.appliance.support_bundle import write_bundle

        write_bundle(bundle, settings, folder, findings)
        click.echo(f"{bundle} is ready to be sent; look into it first.", err=True)
    if report is not None:
        from edge_agent.appliance.device_report import write_report

        write_report(report, settings, folder, findings)
        click.echo(
            f"{report} is written: board, system, versions, camera, models and their speed, sizes, "
            "temperature, these findings and the agent's counters. Codes, names, accounts, "
            "addresses and paths are left out; read it before you send it: "
            f"less {shell_word(report)}",
            err=True,
        )
    sys.exit(2 if wrong is not None else exit_code(findings))


@cli.command()
@common.place_options
@click.argument("part", required=False, type=click.Choice(["agent", "dashboard"]))
@click.option(
    "--collector",
    type=PATH,
    help="Check a collector instead, by the file of its option --health-file.",
)
def health(
    config: Path | None, data: Path | None, part: str | None, collector: Path | None
) -> None:
    """Check whether the agent and the dashboard of this data folder answer, or only PART.

    For programs that monitor them: ends with 0 if all of them answer and the agent stores what it
    records, else with 1.
    """
    if collector is not None:
        _collector_health(collector, part)
    log_to_stderr(logging.CRITICAL)
    settings, folder = common.load(config, data)
    from edge_agent.appliance.running_checks import agent_fault, dashboard_answers

    looks: dict[str, Callable[[], str | None]] = {
        "agent": lambda: agent_fault(folder),
        "dashboard": lambda: None if dashboard_answers(settings.dashboard) else "does not answer",
    }
    faults = {name: looks[name]() for name in ([part] if part else looks)}
    for name, fault in faults.items():
        click.echo(f"{name}: {fault or 'answers'}")
    sys.exit(int(any(faults.values())))


def _collector_health(file: Path, part: str | None) -> NoReturn:
    """Print the problem of a collector, and end with its exit code."""
    if part is not None:
        raise click.UsageError(f"Ask about {part} or about a collector, not about both.")
    from edge_agent.fleet.collector_health import read_problem

    problem = read_problem(file)
    click.echo(f"collector: {problem or 'works'}")
    sys.exit(int(bool(problem)))


@cli.command()
@click.argument("source", required=False, type=PATH)
@click.option(
    "--frames",
    type=click.IntRange(1, 1_000_000),
    default=300,
    show_default=True,
    help="Number of frames to measure.",
)
@on_appliance_as_root
@json_option
def bench(here: Here, source: Path | None, frames: int, as_json: bool) -> None:
    """Measure the speed of each stage of reading a frame.

    SOURCE is a picture or a video; without it, the demonstration is measured.
    """
    from edge_agent.agent.building import owner_of_models
    from edge_agent.appliance.bench import measure, table
    from edge_agent.core.owners import become

    become(owner_of_models(here.settings))
    figures = measure(here.settings, source, frames)
    if not figures["faces"]:
        click.echo(
            "affect-edge: no face was found, so the times say little about frames with a face.",
            err=True,
        )
    click.echo(json.dumps(figures) if as_json else table(figures))


@cli.group("config")
def config_group() -> None:
    """Check or change the configuration."""


@config_group.command("check")
@click.argument("file", required=False, type=PATH)
@common.place_options
def config_check(file: Path | None, config: Path | None, data: Path | None) -> None:
    """Check a configuration file: unknown keys, wrong values, with their lines, missing files.

    `doctor` also tries the camera, the sensors and the broker.
    """
    from edge_agent.appliance.named_files import missing_files

    settings, _ = common.read_settings(file or config, data, strict=True)
    name = file or config or "the configuration"
    missing = missing_files(settings)
    missing |= _checked_start(settings, missing)
    if not missing:
        click.echo(f"{name} is right")
        return
    click.echo(
        f"{name}: its keys and values are right, but it names what is not there, or cannot be read:"
    )
    for key, problem in missing.items():
        click.echo(f"  {key}: {problem}")


def _checked_start(settings: Settings, missing: Collection[str]) -> dict[str, str]:
    """Check what the dashboard checks when it starts, beside its keys and values.

    Args:
        settings: the configuration.
        missing: keys that name missing files, which may be there on the machine that serves.

    Returns:
        What could not be checked here, by key.

    Raises:
        ConfigError: the dashboard would refuse to start.
    """
    from edge_agent.config.dashboard import check_open, check_proxy

    served = settings.dashboard
    check_open(served)
    key = "dashboard.proxy_secret_file"
    if served.proxy is not None and key not in missing:
        try:
            check_proxy(served.proxy)
        except ConfigError as error:
            # The dashboard may have a user of its own, who alone can read it.
            if not isinstance(error.__cause__, PermissionError):
                raise
            return {key: f"{served.proxy.secret_file}: this user may not read it; not checked"}
    return {}


@config_group.command("set")
@click.argument("changes", metavar="KEY=VALUE…", nargs=-1, required=True)
@common.config_option
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
def config_set(changes: tuple[str, ...], config: Path | None, dry_run: bool) -> None:
    """Change values in the configuration file, such as `camera.fps=10`.

    Comments are kept, a copy of the old file is kept beside it (.before), and nothing is written
    that `config check` would refuse. `KEY=` removes the key, so that its default applies.
    """
    from edge_agent.appliance.named_files import missing_files
    from edge_agent.config import editing
    from edge_agent.config.keys import restarts
    from edge_agent.config.loading import SYSTEM_FILE

    wanted = dict(_read(change) for change in changes)
    before = editing.read_file(config or SYSTEM_FILE)
    settings = editing.check_settings(before, strict=False)
    after = editing.ConfigFile(before.path, editing.with_changes(before.text, wanted))
    changed = editing.check_settings(after)
    _checked_start(changed, missing_files(changed))
    lines = editing.difference(before, after, settings, changed)
    click.echo("\n".join(lines) or "nothing to change")
    if dry_run or not lines:
        return
    copy = editing.save(before, after.text)
    click.echo(f"written; before: {copy}")
    services = restarts(tuple(wanted))
    if services:
        click.echo(common.how_to_use(config, services))
    else:
        click.echo("used in seconds, without a restart")


def _read(change: str) -> tuple[str, Any]:
    """Return key and value of an argument; the value ``None`` removes the key."""
    from edge_agent.config.keys import all_keys, key_named

    name, equals, text = change.partition("=")
    if not equals or key_named(name) is None:
        section = name.partition(".")[0]
        keys = [key.name for key in all_keys() if key.section == section]
        known = "Sections: " + ", ".join(dict.fromkeys(key.section for key in all_keys()))
        if keys and equals:
            known = f"Keys: {', '.join(keys)}"
        raise click.UsageError(
            f"{masked(name)}{equals and '=…'}: write KEY=VALUE with a key of the configuration, "
            f"such as camera.fps=10. {known}."
        )
    if not text:
        return name, None
    try:
        # TOML decides the type: 10 is a number, true a truth value, ["a", "b"] a list.
        return name, parse_toml(f"value = {text}")["value"]
    except ValuesError:
        return name, text  # a text without its quotes, as a shell hands it over


@cli.command()
@click.option("--all", "everything", is_flag=True, help="Also ended ones: the last 50 alerts.")
@click.option(
    "--test", "trial", is_flag=True, help="Send a test message to every address of alerts.notify."
)
@on_appliance
@json_option
def alerts(here: Here, everything: bool, trial: bool, as_json: bool) -> None:
    """Show the open alerts, or test the addresses; none of them is a medical alarm.

    With --test it ends with 1 when an address was not reached.
    """
    from edge_agent.alerts.sending import alert_options
    from edge_agent.timeline.write.alert_log import AlertFilter, AlertLog

    if trial:
        sys.exit(_try_addresses(alert_options(here.settings), as_json=as_json))
    wanted = AlertFilter() if everything else AlertFilter(state="open")
    _, rows = AlertLog(here.database).page(wanted, 50, 1)
    nothing = "No alert has begun yet." if everything else "No alert stands."
    answer(as_json, [_told(row) for row in rows], [_line(row) for row in rows] or [nothing])


def _try_addresses(options: AlertOptions, *, as_json: bool) -> int:
    """Send a message to each address; return the exit code."""
    from edge_agent.alerts.rules import DISCLAIMER
    from edge_agent.alerts.sending import Post, post
    from edge_agent.core.texts import N_, Message

    try:
        targets = options.targets()
    except (OSError, ValueError) as error:
        raise ConfigError(f"alerts.notify_file: cannot be read ({error}).") from error
    if not targets:
        raise ConfigError(
            "alerts.notify: contains no address. Add one, such as ntfys://ntfy.sh/NAME"
        )
    title = Message(N_("Affect Edge {device}: test"), device=options.device)
    body = Message(
        "{text}\n{disclaimer}",
        text=Message(N_("Alerts of this appliance arrive here.")),
        disclaimer=Message(DISCLAIMER),
    )
    posts = [Post(target, title, body) for target in targets]
    names = (target.name for target in targets)
    errors = dict(zip(names, post(posts, language=options.language), strict=True))
    told = [{"address": name, "error": error or None} for name, error in errors.items()]
    answer(as_json, told, (f"{name}: {error or 'sent'}" for name, error in errors.items()))
    return int(any(errors.values()))


def _told(alert: AlertEntry) -> dict[str, object]:
    return {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "text": alert.text,
        "value": alert.value,
        "session": alert.session,
        "began": clock.iso_utc(alert.raised_ms),
        "ended": None if alert.ended_ms is None else clock.iso_utc(alert.ended_ms),
        "ending": alert.ending,
        "quiet": alert.quiet,
        "acknowledged_by": alert.acknowledged_by,
    }


def _line(alert: AlertEntry) -> str:
    from edge_agent.alerts.rules import rule_name

    told = _told(alert)
    state = "open"
    if alert.acknowledged_by is not None:
        state = f"seen by {alert.acknowledged_by}"
    if not alert.is_open:
        state = f"until {told['ended']}"
    return f"{told['began']}  {rule_name(alert.rule, alert.kind)}: {alert.text} ({state})"
