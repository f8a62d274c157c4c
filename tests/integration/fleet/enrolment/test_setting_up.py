"""Setting a fleet up beside a broker: what is refused, and what works with everything closed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from edge_agent.appliance.enrolment.place import FleetPlace
from edge_agent.appliance.enrolment.setup import FleetOptions, options_of, set_up
from edge_agent.core.errors import EnrolmentError
from tests.support.broker import wait_until
from tests.support.fleet.enrolment import (
    ROOT,
    FleetHere,
    JoiningDevice,
    answers,
    fleet_here,
    is_root,
)

pytestmark = [pytest.mark.deep, pytest.mark.broker]
OF_THE_UNIT = "--bounding-set=-all,+dac_override,+setgid,+setuid"
"""What affect-edge-enrol.service leaves to the service."""


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_fleet_that_is_set_up_again_stays_as_it_is_where_nothing_is_given(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("port", "local_port", "service_port", "certificates", "user"))
    here = FleetHere(tmp_path, certificates=True)
    assert options_of(here.place, "127.0.0.1", nothing) == here.options
    assert "require_certificate true" in here.place.settings.read_text(encoding="utf-8")
    set_up(here.place, options_of(here.place, "127.0.0.1", nothing | {"port": 18883}))
    written = here.place.settings.read_text(encoding="utf-8")
    assert "require_certificate true" in written and "listener 18883\n" in written
    without = options_of(here.place, "127.0.0.1", nothing | {"certificates": False})
    assert (without.certificates, without.port) == (False, 18883)


def test_a_fleet_that_was_never_set_up_begins_with_what_is_usual(tmp_path: Path) -> None:
    place = FleetPlace(tmp_path / "fleet", tmp_path, tmp_path / "pid")
    assert options_of(place, "here", {"port": None, "user": None}) == FleetOptions("here")


@pytest.mark.parametrize("tells_number", [True, False])
def test_the_broker_is_told_of_changes_whether_or_not_its_own_file_names_its_process(
    tmp_path: Path, tells_number: bool
) -> None:
    with fleet_here(tmp_path, tells_number=tells_number) as here:
        written = here.place.settings.read_text(encoding="utf-8")
        assert (f"pid_file {here.pid_file}\n" in written) is not tells_number
        here.code("room-1")
        here.fleet.revoke("room-1")
        assert here.fleet.in_force and here.fleet.untold == ()
        here.broker.stop()
        assert not here.pid_file.exists()
        here.code("room-2")
        here.fleet.revoke("room-2")
        assert not here.fleet.in_force, "it reads its files at its next start"


def test_a_broker_whose_process_nobody_knows_is_named_with_what_to_do(tmp_path: Path) -> None:
    with fleet_here(tmp_path) as here:
        here.code("room-1")
        here.pid_file.unlink()
        with pytest.raises(EnrolmentError, match="is missing, so it was not told") as told:
            here.fleet.revoke("room-1")
        assert "fleet-enrol setup HOST, and then: sudo systemctl restart" in str(told.value)


def test_a_broker_that_writes_its_process_number_elsewhere_is_refused(tmp_path: Path) -> None:
    place = FleetPlace(tmp_path / "fleet", tmp_path / "conf.d", tmp_path / "pid")
    place.broker.mkdir()
    (tmp_path / "mosquitto.conf").write_text("pid_file /run/else where.pid\n", encoding="utf-8")
    with pytest.raises(EnrolmentError, match="--pid-file '/run/else where.pid' setup"):
        set_up(place, FleetOptions("here"))
    assert not place.folder.exists()


@pytest.mark.parametrize("name", ["conf.d/ours.conf", "mosquitto.conf"])
@pytest.mark.parametrize("line", ["password_file {etc}/accounts", "per_listener_settings true"])
def test_a_broker_that_has_accounts_is_refused_and_nothing_changes(
    tmp_path: Path, line: str, name: str
) -> None:
    etc = tmp_path / "etc"
    (etc / "conf.d").mkdir(parents=True)
    theirs = etc / name
    theirs.write_text(f"listener 1884\n\n  {line.format(etc=etc)}\n", encoding="utf-8")
    before = files_below(tmp_path)
    place = FleetPlace(etc / "affect-edge-fleet", etc / "conf.d", tmp_path / "mosquitto.pid")
    with pytest.raises(EnrolmentError, match="gives this broker accounts already") as refused:
        set_up(place, FleetOptions("127.0.0.1"))
    assert str(theirs) in str(refused.value)
    assert "another machine, or move that file away" in str(refused.value)
    assert files_below(tmp_path) == before
    assert not place.folder.exists()


@pytest.mark.skipif(not is_root(), reason="only root may run the commands")
def test_the_command_says_so_in_one_sentence(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "conf.d" / "ours.conf").write_text("password_file /etc/mosquitto/p\n", encoding="utf-8")
    before = files_below(tmp_path)
    words = [sys.executable, "-m", "edge_agent", "fleet-enrol", "--folder", str(etc)]
    done = subprocess.run(
        [*words, "setup", "server.example", "--user", "root"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1 and "ours.conf: gives this broker accounts" in done.stderr
    assert files_below(tmp_path) == before


def has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@contextmanager
def closed_server() -> Iterator[Path]:
    """A folder that everybody may enter; the tests' own is closed to others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def closed_to_others() -> Iterator[None]:
    """Make files that only their owner may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def own_program(folder: Path) -> Path:
    """Copy the program to where only root may read."""
    closed = folder / "program"
    closed.mkdir(mode=0o700)
    shutil.copytree(ROOT / "edge_agent", closed / "edge_agent")
    return closed


def has_no_rights(pid: int) -> bool:
    """Tell whether a process runs as the broker's user, with no right of root left."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    is_other = f"Uid:\t{pwd.getpwnam('mosquitto').pw_uid}\t" in status
    return is_other and "CapEff:\t0000000000000000" in status


@contextmanager
def serving(here: FleetHere, program: Path) -> Iterator[None]:
    """Let devices join, with no more rights than the unit leaves."""
    rights = ["setpriv", OF_THE_UNIT, "--no-new-privs"]
    service = subprocess.Popen(
        [*rights, *here.words("serve", "--address", "127.0.0.1")], cwd=program
    )
    try:
        wait_until(lambda: answers(here), "the service")
        wait_until(lambda: has_no_rights(service.pid), "its rights to be given up")
        yield
    finally:
        service.terminate()
        service.wait(60)


@pytest.mark.skipif(not is_root(), reason="only root may become another user")
@pytest.mark.skipif(not has_user("mosquitto"), reason="on Debian: apt install mosquitto")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed here")
def test_a_device_joins_where_the_brokers_user_may_read_nothing_but_its_own(
    tmp_path: Path,
) -> None:
    with closed_server() as folder:
        program = own_program(folder)
        server = folder / "server"
        for one in (server, server / "etc", server / "etc/conf.d", server / "broker"):
            one.mkdir(mode=0o755)
        for one in (server, server / "broker"):
            shutil.chown(one, "mosquitto")
        with closed_to_others(), fleet_here(server, user="mosquitto") as here:
            for one in (server, server / "etc", server / "etc/conf.d"):
                assert one.stat().st_mode & 0o777 == 0o755
            assert here.place.authority_key.stat().st_mode & 0o077 == 0
            code = here.code("room-1")
            device = JoiningDevice(tmp_path / "device")
            with serving(here, program):
                device.join(here, code)
                assert device.settings.fleet.enabled
                assert here.states() == {"room-1": "joined"}
            here.fleet.revoke("room-1")
            assert here.fleet.untold == ()
