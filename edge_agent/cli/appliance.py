"""The commands that look after an installed appliance."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.core.errors import AffectEdgeError, UpdateError

if TYPE_CHECKING:
    from edge_agent.appliance.update import Place

TLS_FOLDER = "tls"
"""Below the data folder: what the appliance makes itself is data, what a person writes is
configuration.
"""
FOLD_WITHIN_S = 30.0
"""Seconds a night for folding rollups; what years have gathered before takes some nights."""


@click.command()
@common_options
def maintenance(config: Path | None, data: Path | None) -> None:
    """Do the daily work: certificate, retention, disk budget, backup and check of the database.

    Each step is tried, whatever becomes of the others. Ends with 1 if one of them failed.
    """
    log_to_stderr(logging.INFO)
    settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.upkeep.backup import check_integrity, make_daily_copy
    from edge_agent.store.upkeep.budget import keep_to_budget
    from edge_agent.store.upkeep.fold import fold_rollups
    from edge_agent.store.upkeep.retention import prune

    database = folder / DATABASE_NAME

    def certificate_step() -> str:
        from edge_agent.appliance.certificate import CERTIFICATE, keep_certificate

        own = folder / TLS_FOLDER
        if settings.dashboard.certificate != own / CERTIFICATE:
            return "none of its own is used"
        if keep_certificate(own):
            return "renewed"
        return "good"

    def copy_step() -> str:
        copy = make_daily_copy(database)
        check_integrity(copy)
        return f"{copy.name}, sound"

    record = settings.record

    def rollups_step() -> str:
        minutes_days = max(record.keep_minutes_days, record.keep_days)
        hours_days = max(record.keep_hours_days, minutes_days)
        folded = fold_rollups(database, minutes_days, hours_days, within_s=FOLD_WITHIN_S)
        return (
            f"{folded.minutes} minutes older than {minutes_days} days became hours, "
            f"{folded.hours} hours older than {hours_days} days became days"
        )

    def budget_step() -> str:
        kept = keep_to_budget(database, record.budget_mb, record.keep_days)
        share = f"{kept.space.used_bytes / 1e6:.0f} of {kept.space.share_bytes / 1e6:.0f} MB"
        return (
            f"{kept.rows} rows deleted, {kept.given_back / 1e6:.0f} MB given back; the "
            f"database has {share}"
        )

    steps: list[tuple[str, Callable[[], str]]] = [("certificate", certificate_step)]
    if database.exists():
        days = record.keep_days
        steps.append(
            ("retention", lambda: f"{prune(database, days)} rows older than {days} days deleted")
        )
        steps.append(("rollups", rollups_step))  # before the budget: no row goes for their space
        steps.append(("budget", budget_step))
        steps.append(("copy", copy_step))
    failed = [name for name, step in steps if not attempt(name, step)]
    sys.exit(int(bool(failed)))


def attempt(name: str, step: Callable[[], str]) -> bool:
    """Do one step and say what became of it; return whether it was done."""
    try:
        click.echo(f"{name}: {step()}")
    except AffectEdgeError as error:
        click.echo(f"{name}: {error}", err=True)
        return False
    return True


@click.command()
@common_options
def backup(config: Path | None, data: Path | None) -> None:
    """Copy the database aside now, beside a running agent, and check the copy."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME
    from edge_agent.store.upkeep.backup import check_integrity, make_daily_copy

    copy = make_daily_copy(folder / DATABASE_NAME)
    check_integrity(copy)
    click.echo(copy)


@click.command()
@click.argument("source", metavar="FILE|URL")
@click.option("--yes", is_flag=True, help="Ask nothing.")
def update(source: str, yes: bool) -> None:
    """Install a newer, signed release; the present one comes back by itself if it is not well."""
    log_to_stderr(logging.WARNING)
    from edge_agent.appliance import update as room
    from edge_agent.appliance.release import version_of

    place = installed_place()
    click.echo(
        f"Affect Edge {version_of(place.current())} is installed. Recording stops for some seconds."
    )
    if not yes:
        click.confirm("Update now?", abort=True)
    version = room.update(place, source, lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Affect Edge {version} runs. `affect-edge rollback` goes back to the one before.")


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing.")
def rollback(yes: bool) -> None:
    """Go back to the release that ran before the last update."""
    log_to_stderr(logging.WARNING)
    from edge_agent.appliance import update as room
    from edge_agent.appliance.release import version_of

    place = installed_place()
    old = place.previous()
    lost = (
        " What was recorded since the update goes, for the older program cannot read it."
        * room.loses_rows(place, old)
    )
    click.echo(f"{version_of(place.current())} makes room for {version_of(old)}.{lost}")
    if not yes:
        click.confirm("Go back now?", abort=True)
    version = room.roll_back(place, lambda sentence: click.echo(f"• {sentence}"))
    click.echo(f"Affect Edge {version} runs.")


def installed_place() -> Place:
    """Return where the appliance is installed, for root, who alone may change it."""
    from edge_agent.appliance.update import Place

    if os.geteuid() != 0:
        raise UpdateError(
            "Only root can change the installed program; put sudo before the command."
        )
    return Place()


@click.command()
@common_options
def certificate(config: Path | None, data: Path | None) -> None:
    """Make the dashboard's own certificate, or renew it, and show its fingerprint."""
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.appliance.certificate import CERTIFICATE, fingerprint, keep_certificate

    made = keep_certificate(folder / TLS_FOLDER)
    click.echo(
        f"{folder / TLS_FOLDER / CERTIFICATE}: {'made' if made else 'good'}, SHA-256 fingerprint"
    )
    click.echo(f"  {fingerprint(folder / TLS_FOLDER / CERTIFICATE)}")
