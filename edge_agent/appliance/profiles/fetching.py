"""Fetching what is published, as a service without rights does; nothing is applied here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_agent.appliance.feed.fetching import Bounds
from edge_agent.appliance.feed.index import INDEX_NAME
from edge_agent.appliance.feed.last_look import STATE_NAME, LastLook, read_look, write_look
from edge_agent.appliance.feed.look import (
    INDEX_BOUNDS,
    beside,
    day_of,
    fetch_checked,
    fetch_signed,
)
from edge_agent.appliance.profiles.index import ProfileIndex, read_profile
from edge_agent.appliance.profiles.place import ProfilePlace, read_state
from edge_agent.appliance.trust import Trust
from edge_agent.core.errors import UpdateError

WHAT = "configuration profile"


def fetch_profile(
    place: ProfilePlace, feed: str, device: str, now_ms: int, bounds: Bounds = INDEX_BOUNDS
) -> ProfileIndex:
    """Fetch the profile that is published, and its models where it is the turn of this device.

    Args:
        place: where they go; each file is there whole or not at all, the index last.
        feed: an https address, or a folder.
        device: ``device.name``.
        now_ms: the time, in epoch milliseconds.
        bounds: the most that the index may have.

    Raises:
        UpdateError: something cannot be fetched, is not trusted, is older than what was seen
            before, or is no profile. This is kept for ``fleet-profile show``.
    """
    seen = place.incoming / STATE_NAME
    last = read_look(seen)
    if last is None or last.feed != feed:
        last = LastLook(feed=feed, checked_ms=0)
    try:
        index = _fetch(place, feed, device, last.number, bounds)
    except UpdateError as error:
        write_look(seen, last.model_copy(update={"checked_ms": now_ms, "problem": str(error)}))
        raise
    write_look(
        seen, LastLook(feed=feed, checked_ms=now_ms, number=index.number, version=index.title)
    )
    return index


def read_fetched(
    feed: str, folder: Path, trust: Trust, newest: int, bounds: Bounds = INDEX_BOUNDS
) -> ProfileIndex:
    """Take an index with its signature from a place into a folder, and read it.

    Args:
        feed: an https address, or a folder.
        folder: where both go.
        trust: whose signatures count.
        newest: number of the newest index that was believed.
        bounds: the most that the index may have.

    Raises:
        UpdateError: it cannot be fetched, is not trusted, is older, or is no profile.
    """
    place = beside(feed, INDEX_NAME)
    index = read_profile(fetch_signed(feed, folder, trust, WHAT, bounds), place)
    if index.number < newest:
        raise UpdateError(
            f"{place}: is of {day_of(index.number)}, and one of {day_of(newest)} was believed "
            "before. An old profile can bring back what was mended, so nothing of it was used. "
            "Its publisher signs it again: affect-edge fleet-profile stage."
        )
    return index


def _fetch(
    place: ProfilePlace, feed: str, device: str, newest: int, bounds: Bounds
) -> ProfileIndex:
    try:
        place.incoming.mkdir(mode=0o755, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.incoming) as name:
            folder = Path(name)
            index = read_fetched(feed, folder, place.trust, newest, bounds)
            if index.includes(device) and read_state(place.state).digest != index.digest:
                for file in index.files:
                    target = folder / file.name
                    fetch_checked(beside(feed, file.name), target, file.size, file.sha256, "file")
            _keep(place.incoming, folder, index)
    except OSError as error:
        raise UpdateError(f"{place.incoming}: cannot be written ({error.strerror}).") from error
    return index


def _keep(incoming: Path, folder: Path, index: ProfileIndex) -> None:
    """Move what was fetched to its place, and remove what is of another profile."""
    wanted = [*(file.name for file in index.files), f"{INDEX_NAME}.sig", INDEX_NAME]
    for name in wanted:
        if (folder / name).exists():
            (folder / name).chmod(0o644)
            (folder / name).replace(incoming / name)
    for old in incoming.iterdir():
        if old.is_file() and old.name not in {*wanted, STATE_NAME}:
            old.unlink()
