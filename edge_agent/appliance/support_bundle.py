"""An archive for support: the state of the appliance, without data about participants.

``docs/troubleshooting.md`` describes its contents. Codes and names of the study, accounts,
passwords, tokens, addresses of sensors and of mail, and names of this machine and its people are
removed from every text. The log is left out completely if the database cannot be read for the
codes.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import re
import socket
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import distributions
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_agent import __version__
from edge_agent.appliance.findings import Finding
from edge_agent.appliance.running_checks import UNITS, agent_health, journal
from edge_agent.config.hiding import hider_of
from edge_agent.config.settings import Settings
from edge_agent.core.addresses import masked
from edge_agent.core.errors import DataFileError, StoreError
from edge_agent.core.files import replace_file
from edge_agent.core.owners import as_owner_of
from edge_agent.live.feed import SOCKET_NAME
from edge_agent.timeline.database.dashboard_file import dashboard_file, read_as_owner
from edge_agent.timeline.database.files import refuse_pipe, said_by
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.untrusted_file import set_bounds

_JOURNAL_LINES = 2_000
_LONGEST_S = 60.0
"""For so long one query of it may run."""
_SECRET = re.compile("password|username|token|secret|address|notify$|key$", re.IGNORECASE)
_MAIL = re.compile(r"[^\s@/()]+@[\w.-]+")
_HARDWARE = re.compile(r"\b[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\b")
_PERSONAL = (
    "SELECT code FROM participant",
    "SELECT name FROM session",
    "SELECT label FROM marker WHERE kind = 'note'",
    # names of accounts and tokens: who has done something, for the rest is in no log
    "SELECT DISTINCT replace(actor, 'token ', '') FROM audit",
)
HIDDEN = "(taken out)"
FOLDERS_OF_THE_SYSTEM = (
    "/boot/",
    "/dev/media",
    "/dev/serial",
    "/dev/tty",
    "/dev/v4l",
    "/dev/video",
    "/proc/",
    "/sys/",
    "/usr/",
    "/etc/affect-edge/",
    "/opt/affect-edge/",
    "/var/lib/affect-edge",
)
NOBODYS = frozenset({"", "affect-edge", "localhost", "nobody", "pi", "raspberrypi", "root"})
"""Names that tell of nobody, and without which the sentences cannot be understood."""
_FIRST_PERSON = 1000
"""The first number of a person's account; those of services are below."""
_OUR_OWN_WORDS = frozenset({"versions.json", "database.json"})


def write_bundle(file: Path, settings: Settings, data: Path, findings: Sequence[Finding]) -> None:
    """Write the archive.

    Args:
        file: the ZIP archive to write; an existing one is replaced.
        settings: the configuration.
        data: the data folder.
        findings: the doctor's findings.

    Raises:
        DataFileError: the archive cannot be written.
    """
    with as_owner_of(data):
        names = names_of_people(data)
        health, tables = agent_health(data / SOCKET_NAME), _tables(data / DATABASE_NAME)
    parts: dict[str, object] = {
        "doctor.json": [asdict(finding) for finding in findings],
        "configuration.json": without_secrets(settings.model_dump(mode="json")),
        "versions.json": _versions(),
        "health.json": health,
        "database.json": tables,
    }
    # The doctor and the log name the account at the broker, which may be a person's.
    words = {*(names or ()), *names_of_machine(data), settings.mqtt.username or ""}
    hide = Hider(words - NOBODYS, hider_of(settings))
    made = BytesIO()
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                # In these two files a code that happens to be a word, such as "session", would hide
                # our own names.
                shown = content if name in _OUR_OWN_WORDS else hide.in_values(content)
                archive.writestr(name, json.dumps(shown, indent=1, ensure_ascii=False))
            for unit in UNITS:
                archive.writestr(f"{unit}.log", _log(unit, hide, known=names is not None))
        # Root may write it into a folder of everybody: a link there is replaced, not followed.
        with as_owner_of(file):
            replace_file(file, made.getvalue(), 0o644)
    except OSError as error:
        raise DataFileError(f"{file}: cannot be written ({error.strerror}).") from error


class Hider:
    """Removes whole words from texts, in upper or lower case.

    Args:
        words: the words.
        hide_secrets: removes the secrets of the configuration.
    """

    def __init__(self, words: Iterable[str], hide_secrets: Callable[[str], str] = masked) -> None:
        self._hide_secrets = hide_secrets
        # Alternatives of a regular expression are tried in order, and one code may begin another:
        # P1, P1-b.
        longest_first = sorted({word for word in words if word.strip()}, key=len, reverse=True)
        choice = "|".join(re.escape(word) for word in longest_first)
        self._words = re.compile(rf"(?<!\w)({choice})(?!\w)", re.IGNORECASE) if choice else None

    def __call__(self, text: str) -> str:
        """Return the text without the words and without addresses of sensors and of people."""
        text = _HARDWARE.sub(HIDDEN, self._hide_secrets(text))
        text = _MAIL.sub(HIDDEN, text)
        return text if self._words is None else self._words.sub(HIDDEN, text)

    def in_values(self, value: Any) -> Any:
        """Return a JSON value without the words in its texts; its keys, which are ours, stay."""
        if isinstance(value, Mapping):
            return {name: self.in_values(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.in_values(inner) for inner in value]
        if isinstance(value, str):
            return self(value)
        return value


def _personal_words(database: Path) -> set[str] | None:
    """Return the codes and names in a database; ``None`` if it cannot be read."""
    if not database.exists():
        return set()
    try:
        with closing(_open(database)) as connection:
            return {str(row[0]) for question in _PERSONAL for row in connection.execute(question)}
    except (StoreError, sqlite3.Error, UnicodeDecodeError):
        return None


def names_of_people(data: Path) -> set[str] | None:
    """Return codes, names and accounts of a data folder; ``None`` if they cannot be read."""
    database = data / DATABASE_NAME
    names = _personal_words(database)
    if names is None or not dashboard_file(database).exists():
        return names
    try:
        with read_as_owner(database) as connection:
            return names | {str(row[0]) for row in connection.execute("SELECT name FROM account")}
    except (StoreError, OSError, sqlite3.Error):
        return names  # only root and the dashboard's user may read them; the doctor did not either


def names_of_machine(data: Path) -> set[str]:
    """Return the names of this machine, of its people, and of the data folder."""
    host = socket.gethostname()
    names = {host, host.partition(".")[0], str(Path.home()), os.environ.get("SUDO_USER", "")}
    folders = {str(data.absolute()), str(data.resolve())}
    names |= {folder for folder in folders if not folder.startswith(FOLDERS_OF_THE_SYSTEM)}
    for person in pwd.getpwall():
        if person.pw_uid >= _FIRST_PERSON or person.pw_uid == os.getuid():
            names |= {person.pw_name, *re.split(r"[\s,]+", person.pw_gecos)}
    return {name for name in names if len(name) > 1}


def without_secrets(value: Any, key: str = "") -> Any:
    """Return a configuration in which secret and personal values are masked."""
    if isinstance(value, Mapping):
        return {name: without_secrets(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner, key) for inner in value]
    if value is not None and _SECRET.search(key) and not isinstance(value, bool):
        return HIDDEN
    return value


def _open(database: Path) -> sqlite3.Connection:
    refuse_pipe(database)
    connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=5)
    set_bounds(database, connection, _LONGEST_S)
    return connection


def _versions() -> dict[str, object]:
    return {
        "affect-edge": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "packages": {one.metadata["Name"]: one.version for one in distributions()},
    }


def _tables(database: Path) -> dict[str, object]:
    """Return schema, size and number of rows of each table, or why there are none."""
    if not database.exists():
        return {"error": "there is no database"}
    try:
        with closing(_open(database)) as connection:
            schema = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql <> ''"))
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            rows = {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for (name,) in tables.fetchall()
            }
    except (StoreError, sqlite3.Error, UnicodeDecodeError) as error:
        return {"error": said_by(error), "bytes": database.stat().st_size}
    return {"bytes": database.stat().st_size, "rows": rows, "schema": schema}


def _log(unit: str, hide: Hider, *, known: bool) -> str:
    if not known:
        return "left out: the database cannot tell which codes there are\n"
    return hide("\n".join(journal(unit, _JOURNAL_LINES, "--output=short-iso", "--no-hostname")))
