"""A machine with a kernel of its own, emulated by qemu, made of the files of another machine.

A container shares the kernel of this machine: it may have no device mapper, and limits of memory
are in force only where this machine hands on its control groups. Debian's kernel has both. Needs
root, qemu-system-x86 and e2fsprogs, and no support by the processor: it is slow, and the same
everywhere.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge_agent.appliance.encryption.places import SERVICES
from tests.appliance import inside
from tests.appliance.machine import Done, host

QEMU = "qemu-system-x86_64"
BOOT_SECONDS = 600.0
MEMORY_MB = 2048
DISK_MB = 6144
_INSIDE = "usr/local/lib/test-shell.py"
_UNIT = f"""[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
After=systemd-udevd.service dbus.socket
Wants=dbus.socket
[Service]
ExecStart=/usr/bin/python3 -B /{_INSIDE}
Environment=HOME=/root LANG=C.UTF-8 TERM=dumb
Restart=always
RestartSec=1
"""
_UNIT_NAME = "test-shell.service"
_PATIENT = """[Service]
TimeoutStartSec=infinity
TimeoutStopSec=5min
WatchdogSec=0
"""
"""An emulated processor is some twenty times slower than any on which the times of units hold."""
_LIGHT = """Type=simple
ExecStartPre=
ExecStart=
ExecStart=/bin/sh -c 'while sleep 2; do date >DOOR || exit 1; done'
"""
"""A program in the place of ours: it writes where the unit lets it, and starts in no time."""
_DOORS = {
    "affect-edge-agent.service": "/var/lib/affect-edge/beat",
    "affect-edge-database.service": "/var/lib/affect-edge/beat-of-gate",
    "affect-edge-dashboard.service": "/var/lib/affect-edge/dashboard/beat",
}
BEATS = tuple(_DOORS.values())
"""The files that those programs write again and again, each as its unit's user."""


def kernel_packages(suite: str) -> list[str]:
    """Return what a machine needs beside the appliance: Debian's kernel, and what opens LUKS."""
    split = [] if suite == "bookworm" else ["systemd-cryptsetup"]
    return ["linux-image-cloud-amd64", "cryptsetup", "e2fsprogs", *split]


class EmulatedMachine:
    """A machine that boots from a disk; its files last over boots and power cuts.

    Args:
        root: all files of it, with a kernel and its initrd in ``boot``; nobody else uses them now.
        folder: for the disk.
        light: the units run a small program in the place of ours.
    """

    def __init__(self, root: Path, folder: Path, *, light: bool) -> None:
        self._folder = folder
        self.disk = folder / "disk.img"
        self._qemu: subprocess.Popen[bytes] | None = None
        self._port: socket.socket | None = None
        self._heard = b""
        self.more: Sequence[str] = ()
        """Words for qemu, for devices beside the disk."""
        for name in ("vmlinuz", "initrd.img"):
            (found,) = (root / "boot").glob(f"{name}-*")
            shutil.copyfile(found, folder / name)
        shutil.copyfile(inside.__file__, root / _INSIDE)
        unit = root / "etc/systemd/system" / _UNIT_NAME
        unit.write_text(_UNIT)
        for name in SERVICES:
            drop_in = unit.parent / f"{name}.d/50-patient.conf"
            drop_in.parent.mkdir(exist_ok=True)
            drop_in.write_text(_PATIENT + (_LIGHT.replace("DOOR", _DOORS[name]) if light else ""))
        wanted = unit.parent / "sysinit.target.wants"
        wanted.mkdir(exist_ok=True)
        (wanted / _UNIT_NAME).symlink_to(f"../{_UNIT_NAME}")
        with self.disk.open("wb") as disk:
            disk.truncate(DISK_MB * 2**20)
        host("mke2fs", "-q", "-t", "ext4", "-L", "card", "-d", str(root), str(self.disk))

    def boot(self) -> None:
        """Switch it on; returns once it takes commands, whatever else still starts."""
        port = self._folder / "port"
        port.unlink(missing_ok=True)
        words = [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]
        words += ["-m", str(MEMORY_MB), "-display", "none", "-no-reboot", "-nic", "none"]
        words += ["-kernel", str(self._folder / "vmlinuz")]
        words += ["-initrd", str(self._folder / "initrd.img")]
        # on a busy machine, the timer may not tick while the kernel tries it
        words += ["-append", "console=ttyS0 root=/dev/vda rw panic=-1 no_timer_check nowatchdog"]
        words += ["-drive", f"file={self.disk},if=virtio,format=raw,cache=writeback"]
        words += ["-serial", f"file:{self._folder / 'console'}", "-device", "virtio-serial"]
        words += ["-chardev", f"socket,id=shell,path={port},server=on,wait=off"]
        words += ["-device", "virtserialport,chardev=shell,name=test.shell", *self.more]
        self._qemu = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + BOOT_SECONDS
        while not port.exists():
            self._require_alive(deadline)
            time.sleep(0.1)
        self._port = socket.socket(socket.AF_UNIX)
        self._port.connect(str(port))
        self._heard = b""
        self._ask({"words": ["true"], "answers": [], "within_s": 10.0}, deadline)

    def run(
        self, *words: str, answers: Sequence[tuple[str, str]] = (), within_s: float = 600.0
    ) -> Done:
        """Run a command as root inside, at a terminal if there is something to type.

        Args:
            words: of the command.
            answers: prompt → what is typed once it is there.
            within_s: it is ended after so many seconds, with 124 as its exit status.
        """
        asked = {"words": words, "answers": [list(pair) for pair in answers], "within_s": within_s}
        said = self._ask(asked, time.monotonic() + within_s + 60)
        return Done(int(str(said["code"])), str(said["output"]))

    def shell(self, script: str, within_s: float = 600.0) -> str:
        """Run a line of bash as root inside and return what it prints; it must succeed."""
        done = self.run("bash", "-c", script, within_s=within_s)
        assert done.code == 0, f"{script}\n{done.output[-4000:]}\n{self.console()}"
        return done.output.strip()

    def wait_for(self, script: str, within_s: float) -> float:
        """Ask until a line of bash succeeds inside; return the seconds that it took."""
        start = time.monotonic()
        while self.run("bash", "-c", script).code != 0:
            assert time.monotonic() - start < within_s, (
                f"not within {within_s:g} s: {script}\n{self.journal()}"
            )
            time.sleep(1)
        return time.monotonic() - start

    def journal(self) -> str:
        """Return the end of the log of our units."""
        return self.run("journalctl", "--no-pager", "-n", "40", "-u", "affect-edge-*").output

    def console(self) -> str:
        """Return the end of what stands on its screen."""
        return (self._folder / "console").read_text(errors="replace")[-2000:]

    def power_off(self) -> None:
        """Shut it down in order."""
        if self._qemu is not None:
            self.run("systemctl", "poweroff", "--no-block")
            with suppress(subprocess.TimeoutExpired):
                self._qemu.wait(180)
        self.pull_the_plug()

    def pull_the_plug(self) -> None:
        """Stop it at once, as a power cut does."""
        if self._port is not None:
            self._port.close()
            self._port = None
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def holds_on_its_card(self, text: str) -> bool:
        """Tell whether a text can be read on the disk by whoever takes it out."""
        found = subprocess.run(["grep", "-qaF", text, str(self.disk)], check=False)
        return found.returncode == 0

    def _ask(self, request: dict[str, object], deadline: float) -> dict[str, object]:
        assert self._port is not None
        self._port.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self._heard:
            self._require_alive(deadline)
            self._port.settimeout(2)
            with suppress(TimeoutError, ConnectionError):
                self._heard += self._port.recv(65536)
        line, _, self._heard = self._heard.partition(b"\n")
        answer: dict[str, object] = json.loads(line)
        return answer

    def _require_alive(self, deadline: float) -> None:
        assert self._qemu is not None
        if self._qemu.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"it does not answer any more:\n{self.console()}")
