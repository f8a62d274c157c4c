"""How often an address may try to log in or to send readings, and how often strangers may guess at
one account.

>>> limiter = AttemptLimiter(limit=1, window_s=60.0, clock=lambda: 0.0)
>>> limiter.attempt("192.0.2.7"), limiter.attempt("192.0.2.7")
(0, 60)
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from fastapi import Request
from starlette.responses import Response

from dashboard.accounts.attempts import KEPT_SECONDS, KeptAttempts
from dashboard.languages.current import gettext
from edge_agent.core.clock import boot_seconds

FREE_GUESSES = 10
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0


class AttemptLimiter:
    """Counts attempts per network address, so that passwords and codes cannot be guessed.

    An attempt is counted before it is checked: several at once cannot slip past. IPv6 addresses
    count per /64, which is what one machine gets. Bounded; in memory, and where ``kept`` is given
    in the database too, so that a restart forgives nothing.

    Args:
        limit: attempts in a window.
        window_s: length of the window in seconds.
        addresses: most addresses remembered; the oldest is forgotten.
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
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()
        if kept is not None:
            at = clock()
            for who, ages in kept.ages().items():
                self._seen[who] = deque(at - age for age in ages)

    def attempt(self, address: str) -> int:
        """Count an attempt; return 0 when it may go on, else the seconds to wait (such an attempt
        is not counted).

        Raises:
            StoreError: the attempt cannot be kept; it must not go on.
        """
        who = self._who(address)
        with self._lock:
            times = self._counting(who)
            wait = self._wait(times)
            if wait:
                self._seen.move_to_end(who)
                return wait
            times.append(self._clock())
            self._seen[who] = times
            self._seen.move_to_end(who)
            while len(self._seen) > self._addresses:
                self._seen.popitem(last=False)
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

    def forgive(self, address: str) -> None:
        """Forget the attempts of an address, after a right one."""
        who = self._who(address)
        with self._lock:
            known = self._seen.pop(who, None)
        if known and self._kept is not None:
            self._kept.forget(who)

    def _who(self, address: str) -> str:
        group = group_of(address)
        if self._kept is None:
            return group
        return self._kept.hash_of(group)

    def _counting(self, who: str) -> deque[float]:
        """Return when the attempts were made that still count."""
        times = self._seen.get(who, deque())
        now = self._clock()
        while times and now - times[0] >= self._window_s:
            times.popleft()
        return times

    def _wait(self, times: deque[float]) -> int:
        if len(times) < self._limit:
            return 0
        return max(1, round(self._window_s - (self._clock() - times[0])))


class BackOff(AttemptLimiter):
    """Counts what strangers guess at one account, from wherever they come.

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

    def _wait(self, times: deque[float]) -> int:
        beyond = len(times) - FREE_GUESSES
        if beyond < 0:
            return 0
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(beyond, 16))
        return max(0, math.ceil(times[-1] + pause - self._clock()))


def address_of(request: Request) -> str:
    """Return the network address that a request comes from; its attempts are counted together."""
    if request.client:
        return request.client.host
    return "unknown"


def too_many(wait: int) -> str:
    """Say how many seconds to wait before the next attempt."""
    return gettext("Too many attempts from this address. Wait {time}, then try again.").format(
        time=_spoken(wait)
    )


def too_many_guesses(wait: int) -> str:
    """Say to a stranger how many seconds to wait before the next guess at an account."""
    return gettext(
        "There were too many wrong passwords for this account, from other places too. Wait {time}, "
        "or log in with a browser in which you have logged in before."
    ).format(time=_spoken(wait))


def with_wait(response: Response, wait: int) -> Response:
    """Tell programs, too, how many seconds to wait; 0 is not told."""
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _spoken(wait: int) -> str:
    if wait < 90:
        return f"{wait} seconds"
    return f"{round(wait / 60)} minutes"


def group_of(address: str) -> str:
    """Return what is counted together: the address itself, or the /64 network of an IPv6
    address.
    """
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
