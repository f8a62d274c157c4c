"""Restoring an appliance from an archive, or its database from a copy.

Everything is prepared beside its place and verified there: archive, database, erasures,
configuration. Only then the files change places, all of them or none, whatever interrupts
(``edge_agent/store/database/files.py``). What was there is set aside.

Erasures that a backup does not know of yet are done again in what is restored. Nobody can reach
into an archive. But the present database and the copies beside it know the times of what was
erased, and when each participant who was erased had been made; by these a participant is recognised
who is still in the archive.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edge_agent.appliance.archive import (
    CONFIG,
    DASHBOARD,
    DATABASE,
    Archive,
    ArchivedFile,
    Inventory,
    Manifest,
    open_as_it_is,
    read_inventory,
)
from edge_agent.config.editing import with_changes
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.errors import BackupError, ConfigError, StoreError
from edge_agent.core.files import give_owner, make_folder
from edge_agent.store.database.dashboard_file import dashboard_file
from edge_agent.store.database.files import (
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
from edge_agent.store.database.lock import lock_alone
from edge_agent.store.database.schema import (
    DATABASE_NAME,
    connect_any,
    copies_beside,
    copy_database,
    renew_stream_epoch,
    transaction,
)
from edge_agent.store.upkeep.copies import forget_mark
from edge_agent.store.upkeep.erasure import erase_from_copy
from edge_agent.store.upkeep.soundness import verify
from edge_agent.store.write.audit import AuditLine, append
from edge_agent.store.write.rollups import (
    Span,
    add_tombstones,
    read_erased_participants,
    read_tombstones,
)


@dataclass(slots=True)
class Erasures:
    """The sessions and participants that are known to be erased.

    Attributes:
        spans: the times of the sessions.
        participants: when each participant had been made, UTC milliseconds, with how many of them.
        complete: whether the present database could tell.
    """

    spans: set[Span] = field(default_factory=set)
    participants: Counter[int] = field(default_factory=Counter)
    complete: bool = True


def known_erasures(database: Path) -> Erasures:
    """Read what was erased from the present database and from every copy that lies beside it."""
    known = Erasures()
    known.complete = _add(known, database)
    for copy in copies_beside(database):
        _add(known, copy)
    return known


def erase_again(restored: Path, known: Erasures) -> tuple[int, int]:
    """Erase those from a restored database who were erased after it was copied.

    Return how many were erased, and how many could not be told apart from others.

    Raises:
        StoreError: the database cannot be written.
    """
    with translate_errors(restored):
        with closing(connect_any(restored)) as connection:
            spans = known.spans - set(read_tombstones(connection))
            made = known.participants - Counter(read_erased_participants(connection))
            codes, unclear = _find(connection, spans, made)
        for code in codes:
            erase_from_copy(restored, code)
        with closing(connect_any(restored)) as connection, transaction(connection):
            missing = spans - set(read_tombstones(connection))
            rest = made - Counter(read_erased_participants(connection))
            add_tombstones(connection, sorted(missing), sorted(rest.elements()))
    return len(codes), unclear


def _add(known: Erasures, database: Path) -> bool:
    """Add what a database knows; return whether it could be read."""
    try:
        with translate_errors(database), closing(open_as_it_is(database)) as connection:
            known.spans |= set(read_tombstones(connection))
            known.participants |= Counter(read_erased_participants(connection))
    except StoreError:
        return False
    return True


def _find(
    connection: sqlite3.Connection, spans: Iterable[Span], made: Counter[int]
) -> tuple[set[str], int]:
    """Return the codes of who was erased, and how many could be one or another."""
    codes: set[str] = set()
    unclear = 0
    by_session = {code for span in spans for code in _codes_in(connection, span)}
    for created, number in made.items():
        there = _codes_made(connection, created)
        if len(there) > number:  # several were made at one time, and only some of them erased
            there &= by_session
            unclear += abs(number - len(there))
        if len(there) <= number:
            codes |= there
    return codes, unclear


def _codes_in(connection: sqlite3.Connection, span: Span) -> set[str]:
    """Return who has a session of this time; one that was open when it was copied has no end."""
    rows = connection.execute(
        "SELECT code FROM participant JOIN session ON session.participant = participant.id "
        "WHERE started = ? AND (ended = ? OR ended IS NULL)",
        span,
    )
    return {row[0] for row in rows}


def _codes_made(connection: sqlite3.Connection, created: int) -> set[str]:
    rows = connection.execute("SELECT code FROM participant WHERE created = ?", (created,))
    return {row[0] for row in rows}


ELSEWHERE = "from-backup"
"""Folder below the data folder for files that lay anywhere else."""
_SPARE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Places:
    """The places that an appliance is restored to.

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
        """The file itself, where a link leads to."""
        return self.database.resolve()


@dataclass(slots=True)
class Restored:
    """The result of a restore.

    Attributes:
        contents: what is in the database now.
        replaced: what was there before, set aside.
        files: the places that were filled.
        erased: participants who were erased again.
        unclear: erased participants who could not be told apart from others.
        erasures_known: whether the present database could tell who was erased.
        notes: sentences about what was done differently.
    """

    contents: Inventory
    replaced: list[Path]
    files: list[Path]
    erased: int = 0
    unclear: int = 0
    erasures_known: bool = True
    notes: list[str] = field(default_factory=list)


def restore_archive(archive: Archive, places: Places) -> Restored:
    """Put what is in an archive in the place of what is here.

    Raises:
        BackupError: the archive is damaged, or does not fit. Nothing has changed then.
        StoreError: agent or dashboard run, a folder cannot be written, the database is damaged.
    """
    plan = _plan(archive.manifest, places)
    with _prepared(places, plan.targets, archive.manifest.size) as database:
        written = {file.path for file, _ in plan.files}
        archive.check(file for file in archive.manifest.files if file.path not in written)
        for file, target in plan.files:
            _extract(archive, file, target)
        _write_config(archive.manifest, places, plan)
        return _restore(database, places, plan)


def restore_database(copy: Path, places: Places) -> Restored:
    """Put a copy in the place of the database; configuration and other files stay.

    Raises:
        BackupError: the copy is the database itself, or cannot be read.
        StoreError: agent or dashboard run, a folder cannot be written, the copy is damaged.
    """
    if copy.resolve() == places.database_file:
        raise BackupError(f"{copy}: is the database itself. Name a copy of it.")
    plan = _Plan([], [places.database_file])
    with _prepared(places, plan.targets, copy.stat().st_size) as database:
        with translate_errors(copy), closing(open_as_it_is(copy)) as connection:
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


# ---------------------------------------------------------------- where everything goes


@dataclass(slots=True)
class _Plan:
    files: list[tuple[ArchivedFile, Path]]
    targets: list[Path]
    values: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def _plan(manifest: Manifest, places: Places) -> _Plan:
    """Decide where each file goes, and which keys of the configuration name other places then."""
    plan = _Plan([], [])
    there = set()
    for setting in manifest.settings:
        old = Path(setting.value).expanduser()
        new = _target(setting.path, places)
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
    """Tell whether the file of the archive is there already."""
    if not target.is_file() or target.stat().st_size != file.bytes:
        return False
    with target.open("rb") as present:
        return hashlib.file_digest(present, "sha256").hexdigest() == file.sha256


def _target(path: str, places: Places) -> Path:
    """Return the place of something in an archive, where links lead to."""
    root, *rest = PurePosixPath(path).parts
    if path == DATABASE:
        return places.database_file
    if path == DASHBOARD:
        return dashboard_file(places.database)
    if path == CONFIG:
        return places.config.resolve()
    if root == "data":
        place = places.data.absolute().joinpath(*rest)
    elif root == "config":
        place = places.config.absolute().parent.joinpath(*rest)
    else:
        place = places.data.absolute().joinpath(ELSEWHERE, *rest)
    return place


# ---------------------------------------------------------------- preparing


@contextmanager
def _prepared(places: Places, targets: list[Path], size: int) -> Iterator[Path]:
    """Have the appliance for oneself and room for its files; clean up whatever comes."""
    make_folder(places.data.absolute())
    with lock_alone(places.database):
        refuse_half_replaced(places.database)
        free = shutil.disk_usage(places.data).free
        if free < size + _SPARE_BYTES:
            raise BackupError(
                f"{places.data}: {free / 1e6:.0f} MB are free, and "
                f"{(size + _SPARE_BYTES) / 1e6:.0f} MB are needed, for what is here now stays "
                "beside it. Nothing was changed."
            )
        try:
            _clean(targets)
            yield prepared_path(places.database_file)
        except OSError as error:
            raise BackupError(
                f"{error.filename or places.data}: cannot be written ({error.strerror or error}). "
                "Run as root (sudo), or free space. Nothing was changed."
            ) from error
        finally:
            # once files have begun to change places, what is prepared is all that there is
            if not is_half_replaced(places.database):
                _clean(targets)


def _clean(targets: list[Path]) -> None:
    """Delete what a restore that did not come to its end has prepared."""
    for target in targets:
        prepared = prepared_path(target)
        for end in ("", *LOGS, ".part"):
            prepared.with_name(prepared.name + end).unlink(missing_ok=True)


def _extract(archive: Archive, file: ArchivedFile, target: Path) -> None:
    prepared = prepared_path(target)
    make_folder(target.parent)
    handle = os.open(prepared, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        archive.extract(file, out)
        out.flush()
        os.fsync(out.fileno())
    give_owner(prepared, target, 0o600 if file.private else 0o640)


def _write_config(manifest: Manifest, places: Places, plan: _Plan) -> None:
    """Write the places that files have now into the configuration, and see that it is right.

    Raises:
        BackupError: this program does not understand it.
    """
    target = places.config.resolve()
    prepared = prepared_path(target)
    if target not in plan.targets:
        return
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
    """Return the data folder where the configuration names another one, or none."""
    named = tomllib.loads(text).get("data", {}).get("folder", "~/.local/share/affect-edge")
    if Path(named).expanduser().absolute() == places.data.absolute():
        return {}
    return {"data.folder": str(places.data.absolute())}


# ---------------------------------------------------------------- the database, and the switch


def _restore(database: Path, places: Places, plan: _Plan) -> Restored:
    """Verify and complete the prepared database, then change the files' places."""
    try:
        verify(database)
    except StoreError as error:
        raise BackupError(
            f"What is to be restored is not sound. {error} Nothing was changed."
        ) from error
    known = known_erasures(places.database)
    erased, unclear = erase_again(database, known)
    with translate_errors(database), closing(connect_any(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            renew_stream_epoch(connection)
            forget_mark(connection)
            told = f"{erased} participants erased again"
            append(connection, AuditLine(clock.now().wall_ms, "appliance", "restore", told))
    contents = read_inventory(database)
    give_owner(database, places.database_file, 0o640)
    with database.open("rb") as file:
        os.fsync(file.fileno())
    stamp = free_stamp(plan.targets, f"{clock.utc_now():%Y%m%dT%H%M%SZ}")
    replace_files(places.database, plan.targets, stamp)
    replaced = list(set_aside(plan.targets, stamp))
    return Restored(contents, replaced, plan.targets, erased, unclear, known.complete, plan.notes)
