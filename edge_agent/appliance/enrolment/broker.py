"""The broker's files of a fleet: accounts, rules and revoked certificates, from the register."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from cryptography import x509

from edge_agent.appliance.broker.files import read, write
from edge_agent.appliance.enrolment.authority import Authority
from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.core import clock
from edge_agent.core.errors import EnrolmentError
from edge_agent.mqtt.topics import enrolment_topic

COLLECTOR = "collector"
ANNOUNCER = "affect-edge-enrol"
"""Tells the fleet that a device is revoked, or has joined."""
RESERVED = (COLLECTOR, ANNOUNCER)
ROOT = "affect-edge"
"""First part of the topics."""
_START_S = 10.0
_ANSWER_S = 5.0
ENROLMENT = enrolment_topic(ROOT, "+")
_MARK = "# Below: one rule for each device, written by affect-edge fleet-enrol."
FIRST_RULES = f"""# Written by affect-edge fleet-enrol; rules of yours go above the devices.
user {COLLECTOR}
topic read {ROOT}/+/timeline
topic read {ROOT}/+/status
topic read {ROOT}/+/health
topic write {ROOT}/+/timeline/confirmed

user {ANNOUNCER}
topic write {ROOT}/+/status

{_MARK}
"""
_FLEET_RULES = f"""user {ANNOUNCER}
topic write {ENROLMENT}
user {COLLECTOR}
topic read {ENROLMENT}
"""
"""Below the mark, where they come to fleets that were set up before there was such a topic."""


def write_accounts(place: FleetPlace, devices: Mapping[str, str | None]) -> None:
    """Make the broker's files say what the register says; other accounts and rules stay.

    Args:
        place: the fleet.
        devices: hash of the password by the name of each device; ``None``: it has no account.

    Raises:
        BrokerAccountError: a file cannot be read or written.
    """
    allowed = {name: known for name, known in devices.items() if known is not None}
    # Rules first: whoever gets in has them.
    head, _, _ = read(place.rules).partition(_MARK)
    rules = "".join(f"user {name}\ntopic readwrite {ROOT}/{name}/#\n" for name in sorted(allowed))
    _write(place.rules, f"{head}{_MARK}\n{_FLEET_RULES}{rules}")
    others = [
        line
        for line in read(place.passwords).splitlines(keepends=True)
        if line.partition(":")[0] not in devices
    ]
    accounts = [f"{name}:{allowed[name]}\n" for name in sorted(allowed)]
    _write(place.passwords, "".join([*others, *accounts]))


def write_revocations(place: FleetPlace, authority: Authority, serials: set[int]) -> None:
    """Make the list of revoked certificates say what the register says.

    Raises:
        BrokerAccountError: it cannot be written.
    """
    if place.revoked.exists() and revoked_serials(place.revoked) == serials:
        return
    write(place.revoked, authority.revocations(serials))


def revoked_serials(file: Path) -> set[int] | None:
    """Return the serial numbers on a list; ``None``: it is damaged."""
    try:
        return {one.serial_number for one in x509.load_pem_x509_crl(file.read_bytes())}
    except (OSError, ValueError):
        return None


def reload(place: FleetPlace, port: int) -> bool:
    """Make the broker read its files again; return whether it runs.

    It cuts off who has no account any more, and nobody else.

    Args:
        place: the fleet.
        port: of the broker on this machine.

    Raises:
        EnrolmentError: it runs, and this process may not tell it or does not know which one it is.
    """
    if not place.pid_file.exists():
        _require_silence(place, port)
        return False
    try:
        pid = int(place.pid_file.read_text(encoding="ascii"))
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        if program != "mosquitto":
            return False  # the file is of a broker that has ended
        _wait_for_start(pid)
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except OSError as error:
        raise EnrolmentError(
            f"The broker did not read its files again ({error.strerror}), so it goes by those of "
            "before. A restart makes it: sudo systemctl restart mosquitto"
        ) from error
    return True


def _require_silence(place: FleetPlace, port: int) -> None:
    """Make sure that no broker runs that nobody knows the process of."""
    with closing(socket.socket()) as tried:
        tried.settimeout(_ANSWER_S)
        if tried.connect_ex(("127.0.0.1", port)) == 0:
            raise EnrolmentError(
                f"The broker runs, but {place.pid_file} is missing, so it was not told and goes by "
                "its files of before. Now: sudo affect-edge fleet-enrol setup HOST, and then: sudo "
                "systemctl restart mosquitto"
            )


def _wait_for_start(pid: int) -> None:
    """Wait until a broker that is just starting can be told something: before, it would end."""
    until = clock.boot_seconds() + _START_S
    while clock.boot_seconds() < until:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1:
            return
        clock.sleep(0.05)


def _write(file: Path, text: str) -> None:
    if read(file) != text:
        write(file, text)
