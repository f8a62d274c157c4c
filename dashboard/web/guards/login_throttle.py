"""The way of every attempt to log in: counted, in its turn, then checked.

An address may try to log in so often, and strangers may guess at one account so often; few
passwords are checked at a time. ``dashboard/accounts/attempts.py`` counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dashboard.accounts.attempts import (
    AttemptLimiter,
    GuessLimiter,
    KeptAttempts,
    KnownDevices,
    group_of,
)
from dashboard.accounts.password_queue import RETRY_SECONDS, PasswordQueue, PasswordsBusyError
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.names import said_of
from edge_agent.config.dashboard import is_loopback
from edge_agent.core.errors import AffectEdgeError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asker:
    """The sender of an attempt.

    Attributes:
        address: network address.
        name: of the account; empty where a code or link is tried.
        cookie: of a browser that has logged in before.
        step: what is tried after the password, which is counted by itself; empty: the password.
        is_logged_in: by this name, as with a change of the own password.
    """

    address: str
    name: str = ""
    cookie: str = ""
    step: str = ""
    is_logged_in: bool = False


class HeldUpError(AffectEdgeError):
    """An attempt was not checked; the text says why and may be shown to the user.

    Attributes:
        status: of the answer: 429 after too many attempts, 503 while too many are checked.
        wait: seconds after which to try again.
    """

    def __init__(self, text: str, status: int, wait: int) -> None:
        super().__init__(text)
        self.status = status
        self.wait = wait


class LoginThrottle:
    """Counts attempts before they are checked, and lets two be checked at once.

    Five in five minutes are allowed from one address. Attempts of strangers at one account are
    counted together, from whatever address. Browsers that have logged in to the account before are
    counted by themselves, so that strangers cannot lock them out; nor can they the machine itself.

    Args:
        database: the database file, already migrated.
        clock: seconds, never going back.
    """

    def __init__(self, database: Path, clock: Callable[[], float]) -> None:
        kept = KeptAttempts(database)
        self.devices = KnownDevices(kept)
        self._addresses = AttemptLimiter(clock=clock, kept=kept)
        self._accounts = GuessLimiter(clock=clock, kept=kept)
        self._queue = PasswordQueue(clock=clock)

    async def checked(self, asker: Asker, check: Callable[[], Result]) -> Result:
        """Run ``check`` in a thread when its turn has come, and return its result.

        It must not wait for anything that others keep busy, such as a computation: meanwhile it
        would keep others from logging in.

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
        # Before the queue, so that who has to wait takes no place from others.
        self._refuse(self._addresses.wait_of(who), too_many)
        guessed = f"{asker.step or 'account'} {asker.name.strip().casefold()}"
        is_stranger = bool(asker.name) and device is None and not is_loopback(asker.address)
        if is_stranger:
            self._refuse(self._accounts.wait_of(guessed), too_many_guesses)

        def count_and_check() -> Result:
            # And once more when its turn comes: several at once cannot slip past the count.
            self._refuse(self._addresses.attempt(who, guessed), too_many)
            if is_stranger:
                self._refuse(self._accounts.attempt(guessed), too_many_guesses)
            result = check()
            self._addresses.forgive(who, guessed)
            if is_stranger:
                self._accounts.forgive(guessed)
            return result

        name = asker.name.strip().casefold()
        # An account has one place, whatever it tries, from however many browsers that know it or
        # in which it is logged in; so has each name that a stranger tries, since another person
        # may come from the same address.
        if device is not None or asker.is_logged_in:
            rank, crowd, whose = -1, "", f"known {name}"
        else:  # those go first who have tried least
            rank, crowd = self._addresses.attempts_of(who), group_of(asker.address)
            whose = f"{crowd} {asker.step} {name}"
        try:
            async with self._queue.turn(whose, rank, crowd):
                return await run_in_threadpool(count_and_check)
        except PasswordsBusyError as error:
            raise HeldUpError(said_of(error), 503, RETRY_SECONDS) from error

    def _refuse(self, wait: int, text: Callable[[int], str]) -> None:
        if wait:
            raise HeldUpError(text(wait), 429, wait)


async def refused_page(
    page: Callable[[AffectEdgeError, int], Response], error: AffectEdgeError, status: int
) -> Response:
    """Return the page that says why an attempt was refused.

    Args:
        page: makes it of the error and a status, in a thread.
        error: why. One that was held up has a status of its own, and tells programs, too, how
            many seconds to wait.
        status: of any other.
    """
    if not isinstance(error, HeldUpError):
        return await run_in_threadpool(page, error, status)
    response = await run_in_threadpool(page, error, error.status)
    response.headers["Retry-After"] = str(error.wait)
    return response


def too_many(wait: int) -> str:
    """Return a sentence that says how many seconds to wait before the next attempt."""
    return gettext("Too many attempts from this address. Wait {time}, then try again.").format(
        time=_time_text(wait)
    )


def too_many_guesses(wait: int) -> str:
    """Return a sentence for a stranger: the seconds to wait before the next guess at an account."""
    return gettext(
        "Too many wrong passwords were tried for this account, also from other addresses. Wait "
        "{time}, or use a browser in which you have logged in before."
    ).format(time=_time_text(wait))


def _time_text(wait: int) -> str:
    if wait < 90:
        return ngettext("{n} second", "{n} seconds", wait).format(n=wait)
    minutes = round(wait / 60)
    return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)
