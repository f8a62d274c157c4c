"""Limits on log-in attempts and on sending readings.

An address may try to log in or to send readings so often, and strangers may guess at one account
so often. Few passwords are checked at a time.

>>> limiter = AttemptLimiter(limit=1, window_s=60.0, clock=lambda: 0.0)
>>> limiter.attempt("192.0.2.7"), limiter.attempt("192.0.2.7")
(0, 60)
"""

from __future__ import annotations

import ipaddress
import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from dashboard.accounts.login import (
    KEPT_SECONDS,
    RETRY_SECONDS,
    BusyError,
    KeptAttempts,
    KnownDevices,
    LoginTurns,
)
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.names import said_of
from edge_agent.config.dashboard import is_loopback
from edge_agent.core.clock import boot_seconds
from edge_agent.core.errors import AffectEdgeError

log = logging.getLogger(__name__)

FREE_GUESSES = 10
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
_SHOWN = 80


class Attempt(NamedTuple):
    """One attempt that counts.

    Attributes:
        at_s: when it was made, by the limiter's clock.
        name: what it was tried at; empty: not told, or made before a restart.
    """

    at_s: float
    name: str = ""


class AttemptLimiter:
    """Counts attempts per network address, so that passwords and codes cannot be guessed.

    An attempt is counted before it is checked: several at once cannot slip past. IPv6 addresses
    count per /64, which is what one machine gets. Bounded; in memory, and where ``kept`` is given
    in the database too, so that neither a restart nor a flood of other addresses forgives anything.

    Args:
        limit: attempts in a window.
        window_s: length of the window in seconds.
        addresses: most addresses in memory; the oldest that has attempts left goes.
        clock: seconds, never going back.
        kept: where the attempts outlive a restart.
    """

    def __init__(
        self,
        limit: int = 5,
        window_s: float = 300.0,
        addresses: int = 1000,
        clock: Callable[[], float] = boot_seconds,
        kept: KeptAttempts | None = None,
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._addresses = addresses
        self._clock = clock
        self._kept = kept
        self._seen: OrderedDict[str, deque[Attempt]] = OrderedDict()
        self._are_all_in_memory = True
        self._lock = threading.Lock()
        if kept is not None:
            at = clock()
            for who, ages in kept.ages().items():
                self._seen[who] = deque(Attempt(at - age) for age in ages)

    def attempt(self, address: str, name: str = "") -> int:
        """Count an attempt at a name; return 0 when it may go on, else the seconds to wait.

        An attempt that has to wait is not counted.

        Raises:
            StoreError: the attempt cannot be kept; it must not go on.
        """
        who = self._who(address)
        with self._lock:
            counting = self._counting(who)
            self._seen[who] = counting
            # The dictionary is in order of the last attempt, for the search for who is forgotten.
            self._seen.move_to_end(who)
            self._make_room(who)
            wait = self._wait(counting)
            if wait:
                return wait
            counting.append(Attempt(self._clock(), name))
        if self._kept is not None:
            self._kept.add(who)
        return 0

    def wait_of(self, address: str) -> int:
        """Return how many seconds the next attempt has to wait; 0: it may go on. Counts nothing."""
        with self._lock:
            return self._wait(self._counting(self._who(address)))

    def attempts_of(self, address: str) -> int:
        """Return how many attempts count against an address."""
        with self._lock:
            return len(self._counting(self._who(address)))

    def forgive(self, address: str, name: str = "") -> None:
        """Delete the attempts of an address at a name, after a successful one.

        Its attempts at other names go on counting: your own account forgives no guesses at
        those of others.
        """
        who = self._who(address)
        with self._lock:
            counting = self._counting(who)
            others = deque(attempt for attempt in counting if attempt.name != name)
            if others:
                self._seen[who] = others
            else:
                self._seen.pop(who, None)
        forgiven = len(counting) - len(others)
        if forgiven and self._kept is not None:
            self._kept.forget(who, forgiven if others else None)

    def _who(self, address: str) -> str:
        group = group_of(address)
        if self._kept is None:
            return group
        return self._kept.hash_of(group)

    def _make_room(self, newest: str) -> None:
        """Forget the oldest addresses that have attempts left, whatever flood comes.

        There are few of the others: each has made as many attempts as are allowed.
        """
        while len(self._seen) > self._addresses:
            free = (
                who
                for who in self._seen
                if who != newest and len(self._counting(who)) < self._limit
            )
            oldest = next(free, None)
            if oldest is None:
                return
            del self._seen[oldest]
            # From now on an address that is not here may still have attempts in the database.
            self._are_all_in_memory = False

    def _counting(self, who: str) -> deque[Attempt]:
        """Return the attempts that still count, the oldest first."""
        counting = self._seen.get(who)
        now_s = self._clock()
        if counting is None:
            ages = []
            if self._kept is not None and not self._are_all_in_memory:
                ages = self._kept.ages_of(who)
            counting = deque(Attempt(now_s - age) for age in ages)
        while counting and now_s - counting[0].at_s >= self._window_s:
            counting.popleft()
        return counting

    def _wait(self, counting: deque[Attempt]) -> int:
        if len(counting) < self._limit:
            return 0
        return max(1, round(self._window_s - (self._clock() - counting[0].at_s)))


class BackOff(AttemptLimiter):
    """Counts guesses of strangers at one account, from any address.

    The first ``FREE_GUESSES`` in an hour cost no time; each further one has to come twice as long
    after the one before, ``LONGEST_PAUSE_S`` at the most: some 20 in an hour for all strangers
    together.

    Args:
        clock: seconds, never going back.
        kept: where the guesses outlive a restart.
    """

    def __init__(
        self, clock: Callable[[], float] = boot_seconds, kept: KeptAttempts | None = None
    ) -> None:
        super().__init__(FREE_GUESSES, KEPT_SECONDS, clock=clock, kept=kept)

    def _wait(self, counting: deque[Attempt]) -> int:
        beyond = len(counting) - FREE_GUESSES
        if beyond < 0:
            return 0
        # Bounded before it is raised: 2.0 to the number of guesses would overflow.
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(beyond, 16))
        return max(0, math.ceil(counting[-1].at_s + pause - self._clock()))


def peer_of(request: Request) -> str:
    """Return the network address at the other end of a request's connection."""
    if request.client:
        return request.client.host
    return "unknown"


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; its attempts are counted together.

    Behind the proxies of `dashboard.proxy_addresses` that is the last address of X-Forwarded-For
    which is no such proxy. What stands before it, and the header of anybody else, may be made up.
    """
    origin = peer_of(request)
    state = request.app.state
    proxies = state.services.options.proxy_addresses
    given = ",".join(request.headers.getlist("x-forwarded-for"))
    hops = given.split(",") if given else []
    while hops and is_one_of(origin, proxies):
        hop = hops.pop().strip()
        try:
            origin = _address_of_hop(hop)
        except ValueError:  # the last address that is known for sure
            _note_unread(state.unread_proxies, origin, hop)
            break
    return origin


def _address_of_hop(hop: str) -> str:
    """Return the address of an entry of X-Forwarded-For, which may have a port.

    Raises:
        ValueError: it is none, such as ``unknown``.

    Example:
        >>> _address_of_hop("192.0.2.7:50123"), _address_of_hop("[2001:db8::1]:443")
        ('192.0.2.7', '2001:db8::1')
    """
    host, port = hop, ""
    if hop.startswith("["):
        host, end, port = hop[1:].partition("]")
        port = port.removeprefix(":") if end else hop
    elif hop.count(":") == 1:  # more are an IPv6 address
        host, _, port = hop.partition(":")
    if port and not port.isdecimal():
        raise ValueError(port)
    return str(ipaddress.ip_address(host))


def _note_unread(known: set[str], proxy: str, hop: str) -> None:
    """Log a proxy whose word about its visitors cannot be read, once each."""
    if proxy not in known:
        known.add(proxy)
        log.warning(
            "the proxy %s sends %r in X-Forwarded-For, which is no network address: such visitors "
            "count as one, and share its attempts to log in. Let it send their addresses",
            proxy,
            hop[:_SHOWN],
        )


def is_one_of(host: str, addresses: Collection[str]) -> bool:
    """Tell whether a network address is one of those that were configured."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        # A socket for both protocols shows IPv4 addresses in this form.
        address = address.ipv4_mapped or address
    return address in {ipaddress.ip_address(one) for one in addresses}


def too_many(wait: int) -> str:
    """Return a sentence that says how many seconds to wait before the next attempt."""
    return gettext("Too many attempts from this address. Wait {time}, then try again.").format(
        time=_spoken(wait)
    )


def too_many_guesses(wait: int) -> str:
    """Return a sentence for a stranger: the seconds to wait before the next guess at an account."""
    return gettext(
        "Too many wrong passwords were tried for this account, also from other addresses. Wait "
        "{time}, or use a browser in which you have logged in before."
    ).format(time=_spoken(wait))


def _spoken(wait: int) -> str:
    if wait < 90:
        return ngettext("{n} second", "{n} seconds", wait).format(n=wait)
    minutes = round(wait / 60)
    return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)


def group_of(address: str) -> str:
    """Return the key by which attempts are counted: the address, or its /64 network for IPv6."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asker:
    """The sender of an attempt.

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
    """An attempt was not checked; the text says why and may be shown to the user.

    Attributes:
        status: of the answer: 429 after too many attempts, 503 while too many are checked.
        wait: seconds after which to try again.
    """

    def __init__(self, text: str, status: int, wait: int) -> None:
        super().__init__(text)
        self.status = status
        self.wait = wait


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
        """Run ``check`` in a thread when its turn has come, and return its result.

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

        # Known browsers first, then those who have tried least.
        rank = self._addresses.attempts_of(who) if device is None else -1
        try:
            async with self._turns.turn(who, rank):
                return await run_in_threadpool(count_and_check)
        except BusyError as error:
            raise HeldUpError(said_of(error), 503, RETRY_SECONDS) from error

    def _refuse(self, wait: int, text: Callable[[int], str]) -> None:
        if wait:
            raise HeldUpError(text(wait), 429, wait)
