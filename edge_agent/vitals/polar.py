"""Polar's measurement protocol: electrocardiogram of a strap, beats with their error of an armband.

Source: Polar Electro, *Polar Measurement Data Specification* (the service, requests and answers of
its control point, frames of electrocardiogram, acceleration and pulse-to-pulse intervals) and
*Time System Explained*, in the folder ``technical_documentation`` of Polar's BLE SDK. All numbers
are little-endian.

A frame has the type of its measurement (1 octet), the time of its last sample (8, ns since 2000 by
the sensor's clock, 0 where it has none), its form (1; the highest bit: compressed), then samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag

SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL_POINT = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
ERROR_OF_MOVEMENT_S = 0.030
"""Expected error above which Polar names movement or a loose sensor as the cause."""
START = 0x02
ANSWER = 0xF0
_FEATURES = 0x0F
_ALREADY_RUNNING = 6
_ECG_SETTINGS = bytes.fromhex("00 01 82 00 01 01 0e 00")  # 130 Hz, 14 bits
_NS = 1e-9
_MS_IN_S = 1000
_HEAD = 10
_ECG_OCTETS = 3
_PPI_OCTETS = 6
_BLOCKER, _CONTACT, _CONTACT_KNOWN = 0b1, 0b10, 0b100


class Stream(IntEnum):
    """A measurement of the protocol, by the number that it has there."""

    ECG = 0
    PPI = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One notification.

    Attributes:
        stream: what was measured.
        time_s: time of the last sample by the sensor's clock, in seconds since 2000; ``None``: it
            has none.
        samples: octets of the samples.
    """

    stream: Stream
    time_s: float | None
    samples: bytes


@dataclass(frozen=True, slots=True)
class Interval:
    """One pulse-to-pulse interval of an armband.

    Attributes:
        seconds: between two pulses.
        error_s: expected absolute error, as the armband states it.
        contact: whether it touches the skin; ``None``: it cannot detect that.
        flags: ``contact_lost`` without contact; ``body_movement`` and ``poor_signal`` where the
            armband calls the interval invalid, ``poor_signal`` also above
            ``ERROR_OF_MOVEMENT_S``.
    """

    seconds: float
    error_s: float
    contact: bool | None
    flags: frozenset[VitalFlag]


def streams_of(features: bytes) -> frozenset[Stream]:
    """Return the streams that a sensor has, of those that we know; its control point tells it.

    Raises:
        GattError: it is no answer to that question.
    """
    if len(features) < 2 or features[0] != _FEATURES:
        raise _problem(f"{features.hex(' ') or 'nothing'} names no features")
    return frozenset(one for one in Stream if features[1] >> one & 1)


def start_request(stream: Stream) -> bytes:
    """Return the request that starts a stream."""
    return bytes([START, stream]) + (_ECG_SETTINGS if stream is Stream.ECG else b"")


def refusal_of(answer: bytes) -> str | None:
    """Return why a sensor did not start a stream; ``None``: it did, or it runs already.

    Raises:
        GattError: it is no answer to such a request.
    """
    if len(answer) < 4 or answer[0] != ANSWER:
        raise _problem(f"{answer.hex(' ') or 'nothing'} is no answer to a request")
    code = answer[3]
    return None if code in (0, _ALREADY_RUNNING) else f"error {code}"


def stream_of(answer: bytes) -> int:
    """Return the number of the measurement that an answer is about."""
    return answer[2]


def decode_frame(payload: bytes) -> Frame | None:
    """Return the head of a frame; ``None``: of a measurement that nobody asked for.

    Raises:
        GattError: it is too short, or its samples have a form that the protocol does not describe.
    """
    if len(payload) < _HEAD:
        raise _problem(f"is too short: {len(payload)} octets, a head has {_HEAD}")
    if payload[0] not in set(Stream):
        return None
    if payload[9]:
        raise _problem(f"has samples of the form {payload[9]:#04x}; 0 is known")
    stream = Stream(payload[0])
    size = _ECG_OCTETS if stream is Stream.ECG else _PPI_OCTETS
    samples = payload[_HEAD:]
    if len(samples) % size:
        raise _problem(f"has {len(samples)} octets of samples, no multiple of {size}")
    time_ns = int.from_bytes(payload[1:9], "little")
    return Frame(stream, time_ns * _NS if time_ns else None, samples)


def decode_ecg(frame: Frame) -> tuple[int, ...]:
    """Return the samples of an electrocardiogram, µV."""
    octets = frame.samples
    return tuple(
        int.from_bytes(octets[at : at + _ECG_OCTETS], "little", signed=True)
        for at in range(0, len(octets), _ECG_OCTETS)
    )


def decode_ppi(frame: Frame) -> tuple[Interval, ...]:
    """Return the intervals of a frame, oldest first; those of 0 ms are no intervals."""
    octets = frame.samples
    intervals = (
        _interval(octets[at : at + _PPI_OCTETS]) for at in range(0, len(octets), _PPI_OCTETS)
    )
    return tuple(one for one in intervals if one.seconds)


def _interval(sample: bytes) -> Interval:
    """Return the interval of a sample: heart rate (1 octet), ms (2), error in ms (2), bits (1)."""
    error_s = int.from_bytes(sample[3:5], "little") / _MS_IN_S
    bits = sample[5]
    contact = bool(bits & _CONTACT) if bits & _CONTACT_KNOWN else None
    flags: set[VitalFlag] = set()
    if bits & _BLOCKER:
        flags |= {VitalFlag.BODY_MOVEMENT, VitalFlag.POOR_SIGNAL}
    if error_s > ERROR_OF_MOVEMENT_S:
        flags.add(VitalFlag.POOR_SIGNAL)
    if contact is False:
        flags.add(VitalFlag.CONTACT_LOST)
    seconds = int.from_bytes(sample[1:3], "little") / _MS_IN_S
    return Interval(seconds, error_s, contact, frozenset(flags))


def _problem(text: str) -> GattError:
    return GattError("Polar measurement data", b"", text)
