"""The side of a program that may not write the file: a connection that goes through the gate."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from edge_agent.core import clock
from edge_agent.core.errors import DamageError, StoreError, StudyError
from edge_agent.store.database.gate.frames import receive, send

SOCKET = Path("/run/affect-edge/database.sock")
"""Where the gate of an installed appliance listens."""
_CONNECT_S = 5.0
_ANSWER_S = 60.0
_CALL_S = 900.0
"""Seconds until an answer; an erasure rewrites every copy."""

_ERRORS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (
        StoreError,
        DamageError,
        StudyError,
        ValueError,
        sqlite3.DatabaseError,
        sqlite3.IntegrityError,
        sqlite3.OperationalError,
        sqlite3.ProgrammingError,
        sqlite3.InterfaceError,
        sqlite3.DataError,
        sqlite3.InternalError,
        sqlite3.NotSupportedError,
    )
}
_given: dict[Path, Path] = {}


def use_gate(path: Path, gate: Path | None) -> None:
    """Say through which socket this process writes a database; ``None``: as it may itself."""
    if gate is None:
        _given.pop(path, None)
    else:
        _given[path] = gate


def gate_of(path: Path) -> Path | None:
    """Return the socket through which a database is written; ``None``: its file is written.

    Whoever may read the file and not write it asks the gate of the appliance, where it has one.
    """
    if path in _given:
        return _given[path]
    # the folder stays while the gate is started anew, and tells that this machine has one
    if os.access(path, os.W_OK) or not os.access(path, os.R_OK) or not SOCKET.parent.is_dir():
        return None
    return SOCKET


class GateRow(tuple[Any, ...]):
    """A row as ``sqlite3.Row``: by index and by name."""

    names: tuple[str, ...]

    def __new__(cls, names: tuple[str, ...], values: Iterable[Any]) -> GateRow:
        """Make a row of values with their names."""
        row = super().__new__(cls, values)
        row.names = names
        return row

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.names)

    def __getitem__(self, key: Any) -> Any:
        """Return a value by its index or its name."""
        if isinstance(key, str):
            for index, name in enumerate(self.names):
                if name.casefold() == key.casefold():
                    return super().__getitem__(index)
            raise IndexError(f"no column {key!r}")
        return super().__getitem__(key)


class GateCursor:
    """What a statement gave; as ``sqlite3.Cursor`` for those who read it."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.lastrowid: int | None = answer.get("lastrowid")
        self.rowcount: int = answer.get("rowcount", -1)
        names = tuple(answer.get("columns", ()))
        self.description = [(name, *[None] * 6) for name in names] or None
        self._rows = iter([GateRow(names, row) for row in answer.get("rows", ())])

    def __iter__(self) -> Iterator[GateRow]:
        """Return the rows that are left."""
        return self._rows

    def fetchone(self) -> GateRow | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[GateRow]:
        """Return the rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter([])


class _Statements:
    row_factory: Any = None

    def __init__(self, connection: GateConnection) -> None:
        self.execute = connection.execute
        self.executemany = connection.executemany


class GateConnection(sqlite3.Connection):
    """A connection whose statements run in the process of the gate.

    Args:
        gate: its socket.
        path: the database, for errors, and so that the gate can say that it keeps another one.

    Raises:
        StoreError: nobody answers there, or the gate keeps another database.
    """

    def __init__(self, gate: Path, path: Path) -> None:
        self._socket = _connected(gate, path)
        super().__init__(":memory:", isolation_level=None)
        self._path = path
        self._in_transaction = False
        try:
            self._socket.settimeout(_ANSWER_S)
            file = path.stat()
            self._ask({"database": [file.st_dev, file.st_ino]})
        except OSError as error:
            self.close()
            raise _unanswered(path, gate, error) from error
        except BaseException:
            self.close()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._in_transaction

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        """Run a statement; all its rows are there at once."""
        return GateCursor(self._ask({"sql": sql, "parameters": _plain(parameters)}))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Run a statement once for each of the parameters."""
        each = [_plain(one) for one in parameters]
        return GateCursor(self._ask({"sql": sql, "each": each}))

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a trusted function in the transaction; return what it gave, as JSON values."""
        self._socket.settimeout(_CALL_S)
        return self._ask({"call": name, "arguments": arguments})["result"]

    def close(self) -> None:
        """Close both sides; what is not committed is rolled back."""
        self._socket.close()
        super().close()

    def cursor(self, *args: Any, **named: Any) -> Any:
        """Return what runs statements; its rows have names, whatever is asked for."""
        del args, named
        return _Statements(self)

    def backup(self, *args: Any, **named: Any) -> NoReturn:
        """Refuse, as everything that would run here and not there."""
        del args, named
        raise sqlite3.NotSupportedError("a connection through the gate runs statements alone")

    blobopen = commit = executescript = iterdump = rollback = backup

    def _ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            send(self._socket, dict(question))
            answer = receive(self._socket)
        except (OSError, ValueError) as error:
            raise sqlite3.OperationalError(f"the gate of the database: {error}") from error
        if answer is None:
            raise sqlite3.OperationalError("the gate of the database has ended")
        self._in_transaction = bool(answer.get("in_transaction"))
        if "error" in answer:
            raise _error_of(answer)
        return answer


def call_on(gate: Path, path: Path, name: str, arguments: Mapping[str, Any]) -> Any:
    """Call a trusted function that opens the database itself.

    Raises:
        StoreError: nobody answers, or what the function raises.
    """
    with closing(GateConnection(gate, path)) as connection:
        try:
            return connection.call(name, arguments)
        except sqlite3.OperationalError as error:
            raise _unanswered(path, gate, error) from error


def _connected(gate: Path, path: Path) -> socket.socket:
    """Return a connection to the gate; one that is being started anew is waited for."""
    until_s = clock.boot_seconds() + _CONNECT_S
    while True:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(_CONNECT_S)
        try:
            line.connect(str(gate))
        except OSError as error:
            line.close()
            comes_back = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            if not comes_back or clock.boot_seconds() > until_s:
                raise _unanswered(path, gate, error) from error
            clock.sleep(0.1)
        else:
            return line


def _unanswered(path: Path, gate: Path, error: Exception) -> StoreError:
    return StoreError(
        f"{path}: this user may only read it, and the service that writes for it does not "
        f"answer at {gate} ({error}). Start it: sudo systemctl start affect-edge-database"
    )


def _error_of(answer: Mapping[str, Any]) -> Exception:
    kind = _ERRORS.get(str(answer["error"]), StoreError)
    error = kind(answer.get("text", ""))
    if isinstance(error, sqlite3.Error):
        error.sqlite_errorcode = answer.get("code", sqlite3.SQLITE_ERROR)
    return error


def _plain(parameters: Any) -> Sequence[Any] | dict[str, Any]:
    """Return parameters as JSON can hold them; an enumeration's member as its value."""
    if isinstance(parameters, Mapping):
        return {name: _value(one) for name, one in parameters.items()}
    return [_value(one) for one in parameters]


def _value(one: Any) -> Any:
    if isinstance(one, bool):
        return int(one)
    if isinstance(one, str):
        return str(one)
    return one
