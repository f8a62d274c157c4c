"""Exports that are prepared in the data folder, so that a download can be taken up where it broke
off.

A prepared file holds health data: it lies under a random name, readable for this user alone and
found by the account that asked for it, and is deleted ten minutes after it was sent to its end, an
hour after it was made, when the account asks for another, when anybody is erased, and whenever the
dashboard starts or ends.

The study of several devices becomes one zip. Each site keeps a folder of its own, which its own
dashboard would export, for the timeline knows whose a reading is by its time, and two devices have
two clocks. Beside these folders lie the list of sites and the analysis of all of them together.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import resources
from os.path import samestat
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dashboard.analysis.query import Sample
from dashboard.backup import write_backup
from dashboard.computing.answers import computed_files, files_over_sites
from dashboard.computing.processes import Computing
from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.core.csv_cells import table_text
from edge_agent.core.errors import AffectEdgeError, StoreError
from edge_agent.core.files import RESERVED_BYTES, opened_folder, room_in
from edge_agent.core.texts import N_, text_of
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.dashboard_file import (
    delete_prepared_exports,
    make_prepared_folder,
    prepared_folder,
)
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.files import folder_beside, move_into_zip, new_file
from edge_agent.timeline.export.format import ExportFormat
from edge_agent.timeline.export.rows import ExportChoice, choose
from edge_agent.timeline.export.sealed import SUFFIX as SEALED_SUFFIX
from edge_agent.timeline.export.sealed import seal, sealed_name
from edge_agent.timeline.export.source import OnProgress
from edge_agent.timeline.export.table_schemas import COMPUTED
from edge_agent.timeline.read.sites import Sites, pooled_number, sessions_by_site
from edge_agent.vision.models.card import known_cards

log = logging.getLogger(__name__)

SUFFIX = ".zip"
_LEVEL = 2  # as in a bundle
_LONGEST = 60
_Result = TypeVar("_Result")
KEPT_S = 3600.0
SENT_S = 600.0
LentStudy = Callable[[], AbstractContextManager[Sites]]
"""Lends the databases of a study for the length of a ``with`` block."""


class Compute(Protocol):
    """Calls a function that loads SciPy, where that may be loaded."""

    def __call__(self, function: Callable[..., _Result], *values: Any) -> _Result:
        """Return what the function returns."""


@dataclass(frozen=True, slots=True)
class StudyExport:
    """A request to export several sites.

    Attributes:
        format: of the folder of each site.
        choice: which part; sessions by their numbers in ``PooledReader``. A range of time is by
            each device's own clock.
        question: of the analysis, for the bundle; empty where nobody knows it.
        models: names or paths of the configured models.
    """

    format: ExportFormat
    choice: ExportChoice
    question: Mapping[str, Any]
    models: tuple[str, ...]

    @property
    def is_bundle(self) -> bool:
        """Tell whether the format is the bundle, which tells of the analysis."""
        return self.format.name == "bundle"


@dataclass(frozen=True, slots=True)
class _Site:
    """A site in an export.

    Attributes:
        name: of the device.
        database: its timeline.
        folder: in the zip.
        choice: what is taken of it, with its own numbers of sessions.
        question: of the analysis, with its own numbers of sessions; empty where the question is
            about sessions of other sites alone.
        sessions: number and participant of each session that is taken.
    """

    name: str
    database: Path
    folder: str
    choice: ExportChoice
    question: Mapping[str, Any]
    sessions: Sequence[tuple[int, str]]


def export_sites(
    sites: Sites, wanted: StudyExport, out: Path, compute: Compute, on_progress: OnProgress
) -> None:
    """Write the zip.

    Where sessions are chosen, a site without any of them is left out. Beside ``out`` lies the
    export of one site at a time meanwhile, in a folder that only this user can read.

    Args:
        sites: name and database of each.
        wanted: what is asked for.
        out: a file that is not there yet; it gets its name when it is complete.
        compute: asks the analysis.
        on_progress: is told the share that is done; what it raises ends the export.

    Raises:
        StoreError: a database cannot be read, or the export cannot be written.
        StudyError: there is no such session, or sessions must be named.
    """
    taken = _choose_sites(sites, wanted)
    with (
        new_file(out) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        folder_beside(out) as scratch,
    ):
        # ``place`` as a default below: the variable of the loop would be that of the last site.
        for place, site in enumerate(taken):

            def on_site(share: float, place: int = place) -> None:
                # Less than 1, which is said once, when everything is written.
                on_progress((place + min(share, 0.999)) / len(taken))

            _add_site(archive, site, wanted, scratch / "site", compute, on_site)
        for path, text in _about_all(sites, taken, wanted, compute).items():
            archive.writestr(path, text)
    on_progress(1.0)


def _choose_sites(sites: Sites, wanted: StudyExport) -> list[_Site]:
    """Return the sites that are taken along, in order of their names, and what of each."""
    choice = wanted.choice
    names = sorted(name for name, _ in sites)
    databases = dict(sites)
    own = sessions_by_site(names, choice.sessions or ())
    about = sessions_by_site(names, wanted.question.get("session") or ())
    chosen = names if choice.sessions is None else [name for name in names if own[name]]
    taken = []
    for name, folder in zip(chosen, _folders(chosen), strict=True):
        part = choice if choice.sessions is None else replace(choice, sessions=own[name])
        with read_transaction(databases[name]) as connection:
            numbers = choose(connection, part).sessions
            rows = connection.execute(
                "SELECT session.id, participant.code FROM session JOIN participant ON "
                "participant.id = session.participant WHERE session.id IN (SELECT value FROM "
                "json_each(?)) ORDER BY session.id",
                (json.dumps(numbers),),
            )
            sessions = [(row["id"], row["code"]) for row in rows]
        question = _question_of(wanted.question, part.sessions or about[name])
        taken.append(_Site(name, databases[name], folder, part, question, sessions))
    return taken


def _question_of(question: Mapping[str, Any], own: Sequence[int]) -> Mapping[str, Any]:
    """Return the question with a site's own numbers of the sessions that it names, if it does."""
    if question.get("sample") != Sample.SELECTED:
        return question
    # Of other sites' sessions only: there is nothing to ask here.
    return {**question, "session": list(own)} if own else {}


def _folders(names: Sequence[str]) -> list[str]:
    """Return a folder's name for each device: its own, where that is one everywhere."""
    folders: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:_LONGEST] or "-"
        folder, number = plain, 1
        # File systems of Windows and macOS take names that differ in case for one.
        while folder.lower() in {one.lower() for one in folders}:
            number += 1
            folder = f"{plain}-{number}"
        folders.append(folder)
    return folders


def _add_site(
    archive: zipfile.ZipFile,
    site: _Site,
    wanted: StudyExport,
    scratch: Path,
    compute: Compute,
    on_progress: OnProgress,
) -> None:
    """Add what the site's own dashboard would export, as a folder."""
    form = wanted.format
    about = Appliance(site.name, {}, known_cards(wanted.models), site.question)
    if form.computed:
        one: Sites = ((site.name, site.database),)
        inquiry = (one, site.question, site.choice, wanted.models)
        tables = compute(computed_files, form.computed, *inquiry)
        about = replace(about, tables=tables)
    scratch.mkdir()
    folder = f"sites/{site.folder}"
    target = scratch / (form.name if form.is_folder else f"{site.folder}{form.suffix}")
    files = form.export(site.database, target, site.choice, about, on_progress)
    if wanted.is_bundle:
        _add_members(archive, target, folder)
    else:
        base = target if form.is_folder else scratch
        for file in files:
            archive.write(file, f"{folder}/{file.relative_to(base).as_posix()}")
    # Before the next site: only one export at a time takes space on the disk.
    shutil.rmtree(scratch)


def _add_members(archive: zipfile.ZipFile, bundle: Path, folder: str) -> None:
    with zipfile.ZipFile(bundle) as inner:
        for member in inner.namelist():
            with (
                inner.open(member) as source,
                # The size is not known beforehand, and may pass what a plain entry can hold.
                archive.open(f"{folder}/{member}", "w", force_zip64=True) as there,
            ):
                shutil.copyfileobj(source, there)


def _about_all(
    sites: Sites, taken: Sequence[_Site], wanted: StudyExport, compute: Compute
) -> dict[str, str]:
    """Return what stands beside the folders: the text of each file by its name."""
    names = sorted(name for name, _ in sites)
    files = {
        "README.md": _readme(taken, wanted.choice),
        "sites.csv": table_text(
            ("site", "folder", "participants", "sessions"),
            (
                (
                    site.name,
                    f"sites/{site.folder}",
                    len({code for _, code in site.sessions}),
                    len(site.sessions),
                )
                for site in taken
            ),
        ),
        "session_number.csv": table_text(
            ("session", "site", "session_of_site", "participant"),
            (
                (pooled_number(names, site.name, number), site.name, number, f"{site.name}/{code}")
                for site in taken
                for number, code in site.sessions
            ),
        ),
    }
    if wanted.is_bundle:
        files |= compute(files_over_sites, sites, wanted.question, wanted.choice, wanted.models)
    return files


def _readme(taken: Sequence[_Site], choice: ExportChoice) -> str:
    text = (resources.files("edge_agent.timeline.export") / "scripts" / "SITES.md").read_text(
        encoding="utf-8"
    )
    ends = [
        f"{word} {clock.iso_utc(at)}"
        for word, at in (("from", choice.start_ms), ("up to", choice.end_ms))
        if at is not None
    ]
    return text.format(
        created=clock.iso_utc(clock.now().wall_ms),
        version=__version__,
        number=len(taken),
        range=" ".join(ends) or "all times",
        tables=", ".join(f"`{name}.csv`" for name in COMPUTED),
    )


class _StoppedError(Exception):
    """Nobody wants the export any more."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A request for an export: a format, a part of the timeline, the question that goes with it,
    whether it is locked with a passphrase, and of which devices of a fleet it is (empty: of this
    appliance).
    """

    format: ExportFormat
    choice: ExportChoice
    question: Mapping[str, Any] = field(default_factory=dict)
    sealed: bool = False
    devices: tuple[str, ...] = ()

    @property
    def over_sites(self) -> bool:
        """Tell whether it is of several devices, each with a folder of its own in a zip."""
        return len(self.devices) > 1

    @property
    def suffix(self) -> str:
        """Ending of the name of the file that is not locked."""
        return SUFFIX if self.over_sites else self.format.suffix

    @property
    def media_type(self) -> str:
        """Of the file that is sent."""
        is_zip = self.sealed or self.over_sites
        return "application/zip" if is_zip else self.format.media_type


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """A request for a backup of the whole appliance, locked with a passphrase.

    Attributes:
        config: the configuration file; ``None``: there is none.
        devices: of a fleet; none has a backup.
    """

    config: Path | None
    devices: tuple[str, ...] = ()
    sealed = False
    """No zip around it: its own files are locked."""
    suffix = SUFFIX
    media_type = "application/zip"


@dataclass(slots=True, eq=False)
class PreparedExport:
    """One export, or backup.

    Attributes:
        id: its random name.
        account: who asked for it.
        request: what for.
        file: where it lies when it is ready.
        share: how much is done, 0…1.
        size: bytes; ``None`` until it is ready.
        ready_ms: when it was ready, UTC milliseconds.
        problem: why there is none; empty otherwise.
        left_out: keys of the configuration whose files a backup lacks.
        stopping: set when nobody wants it any more.
        done: ends when it is ready or has failed.
    """

    id: str
    account: int
    request: ExportRequest | BackupRequest
    file: Path
    share: float = 0.0
    size: int | None = None
    ready_ms: int = 0
    problem: str = ""
    left_out: tuple[str, ...] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    done: Future[None] = field(default_factory=Future)

    @property
    def state(self) -> str:
        """``preparing``, ``ready`` or ``failed``."""
        if self.problem:
            return "failed"
        if self.size is None:
            return "preparing"
        return "ready"


class ExportJobs:
    """Prepares exports, one after the other, and keeps one for each account.

    Args:
        database: the database; exports lie in a folder beside it.
        device: name of the appliance.
        settings: what is told of its settings.
        models: names or paths of the configured models.
        computing: where the analysis of a bundle is computed.
    """

    def __init__(
        self,
        database: Path,
        device: str,
        settings: Mapping[str, Any],
        models: tuple[str, ...],
        computing: Computing,
    ) -> None:
        self._database = database
        self._data = database.parent
        self._about = (device, settings, models)
        self._computing = computing
        self._by_account: dict[int, PreparedExport] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="export")
        self.forget_all()

    def prepare(
        self,
        account: int,
        request: ExportRequest | BackupRequest,
        passphrase: str = "",
        study: LentStudy | None = None,
    ) -> PreparedExport:
        """Begin to prepare an export; an earlier one of this account is deleted.

        Args:
            account: who asks.
            request: what for.
            passphrase: that locks it, checked before; it is forgotten when the file is written.
            study: lends the databases that are exported; ``None``: this appliance's own.
        """
        at = datetime.fromtimestamp(clock.now().wall_ms / 1000, UTC)
        what = "backup-" if isinstance(request, BackupRequest) else ""
        name = f"affect-edge-{what}{at:%Y%m%d-%H%M%S}"
        token = secrets.token_urlsafe(16)
        file = prepared_folder(self._data) / token / f"{name}{request.suffix}"
        if request.sealed:
            file = sealed_name(file)
        made = PreparedExport(token, account, request, file)
        with self._lock:
            self._forget(self._by_account.get(account))
            self._by_account[account] = made
        lent: LentStudy = study or (lambda: nullcontext((("", self._database),)))
        self._worker.submit(self._make, made, passphrase, lent)
        return made

    def of_account(self, account: int) -> PreparedExport | None:
        """Return the export of an account, ``None`` when there is none any more."""
        with self._lock:
            prepared = self._by_account.get(account)
            if prepared is not None and prepared.state == "ready" and not prepared.file.exists():
                self._forget(prepared)  # erased from outside
                return None
            return prepared

    def find(self, account: int, token: str) -> PreparedExport | None:
        """Return the export of that id, if it is this account's."""
        prepared = self.of_account(account)
        if prepared is not None and secrets.compare_digest(prepared.id.encode(), token.encode()):
            return prepared
        return None

    def drop(self, prepared: PreparedExport) -> None:
        """Delete an export, or end its preparation."""
        with self._lock:
            self._forget(prepared)

    def delete_after_sending(self, prepared: PreparedExport) -> None:
        """Note that an export was sent to its end: it stays for a short while, for whoever lost the
        last part.
        """
        self._delete_in(prepared, SENT_S)

    def forget_all(self) -> None:
        """Delete all exports and end all preparations; returns when nothing of them is left.

        Raises:
            StoreError: a file cannot be deleted.
        """
        with self._lock:
            running = [one for one in self._by_account.values() if one.state == "preparing"]
            for one in list(self._by_account.values()):
                self._forget(one)
        # Outside the lock, which the worker's thread needs to finish.
        for one in running:
            one.done.result()
        try:
            delete_prepared_exports(self._data)
        except OSError as error:
            raise StoreError(
                N_(
                    "{prepared_folder}: an earlier export cannot be deleted ({strerror}). "
                    "Delete it."
                ),
                prepared_folder=prepared_folder(self._data),
                strerror=error.strerror,
            ) from error

    def close(self) -> None:
        """Delete all exports, at the end of the dashboard."""
        self.forget_all()
        self._worker.shutdown()

    def _make(self, made: PreparedExport, passphrase: str, study: LentStudy) -> None:
        """Write the file, in the worker's thread."""
        try:
            if not made.stopping.is_set():
                with study() as sites, self._folder_of(made):
                    self._write_locked(made, passphrase, sites)
                made.ready_ms = clock.now().wall_ms
                # The size makes it ready, so it is set only when the file is complete.
                made.size = made.file.stat().st_size
                made.share = 1.0
                self._delete_in(made, KEPT_S)
        except _StoppedError:
            made.problem = N_("The export was stopped.")
        except AffectEdgeError as error:
            made.problem = text_of(error)
        except Exception:
            log.exception("an export failed")
            made.problem = N_("The export failed. See the dashboard's log.")
        finally:
            if made.stopping.is_set() or made.problem:
                shutil.rmtree(made.file.parent, ignore_errors=True)
            made.done.set_result(None)

    @contextmanager
    def _folder_of(self, made: PreparedExport) -> Iterator[None]:
        """Make the folder of an export for the block.

        Raises:
            StoreError: it was deleted meanwhile, by an erasure that a command of another user did.
                What was written holds whom it has erased.
        """
        folder = make_prepared_folder(self._data, made.file.parent.name)
        with opened_folder(folder) as opened:  # so that no other folder can get its number
            failure: AffectEdgeError | None = None
            try:
                yield
            except AffectEdgeError as error:
                failure = error
            # Exporters make the folder of their file where it is missing, or fail without it.
            if not (folder.exists() and samestat(os.fstat(opened), folder.stat())):
                raise StoreError(
                    N_("A participant was erased meanwhile, and the export with them. Try again.")
                ) from failure
            if failure is not None:
                raise failure

    def _write_locked(self, made: PreparedExport, passphrase: str, sites: Sites) -> None:
        """Write the file, and lock it where that is asked for; the open one goes at once."""
        request = made.request
        if isinstance(request, BackupRequest):
            self._check_space()
            # It takes minutes, for which an erasure or the end of the dashboard must not wait.
            made.left_out = self._computing.call_until(
                made.stopping, write_backup, self._database, request.config, made.file, passphrase
            )
            return
        if not request.sealed:
            self._write(request, made, made.file, sites)
            return
        plain = made.file.with_name(f"{made.file.name.removesuffix(SEALED_SUFFIX)}{request.suffix}")
        self._write(request, made, plain, sites)
        # The locked file comes beside the plain one, which needs its space once more.
        self._check_space()
        self._computing.call(seal, plain, made.file, passphrase)
        plain.unlink()

    def _write(
        self, request: ExportRequest, made: PreparedExport, file: Path, sites: Sites
    ) -> None:
        def on_progress(share: float) -> None:
            if made.stopping.is_set():
                raise _StoppedError
            # At most a hundred times, since each step asks the disk for its space.
            if share - made.share >= 0.01 or share == 1.0:
                made.share = share
                self._check_space()

        self._check_space()
        if not request.over_sites:
            self._write_one(request, file, sites, on_progress)
            return
        wanted = StudyExport(request.format, request.choice, request.question, self._about[2])
        export_sites(sites, wanted, file, self._computing.call, on_progress)

    def _write_one(
        self, request: ExportRequest, file: Path, sites: Sites, on_progress: OnProgress
    ) -> None:
        device, settings, models = self._about
        if request.devices:  # the settings here are not those that its rows came about by
            device, settings = request.devices[0], {}
        question = request.question
        wanted = request.format
        choice = request.choice
        tables = {}
        if wanted.computed:
            inquiry = (sites, question, choice, models)
            tables = self._computing.call(computed_files, wanted.computed, *inquiry)
        about = Appliance(device, settings, known_cards(models), question, tables)
        database = sites[0][1]
        if not wanted.is_folder:
            wanted.export(database, file, choice, about, on_progress)
            return
        folder = file.parent / wanted.name
        files = wanted.export(database, folder, choice, about, on_progress)
        move_into_zip(files, folder, file)

    def _check_space(self) -> None:
        room = room_in(self._data)
        if room < 0:
            raise StoreError(
                N_(
                    "Only {free:.0f} MB are free, and the recording needs them. Free some "
                    "space, or export a shorter range or single sessions. Nothing was exported."
                ),
                free=(room + RESERVED_BYTES) / 1000000.0,
            )

    def _delete_in(self, prepared: PreparedExport, seconds: float) -> None:
        timer = threading.Timer(seconds, self.drop, (prepared,))
        timer.daemon = True
        with self._lock:
            # Another export has taken its place, and it is deleted already.
            if self._by_account.get(prepared.account) is not prepared:
                return
            earlier = self._timers.pop(prepared.id, None)
            if earlier is not None:
                earlier.cancel()
            self._timers[prepared.id] = timer
            timer.start()

    def _forget(self, prepared: PreparedExport | None) -> None:
        """Delete an export; the lock is held."""
        if prepared is None:
            return
        prepared.stopping.set()
        timer = self._timers.pop(prepared.id, None)
        if timer is not None:
            timer.cancel()
        if self._by_account.get(prepared.account) is prepared:
            del self._by_account[prepared.account]
        if prepared.state != "preparing":  # else its own thread cleans up
            shutil.rmtree(prepared.file.parent, ignore_errors=True)
