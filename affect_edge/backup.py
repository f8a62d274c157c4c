"""The commands that back up the appliance and restore it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from affect_edge import options as common
from affect_edge.options import PATH, Here, answer, cli, json_option, on_appliance_as_root
from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import AffectEdgeError, BackupError, ConfigError
from edge_agent.core.owners import become_owner_of, open_given

if TYPE_CHECKING:
    from edge_agent.appliance.archive import Manifest
    from edge_agent.appliance.restore import Places, Restored
    from edge_agent.config.settings import Settings

CONFIG_NAME = "affect-edge.toml"
_SQLITE = b"SQLite format 3\0"
_passphrase_file = click.option(
    "--passphrase-file", type=PATH, help="File whose first line is the passphrase."
)


@cli.command()
@click.argument("file", required=False, type=PATH)
@on_appliance_as_root
@json_option
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase, and lock FILE with it.")
@_passphrase_file
@click.option("--overwrite", is_flag=True, help="Replace an older archive of this name.")
def backup(
    here: Here,
    file: Path | None,
    as_json: bool,
    passphrase: bool,
    passphrase_file: Path | None,
    overwrite: bool,
) -> None:
    """Write a backup of the appliance into FILE, also while the agent runs.

    It contains database, configuration, certificate, accounts, protocols and your own models.
    Without FILE: copy the database aside now, and verify the copy.
    """
    if file is None:
        if passphrase or passphrase_file:
            raise click.UsageError("Name the FILE that the passphrase will lock.")
        from edge_agent.timeline.upkeep.copies import make_daily_copy

        become_owner_of(here.folder)
        copy = str(make_daily_copy(here.database))
        answer(as_json, {"file": copy}, [copy])
        return
    from edge_agent.appliance.backup import check_target

    # Before the passphrase is asked for and anything is copied.
    check_target(file, overwrite=overwrite)
    made = archive_of(here, file, read_passphrase(passphrase_file, ask=passphrase))
    if not as_json:
        for sentence in made.left_out:
            click.echo(f"left out: {sentence}", err=True)
    size = file.stat().st_size / 1e6
    lines = [
        f"{file}: {size:.1f} MB, {len(made.files)} files, read back and right",
        f"  {made.contents.sentence}",
    ]
    answer(as_json, {"file": str(file)} | made.model_dump(mode="json"), lines)


def archive_of(here: Here, file: Path, passphrase: str | None) -> Manifest:
    """Write the archive of an appliance; return what is in it."""
    from edge_agent.appliance.backup import make_backup, parts_of
    from edge_agent.config.loading import SYSTEM_FILE

    used = here.config or (SYSTEM_FILE if SYSTEM_FILE.exists() else None)
    parts = parts_of(here.settings, used, here.folder)
    return make_backup(here.database, parts, file, here.settings.device.name, passphrase)


@cli.command()
@click.argument("file", required=False, type=PATH)
@common.place_options
@json_option
@click.option(
    "--list", "only_list", is_flag=True, help="Show the contents of FILE; change nothing."
)
@_passphrase_file
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def restore(
    file: Path | None,
    config: Path | None,
    data: Path | None,
    as_json: bool,
    only_list: bool,
    passphrase_file: Path | None,
    yes: bool,
) -> None:
    """Restore the appliance from FILE: an archive of `backup`, or a copy of the database.

    Agent and dashboard must be stopped. The present files are set aside, not deleted. Without FILE:
    list the copies of the database, or complete an interrupted restore.
    """
    settings, places = places_of(config, data)
    from edge_agent.appliance.restore import finish_restore

    if not only_list and finish_restore(places):
        say("A restore that was interrupted is complete now. Start agent and dashboard.")
        if as_json:
            click.echo(json.dumps({"completed": True}))
        return
    # First of all: agent and dashboard do not start while files are half replaced.
    if file is None:
        list_copies(settings, places, as_json=as_json)
    elif only_list:
        show(file, passphrase_file, as_json=as_json)
    else:
        restore_file(file, places, passphrase_file, ask=not yes, as_json=as_json)


def places_of(config: Path | None, data: Path | None) -> tuple[Settings, Places]:
    """Return the configuration and the target of a restore; the file may be missing or broken."""
    from edge_agent.appliance.restore import Places
    from edge_agent.config.loading import SYSTEM_FILE, load_settings
    from edge_agent.config.section import at_home

    present = config or (SYSTEM_FILE if data is None and SYSTEM_FILE.exists() else None)
    try:
        settings = load_settings(present if present and present.exists() else None)
    except ConfigError as error:
        if data is None:
            raise ConfigError(
                f"{error} To replace this configuration, name it and the data folder: --config "
                f"{shell_word(present)} --data DIR."
            ) from error
        # An empty file, so all defaults: the broken configuration is about to be replaced.
        settings = load_settings(Path(os.devnull))
    folder = at_home(data or settings.data.folder)
    return settings, Places(folder, present or folder / CONFIG_NAME)


def read_passphrase(file: Path | None, *, ask: bool) -> str | None:
    """Return the passphrase of a file, or ask for a new one twice, or return ``None``."""
    if file is None:
        if not ask:
            return None
        # Twice, since a mistyped passphrase would lock the archive for ever.
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True))
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(
            f"{file}: the passphrase cannot be read ({error}). Name a text file whose first line "
            "it is."
        ) from error
    if not lines or not lines[0]:
        raise BackupError(f"{file}: its first line is empty. Write the passphrase there.")
    return lines[0]


def ask_for(file: Path | None) -> str:
    """Return the passphrase of an archive."""
    # Asked for once: a wrong one only fails, and can be typed again.
    given = read_passphrase(file, ask=False)
    return given or str(click.prompt("Passphrase", hide_input=True, err=True))


def is_database(file: Path) -> bool:
    """Return whether a file is a database rather than an archive."""
    if file.exists() and not file.is_file():
        raise BackupError(f"{file}: is not a file. Name an archive, or a copy of the database.")
    try:
        with os.fdopen(open_given(file), "rb") as opened:
            # By content, not by name: copies have names such as affect-edge.db.2026-11-20.
            return opened.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise BackupError(
            f"{file}: cannot be read ({error.strerror}). `affect-edge restore` without a file "
            "lists the copies that are here."
        ) from error


def show(file: Path, passphrase_file: Path | None, *, as_json: bool) -> None:
    """Print the contents of an archive or a copy."""
    from edge_agent.appliance.archive import open_archive, read_inventory

    told: dict[str, Any] = {"file": str(file)}
    if is_database(file):
        inventory = read_inventory(file)
        told |= {"kind": "copy", "contents": inventory.model_dump(mode="json")}
        lines = [f"{file}: a copy of the database", f"  {inventory.sentence}"]
    else:
        with open_archive(file, lambda: ask_for(passphrase_file)) as archive:
            manifest = archive.manifest
            told |= {"kind": "archive", "locked": archive.is_locked}
        told |= manifest.model_dump(mode="json")
        lines = [
            origin(file, manifest),
            f"  {manifest.contents.sentence}",
            *(f"  {part.path} ({part.bytes:,} bytes)" for part in manifest.files),
            *(f"  left out: {sentence}" for sentence in manifest.left_out),
        ]
    answer(as_json, told, lines)


def origin(file: Path, manifest: Manifest) -> str:
    """Return a sentence about the origin of an archive."""
    return (
        f"{file}: the appliance {manifest.device}, made {manifest.made} by Affect Edge "
        f"{manifest.program}"
    )


def list_copies(settings: Settings, places: Places, *, as_json: bool) -> None:
    """List the copies beside the database and in the second place, with their contents."""
    from edge_agent.appliance.archive import read_inventory
    from edge_agent.timeline.database.copy import copies_beside

    databases = [places.database]
    if settings.backup.also:
        databases.append(settings.backup.also / settings.device.name / places.database.name)
    told: list[dict[str, Any]] = []
    for copy in (copy for database in databases for copy in copies_beside(database)):
        entry: dict[str, Any] = {"file": str(copy), "written": written(copy)}
        try:
            inventory = read_inventory(copy)
            entry |= {"contents": inventory.model_dump(mode="json"), "error": None}
            sentence = inventory.sentence
        except AffectEdgeError as error:
            entry |= {"contents": None, "error": str(error)}
            sentence = f"cannot be used: {error}"
        told.append(entry)
        if not as_json:
            click.echo(f"{copy}\n  written {entry['written']}; {sentence}")
    if as_json:
        click.echo(json.dumps(told))
    elif told:
        click.echo("To use one: stop agent and dashboard, then `affect-edge restore FILE`.")
    else:
        click.echo(f"There is no copy beside {places.database}. Name an archive or a copy.")


def written(file: Path) -> str:
    """Return the time when a file was written, and its age."""
    at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    hours = (clock.utc_now() - at).total_seconds() / 3600
    ago = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
    return f"{at:%Y-%m-%d %H:%M} UTC, {ago} ago"


def restore_file(
    file: Path, places: Places, passphrase_file: Path | None, *, ask: bool, as_json: bool
) -> None:
    """Restore an archive or a copy, after printing its contents and what it replaces."""
    from edge_agent.appliance.archive import open_archive, read_inventory
    from edge_agent.appliance.restore import (
        changes_of_configuration,
        restore_archive,
        restore_database,
    )

    if is_database(file):
        say(f"{file}: a copy of the database", f"  {read_inventory(file).sentence}")
        confirm(places, ask=ask)
        report(restore_database(file, places), places, as_json=as_json)
        return
    with open_archive(file, lambda: ask_for(passphrase_file)) as archive:
        made = archive.manifest
        say(
            origin(file, made),
            f"  {made.contents.sentence}",
            f"  {', '.join(part.path for part in made.files[:12])}"
            + (f" and {len(made.files) - 12} more" if len(made.files) > 12 else ""),
        )
        changes = changes_of_configuration(archive, places)
        if changes:
            say("It changes the configuration:", *(f"  {line}" for line in changes))
        confirm(places, ask=ask)
        report(restore_archive(archive, places), places, as_json=as_json)


def confirm(places: Places, *, ask: bool) -> None:
    """Print the present state, and ask for confirmation."""
    from edge_agent.appliance.archive import read_inventory

    if not places.database.exists():
        say(f"Here now: no database in {places.data}")
    else:
        try:
            say(f"Here now: {places.database}", f"  {read_inventory(places.database).sentence}")
        except AffectEdgeError as error:
            say(f"Here now: {error}")
    say("What is here now is set aside as ….replaced.<time>; nothing is deleted.")
    if ask:
        click.confirm("Restore?", abort=True, err=True)


def report(done: Restored, places: Places, *, as_json: bool) -> None:
    """Print what was restored, and the next steps."""
    told = {
        "contents": done.contents.model_dump(mode="json"),
        "files": [str(path) for path in done.files],
        "replaced": [str(path) for path in done.replaced],
        "erased_again": done.erased,
        "unclear": done.unclear,
        "erasures_known": done.erasures_known,
        "notes": done.notes,
    }
    lines = [f"Restored: {done.contents.sentence}"]
    lines += [f"  set aside: {path}" for path in done.replaced]
    lines += [f"  {note}" for note in done.notes]
    if done.erased:
        lines.append(f"{done.erased} participants who had been erased since were erased again.")
    if done.unclear:
        lines.append(
            f"{done.unclear} erased participants could not be distinguished from others: look "
            "through `affect-edge participant list`, and erase them again."
        )
    if not done.erasures_known:
        lines.append(
            "No database here could tell who was erased since this was made. If anybody was, erase "
            "them again."
        )
    lines.append(
        "Start agent and dashboard: sudo systemctl start affect-edge-agent affect-edge-dashboard "
        f"(or with --config {shell_word(places.config)} --data {shell_word(places.data)})."
    )
    answer(as_json, told, lines)


def say(*lines: str) -> None:
    """Print lines for people on standard error; standard output stays free for JSON."""
    click.echo("\n".join(lines), err=True)
