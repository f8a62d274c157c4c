"""Where a study lies: in the file of this appliance, or at the collector of a fleet.

All that is asked of a study is asked of one file in the appliance's own schema. So there is one
set of questions, and the numbers are the same to the last digit wherever the rows came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from edge_agent.core.errors import StoreError

PREFIXES = ("postgresql://", "postgres://")


class StudySource(Protocol):
    """Gives the database of a study.

    Example:
        >>> with study_source(None, Path("affect-edge.db"), None).database() as path:
        ...     reader = Reader(path)
    """

    def database(self) -> AbstractContextManager[Path]:
        """Return a file that holds the study for the length of a ``with`` block.

        Raises:
            StoreError: it cannot be read, or is not there as a whole.
        """


@dataclass(frozen=True, slots=True)
class OwnStudy:
    """The study of this appliance.

    Attributes:
        path: its database.
    """

    path: Path

    def database(self) -> AbstractContextManager[Path]:
        """Return the file itself."""
        return nullcontext(self.path)


@dataclass(frozen=True, slots=True)
class FleetStudy:
    """The study of one appliance as a collector has written it to PostgreSQL.

    Attributes:
        address: of the database, ``postgresql://…``.
        device: which appliance; ``None``: the only one there is.
    """

    address: str
    device: str | None = None

    @contextmanager
    def database(self) -> Iterator[Path]:
        """Return a copy that is deleted at the end: the study, and the rows of its sessions.

        The copy is of one moment, lies in a folder that only this user can read, and holds what
        is personal as the appliance's own file does.
        """
        try:
            from dashboard.fleet.study_copy import copy_study
        except ImportError as error:
            raise StoreError(
                f"Reading PostgreSQL needs psycopg ({error}). On an installed machine: sudo "
                "./install.sh --with fleet. In a checkout: .venv/bin/pip install -e '.[fleet]'."
            ) from error
        with TemporaryDirectory(prefix="affect-edge-study-") as folder:
            path = Path(folder) / "affect-edge.db"
            copy_study(self.address, self.device, path)
            yield path


def study_source(address: str | None, own: Path, device: str | None) -> StudySource:
    """Return where the study lies.

    Args:
        address: of PostgreSQL; ``None``: the study is this appliance's own.
        own: the appliance's database.
        device: whose study is meant at PostgreSQL.

    Raises:
        StoreError: it is no address of PostgreSQL, or a device is named without one.
    """
    if address is None:
        if device is not None:
            raise StoreError(f"A device ({device}) can be chosen with --source only.")
        return OwnStudy(own)
    if not address.startswith(PREFIXES):
        raise StoreError(
            f"--source {address!r:.80} is no address of PostgreSQL, such as "
            "postgresql://reader@db.example/fleet."
        )
    return FleetStudy(address, device)
