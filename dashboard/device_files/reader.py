"""Reads the files of devices by a process of its own, one file at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from dashboard.device_files.answer import FileReadings, FileRefusal, answer_type
from dashboard.device_files.packed import PackedBytes
from edge_agent.core.bounds import printable
from edge_agent.core.errors import AffectEdgeError, DataFileError
from edge_agent.core.helper.process import (
    HelperClosedError,
    HelperEndedError,
    HelperLateError,
    HelperProcess,
)
from edge_agent.core.texts import N_, unpack_text
from edge_agent.vitals.health.exports import export_of_member
from edge_agent.vitals.health.files import ExportMember
from edge_agent.vitals.zone_names import zone_named

ANSWER_S = 120.0
"""A file with as many readings as are taken needs 7 s of the processor of a desktop computer."""
MOST_AHEAD = 4
"""Files that are read or wait: each holds a thread, and pages need the others."""
_LATE = N_("{file}: could not be read in {seconds:.0f} seconds.")
_ENDED = N_("{file}: the process that reads files ended while reading this one.")
_FULL = N_(
    "{file}: {count} files of others are read before it, each up to two minutes. Nothing was "
    "imported. Send it again later."
)
_STOPS = N_("The dashboard is stopping. Try again when it is back.")


class TooLargeError(DataFileError):
    """A file is too large for the page; the command ``affect-edge import-vitals`` takes it."""


class ReaderClosedError(AffectEdgeError):
    """The dashboard stops."""


@dataclass(frozen=True, slots=True)
class DeviceFile:
    """A file of a device or a health app, as it was sent.

    Attributes:
        name: its name, printable.
        form: name of its format.
        packed: its bytes.
    """

    name: str
    form: str
    packed: PackedBytes

    @classmethod
    def recognise(cls, name: str, packed: PackedBytes) -> DeviceFile | None:
        """Return the file if its name and first bytes are those of a known format.

        Raises:
            DataFileError: it cannot be unpacked.
        """
        name = printable(name)
        export = export_of_member(ExportMember(name, packed.size, packed.open))
        return None if export is None else cls(name, export.formats[0], packed)


class DeviceFileReader:
    """Reads files in a process that starts with each of them and ends with its answer.

    All methods may be called from any thread.

    Args:
        answer_s: how long it may read one file before it is ended.
    """

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._turn = threading.Lock()
        self._ahead = threading.BoundedSemaphore(MOST_AHEAD)
        self._stopping = threading.Event()

    def read(self, file: DeviceFile, zone: str) -> FileReadings:
        """Return the readings of a file, each flagged ``imported``.

        Args:
            file: the file.
            zone: name of the time zone of times that name none; empty refuses such times.

        Raises:
            DataFileError: the time zone is unknown, the file is damaged or has no reading, or
                ``MOST_AHEAD`` files come before it.
            TooLargeError: it has too many readings, or takes too long.
            ReaderClosedError: the dashboard stops.
        """
        zone_named(zone)
        if not self._ahead.acquire(blocking=False):
            raise DataFileError(_FULL, file=file.name, count=MOST_AHEAD)
        try:
            # One at a time: each may need as much memory as the dashboard.
            with self._turn:
                answer = answer_type().validate_json(self._answer(file, zone))
        finally:
            self._ahead.release()
        if isinstance(answer, FileReadings):
            return answer
        raise _error_of(answer)

    def close(self) -> None:
        """End the process at once; a file that is being read is given up."""
        self._stopping.set()

    def _answer(self, file: DeviceFile, zone: str) -> bytes:
        question = file.name.encode() + b"\n" + file.packed.unpack()
        if self._stopping.is_set():
            raise ReaderClosedError(_STOPS)
        try:
            # The zone is loaded before the process gives up to open files.
            with HelperProcess("dashboard.device_files.worker", zone, file.form) as helper:
                return helper.ask(question, timeout_s=self._answer_s, stopping=self._stopping)
        except HelperClosedError:
            raise ReaderClosedError(_STOPS) from None
        except HelperLateError:
            raise TooLargeError(_LATE, file=file.name, seconds=self._answer_s) from None
        except HelperEndedError:
            raise TooLargeError(_ENDED, file=file.name) from None


def _error_of(refusal: FileRefusal) -> DataFileError:
    kind = TooLargeError if refusal.is_too_large else DataFileError
    return kind(unpack_text(refusal.problem, refusal.parts))
