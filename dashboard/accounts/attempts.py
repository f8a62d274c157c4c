"""Attempts to log in, kept in the dashboard's database, so that a restart forgives none; and the
browsers that have logged in before.

Nothing in the table ``attempt`` can be read: addresses and names stand there as keyed hashes, and
for an hour.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from pathlib import Path

from dashboard.accounts.account_rows import read_setting, write_setting
from edge_agent.core.clock import now
from edge_agent.store.database.dashboard_file import read_dashboard, write_dashboard

KEPT_SECONDS = 3600
_KEY = "attempt_key"
_KEY_BYTES = 32
_NONCE_BYTES = 12


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
            connection.execute("UPDATE attempt SET at = ? WHERE at > ?", (at, at))
            connection.execute("INSERT INTO attempt (who, at) VALUES (?, ?)", (who, at))

    def forget(self, who: str, newest: int | None = None) -> None:
        """Forget the attempts of one hash: the ``newest`` so many, or all."""
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
        if nonce and hmac.compare_digest(mac.encode(), self._mac(nonce, name).encode()):
            return hashlib.sha256(nonce.encode()).hexdigest()
        return None

    def _mac(self, nonce: str, name: str) -> str:
        return self._kept.hash_of(f"device\n{nonce}\n{name.strip().casefold()}")
