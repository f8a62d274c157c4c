"""The queue in which passwords are checked.

A check of a password takes 64 MiB of memory and all processor cores for a moment, which is what
makes guessing dear. A crowd of them would take the whole machine, so a few are checked at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

AT_ONCE = 2
WAITING = 4
RETRY_SECONDS = 2
LATELY_S = 60.0
"""Turns within so long make who had them wait for others."""
_REMEMBERED = 1000
"""Of whom turns are known; who had none for longest is forgotten first."""


class PasswordsBusyError(AffectEdgeError):
    """There is no place to wait for a turn; after ``RETRY_SECONDS`` there may be one."""

    def __init__(self) -> None:
        super().__init__(
            N_(
                "Too many people are logging in right now, so nothing was checked. Try again in "
                "{seconds} seconds."
            ),
            seconds=RETRY_SECONDS,
        )


@dataclass(eq=False, slots=True)
class _Place:
    """The place in the queue: the lower the rank, the sooner; of equal ones who came first."""

    rank: int
    called: asyncio.Future[None]


class PasswordQueue:
    """Lets ``at_once`` checks run; ``waiting`` more have a place to wait, the others come again.

    For one event loop. Waiting takes no thread. Who had turns lately goes after who had none,
    whether they were right or wrong: an account that logs in without end keeps nobody out.

    Args:
        at_once: checks that run at the same time.
        waiting: places for those who wait.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        at_once: int = AT_ONCE,
        waiting: int = WAITING,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._clock = clock
        self._had: OrderedDict[str, deque[float]] = OrderedDict()
        self._free = at_once
        self._most = waiting
        self._waiting: list[_Place] = []
        self._present: dict[str, str] = {}

    @asynccontextmanager
    async def turn(self, who: str, rank: int, crowd: str = "") -> AsyncIterator[None]:
        """Wait for a turn and keep it to the end of the block.

        Args:
            who: one account or stranger, who has one place at a time.
            rank: 0 or less for those who are believed; else how often they have been wrong. Who
                has the lowest goes first, and takes the place of one with a higher.
            crowd: address from which others may come, too; each goes after those before it.

        Raises:
            BusyError: there is no place, or ``who`` has one already.
        """
        # One place for each, or a single stranger could fill the queue.
        if who in self._present:
            raise PasswordsBusyError
        beside = sum(one == crowd for one in self._present.values()) if crowd else 0
        self._present[who] = crowd
        try:
            await self._wait(rank + beside + self._had_lately(who))
            self._remember(who)
            try:
                yield
            finally:
                self._free += 1
                self._call_next()
        finally:
            del self._present[who]

    def _had_lately(self, who: str) -> int:
        had = self._had.get(who, deque())
        while had and self._clock() - had[0] >= LATELY_S:
            had.popleft()
        return len(had)

    def _remember(self, who: str) -> None:
        self._had.setdefault(who, deque()).append(self._clock())
        self._had.move_to_end(who)
        while len(self._had) > _REMEMBERED:
            self._had.popitem(last=False)

    async def _wait(self, rank: int) -> None:
        # A free place goes to who waits already, never to who comes just now.
        if self._free and not self._waiting:
            self._free -= 1
            return
        if len(self._waiting) >= self._most:
            self._turn_away_for(rank)
        place = _Place(rank, asyncio.get_running_loop().create_future())
        self._waiting.append(place)
        try:
            await place.called
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            elif not place.called.cancelled():  # called in the same moment: the next one goes
                self._free += 1
                self._call_next()
            raise

    def _turn_away_for(self, rank: int) -> None:
        # ``max`` takes the first of equals: reversed, that is who came last.
        last = max(reversed(self._waiting), key=lambda place: place.rank)
        if last.rank <= rank:
            raise PasswordsBusyError
        self._waiting.remove(last)
        last.called.set_exception(PasswordsBusyError())

    def _call_next(self) -> None:
        if not self._free or not self._waiting:
            return
        # ``min`` takes the first of equals, who has waited longest.
        place = min(self._waiting, key=lambda place: place.rank)
        self._waiting.remove(place)
        self._free -= 1
        place.called.set_result(None)
