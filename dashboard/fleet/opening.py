"""Opens the database of a fleet, with the library that only such a dashboard needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.fleet.address import FleetAddress
from edge_agent.core.errors import StoreError
from edge_agent.store.database.dashboard_file import own_folder

if TYPE_CHECKING:
    from dashboard.fleet.connections import FleetDatabase
    from dashboard.fleet.kept_copies import KeptCopies


def open_fleet(source: FleetAddress | None) -> FleetDatabase | None:
    """Return the database of a fleet, not yet connected; ``None`` without one.

    The server may be away: each page says so as long as it is.

    Raises:
        StoreError: psycopg is not installed, or the file of the password cannot be read.
    """
    if source is None:
        return None
    try:
        from dashboard.fleet.connections import FleetDatabase
    except ImportError as error:
        raise StoreError(
            f"dashboard.source needs psycopg ({error}). On an installed machine: sudo ./install.sh "
            "--with fleet. In a checkout: .venv/bin/pip install -e '.[fleet]'."
        ) from error
    source.password()  # a file that cannot be read is told at the start
    return FleetDatabase(source)


def open_copies(
    fleet: FleetDatabase | None, data: Path, on_erasure: Callable[[], None]
) -> KeptCopies | None:
    """Return what lends copies of the studies of a fleet; ``None`` without a fleet.

    Args:
        fleet: what collectors write to.
        data: the data folder.
        on_erasure: called after somebody was erased whose study was asked for lately.

    Raises:
        StoreError: a copy that a crash has left cannot be deleted.
    """
    if fleet is None:
        return None
    from dashboard.fleet.kept_copies import KeptCopies

    return KeptCopies(fleet, own_folder(data), on_erasure)
