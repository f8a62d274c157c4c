"""Attempts to log in: how many count against whom, and where they outlive a restart.

Attempts are kept in the dashboard's database, so that a restart forgives none. Nothing in the table
``attempt`` can be read: addresses and names stand there as keyed hashes, and for an hour.

>>> limiter = AttemptLimiter(limit=1, window_s=60.0, clock=lambda: 0.0)
>>> limiter.attempt("192.0.2.7"), limiter.attempt("192.0.2.7")
(0, 60)
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import math
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from edge_agent.core.clock import boot_seconds, now
from edge_agent.core.pauses import doubling, pause_after
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.database.setting import read_setting, write_setting

KEPT_SECONDS = 3600
_KEY = "attempt_key"
_KEY_BYTES = 32
_NONCE_BYTES = 12

FREE_GUESSES = 10
PAUSES_S = doubling(2.0, 300.0)


class KeptAttempts:
    """The table ``attempt``, and the key of its hashes.

    Args:
        path: the database of the timeline.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @functools.cached_property
    def _key(self) -> bytes:
        """Drawn once for a database, by whichever program comes first."""
        with write_dashboard(self._path) as connection:
            key = read_setting(connection, _KEY)
            if key is None:
                key = secrets.token_hex(_KEY_BYTES)
                write_setting(connection, _KEY, key)
        return bytes.fromhex(key)

    def hash_of(self, text: str) -> str:
        """Return what stands for a text: the same for the same, and not to be turned back."""
        # A request may hold half characters, which plain UTF-8 refuses.
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()

    def ages(self) -> dict[str, list[float]]:
        """Return for each hash how many seconds ago its attempts were made, the oldest first."""
        at = now().wall_ms
        ages: dict[str, list[float]] = {}
        with read_dashboard(self._path) as connection:
            for who, made in connection.execute("SELECT who, at FROM attempt ORDER BY at"):
                # A clock that went back must not make an attempt one of the future.
                age = max(0, at - made) / 1000
                if age < KEPT_SECONDS:
                    ages.setdefault(who, []).append(age)
        return ages

    def ages_of(self, who: str) -> list[float]:
        """Return how many seconds ago the attempts of one hash were made, the oldest first."""
        return self.ages().get(who, [])

    def add(self, who: str) -> None:
        """Keep an attempt that is made now; forget those that are too old to count.

        Raises:
            StoreError: it cannot be written; then the attempt must not go on.
        """
        at = now().wall_ms
        with write_dashboard(self._path) as connection:
            connection.execute("DELETE FROM attempt WHERE at <= ?", (at - KEPT_SECONDS * 1000,))
            # Attempts of a clock that was ahead count as made
            # now, or they would outlive their hour.
            connection.execute("UPDATE attempt SET at = ? WHERE at > ?", (at, at))
            connection.execute("INSERT INTO attempt (who, at) VALUES (?, ?)", (who, at))

    def forget(self, who: str, newest: int | None = None) -> None:
        """Forget the attempts of one hash: the ``newest`` so many, or all."""
        # SQLite takes a negative limit for none.
        count = -1 if newest is None else newest
        with write_dashboard(self._path) as connection:
            connection.execute(
                "DELETE FROM attempt WHERE id IN "
                "(SELECT id FROM attempt WHERE who = ? ORDER BY at DESC, id DESC LIMIT ?)",
                (who, count),
            )


class LoginAttempt(NamedTuple):
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
        self._seen: OrderedDict[str, deque[LoginAttempt]] = OrderedDict()
        self._are_all_in_memory = True
        self._lock = threading.Lock()
        if kept is not None:
            at = clock()
            for who, ages in kept.ages().items():
                self._seen[who] = deque(LoginAttempt(at - age) for age in ages)

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
            counting.append(LoginAttempt(self._clock(), name))
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

    def _counting(self, who: str) -> deque[LoginAttempt]:
        """Return the attempts that still count, the oldest first."""
        counting = self._seen.get(who)
        now_s = self._clock()
        if counting is None:
            ages = []
            if self._kept is not None and not self._are_all_in_memory:
                ages = self._kept.ages_of(who)
            counting = deque(LoginAttempt(now_s - age) for age in ages)
        while counting and now_s - counting[0].at_s >= self._window_s:
            counting.popleft()
        return counting

    def _wait(self, counting: deque[LoginAttempt]) -> int:
        if len(counting) < self._limit:
            return 0
        return max(1, round(self._window_s - (self._clock() - counting[0].at_s)))


class GuessLimiter(AttemptLimiter):
    """Counts guesses of strangers at one account, from any address.

    The first ``FREE_GUESSES`` in an hour cost no time; each further one has to come ``PAUSES_S``
    after the one before: some 20 in an hour for all strangers together.

    Args:
        clock: seconds, never going back.
        kept: where the guesses outlive a restart.
    """

    def __init__(
        self, clock: Callable[[], float] = boot_seconds, kept: KeptAttempts | None = None
    ) -> None:
        super().__init__(FREE_GUESSES, KEPT_SECONDS, clock=clock, kept=kept)

    def _wait(self, counting: deque[LoginAttempt]) -> int:
        beyond = len(counting) - FREE_GUESSES
        if beyond < 0:
            return 0
        pause_s = pause_after(beyond + 1, PAUSES_S)
        return max(0, math.ceil(counting[-1].at_s + pause_s - self._clock()))


def group_of(address: str) -> str:
    """Return the key by which attempts are counted: the address, or its /64 network for IPv6."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class KnownDevices:
    """Cookies of browsers in which somebody has logged in before.

    They open nothing. Guesses of strangers at a name make other strangers wait, but not these
    browsers: nobody can lock somebody out of their own account by guessing at it.
    """

    def __init__(self, kept: KeptAttempts) -> None:
        self._kept = kept

    def cookie_for(self, name: str) -> str:
        """Return the cookie of a browser in which this account has just logged in."""
        nonce = secrets.token_urlsafe(_NONCE_BYTES)
        return f"{nonce}.{self._mac(nonce, name)}"

    def device_of(self, cookie: str, name: str) -> str | None:
        """Return what stands for the browser, or ``None`` when it never logged in by this name."""
        nonce, _, mac = cookie.partition(".")
        # As bytes: ``compare_digest`` refuses text beyond ASCII, and a cookie may hold anything.
        if nonce and hmac.compare_digest(mac.encode(), self._mac(nonce, name).encode()):
            return hashlib.sha256(nonce.encode()).hexdigest()
        return None

    def _mac(self, nonce: str, name: str) -> str:
        return self._kept.hash_of(f"device\n{nonce}\n{name.strip().casefold()}")
