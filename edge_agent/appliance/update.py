"""Installation of a signed release, and return to the previous one.

A release is built beside the running one, and must run without a fault for a minute. Otherwise the
previous release returns. It cannot read a database that the new one has upgraded: then the copies
return that were made before the update, and the upgraded files are set aside.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_agent.appliance.release import fetch, order_of, unpack, version_of
from edge_agent.appliance.trust import Trust, take_over
from edge_agent.config.environment import ENV_PREFIX
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import StoreError, UpdateError
from edge_agent.core.owners import Owner, as_owner_of, asked_as, owner_of
from edge_agent.core.process import run_to_end
from edge_agent.timeline.database.connection import connect_any, versions
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.dashboard_file import (
    as_owner,
    dashboard_file,
    keeper_of_accounts,
    open_accounts,
    refuse_too_large,
)
from edge_agent.timeline.database.files import free_stamp, translate_errors
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.untrusted_file import set_bounds
from edge_agent.timeline.upkeep.copies import restore_copy

log = logging.getLogger(__name__)

SERVICES = ("affect-edge-agent.service", "affect-edge-dashboard.service")
GATE = ("affect-edge-database.socket", "affect-edge-database.service")
"""The socket first: it would start the service again."""
WELL_SECONDS = 60.0
LOOK_SECONDS = 2.0
_BUILD_TIMEOUT_S = 3600.0
_COPIED_S = 6 * 3600.0
"""For so long a database may be copied; a large one on a slow card takes an hour."""
_START_TIMEOUT_S = 2 * _COPIED_S
"""For so long the services may start, of which one upgrades the database. One that hangs is ended
by systemd much earlier.
"""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Installation:
    """The place where an appliance is installed.

    Attributes:
        program: folder of the releases, with the links ``current`` and ``previous``.
        data: folder of the database.
        config: the configuration.
    """

    program: Path = Path("/opt/affect-edge")
    data: Path = Path("/var/lib/affect-edge")
    config: Path = Path("/etc/affect-edge/affect-edge.toml")

    @property
    def database(self) -> Path:
        """The database file."""
        return self.data / DATABASE_NAME

    def trust(self, say: Say) -> Trust:
        """Return who may sign its releases, with the keys that the running one names.

        Args:
            say: receives a sentence about each key that was not there before.

        Raises:
            UpdateError: nothing is installed, or a file of keys cannot be read or written.
        """
        trust = Trust(self.config.parent)
        for sentence in take_over(Trust(self.current() / "config"), trust):
            say(sentence)
        return trust

    @property
    def accounts(self) -> Path:
        """The dashboard's own database file."""
        return dashboard_file(self.database)

    def copy_for(self, version: str) -> Path:
        """Return the path of the database as release ``version`` left it when it was updated."""
        return _copy_of(self.database, version)

    def current(self) -> Path:
        """Return the release that runs.

        Raises:
            UpdateError: nothing is installed.
        """
        release = (self.program / "current").resolve()
        if not (release / "VERSION").exists():
            raise UpdateError(
                f"{self.program}: no Affect Edge is installed there. Install it with install.sh."
            )
        return release

    def previous(self) -> Path:
        """Return the release that ran before.

        Raises:
            UpdateError: there is none.
        """
        present = self.current()
        link = self.program / "previous"
        release = link.resolve()
        if not link.is_symlink() or not (release / ".complete").exists() or release == present:
            raise UpdateError("There is no earlier release to go back to.")
        return release


def update(
    place: Installation, source: str, say: Say, *, well_seconds: float = WELL_SECONDS
) -> str:
    """Install a newer release and watch it.

    If it does not run well, the previous release is started again.

    Args:
        place: the appliance.
        source: path or https address of the archive, with its signature beside it (``.sig``).
        say: receives a sentence about each step.
        well_seconds: seconds for which the new release must run without a fault.

    Returns:
        The version that runs now.

    Raises:
        UpdateError: the source cannot be fetched, is not signed by a trusted key, is no newer
            release, cannot be built, or does not run well. The previous release runs, unless the
            message says that it does not start either.
        StoreError: the database cannot be copied; the previous release runs.
    """
    # Asked first, since the lock needs the folder of an installed release.
    place.current()
    with _alone(place):
        # Once more, alone: another update may have ended meanwhile.
        old = place.current()
        trust = place.trust(say)
        incoming = place.program / "incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)
        try:
            # On the disk of the releases and closed to others: nobody can change files between
            # check and use.
            with tempfile.TemporaryDirectory(dir=incoming) as folder:
                archive, signature = fetch(source, Path(folder))
                signer = trust.check(archive, signature)
                unpacked = unpack(archive, Path(folder) / "unpacked")
                say(f"the signature is good ({signer})")
                _check_newer(version_of(unpacked), version_of(old))
                say(f"building {version_of(unpacked)} beside {version_of(old)} (some minutes)")
                new = _build(unpacked)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        # Before the services stop.
        _check_config(place, new)
        _switch(place, old, new, say, well_seconds)
        return version_of(new)


def roll_back(place: Installation, say: Say) -> str:
    """Start the previous release again, with its database if the newer one changed the schema.

    Returns:
        The version that runs now.

    Raises:
        UpdateError: there is no previous release, or it does not start.
        StoreError: the database cannot be put back.
    """
    place.previous()
    with _alone(place):
        old = place.previous()
        new = place.current()
        aside = _Aside()
        try:
            aside = _put_back(place, old, say)
            _activate(old)
        except (UpdateError, StoreError) as error:
            say(f"{version_of(old)} does not start; {version_of(new)} comes back")
            _start_again(new, partial(_undo, place, aside), say, error)
            raise
        return version_of(old)


@contextmanager
def _alone(place: Installation) -> Iterator[None]:
    """Lock the appliance against other updates.

    Raises:
        UpdateError: another update is running.
    """
    # A file that root alone may open: whoever may read one can lock it, too.
    lock = place.program / "update.lock"
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UpdateError(
                "An update is being applied right now. Try it again in some minutes."
            ) from error
        yield
    finally:
        os.close(handle)


def loses_rows(place: Installation, old: Path) -> bool:
    """Return whether going back sets rows aside that came since: the schema has changed."""
    return _was_upgraded(place.database, version_of(old))


def loses_accounts(place: Installation, old: Path) -> bool:
    """Return whether going back brings the accounts of before the update, as ``loses_rows``."""
    try:
        return _was_upgraded(place.accounts, version_of(old))
    except StoreError:  # there is nothing that could be brought back
        return False


def _copy_of(database: Path, version: str) -> Path:
    return database.with_name(f"{database.name}.before-update-of-{version}")


def _was_upgraded(database: Path, version: str) -> bool:
    # The copy is of before the update; its schema is older only if the update changed it.
    copy = _copy_of(database, version)
    return copy.exists() and database.exists() and _schema(copy) < _schema(database)


def _check_newer(new: str, old: str) -> None:
    """Refuse a release that is not newer than the installed one."""
    # An old release keeps its valid signature. Without this check, a release with a known
    # vulnerability could be installed again.
    if order_of(new) <= order_of(old):
        raise UpdateError(
            f"The archive holds {new}, and {old} is installed. Only newer releases are taken; "
            "`affect-edge rollback` goes back to the one before."
        )


def _build(unpacked: Path) -> Path:
    # The new release builds itself: its install.sh alone knows what it needs.
    done = _run([str(unpacked / "install.sh"), "--build"], _BUILD_TIMEOUT_S)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise UpdateError(
            f"The release could not be built; the installed one keeps running. {_last(done)}"
        )
    return Path(lines[-1])


def _check_config(place: Installation, new: Path) -> None:
    done = _run([str(new / "venv/bin/affect-edge"), "config", "check", str(place.config)], 120.0)
    if done.returncode:
        raise UpdateError(
            "The release does not understand the configuration; the installed one keeps running. "
            f"{_last(done)}"
        )


def _switch(place: Installation, old: Path, new: Path, say: Say, well_seconds: float) -> None:
    before = place.program / "previous"
    # Read now, for the installer will point this link at the release that still runs.
    older = before.readlink() if before.is_symlink() else None
    say("stopping, copying the database, switching")
    try:
        systemctl("stop", *SERVICES, *GATE)
        _copy_database(place, version_of(old))
        _activate(new)
        say(f"watching it for {well_seconds:g} s")
        _stay_well(place, well_seconds)
    except (UpdateError, StoreError) as error:
        version = version_of(new)
        say(f"{error} Going back to {version_of(old)}.")
        # Stops what was started, and brings the database back if needed.
        _start_again(old, partial(_put_back, place, old, say), say, error)
        _forget(before, older, new)
        raise UpdateError(
            f"{version} was not well, {version_of(old)} runs again. {error}"
        ) from error
    # Two releases are kept: the one that runs and the one to go back to.
    if older is not None and older not in {old, new}:
        shutil.rmtree(older, ignore_errors=True)


def _start_again(
    release: Path, put_back: Callable[[], object], say: Say, error: UpdateError | StoreError
) -> None:
    """Start the release of before again, because the other one is not well.

    Args:
        release: of before.
        put_back: stops everything, and brings the databases back that it can read.
        say: receives a sentence where that fails.
        error: what is wrong with the other release.

    Raises:
        UpdateError: it does not start either; nothing is removed then.
    """
    try:
        put_back()
    except (UpdateError, StoreError) as problem:
        # It is started all the same: it refuses a database that it cannot read.
        say(f"the databases could not be put back: {problem}")
    try:
        _activate(release)
    except UpdateError as problem:
        raise UpdateError(
            f"{error} {problem} Perhaps nothing is recorded now. Both releases and the copies of "
            "the databases are kept. Find the cause with affect-edge doctor, mend it, and start "
            f"the release of before: sudo "
            f"{shell_word(release / 'install.sh')} --activate --yes"
        ) from error


def _copy_database(place: Installation, version: str) -> None:
    # Root works by itself in no folder that another user can change. And whoever may write beside a
    # database can end a process that maps its index, by cutting the file off: so not this one.
    _apart(owner_of(place.database), place.database, partial(_copy_timeline, place, version))
    accounts = place.accounts
    if accounts.exists():
        keeper = keeper_of_accounts(accounts.parent)
        _apart(keeper, accounts, partial(_copy_accounts, accounts, version))


def _apart(owner: Owner | None, database: Path, work: Callable[[], None]) -> None:
    """Do something with a database of another user in a process of that user.

    Raises:
        StoreError: it fails, or the process dies.
    """

    def answer() -> dict[str, str]:
        try:
            work()
        except StoreError as error:
            return {"failed": str(error)}
        return {}

    told = asked_as(owner, answer, _COPIED_S)
    if "not_measured" in told:
        raise StoreError(
            f"{database}: could not be copied ({told['not_measured']}): the process that did it "
            f"was ended. See what writes into {database.parent} besides the services, and stop it. "
            "Nothing was updated."
        )
    if told:
        raise StoreError(str(told["failed"]))


def _copy_timeline(place: Installation, version: str) -> None:
    with translate_errors(place.database):
        # Only the newest copy serves a way back, and each is as large as the database.
        for copy in place.data.glob(f"{DATABASE_NAME}.before-update-of-*"):
            copy.unlink()
        if place.database.exists():
            with closing(connect_any(place.database)) as connection:
                copy_database(connection, place.copy_for(version))


def _copy_accounts(accounts: Path, version: str) -> None:
    with translate_errors(accounts):
        refuse_too_large(accounts)
        for copy in accounts.parent.glob(f"{accounts.name}.before-update-of-*"):
            copy.unlink()
        with closing(open_accounts(accounts)) as connection:
            copy_database(connection, _copy_of(accounts, version), 0o600)


def _forget(before: Path, older: Path | None, new: Path) -> None:
    """Remove a release that did not run well, and restore the link to the one before."""
    before.unlink(missing_ok=True)
    if older is not None:
        before.symlink_to(older)
    shutil.rmtree(new, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Aside:
    """Databases that a newer release has upgraded, and that were set aside for an older one."""

    database: Path | None = None
    accounts: Path | None = None


def _put_back(place: Installation, old: Path, say: Say) -> _Aside:
    """Stop everything; put back the databases of before the update that a release cannot read."""
    systemctl("stop", *SERVICES, *GATE)
    version = version_of(old)
    database = accounts = None
    if loses_rows(place, old):
        with as_owner_of(place.database):
            database = restore_copy(place.database, place.copy_for(version))
        name = "nothing" if database is None else database.name
        say(
            "the database from before the update is back; what was recorded since lies in "
            f"{name}, which the newer release can read"
        )
    if loses_accounts(place, old):
        try:
            accounts = _restore_accounts(place.accounts, _copy_of(place.accounts, version))
            say("accounts, passwords and tokens are those from before the update")
        except StoreError as error:  # the folder is the dashboard's; recording goes on without it
            say(f"the accounts from before the update could not be put back: {error}")
    return _Aside(database, accounts)


def _undo(place: Installation, aside: _Aside) -> None:
    """Put the upgraded databases back that were set aside."""
    systemctl("stop", *SERVICES, *GATE)
    if aside.database is not None:
        with as_owner_of(place.database):
            restore_copy(place.database, aside.database)
            aside.database.unlink()  # the database is a copy of it
    if aside.accounts is not None:
        _restore_accounts(place.accounts, aside.accounts)


def _restore_accounts(accounts: Path, copy: Path) -> Path:
    """Replace the dashboard's database by a copy; return the replaced one, which lies aside."""
    with as_owner(accounts), translate_errors(accounts):
        aside = accounts.with_name(
            f"{accounts.name}.replaced.{free_stamp([accounts], 'by-a-copy')}"
        )
        with closing(open_accounts(copy)) as source, closing(open_accounts(accounts)) as target:
            copy_database(target, aside, 0o600)
            source.backup(target)  # in one transaction
    return aside


def _activate(release: Path) -> None:
    done = _run([str(release / "install.sh"), "--activate", "--yes"], _START_TIMEOUT_S)
    if done.returncode:
        raise UpdateError(f"{version_of(release)} does not start. {_last(done)}")


def _stay_well(place: Installation, seconds: float) -> None:
    """Wait until both services ran for so long without a restart, and check the dashboard.

    Raises:
        UpdateError: one of them ended, or the dashboard does not answer.
    """
    # Process ids, not is-active: a service that ends and is restarted at once is active at each
    # look.
    pids = systemctl("show", "-P", "MainPID", *SERVICES)
    end = clock.boot_seconds() + seconds
    while clock.boot_seconds() < end:
        clock.sleep(min(LOOK_SECONDS, seconds))
        # A MainPID of 0 is a service that does not run.
        if systemctl("show", "-P", "MainPID", *SERVICES) != pids or "0" in pids.split():
            raise UpdateError(
                "A service ended within a minute of its start; see: journalctl -u "
                "'affect-edge-*' -n 50."
            )
    dashboard = load_settings(place.config).dashboard
    address = f"{'https' if dashboard.certificate else 'http'}://127.0.0.1:{dashboard.port}/healthz"
    context = ssl.create_default_context()
    # this machine asks itself, for a sign of life
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    used = context if dashboard.certificate else None
    try:
        with urllib.request.urlopen(address, timeout=10, context=used):  # noqa: S310 - our own
            return
    except (urllib.error.URLError, OSError) as error:
        raise UpdateError(f"The dashboard does not answer at {address} ({error}).") from error


def _schema(database: Path) -> int:
    if database.name.startswith(DATABASE_NAME):
        with (
            as_owner_of(database),
            translate_errors(database),
            closing(sqlite3.connect(database)) as connection,
        ):
            set_bounds(database, connection)
            return versions(connection)[1]
    with (
        as_owner(database),
        translate_errors(database),
        closing(open_accounts(database)) as connection,
    ):
        return versions(connection)[1]


def systemctl(*words: str) -> str:
    """Run systemctl; return its output.

    Raises:
        UpdateError: it fails.
    """
    done = _run(["systemctl", *words], 120.0)
    if done.returncode:
        raise UpdateError(f"systemctl {' '.join(words)} failed. {_last(done)}")
    return done.stdout


def _run(words: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    # without our own variables, which would be laid over the configuration
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    try:
        return run_to_end(*words, timeout_s=timeout_s, env=plain)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"{words[0]} could not be run to its end ({error}).") from error


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "It said: " + " ".join(lines[-3:])[-600:] if lines else ""
