"""How long a recorder takes, and how much of it other programs had the processor that it wanted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.appliance import Appliance

MOST = 10
"""By the clock nobody waits longer than so many deadlines, however busy the machine is."""
_POLL_S = 0.01
_POLLS_A_LOOK = 10


class Stopwatch:
    """Runs from now on; look at it again and again, for a process that has ended tells nothing.

    On a machine that is busy with other work, seconds say nothing of the recorder. The kernel
    counts for each thread how long it could have run and had to wait; of the threads of a process
    the one that waited longest counts, so that no second is taken off twice.

    Args:
        pid: of the process that is waited for.
    """

    def __init__(self, pid: int) -> None:
        self._begun_s = time.monotonic()
        self._before = _waits(pid)
        self._latest: dict[tuple[int, int], float] = {}

    def look(self, pid: int) -> None:
        """Look at the process; another one than before where it was started again."""
        self._latest.update(_waits(pid))

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun_s

    @property
    def held_up(self) -> float:
        """Seconds of these in which it wanted to run and others ran."""
        longest: dict[int, float] = {}
        for key, waited in self._latest.items():
            pid = key[0]
            longest[pid] = max(longest.get(pid, 0.0), waited - self._before.get(key, 0.0))
        return min(sum(longest.values()), self.seconds)


def wait_patiently(
    condition: Callable[[], bool], what: str, pid: Callable[[], int], deadline_s: float
) -> Stopwatch:
    """Return once a condition holds that a process is to bring about, with how long that took.

    Seconds in which other programs had the processor that it, or who waits for it, wanted do not
    count.

    Args:
        condition: asked again and again.
        what: is waited for, for people.
        pid: of the process; another one where it was started again.
        deadline_s: after so many seconds of its own it is waited for in vain.
    """
    watch = Stopwatch(pid())
    own = Stopwatch(os.getpid())
    polls = 0
    while not condition():
        polls += 1
        if polls % _POLLS_A_LOOK == 0:
            watch.look(pid())
            own.look(os.getpid())
        held_up = watch.held_up + own.held_up
        in_vain = watch.seconds - held_up > deadline_s or watch.seconds > MOST * deadline_s
        assert not in_vain, (
            f"waited {watch.seconds:.0f} s in vain ({watch.held_up:.0f} s of it held up by other "
            f"programs): {what}"
        )
        time.sleep(_POLL_S)
    watch.look(pid())
    return watch


def stop_patiently(agent: Appliance, deadline_s: float) -> int:
    """End a program in good order within so many seconds of its own; return its exit code."""
    agent.send(signal.SIGTERM)
    wait_patiently(lambda: agent.has_ended, "its end", lambda: agent.pid, deadline_s)
    return agent.wait()


def _waits(pid: int) -> dict[tuple[int, int], float]:
    """Return the seconds that each thread of a process has waited for a processor."""
    waits = {}
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended, or nothing is counted here
            fields = (thread / "schedstat").read_text(encoding="ascii").split()
            waits[pid, int(thread.name)] = int(fields[1]) / 1e9
    return waits
