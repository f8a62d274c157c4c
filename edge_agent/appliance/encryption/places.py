"""Where the encrypted data of an appliance lie, and what the system is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAME = "affect-edge-data"
"""What the opened container is called below ``/dev/mapper``."""
SERVICES = (
    "affect-edge-agent.service",
    "affect-edge-database.service",
    "affect-edge-dashboard.service",
)
TIMER = "affect-edge-maintenance.timer"
LOCKED_UNITS = (*SERVICES, "affect-edge-maintenance.service")
DROP_IN = "10-encrypted-data.conf"


@dataclass(frozen=True, slots=True)
class Places:
    """Files and folders of one machine.

    Attributes:
        data: the data folder; the opened container is mounted over it.
        container: the file that holds everything, encrypted.
        etc: folder of ``crypttab`` and ``fstab``.
        units: folder of systemd's units of this machine.
        mapper: folder of opened containers.
        work: where the container is mounted while it is filled.
        cryptsetup: the programs of systemd that ask for the passphrase, either of them.
    """

    data: Path = Path("/var/lib/affect-edge")
    container: Path = Path("/var/lib/affect-edge.luks")
    etc: Path = Path("/etc")
    units: Path = Path("/etc/systemd/system")
    mapper: Path = Path("/dev/mapper")
    work: Path = Path("/run/affect-edge-encryption")
    cryptsetup: tuple[Path, ...] = (
        Path("/usr/lib/systemd/systemd-cryptsetup"),
        Path("/lib/systemd/systemd-cryptsetup"),
    )

    @property
    def before(self) -> Path:
        """The data folder as it was, until its copy is proven."""
        return self.data.with_name(f"{self.data.name}.before-encryption")

    @property
    def opened(self) -> Path:
        """The opened container."""
        return self.mapper / NAME

    @property
    def tables(self) -> dict[Path, str]:
        """File → the line of it that opens or mounts the container."""
        crypt = f"{NAME} {self.container} none luks,nofail"
        options = "nofail,nosuid,nodev,noexec,noatime,x-systemd.device-timeout=0"
        mount = f"{self.opened} {self.data} ext4 {options} 0 2"
        return {self.etc / "crypttab": crypt, self.etc / "fstab": mount}

    @property
    def drop_ins(self) -> dict[Path, str]:
        """File → what it tells systemd: no service without the mount; with it, both start."""
        waits = f"[Unit]\nRequiresMountsFor={self.data}\nAssertPathIsMountPoint={self.data}\n"
        files = {self.units / f"{unit}.d" / DROP_IN: waits for unit in LOCKED_UNITS}
        starts = f"[Unit]\nWants={' '.join(SERVICES)}\n"
        return {**files, self.units / f"{self.mount_unit}.d" / DROP_IN: starts}

    @property
    def opening_unit(self) -> str:
        """What systemd calls the asking for the passphrase."""
        return f"systemd-cryptsetup@{_escaped(NAME)}.service"

    @property
    def mount_unit(self) -> str:
        """What systemd calls the mount of the data folder."""
        parts = str(self.data).strip("/").split("/")
        return "-".join(_escaped(part) for part in parts) + ".mount"


def _escaped(text: str) -> str:
    """Write a text as systemd does in names of units."""
    return text.replace("-", r"\x2d")
