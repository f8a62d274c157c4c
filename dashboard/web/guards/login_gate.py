"""What every attempt to log in passes: counted per address and per account, and few at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from dashboard.accounts.attempts import KeptAttempts, KnownDevices
from dashboard.accounts.login_turns import RETRY_SECONDS, BusyError, LoginTurns
from dashboard.languages.names import said_of
from dashboard.web.attempt_limiter import (
    AttemptLimiter,
    BackOff,
    group_of,
    too_many,
    too_many_guesses,
)
from dashboard.web.settings import is_loopback
from edge_agent.core.errors import AffectEdgeError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who tries.

    Attributes:
        address: network address.
        name: of the account; empty where a code or link is tried.
        cookie: of a browser that has logged in before.
        step: what is tried after the password, which is counted by itself; empty: the password.
    """

    address: str
    name: str = ""
    cookie: str = ""
    step: str = ""


class HeldUpError(AffectEdgeError):
    """An attempt was not checked; the text says why and is fit to be shown.

    Attributes:
        status: of the answer: 429 after too many attempts, 503 while too many are checked.
        wait: seconds after which to try again.
    """

    def __init__(self, text: str, status: int, wait: int) -> None:
        super().__init__(text)
        self.status = status
        self.wait = wait


class LoginGate:
    """Counts attempts before they are checked, and lets two be checked at once.

    Five in five minutes are allowed from one address. What strangers guess at one account is
    counted as well, from wherever it comes; it does not hold up browsers that have logged in to it
    before, which are counted on their own, nor who is on the machine itself.

    Args:
        database: the database file, already migrated.
        clock: seconds, never going back.
    """

    def __init__(self, database: Path, clock: Callable[[], float]) -> None:
        kept = KeptAttempts(database)
        self.devices = KnownDevices(kept)
        self._addresses = AttemptLimiter(clock=clock, kept=kept)
        self._accounts = BackOff(clock=clock, kept=kept)
        self._turns = LoginTurns()

    async def checked(self, asker: Asker, check: Callable[[], Result]) -> Result:
        """Return what ``check`` returns, which runs in a thread when its turn has come.

        An attempt that ends without an error is forgiven, with those before it at the same name.

        Raises:
            HeldUpError: it was not its turn; nothing was checked.
            StoreError: the attempt cannot be written down; nothing was checked.
            Exception: what ``check`` raises.
        """
        device = self.devices.device_of(asker.cookie, asker.name)
        who = asker.address if device is None else f"device {device}"
        if asker.step:
            who = f"{asker.step} {group_of(who)}"
        self._refuse(self._addresses.wait_of(who), too_many)
        guessed = f"{asker.step or 'account'} {asker.name.strip().casefold()}"
        is_stranger = bool(asker.name) and device is None and not is_loopback(asker.address)
        if is_stranger:
            self._refuse(self._accounts.wait_of(guessed), too_many_guesses)

        def count_and_check() -> Result:
            self._refuse(self._addresses.attempt(who, guessed), too_many)
            if is_stranger:
                self._refuse(self._accounts.attempt(guessed), too_many_guesses)
            result = check()
            self._addresses.forgive(who, guessed)
            if is_stranger:
                self._accounts.forgive(guessed)
            return result

        rank = self._addresses.attempts_of(who) if device is None else -1
        try:
            async with self._turns.turn(who, rank):
                return await run_in_threadpool(count_and_check)
        except BusyError as error:
            raise HeldUpError(said_of(error), 503, RETRY_SECONDS) from error

    def _refuse(self, wait: int, text: Callable[[int], str]) -> None:
        if wait:
            raise HeldUpError(text(wait), 429, wait)
