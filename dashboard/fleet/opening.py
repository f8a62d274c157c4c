"""Opens the database of a fleet, with the library that only such a dashboard needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dashboard.fleet.address import FleetAddress
from edge_agent.core.errors import StoreError

if TYPE_CHECKING:
    from dashboard.fleet.connections import FleetDatabase


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
