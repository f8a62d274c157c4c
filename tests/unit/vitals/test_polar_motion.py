"""Acceleration of Polar's protocol: literal bytes, settings, and the motion that it becomes."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.errors import GattError
from edge_agent.vitals import polar
from edge_agent.vitals.polar import PolarMeasurement
from edge_agent.vitals.polar_motion import EpochMotion, MotionMeter, deviation
from tests.support.vitals.polar_frames import (
    SETTINGS_OF_ARMBAND,
    SETTINGS_OF_H10,
    SINCE_2000_S,
    Sample,
    compressed_acceleration,
    raw_acceleration,
)

START = Instant(boot_ms=50_000, wall_ms=1_790_000_000_000)
HEAD = "02 80 b9 4f 56 21 45 52 08 "
# The same bytes are decoded to the same numbers by polar-python 1.1.1, the first also by bleakheart
# 0.2.0, as were 12,000 frames of random samples.
RAW = HEAD + "01 0c 00 f4 ff e8 03 10 00 f0 ff dc 03"
BLOCKS = HEAD + "81 0c 00 f4 ff e8 03 05 03 84 d3 1f 04 00 01 08 01 55 bf d7"
WITH_FACTOR = HEAD + "80 28 00 d8 ff 00 10 04 01 e4 0a"
FACTOR = 0.00024509287
IN_G = [(9.8037, -9.8037, 1003.9004), (10.7841, -10.2939, 1002.4299)]
OF_BLOCKS = [*((12, -12, 1000), (16, -16, 988), (15, -15, 990), (15, -15, 991)), (100, -80, 950)]
HZ = 25
FRAME = 36
"""Samples of a frame of an H10: as many as a notification of 229 octets holds."""


def samples_of(payload: str, factor: float | None = None) -> list[tuple[float, ...]]:
    frame = polar.decode_frame(bytes.fromhex(payload))
    assert frame is not None and frame.stream is PolarMeasurement.ACC
    return polar.decode_acceleration(frame, factor)


def test_acceleration_of_literal_bytes_is_decoded() -> None:
    assert samples_of(RAW) == [(12, -12, 1000), (16, -16, 988)]
    assert samples_of(BLOCKS) == OF_BLOCKS
    assert samples_of(BLOCKS, 0.5)[1] == (8, -8, 494)
    for decoded, known in zip(samples_of(WITH_FACTOR, FACTOR), IN_G, strict=True):
        assert decoded == pytest.approx(known, abs=1e-4)
    assert samples_of(HEAD + "00 01 ff 40 02 80 7f") == [(1, -1, 64), (2, -128, 127)]
    assert samples_of(HEAD + "02 01 00 00 ff ff ff 00 00 01") == [(1, -1, 65536)]
    assert samples_of(HEAD + "81") == []


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (RAW[:-3], "has 11 octets of samples, no multiple of 6"),
        (HEAD + "03", "has samples of the form 0x03; 0 to 2, 0x80, 0x81 are known"),
        (HEAD + "82", "has samples of the form 0x82; 0 to 2, 0x80, 0x81 are known"),
        (WITH_FACTOR, "has samples of the form 0x80, and has stated no factor"),
        (HEAD + "81 0c 00 f4", "has 3 octets of samples, no multiple of 6"),
        (BLOCKS[:-3], "has a block of differences that cannot be read"),
        (BLOCKS + " 08", "has a block of differences that cannot be read"),
        (BLOCKS + " 21 00", "has a block of differences that cannot be read"),
    ],
)
def test_acceleration_against_the_protocol_is_refused(payload: str, problem: str) -> None:
    with pytest.raises(GattError) as refused:
        samples_of(payload)
    assert refused.value.problem == problem


@given(st.binary(max_size=260), st.sampled_from([0, 1, 2, 0x80, 0x81]))
def test_any_bytes_of_an_acceleration_are_decoded_or_refused(content: bytes, form: int) -> None:
    frame = polar.decode_frame(bytes.fromhex(HEAD) + bytes([form]) + content)
    assert frame is not None
    try:
        MotionMeter(HZ, 1.0).add(frame, START)
    except GattError:
        return


@given(st.binary(max_size=40))
def test_any_answer_has_settings_or_is_refused(content: bytes) -> None:
    try:
        offered = polar.settings_of(bytes.fromhex("f0 01 02 00 00") + content)
        polar.acceleration_request(polar.chosen_settings(offered))
    except GattError:
        return


@pytest.mark.parametrize(
    ("answer", "request_"),
    [
        (SETTINGS_OF_H10, "02 02 00 01 19 00 01 01 10 00 02 01 04 00"),
        (SETTINGS_OF_ARMBAND, "02 02 00 01 34 00 01 01 10 00 02 01 08 00 04 01 03"),
        # No rate of 25 Hz, no range of 4 g; a setting that nobody knows; an octet too many.
        (
            bytes.fromhex("f0 01 02 00 00 00 02 0a 00 14 00 02 01 02 00 09 01 00"),
            "02 02 00 01 14 00 02 01 02 00",
        ),
        (bytes.fromhex("f0 01 02 00 00 00 01 19 00 01"), "02 02 00 01 19 00"),
    ],
)
def test_settings_are_the_least_that_do_of_those_offered(answer: bytes, request_: str) -> None:
    chosen = polar.chosen_settings(polar.settings_of(answer))
    assert polar.acceleration_request(chosen).hex(" ") == request_


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("f0 01 02 00 00", "names no rate of its acceleration"),
        ("f0 01 02 00 00 00 01 00 00", "names no rate of its acceleration"),
        ("f0 01 02 00 00 00 00", "sends settings that cannot be read (f0 01 02 00 00 00 00)"),
        ("f0 01 02 00 00 00 02 19 00", "sends settings that cannot be read"),
    ],
)
def test_settings_that_cannot_be_read_are_refused(answer: str, problem: str) -> None:
    with pytest.raises(GattError) as refused:
        polar.chosen_settings(polar.settings_of(bytes.fromhex(answer)))
    assert refused.value.problem.startswith(problem)


def test_factor_of_a_started_stream_is_read() -> None:
    started = bytes.fromhex("f0 02 02 00 00 ")
    assert polar.factor_of(started) is None
    assert polar.factor_of(started + b"\x01") is None
    assert polar.factor_of(started + bytes.fromhex("05 01 cf 7f 80 39")) == pytest.approx(FACTOR)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(GattError, match="states the factor"):
            polar.factor_of(started + b"\x05\x01" + struct.pack("<f", wrong))


def test_refusal_is_named() -> None:
    with pytest.raises(GattError) as refused:
        polar.success_of(bytes.fromhex("f0 02 02 0c 00"))
    assert refused.value.problem == "refuses it (error 12: not in this state)"
    assert polar.refusal_text(77) == "error 77"


def test_deviation_is_the_mean_distance_from_the_mean() -> None:
    # (900, 1000, 1100, 1400) have the mean 1100 and the distances 200, 100, 0, 300.
    assert deviation([900.0, 1000.0, 1100.0, 1400.0]) == 150.0
    assert deviation([1000.0] * 7) == 0.0


def swinging(seconds: float, top_mg: float, hz: int = HZ, frequency: float = 2.0) -> list[Sample]:
    """Acceleration of a body that swings up and down."""
    waves = (math.sin(2 * math.pi * frequency * place / hz) for place in range(round(seconds * hz)))
    return [(0, 0, 1000 + round(top_mg * wave)) for wave in waves]


def measured(samples: list[Sample], lost: frozenset[int] = frozenset()) -> list[EpochMotion]:
    """Return what a meter makes of the frames of an H10, some of which are lost."""
    meter = MotionMeter(HZ, None)
    found: list[EpochMotion] = []
    for number, first in enumerate(range(0, len(samples) - FRAME + 1, FRAME)):
        ended_s = (first + FRAME) / HZ
        payload = raw_acceleration(samples[first : first + FRAME], SINCE_2000_S + ended_s)
        frame = polar.decode_frame(payload)
        assert frame is not None
        if number not in lost:
            found += meter.add(frame, START.shift(ended_s + 0.1))
    return found


def test_motion_is_that_of_each_five_seconds_at_their_end() -> None:
    found = measured(swinging(31, 300.0))
    ends = [one.ended.seconds_since(START) for one in found]
    assert ends == pytest.approx([5.1, 10.1, 15.1, 20.1, 25.1, 30.1], abs=0.002)
    # The mean of |sin| is 2/pi.
    assert [one.deviation_mg for one in found] == pytest.approx([300 * 2 / math.pi] * 6, rel=0.02)


def test_motion_does_not_depend_on_the_position_of_the_sensor() -> None:
    turned = [(round(0.6 * up), round(-0.8 * up), 0) for _, _, up in swinging(10, 100.0)]
    (lying,), (upright,) = measured(turned), measured(swinging(10, 100.0))
    assert lying.deviation_mg == pytest.approx(upright.deviation_mg, rel=0.02)
    assert measured([(0, 0, 1000)] * 10 * HZ)[0].deviation_mg == 0.0


def test_no_motion_reaches_over_a_lost_frame() -> None:
    # A frame is of 1.44 s; the third is lost, and five seconds begin anew at its end.
    found = measured(swinging(15, 300.0), lost=frozenset({2}))
    ends = [one.ended.seconds_since(START) for one in found]
    assert ends == pytest.approx([3 * 1.44 + 5.1, 3 * 1.44 + 10.1], abs=0.002)


def test_motion_of_an_armband_and_without_its_clock_is_the_same() -> None:
    samples = swinging(11, 200.0, hz=52)
    for clock in (SINCE_2000_S, 0.0):
        found: list[EpochMotion] = []
        meter = MotionMeter(52.0, 1.0)
        for first in range(0, len(samples), 26):
            last_s = (first + 26) / 52
            payload = compressed_acceleration(
                samples[first : first + 26], clock + last_s if clock else 0.0
            )
            frame = polar.decode_frame(payload)
            assert frame is not None
            found += meter.add(frame, START.shift(last_s))
        ends = [one.ended.seconds_since(START) for one in found]
        assert ends == pytest.approx([5.0, 10.0], abs=0.002)
        assert found[0].deviation_mg == pytest.approx(200 * 2 / math.pi, rel=0.02)


def test_clock_of_an_accelerometer_that_is_set_back_ends_nothing() -> None:
    meter = MotionMeter(HZ, None)
    still = [(0, 0, 1000)] * 5 * HZ
    found: list[EpochMotion] = []
    for last_s in (SINCE_2000_S, 5.0, 10.0):
        frame = polar.decode_frame(raw_acceleration(still, last_s))
        assert frame is not None
        found += meter.add(frame, START.shift(30))
    assert len(found) == 3
    assert {one.ended.seconds_since(START) for one in found} == {30.0}
