"""The commands that look after an installed appliance."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.core import clock
from edge_agent.core.errors import AffectEdgeError, CertificateError, StoreError

if TYPE_CHECKING:
    from edge_agent.config import Settings

TLS_FOLDER = "tls"
"""Below the data folder: what the appliance makes itself is data, what a person writes is
configuration.
"""
LOOK_WITHIN_S = 300.0
"""Seconds for a look through the whole database, on nights on which a step has failed."""
GIVEN_DAYS = 14
"""A certificate of the owner's that ends earlier was not renewed when it should have been: ACME
clients begin 30 days before, or after two thirds of a shorter life.
"""
FOLD_WITHIN_S = 30.0
"""Seconds a night for folding rollups; what years have gathered before takes some nights."""


@click.command()
@common_options
@click.option(
    "--clock-is-right",
    is_flag=True,
    help="Believe the clock after it jumped or the appliance was off for long.",
)
def maintenance(config: Path | None, data: Path | None, clock_is_right: bool) -> None:
    """Do the daily work: certificate, retention, disk budget, backup and check of the database.

    Each step is tried, whatever becomes of the others. Ends with 1 if one of them failed.
    """
    log_to_stderr(logging.INFO)
    settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME, copies_beside

    database = folder / DATABASE_NAME
    steps = [("certificate", lambda: certificate_step(settings, folder))]
    if database.exists():
        steps.append(("clock", lambda: clock_step(database, clock_is_right)))
        steps.append(("retention", lambda: retention_step(settings, database)))
        steps.append(("alerts", lambda: alerts_step(settings, database)))
        # before the budget: no row goes for their space
        steps.append(("rollups", lambda: rollups_step(settings, database)))
        steps.append(("budget", lambda: budget_step(settings, database)))
        steps.append(("copy", lambda: copy_step(database)))
        steps.append(("second place", lambda: second_place_step(settings, database)))
    elif copies_beside(database):
        steps.append(("copy", lambda: missing_step(database)))
    failed = [name for name, step in steps if not attempt(name, step)]
    if failed and database.exists():
        attempt("database", lambda: damage_step(database))
    sys.exit(int(bool(failed)))


def certificate_step(settings: Settings, folder: Path) -> str:
    """Renew the appliance's own certificate when it ends soon.

    Raises:
        CertificateError: it cannot be made; or one of the owner's ends soon, and nobody else can
            renew it.
    """
    from edge_agent.appliance.certificate import CERTIFICATE, ends_at, is_given, keep_certificate

    own = folder / TLS_FOLDER
    file = own / CERTIFICATE
    if settings.dashboard.certificate != file:
        return "none of its own is used"
    if keep_certificate(own):
        return "renewed"
    if not is_given(file):
        return "good"
    days = (ends_at(file) - clock.now().wall_ms / 1000) / 86_400
    if days < GIVEN_DAYS:
        raise CertificateError(
            f"{file}, which you have installed, {_ending(days)}. Renew it where it comes from, "
            "then: affect-edge certificate install"
        )
    return f"installed by you, valid for {days:.0f} more days"


def _ending(days: float) -> str:
    return f"ends in {days:.0f} days" if days > 0 else f"ended {-days:.0f} days ago"


def clock_step(database: Path, is_right: bool) -> str:
    """Count the time on by which rows become old.

    Raises:
        StoreError: the clock jumped too far to be believed.
    """
    from edge_agent.store.upkeep.counted_time import carry_on, confirm_clock

    counted = confirm_clock(database) if is_right else carry_on(database)
    if counted.doubt:
        raise StoreError(counted.doubt)
    if counted.ahead_ms:
        return "ahead of the counted time; believed after three days of recording under it"
    return "agrees with the counted time"


def retention_step(settings: Settings, database: Path) -> str:
    """Delete rows that are too old."""
    from edge_agent.store.upkeep.retention import prune

    days = settings.record.keep_days
    return f"{prune(database, days)} rows older than {days} days deleted"


def alerts_step(settings: Settings, database: Path) -> str:
    """Delete alerts that ended long ago, by the counted time."""
    from edge_agent.store.alert_log.alert_log import prune_alerts
    from edge_agent.store.upkeep.counted_time import carry_on

    days = settings.alerts.keep_days
    gone = prune_alerts(database, days, carry_on(database).present_ms)
    return f"{gone} that ended more than {days} days ago deleted"


def rollups_step(settings: Settings, database: Path) -> str:
    """Fold old minutes into hours and old hours into days, by the counted time."""
    from edge_agent.store.upkeep.counted_time import carry_on
    from edge_agent.store.upkeep.fold import fold_rollups

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
    from edge_agent.store.upkeep.budget import keep_to_budget

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
    from edge_agent.store.upkeep.backup import make_daily_copy
    from edge_agent.store.upkeep.copy_report import standing

    copy = make_daily_copy(database)
    fuller = standing(database).smaller_than
    if fuller:
        raise StoreError(
            f"{copy.name} is sound, but holds much less than {fuller}, which is kept. If rows were "
            "lost, stop the agent and restore that copy. If they were meant to go, move it to "
            "another folder."
        )
    return f"{copy.name}, sound"


def damage_step(database: Path) -> str:
    """Look whether it is the database that made a step fail, and leave word for the agent if so.

    Raises:
        StoreError: it is damaged, or cannot be read.
    """
    from edge_agent.store.upkeep.verification import note_what_is_torn

    torn = note_what_is_torn(database, LOOK_WITHIN_S)
    if torn is not None:
        raise StoreError(
            f"is damaged ({torn}). The agent sets it aside and salvages what is readable into a "
            "new one; start it if it does not run."
        )
    return "no damage was found in it"


def second_place_step(settings: Settings, database: Path) -> str:
    """Copy the database to ``backup.also`` too."""
    from edge_agent.store.upkeep.second_place import copy_to_second_place, forget_second_place

    if settings.backup.also is None:
        forget_second_place(database)
        return "none is asked for (backup.also)"
    return f"{copy_to_second_place(database, settings.backup.also, settings.device.name)}, sound"


def missing_step(database: Path) -> str:
    """Say that the database is gone.

    Raises:
        StoreError: always.
    """
    from edge_agent.store.database.schema import copies_beside

    names = ", ".join(copy.name for copy in copies_beside(database))
    raise StoreError(
        f"{database}: is gone, but its copies are there ({names}). Stop the agent and restore one "
        "of them."
    )


def attempt(name: str, step: Callable[[], str]) -> bool:
    """Do one step and say what became of it; return whether it was done."""
    try:
        click.echo(f"{name}: {step()}")
    except AffectEdgeError as error:
        click.echo(f"{name}: {error}", err=True)
        return False
    return True
