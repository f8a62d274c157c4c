"""The user whose rights root takes before it works in a folder of that user.

Who owns a folder can put a link, a pipe or the journal of a database there, at any moment between a
check and a use. With that user's own rights they gain nothing by it. So root never works in such a
folder itself: it becomes the owner, for a block or for good.
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import select
import signal
import stat
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.core import clock

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_ANSWER = 1_000_000
_PORTION = 65_536
_PATIENCE_S = 600.0
"""For the speed of many frames on a small machine."""
AGENT, DASHBOARD = "affect-edge", "affect-edge-dashboard"
"""Names of the users that the installer makes."""
_LONGEST = 200
"""Names on a way; a longer one is a circle of links."""
_was_root = False
"""True once this process has given up root's rights: its terminal is root's still."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user, with the group of what this user owns."""

    user: int
    group: int

    @property
    def name(self) -> str:
        """The name of the user, or the number where there is none."""
        try:
            return pwd.getpwuid(self.user).pw_name
        except KeyError:
            return f"user {self.user}"

    @property
    def groups(self) -> list[int]:
        """All groups of the user."""
        try:
            one = pwd.getpwuid(self.user)
        except KeyError:
            return [self.group]
        return sorted({self.group, *os.getgrouplist(one.pw_name, one.pw_gid)})


def user_named(name: str) -> Owner | None:
    """Return a user of this machine, with the group that is this user's first."""
    try:
        one = pwd.getpwnam(name)
    except KeyError:
        return None
    return Owner(one.pw_uid, one.pw_gid)


def owner_of(path: Path) -> Owner | None:
    """Return the user who controls a path, with whose rights root works there; ``None``: only root
    does.

    A link that another user has laid leads where that user wants: its owner counts. Else it is the
    owner of the innermost folder that is not root's.

    Args:
        path: a file, which may be missing, or a folder.
    """
    owner: Owner | None = None
    place = Path("/")
    names = deque(path.absolute().parts[1:])
    for _ in range(_LONGEST):
        if not names:
            break
        name = names.popleft()
        if name == "..":
            place = place.parent
            continue
        try:
            there = (place / name).lstat()
        except OSError:  # missing, or not to be read
            break
        one = Owner(there.st_uid, there.st_gid)
        if stat.S_ISLNK(there.st_mode):
            if one.user:
                return one
            target = (place / name).readlink()
            place = Path("/") if target.is_absolute() else place
            names.extendleft(reversed([part for part in target.parts if part != "/"]))
            continue
        if stat.S_ISDIR(there.st_mode) and one.user:
            owner = one
        place /= name
    return owner


def is_root() -> bool:
    """Tell whether this process is root's, also while it works with the rights of another user."""
    return 0 in os.getresuid()


def was_started_by_root() -> bool:
    """Tell whether root runs the program, also after it has become another user for good."""
    return _was_root or is_root()


@contextmanager
def as_owner_of(path: Path) -> Iterator[None]:
    """Run the block with the rights of whom ``owner_of`` names, where root runs it.

    A block in the block takes the rights of another user, and never gets back those of root.
    """
    with as_user(owner_of(path) if is_root() else None):
        yield


@contextmanager
def as_user(owner: Owner | None) -> Iterator[None]:
    """Run the block with a user's rights, where root runs it; ``None``: those of now."""
    if owner is None or not is_root():
        yield
        return
    before = Owner(os.geteuid(), os.getegid())
    groups = os.getgroups()
    _take(owner, owner.groups)
    try:
        yield
    finally:
        _take(before, groups)


def _take(owner: Owner, groups: list[int]) -> None:
    os.seteuid(0)
    os.setgroups(groups)
    os.setegid(owner.group)
    os.seteuid(owner.user)


def become_owner_of(path: Path) -> None:
    """Give up root's rights for good: become whom ``owner_of`` names, if there is anybody."""
    become(owner_of(path))


def become(owner: Owner | None) -> None:
    """Give up root's rights for good, where there is an owner to become."""
    global _was_root  # noqa: PLW0603 - of the process
    if owner is not None and os.geteuid() == 0:
        _was_root = True
        os.setgroups(owner.groups)
        os.setgid(owner.group)
        os.setuid(owner.user)


def rights_of_children() -> dict[str, Any]:
    """Return what ``subprocess`` needs to start a program with this process's rights of now.

    In a block of ``as_owner_of`` a child would still be root's: it could take root's rights back.
    It also gets a session of its own, so that the owner cannot type on root's terminal through it:
    that owner may trace it, as any program started by this process once it was root's.
    """
    user, group = os.geteuid(), os.getegid()
    if os.getresuid() == (user,) * 3 and os.getresgid() == (group,) * 3:
        return {"start_new_session": True} if _was_root else {}
    # The groups are the owner's already; only root could set them anew.
    return {"user": user, "group": group, "start_new_session": True}


def asked_as(
    owner: Owner | None, question: Callable[[], dict[str, Any]], within_s: float = _PATIENCE_S
) -> dict[str, Any]:
    """Return an answer that root lets a process of another user give; ``None``: this process.

    For work on what that user may have written, such as a model, which may take over the process.
    It has none of the files that are open here, and not the terminal.

    Args:
        owner: the user; nobody but root takes another user's rights.
        question: what the process does; what it returns goes through JSON.
        within_s: seconds after which it is ended.

    Returns:
        What the question returns; ``not_measured`` with a reason if the process ended, or was
        ended, without an answer.
    """
    if owner is None or not is_root():
        return question()
    if "cv2" in sys.modules:
        # Its threads do not live on in the child, which would wait for them for ever.
        sys.modules["cv2"].setNumThreads(1)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):  # a fork must not go on as a second one
            _answer(owner, question, writing)
        os._exit(0)
    os.close(writing)
    content = _read_until(reading, clock.boot_seconds() + within_s)
    with suppress(ProcessLookupError):  # it has no session of its own yet
        os.killpg(child, signal.SIGKILL)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        return dict(json.loads(content))
    except (ValueError, RecursionError, TypeError):
        return {"not_measured": f"no answer as {owner.name} within {within_s:.0f} s"}


def _answer(owner: Owner, question: Callable[[], dict[str, Any]], writing: int) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - names alone
        if number > 2 and number != writing:
            with suppress(OSError):  # the list itself
                os.close(number)
    os.seteuid(0)  # of a block of `as_owner_of`
    become(owner)
    told = json.dumps(question()).encode()
    with os.fdopen(writing, "wb") as out:
        out.write(told)


def _read_until(reading: int, until_s: float) -> bytes:
    """Read to the end, until a time, or until it is longer than an answer; close it."""
    content = b""
    with os.fdopen(reading, "rb", buffering=0) as answer:
        while len(content) < _LONGEST_ANSWER:
            left_s = until_s - clock.boot_seconds()
            if left_s <= 0 or not select.select([answer], [], [], left_s)[0]:
                break
            more = answer.read(_PORTION)
            if not more:
                break
            content += more
    return content


def open_given(path: Path) -> int:
    """Open a file for reading that somebody named; a link of another user does not lead root.

    Raises:
        OSError: it cannot be opened, or in a folder of another user lies a file that is neither
            for that user nor root's own.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # else a pipe waits for who writes
    try:
        with as_owner_of(path):
            return os.open(path, flags)
    except PermissionError:
        if os.geteuid() or owner_of(path) is None:
            raise
    # What root has put there itself, such as a backup in somebody's home.
    folder = _walked(path.parent)
    try:
        handle = os.open(path.name, flags | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
    there = os.fstat(handle)
    # A second name may have been made by the owner of the folder.
    if not stat.S_ISREG(there.st_mode) or there.st_uid or there.st_nlink > 1:
        os.close(handle)
        raise PermissionError(errno.EACCES, "is not for the owner of its folder", str(path))
    return handle


def read_given(path: Path, most: int) -> bytes:
    """Read a file that somebody named, with the rights of whose folder it is.

    Args:
        path: the file.
        most: bytes that it may have: one without a content may claim to be larger than the memory.

    Raises:
        OSError: it cannot be read, is no file, or is larger.
    """
    with os.fdopen(open_given(path), "rb") as file:
        there = os.fstat(file.fileno())
        if not stat.S_ISREG(there.st_mode):
            raise OSError(errno.EINVAL, "is a pipe, a device or a folder, and no file", str(path))
        if there.st_size > most:
            raise OSError(errno.EFBIG, f"is larger than {most:,} bytes", str(path))
        # No more than its size: Python takes the memory of all that it is asked for.
        return file.read(there.st_size)


def open_folder_given(path: Path) -> int:
    """Open a folder that somebody named to write into; root follows no link to one of another user.

    Raises:
        OSError: it cannot be opened, or, for root, a link leads there from another user's folder.
    """
    walked = _walked(path) if is_root() and owner_of(path) is not None else None
    try:
        name = path if walked is None else Path()
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walked)
    finally:
        if walked is not None:
            os.close(walked)


def _walked(path: Path) -> int:
    """Open a folder from the root of the file system on, each on the way without a link."""
    folder = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.absolute().parts[1:]:
            inner = os.open(part, os.O_PATH | _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
    except OSError as error:
        os.close(folder)
        raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
    return folder
