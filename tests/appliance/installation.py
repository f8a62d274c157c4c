"""Steps of the tests of the installed appliance: build releases, install, ask, purge."""

from __future__ import annotations

import os
import platform
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.appliance.machine import ROOT, Done, Machine, copy_checkout
from tests.support.vision.portraits import SERIOUS_FILE, SMILING_FILE
from tools.build_image_layer import INSIDE, build_image_layer
from tools.build_release import build_release, make_key, sign

CHECKOUT = "/root/affect-edge"
GOOD = "affect-edge-99.0.0.tar"
BAD = "affect-edge-99.0.1.tar"
AGENT = "affect-edge-agent.service"
DASHBOARD = "affect-edge-dashboard.service"
DATABASE = "/var/lib/affect-edge/affect-edge.db"
KILLED = 128 + 9
PLENTY_S = 1200.0
CHANGING = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/log",
    "/var/cache",
    "/var/backups",
    "/root",
    "/var/lib/apt",
]
"""What every Debian writes by itself, and where the checkout lies."""
PACKAGES_OF_DEBIAN = [
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/var/lib/pam",
    "/var/lib/bluetooth",  # made anew where its daemon starts while its package goes
]


def build_releases(machine: Machine, out: Path) -> None:
    """Build two signed archives: a newer release, and one whose agent dies soon after its start."""
    tree = out / "tree"
    shutil.copytree(machine.root / "root/affect-edge", tree, symlinks=True)
    python = machine.shell("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    about = tree / "edge_agent/__init__.py"
    agent = tree / "edge_agent/agent/loop.py"
    for name, dies in ((GOOD, False), (BAD, True)):
        version = name.removeprefix("affect-edge-").removesuffix(".tar")
        about.write_text(
            re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', about.read_text())
        )
        if dies:
            ready = "self._notifier.ready()"
            assert ready in agent.read_text()
            agent.write_text(
                agent.read_text().replace(
                    ready, f"{ready}; threading.Timer(25, os._exit, [1]).start()"
                )
            )
        archive = build_release(tree, out, [f"linux-{platform.machine()}-py{python}"])
        assert archive.name == name
        sign(archive, owner_key_of(machine) if name == GOOD else key_of(machine))


def key_of(machine: Machine) -> Path:
    """Return the temporary key that this machine's release trusts."""
    return machine.root.parent / "release-key"


def owner_key_of(machine: Machine) -> Path:
    """Return a temporary key that no release knows, and that the machine's owner may trust."""
    key = machine.root.parent / "owner-key"
    if not key.exists():
        make_key(key, machine.root.parent / "signers-of-nobody", passphrase="")
    return key


def update_before_and_after_trust(machine: Machine, archive: str) -> tuple[Done, Done, Done]:
    """Update, let the owner trust the key that signed the archive, and update again."""
    shutil.copy(owner_key_of(machine).with_suffix(".pub"), machine.root / "var/cache/owner.pub")
    update = ("affect-edge", "update", "--yes")
    refused = machine.run(*update, archive, within_s=PLENTY_S)
    trusted = machine.run(*update, "--trust", "/var/cache/owner.pub")
    return refused, trusted, machine.run(*update, archive, within_s=PLENTY_S)


def first_start_of_an_image(machine: Machine, folder: Path) -> float:
    """Copy the layer of an image onto the machine, start it without a network.

    Return after how many seconds the services ran and the installation was gone.
    """
    python = machine.shell("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    platform_here = f"linux-{platform.machine()}-py{python}"
    layer = build_image_layer(machine.root / "root/affect-edge", folder / "layer", platform_here)
    stage = layer / "stage-affect-edge/00-affect-edge"
    # Debian has no such package
    wanted = set((stage / "00-packages-nr").read_text().split()) - {"python3-picamera2"}
    machine.shell(
        f"apt-get install -y -qq --no-install-recommends {' '.join(wanted)}", within_s=PLENTY_S
    )
    subprocess.run(
        ["./01-run.sh"], cwd=stage, env={**os.environ, "ROOTFS_DIR": str(machine.root)}, check=True
    )
    machine.power_off()
    machine.boot(network=False)
    start = time.monotonic()
    machine.wait_for(
        f"systemctl is-active {AGENT} {DASHBOARD} mosquitto && [ ! -e /{INSIDE} ]", PLENTY_S
    )
    return time.monotonic() - start


def versions(machine: Machine) -> list[str]:
    """Return the first numbers of the releases that are there."""
    return [name.split(".")[0] for name in machine.shell("ls /opt/affect-edge/releases").split()]


def give_checkout(machine: Machine) -> None:
    """Put the files of this checkout, and pictures, onto the machine."""
    copy_checkout(machine.root / "root/affect-edge")
    make_key(
        key_of(machine), machine.root / "root/affect-edge/config/release-signers", passphrase=""
    )
    give_pictures(machine)


def give_pictures(machine: Machine) -> None:
    """Put a folder of portraits onto the machine, which a camera can be made of."""
    pictures = machine.root / "srv/pictures"
    pictures.mkdir()
    for portrait in (SMILING_FILE, SERIOUS_FILE):
        shutil.copy(portrait, pictures)


def listing(machine: Machine, *more: str) -> str:
    """Return all files with their owners, rights, times and sizes; folders without times."""
    pruned = " -o ".join(f"-path {path}" for path in [*CHANGING, *more])
    form = r"%p %y %m %u %g %s %T@ %l\n"
    folders = r"-type d -printf '%p d %m %u %g\n'"
    return machine.shell(
        rf"find / \( {pruned} \) -prune -o {folders} -o -printf '{form}' | sort", within_s=120
    )


def registered(machine: Machine) -> str:
    """Return all packages that are there, wholly or not, and what is wrong with them."""
    return machine.shell("dpkg --audit; dpkg-query -W -f '${Package} ${db:Status-Status}\\n'")


def install(machine: Machine, *options: str) -> Done:
    return machine.run(
        "bash", "-c", f"cd {CHECKOUT} && ./install.sh {' '.join(options)}", within_s=PLENTY_S
    )


def ask(machine: Machine, statement: str) -> str:
    look = (
        f"sqlite3.connect('file:{DATABASE}?mode=ro', uri=True).execute('{statement}').fetchone()[0]"
    )
    return machine.shell(f'python3 -c "import sqlite3; print({look})"')


def pid_of(machine: Machine, unit: str) -> str:
    return machine.shell(f"systemctl show -P MainPID {unit}")


def stranger(machine: Machine, *words: str) -> str:
    return machine.beside(
        "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.appliance.stranger", *words
    ).output.strip()


def seconds_to_first_row(machine: Machine) -> float:
    """Wait for the first row that the present agent recorded.

    Return how long after its start that lies in time.
    """
    started_ms = (
        int(machine.shell(f"systemctl show -P ExecMainStartTimestampMonotonic {AGENT}")) / 1000
    )
    statement = (
        f"SELECT coalesce(min(boot_ms), 0) FROM expression WHERE boot_ms >= {started_ms:.0f}"
    )
    deadline = time.monotonic() + PLENTY_S
    while (at := int(ask(machine, statement))) == 0:
        assert time.monotonic() < deadline, f"no row was recorded\n{machine.journal()}"
        time.sleep(0.5)
    return (at - started_ms) / 1000


def writable_paths(
    machine: Machine, unit: str, user: str = "affect-edge", group: str = "affect-edge"
) -> list[str]:
    """Return all paths that the process of a unit may write, as its user and in its mounts."""
    inside = (
        f"nsenter -t {pid_of(machine, unit)} -m setpriv --reuid={user} "
        f"--regid={group} --init-groups"
    )
    find = (
        r"find / \( -path /proc -o -path /sys -o -path /dev \) -prune "
        "-o ! -type l -writable -print 2>/dev/null"
    )
    return machine.run("bash", "-c", f"{inside} {find}", within_s=120).output.split()


def change_one_bit(path: Path) -> None:
    """Change one bit of a file, as a fault of the storage or an attacker would."""
    with path.open("r+b") as file:
        file.seek(100_000)
        byte = file.read(1)
        file.seek(100_000)
        file.write(bytes([byte[0] ^ 1]))


def cut_an_installation_short(machine: Machine, chance: random.Random, longest_s: float) -> float:
    """Kill an installation from nothing, and all it has started, at a random moment.

    Return after how many seconds.

    One that was done before its moment is no cut: it is purged, and the next is cut earlier.
    """
    for _ in range(4):
        seconds = chance.uniform(0.5, longest_s)
        script = (
            f"cd {CHECKOUT} && timeout -s KILL {seconds:.1f} ./install.sh --yes --camera "
            "/srv/pictures || exit $?"
        )
        start = time.monotonic()
        code = machine.run("bash", "-c", script, within_s=PLENTY_S).code
        if code == KILLED:
            return seconds
        assert code == 0, "an installation ends well or is killed"
        longest_s = min(longest_s, time.monotonic() - start)
        assert install(machine, "--uninstall", "--purge", "--yes").code == 0
    raise AssertionError(f"no installation could be cut within {longest_s:.0f} s")


def purge(machine: Machine, before: str, packages: str) -> None:
    """Remove the appliance with all that is its own; nothing of it may be left."""
    done = install(machine, "--uninstall", "--purge", "--yes")
    assert done.code == 0, done.output
    kept = tuple(PACKAGES_OF_DEBIAN)

    def names(text: str) -> set[str]:
        # Sizes and times of Debian's own registers differ; what is there and whose it is must not.
        return {
            " ".join(line.split()[:5]) for line in text.splitlines() if not line.startswith(kept)
        }

    after = names(listing(machine))
    was = names(before)
    left = sorted(after - was)
    gone = sorted(was - after)
    assert not left, f"purging left {left}"
    assert not gone, f"purging took {gone}"
    for user in ("affect-edge", "affect-edge-dashboard"):
        assert machine.run("id", user).code != 0
    # systemd forgets them in its own time
    start = time.monotonic()
    while units := machine.shell("systemctl list-units --all --no-legend 'affect-edge*'"):
        assert time.monotonic() - start < PLENTY_S, (
            f"systemd still knows\n{units}\n{_why_known(machine)}"
        )
        time.sleep(0.5)
    assert registered(machine) == packages


def _why_known(machine: Machine) -> str:
    """Return what keeps systemd from forgetting our units: who refers to them, who still runs."""
    script = (
        "systemctl show -p Id -p ActiveState -p Job -p ControlGroup -p ReferencedBy -p TriggeredBy "
        "-p RequiredBy -p WantedBy -p Before -p After 'affect-edge*'; "
        "for procs in $(find /sys/fs/cgroup -path '*affect-edge*' -name cgroup.procs); do "
        "echo $procs $(cat $procs); done; ps -eo pid,stat,wchan,args"
    )
    return machine.run("bash", "-c", script).output
