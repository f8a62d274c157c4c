"""A fleet's server on a booted Debian, by the commands of its page: `make test-appliance-fleet`.

PostgreSQL and mosquitto are Debian's. An appliance is installed beside them.
The tests are the life of one machine and run in the order in which they stand. `SUITE=bookworm`
takes Debian 12.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.installation import AGENT, PLENTY_S, ask, give_pictures, pid_of, writable_paths
from tests.appliance.kept_apart import wait_until_back
from tests.appliance.machine import ROOT, Machine, copy_checkout
from tests.unit.appliance.test_exposure import COLLECTOR, COLLECTOR_BAR

SUITE = os.environ.get("SUITE", "trixie")
PAGE = "docs/fleet.md"
KEEPER = "keeper"
"""Who looks after the server: no root, but may say sudo."""
HOME = f"/home/{KEEPER}"
CHECKOUT = f"{HOME}/affect-edge"
EVERYBODYS = ("/tmp", "/var/tmp", "/run/lock", "/run/systemd", "/run/dbus", "/run/postgresql/.s.")
"""What any process of Debian may write or connect to."""
ROWS_S = 240.0
FROZEN_S = 30
CUT_S = 10.0
AGENT_PID = f"systemctl show -P MainPID {AGENT}"
CONNECTED = f"ss -Htnp state established '( dport = :1883 )' | grep -q pid=$({AGENT_PID}),"
"""Whether the appliance is connected to the broker; both are on this machine."""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A Debian with a checkout, and somebody who may say sudo."""
    with Machine(SUITE) as booted:
        booted.shell("apt-get update -qq && apt-get install -y -qq sudo", within_s=PLENTY_S)
        # nobody is there to answer
        booted.shell("echo 'APT::Get::Assume-Yes \"true\";' >/etc/apt/apt.conf.d/90yes")
        booted.shell(
            f"useradd --create-home --shell /bin/bash {KEEPER} && chmod 700 {HOME} && "
            f"printf '{KEEPER} ALL = (ALL) NOPASSWD: ALL\nDefaults env_keep += DEBIAN_FRONTEND\n' "
            f">/etc/sudoers.d/{KEEPER}"
        )
        copy_checkout(booted.root / CHECKOUT.lstrip("/"))
        booted.shell(f"chown -R {KEEPER}: {CHECKOUT}")
        give_pictures(booted)
        yield booted


def as_keeper(machine: Machine, command: str, *more: str) -> str:
    """Run a line in the checkout as who looks after the server; it must succeed."""
    person = f"runuser -u {KEEPER} -- env USER={KEEPER} HOME={HOME} bash -c"
    line = command + "".join(f" {word}" for word in more)
    return machine.shell(
        f"cd {CHECKOUT} && DEBIAN_FRONTEND=noninteractive {person} {_quoted(line)}",
        within_s=PLENTY_S,
    )


def _quoted(line: str) -> str:
    return "'" + line.replace("'", "'\\''") + "'"


def documented_in_text(command: str) -> str:
    """Return a command that stands within a sentence of the page."""
    assert f"`{command}`" in Path(ROOT / PAGE).read_text(encoding="utf-8")
    return command


def let_in(machine: Machine, name: str) -> None:
    """Make an account by the documented command, and write it into the appliance."""
    said = as_keeper(machine, documented_in_text("sudo .venv/bin/affect-edge mqtt-user add room-1"))
    password = re.search(r"kept nowhere\): (\S+)$", said, re.MULTILINE)
    assert password is not None and f"Account {name}," in said, said
    file = f"/etc/affect-edge/{name}.password"
    machine.shell(f"echo {password[1]} | install -m 400 -o affect-edge /dev/stdin {file}")
    values = {"device.name": name, "mqtt.host": "127.0.0.1", "mqtt.username": name}
    values |= {"mqtt.password_file": file, "fleet.enabled": "true", "mqtt.enabled": "true"}
    changes = " ".join(f"{key}={value}" for key, value in values.items())
    machine.shell(f"affect-edge config set {changes}")
    machine.shell(f"systemctl restart {AGENT}", within_s=120)


def psql(machine: Machine, statement: str) -> str:
    """Ask the fleet's database as its owner."""
    return as_keeper(machine, f'psql fleet --no-align --tuples-only -c "{statement}"')


def wait_for_rows(machine: Machine) -> int:
    """Wait until what the appliance has now is in PostgreSQL, and compare it; return how much.

    What the broker took and lost is sent again after a minute.
    """
    last = int(ask(machine, "SELECT max(id) FROM expression"))
    newest = "(SELECT max(seq) FROM fleet_change), (SELECT confirmed FROM fleet_state)"
    position = int(ask(machine, f"SELECT coalesce({newest})"))
    applied = "psql fleet -At -c 'SELECT max(applied) FROM fleet.stream WHERE NOT closed'"
    machine.wait_for(f'[ "$(runuser -u {KEEPER} -- {applied})" -ge {position} ]', ROWS_S)
    figures = "count(*) || ' ' || sum(frames) || ' ' || min(at) || ' ' || max(at)"
    statement = f"SELECT {figures} FROM {{}}expression WHERE id BETWEEN 1 AND {last}"
    answer = machine.shell(f'affect-edge sql --format csv "{statement.format("")}"')
    assert psql(machine, statement.format("fleet.")) == answer.splitlines()[-1]
    return last


def uid_and_rights(machine: Machine, unit: str) -> tuple[str, int]:
    """Return whose the process of a unit is, and the rights of root that it has."""
    status = machine.shell(f"cat /proc/{pid_of(machine, unit)}/status")
    found = dict(re.findall(r"^(\w+):\s+(\w+)", status, re.MULTILINE))
    return machine.shell(f"id -nu {found['Uid']}"), int(found["CapEff"], 16)


def test_the_server_is_set_up_and_starts(machine: Machine) -> None:
    as_keeper(machine, documented_in_text("docs/fleet-on-debian.sh"))
    as_keeper(machine, "docs/fleet-on-debian.sh")  # once more: it keeps what is there
    machine.wait_for("ss -Hltn | grep -q ':1883 '", 30)
    # it is "active" only once it has said so itself
    assert machine.shell(f"systemctl is-active {COLLECTOR}") == "active"
    assert machine.shell(f"systemctl show -P StatusText {COLLECTOR}") != ""
    assert machine.shell("systemctl --failed --no-legend") == ""
    reader = "PGPASSWORD=$(cat reader.password) psql -h 127.0.0.1 -U reader -d fleet -c"
    as_keeper(machine, f"{reader} 'SELECT count(*) FROM fleet.stream'")


def test_the_unit_keeps_to_its_bar(machine: Machine) -> None:
    said = machine.shell(f"systemd-analyze security --no-pager {COLLECTOR} | tail -n 1")
    assert float(re.findall(r"\d+\.\d", said)[0]) <= COLLECTOR_BAR, said


def test_collector_has_no_right_of_root(machine: Machine) -> None:
    assert uid_and_rights(machine, COLLECTOR) == (KEEPER, 0)


def test_collector_can_write_nothing_outside_its_folder(machine: Machine) -> None:
    folder = "/run/affect-edge-collector"
    paths = writable_paths(machine, COLLECTOR, KEEPER, KEEPER)
    assert folder in paths
    assert [path for path in paths if not path.startswith((folder, *EVERYBODYS))] == []


def test_the_rows_of_an_installed_appliance_reach_postgresql(machine: Machine) -> None:
    command = documented_in_text("sudo ./install.sh --no-broker --with fleet")
    as_keeper(machine, command, "--yes", "--camera /srv/pictures")
    let_in(machine, "room-1")
    machine.wait_for(CONNECTED, 60)
    assert wait_for_rows(machine) > 0
    assert "room-1" in psql(machine, "SELECT device FROM fleet.stream")


def test_a_killed_collector_comes_back_and_nothing_is_lost(machine: Machine) -> None:
    old = pid_of(machine, COLLECTOR)
    machine.shell(f"kill -9 {old}")
    wait_until_back(machine, COLLECTOR, old, 40)
    wait_for_rows(machine)


def test_a_collector_that_hangs_is_killed_by_watchdog_and_nothing_is_lost(machine: Machine) -> None:
    """Within half a minute here; by the unit within five."""
    assert machine.shell(f"systemctl show -P WatchdogUSec {COLLECTOR}") == "5min"
    folder = f"/run/systemd/system/{COLLECTOR}.d"
    machine.shell(
        f"mkdir {folder} && printf '[Service]\\nWatchdogSec={FROZEN_S}\\n' >{folder}/test.conf && "
        f"systemctl daemon-reload && systemctl restart {COLLECTOR}",
        within_s=120,
    )
    old = pid_of(machine, COLLECTOR)
    machine.shell(f"kill -STOP {old}")
    wait_until_back(machine, COLLECTOR, old, FROZEN_S + 120)
    wait_for_rows(machine)
    machine.shell(f"rm -r {folder} && systemctl daemon-reload")
    machine.shell(f"systemctl restart {COLLECTOR}", within_s=120)


def test_postgresql_and_the_broker_start_again_and_nothing_is_lost(machine: Machine) -> None:
    machine.shell("systemctl stop postgresql mosquitto", within_s=120)
    machine.wait_for(f"journalctl -b -o cat -u {COLLECTOR} | grep -qi postgresql", 30)
    machine.shell("systemctl start postgresql mosquitto", within_s=120)
    wait_for_rows(machine)
    assert machine.shell(f"systemctl is-active {COLLECTOR}") == "active"


def test_all_is_there_again_after_a_power_cut(machine: Machine) -> None:
    rows = wait_for_rows(machine)
    machine.pull_the_plug()
    machine.boot()
    machine.wait_for(f"systemctl is-active {COLLECTOR} {AGENT} mosquitto", 120)
    machine.wait_for(CONNECTED, 120)
    assert wait_for_rows(machine) > rows


def test_an_appliance_without_its_account_is_cut_off_at_once(machine: Machine) -> None:
    wait_for_rows(machine)
    broker = pid_of(machine, "mosquitto.service")
    remove = documented_in_text("sudo .venv/bin/affect-edge mqtt-user remove room-1")
    assert as_keeper(machine, remove, "--yes") == "Account room-1 is gone."
    machine.wait_for(f"! {CONNECTED}", CUT_S)
    assert pid_of(machine, "mosquitto.service") == broker
    there = psql(machine, "SELECT max(id) FROM fleet.expression")
    last = int(ask(machine, "SELECT max(id) FROM expression"))
    newer = f"SELECT id FROM expression WHERE id > {last + 5} LIMIT 1"
    machine.wait_for(f"affect-edge sql --format jsonl '{newer}' | grep -q id", 60)
    assert psql(machine, "SELECT max(id) FROM fleet.expression") == there
    machine.wait_for("affect-edge doctor 2>&1 | grep -qi 'refuses'", 90)


def test_device_sends_what_it_recorded_while_the_server_was_away(machine: Machine) -> None:
    last = int(ask(machine, "SELECT max(id) FROM expression"))
    let_in(machine, "room-1")
    assert wait_for_rows(machine) > last
    assert psql(machine, "SELECT count(*) FROM fleet.dead_letter") == "0"
