"""The queue in which passwords are checked.

A check of a password takes 64 MiB of memory and all processor cores for a moment, which is what
makes guessing dear. A crowd of them would take the whole machine, so a few are checked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_

AT_ONCE = 2
WAITING = 4
RETRY_SECONDS = 2


class BusyError(AffectEdgeError):
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


class LoginTurns:
    """Lets ``at_once`` checks run; ``waiting`` more have a place to wait, the others come again.

    For one event loop. Waiting takes no thread.

    Args:
        at_once: checks that run at the same time.
        waiting: places for those who wait.
    """

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._free = at_once
        self._most = waiting
        self._waiting: list[_Place] = []
        self._present: set[str] = set()

    @asynccontextmanager
    async def turn(self, who: str, rank: int) -> AsyncIterator[None]:
        """Wait for a turn and keep it to the end of the block.

        Args:
            who: one address or device, which has one place at a time.
            rank: 0 or less for those who are believed; else how often they have been wrong. Who
                has the lowest goes first, and takes the place of one with a higher.

        Raises:
            BusyError: there is no place, or ``who`` has one already.
        """
        # One place for each, or a single stranger could fill the queue.
        if who in self._present:
            raise BusyError
        self._present.add(who)
        try:
            await self._wait(rank)
            try:
                yield
            finally:
                self._free += 1
                self._call_next()
        finally:
            self._present.discard(who)

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
            raise BusyError
        self._waiting.remove(last)
        last.called.set_exception(BusyError())

    def _call_next(self) -> None:
        if not self._free or not self._waiting:
            return
        # ``min`` takes the first of equals, who has waited longest.
        place = min(self._waiting, key=lambda place: place.rank)
        self._waiting.remove(place)
        self._free -= 1
        place.called.set_result(None)
