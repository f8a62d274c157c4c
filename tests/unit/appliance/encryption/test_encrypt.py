"""The data folder moves into a container whole, or nothing has changed.

Real containers need a kernel with a device mapper, and programs that root alone may run: these are
played, and real in `make test-encryption`. What they are asked, where files go, and what systemd is
told are real.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from edge_agent.appliance.encryption.places import LOCKED_UNITS, Places
from edge_agent.appliance.encryption.proof import require_same
from edge_agent.appliance.encryption.steps import check, encrypt
from edge_agent.config.data import LOCKED_NAME, data_folder
from edge_agent.core.errors import EncryptionError, StoreError
from tests.support.encryption.played_tools import PlayedMachine

PASSPHRASE = "correct horse battery"
SIZE = 400 * 10**6


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedMachine:
    return PlayedMachine(tmp_path, monkeypatch)


def state(machine: PlayedMachine) -> dict[str, object]:
    """Everything of the machine that must not change when a step fails."""
    files = {
        path.relative_to(machine.top).as_posix(): path.read_bytes() if path.is_file() else None
        for folder in ("lib", "etc", "units", "mapper")
        for path in (machine.top / folder).rglob("*")
    }
    return {**files, "mode": machine.places.data.stat().st_mode}


def move(machine: PlayedMachine, passphrase: str = PASSPHRASE) -> list[str]:
    said: list[str] = []
    encrypt(machine.places, passphrase, SIZE, said.append)
    return said


def test_everything_moves_and_the_old_files_go(machine: PlayedMachine) -> None:
    places = machine.places
    before = (places.data / "affect-edge.db").read_bytes()
    move(machine)
    assert (places.data / "affect-edge.db").read_bytes() == before
    assert (places.data / "affect-edge.db").stat().st_mode & 0o777 == 0o660
    assert (places.data / "link").readlink() == Path("affect-edge.db")
    assert places.data.stat().st_mode & 0o7777 == 0o1770
    assert not places.before.exists()
    assert places.container.stat().st_mode & 0o777 == 0o600
    assert PASSPHRASE not in "".join(machine.calls), "every user could read it there"


def test_services_stop_before_the_copy_and_start_with_the_mount(machine: PlayedMachine) -> None:
    move(machine)
    calls = [call for call in machine.calls if call.startswith(("systemctl", "mount", "(m"))]
    stop, mounted, reload, switched, start, really = calls
    assert stop.startswith("systemctl stop affect-edge-maintenance.timer affect-edge-agent")
    assert mounted.endswith("work") and reload == "systemctl daemon-reload"
    assert switched == f"mount {machine.places.data}"
    assert start.startswith("systemctl start affect-edge-agent") and really == "(mounted)"


def test_the_next_start_of_the_machine_asks_and_waits(machine: PlayedMachine) -> None:
    move(machine)
    places = machine.places
    fstab = (places.etc / "fstab").read_text().splitlines()
    assert fstab[0] == "/dev/sda1 / ext4 defaults 0 1", "a line without an end got one"
    assert fstab[1].startswith(f"{places.opened} {places.data} ext4 nofail,nosuid,nodev,noexec")
    crypttab = (places.etc / "crypttab").read_text()
    assert crypttab == f"affect-edge-data {places.container} none luks,nofail\n"
    for unit in LOCKED_UNITS:
        text = (places.units / f"{unit}.d/10-encrypted-data.conf").read_text()
        assert f"RequiresMountsFor={places.data}" in text
        assert f"AssertPathIsMountPoint={places.data}" in text


def test_names_of_units_are_those_of_systemd() -> None:
    places = Places()
    assert places.mount_unit == r"var-lib-affect\x2dedge.mount"
    assert places.opening_unit == r"systemd-cryptsetup@affect\x2dedge\x2ddata.service"
    if shutil.which("systemd-escape"):
        words = ["systemd-escape", "--path", "--suffix=mount", str(places.data)]
        told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert told.strip() == places.mount_unit


def test_while_it_is_locked_nobody_takes_the_folder_for_an_empty_one(
    machine: PlayedMachine,
) -> None:
    move(machine)
    data = machine.places.data
    assert data_folder(data) == data
    subprocess.run(["umount", str(data)], check=True)
    assert [path.name for path in data.iterdir()] == [
        LOCKED_NAME
    ] and data.stat().st_mode & 0o222 == 0
    assert "sudo affect-edge unlock" in (data / LOCKED_NAME).read_text()
    with pytest.raises(StoreError, match="is encrypted, and locked now. To unlock it: sudo affect"):
        data_folder(data)
    with pytest.raises(EncryptionError, match="is encrypted already"):
        check(machine.places, SIZE)


@pytest.mark.parametrize(
    "step",
    [
        "fallocate",
        "cryptsetup luksFormat",
        "cryptsetup open",
        "mkfs.ext4",
        "systemctl stop",
        "mount",
        "sync",
        "systemctl daemon-reload",
        "umount",
        "systemctl start",
    ],
)
def test_a_step_that_fails_leaves_everything_as_it_was(machine: PlayedMachine, step: str) -> None:
    before = state(machine)
    machine.fail(step)
    with pytest.raises(EncryptionError, match=rf"{step}.*failed \(no luck today\)"):
        move(machine)
    machine.fail("nothing")
    if step == "umount":  # what could not be done then is done by hand
        subprocess.run(["umount", str(machine.places.work)], check=True)
    assert state(machine) == before
    stopped = [call for call in machine.calls if call.startswith("systemctl stop")]
    started = [call for call in machine.calls if call.startswith("systemctl start")]
    assert not stopped or started, "what was stopped runs again"


def test_the_second_mount_that_fails_brings_the_folder_back(machine: PlayedMachine) -> None:
    before = state(machine)
    machine.fail(f"mount {machine.places.data}")
    with pytest.raises(EncryptionError, match="mount"):
        move(machine)
    assert state(machine) == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ('printf x >>"$target/affect-edge.db"', r"affect-edge\.db differs"),
        ('rm "$target/tls/cert.pem"', r"tls/cert\.pem is missing"),
        ('chmod 600 "$target/affect-edge.db"', r"affect-edge\.db differs"),
        ('touch "$target/more"', "more differs"),
    ],
)
def test_a_copy_that_is_not_the_same_is_not_taken(
    machine: PlayedMachine, damage: str, said: str
) -> None:
    before = state(machine)
    script = f'#!/bin/bash\n/bin/cp "$@"\ntarget="${{@: -1}}"\n{damage}\n'
    (machine.top / "bin/cp").write_text(script)
    (machine.top / "bin/cp").chmod(0o755)
    with pytest.raises(EncryptionError, match=rf"{said}\. Nothing was deleted"):
        move(machine)
    (machine.top / "bin/cp").unlink()
    assert state(machine) == before


def test_a_short_passphrase_is_refused(machine: PlayedMachine) -> None:
    with pytest.raises(EncryptionError, match="A passphrase of 5 characters is too short"):
        move(machine, "short")
    assert not (machine.top / "calls").exists()


def test_what_speaks_against_it_is_said_before_anything_is_changed(machine: PlayedMachine) -> None:
    places = machine.places
    with pytest.raises(EncryptionError, match=r"A container of 0\.1 GB is too small"):
        check(places, 10**8)
    with pytest.raises(EncryptionError, match="Choose a smaller one"):
        check(places, 10**15)
    (places.mapper / "control").unlink()
    with pytest.raises(EncryptionError, match="no device mapper .*modprobe dm-crypt"):
        check(places, SIZE)
    (machine.top / "bin/cryptsetup").unlink()
    with pytest.raises(
        EncryptionError, match="sudo apt install cryptsetup e2fsprogs; on Debian 13"
    ):
        check(places, SIZE)
    places.before.mkdir()
    with pytest.raises(EncryptionError, match="left from an earlier try"):
        check(places, SIZE)
    places.before.rmdir()
    places.data.rename(machine.top / "elsewhere")
    places.data.symlink_to(machine.top / "elsewhere")
    with pytest.raises(EncryptionError, match="is no plain folder"):
        check(places, SIZE)


def test_a_container_that_a_power_cut_left_is_named_and_nothing_is_said_to_be_encrypted(
    machine: PlayedMachine,
) -> None:
    machine.places.container.write_bytes(b"half")
    with pytest.raises(EncryptionError, match=r"data\.luks: is left from a try .* Delete it"):
        check(machine.places, SIZE)
    assert machine.places.container.read_bytes() == b"half", "deleting is its owner's"
    machine.places.container.unlink()
    move(machine)
    subprocess.run(["umount", str(machine.places.data)], check=True)
    (machine.places.data / LOCKED_NAME).chmod(0o600)
    with pytest.raises(EncryptionError, match="is encrypted already"):
        check(machine.places, SIZE)


def test_sockets_are_left_out_of_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("old/live.sock")
    assert require_same(tmp_path / "old", tmp_path / "new") == 1


def test_a_program_that_is_not_there_is_named(
    machine: PlayedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(machine)
    (machine.top / "bin/fallocate").unlink()
    monkeypatch.setattr("subprocess.run", _missing)
    with pytest.raises(EncryptionError, match="fallocate could not be run"):
        move(machine)
    assert state(machine) == before


def _missing(words: tuple[str, ...], **_: object) -> None:
    raise FileNotFoundError(2, "No such file or directory", words[0])
