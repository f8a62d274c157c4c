"""The place of a study: the file of this appliance, or the collector of a fleet.

Every query of a study goes to one SQLite file in the appliance's own schema. So there is one set of
queries, and the numbers are the same to the last digit wherever the rows came from. The
library for PostgreSQL is loaded only where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from dashboard.fleet.known import FleetAddress
from edge_agent.core.addresses import Address
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.dashboard_file import own_folder
from edge_agent.timeline.read.sites import Sites

if TYPE_CHECKING:
    from dashboard.fleet.postgres import FleetDatabase
    from dashboard.fleet.study_files import KeptCopies


PREFIXES = ("postgresql://", "postgres://")


class FleetStudySource(Protocol):
    """Gives the databases of a study.

    Example:
        >>> with study_source(None, Path("affect-edge.db"), ()).databases() as sites:
        ...     reader = reader_of(sites)
    """

    def databases(self) -> AbstractContextManager[Sites]:
        """Return name and database of each site for the length of a ``with`` block.

        Raises:
            StoreError: one cannot be read, or is not there as a whole.
        """


@dataclass(frozen=True, slots=True)
class OwnStudy:
    """The study of this appliance.

    Attributes:
        path: its database.
    """

    path: Path

    def databases(self) -> AbstractContextManager[Sites]:
        """Return the file itself."""
        return nullcontext((("", self.path),))


@dataclass(frozen=True, slots=True)
class FleetStudy:
    """The study of appliances as a collector has written it to PostgreSQL.

    Attributes:
        address: of the database, ``postgresql://…``.
        devices: which appliances; empty: the only one there is.
        every: all that there are.
    """

    address: Address
    devices: tuple[str, ...] = ()
    every: bool = False

    @contextmanager
    def databases(self) -> Iterator[Sites]:
        """Return copies that are deleted at the end: the study, and the rows of its sessions.

        The copies are of one moment, lie in a folder that only this user can read, and hold what
        is personal as the appliance's own file does.
        """
        try:
            from dashboard.fleet.study_files import copy_studies
        except ImportError as error:
            raise StoreError(
                f"Reading PostgreSQL needs psycopg ({error}). On an installed machine: sudo "
                "./install.sh --with fleet. In a checkout: .venv/bin/pip install -e '.[fleet]'."
            ) from error
        with TemporaryDirectory(prefix="affect-edge-study-") as folder:
            yield copy_studies(self.address, self.devices, Path(folder), every=self.every)


def study_source(
    address: str | None, own: Path, devices: tuple[str, ...], *, every: bool = False
) -> FleetStudySource:
    """Return where the study lies.

    Args:
        address: of PostgreSQL; ``None``: the study is this appliance's own.
        own: the appliance's database.
        devices: whose study is meant at PostgreSQL; several are sites of one study.
        every: all devices there are, instead of ``devices``.

    Raises:
        StoreError: it is no address of PostgreSQL, or a device is named without one.
    """
    if devices and every:
        raise StoreError("Give --device or --all-devices, not both.")
    if address is None:
        if devices or every:
            named = ", ".join(devices) or "--all-devices"
            raise StoreError(f"A device ({named}) can be chosen with --source only.")
        return OwnStudy(own)
    if not address.startswith(PREFIXES):
        raise StoreError(
            f"--source {Address(address).shown!r:.80} is no address of PostgreSQL, such as "
            "postgresql://reader@db.example/fleet."
        )
    return FleetStudy(Address(address), tuple(dict.fromkeys(devices)), every)


def open_fleet(source: FleetAddress | None) -> FleetDatabase | None:
    """Return the database of a fleet, not yet connected; ``None`` without one.

    The server may be away: each page says so as long as it is.

    Raises:
        StoreError: psycopg is not installed, or the file of the password cannot be read.
    """
    if source is None:
        return None
    try:
        from dashboard.fleet.postgres import FleetDatabase
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
    from dashboard.fleet.study_files import KeptCopies

    return KeptCopies(fleet, own_folder(data), on_erasure)
