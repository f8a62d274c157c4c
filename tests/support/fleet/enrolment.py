"""A fleet with a real broker and a real service that devices join at, and devices that do."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from edge_agent.appliance.enrolment.announcing import announce
from edge_agent.appliance.enrolment.asking import JoinServer
from edge_agent.appliance.enrolment.code import JoinCode
from edge_agent.appliance.enrolment.fleet import FleetEnrolment
from edge_agent.appliance.enrolment.joining import FleetJoin, Joined
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.service import Guessers, JoinListener
from edge_agent.appliance.enrolment.setup import FleetOptions, set_up
from edge_agent.config import Settings, load_settings
from tests.support.broker import Mosquitto, free_port, wait_until

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """# how room 1 is set up
[device]
name = "lab"  # its first name

[camera]
source = "demo"

[mqtt]
host = "127.0.0.1"
port = 1  # nobody listens there
home_assistant = true
"""


class FleetHere:
    """A fleet on this machine.

    Args:
        folder: where its files go.
        certificates: whether the broker wants a certificate of each device.
        more: settings of mosquitto, below those that were set up.
        user: that the broker runs as; left out: who runs the tests.
        tells_number: whether mosquitto.conf says by itself where the process number goes, as
            Debian 12's does, and Debian 13's does not.
    """

    def __init__(
        self,
        folder: Path,
        *,
        certificates: bool = False,
        more: Sequence[str] = (),
        user: str = "",
        tells_number: bool = False,
    ) -> None:
        user = user or getpass.getuser()
        etc = folder / "etc"
        (etc / "conf.d").mkdir(parents=True, exist_ok=True)
        self.etc = etc
        self.pid_file = folder / "mosquitto.pid"
        self.place = FleetPlace(etc / "affect-edge-fleet", etc / "conf.d", self.pid_file)
        self.options = FleetOptions(
            "127.0.0.1",
            port=free_port(),
            local_port=free_port(),
            service_port=free_port(),
            certificates=certificates,
            user=user,
        )
        limits: dict[str, object] = {"user": user, "include_dir": etc / "conf.d"}
        if tells_number:
            limits["pid_file"] = self.pid_file
            (etc / "mosquitto.conf").write_text(f"\n pid_file {self.pid_file}\n", encoding="utf-8")
        set_up(self.place, self.options)
        if more:
            with self.place.settings.open("a", encoding="utf-8") as settings:
                settings.writelines(f"{line}\n" for line in more)
        self.broker = Mosquitto(folder / "broker", limits=limits)
        self.fleet = FleetEnrolment(self.place, announce)

    @property
    def server(self) -> JoinServer:
        """Where devices join."""
        return JoinServer("127.0.0.1", self.options.service_port)

    @property
    def collector_password(self) -> str:
        """Of the account ``collector``."""
        return self.place.collector_password.read_text(encoding="ascii").strip()

    def code(self, name: str, hours: float = 1.0) -> JoinCode:
        """Draw a code."""
        return self.fleet.make_code(name, hours)

    def states(self) -> dict[str, str]:
        """Return the state of each device."""
        return {device.name: str(device.state) for device in self.fleet.devices()}

    def events(self) -> list[str]:
        """Return what stands in the audit trail."""
        return [entry.event for entry in self.fleet.audit(10_000)]

    @contextmanager
    def serving(self, guessers: Guessers | None = None) -> Iterator[JoinListener]:
        """Let devices join for the length of a ``with`` block."""
        listener = JoinListener(
            self.fleet, self.place, "127.0.0.1", self.options.service_port, guessers
        )
        thread = threading.Thread(target=listener.run)
        thread.start()
        try:
            yield listener
        finally:
            listener.stop()
            thread.join(20)
            assert not thread.is_alive()

    def words(self, *words: str) -> list[str]:
        """Return the command line of ``affect-edge fleet-enrol`` for this fleet."""
        options = ["--folder", str(self.etc), "--pid-file", str(self.pid_file)]
        return [sys.executable, "-m", "edge_agent", "fleet-enrol", *options, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``affect-edge fleet-enrol``."""
        return subprocess.run(
            self.words(*words), capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
        )


class JoiningDevice:
    """An appliance with a configuration, before and after it has joined."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.config = folder / "affect-edge.toml"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.said: list[str] = []
        self.shown: list[str] = []

    def join(self, here: FleetHere, code: JoinCode, *, agree: bool = True, **how: Any) -> Joined:
        """Join the fleet."""

        def asked(lines: Sequence[str]) -> bool:
            self.shown = list(lines)
            return agree

        server = how.get("server", here.server)
        return FleetJoin(self.config, server, code, self.said.append, asked).run()

    @property
    def settings(self) -> Settings:
        """What its configuration says."""
        return load_settings(self.config)

    @property
    def folders(self) -> list[Path]:
        """What was fetched for it."""
        return sorted(self.config.parent.glob("fleet-*"))


@contextmanager
def fleet_here(folder: Path, **how: Any) -> Iterator[FleetHere]:
    """A fleet whose broker runs, for the length of a ``with`` block."""
    here = FleetHere(folder, **how)
    with here.broker:
        wait_until(here.pid_file.exists, "the broker's number")
        yield here


def answers(here: FleetHere) -> bool:
    """Tell whether somebody listens where devices join."""
    with closing(socket.socket()) as tried:
        return tried.connect_ex(("127.0.0.1", here.options.service_port)) == 0


def is_root() -> bool:
    """Tell whether this is root, who alone may run the commands."""
    return os.geteuid() == 0
