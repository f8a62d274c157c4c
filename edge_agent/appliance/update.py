"""Installation of a signed release, and return to the previous one.

A release is built beside the running one, and must run without a fault for a minute. Otherwise the
previous release returns, with its database if the new one had changed the schema.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge_agent.appliance.release import fetch, is_checkout, order_of, take_tag, unpack, version_of
from edge_agent.appliance.trust import Trust
from edge_agent.config.environment import ENV_PREFIX
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError, UpdateError
from edge_agent.core.process import finished
from edge_agent.store.database.files import translate_errors
from edge_agent.store.database.schema import DATABASE_NAME, connect_any, copy_database
from edge_agent.store.upkeep.copies import restore_copy

log = logging.getLogger(__name__)

SERVICES = ("affect-edge-agent.service", "affect-edge-dashboard.service")
GATE = ("affect-edge-database.socket", "affect-edge-database.service")
"""The socket first: it would start the service again."""
SIGNERS_FOLDER = "release-signers.d"
"""Beside the configuration: the keys that the owner trusts."""
WELL_SECONDS = 60.0
LOOK_SECONDS = 2.0
_BUILD_TIMEOUT_S = 3600.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
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

    def trust(self) -> Trust:
        """Return the keys that may sign its releases.

        Raises:
            UpdateError: nothing is installed.
        """
        return Trust(self.current(), self.config.parent / SIGNERS_FOLDER)

    def copy_for(self, version: str) -> Path:
        """Return the path of the database as release ``version`` left it when it was updated."""
        return self.data / f"{DATABASE_NAME}.before-update-of-{version}"

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


def update(place: Place, source: str, say: Say, *, well_seconds: float = WELL_SECONDS) -> str:
    """Install a newer release and watch it.

    If it does not run well, the previous release is started again.

    Args:
        place: the appliance.
        source: path or https address of the archive, with its signature beside it (``.sig``); or
            a git checkout of a signed tag.
        say: receives a sentence about each step.
        well_seconds: seconds for which the new release must run without a fault.

    Returns:
        The version that runs now.

    Raises:
        UpdateError: the source cannot be fetched, is not signed by a trusted key, is no newer
            release, cannot be built, or does not run well. The previous release runs.
        StoreError: the database cannot be copied; the previous release runs.
    """
    # Asked first, since the lock needs the folder of an installed release.
    place.current()
    with _alone(place):
        # Once more, alone: another update may have ended meanwhile.
        old = place.current()
        incoming = place.program / "incoming"
        incoming.mkdir(mode=0o700, exist_ok=True)
        try:
            # On the disk of the releases and closed to others: nobody can change files between
            # check and use.
            with tempfile.TemporaryDirectory(dir=incoming) as folder:
                unpacked, signer = _take(source, place.trust(), Path(folder))
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


def roll_back(place: Place, say: Say) -> str:
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
        try:
            _take_back(place, old, say)
        except UpdateError:
            say(f"{version_of(old)} does not start; {version_of(new)} comes back")
            _activate(new)
            raise
        return version_of(old)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Lock the appliance against other updates.

    Raises:
        UpdateError: another update is running.
    """
    handle = os.open(place.program, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
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


def loses_rows(place: Place, old: Path) -> bool:
    """Return whether going back would lose rows recorded since: the schema has changed."""
    # The copy is of before the update; its schema is older only if the update changed it.
    copy = place.copy_for(version_of(old))
    return copy.exists() and place.database.exists() and _schema(copy) < _schema(place.database)


def _take(source: str, trust: Trust, folder: Path) -> tuple[Path, str]:
    """Return the files of a release, and the fingerprint of the key that signed them."""
    if is_checkout(source):
        return take_tag(Path(source), trust, folder / "checkout")
    archive, signature = fetch(source, folder)
    signer = trust.check(archive, signature)
    return unpack(archive, folder / "unpacked"), signer


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


def _check_config(place: Place, new: Path) -> None:
    done = _run([str(new / "venv/bin/affect-edge"), "config", "check", str(place.config)], 120.0)
    if done.returncode:
        raise UpdateError(
            "The release does not understand the configuration; the installed one keeps running. "
            f"{_last(done)}"
        )


def _switch(place: Place, old: Path, new: Path, say: Say, well_seconds: float) -> None:
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
        _take_back(place, old, say)
        _forget(before, older, new)
        raise UpdateError(
            f"{version} was not well, {version_of(old)} runs again. {error}"
        ) from error
    # Two releases are kept: the one that runs and the one to go back to.
    if older is not None and older not in {old, new}:
        shutil.rmtree(older, ignore_errors=True)


def _copy_database(place: Place, version: str) -> None:
    # Only the newest copy serves a way back, and each is as large as the database.
    for copy in place.data.glob(f"{DATABASE_NAME}.before-update-of-*"):
        copy.unlink()
    if place.database.exists():
        with translate_errors(place.database), closing(connect_any(place.database)) as connection:
            copy_database(connection, place.copy_for(version))


def _forget(before: Path, older: Path | None, new: Path) -> None:
    """Remove a release that did not run well, and restore the link to the one before."""
    before.unlink(missing_ok=True)
    if older is not None:
        before.symlink_to(older)
    shutil.rmtree(new, ignore_errors=True)


def _take_back(place: Place, old: Path, say: Say) -> None:
    systemctl("stop", *SERVICES, *GATE)
    if loses_rows(place, old):
        restore_copy(place.database, place.copy_for(version_of(old)))
        say("the database from before the update is back; rows recorded since are gone")
    _activate(old)


def _activate(release: Path) -> None:
    done = _run([str(release / "install.sh"), "--activate", "--yes"], 300.0)
    if done.returncode:
        raise UpdateError(f"{version_of(release)} does not start. {_last(done)}")


def _stay_well(place: Place, seconds: float) -> None:
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
    with translate_errors(database), closing(connect_any(database)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version


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
        return finished(*words, timeout_s=timeout_s, env=plain)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"{words[0]} could not be run to its end ({error}).") from error


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return "It said: " + " ".join(lines[-3:])[-600:] if lines else ""
