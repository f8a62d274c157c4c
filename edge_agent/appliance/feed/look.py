"""Looking for a newer release, and fetching its archive: each lie of the other side is refused."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.appliance.feed.fetching import Bounds, fetch_file
from edge_agent.appliance.feed.index import INDEX_NAME, ReleaseIndex, read_index
from edge_agent.appliance.feed.last_look import LastLook, read_look, write_look
from edge_agent.appliance.trust import Trust
from edge_agent.core.errors import UpdateError

INDEX_BOUNDS = Bounds(64_000, 60.0)
SIGNATURE_BOUNDS = Bounds(16_000, 60.0)
ARCHIVE_SECONDS = 3600.0
DAY_MS = 20 * 3_600_000
"""A look is due again after so long: a timer that runs a little early each day is no second one."""


def is_due(state: Path, feed: str, now_ms: int) -> bool:
    """Tell whether the last look at this place is a day ago, or in the future."""
    last = read_look(state)
    return last is None or last.feed != feed or not 0 <= now_ms - last.checked_ms < DAY_MS


def look(
    feed: str, trust: Trust, state: Path, now_ms: int, index: Bounds = INDEX_BOUNDS
) -> LastLook:
    """Look for the newest release, and keep what was found out.

    Args:
        feed: an https address, or a folder.
        trust: whose signatures count.
        state: where it is kept; the list that was believed last is in it, too.
        now_ms: the time, in epoch milliseconds.
        index: the most that the list may have.

    Raises:
        UpdateError: the list cannot be fetched, is not trusted, is older than one that was seen
            before, or is none. This is kept, too.
    """
    last = read_look(state)
    if last is None or last.feed != feed:
        last = LastLook(feed=feed, checked_ms=0)
    try:
        newest = fetch_index(feed, trust, index)
        _refuse_older(feed, newest, last, state)
    except UpdateError as error:
        kept = {"checked_ms": now_ms, "problem": str(error)}
        write_look(state, last.model_copy(update=kept))
        raise
    answer = LastLook(feed=feed, checked_ms=now_ms, number=newest.number, version=newest.version)
    write_look(state, answer)
    return answer


def fetch_index(feed: str, trust: Trust, bounds: Bounds = INDEX_BOUNDS) -> ReleaseIndex:
    """Return the list of releases, once a trusted key has signed it.

    Raises:
        UpdateError: it cannot be fetched, is not trusted, or is no list.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = fetch_signed(feed, Path(folder), trust, "list of releases", bounds)
        return read_index(file, beside(feed, INDEX_NAME))


def fetch_signed(
    feed: str, folder: Path, trust: Trust, what: str, bounds: Bounds = INDEX_BOUNDS
) -> Path:
    """Fetch an index with its signature into a folder; return it, once a trusted key signed it.

    Args:
        feed: an https address, or a folder.
        folder: where both go.
        trust: whose signatures count.
        what: it is, for messages.
        bounds: the most that it may have.

    Raises:
        UpdateError: it cannot be fetched, or is not trusted.
    """
    place = beside(feed, INDEX_NAME)
    file = folder / INDEX_NAME
    signature = folder / f"{INDEX_NAME}.sig"
    fetch_file(place, file, bounds)
    fetch_file(f"{place}.sig", signature, SIGNATURE_BOUNDS)
    trust.check(file, signature, what=what)
    return file


def fetch_archive(feed: str, newest: ReleaseIndex, folder: Path) -> Path:
    """Fetch the archive that a list names, with its signature beside it; return it.

    Raises:
        UpdateError: it cannot be fetched, or is not the one that the list names.
    """
    place = beside(feed, newest.file)
    archive = folder / newest.file
    fetch_checked(place, archive, newest.size, newest.sha256, "archive")
    fetch_file(f"{place}.sig", folder / f"{newest.file}.sig", SIGNATURE_BOUNDS)
    return archive


def fetch_checked(place: str, target: Path, size: int, sha256: str, what: str) -> None:
    """Fetch a file that a signed list names into a new file.

    Args:
        place: an https address, or a path.
        target: the new file.
        size: bytes, of the list.
        sha256: of the list.
        what: it is, for messages.

    Raises:
        UpdateError: it cannot be fetched, or is not the one that the list names.
    """
    fetch_file(place, target, Bounds(size, ARCHIVE_SECONDS))
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != sha256:
        raise UpdateError(
            f"{place}: is not the {what} that the signed list names (SHA-256 {digest[:16]}…, not "
            f"{sha256[:16]}…). Nothing of it was used."
        )


def _refuse_older(feed: str, newest: ReleaseIndex, last: LastLook, state: Path) -> None:
    if newest.number < last.number:
        raise UpdateError(
            f"{feed}: its list of releases is of {day_of(newest.number)}, and one of "
            f"{day_of(last.number)} was seen there before. An old list can hide a release that "
            "mends a hole, so it was not believed. If its publisher says that this is right, "
            f"remove {state}."
        )


def day_of(number: int) -> str:
    """Return when a list of this number was signed, for people."""
    try:
        return datetime.fromtimestamp(number, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return f"number {number}"


def beside(feed: str, name: str) -> str:
    """Return where a file of this name is published."""
    return f"{feed.rstrip('/')}/{name}"
