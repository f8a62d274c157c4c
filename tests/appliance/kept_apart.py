"""What the units of the installed appliance may and may not: users, filters, limits, exposure."""

from __future__ import annotations

import re
from pathlib import Path

from edge_agent.core.process import STARTED_S
from tests.appliance.installation import (
    AGENT,
    CHECKOUT,
    DASHBOARD,
    DATABASE,
    pid_of,
    stranger,
    writable_paths,
)
from tests.appliance.machine import Machine

DATA = "/var/lib/affect-edge"
SOCKET = "/run/affect-edge/database.sock"
WEB_USER = "affect-edge-dashboard"
ADDRESS = "https://localhost:8080"
GATE = "affect-edge-database.service"
"""It ends when nobody asks, and its socket starts it."""
GATE_SOCKET = "affect-edge-database.socket"
MAINTENANCE = "affect-edge-maintenance.service"
EXPOSURE = {AGENT: 1.2, DASHBOARD: 1.0, GATE: 0.2, MAINTENANCE: 0.7}
"""The most that `systemd-analyze security` may say; docs/security.md tells what is left."""
FIRST_BOOT_EXPOSURE = 3.0
IDLE_SECONDS = 20.0
STUDY = """
from pathlib import Path
from tests.support.studies import add_session, heart
for number in range(4):
    states = heart(anger=80.0 + number, happiness=72.0 + 2 * number, neutral=70.0 + number)
    add_session(Path("DATABASE"), f"P-{number}", states)
"""
_ERASE = """
from pathlib import Path
from edge_agent.timeline.gate.commands import Commands
print(Commands(Path("DATABASE")).erase_participant("P-0", actor="ada").sentence)
"""


def exposures(machine: Machine) -> dict[str, float]:
    """Return what systemd says of each unit of the machine, and of that of an image."""
    said = {
        unit: machine.shell(f"systemd-analyze security --no-pager {unit} | tail -n 1")
        for unit in (AGENT, DASHBOARD, GATE, MAINTENANCE)
    }
    not_here = {"first boot": "image/affect-edge-first-boot.service"}
    for name, file in not_here.items():
        said[name] = machine.shell(
            f"systemd-analyze security --offline=true --no-pager {CHECKOUT}/{file} 2>/dev/null "
            "| tail -n 1"
        )
    return {unit: float(re.findall(r"\d+\.\d", text)[0]) for unit, text in said.items()}


def answers_of_the_broker(machine: Machine) -> dict[str, str]:
    """Return what the broker says to those who want to publish; `Success` for the account alone."""
    password = machine.shell("head -n 1 /etc/affect-edge/mqtt-password")
    topic = "affect-edge/affect-edge/test"
    tried = {
        "nobody": ("127.0.0.1", topic),
        "a guess": ("127.0.0.1", topic, "affect-edge", "guess"),
        "the account": ("127.0.0.1", topic, "affect-edge", password),
        "a foreign topic": ("127.0.0.1", "homeassistant/switch/door/set", "affect-edge", password),
        "another machine": ("10.0.2.100", topic, "affect-edge", password),
    }
    said = {
        who: stranger(machine, "mqtt", host, "1883", *words)
        for who, (host, *words) in tried.items()
    }
    taken = ("Success, Success", "Success, No matching subscribers")
    return {who: "Success" if answer in taken else answer for who, answer in said.items()}


def life_of_an_account(machine: Machine) -> list[str]:
    """Return what the broker says to an account for readings: to them, else, and once it is gone.

    Another account, `display`, stays.
    """
    topic = "affect-edge/affect-edge/ingest/vitals"

    def added(name: str, right: str) -> str:
        said = machine.shell(f"affect-edge mqtt-user add {name} --may {right}")
        return said.splitlines()[-1].split()[-1]

    def answer(topic: str) -> str:
        said = stranger(machine, "mqtt", "127.0.0.1", "1883", topic, "watch", password)
        return said.replace("No matching subscribers", "Success")

    added("display", "read")
    password = added("watch", "readings")
    said = [answer(topic), answer(topic.replace("ingest/vitals", "command/session"))]
    machine.shell("affect-edge mqtt-user remove watch --yes")
    return [*said, answer(topic)]


def megabytes(machine: Machine) -> tuple[int, dict[str, int]]:
    """Return what program and settings take on disk, and each service in memory (PSS) at rest.

    At rest: what only the start needed is given back, and the gate has ended for want of questions.
    """
    size = "du -sm /opt/affect-edge /etc/affect-edge | awk '{sum += $1} END {print sum}'"
    machine.shell(f"systemctl restart {AGENT} {DASHBOARD}")
    machine.wait_for(f"systemctl is-active {AGENT} {DASHBOARD}", 60)
    machine.wait_for(f"! systemctl is-active {GATE}", 180)
    resident = {}
    for unit in (AGENT, DASHBOARD, "mosquitto.service"):
        pid = pid_of(machine, unit)
        since_us = machine.shell(f"systemctl show -P ActiveEnterTimestampMonotonic {unit}").strip()
        started = f"$1 - {since_us} / 1e6 < {2 * STARTED_S:.0f}"
        machine.wait_for(f"awk '{{exit {started}}}' /proc/uptime", 60)
        told = machine.shell(f"awk '/^Pss:/ {{print $2}}' /proc/{pid}/smaps_rollup")
        resident[unit.removesuffix(".service")] = int(told) // 1024
    return int(machine.shell(size)), resident


def wait_until_back(machine: Machine, unit: str, old: str, within_s: float) -> float:
    """Wait until a service runs as another process; return the seconds that it took."""
    script = f'p=$(systemctl show -P MainPID {unit}); [ "$p" != 0 ] && [ "$p" != {old} ]'
    return machine.wait_for(f"{script} && systemctl is-active {unit}", within_s)


def certificate(machine: Machine) -> str:
    """Return where the dashboard's certificate lies, as this machine sees it."""
    return f"{machine.root}{DATA}/tls/cert.pem"


def refused_to_the_dashboard(machine: Machine) -> list[str]:
    """Return what the dashboard's user, in the mounts of its unit, may do and must not."""
    tries = (
        "cat /etc/affect-edge/mqtt-password",
        "sh -c 'echo >> /etc/affect-edge/affect-edge.toml'",
        f"mv {DATA}/live.sock {DATA}/another.sock",
        f"rm {DATA}/live.sock",
        f"rm {DATABASE}",
        f"mv {DATABASE} {DATABASE}.away",
        f"chmod 666 {DATABASE}",
        f"sh -c 'echo >> {DATABASE}'",
        f"sh -c 'echo >> {DATABASE}-wal'",
        f"touch {DATABASE}-journal",  # SQLite would play it back
        f"mv {DATA}/dashboard {DATA}/dashboard.away",
        "sh -c 'echo >> /opt/affect-edge/current/VERSION'",
        f"mv {DATA}/tls {DATA}/tls.away",
        f"sh -c 'cat /proc/{pid_of(machine, AGENT)}/environ'",
        f"kill -0 {pid_of(machine, AGENT)}",
    )
    user = f"setpriv --reuid={WEB_USER} --regid=affect-edge --clear-groups"
    inside = f"nsenter -t {pid_of(machine, DASHBOARD)} -m {user}"
    return [one for one in tries if machine.run("bash", "-c", f"{inside} {one}").code == 0]


def owners_after_a_change_of_group(machine: Machine) -> list[str]:
    """Let the agent's user regroup the data folder; return who owns what once units start again.

    Of the accounts, of the data folder, and of the folder of the gate's socket.
    """
    machine.shell(f"runuser -u affect-edge -- chgrp video {DATA}")
    machine.shell(f"systemctl restart {AGENT} {GATE}", within_s=120)
    machine.shell(f"chgrp affect-edge {DATA}")
    places = (f"{DATA}/dashboard/dashboard.db", DATA, str(Path(SOCKET).parent))
    return machine.shell(f"stat -c %U {' '.join(places)}").splitlines()


def written_by(machine: Machine, unit: str) -> list[str]:
    """Return what the process of a unit may write outside its folder and those of everybody."""
    user = "affect-edge"
    mine: tuple[str, ...] = (DATA, SOCKET)
    if unit == DASHBOARD:
        user, mine = WEB_USER, (f"{DATA}/dashboard", f"{DATA}/tls", f"{DATA}/live.sock", SOCKET)
    own = (*mine, "/tmp", "/var/tmp", "/run/lock", "/run/systemd", "/run/dbus")
    paths = writable_paths(machine, unit, user)
    assert (DATABASE in paths) == (unit != DASHBOARD)
    # systemd 252 lets a unit with a root of its own write its /run, which is empty and its alone.
    return [path for path in paths if path != "/run" and not path.startswith(own)]


def make_study(machine: Machine) -> None:
    """Write four finished sessions with readings into the timeline."""
    script = STUDY.replace("DATABASE", DATABASE)
    (machine.root / "root/study.py").write_text(script)
    python = "/opt/affect-edge/current/venv/bin/python"
    machine.shell(f"PYTHONPATH={CHECKOUT} PYTHONDONTWRITEBYTECODE=1 {python} /root/study.py")
    (machine.root / "root/study.py").unlink()


def analysis(machine: Machine) -> tuple[int, int]:
    """Return the status of the page Analysis, and how many states are compared with another."""
    status, tests = stranger(machine, "analysis", ADDRESS, certificate(machine)).split()
    return int(status), int(tests)


def processes(machine: Machine, unit: str) -> dict[str, int]:
    """Return the command lines of a unit's processes, each with the most memory it had, MiB."""
    script = (
        f"for p in /proc/[0-9]*; do grep -qs '/{unit}$' $p/cgroup && "
        "echo \"$(tr '\\0' ' ' < $p/cmdline)|$(awk '/^VmHWM/ {print $2}' $p/status)\"; done; :"
    )
    lines = (line.rpartition("|") for line in machine.shell(script).splitlines())
    return {f"{number} {line}": int(kib) // 1024 for number, (line, _, kib) in enumerate(lines)}


def erase_as_dashboard(machine: Machine) -> str:
    """Let the dashboard's user erase somebody from the agent's files; return what it says.

    One of the copies is unreadable, and goes.
    """
    broken = f"{DATABASE}.backup-2020-01-01"
    machine.shell(f"install -m 640 -o affect-edge -g affect-edge /etc/hostname {broken}")
    python = "/opt/affect-edge/current/venv/bin/python"
    said = machine.shell(
        f"runuser -u {WEB_USER} -- {python} -c '{_ERASE.replace('DATABASE', DATABASE)}'",
        within_s=120,
    )
    machine.shell(f"! test -e {broken}")
    return said


def idle_crowd(machine: Machine) -> tuple[int, int, int]:
    """Let 1,100 idle connections stand.

    Return how many were opened, the slowest answer to somebody else (ms), and failures.
    """
    words = ("idle", ADDRESS, certificate(machine), f"{IDLE_SECONDS:g}")
    opened, slowest, failures = map(int, stranger(machine, *words).split())
    return opened, slowest, failures


def limits(machine: Machine, unit: str) -> tuple[int, str]:
    """Return how many files a unit's process may open, and how often it was started again."""
    files = machine.shell(f"awk '/open files/ {{print $4}}' /proc/{pid_of(machine, unit)}/limits")
    return int(files), machine.shell(f"systemctl show -P NRestarts {unit}")
