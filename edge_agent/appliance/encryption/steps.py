"""Moving the data folder into an encrypted container: all of it, or nothing has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from edge_agent.appliance.encryption.places import NAME, SERVICES, TIMER, Places
from edge_agent.appliance.encryption.proof import require_same, size_of
from edge_agent.config.data import LOCKED_NAME
from edge_agent.core.errors import EncryptionError

LEAST_PASSPHRASE = 12
LEAST_SPARE = 300 * 10**6
"""Bytes that stay free on the disk, and in the container."""
_HEADER = 16 * 2**20
STRENGTH = (
    *("--pbkdf", "argon2id", "--pbkdf-memory", str(128 * 1024)),
    *("--pbkdf-parallel", "4", "--pbkdf-force-iterations", "6"),
)
"""What each try of a passphrase costs: 128 MiB, which the smallest machine has to spare, six times.

Said outright, for `cryptsetup` measures how quick the machine is, and takes less memory where it is
slow or busy just then.
"""
_TOOL_S = 6 * 3600.0
_LOCKED_TEXT = """The data of Affect Edge are encrypted, and locked now. To unlock them:
sudo affect-edge unlock
"""

Say = Callable[[str], None]


def check(places: Places, size: int) -> None:
    """Make sure that the data folder can be moved, before anything is changed.

    Raises:
        EncryptionError: something speaks against it; the text names it and what to do.
    """
    is_told = any(_has_line(file, line) for file, line in places.tables.items())
    if is_told or (places.data / LOCKED_NAME).exists():
        raise EncryptionError(f"{places.data}: is encrypted already ({places.container}).")
    if places.container.exists():
        raise EncryptionError(
            f"{places.container}: is left from a try that did not come to its end, and nothing "
            f"uses it; the data are in {places.data}. Delete it, then try again."
        )
    if places.before.exists():
        raise EncryptionError(
            f"{places.before}: is left from an earlier try. Look what is in it and in "
            f"{places.data}, and move it away."
        )
    if not places.data.is_dir() or places.data.is_symlink() or os.path.ismount(places.data):
        raise EncryptionError(
            f"{places.data}: is no plain folder, but a link, a disk of its own, or not there. "
            "Encrypt that disk by its own means (docs/install.md)."
        )
    missing = [name for name in ("cryptsetup", "mkfs.ext4") if shutil.which(name) is None]
    if missing or not any(file.exists() for file in places.cryptsetup):
        raise EncryptionError(
            f"{', '.join(missing) or 'systemd-cryptsetup'}: is missing. On Debian 12: sudo apt "
            "install cryptsetup e2fsprogs; on Debian 13: sudo apt install cryptsetup "
            "systemd-cryptsetup e2fsprogs"
        )
    if not (places.mapper / "control").exists():
        raise EncryptionError(
            "The system's kernel has no device mapper (/dev/mapper/control), so it cannot open "
            "encrypted containers. Try: sudo modprobe dm-crypt"
        )
    needed = int(size_of(places.data) * 1.1) + _HEADER + LEAST_SPARE
    if size < needed:
        raise EncryptionError(
            f"A container of {size / 1e9:.1f} GB is too small for what is there; it needs at "
            f"least {needed / 1e9:.1f} GB (--size)."
        )
    free = shutil.disk_usage(places.container.parent).free
    if free < size + LEAST_SPARE:
        raise EncryptionError(
            f"{places.container.parent}: has {free / 1e9:.1f} GB free, and the container needs "
            f"{(size + LEAST_SPARE) / 1e9:.1f} GB. Choose a smaller one (--size), or make room."
        )


def encrypt(places: Places, passphrase: str, size: int, say: Say) -> int:
    """Move the data folder into a container, which from now on is opened with the passphrase.

    Args:
        places: of the machine.
        passphrase: that opens the container; it stands nowhere.
        size: bytes of the container.
        say: takes a sentence about each step.

    Returns:
        How many files and folders were compared before the old ones were deleted.

    Raises:
        EncryptionError: a step failed. Everything is as it was, and the services run.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise EncryptionError(
            f"A passphrase of {len(passphrase)} characters is too short; give at least "
            f"{LEAST_PASSPHRASE}. Whoever has the card can try as many as they like."
        )
    check(places, size)
    with ExitStack() as undo:
        say(f"making a container of {size / 1e9:.1f} GB")
        _make_container(places, passphrase, size, undo)
        say("stopping the services")
        undo.callback(_try, "systemctl", "start", *SERVICES, TIMER)
        _tool("systemctl", "stop", TIMER, *SERVICES, "affect-edge-maintenance.service")
        say("copying, and comparing every file")
        compared = _fill(places, undo)
        say("switching")
        _tell_system(places, undo)
        _switch(places, undo)
        _tool("systemctl", "start", *SERVICES, TIMER)
        undo.pop_all()
    shutil.rmtree(places.before)
    return compared


def luks_format(container: Path) -> tuple[str, ...]:
    """Return the words that make a file a container; the passphrase comes by standard input."""
    kind = ("--batch-mode", "--type", "luks2", *STRENGTH)
    return ("cryptsetup", "luksFormat", *kind, "--key-file", "-", str(container))


def _make_container(places: Places, passphrase: str, size: int, undo: ExitStack) -> None:
    container = str(places.container)
    undo.callback(places.container.unlink, missing_ok=True)
    places.container.touch(mode=0o600, exist_ok=False)
    _tool("fallocate", "--length", str(size), container)
    _tool(*luks_format(places.container), given=passphrase)
    undo.callback(_try, "cryptsetup", "close", NAME)
    _tool("cryptsetup", "open", "--key-file", "-", container, NAME, given=passphrase)
    _tool("mkfs.ext4", "-q", "-m", "0", "-L", "affect-edge", str(places.opened))


def _fill(places: Places, undo: ExitStack) -> int:
    """Copy everything into the container, and compare it; return how much was compared."""
    places.work.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tool("mount", str(places.opened), str(places.work))
    with ExitStack() as mounted:
        mounted.callback(_try, "umount", str(places.work))
        _tool("cp", "--archive", "--", f"{places.data}/.", str(places.work))
        about = places.data.stat()
        os.chown(places.work, about.st_uid, about.st_gid)
        places.work.chmod(about.st_mode & 0o7777)
        _tool("sync")
        compared = require_same(places.data, places.work)
        mounted.pop_all()
    undo.callback(_try, "umount", str(places.work))
    _tool("umount", str(places.work))
    return compared


def _tell_system(places: Places, undo: ExitStack) -> None:
    undo.callback(_try, "systemctl", "daemon-reload")  # last, once the files are as they were
    for file, line in places.tables.items():
        old = file.read_text(encoding="utf-8") if file.exists() else None
        undo.callback(_put_back, file, old)
        text = old or ""
        end = "\n" if text and not text.endswith("\n") else ""
        _write(file, f"{text}{end}{line}\n")
    for file, text in places.drop_ins.items():
        undo.callback(_put_back, file, None)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, text)


def _switch(places: Places, undo: ExitStack) -> None:
    """Mount the container over a folder into which nobody can write."""
    places.data.rename(places.before)
    undo.callback(places.before.rename, places.data)
    places.data.mkdir()
    undo.callback(_remove_bare, places.data)
    _write(places.data / LOCKED_NAME, _LOCKED_TEXT)
    places.data.chmod(0o555)
    _try("chattr", "+i", str(places.data))  # not every file system can; root could write then
    _tool("systemctl", "daemon-reload")
    undo.callback(_try, "umount", str(places.data))
    _tool("mount", str(places.data))
    require_same(places.before, places.data)


def _remove_bare(folder: Path) -> None:
    _try("chattr", "-i", str(folder))
    folder.chmod(0o755)
    (folder / LOCKED_NAME).unlink(missing_ok=True)
    folder.rmdir()


def _has_line(file: Path, line: str) -> bool:
    return file.exists() and line in file.read_text(encoding="utf-8").splitlines()


def _put_back(file: Path, old: str | None) -> None:
    if old is None:
        file.unlink(missing_ok=True)
        if file.parent.name.endswith(".d"):
            with suppress(OSError):  # somebody has a file of their own in it
                file.parent.rmdir()
    else:
        _write(file, old)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EncryptionError(f"{file}: cannot be written ({error.strerror}).") from error


def _tool(*words: str, given: str | None = None) -> None:
    """Run a program, which must succeed."""
    try:
        done = subprocess.run(
            words, input=given or "", capture_output=True, text=True, check=False, timeout=_TOOL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EncryptionError(f"{words[0]} could not be run to its end ({error}).") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()
        raise EncryptionError(f"{' '.join(words[:2])} failed ({lines[-1][:300]}).")


def _try(*words: str) -> None:
    """Run a program that may fail: what it should do may be so already."""
    with suppress(EncryptionError):
        _tool(*words)
