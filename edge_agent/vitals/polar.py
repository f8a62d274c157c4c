"""Polar's measurement protocol: electrocardiogram of a strap, beats with their error of an armband,
acceleration of both.

Source: Polar Electro, *Polar Measurement Data Specification* (the service, requests and answers of
its control point, frames of electrocardiogram, acceleration and pulse-to-pulse intervals) and
*Time System Explained*, in the folder ``technical_documentation`` of Polar's BLE SDK. All numbers
are little-endian.

A frame has the type of its measurement (1 octet), the time of its last sample (8, ns since 2000 by
the sensor's clock, 0 where it has none), its form (1; the highest bit: compressed), then samples.

A compressed frame has a whole sample, then blocks: the bits of a difference (1 octet), the number
of samples (1), and of each sample the difference of each axis from the sample before, lowest bit
first; the last octet of a block is filled up. Settings follow each other: what is set (1 octet),
the number of values (1), the values.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag

SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8"
CONTROL_POINT = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"
DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8"
ERROR_OF_MOVEMENT_S = 0.030
"""Expected error above which Polar names movement or a loose sensor as the cause."""
SETTINGS, START, STOP = 0x01, 0x02, 0x03
ANSWER = 0xF0
_FEATURES = 0x0F
ALREADY_RUNNING = 6
_REFUSALS = {
    1: "the request is not known",
    2: "the measurement is not known",
    3: "not supported",
    4: "wrong length",
    5: "wrong setting",
    6: "it runs already",
    7: "wrong resolution",
    8: "wrong rate",
    9: "wrong range",
    10: "the packets of the connection are too small",
    11: "wrong number of channels",
    12: "not in this state",
    13: "it is being charged",
}
_ECG_SETTINGS = bytes.fromhex("00 01 82 00 01 01 0e 00")  # 130 Hz, 14 bits
_NS = 1e-9
_MS_IN_S = 1000
_HEAD = 10
_ECG_OCTETS = 3
_PPI_OCTETS = 6
_ANSWER_HEAD = 5
_AXES = 3
_COMPRESSED = 0x80
_MG_IN_G = 1000.0
_MOST_BITS = 32
_SETTING_OCTETS: Mapping[int, int] = {0: 2, 1: 2, 2: 2, 4: 1, 5: 4}
"""Octets of a value of each ``Setting``."""
_LEAST: Mapping[int, int] = {0: 25, 2: 4}
"""Least rate (Hz) and range (g) that is asked of an accelerometer. Running reaches some 3 g at the
chest."""
_BLOCKER, _CONTACT, _CONTACT_KNOWN = 0b1, 0b10, 0b100


class PolarMeasurement(IntEnum):
    """A measurement of the protocol, by the number that it has there."""

    ECG = 0
    ACC = 2
    PPI = 3

    @property
    def is_of_beats(self) -> bool:
        """Tell whether it has beats."""
        return self is not PolarMeasurement.ACC


class Setting(IntEnum):
    """A setting of a stream, by the number that it has in the protocol."""

    RATE = 0
    BITS = 1
    RANGE = 2
    CHANNELS = 4
    FACTOR = 5


@dataclass(frozen=True, slots=True)
class PolarFrame:
    """One notification.

    Attributes:
        stream: what was measured.
        time_s: time of the last sample by the sensor's clock, in seconds since 2000; ``None``: it
            has none.
        samples: octets of the samples.
        form: of the samples; 0 but of an acceleration.
    """

    stream: PolarMeasurement
    time_s: float | None
    samples: bytes
    form: int = 0


@dataclass(frozen=True, slots=True)
class PulseInterval:
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


def streams_of(features: bytes) -> frozenset[PolarMeasurement]:
    """Return the streams that a sensor has, of those that we know; its control point tells it.

    Raises:
        GattError: it is no answer to that question.
    """
    if len(features) < 2 or features[0] != _FEATURES:
        raise _problem(f"{features.hex(' ') or 'nothing'} names no features")
    return frozenset(one for one in PolarMeasurement if features[1] >> one & 1)


def start_request(stream: PolarMeasurement) -> bytes:
    """Return the request that starts a stream of beats."""
    return bytes([START, stream]) + (_ECG_SETTINGS if stream is PolarMeasurement.ECG else b"")


def settings_of(answer: bytes) -> dict[Setting, tuple[int, ...]]:
    """Return the values of each setting in an answer, up to one that nobody knows.

    Raises:
        GattError: it ends too early.
    """
    settings: dict[Setting, tuple[int, ...]] = {}
    left = answer[_ANSWER_HEAD:]
    while len(left) > 1 and (octets := _SETTING_OCTETS.get(left[0])) is not None:
        end = 2 + octets * left[1]
        if not 2 < end <= len(left):
            raise _problem(f"sends settings that cannot be read ({answer.hex(' ')})")
        values = (left[at : at + octets] for at in range(2, end, octets))
        settings[Setting(left[0])] = tuple(int.from_bytes(one, "little") for one in values)
        left = left[end:]
    return settings


def chosen_settings(offered: Mapping[Setting, Sequence[int]]) -> dict[Setting, int]:
    """Return the settings for an accelerometer: the least rate from 25 Hz and range from 4 g, else
    the largest, and the largest of all others.

    Raises:
        GattError: no rate is offered.
    """
    if not any(offered.get(Setting.RATE, ())):
        raise _problem("names no rate of its acceleration")
    return {
        setting: min((one for one in values if one >= _LEAST[setting]), default=max(values))
        if setting in _LEAST
        else max(values)
        for setting, values in offered.items()
        if values and setting is not Setting.FACTOR
    }


def acceleration_request(chosen: Mapping[Setting, int]) -> bytes:
    """Return the request that starts the acceleration."""
    listed = (
        bytes([setting, 1]) + value.to_bytes(_SETTING_OCTETS[setting], "little")
        for setting, value in sorted(chosen.items())
    )
    return bytes([START, PolarMeasurement.ACC]) + b"".join(listed)


def factor_of(answer: bytes) -> float | None:
    """Return by what the samples of a started stream are multiplied; ``None``: it is not stated.

    Raises:
        GattError: the answer cannot be read.
    """
    values = settings_of(answer).get(Setting.FACTOR)
    if values is None:
        return None
    factor: float = struct.unpack("<f", values[0].to_bytes(4, "little"))[0]
    if not 0 < factor < _MG_IN_G:
        raise _problem(f"states the factor {factor:g}")
    return factor


def refusal_of(answer: bytes) -> str | None:
    """Return why a sensor did not start a stream; ``None``: it did, or it runs already.

    Raises:
        GattError: it is no answer to such a request.
    """
    code = code_of(answer)
    return None if code in {0, ALREADY_RUNNING} else refusal_text(code)


def code_of(answer: bytes) -> int:
    """Return the code of an answer; 0 is a success.

    Raises:
        GattError: it is no answer to a request.
    """
    if len(answer) < 4 or answer[0] != ANSWER:
        raise _problem(f"{answer.hex(' ') or 'nothing'} is no answer to a request")
    return answer[3]


def success_of(answer: bytes) -> bytes:
    """Return an answer that is no refusal.

    Raises:
        GattError: it is one, or no answer at all.
    """
    if code := code_of(answer):
        raise _problem(f"refuses it ({refusal_text(code)})")
    return answer


def refusal_text(code: int) -> str:
    """Return a code with its meaning."""
    meaning = _REFUSALS.get(code)
    return f"error {code}: {meaning}" if meaning else f"error {code}"


def stream_of(answer: bytes) -> int:
    """Return the number of the measurement that an answer is about."""
    return answer[2]


def decode_frame(payload: bytes) -> PolarFrame | None:
    """Return the head of a frame; ``None``: of a measurement that nobody asked for.

    Raises:
        GattError: it is too short, or its samples have a form that the protocol does not describe.
    """
    if len(payload) < _HEAD:
        raise _problem(f"is too short: {len(payload)} octets, a head has {_HEAD}")
    if payload[0] not in set(PolarMeasurement):
        return None
    stream, form, samples = PolarMeasurement(payload[0]), payload[9], payload[_HEAD:]
    if stream is not PolarMeasurement.ACC:
        if form:
            raise _problem(f"has samples of the form {form:#04x}; 0 is known")
        size = _ECG_OCTETS if stream is PolarMeasurement.ECG else _PPI_OCTETS
        if len(samples) % size:
            raise _problem(f"has {len(samples)} octets of samples, no multiple of {size}")
    time_ns = int.from_bytes(payload[1:9], "little")
    return PolarFrame(stream, time_ns * _NS if time_ns else None, samples, form)


def decode_ecg(frame: PolarFrame) -> tuple[int, ...]:
    """Return the samples of an electrocardiogram, µV."""
    octets = frame.samples
    return tuple(
        int.from_bytes(octets[at : at + _ECG_OCTETS], "little", signed=True)
        for at in range(0, len(octets), _ECG_OCTETS)
    )


def decode_ppi(frame: PolarFrame) -> tuple[PulseInterval, ...]:
    """Return the intervals of a frame, oldest first; those of 0 ms are no intervals."""
    octets = frame.samples
    intervals = (
        _interval(octets[at : at + _PPI_OCTETS]) for at in range(0, len(octets), _PPI_OCTETS)
    )
    return tuple(one for one in intervals if one.seconds)


def decode_acceleration(frame: PolarFrame, factor: float | None) -> list[tuple[float, ...]]:
    """Return the samples of an acceleration: that of each axis, mg.

    Args:
        frame: of an acceleration.
        factor: that the sensor has stated.

    Raises:
        GattError: its samples have a form that the protocol does not describe, or none without a
            factor, or end too early.
    """
    form = frame.form & ~_COMPRESSED
    if not frame.form & _COMPRESSED and form <= 2:
        return list(_raw(frame.samples, form + 1))
    if frame.form not in {_COMPRESSED, _COMPRESSED | 1}:
        raise _problem(f"has samples of the form {frame.form:#04x}; 0 to 2, 0x80, 0x81 are known")
    if form == 0 and factor is None:
        raise _problem("has samples of the form 0x80, and has stated no factor")
    in_mg = (factor or 1.0) * (_MG_IN_G if form == 0 else 1.0)
    return [tuple(in_mg * one for one in sample) for sample in _of_differences(frame.samples)]


def _raw(octets: bytes, size: int) -> Iterator[tuple[int, ...]]:
    """Yield samples that follow each other."""
    step = _AXES * size
    if len(octets) % step:
        raise _problem(f"has {len(octets)} octets of samples, no multiple of {step}")
    for at in range(0, len(octets), step):
        axes = (octets[at + axis * size : at + (axis + 1) * size] for axis in range(_AXES))
        yield tuple(int.from_bytes(one, "little", signed=True) for one in axes)


def _of_differences(octets: bytes) -> Iterator[tuple[int, ...]]:
    """Yield the sample that stands at the start, and those of the differences after it."""
    head, left = octets[: 2 * _AXES], octets[2 * _AXES :]
    if not octets:
        return
    sample = next(_raw(head, 2))
    yield sample
    while left:
        bits, count = left[0], left[1] if len(left) > 1 else 0
        end = 2 + (bits * count * _AXES + 7) // 8
        if len(left) < end or len(left) == 1 or bits > _MOST_BITS:
            raise _problem("has a block of differences that cannot be read")
        packed, left = int.from_bytes(left[2:end], "little"), left[end:]
        for place in range(0, count * _AXES, _AXES):
            changes = (_as_signed(packed >> (place + axis) * bits, bits) for axis in range(_AXES))
            sample = tuple(before + change for before, change in zip(sample, changes, strict=True))
            yield sample


def _as_signed(number: int, bits: int) -> int:
    """Return the lowest bits of a number as a signed one."""
    value = number & (1 << bits) - 1
    return value - (1 << bits) if bits and value >> bits - 1 else value


def _interval(sample: bytes) -> PulseInterval:
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
    return PulseInterval(seconds, error_s, contact, frozenset(flags))


def _problem(text: str) -> GattError:
    return GattError("Polar measurement data", b"", text)
