"""Rights that a helper process gives up before it works on data from elsewhere.

A decoder that a picture makes do what it likes must find nothing: neither the secrets of the
process that asks it, nor files, programs or other processes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_DUMPABLE = 4  # of prctl(2)
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1  # for all threads that there are
_EPERM = 0x0005_0000 | errno.EPERM  # SECCOMP_RET_ERRNO of seccomp(2)
_ENOSYS = 0x0005_0000 | errno.ENOSYS
_ALLOW = 0x7FFF_0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _FIRST_WORD_AT = 0, 4, 16  # in struct seccomp_data
_CLONE_THREAD = 0x1_0000
_INTERNET = (2, 10)  # AF_INET, AF_INET6
_X32 = 0x4000_0000
_MACHINES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}
"""Column of the tables below, and the name of the machine in the kernel."""
_FORBIDDEN: tuple[tuple[int, int], ...] = (
    # files: open, creat, openat, openat2, open_by_handle_at, name_to_handle_at, memfd_create
    *((2, 0), (85, 0), (257, 56), (437, 437), (304, 265), (303, 264), (319, 279)),
    # link, linkat, symlink, symlinkat, unlink, unlinkat, rename, renameat, renameat2
    *((86, 0), (265, 37), (88, 0), (266, 36), (87, 0), (263, 35), (82, 0), (264, 38), (316, 276)),
    # mkdir, mkdirat, rmdir, mknod, mknodat, truncate, chmod, fchmodat, chown, lchown, fchownat
    *((83, 0), (258, 34), (84, 0), (133, 0), (259, 33), (76, 45), (90, 0), (268, 53)),
    *((92, 0), (94, 0), (260, 54)),
    # programs: execve, execveat, fork, vfork, unshare, setns
    *((59, 221), (322, 281), (57, 0), (58, 0), (272, 97), (308, 268)),
    # other processes: ptrace, process_vm_readv, process_vm_writev, process_madvise, pidfd_open,
    # pidfd_getfd, pidfd_send_signal, kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo
    *((101, 117), (310, 270), (311, 271), (440, 440), (434, 434), (438, 438), (424, 424)),
    *((62, 129), (200, 130), (234, 131), (129, 138), (297, 240)),
    # setpriority, sched_setaffinity, shmget, msgget, semget, mq_open
    *((141, 140), (203, 122), (29, 194), (68, 186), (64, 190), (240, 180)),
    # socketpair, listen
    *((53, 199), (50, 201)),
    # the system: mount, umount2, pivot_root, chroot, bpf, perf_event_open, userfaultfd,
    # io_uring_setup, add_key, request_key, keyctl
    *((165, 40), (166, 39), (155, 41), (161, 51), (321, 280), (298, 241), (323, 282)),
    *((425, 425), (248, 217), (249, 218), (250, 219)),
)
"""Calls that are refused, with their numbers on x86-64 and on 64-bit Arm; 0: there is none."""
_CLONE, _CLONE3, _SOCKET, _PRLIMIT = (56, 220), (435, 435), (41, 198), (302, 261)
_SECCOMP = (317, 277)


def limit_process(memory_bytes: int | None, *, nice: int = 10) -> None:
    """Take no more than this memory, be the first that must go, and leave nothing behind.

    A picture or health data could be in a core dump. Where the system forbids a part of it, the
    others hold.

    Args:
        memory_bytes: what the process may ask for; ``None``: any.
        nice: by how much others come first; 0 for what must keep pace.
    """
    with suppress(OSError):
        os.nice(nice)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900", encoding="ascii")
    for kind, limit in ((resource.RLIMIT_DATA, memory_bytes), (resource.RLIMIT_CORE, 0)):
        if limit is not None:
            with suppress(OSError, ValueError):
                resource.setrlimit(kind, (limit, limit))
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0)


def forbid(*, network: bool) -> bool:
    """Give up, for good, whatever a decoder does not need.

    From here on this process opens no file, starts no program or process, and touches no other
    process; threads and what is open stay. For a system call that is refused it gets an error.

    Args:
        network: whether it may ask servers in the network; never sockets of the file system, and it
            cannot wait for connections.

    Returns:
        Whether the system took it: Linux on x86-64 or 64-bit Arm, since 3.5.
    """
    column, machine = _MACHINES.get(platform.machine(), (0, 0))
    if not machine or sys.maxsize < 1 << 32:
        return False
    program = b"".join(struct.pack("=HBBI", *line) for line in _filter(column, machine, network))
    lines = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(lines))
    libc = ctypes.CDLL(None)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    if libc.syscall(_SECCOMP[column], _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, head):
        # an older kernel, or not allowed: for this thread and those that it starts
        return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0) == 0)
    return True


_Line = tuple[int, int, int, int]  # operation, lines to skip if so, lines to skip if not, value


def _filter(column: int, machine: int, network: bool) -> list[_Line]:
    """Return the program by which the kernel judges each system call (seccomp(2))."""
    refuse: _Line = (_RETURN, 0, 0, _EPERM)
    allow: _Line = (_RETURN, 0, 0, _ALLOW)
    lines: list[_Line] = [(_LOAD, 0, 0, _MACHINE_AT), (_EQUAL, 1, 0, machine), refuse]
    lines += [(_LOAD, 0, 0, _NUMBER_AT), (_AT_LEAST, 0, 1, _X32), refuse]
    for call in _FORBIDDEN:
        if call[column]:
            lines += [(_EQUAL, 0, 1, call[column]), refuse]
    # "not there": then the C library takes clone, whose flags can be looked at
    lines += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ENOSYS)]
    word: _Line = (_LOAD, 0, 0, _FIRST_WORD_AT)
    lines += [(_EQUAL, 0, 4, _CLONE[column]), word, (_ANY_BIT, 0, 1, _CLONE_THREAD), allow, refuse]
    lines += [(_EQUAL, 0, 4, _PRLIMIT[column]), word, (_EQUAL, 0, 1, 0), allow, refuse]
    if not network:
        return [*lines, (_EQUAL, 0, 1, _SOCKET[column]), refuse, allow]
    four, six = _INTERNET
    lines += [(_EQUAL, 0, 5, _SOCKET[column]), word, (_EQUAL, 1, 0, four), (_EQUAL, 0, 1, six)]
    return [*lines, allow, refuse, allow]
