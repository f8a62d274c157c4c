"""Running a command where the database may be written: here, or in the process of the gate."""

from __future__ import annotations

import functools
import inspect
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    get_type_hints,
)

from edge_agent.core import clock
from edge_agent.core.bounds import COMMAND_LINE, check_sent, fold_name
from edge_agent.core.errors import (
    AffectEdgeError,
    DamageError,
    DataFileError,
    FileGoneError,
    StoreError,
    StudyError,
)
from edge_agent.core.texts import unpack_text

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

SOCKET = Path("/run/affect-edge/database.sock")
"""Socket of the gate on an installed appliance."""
LARGEST = 4_000_000
"""Bytes of a question or an answer; a portion of readings has some hundred thousand."""
_MOST_PARTS = 100_000
"""Values of the arguments of one command; a portion of readings has 30,000 to 90,000."""
_SHOWN = 20
"""Wrong values that an error names."""
_CONNECT_S = 5.0
_ANSWER_S = 900.0
"""Seconds until an answer; an erasure rewrites every copy."""

ERRORS: dict[str, type[AffectEdgeError]] = {
    one.__name__: one for one in (StoreError, DamageError, StudyError, DataFileError, FileGoneError)
}
"""Errors that a command raises on both sides; any other becomes a ``StoreError``."""
AND_PARTS = "\0"
"""Between the text of an error and what it was made of."""
_given: dict[Path, Path] = {}

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="HasPath")
COMMANDS: dict[str, GateCommand] = {}
"""Name → command; filled by ``commands``."""


class HasPath(Protocol):
    """An object whose commands change a database."""

    path: Path


def use_gate(path: Path, gate: Path | None) -> None:
    """Set the socket through which this process changes a database; ``None``: by rights."""
    if gate is None:
        _given.pop(path, None)
    else:
        _given[path] = gate


def gate_of(path: Path) -> Path | None:
    """Return the socket through which a database is changed; ``None``: its file may be written.

    A user who may read the file and not write it asks the gate of the appliance, where it has one.
    """
    if path in _given:
        return _given[path]
    # the folder stays while the gate is started anew, and tells that this machine has one
    if os.access(path, os.W_OK) or not os.access(path, os.R_OK) or not SOCKET.parent.is_dir():
        return None
    return SOCKET


def wake_gate(path: Path) -> None:
    """Let the gate open the database; if it ended because nobody asked, it is started again.

    Raises:
        StoreError: nobody answers.
    """
    gate = gate_of(path)
    if gate is not None:
        try:
            _ask(gate, b"")  # answered with an error, once the database is open
        except OSError as error:
            raise _unanswered(path, gate, error) from error


class GateCommand:
    """A method that may be called from another process: its arguments and result as JSON."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method
        self.name = method.__name__
        self._signature = inspect.signature(method)

    # Resolved on first use: the classes in the annotations are not imported where no gate is used.
    @functools.cached_property
    def _types(self) -> dict[str, Any]:
        return get_type_hints(self.method, include_extras=True)

    @functools.cached_property
    def _arguments(self) -> type[BaseModel]:
        from pydantic import ConfigDict, create_model  # only where there is a gate

        _, *parameters = self._signature.parameters.values()
        fields: dict[str, Any] = {
            one.name: (self._types[one.name], ... if one.default is one.empty else one.default)
            for one in parameters
        }
        # ``extra="forbid"``: an argument that the gate does not know is an error, and not left out.
        # Bytes are no JSON: a portion of a file goes as base64.
        form = ConfigDict(extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")
        return create_model(self.name, __config__=form, **fields)

    @functools.cached_property
    def _result(self) -> TypeAdapter[Any]:
        from pydantic import TypeAdapter

        return TypeAdapter(self._types["return"])

    def ask(self, gate: Path, subject: HasPath, *args: object, **named: object) -> Any:
        """Have the gate run the command; return its result.

        Raises:
            StoreError: nobody answers, or what the method raises.
        """
        # Bound by name, so that the gate checks each argument against its annotation.
        _, *bound = self._signature.bind(subject, *args, **named).arguments.items()
        # Not validated here: the gate does it, and this side has typed values already.
        arguments = self._arguments.model_construct(**dict(bound))
        file = subject.path.stat()
        head = f"{self.name} {file.st_dev} {file.st_ino}\n".encode()
        try:
            answer = _ask(gate, head + arguments.model_dump_json(exclude_unset=True).encode())
        except OSError as error:
            raise _unanswered(subject.path, gate, error) from error
        outcome, _, content = answer.partition(b"\n")
        if outcome == b"ok":
            return self._result.validate_json(content)
        if not outcome:
            # The gate was stopped before it answered.
            raise _unanswered(subject.path, gate, ConnectionResetError("it has ended"))
        kind, _, field = outcome.decode().partition(" ")
        text, _, parts = content.decode().partition(AND_PARTS)
        raise ERRORS.get(kind, StoreError)(unpack_text(text, parts or None), field=field)

    def apply(self, subject: HasPath, *args: object, **named: object) -> Any:
        """Run the method where the database may be written; return its result.

        Raises:
            StudyError: an argument is out of bounds, or what the method raises.
        """
        _, *given = self._signature.bind(subject, *args, **named).arguments.items()
        for name, value in given:
            check_sent(name, value)
        return self.method(subject, *args, **named)

    def run(self, subject: HasPath, arguments: bytes) -> bytes:
        """Check the arguments, run the method, and return its result as JSON.

        Raises:
            StudyError: the arguments are not those of the method, or it names the command line as
                the one who asks; nothing was done.
        """
        from pydantic import ValidationError

        # Counted before they are read: each value that is wrong costs memory for its error.
        if sum(map(arguments.count, (b",", b"[", b"{"))) > _MOST_PARTS:
            raise StudyError(f"{self.name}: more than {_MOST_PARTS:,} values. Nothing was done.")
        try:
            given = self._arguments.model_validate_json(arguments)
        except ValidationError as error:
            wrong = f"{error.error_count():,} values are wrong"
            if error.error_count() <= _SHOWN:
                wrong = "; ".join(
                    f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
                    for one in error.errors(include_url=False, include_input=False)
                )
            raise StudyError(f"{self.name}: {wrong}. Nothing was done.") from error
        # Only those that were given, so that defaults are those of the gate's program.
        values = {name: getattr(given, name) for name in given.model_fields_set}
        # The command line writes by rights, and never asks.
        if fold_name(str(values.get("actor", ""))) == COMMAND_LINE:
            raise StudyError(f"{self.name}: the {COMMAND_LINE} does not ask the gate.")
        return self._result.dump_json(self.apply(subject, **values))


def command(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorator: run a method through the gate if this user may not write the database.

    Example:
        >>> class Commands:
        ...     @command
        ...     def end_session(self, *, actor: str) -> Session: ...
    """
    known = GateCommand(method)
    COMMANDS[known.name] = known

    @functools.wraps(method)
    def call(self: S, *args: P.args, **named: P.kwargs) -> R:
        gate = gate_of(self.path)
        if gate is None:
            done: R = known.apply(self, *args, **named)
            return done
        result: R = known.ask(gate, self, *args, **named)
        return result

    return cast("Callable[Concatenate[S, P], R]", call)


def receive(line: socket.socket, within_s: float) -> bytes:
    """Return all bytes that the peer sends until it closes its side.

    Raises:
        OSError: it was not done in time, or sent more than ``LARGEST`` bytes.
    """
    until_s = clock.boot_seconds() + within_s
    received = bytearray()
    while True:
        # At least a moment: a timeout of 0 would make the socket non-blocking.
        line.settimeout(max(0.01, until_s - clock.boot_seconds()))
        part = line.recv(1 << 20)
        if not part:
            return bytes(received)
        received += part
        if len(received) > LARGEST:
            raise OSError(f"more than {LARGEST:,} bytes were sent")


def _ask(gate: Path, question: bytes) -> bytes:
    if len(question) > LARGEST:
        raise StoreError(
            f"{len(question):,} bytes are too many for one command to the database; at most "
            f"{LARGEST:,} are taken. Give less at once."
        )
    with _connected(gate) as line:
        line.settimeout(_ANSWER_S)
        line.sendall(question)
        # The gate reads until this end is closed.
        line.shutdown(socket.SHUT_WR)
        return receive(line, _ANSWER_S)


def _connected(gate: Path) -> socket.socket:
    """Return a connection to the gate; wait while the gate is restarting."""
    until_s = clock.boot_seconds() + _CONNECT_S
    while True:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(_CONNECT_S)
        try:
            line.connect(str(gate))
        except OSError as error:
            line.close()
            # The socket is missing or nobody listens while it is restarted, or its queue is full.
            comes_back = isinstance(
                error, FileNotFoundError | ConnectionRefusedError | BlockingIOError
            )
            if not comes_back or clock.boot_seconds() > until_s:
                raise
            clock.sleep(0.1)
        else:
            return line


def _unanswered(path: Path, gate: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path}: this user may only read it, and the service that writes for it does not "
        f"answer at {gate} ({error}). Start it: sudo systemctl start affect-edge-database"
    )
