"""Polar's Measurement Data service (PMD): bytes in, values out, and the commands that start it.

Source: Polar, *Polar Measurement Data Specification for 3rd Party*, and the examples in the tests
of its SDK. All numbers are little-endian. A command and its answer go over the control point, the
samples over the data characteristic in frames: a byte for what was measured, eight for the time of
the last sample, one for the frame's type, and the samples. A compressed frame (top bit of the type)
has one whole sample, then blocks of differences: their width in bits, how many samples, the bits.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from edge_agent.core.errors import GattError

SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL_POINT = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"

ECG = 0
ACCELERATION = 2
GET_SETTINGS = 1
START = 2
_NAME = "Polar Measurement Data (FB005C82)"
_ANSWER = 0xF0
_RATE, _RESOLUTION, _RANGE, _RANGE_MILLI, _CHANNELS, _FACTOR = range(6)
_OCTETS = {_RATE: 2, _RESOLUTION: 2, _RANGE: 2, _RANGE_MILLI: 4, _CHANNELS: 1, _FACTOR: 4}
_HEAD = 10
_COMPRESSED = 0x80
_AXES = 3
_REFERENCE_OCTETS = 2
_ECG_OCTETS = 3
_WIDEST_BITS = 32
_ERRORS = (
    "",
    "invalid command",
    "invalid measurement",
    "not supported",
    "invalid length",
    "invalid setting",
    "already in this state",
    "invalid resolution",
    "invalid rate",
    "invalid range",
    "invalid MTU",
    "invalid number of channels",
    "invalid state",
    "charging",
)
ALREADY_STARTED = 6

Sample = tuple[float, float, float]
"""Acceleration along the three axes, thousandths of g."""


class Answer(NamedTuple):
    """What the control point answers to a command.

    Attributes:
        command: to which.
        measurement: of what.
        status: 0 where it was obeyed.
        settings: what the sensor offers, or has chosen; setting → values.
    """

    command: int
    measurement: int
    status: int
    settings: Mapping[int, tuple[int, ...]]

    @property
    def problem(self) -> str:
        """What the status says; empty where it was obeyed."""
        if self.status < len(_ERRORS):
            return _ERRORS[self.status]
        return f"status {self.status}"

    @property
    def factor(self) -> float:
        """What whole numbers of compressed frames are multiplied by; 1 where nothing is said."""
        (raw,) = self.settings.get(_FACTOR, (0,))[:1] or (0,)
        (factor,) = struct.unpack("<f", struct.pack("<I", raw))
        return float(factor) if math.isfinite(factor) and factor > 0 else 1.0


def settings_command(measurement: int) -> bytes:
    """Return the command that asks what a sensor offers of a measurement."""
    return bytes([GET_SETTINGS, measurement])


def start_command(measurement: int, offered: Mapping[int, tuple[int, ...]]) -> bytes:
    """Return the command that starts a measurement: the lowest rate of those offered, the widest
    range, and all channels.

    Example:
        >>> start_command(ACCELERATION, {0: (200, 25), 1: (16,), 2: (8, 2)}).hex(" ")
        '02 02 00 01 19 00 01 01 10 00 02 01 08 00'
    """
    chosen = bytes([START, measurement])
    for setting, octets in _OCTETS.items():
        values = offered.get(setting)
        if values and setting != _FACTOR:
            value = min(values) if setting == _RATE else max(values)
            chosen += bytes([setting, 1]) + value.to_bytes(octets, "little")
    return chosen


def decode_answer(payload: bytes) -> Answer | None:
    """Decode what the control point indicates; ``None``: it is no answer to a command.

    Raises:
        GattError: it is too short, or names a setting that is not known.
    """
    if payload[:1] != bytes([_ANSWER]):
        return None
    if len(payload) < 4:
        raise _error(payload, "the answer is too short")
    settings: dict[int, tuple[int, ...]] = {}
    place = 5
    while payload[3] == 0 and place + 1 < len(payload):
        setting, count = payload[place], payload[place + 1]
        octets = _OCTETS.get(setting)
        end = place + 2 + count * (octets or 0)
        if octets is None or end > len(payload):
            raise _error(payload, f"the answer's setting {setting} is not known or too short")
        settings[setting] = tuple(
            int.from_bytes(payload[at : at + octets], "little")
            for at in range(place + 2, end, octets)
        )
        place = end
    return Answer(payload[1], payload[2], payload[3], settings)


def decode_acceleration(payload: bytes, factor: float = 1.0) -> list[Sample]:
    """Decode a frame of the accelerometer.

    Args:
        payload: the frame.
        factor: ``Answer.factor`` of the answer to the start, in g, for compressed frames of type 0.

    Raises:
        GattError: it is too short, of another measurement or an unknown type, or ends within a
            sample.
    """
    kind, body = _kind_and_body(payload, ACCELERATION, "acceleration")
    if kind in {0, 1, 2}:
        return _plain(payload, body, kind + 1)
    if kind == _COMPRESSED:
        scale = factor * 1000 if factor != 1.0 else 1.0
        return [(x * scale, y * scale, z * scale) for x, y, z in _compressed(payload, body)]
    if kind == _COMPRESSED + 1:
        return list(_compressed(payload, body))
    raise _error(payload, f"has the frame type {kind}, which is not known")


def _kind_and_body(payload: bytes, measurement: int, name: str) -> tuple[int, bytes]:
    """Return the type of a frame of a measurement, and what comes behind its head."""
    if len(payload) < _HEAD:
        raise _error(payload, "is too short for a frame")
    if payload[0] != measurement:
        raise _error(payload, f"is a frame of measurement {payload[0]}, not of {name}")
    return payload[_HEAD - 1], payload[_HEAD:]


def decode_ecg(payload: bytes) -> tuple[int, tuple[int, ...]]:
    """Decode a frame of the ECG.

    Returns:
        When its last sample was, ns by the strap's clock, and the samples, microvolts.

    Raises:
        GattError: it is too short, of another measurement or an unknown type, or ends within a
            sample.
    """
    kind, body = _kind_and_body(payload, ECG, "an ECG")
    if kind:
        raise _error(payload, f"has the frame type {kind}, which is not known")
    if len(body) % _ECG_OCTETS:
        raise _error(payload, "ends within a sample")
    samples = tuple(
        int.from_bytes(body[at : at + _ECG_OCTETS], "little", signed=True)
        for at in range(0, len(body), _ECG_OCTETS)
    )
    return int.from_bytes(payload[1 : _HEAD - 1], "little"), samples


def _plain(payload: bytes, body: bytes, octets: int) -> list[Sample]:
    if len(body) % (_AXES * octets):
        raise _error(payload, "ends within a sample")
    numbers = [
        int.from_bytes(body[at : at + octets], "little", signed=True)
        for at in range(0, len(body), octets)
    ]
    return list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))


def _compressed(payload: bytes, body: bytes) -> Iterator[Sample]:
    """Yield the samples of a compressed frame: a whole one, then those that differ from it."""
    place = _AXES * _REFERENCE_OCTETS
    if len(body) < place:
        raise _error(payload, "ends within its first sample")
    x, y, z = struct.unpack("<hhh", body[:place])
    yield x, y, z
    while place < len(body):
        if place + 2 > len(body):
            raise _error(payload, "ends within the head of a block")
        bits, samples = body[place], body[place + 1]
        octets = -(-bits * samples * _AXES // 8)
        block = body[place + 2 : place + 2 + octets]
        if not 0 < bits <= _WIDEST_BITS or len(block) < octets:
            raise _error(payload, f"has a damaged block of {samples} samples of {bits} bits")
        for dx, dy, dz in _differences(block, bits, samples):
            x, y, z = x + dx, y + dy, z + dz
            yield x, y, z
        place += 2 + octets


def _differences(block: bytes, bits: int, samples: int) -> Iterator[tuple[int, int, int]]:
    """Yield signed numbers of so many bits each, the lowest bit first, three at a time."""
    whole = int.from_bytes(block, "little")
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    for number in range(samples):
        start = number * _AXES * bits
        x, y, z = (((whole >> (start + axis * bits) & mask) ^ sign) - sign for axis in range(_AXES))
        yield x, y, z


def _error(payload: bytes, problem: str) -> GattError:
    return GattError(_NAME, payload, problem)
