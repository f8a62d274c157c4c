"""The appliance under a kernel of Debian, emulated: its data encrypted, its limits in force.

`make test-encryption`. An emulated processor takes minutes to start our services, so their units
run a small program that writes where they let it; `PROGRAMS=real` runs agent, gate and dashboard,
and sends the crowd (an hour, where other programs run).

The tests are the life of one machine and run in the order in which they stand: it is installed in
a container, as `make test-appliance` does, then boots from a disk with all its files.
`SUITE=bookworm` takes Debian 12.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import time
from collections.abc import Iterator

import pytest

from edge_agent.appliance.encryption.places import Places
from edge_agent.appliance.encryption.steps import STRENGTH
from tests.appliance.emulated import BEATS, QEMU, EmulatedMachine, kernel_packages
from tests.appliance.installation import (
    AGENT,
    CHECKOUT,
    DASHBOARD,
    DATABASE,
    PLENTY_S,
    give_checkout,
    install,
)
from tests.appliance.kept_apart import ADDRESS, DATA, GATE, MAINTENANCE
from tests.appliance.machine import Machine

SUITE = os.environ.get("SUITE", "trixie")
IS_REAL = os.environ.get("PROGRAMS") == "real"
SERVICES = (AGENT, GATE, DASHBOARD)
PASSPHRASE = "four words of no song"
ANOTHER = "other words, no song either"
PROMPT = "passphrase for disk"
WITHIN_S = 1200.0
CONTAINER = str(Places().container)
ENCRYPT = ("affect-edge", "encrypt-data", "--size", "0.6", "--yes")
PYTHON = "/opt/affect-edge/current/venv/bin/python -B"
CROWD_S = 30.0
LIMITS = {AGENT: 512, GATE: 256, DASHBOARD: 512}
"""MiB, as docs/install.md promises."""

pytestmark = [
    pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is missing"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel is for x86-64"),
]
figures: dict[str, str] = {}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedMachine]:
    """An installed appliance with a kernel, just booted."""
    with Machine(SUITE) as container:
        give_checkout(container)
        container.shell("apt-get update -qq", within_s=PLENTY_S)
        done = install(container, "--yes", "--camera /srv/pictures")
        assert done.code == 0, done.output[-4000:]
        packages = " ".join(kernel_packages(SUITE))
        words = "env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends"
        container.shell(f"{words} {packages}", within_s=PLENTY_S)
        container.power_off()
        emulated = EmulatedMachine(container.root, container.root.parent, light=not IS_REAL)
        try:
            emulated.boot()
            yield emulated
        finally:
            emulated.pull_the_plug()
    print("\n" + "\n".join(f"  {name}: {value}" for name, value in figures.items()))


def wait_for_services(machine: EmulatedMachine) -> None:
    """Wait until all of them run."""
    each = " && ".join(f"systemctl is-active {unit}" for unit in SERVICES)
    machine.wait_for(each, WITHIN_S)


def ask(machine: EmulatedMachine, statement: str) -> str:
    """Ask the database."""
    look = f"sqlite3.connect('file:{DATABASE}?mode=ro', uri=True).execute('{statement}')"
    return machine.shell(f'python3 -c "import sqlite3; print({look}.fetchone()[0])"')


def wait_for_work(machine: EmulatedMachine) -> None:
    """Wait until something was written into the data folder since now: a face, or a beat."""
    if not IS_REAL:
        machine.shell("touch /run/now && sleep 1")
        for beat in BEATS:
            machine.wait_for(f"[ {beat} -nt /run/now ]", WITHIN_S)
        return
    before = int(ask(machine, "SELECT count(*) FROM expression"))
    end = time.monotonic() + WITHIN_S
    while int(ask(machine, "SELECT count(*) FROM expression")) <= before:
        assert time.monotonic() < end, f"no row was recorded\n{machine.journal()}"
        time.sleep(2)


def write_participant(machine: EmulatedMachine, code: str) -> None:
    """Write somebody with a session and readings into the study."""
    script = (
        "from pathlib import Path; from tests.support.studies import add_session, heart; "
        "states = heart(anger=80.0, happiness=72.0, neutral=70.0); "
        f"add_session(Path('{DATABASE}'), '{code}', states)"
    )
    machine.shell(f'cd {CHECKOUT} && {PYTHON} -c "{script}"', within_s=WITHIN_S)


def running(machine: EmulatedMachine) -> list[str]:
    """Return which of our services run."""
    return [
        unit
        for unit in (*SERVICES, MAINTENANCE)
        if machine.run("systemctl", "is-active", "-q", unit).code == 0
    ]


def test_what_is_refused_changes_nothing(machine: EmulatedMachine) -> None:
    figures["kernel"] = machine.shell("uname -r")
    look = "ls -A /var/lib /etc/systemd/system && md5sum /etc/fstab && ls /etc/crypttab /dev/mapper"
    before = machine.run("bash", "-c", look).output
    dry = machine.run("affect-edge", "encrypt-data", "--size", "0.6", "--dry-run")
    assert dry.code == 0 and "opens with a passphrase only" in dry.output, dry.output
    short = machine.run(*ENCRYPT, answers=[("Passphrase:", "short"), ("Again:", "short")])
    assert short.code == 1 and "too short" in short.output, short.output
    assert machine.run("bash", "-c", look).output == before


def test_one_command_moves_the_data_into_a_container(machine: EmulatedMachine) -> None:
    rows = int(ask(machine, "SELECT count(*) FROM expression"))
    begun = time.monotonic()
    typed = [("Passphrase:", PASSPHRASE), ("Again:", PASSPHRASE)]
    done = machine.run(*ENCRYPT, answers=typed, within_s=WITHIN_S)
    assert done.code == 0 and "files and folders compared" in done.output, done.output
    figures["encrypting, emulated"] = f"{time.monotonic() - begun:.0f} s"
    mounted = machine.shell(f"findmnt -n -o SOURCE,FSTYPE,OPTIONS {DATA}").split()
    assert mounted[:2] == ["/dev/mapper/affect-edge-data", "ext4"]
    assert {"nosuid", "nodev", "noexec"} <= set(mounted[2].split(","))
    assert "affect-edge.before-encryption" not in machine.shell("ls -A /var/lib")
    wait_for_services(machine)
    wait_for_work(machine)
    assert int(ask(machine, "SELECT count(*) FROM expression")) >= rows > 0


def test_its_header_is_luks2_with_argon2id(machine: EmulatedMachine) -> None:
    header = machine.shell(f"cryptsetup luksDump {CONTAINER}")
    assert re.search(r"^Version:\s+2$", header, re.MULTILINE), header
    assert re.search(r"PBKDF:\s+argon2id", header) and "aes-xts-plain64" in header
    assert int(re.findall(r"Memory:\s+(\d+)", header)[0]) == 128 * 1024, header
    assert machine.shell(f"stat -c '%a %U' {CONTAINER}") == "600 root"


def test_who_takes_the_card_out_reads_nothing_that_came_since(machine: EmulatedMachine) -> None:
    write_participant(machine, "QX-4711-AFTER")
    machine.shell("sync")
    machine.pull_the_plug()
    assert machine.holds_on_its_card("AssertPathIsMountPoint"), "what is not encrypted is found"
    assert not machine.holds_on_its_card("QX-4711-AFTER")
    assert not machine.holds_on_its_card(PASSPHRASE)


def test_after_a_power_cut_the_data_are_locked_and_nothing_runs_over_them(
    machine: EmulatedMachine,
) -> None:
    machine.boot()
    machine.wait_for("ls /run/systemd/ask-password/ask.*", WITHIN_S)
    assert running(machine) == []
    assert machine.shell(f"ls -A {DATA}") == "LOCKED"
    assert machine.run("touch", f"{DATA}/beneath").code != 0, "root itself cannot write there"
    said = machine.run("affect-edge", "sql", "SELECT 1", "--data", DATA)
    assert said.code == 1 and "is encrypted, and locked now" in said.output, said.output
    for unit in (*SERVICES, MAINTENANCE):
        machine.run("systemctl", "start", "--no-block", unit)
    assert running(machine) == []


def test_a_wrong_passphrase_opens_nothing_and_the_right_one_everything(
    machine: EmulatedMachine,
) -> None:
    answers = [(PROMPT, "not the right words at all"), (PROMPT, PASSPHRASE)]
    done = machine.run("affect-edge", "unlock", answers=answers, within_s=WITHIN_S)
    assert done.code == 0, f"{done.output}\n{machine.journal()}"
    assert done.output.count(PROMPT) >= 2, "it asked again"
    wait_for_services(machine)
    assert ask(machine, "PRAGMA integrity_check") == "ok"
    assert "QX-4711-AFTER" in ask(machine, "SELECT group_concat(code) FROM participant")
    wait_for_work(machine)
    again = machine.run("affect-edge", "unlock")
    assert again.code == 1 and "is not locked" in again.output


def test_a_new_passphrase_takes_the_place_of_the_old_one(machine: EmulatedMachine) -> None:
    typed = [
        ("Enter passphrase to be changed", PASSPHRASE),
        ("Enter new passphrase", ANOTHER),
        ("Verify passphrase", ANOTHER),
    ]
    change = ("cryptsetup", "luksChangeKey", *STRENGTH, CONTAINER)
    done = machine.run(*change, answers=typed, within_s=WITHIN_S)
    assert done.code == 0, done.output
    opens = f"cryptsetup open --test-passphrase --key-file - {CONTAINER}"
    for passphrase, code in ((PASSPHRASE, 2), (ANOTHER, 0)):
        script = f"printf %s '{passphrase}' | {opens}"
        assert machine.run("bash", "-c", script, within_s=WITHIN_S).code == code


def test_limits_of_memory_and_of_open_files_are_in_force(machine: EmulatedMachine) -> None:
    for unit, megabytes in LIMITS.items():
        group = f"/sys/fs/cgroup/system.slice/{unit}"
        assert int(machine.shell(f"cat {group}/memory.max")) == megabytes * 2**20
        assert machine.shell(f"cat {group}/cgroup.procs"), "its processes are in it"
    files = f"awk '/open files/ {{print $4}}' /proc/$(systemctl show -P MainPID {DASHBOARD})/limits"
    assert machine.shell(files) == "4096"


@pytest.mark.skipif(not IS_REAL, reason="the dashboard does not run: PROGRAMS=real")
def test_a_crowd_at_the_door_does_not_break_the_limit_of_memory(machine: EmulatedMachine) -> None:
    group = f"/sys/fs/cgroup/system.slice/{DASHBOARD}"
    process = f"systemctl show -P MainPID {DASHBOARD}"
    before = machine.shell(process)
    words = (
        f"cd {CHECKOUT} && {PYTHON} -m tests.appliance.stranger crowd {ADDRESS} "
        f"{DATA}/tls/cert.pem {CROWD_S:g}"
    )
    opened, slowest, _, checked = map(int, machine.shell(words, within_s=WITHIN_S).split())
    events = dict(line.split() for line in machine.shell(f"cat {group}/memory.events").splitlines())
    peak = int(machine.shell(f"cat {group}/memory.peak")) // 2**20
    figures["crowd"] = f"{opened} idle connections, {checked} wrong passwords checked"
    figures["slowest answer meanwhile, emulated"] = f"{slowest} ms"
    figures["dashboard's memory at its peak, files that it read included"] = f"{peak} MiB"
    assert opened >= 1000 and checked > 0
    assert events["oom"] == events["oom_kill"] == "0"
    assert machine.shell(process) == before, "it is the same process as before"
