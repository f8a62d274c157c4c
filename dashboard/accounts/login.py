"""Log-ins of an account, attempts to log in, and the queue in which passwords are checked.

Attempts are kept in the dashboard's database, so that a restart forgives none. Nothing in the table
``attempt`` can be read: addresses and names stand there as keyed hashes, and for an hour.

A check of a password takes 64 MiB of memory and all processor cores for a moment, which is what
makes guessing dear. A crowd of them would take the whole machine, so a few are checked at once.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.accounts.passwords import sha256
from dashboard.accounts.roles import Account
from edge_agent.core.clock import now
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.store.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.store.database.schema import read_setting, write_setting
from edge_agent.store.gate.commands import Commands

_KEY_LENGTH = 16
_BETWEEN = " on "
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chromium", "Chromium"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("python", N_("a Python program")),
)
"""Names that browsers give themselves, those that claim to be another first."""
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
KEPT_SECONDS = 3600
_KEY = "attempt_key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
AT_ONCE = 2
WAITING = 4
RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Login:
    """A login that has not ended.

    Attributes:
        key: names it among the logins of its account; it opens nothing.
        created_ms: when it began.
        used_ms: when it was last used, to the minute.
        address: network address that it began from; empty: not known.
        browser: browser and system; empty: not known.
        here: whether it is the one that asks.
    """

    key: str
    created_ms: int
    used_ms: int
    address: str
    browser: str
    here: bool


class Logins:
    """The logins kept in the database.

    Args:
        path: the database of the timeline.
        idle_minutes: minutes until a login ends that nobody uses.
    """

    def __init__(self, path: Path, idle_minutes: int) -> None:
        self._path = path
        self._idle_ms = idle_minutes * 60_000
        self._note = Commands(path).note

    def of_account(self, account: Account, token: str) -> list[Login]:
        """Return the logins of an account, the one of ``token`` first, then those used last."""
        at = now().wall_ms
        own = sha256(token)
        with read_dashboard(self._path) as connection:
            rows = connection.execute(
                "SELECT token_hash, created, used, address, browser FROM login WHERE account = ? "
                "AND expires > ? AND used > ? ORDER BY token_hash = ? DESC, used DESC",
                (account.id, at, at - self._idle_ms, own),
            ).fetchall()
        return [
            # A part of the hash is enough to name the login, and no use to who reads the page.
            Login(row[0][:_KEY_LENGTH], row[1], row[2], row[3], _sayable(row[4]), row[0] == own)
            for row in rows
        ]

    def end(self, account: Account, key: str) -> None:
        """End one login of an account; one that has ended already, or another's, stays as it is."""
        with write_dashboard(self._path) as connection:
            ended = connection.execute(
                "DELETE FROM login WHERE account = ? AND substr(token_hash, 1, ?) = ?",
                (account.id, _KEY_LENGTH, key),
            ).rowcount
            if ended:
                self._note(account.name, "login_end", "1 login")

    def end_others(self, account: Account, token: str) -> int:
        """End all logins of an account but that of ``token``; return how many."""
        with write_dashboard(self._path) as connection:
            ended = connection.execute(
                "DELETE FROM login WHERE account = ? AND token_hash <> ?",
                (account.id, sha256(token)),
            ).rowcount
            if ended:
                told = f"{ended} {'login' if ended == 1 else 'logins'}"
                self._note(account.name, "login_end", told)
        return ended


def browser_name(agent: str) -> str:
    """Return browser and system of a header ``User-Agent``, for people; empty for none.

    >>> browser_name("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox on Linux'
    """
    browser = next((name for sign, name in _BROWSERS if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    if browser and system:
        return f"{browser}{_BETWEEN}{system}"
    if browser or system:
        return browser or system
    return N_("another program") if agent else ""


def _sayable(name: str) -> str:
    """Return the name of a browser as it was stored, for any language."""
    browser, between, system = name.partition(_BETWEEN)
    if not between:
        return as_message(name)
    return Message(N_("{browser} on {system}"), browser=as_message(browser), system=system)


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
