"""The fleet as it is known without PostgreSQL: its address, its devices, their clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from edge_agent.core.addresses import Address
from edge_agent.core.errors import StoreError
from edge_agent.core.texts import N_

SILENT_S = 180
"""A device tells its health every minute: after three it is silent, whatever its state was."""
BEHIND_CHANGES = 1_000
"""Changes that wait on a device; one face and one strap make one or two a second."""
BEHIND_S = 300
CLOCK_MS = 5_000
DISK_PERCENT = 10.0
PAGE_DEVICES = 50
BAD: Mapping[str, str] = {
    "offline": N_("offline"),
    "silent": N_("no message for three minutes"),
    "alarms": N_("alarm"),
    "lost": N_("changes are lost"),
}
"""Reasons that come first, and what a page says of each."""
WORTH_A_LOOK: Mapping[str, str] = {
    "not_copied": N_("not everything was sent yet"),
    "behind": N_("lags behind"),
    "holes": N_("messages are missing"),
    "clock": N_("clock is wrong"),
    "disk": N_("little space left on disk"),
    "sensors": N_("a sensor is not connected"),
    "camera": N_("no picture from the camera"),
    "health_old": N_("its health is outdated"),
}
SHOWN: Mapping[Shown, str] = {
    "all": N_("All devices"),
    "attention": N_("Need attention"),
    "online": N_("Online"),
    "silent": N_("Silent"),
    "offline": N_("Offline"),
}


@dataclass(frozen=True, slots=True)
class FleetAddress:
    """The address in ``[dashboard]`` of the database that collectors write to.

    Attributes:
        address: ``postgresql://…``, without a password.
        password_file: file whose first line is the password; ``None``: libpq finds it, such as in
            ``PGPASSWORD`` or a ``.pgpass``, or none is needed.
    """

    address: Address
    password_file: Path | None = None

    @property
    def shown(self) -> str:
        """Server and database, as a page may name them."""
        parts = urlsplit(self.address.reveal())
        host = parts.hostname or "localhost"
        return f"{host}{parts.path.rstrip('/')}"

    def password(self) -> str | None:
        """Return the password, read anew: it may have been changed.

        Raises:
            StoreError: the file cannot be read, or its first line is empty.
        """
        file = self.password_file
        if file is None:
            return None
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise StoreError(
                f"dashboard.source_password_file {file}: cannot be read ({why}). Write the "
                "password of the database account on its first line and let the dashboard's user "
                "read it."
            ) from error
        if not lines or not lines[0]:
            raise StoreError(
                f"dashboard.source_password_file {file}: its first line is empty. Write the "
                "password of the database account there."
            )
        return lines[0]


Shown = Literal["all", "attention", "online", "silent", "offline"]


@dataclass(frozen=True, slots=True)
class FleetDevice:
    """A device as far as the collector knows it; ages are by the clock of PostgreSQL.

    Attributes:
        name: ``device.name``.
        state: ``online``, ``silent`` (not heard for three minutes), or ``offline`` (it said so, or
            the broker did).
        since_ms: when the state began, UTC; ``None``: not known.
        heard_s: seconds since it was last heard; ``None``: never.
        reasons: why it needs attention, of ``BAD`` and ``WORTH_A_LOOK``.
        version: of its program.
        health: its newest health; empty: none was heard.
        health_s: age of the health, seconds.
        health_by_device: whether that age is by the device's own clock: the broker had kept it.
        applied: position up to which everything is there; ``None``: it sends no timeline.
        copied: whether all that it held at the start of its stream is there.
        holes: whether messages are missing between others.
        waiting: changes on the device that are not confirmed; ``None``: not known.
        lost: changes that will not come.
        clock_ahead_ms: how far its clock was ahead, at least, by its quickest message; where
            nothing agrees with that, by its newest.
        clock_doubt_ms: how closely another message agrees; ``None``: none does.
        timeline_s: seconds since its timeline was last heard.
    """

    name: str
    state: Literal["online", "silent", "offline"]
    since_ms: int | None
    heard_s: float | None
    reasons: tuple[str, ...]
    version: str | None
    health: Mapping[str, Any]
    health_s: float | None
    health_by_device: bool
    applied: int | None
    copied: bool | None
    holes: bool
    waiting: int | None
    lost: int
    clock_ahead_ms: int | None
    clock_doubt_ms: int | None
    timeline_s: float | None


@dataclass(frozen=True, slots=True)
class FleetPage:
    """A page of devices, those that need attention first.

    Attributes:
        devices: those of this page.
        matching: how many match what was asked for.
        total: all devices there are.
        online: how many of all are online.
        attention: how many of all need attention.
    """

    devices: tuple[FleetDevice, ...]
    matching: int
    total: int
    online: int
    attention: int


@dataclass(frozen=True, slots=True)
class ClockOff:
    """A device whose times are moved in an answer.

    Attributes:
        device: its name.
        ahead_ms: by how much its clock was ahead, by the newest measurement in the range.
        doubt_ms: uncertainty of ``ahead_ms``.
    """

    device: str
    ahead_ms: int
    doubt_ms: int
