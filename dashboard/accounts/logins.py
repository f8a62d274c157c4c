"""The logins of an account: where it is logged in, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashboard.accounts.notes import Notes
from dashboard.accounts.passwords import sha256
from dashboard.accounts.roles import Account
from edge_agent.core.clock import now
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard

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
        self._note = Notes(path).note_within

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
                self._note(connection, account.name, "login_end", "1 login")

    def end_others(self, account: Account, token: str) -> int:
        """End all logins of an account but that of ``token``; return how many."""
        with write_dashboard(self._path) as connection:
            ended = connection.execute(
                "DELETE FROM login WHERE account = ? AND token_hash <> ?",
                (account.id, sha256(token)),
            ).rowcount
            if ended:
                told = f"{ended} {'login' if ended == 1 else 'logins'}"
                self._note(connection, account.name, "login_end", told)
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
