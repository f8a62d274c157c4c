"""Where a fleet keeps its devices, keys and the broker's files, on the machine of the broker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_agent.core.errors import EnrolmentError

SETTINGS_NAME = "affect-edge-fleet.conf"


@dataclass(frozen=True, slots=True)
class FleetPlace:
    """The folder of a fleet; it belongs to the broker's user, but for the authority's key.

    Attributes:
        folder: that folder.
        broker: configuration folder of mosquitto.
        pid_file: of the running broker, as Debian's mosquitto writes it.
    """

    folder: Path = Path("/etc/mosquitto/affect-edge-fleet")
    broker: Path = Path("/etc/mosquitto/conf.d")
    pid_file: Path = Path("/run/mosquitto/mosquitto.pid")

    @property
    def settings(self) -> Path:
        """What tells mosquitto to use the files of the folder."""
        return self.broker / SETTINGS_NAME

    @property
    def register(self) -> Path:
        """The devices (SQLite)."""
        return self.folder / "devices.db"

    @property
    def passwords(self) -> Path:
        """Mosquitto's accounts."""
        return self.folder / "accounts"

    @property
    def rules(self) -> Path:
        """Who may read and write what."""
        return self.folder / "rules"

    @property
    def authority(self) -> Path:
        """What devices and broker trust (PEM)."""
        return self.folder / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """With which the authority signs; root's own."""
        return self.folder / "authority.key"

    @property
    def certificate(self) -> Path:
        """Of the broker and of the service that devices join at (PEM)."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "server.key"

    @property
    def revoked(self) -> Path:
        """The list of revoked certificates (PEM)."""
        return self.folder / "revoked.pem"

    @property
    def collector_password(self) -> Path:
        """Password of the account ``collector``."""
        return self.folder / "collector.password"

    def require(self) -> None:
        """Make sure that a fleet was set up here.

        Raises:
            EnrolmentError: none was.
        """
        if not self.register.exists() or not self.settings.exists():
            raise EnrolmentError(
                f"{self.folder}: no fleet was set up here. On the machine of the broker: sudo "
                "affect-edge fleet-enrol setup HOST, with the name by which devices reach it."
            )
