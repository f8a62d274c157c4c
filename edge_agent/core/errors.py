"""Every error that Affect Edge raises on purpose.

Each message names the value that was wrong and what to do about it, so that a command can print it
as it is. Adapters translate the errors of their libraries into these once, with ``raise … from``.
"""

from __future__ import annotations

import reprlib
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from edge_agent.core.addresses import masked
from edge_agent.core.texts import N_, Message, Worded, as_message, join_sentences

Reason = TypeVar("Reason", bound=StrEnum)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class AffectEdgeError(Exception):
    """Base of all our errors; its text can be shown to people.

    With ``values`` the text is a template, and the error contains a :class:`Message`.

    Attributes:
        field: the wrong field of what was typed or sent; empty: none, or several.
        exit_code: of a command that it ends: 1 failed while running, 2 wrong use or configuration.
    """

    field = ""
    exit_code: ClassVar[int] = 1

    def __init__(self, *texts: object, field: str = "", **values: object) -> None:
        given = (Message(str(text), **values) if values else text for text in texts)
        # Errors reach logs, screens, the broker and the archive for support.
        super().__init__(*(masked(text) if isinstance(text, str) else text for text in given))
        self.field = field


class ConfigError(AffectEdgeError):
    """The configuration is wrong.

    The text contains key, value, the allowed values, and the line if it is known.
    """

    exit_code = 2


class _DeviceError(AffectEdgeError, Generic[Reason]):
    """A camera or a sensor cannot be used.

    Attributes:
        reason: the kind of failure, for programs.
        problem: what is wrong, with the value.
        cure: what to do about it, one sentence.
    """

    def __init__(self, reason: Reason, problem: str, cure: str) -> None:
        problem, cure = masked(problem), masked(cure)
        super().__init__(join_sentences(map(as_message, (problem, cure))))
        self.reason = reason
        self.problem = problem
        self.cure = cure


class CameraReason(StrEnum):
    """The reasons why a camera gives no frame."""

    NOT_FOUND = "not_found"
    BUSY = "busy"
    NO_PERMISSION = "no_permission"
    STALLED = "stalled"
    STANDS_STILL = "stands_still"
    LENS_COVERED = "lens_covered"
    END_OF_FILE = "end_of_file"
    LIBCAMERA_MISSING = "libcamera_missing"
    UNREADABLE = "unreadable"
    OUT_OF_MEMORY = "out_of_memory"


class CameraState(Worded):
    """The state of the camera, as the live feed says it: a picture comes; none comes; it failed,
    for a reason; nothing may be captured now; a file has ended.
    """

    OPEN = "open", N_("camera open"), "good"
    SILENT = "silent", N_("no picture from the camera"), "bad"
    FAILED = "failed", N_("camera failed"), "bad"
    CLOSED = "closed", N_("camera closed: no session")
    ENDED = "ended", N_("camera: the file has ended")


class CameraError(_DeviceError[CameraReason]):
    """A camera could not be opened or gave no frame."""


class VitalsReason(StrEnum):
    """The reasons why a sensor gives no readings."""

    BLEAK_MISSING = "bleak_missing"
    BLUEZ_MISSING = "bluez_missing"
    ADAPTER_MISSING = "adapter_missing"
    ADAPTER_OFF = "adapter_off"
    NO_PERMISSION = "no_permission"
    NOT_FOUND = "not_found"
    NOT_PAIRED = "not_paired"
    UNSUPPORTED = "unsupported"
    CONNECTION_FAILED = "connection_failed"
    RADIO_BUSY = "radio_busy"


class VitalsError(_DeviceError[VitalsReason]):
    """A sensor, or Bluetooth itself, cannot be used."""


class GattError(AffectEdgeError):
    """A Bluetooth characteristic violates its specification; none of it is used.

    Attributes:
        characteristic: its name and number.
        payload: all of its bytes.
        problem: the fault for the log, without the bytes, which are health data.
    """

    def __init__(self, characteristic: str, payload: bytes, problem: str) -> None:
        super().__init__(
            f"{characteristic} [{payload.hex(' ')}]: {problem}. Look for newer "
            "firmware of the sensor."
        )
        self.characteristic = characteristic
        self.payload = payload
        self.problem = problem


class ReadingError(AffectEdgeError):
    """A reading from outside cannot be understood; it was refused.

    Attributes:
        field: the wrong field.
        shown: its value, shortened; empty if there is none.
        reason: the fault and the allowed values, to be read after the value.
    """

    def __init__(self, field: str, shown: str, reason: str) -> None:
        super().__init__(f"{field}: {f'{shown} ' if shown else ''}{reason}")
        self.field = field
        self.shown = shown
        self.reason = reason


class ImpossibleError(ReadingError):
    """A value is a number and cannot be one of its kind, such as -1 % of a sensor without contact.

    Of a file the reading is left out and reported; nothing else of the file is refused for it.
    """


def shown_value(value: object) -> str:
    """Return a value for a message, shortened, however large or deep it is."""
    if value is None:
        return "nothing"
    return _SHORT.repr(value)


class ModelError(AffectEdgeError):
    """A model cannot be used: it disagrees with its card, or no runtime is installed."""


class PictureError(AffectEdgeError):
    """A picture is missing, broken or too large to be read."""


class StoreError(AffectEdgeError):
    """The database cannot be used: newer version, no database, no permission, disk full, in use."""


class DamageError(StoreError):
    """The database file is damaged: it must be set aside, and its readable rows salvaged."""


class DataFileError(AffectEdgeError):
    """A file to be imported has a bad row; nothing of it was imported."""


class FileGoneError(DataFileError):
    """A file that was sent is not, or no longer, here."""


class StudyError(AffectEdgeError):
    """A study rule was broken: unknown participant, consent missing, session already open."""


class MqttError(AffectEdgeError):
    """The MQTT settings cannot work (certificate missing, bad address).

    An unreachable broker is no error.
    """


class BrokerAccountError(AffectEdgeError):
    """An account at the broker of this machine cannot be made, changed or removed."""


class ServerError(AffectEdgeError):
    """The dashboard or the live feed cannot listen: port taken, no permission."""


class CertificateError(AffectEdgeError):
    """The appliance's own certificate cannot be made or read."""


class UpdateError(AffectEdgeError):
    """A release cannot be fetched, trusted, unpacked, installed or rolled back.

    The text says which release runs.
    """


class BackupError(AffectEdgeError):
    """An archive of the appliance cannot be made, or cannot be used: damaged, foreign, locked.

    Nothing was changed.
    """


class StatisticsError(AffectEdgeError):
    """A test cannot be computed from the data given.

    The text says how many participants are needed.
    """


class TrainingError(AffectEdgeError):
    """A recipe, data set or checkpoint cannot be used for training."""
