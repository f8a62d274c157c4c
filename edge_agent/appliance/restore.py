"""Restoring an appliance from an archive, or its database from a copy.

Everything is prepared beside its final place and verified there: archive, database, erasures,
configuration. Only then the files change places, all of them or none, even if the power fails
(``edge_agent/timeline/database/files.py``). The files that were there are set aside.

A backup may still contain participants who were erased later. The present database and its copies
know the times of the erased sessions, and the time when each erased participant was created. With
these, such participants are recognised in the restored database and erased again.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath

from edge_agent.appliance.archive import (
    CONFIG,
    DASHBOARD,
    DATABASE,
    OWN_PROTOCOLS,
    Archive,
    ArchivedFile,
    Inventory,
    Manifest,
    open_as_it_is,
    read_inventory,
)
from edge_agent.config.editing import with_changes
from edge_agent.config.keys import key_named
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.bounds import printable
from edge_agent.core.brought_values import parse_toml
from edge_agent.core.errors import BackupError, ConfigError, StoreError
from edge_agent.core.files import give_owner, make_folder, room_in
from edge_agent.core.owners import as_owner_of, is_root, owner_of
from edge_agent.timeline.database.connection import connect_any, transaction
from edge_agent.timeline.database.copy import copies_beside, copy_database
from edge_agent.timeline.database.dashboard_file import (
    PROTOCOLS,
    as_owner,
    dashboard_file,
    own_folder,
)
from edge_agent.timeline.database.files import (
    LOGS,
    finish_replacement,
    free_stamp,
    is_half_replaced,
    prepared_path,
    refuse_half_replaced,
    replace_files,
    set_aside,
    translate_errors,
)
from edge_agent.timeline.database.lock import lock_alone
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.setting import renew_stream_epoch
from edge_agent.timeline.upkeep.copies import forget_mark
from edge_agent.timeline.upkeep.erasing_again import Erasures, erase_again
from edge_agent.timeline.upkeep.soundness import verify
from edge_agent.timeline.write.audit import AuditLine, append
from edge_agent.timeline.write.rollups import read_erased_participants, read_tombstones

ELSEWHERE = "from-backup"
"""Folder below the data folder for files from places outside data and configuration."""
_LARGEST_CONFIG = 1_000_000
_MOST_CHANGES = 40
_WIDEST = 200
"""Characters of a value that are shown."""


def known_erasures(database: Path) -> Erasures:
    """Read the erasures that the present database and every copy beside it know of."""
    known = Erasures()
    # The present database first: it knows of every erasure here, unless it is damaged.
    known.complete = _add(known, database)
    for copy in copies_beside(database):
        _add(known, copy)
    return known


def _add(known: Erasures, database: Path) -> bool:
    """Add what a database knows; return whether it could be read."""
    try:
        with (
            as_owner_of(database),
            translate_errors(database),
            closing(open_as_it_is(database)) as connection,
        ):
            known.spans |= set(read_tombstones(connection))
            known.participants |= Counter(read_erased_participants(connection))
    except StoreError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Places:
    """The target of a restore.

    Attributes:
        data: the data folder; made if needed.
        config: the configuration.
    """

    data: Path
    config: Path

    @property
    def database(self) -> Path:
        """The database, as agent and dashboard name it."""
        return self.data / DATABASE_NAME

    @property
    def database_file(self) -> Path:
        """The file of the database, with links resolved."""
        return _real(self.database)


def _real(file: Path) -> Path:
    """Return a path with its links resolved, as far as root lets itself be led.

    Raises:
        BackupError: another user has laid a link there.
    """
    if not is_root() or owner_of(file) is None:
        return file.resolve()
    if file.is_symlink():
        raise BackupError(
            f"{file}: is a link in a folder of another user, so root restores nothing there. See "
            "who made it, and delete it. Nothing was changed."
        )
    return file.absolute()


@dataclass(slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        contents: inventory of the restored database.
        replaced: the former files, which were set aside.
        files: the restored files.
        erased: number of participants who were erased again.
        unclear: number of erased participants who cannot be told from others.
        erasures_known: whether the present database could be read for erasures.
        notes: sentences about changes that the restore made.
    """

    contents: Inventory
    replaced: list[Path]
    files: list[Path]
    erased: int = 0
    unclear: int = 0
    erasures_known: bool = True
    notes: list[str] = field(default_factory=list)


def changes_of_configuration(archive: Archive, places: Places) -> list[str]:
    """Return a line for each key of the configuration whose value is another in an archive.

    Raises:
        BackupError: the archive is damaged.
    """
    brought = next((one for one in archive.manifest.files if one.path == CONFIG), None)
    if brought is None or brought.bytes > _LARGEST_CONFIG:
        return []
    content = BytesIO()
    archive.extract(brought, content)
    try:
        new = _values(content.getvalue())
    except ValueError:  # refused later, before anything changes
        return []
    try:
        old = _values(places.config.read_bytes())
    except (OSError, ValueError):
        old = {}
    # The data folder stays, whatever the archive's configuration says.
    changed = sorted({key for key in old | new if old.get(key) != new.get(key)} - {"data.folder"})
    lines = [_change(key, old.get(key), new.get(key)) for key in changed]
    more = len(lines) - _MOST_CHANGES
    return lines if more <= 0 else [*lines[:_MOST_CHANGES], f"and {more} more keys"]


def _values(content: bytes) -> dict[str, object]:
    """Return the value of each key of a configuration.

    Raises:
        ValueError: it is no TOML.
    """
    sections = parse_toml(content.decode("utf-8"))
    return {
        f"{section}.{key}": value
        for section, values in sections.items()
        for key, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


def _change(key: str, old: object, new: object) -> str:
    known = key_named(key)
    if known is None or known.secret:  # a secret may stand in what this version does not know
        return f"{printable(key)}: another value"
    before, after = (
        "unset" if value is None else printable(repr(value))[:_WIDEST] for value in (old, new)
    )
    return f"{key}: {before} becomes {after}"


def restore_archive(archive: Archive, places: Places) -> Restored:
    """Replace the appliance's files by those of an archive.

    Raises:
        BackupError: the archive is damaged, or does not fit. Nothing has changed then.
        StoreError: agent or dashboard run, a folder cannot be written, the database is damaged.
    """
    plan = _plan(archive.manifest, places)
    with _hold_appliance(places, plan.targets, archive.manifest.size) as database:
        written = {file.path for file, _ in plan.files}
        # Files that are already in place are not written, but a damaged archive must still be
        # noticed.
        archive.check(file for file in archive.manifest.files if file.path not in written)
        for file, target in plan.files:
            _extract(archive, file, target)
        _write_config(archive.manifest, places, plan)
        return _restore(database, places, plan)


def restore_database(copy: Path, places: Places) -> Restored:
    """Replace the database by a copy; configuration and other files stay.

    Raises:
        BackupError: the copy is the database itself, or cannot be read.
        StoreError: agent or dashboard run, a folder cannot be written, the copy is damaged.
    """
    if copy.resolve() == places.database_file.resolve():
        raise BackupError(f"{copy}: is the database itself. Name a copy of it.")
    plan = _Plan([], [places.database_file])
    with _hold_appliance(places, plan.targets, copy.stat().st_size) as database:
        with as_owner_of(copy), translate_errors(copy):
            connection = open_as_it_is(copy)
        with closing(connection), as_owner_of(database), translate_errors(copy):
            copy_database(connection, database)
        return _restore(database, places, plan)


def finish_restore(places: Places) -> bool:
    """Complete a restore that was interrupted; return whether there was one.

    Raises:
        StoreError: agent or dashboard run, or a folder cannot be written.
    """
    if not is_half_replaced(places.database):
        return False
    with lock_alone(places.database):
        return finish_replacement(places.database)


@dataclass(slots=True)
class _Plan:
    files: list[tuple[ArchivedFile, Path]]
    targets: list[Path]
    values: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _plan(manifest: Manifest, places: Places) -> _Plan:
    """Decide the place of each file, and the keys of the configuration that change with it."""
    plan = _Plan([], [])
    there = set()
    for setting in manifest.settings:
        old = Path(setting.value).expanduser()
        new = _target(setting.path, places)
        # A file elsewhere belongs to the machine: it is not overwritten.
        if setting.path.startswith("other/") and old.exists():
            there.add(setting.key)
            plan.notes.append(f"{setting.key}: {old} is there already, and stays as it is")
        elif old.absolute() != new:
            plan.values[setting.key] = str(new)
            plan.notes.append(f"{setting.key} is {new} now")
    for file in manifest.files:
        parts = PurePosixPath(file.path).parts
        target = _target(file.path, places)
        stays = parts[0] == "other" and parts[1] in there
        # Always written: both are changed below, or may be.
        if not stays and (file.path in {DATABASE, CONFIG} or not _is_same(file, target)):
            plan.files.append((file, target))
    plan.targets = [target for _, target in plan.files if target != places.database_file]
    plan.targets.append(places.database_file)  # last: when it is there, everything is
    for target in plan.targets:
        if target.is_dir():
            raise BackupError(
                f"{target}: is a folder, and a file has to go there. Move it away. Nothing was "
                "changed."
            )
    return plan


def _is_same(file: ArchivedFile, target: Path) -> bool:
    """Return whether the file of the archive exists already with the same content."""
    if not target.is_file() or target.stat().st_size != file.bytes:
        return False
    with as_owner_of(target), target.open("rb") as present:
        return hashlib.file_digest(present, "sha256").hexdigest() == file.sha256


def _target(path: str, places: Places) -> Path:
    """Return the target of a path in an archive, with links resolved."""
    root, *rest = PurePosixPath(path).parts
    if path == DATABASE:
        return places.database_file
    if path == DASHBOARD:
        file = dashboard_file(places.database)
        if os.path.lexists(file.parent):  # not on a machine that has no data yet
            with _rights_for(DASHBOARD, file):  # refused before anything changes
                pass
        return file
    if path == CONFIG:
        return _real(places.config)
    if path.startswith(f"{OWN_PROTOCOLS}/"):
        inside = PurePosixPath(path).relative_to(OWN_PROTOCOLS).parts
        place = own_folder(places.data.absolute()).joinpath(PROTOCOLS, *inside)
    elif root == "data":
        place = places.data.absolute().joinpath(*rest)
    elif root == "config":
        place = places.config.absolute().parent.joinpath(*rest)
    else:
        place = places.data.absolute().joinpath(ELSEWHERE, *rest)
    return place


@contextmanager
def _hold_appliance(places: Places, targets: list[Path], size: int) -> Iterator[Path]:
    """Lock the appliance, check the free space, and clean up at the end."""
    with as_owner_of(places.data):
        make_folder(places.data.absolute())
    with lock_alone(places.database):
        refuse_half_replaced(places.database)
        # Until it is restored, nothing is recorded.
        room = room_in(places.data, is_needed=True)
        if room < size:
            raise BackupError(
                f"{places.data}: {size / 1e6:.0f} MB are needed, since the present files are kept, "
                f"and {max(0, room) / 1e6:.0f} MB may be written without touching what is "
                "reserved. Free space, then try again. Nothing was changed."
            )
        try:
            # The prepared files of a restore that was interrupted would be in the way.
            _clean(targets)
            yield prepared_path(places.database_file)
        except OSError as error:
            raise BackupError(
                f"{error.filename or places.data}: cannot be written ({error.strerror or error}). "
                "Run as root (sudo), or free space. Nothing was changed."
            ) from error
        finally:
            # once files have begun to change places, the prepared ones are the only ones
            if not is_half_replaced(places.database):
                _clean(targets)


def _clean(targets: list[Path]) -> None:
    """Delete the prepared files of a restore that did not finish."""
    for target in targets:
        prepared = prepared_path(target)
        with as_owner_of(target):
            for end in ("", *LOGS, ".part"):
                prepared.with_name(prepared.name + end).unlink(missing_ok=True)


def _rights_for(path: str, target: Path) -> AbstractContextManager[None]:
    """Return whose rights a file of an archive gets its place with.

    Of the accounts it is the dashboard's user, even if the folder is exchanged meanwhile.
    """
    return as_owner(target) if path == DASHBOARD and is_root() else as_owner_of(target)


def _extract(archive: Archive, file: ArchivedFile, target: Path) -> None:
    prepared = prepared_path(target)
    with _rights_for(file.path, target):
        make_folder(target.parent)
        # Private from the first byte on; a mode set afterwards would leave a moment for others to
        # read.
        handle = os.open(prepared, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as out:
            archive.extract(file, out)
            out.flush()
            os.fsync(out.fileno())
        give_owner(prepared, target, 0o600 if file.private else 0o640)


def _write_config(manifest: Manifest, places: Places, plan: _Plan) -> None:
    """Write the new paths into the configuration, and check it.

    Raises:
        BackupError: this version does not understand the configuration.
    """
    target = _real(places.config)
    prepared = prepared_path(target)
    if target not in plan.targets:
        return
    with as_owner_of(target):
        _check_config(prepared, manifest)
        text = prepared.read_text(encoding="utf-8")
        changed = with_changes(text, _folder(text, places) | plan.values)
        if changed != text:
            with prepared.open("w", encoding="utf-8") as file:
                file.write(changed)
                file.flush()
                os.fsync(file.fileno())
            _check_config(prepared, manifest)


def _check_config(prepared: Path, manifest: Manifest) -> None:
    try:
        load_settings(prepared)
    except ConfigError as error:
        raise BackupError(
            f"The archive's configuration, of Affect Edge {manifest.program}, is not one that this "
            f"version understands: {error} Nothing was changed."
        ) from error


def _folder(text: str, places: Places) -> dict[str, str]:
    """Return the key of the data folder, if the configuration names another folder or none."""
    named = parse_toml(text).get("data", {}).get("folder", "~/.local/share/affect-edge")
    if Path(named).expanduser().absolute() == places.data.absolute():
        return {}
    return {"data.folder": str(places.data.absolute())}


def _restore(database: Path, places: Places, plan: _Plan) -> Restored:
    """Verify and complete the prepared database, then change the files' places."""
    with as_owner_of(places.database):
        contents, known, erased, unclear = _complete(database, places)
    # One stamp for all, by which the files that were set aside belong together.
    stamp = free_stamp(plan.targets, f"{clock.utc_now():%Y%m%dT%H%M%SZ}")
    replace_files(places.database, plan.targets, stamp)
    replaced = list(set_aside(plan.targets, stamp))
    return Restored(contents, replaced, plan.targets, erased, unclear, known.complete, plan.notes)


def _complete(database: Path, places: Places) -> tuple[Inventory, Erasures, int, int]:
    """Verify the prepared database and erase from it who was erased since.

    Returns:
        What is in it, the known erasures, how many were erased again, and how many are unclear.
    """
    # Before anything changes its place, so that a damaged archive costs nothing.
    try:
        verify(database)
    except StoreError as error:
        raise BackupError(
            f"The database to be restored is damaged. {error} Nothing was changed."
        ) from error
    # Those who were erased since the copy must not come back with it.
    known = known_erasures(places.database)
    erased, unclear = erase_again(database, known)
    with translate_errors(database), closing(connect_any(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            # The collector has changes that this database does not contain; with a new epoch it
            # cannot mistake later ones for them.
            renew_stream_epoch(connection)
            forget_mark(connection)
            told = f"{erased} participant{'' if erased == 1 else 's'} erased again"
            append(connection, AuditLine(clock.now().wall_ms, "appliance", "restore", told))
    contents = read_inventory(database)
    give_owner(database, places.database_file, 0o640)
    with database.open("rb") as file:
        os.fsync(file.fileno())
    return contents, known, erased, unclear
