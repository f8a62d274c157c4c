"""A device or the service is killed in the middle of a joining: the next try comes to its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from edge_agent.core.errors import EnrolmentError
from tests.support.broker import wait_until
from tests.support.fleet.enrolment import (
    CONFIG,
    ROOT,
    JoiningDevice,
    answers,
    fleet_here,
    is_root,
)

pytestmark = [pytest.mark.deep, pytest.mark.broker]

_KILLED_DEVICE = """
import os, signal, sys
from pathlib import Path
from edge_agent.appliance.enrolment import joining
from edge_agent.appliance.enrolment.asking import JoinServer
from edge_agent.appliance.enrolment.code import parse_code

config, port, code, place, name, when = sys.argv[1:]
owner = JoinServer if place == "server" else joining
step = getattr(owner, name)

def killed(*args, **named):
    if when == "after":
        step(*args, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)
server = JoinServer("127.0.0.1", int(port))
joining.FleetJoin(Path(config), server, parse_code(code), print, lambda lines: True).run()
"""
STEPS = {
    "before it asks": ("server", "join", "before"),
    "once an account is made": ("joining", "_write_credentials", "before"),
    "once its files are written": ("joining", "_prove", "before"),
    "before its configuration changes": ("joining", "change_config", "before"),
    "once its configuration has changed": ("joining", "change_config", "after"),
    "before it confirms": ("server", "confirm", "before"),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_device_killed_while_it_joins_joins_with_the_same_code(
    tmp_path: Path, step: tuple[str, str, str]
) -> None:
    device = JoiningDevice(tmp_path / "device")
    with fleet_here(tmp_path / "server", certificates=True) as here, here.serving():
        code = here.code("room-1")
        words = [str(device.config), str(here.options.service_port), str(code), *step]
        done = subprocess.run([sys.executable, "-c", _KILLED_DEVICE, *words], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        assert here.states()["room-1"] != "joined"
        if device.config.read_text(encoding="utf-8") != CONFIG:
            assert device.settings.device.name == "room-1", "whole, the one or the other"
        device.join(here, code)
        assert here.states() == {"room-1": "joined"}
        assert len(device.folders) == 1, "what the first try fetched is gone"
        accounts = here.place.passwords.read_text(encoding="utf-8")
        assert accounts.count("room-1:") == 1


def test_a_device_killed_after_it_confirmed_has_joined_and_is_told_so(tmp_path: Path) -> None:
    device = JoiningDevice(tmp_path / "device")
    with fleet_here(tmp_path / "server") as here, here.serving():
        code = here.code("room-1")
        words = [str(device.config), str(here.options.service_port), str(code)]
        killed = [sys.executable, "-c", _KILLED_DEVICE, *words, "server", "confirm", "after"]
        assert subprocess.run(killed, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        assert here.states() == {"room-1": "joined"}
        assert device.settings.mqtt.username == "room-1"
        with pytest.raises(EnrolmentError, match="used"):
            device.join(here, code)
        assert device.settings.mqtt.username == "room-1", "it stays joined"


_KILLED_SERVICE = """
import os, signal, sys
from edge_agent.cli.app import main
from edge_agent.appliance.enrolment import broker, fleet, service

place, name, when, *words = sys.argv[1:]
owner = {"fleet": fleet.FleetEnrolment, "broker": broker}[place]
step = getattr(owner, name)

def killed(*args, **named):
    # the service looks by itself, too, before anybody came
    if not came or (name == "_write" and "room-1:" not in args[1]):
        return step(*args, **named)
    if when == "after":
        step(*args, **named)
    os.kill(os.getpid(), signal.SIGKILL)

came = []
join = fleet.FleetEnrolment.join
fleet.FleetEnrolment.join = lambda *args: (came.append(args), join(*args))[1]
listen = service.JoinListener.run
service.JoinListener.run = lambda self: (setattr(owner, name, killed), listen(self))[1]
sys.argv[1:] = words
sys.exit(main())
"""
MOMENTS = {
    "once the register has the account": ("fleet", "_finish_changes", "before"),
    "between rules and accounts": ("broker", "_write", "before"),
    "before it answers": ("fleet", "_finish_changes", "after"),
}


@pytest.mark.skipif(not is_root(), reason="only root may run the commands")
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_service_killed_while_a_device_joins_lets_it_join_by_the_same_code(
    tmp_path: Path, moment: tuple[str, str, str]
) -> None:
    device = JoiningDevice(tmp_path / "device")
    with fleet_here(tmp_path / "server") as here:
        code = here.code("room-1")
        words = here.words("serve", "--address", "127.0.0.1")[3:]
        killed = [sys.executable, "-c", _KILLED_SERVICE, *moment, *words]
        service = subprocess.Popen(killed, cwd=ROOT)
        try:
            wait_until(lambda: answers(here), "the service")
            with pytest.raises(EnrolmentError):
                device.join(here, code)
            assert service.wait(60) == -signal.SIGKILL
        finally:
            service.kill()
            service.wait(60)
        assert device.config.read_text(encoding="utf-8") == CONFIG and device.folders == []
        with here.serving():
            device.join(here, code)
        assert here.states() == {"room-1": "joined"}
        assert here.place.passwords.read_text(encoding="utf-8").count("room-1:") == 1
