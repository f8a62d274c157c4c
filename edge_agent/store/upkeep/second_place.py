"""Copies in a second place: a USB stick or a mounted share that somebody may pull out.

A folder into which nothing is mounted looks like one of the system's own disk, and copies written
there would fill it. So a place counts only if it lies on another disk than the system and the
database, or holds a file of the name ``PLACE_MARK``, which a person made there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import copies_beside
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.backup import KEEP_COPIES, copy_beside
from edge_agent.store.upkeep.copies import Mark, daily_copies, verified, write_mark
from edge_agent.store.upkeep.copy_report import Attempt, read_report, standing, write_report

PLACE_MARK = "affect-edge-copies"
_SYSTEM = Path("/")
_SPARE_BYTES = 1_000_000


def copy_to_second_place(
    path: Path, folder: Path, device: str, now_ms: int | None = None, keep: int = KEEP_COPIES
) -> Path:
    """Make a verified copy in ``folder/<device>``, by the same rules as beside the database.

    Args:
        path: the database.
        folder: ``backup.also``.
        device: name of the appliance: several may share the folder.
        now_ms: UTC; ``None`` is now.
        keep: how many complete copies stay there.

    Raises:
        StoreError: nothing is mounted there, or the copy could not be made or verified. The copies
            there are as they were then.
    """
    at_ms = clock.now().wall_ms if now_ms is None else now_ms
    try:
        _require_mounted(folder, path.parent)
        place = folder / device / path.name
        with translate_errors(folder):
            place.parent.mkdir(mode=0o750, exist_ok=True)
        _remember(path, place.parent)
        target = copy_beside(path, place, keep, at_ms, _SPARE_BYTES)
        target = _without_erased(path, place, target)
    except StoreError as error:
        with suppress(StoreError):  # the data folder may be gone, too: the first error tells more
            write_report(path, replace(read_report(path), second=Attempt(at_ms, str(error))))
        raise
    write_report(path, replace(read_report(path), second=Attempt(at_ms)))
    return target


def forget_second_place(path: Path) -> None:
    """Raise no alarm any more where no second place is asked for.

    Where copies lie stays known: an erasure must find them.
    """
    report = read_report(path)
    if report.second is not None:
        write_report(path, replace(report, second=None))


def _require_mounted(folder: Path, data: Path) -> None:
    with translate_errors(folder):
        if not folder.is_dir():
            raise StoreError(
                f"backup.also = {folder}: is not there, so no copy was made there. Plug the stick "
                "in or mount the share, or take the key out of the configuration."
            )
        own = {_SYSTEM.stat().st_dev, data.stat().st_dev}
        if folder.stat().st_dev in own and not (folder / PLACE_MARK).exists():
            raise StoreError(
                f"backup.also = {folder}: nothing is mounted there, so no copy was made: it would "
                f"fill the appliance's own disk. Mount the stick or share there; if this folder "
                f"is meant, make an empty file {PLACE_MARK} in it."
            )


def _remember(path: Path, folder: Path) -> None:
    report = read_report(path)
    if str(folder) not in report.places:
        write_report(path, replace(report, places={**report.places, str(folder): None}))


def _without_erased(path: Path, place: Path, target: Path) -> Path:
    """Delete the copies from which an erasure could not take a participant out.

    Return the copy that stays. Only where the copies beside the database are well: else these may
    be the last good ones.

    Raises:
        StoreError: they are not, or the copies cannot be deleted.
    """
    report = read_report(path)
    if report.places.get(str(place.parent)) is None:
        return target
    if standing(path).smaller_than or standing(path).error:
        raise StoreError(
            f"{place.parent}: its older copies still hold somebody who was erased, and they stay, "
            "for the database is damaged or has lost rows. See the other alarms first."
        )
    with translate_errors(place):
        for other in copies_beside(place):
            if other != target:
                other.unlink()
        # It was compared with those: it is the measure now.
        whole = target.rename(target.with_name(target.name.replace("-smaller", "")))
    for copy, mark in verified(daily_copies(place)):
        if copy.path == whole:
            write_mark(whole, partial(Mark, mark.verified_ms, mark.number))
    write_report(path, replace(report, places={**report.places, str(place.parent): None}))
    return whole
