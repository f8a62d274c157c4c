"""Units of systemd for the server of a fleet: the service that devices join at, and a collector.

A server's program lies where its operator put it, so that these are written with its path.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edge_agent.appliance.enrolment.place import FleetPlace

ENROL = "affect-edge-enrol.service"
COLLECTOR = "affect-edge-collector.service"

_CLOSED = """\
UMask=0077
NoNewPrivileges=yes
AmbientCapabilities=
ProtectSystem=strict
# the program may lie in somebody's home
ProtectHome=read-only
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
Environment=PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
Restart=on-failure
RestartSec=10
"""


def enrol_unit(place: FleetPlace) -> str:
    """Return the unit of ``affect-edge fleet-enrol serve``.

    It begins as root, to read the authority's key, and becomes the broker's user at once.
    """
    folder, broker = str(place.folder.parent), str(place.pid_file)
    words = ["fleet-enrol", "--folder", folder, "--pid-file", broker, "serve"]
    return f"""\
# Written by affect-edge fleet-enrol unit.
[Unit]
Description=Affect Edge: lets devices join the fleet by a code
After=network-online.target mosquitto.service
Wants=network-online.target mosquitto.service

[Service]
Type=exec
ExecStart={_command(words)}
# To open what is the broker's and to become its user, with which all three end.
CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_SETGID CAP_SETUID
ReadWritePaths={_quoted(str(place.folder))}
MemoryMax=256M
TasksMax=64
ProcSubset=pid
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
SystemCallFilter=~@resources
{_CLOSED}
[Install]
WantedBy=multi-user.target
"""


def collector_unit(place: FleetPlace, user: str, database: str, port: int) -> str:
    """Return the unit of ``affect-edge collect`` beside the broker.

    Args:
        place: the fleet.
        user: of this system that it runs as, such as the one that PostgreSQL knows.
        database: its address, without a password.
        port: of the broker, on this machine.
    """
    words = ["collect", "--database", database, "--port", str(port), "--username", "collector"]
    words += ["--password-file", "%d/password", "--health-file"]
    words += ["%t/affect-edge-collector/health.json"]
    return f"""\
# Written by affect-edge fleet-enrol unit.
[Unit]
Description=Affect Edge: takes the timelines of a fleet into PostgreSQL
After=network-online.target mosquitto.service postgresql.service
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=5min
ExecStart={_command(words)}
User={user}
LoadCredential={_quoted(f"password:{place.collector_password}")}
RuntimeDirectory=affect-edge-collector
CapabilityBoundingSet=
ProtectProc=invisible
MemoryMax=1G
TasksMax=64
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
{_CLOSED}
[Install]
WantedBy=multi-user.target
"""


def _command(words: Sequence[str]) -> str:
    """Return a command of this program, where it lies, as systemd reads it."""
    program = Path(sys.executable).with_name("affect-edge")
    start = [str(program)] if program.exists() else [sys.executable, "-P", "-m", "edge_agent"]
    specifiers = "%d/", "%t/"
    return " ".join(
        word if word.startswith(specifiers) else _quoted(word).replace("$", "$$")
        for word in (*start, *words)
    )


def _quoted(word: str) -> str:
    """Return a word that systemd takes as it is: no specifier, no end of it at a space."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"' if any(sign in word for sign in " \t'\\;") else word
