"""A Debian for 64-bit ARM, the Pi's processor, run by qemu, for `make test-appliance-arm`.

Needs root, debootstrap, systemd-nspawn and qemu-user-static. It has no network. The bare root is
kept in `.appliance/` of the checkout; each use writes into an overlay over it, which goes with it,
as the kernel's note of who runs ARM programs does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.appliance.machine import PATH, bare_root, host, lay_over, take_away

PACKAGES = "python3,python3-venv,ca-certificates,openssl,openssh-client,dbus,bluez"
"""What `install.sh` asks for, without the broker.

Dbus, for debootstrap does not find out that bluez needs it.
"""
EXCHANGE = "/exchange"
QEMU = "qemu-aarch64-static"
NEEDED = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    QEMU: "qemu-user-static",
}
"""Program → the package of Debian that has it."""

# The first 20 bytes of an ELF file: 64 bit, little-endian, version 1, any system, a program (2) or
# library (3), machine 183 (AArch64). The form of the line:
# Documentation/admin-guide/binfmt-misc.rst of Linux.
MAGIC = r"\x7fELF\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
MASK = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe" + r"\xff" * 3

PART_OF_ARM = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: {variant}
CPU part\t: {part}
CPU revision\t: {revision}

"""


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor that qemu plays.

    Attributes:
        name: qemu's for it.
        part: its number (``arch/arm64/include/asm/cputype.h`` of Linux).
        variant: of the part.
        revision: of the variant.
        features: what it has, in the words of ``/proc/cpuinfo``.
    """

    name: str
    part: str
    variant: str
    revision: int
    features: str

    def described(self) -> str:
        """Return what ``/proc/cpuinfo`` says of as many of them as this machine has cores.

        qemu shows this machine's instead, and LiteRT's runtime, which chooses its code by it,
        crashes on that.
        """
        about = {
            "part": self.part,
            "variant": self.variant,
            "revision": self.revision,
            "features": self.features,
        }
        return "".join(
            PART_OF_ARM.format(core=core, **about) for core in range(os.cpu_count() or 1)
        )


PI_4 = Processor("cortex-a72", "0xd08", "0x0", 3, "fp asimd evtstrm crc32 cpuid")
PI_5 = Processor(
    "cortex-a76",
    "0xd0b",
    "0x4",
    1,
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp",
)


def what_is_missing(user: int, found: Sequence[str], processor: str) -> str | None:
    """Say what keeps the test from running here, and the cure; ``None`` when nothing does.

    Args:
        user: number of who runs it.
        found: the programs of `NEEDED` that are there.
        processor: of this machine, as ``uname -m`` says it.
    """
    if processor != "x86_64":
        return (
            "the models' answers are compared with those of x86-64, and this machine is "
            f"{processor}. Use a PC."
        )
    missing = [package for program, package in NEEDED.items() if program not in found]
    if missing:
        return f"missing: {', '.join(missing)}. Install with: sudo apt install {' '.join(missing)}"
    if user != 0:
        return (
            "it mounts a file system and tells the kernel who runs ARM programs; type: sudo "
            "make test-appliance-arm"
        )
    return None


@contextmanager
def arm_programs(folder: Path) -> Iterator[None]:
    """Let the kernel hand ARM programs to qemu while this is open.

    What others have registered is left alone.

    Args:
        folder: a new one, where the kernel's register is mounted meanwhile.
    """
    folder.mkdir()
    name = f"affect-edge-arm64-{os.getpid()}"
    host("mount", "-t", "binfmt_misc", "binfmt_misc", str(folder))
    try:
        # O and C hand qemu the open file and its rights; F opens qemu now, so that it is found
        # inside of the root.
        (folder / "register").write_text(f":{name}:M::{MAGIC}:{MASK}:{shutil.which(QEMU)}:OCF")
        try:
            yield
        finally:
            (folder / name).write_text("-1")
    finally:
        host("umount", str(folder))


class ArmRoot:
    """A Debian for ARM; a folder is shared with this machine.

    Attributes:
        root: its files.
        exchange: the shared folder; `EXCHANGE` inside.

    Args:
        suite: trixie (Debian 13, Python 3.13) or bookworm (Debian 12, Python 3.11).
    """

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._folder = Path(tempfile.mkdtemp(prefix="appliance-arm-", dir="/var/tmp"))
        self._open = ExitStack()
        self.root = self._folder / "root"
        self.exchange = self._folder / "exchange"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(take_away, self._folder)
            stack.enter_context(arm_programs(self._folder / "binfmt"))
            lay_over(bare_root(self._suite, PACKAGES, "arm64"), self._folder)
            self.exchange.mkdir()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def shell(self, processor: Processor, script: str, within_s: float) -> str:
        """Run a line of bash as root inside, without a network; return what it prints.

        It must succeed.

        Args:
            processor: what qemu plays.
            script: the line; standard output and error come together.
            within_s: then it is killed.
        """
        (self.exchange / "cpuinfo").write_text(processor.described())
        line = f"exec 2>&1; mount --bind {EXCHANGE}/cpuinfo /proc/cpuinfo && {{ {script}; }}"
        words = ["systemd-nspawn", "-q", "-D", str(self.root), "--as-pid2", "--pipe"]
        words += ["--register=no", "--keep-unit"]
        words += ["--private-network", "--resolv-conf=off", "--timezone=off", "--link-journal=no"]
        words += [
            f"--bind={self.exchange}:{EXCHANGE}",
            f"--setenv=QEMU_CPU={processor.name}",
            f"--setenv=PATH={PATH}",
        ]
        words += ["--setenv=LANG=C.UTF-8", "--setenv=TERM=dumb", "bash", "-c", line]
        with subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as nspawn:
            try:
                output, errors = nspawn.communicate(timeout=within_s)
            except BaseException:
                nspawn.terminate()  # killed at once, it would leave behind what runs inside
                raise
        said = output.decode(errors="replace").strip()
        # What nspawn itself has to say is of use only when it failed.
        assert nspawn.returncode == 0, (
            f"{script}\n{said[-4000:]}\n{errors.decode(errors='replace')}"
        )
        return said
