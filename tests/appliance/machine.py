"""A real Debian, booted with its systemd in a container with a network of its own.

`make test-appliance` and `make test-fresh` work on it.

Needs root, systemd-nspawn, debootstrap and slirp4netns. Downloads are kept in `.appliance/` of the
checkout. The bare root is made once; each machine writes into an overlay over it that goes with the
machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.appliance.control_group import ControlGroup

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".appliance"
PACKAGES = "systemd,systemd-sysv,dbus,udev,libpam-systemd,python3,ca-certificates,iproute2,adduser"
BOOT_SECONDS = 120.0
HOST_NAME = "pi-test"
WRITABLE = ("/var/lib/affect-edge", "/var/lib/mosquitto")
"""What stays writable where the root is read-only; docs/install.md says so."""
FORGETFUL = ("/var/log", "/tmp:mode=1777", "/var/tmp:mode=1777")
"""Of these, Debian 12 needs `/tmp`: its systemd makes a private `/dev` there."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


FROM_THIS_MACHINE = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST"),
    *("PIP_DEFAULT_TIMEOUT", "http_proxy", "https_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""What the other machine is told, too, so that it finds packages where this one does."""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended on the machine."""

    code: int
    output: str


class Machine:
    """One machine: files that last over reboots, and a power switch.

    Args:
        suite: trixie (Debian 13, Python 3.13) or bookworm (Debian 12, Python 3.11).
    """

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._folder = Path(tempfile.mkdtemp(prefix="appliance-", dir="/var/tmp"))
        self.root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._network: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._group = ControlGroup(self._folder.name)

    def __enter__(self) -> Self:
        lay_over(bare_root(self._suite, PACKAGES), self._folder)
        for file in (Path("/etc/hosts"), CERTIFICATES):
            # what this machine needs to reach its package mirror
            target = self.root / file.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                shutil.copyfile(file, target)
        with (self.root / "etc/hosts").open("a", encoding="utf-8") as hosts:
            hosts.write(f"127.0.1.1 {HOST_NAME}\n")  # as every installed Debian knows its own name
        (self.root / "etc/resolv.conf").unlink(missing_ok=True)
        # slirp4netns answers there
        (self.root / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
        (self.root / "etc/hostname").write_text(f"{HOST_NAME}\n")
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()
        self._group.remove()
        take_away(self._folder)

    def boot(self, *, network: bool = True, read_only: bool = False) -> None:
        """Switch it on; returns once systemd says that all has started.

        Args:
            network: whether it has a way into the network.
            read_only: whether its root cannot be written. Its services then have copies of their
                data, which go with its logs and temporary files when it is switched off.
        """
        pip = CACHE / "pip"
        apt = CACHE / f"apt-{self._suite}"
        for folder in (pip, apt / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        words = ["systemd-nspawn", "-q", "-D", str(self.root)]
        words += ["--boot", "--register=no", "--keep-unit"]
        words += ["--private-network", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        words += [
            f"--bind={pip}:/var/cache/pip",
            f"--bind={apt}:/var/cache/apt/archives",
            *_shared_with_pip(),
        ]
        if read_only:
            words += ["--read-only", *(f"--tmpfs={place}" for place in FORGETFUL)]
            words += [f"--bind={self._copied(place)}:{place}" for place in WRITABLE]
        with (self._folder / "boot.log").open("wb") as log:
            # /tmp is what that Debian makes of it, not a small part of this machine's memory
            environment = os.environ | {"SYSTEMD_NSPAWN_TMPFS_TMP": "0"}
            self._nspawn = subprocess.Popen(
                self._group.words(*words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        deadline = time.monotonic() + BOOT_SECONDS
        while not self._is_up():
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    "it did not boot:\n"
                    f"{(self._folder / 'boot.log').read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.5)
        assert self._group.holds(self._leader), "another machine may be in its control groups"
        if network:
            self.connect()

    def _copied(self, place: str) -> Path:
        """Copy one of its folders onto a file system that is not read-only with the root."""
        copy = Path(tempfile.mkdtemp(dir=self._folder)) / "copy"
        host("cp", "--archive", f"{self.root}{place}", str(copy))
        return copy

    def connect(self) -> None:
        """Give it a way into the network.

        Its own address is 10.0.2.100, and nobody can call it from outside.
        """
        words = ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"]
        words += [str(self._leader), "tap0"]
        with (self._folder / "network.log").open("wb") as log:
            self._network = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def disconnect(self) -> None:
        if self._network is not None:
            self._network.terminate()
            self._network.wait()
            self._network = None

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        children = (
            Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        )
        if not children:
            return False
        self._leader = int(children[0])
        return self.run("systemctl", "is-system-running").output.strip() in {"running", "degraded"}

    def power_off(self) -> None:
        """Shut it down in order."""
        self.disconnect()
        if self._nspawn is None:
            return
        subprocess.run(["kill", "-s", "RTMIN+4", str(self._leader)], check=False)
        try:
            self._nspawn.wait(60)
        except subprocess.TimeoutExpired:
            self.pull_the_plug()
        self._nspawn = None

    def pull_the_plug(self) -> None:
        """Stop it at once, as a power cut does."""
        if self._nspawn is not None:
            os.kill(self._leader, 9)
            self._nspawn.wait(30)
            self._nspawn = None
        self.disconnect()

    def run(self, *words: str, within_s: float = 60.0) -> Done:
        """Run a command as root inside; its output is standard output and error together."""
        command = [*self._inside(), *words]
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=within_s, stdin=subprocess.DEVNULL
        )
        return Done(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

    def follow(self, *words: str, within_s: float) -> Done:
        """Run a command as root inside and print what it says while it runs.

        It is stopped when it takes longer.
        """
        command = [*self._inside(), "timeout", f"{within_s:g}", *words]
        said: list[str] = []
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as running:
            assert running.stdout is not None
            try:
                for line in running.stdout:
                    print(line, end="", flush=True)
                    said.append(line)
            except BaseException:
                # otherwise the end of this block would wait for it
                running.kill()
                raise
        return Done(running.returncode, "".join(said))

    def _inside(self) -> list[str]:
        """Return the words that run those after them inside, as root in a bare environment."""
        words = ["nsenter", "-t", str(self._leader), "-a", "env", "-i"]
        words += [f"PATH={PATH}", "HOME=/root", "LANG=C.UTF-8"]
        words += ["TERM=dumb", "PIP_CACHE_DIR=/var/cache/pip", f"PIP_CERT={CERTIFICATES}"]
        return words + [
            f"{name}={os.environ[name]}" for name in FROM_THIS_MACHINE if name in os.environ
        ]

    def shell(self, script: str, within_s: float = 60.0) -> str:
        """Run a line of bash as root inside and return what it prints; it must succeed."""
        done = self.run("bash", "-c", script, within_s=within_s)
        assert done.code == 0, f"{script}\n{done.output[-4000:]}"
        return done.output.strip()

    def beside(self, *words: str, within_s: float = 60.0) -> Done:
        """Run a command of this machine in the network of the other one, as a stranger there."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-n", *words],
            capture_output=True,
            check=False,
            timeout=within_s,
            stdin=subprocess.DEVNULL,
        )
        return Done(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))

    def wait_for(self, script: str, within_s: float) -> float:
        """Ask until a line of bash succeeds inside; return the seconds that it took."""
        start = time.monotonic()
        while self.run("bash", "-c", script).code != 0:
            assert time.monotonic() - start < within_s, (
                f"not within {within_s:g} s: {script}\n{self.journal()}"
            )
            time.sleep(0.3)
        return time.monotonic() - start

    def journal(self) -> str:
        """Return the end of the log of our units."""
        return self.run("journalctl", "--no-pager", "-n", "40", "-u", "affect-edge-*").output


def bare_root(suite: str, packages: str, architecture: str = "") -> Path:
    """Return the bare root of a Debian, which nobody may write to.

    Made when it is not in the cache.

    Args:
        suite: trixie or bookworm.
        packages: what it has beside the least that a Debian needs, with commas between.
        architecture: by Debian's name, such as arm64; left out: this machine's.
    """
    base = CACHE / (f"{suite}-{architecture}" if architecture else suite)
    if not (base / ".complete").exists():
        shutil.rmtree(base, ignore_errors=True)
        CACHE.mkdir(exist_ok=True)
        options = ["--variant=minbase", f"--include={packages}"]
        options += [f"--arch={architecture}"] if architecture else []
        host("debootstrap", *options, suite, str(base))
        (base / ".complete").touch()
    return base


def lay_over(base: Path, folder: Path) -> None:
    """Overlay ``root`` with a folder: what is written goes there, and the base does not change."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    layers = f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work"
    host("mount", "-t", "overlay", "overlay", "-o", layers, f"{folder}/root")


def take_away(folder: Path) -> None:
    subprocess.run(["umount", f"{folder}/root"], check=False, stderr=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)


def copy_checkout(folder: Path) -> None:
    """Copy the files of this checkout into a new folder, without those that git ignores."""
    folder.mkdir()
    words = "git ls-files -co --exclude-standard -z | tar --null -T - --ignore-failed-read -cf - "
    subprocess.run(
        ["bash", "-c", f'{words} | tar -xf - -C "$0"', str(folder)], check=True, cwd=ROOT
    )


def host(*words: str) -> None:
    """Run a command of this machine, which must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {(done.stdout + done.stderr)[-2000:]}")


def _shared_with_pip() -> Sequence[str]:
    """Bind pip's configuration and the folders that it names."""
    asked = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    words = [word.strip("'\"").removeprefix("file://") for word in said.replace("=", " ").split()]
    named = [Path(word) for word in words if word.startswith("/") and Path(word).is_dir()]
    # The folder above, too: an index refers to files that lie beside it.
    shared = {Path(*folder.parts[:3]) for folder in named}
    options = [f"--bind-ro={folder}" for folder in sorted(shared)]
    for file, inside in (
        (Path("/etc/pip.conf"), ""),
        (Path.home() / ".config/pip/pip.conf", ":/root/.config/pip/pip.conf"),
    ):
        options += [f"--bind-ro={file}{inside}"] if file.exists() else []
    return options
