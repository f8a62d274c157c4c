"""The way of a device into a fleet and out of it, by the commands that people type."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from tests.support.broker import wait_until
from tests.support.fleet.enrolment import (
    ROOT,
    FleetHere,
    JoiningDevice,
    answers,
    fleet_here,
    is_root,
)

pytestmark = [
    pytest.mark.deep,
    pytest.mark.broker,
    pytest.mark.skipif(not is_root(), reason="only root may run these commands"),
]

SERVE_AND_TELL = """
import atexit, pathlib, sys
from edge_agent.appliance.enrolment import service
told = pathlib.Path(sys.argv.pop())
give_up = service._give_up_rights
def watched(place):
    give_up(place)
    before = set(sys.modules)
    atexit.register(lambda: told.write_text("\\n".join(sorted(set(sys.modules) - before))))
service._give_up_rights = watched
from edge_agent.cli import main
main()
"""
"""Serves as the command does, and writes which modules were loaded after rights were given up."""


def fleet_join(
    here: FleetHere, device: JoiningDevice, code: str, *words: str
) -> subprocess.CompletedProcess[str]:
    address = f"https://127.0.0.1:{here.options.service_port}"
    command = [sys.executable, "-m", "edge_agent", "fleet-join", address, "--code-file", "-"]
    return subprocess.run(
        [*command, "--no-restart", "--config", str(device.config), *words],
        input=code,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )


def test_a_device_comes_and_goes_by_the_documented_commands(tmp_path: Path) -> None:
    device = JoiningDevice(tmp_path / "device")
    with fleet_here(tmp_path / "server") as here:
        ports = (
            *("--port", str(here.options.port), "--local-port", str(here.options.local_port)),
            *("--service-port", str(here.options.service_port), "--user", "root"),
        )
        again = here.run("setup", "127.0.0.1", *ports)
        assert "The collector's account is collector" in again.stdout, again.stderr
        drawn = here.run("code", "room-1", "--hours", "1")
        code = re.search(r"^  (\S{5}(-\S{5}){6})$", drawn.stdout, re.MULTILINE)
        assert code is not None, drawn.stdout + drawn.stderr
        service = subprocess.Popen(here.words("serve", "--address", "127.0.0.1"), cwd=ROOT)
        try:
            wait_until(lambda: answers(here), "the service")
            declined = fleet_join(here, device, code[1])
            assert declined.returncode != 0
            assert "Give --yes where nobody can be asked." in declined.stderr
            assert "the code can be used again" in declined.stderr
            done = fleet_join(here, device, code[1], "--yes")
            assert done.returncode == 0, done.stderr
            assert "This device has joined as room-1." in done.stdout
            assert "sudo systemctl restart affect-edge-agent" in done.stdout
        finally:
            service.terminate()
            assert service.wait(60) in {0, -signal.SIGTERM}
        assert device.settings.fleet.enabled
        assert here.run("list").stdout.startswith("room-1: joined, ")
        (listed,) = json.loads(here.run("list", "--json").stdout)
        assert (listed["name"], listed["state"]) == ("room-1", "joined")
        assert here.run("revoke", "room-1", "--yes").stdout == "room-1 is revoked.\n"
        assert here.run("list").stdout.startswith("room-1: revoked, ")
        audit = here.run("audit").stdout
        assert "127.0.0.1" in audit and "room-1" in audit
        unknown = here.run("revoke", "room-9", "--yes")
        assert unknown.returncode != 0 and "room-9" in unknown.stderr


def test_revoking_says_that_the_page_is_told_later_and_the_next_command_tells_it(
    tmp_path: Path,
) -> None:
    with fleet_here(tmp_path / "server") as here:
        here.run("code", "room-1")
        here.broker.stop()
        revoked = here.run("revoke", "room-1", "--yes")
        assert revoked.returncode == 0
        assert "this holds from its next start" in revoked.stderr
        assert "The page Fleet does not know it yet" in revoked.stderr
        here.broker.start()
        assert here.run("list").stderr == ""
        here.fleet.finish_changes()
        assert not here.fleet.untold


def test_units_are_printed_for_a_fleet_that_is_there(tmp_path: Path) -> None:
    with fleet_here(tmp_path / "server") as here:
        enrol = here.run("unit", "enrol")
        assert f"ReadWritePaths={here.place.folder}\n" in enrol.stdout, enrol.stderr
        assert f"--pid-file {here.pid_file} serve\n" in enrol.stdout
        collector = here.run("unit", "collector", "--user", "daemon")
        assert f" --port {here.options.local_port} --username collector " in collector.stdout
        assert "\nUser=daemon\n" in collector.stdout
        nobody = here.run("unit", "collector", "--user", "no\nbody")
        assert nobody.returncode == 2 and "there is no such user" in nobody.stderr
        broken = here.run("unit", "collector", "--user", "daemon", "--database", "a\nUser=root")
        assert broken.returncode == 2 and "no address of PostgreSQL" in broken.stderr
        assert broken.stdout == nobody.stdout == ""


def test_the_service_loads_nothing_once_it_has_given_up_its_rights(tmp_path: Path) -> None:
    told = tmp_path / "loaded"
    with fleet_here(tmp_path / "server") as here:
        code = here.run("code", "room-1").stdout.split("\n")[1].strip()
        words = here.words("serve", "--address", "127.0.0.1")[3:]
        command = [sys.executable, "-c", SERVE_AND_TELL, *words, str(told)]
        service = subprocess.Popen(command, cwd=ROOT)
        try:
            wait_until(lambda: answers(here), "the service")
            done = fleet_join(here, JoiningDevice(tmp_path / "device"), code, "--yes")
            assert done.returncode == 0, done.stderr
            assert here.run("revoke", "room-1", "--yes").returncode == 0
        finally:
            service.send_signal(signal.SIGINT)
            service.wait(60)
    assert told.read_text(encoding="utf-8") == ""
