"""Polar's measurement protocol: literal bytes, what is refused, and which beats are recorded."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.core.clock import Instant
from edge_agent.core.errors import GattError
from edge_agent.core.readings import VitalFlag
from edge_agent.vitals import polar
from edge_agent.vitals.ecg import BeatDetector
from edge_agent.vitals.polar import PolarMeasurement
from edge_agent.vitals.polar_beats import BeatChoice, BeatInterval, SensorClock
from tests.support.vitals.polar_frames import (
    ECG_HZ,
    FRAME,
    SINCE_2000_S,
    ecg_frame,
    ecg_of,
    frames_of,
    ppi_frame,
)

START = Instant(boot_ms=50_000, wall_ms=1_790_000_000_000)
# Two samples of 1 and -2 µV, the last one 599617709.878 s after the year 2000 began.
ECG = bytes.fromhex("00 00 00 4e 56 21 45 52 08 00 01 00 00 fe ff ff")
# 825 ms with an error of 10 ms and contact; 1043 ms, 31 ms, blocked, no contact; no interval.
PPI = bytes.fromhex("03 00 00 00 00 00 00 00 00 00 48 39 03 0a 00 06 39 13 04 1f 00 05") + bytes(6)


def rhythm(seed: int, seconds: float) -> list[float]:
    """Times of beats that breathe, from half a second on."""
    source = random.Random(seed)
    gaps = (source.gauss(0.85, 0.04) for _ in range(round(seconds / 0.85)))
    return [at for at in accumulate(gaps, initial=0.5) if at < seconds - 0.5]


def test_ecg_of_literal_bytes_is_decoded() -> None:
    frame = polar.decode_frame(ECG)
    assert frame is not None
    assert frame.stream is PolarMeasurement.ECG
    assert frame.time_s == pytest.approx(599_617_709.878, abs=0.001)
    assert polar.decode_ecg(frame) == (1, -2)


def test_intervals_of_literal_bytes_have_error_and_flags() -> None:
    frame = polar.decode_frame(PPI)
    assert frame is not None
    assert frame.time_s is None
    good, bad = polar.decode_ppi(frame)
    assert (good.seconds, good.error_s, good.contact) == pytest.approx((0.825, 0.01, True))
    assert not good.flags
    assert (bad.seconds, bad.error_s, bad.contact) == pytest.approx((1.043, 0.031, False))
    assert bad.flags == {VitalFlag.BODY_MOVEMENT, VitalFlag.POOR_SIGNAL, VitalFlag.CONTACT_LOST}


def test_requests_and_answers_are_those_of_the_protocol() -> None:
    assert polar.streams_of(bytes.fromhex("0f 05 00")) == {
        PolarMeasurement.ECG,
        PolarMeasurement.ACC,
    }
    assert polar.streams_of(bytes.fromhex("0f 0e 00")) == {
        PolarMeasurement.ACC,
        PolarMeasurement.PPI,
    }
    assert polar.start_request(PolarMeasurement.ECG).hex(" ") == "02 00 00 01 82 00 01 01 0e 00"
    assert polar.start_request(PolarMeasurement.PPI).hex(" ") == "02 03"
    assert polar.refusal_of(bytes.fromhex("f0 02 00 00 00")) is None
    assert polar.refusal_of(bytes.fromhex("f0 02 03 03 00")) == "error 3: not supported"


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "is too short: 0 octets, a head has 10"),
        (PPI[:-1], "has 17 octets of samples, no multiple of 6"),
        (ECG[:9] + b"\x80" + ECG[10:], "has samples of the form 0x80; 0 is known"),
    ],
)
def test_frame_against_the_protocol_is_refused(payload: bytes, problem: str) -> None:
    with pytest.raises(GattError) as refused:
        polar.decode_frame(payload)
    assert refused.value.problem == problem


@given(st.binary(max_size=260))
def test_any_bytes_are_decoded_or_refused(payload: bytes) -> None:
    choice = BeatChoice()
    try:
        frame = polar.decode_frame(payload)
    except GattError:
        return
    if frame is not None and frame.stream.is_of_beats:
        choice.of_frame(frame, START)


def test_beats_do_not_depend_on_the_size_of_the_pieces() -> None:
    beats = rhythm(1, 60)
    signal = ecg_of(beats, 60)
    times = [place / ECG_HZ for place in range(len(signal))]
    found: list[list[float]] = []
    for size in (20, FRAME):
        detector = BeatDetector(float(ECG_HZ))
        pieces = range(0, len(signal), size)
        decided = [
            beat
            for first in pieces
            for beat in detector.add(signal[first : first + size], times[first : first + size])
        ]
        assert all(beat.good for beat in decided)
        found.append([beat.at_s for beat in decided])
    known = [at for at in beats if at < 58.5]
    assert len(found[1]) >= len(known)
    for times_found in found:
        near = times_found[: len(known)]
        # A wave of the heart is symmetric here, so its top is the beat.
        assert [abs(a - b) < 0.002 for a, b in zip(near, known, strict=True)] == [True] * len(known)


@pytest.mark.parametrize("rate", [40, 150, 199, 205, 212, 226])
def test_beats_of_a_fast_heart_are_each_found(rate: int) -> None:
    source = random.Random(rate)
    gaps = (60 / rate + source.gauss(0, 0.004) for _ in range(rate))
    beats = [at for at in accumulate(gaps, initial=0.5) if at < 29.5]
    signal = ecg_of(beats, 30)
    detector = BeatDetector(float(ECG_HZ))
    found = [
        beat
        for first in range(0, len(signal), FRAME)
        for beat in detector.add(
            signal[first : first + FRAME],
            [place / ECG_HZ for place in range(len(signal))[first : first + FRAME]],
        )
    ]
    assert [one.at_s for one in found if 4.9 < one.at_s < 25.1 and one.good] == pytest.approx(
        [at for at in beats if 4.9 < at < 25.1], abs=0.004
    )


def test_beats_of_an_inverted_electrode_are_found() -> None:
    beats = rhythm(2, 30)
    signal = [-one for one in ecg_of(beats, 30)]
    times = [place / ECG_HZ for place in range(len(signal))]
    found = BeatDetector(float(ECG_HZ)).add(signal[: 8 * ECG_HZ], times[: 8 * ECG_HZ])
    assert [beat.at_s for beat in found] == pytest.approx(beats[: len(found)], abs=0.003)


def test_no_beat_is_good_in_noise_without_a_heart() -> None:
    source = random.Random(3)
    detector = BeatDetector(float(ECG_HZ))
    for second in range(60):
        samples = [round(source.gauss(0, 4)) for _ in range(ECG_HZ)]
        times = [second + place / ECG_HZ for place in range(ECG_HZ)]
        assert not any(beat.good for beat in detector.add(samples, times))


class Strap:
    """What is recorded of a strap whose electrocardiogram and service both send."""

    def __init__(self) -> None:
        self.choice = BeatChoice()
        self.recorded: list[BeatInterval] = []

    def run(
        self, beats: list[float], seconds: int, *, lost: range = range(0), own: float = 1.0
    ) -> None:
        """Send both; the frames of some seconds are lost, or the service counts so many times."""
        frames = list(frames_of(ecg_of(beats, seconds)))
        sent = [(FRAME * (number + 1) / ECG_HZ, frame) for number, frame in enumerate(frames)]
        for end_s, frame in sent:
            at = START.shift(end_s + 0.05)
            pairs = [(b, b - a) for a, b in pairwise(beats) if end_s - FRAME / ECG_HZ <= b < end_s]
            given_ = [
                BeatInterval(START.shift(b - length * later), length / own)
                for b, length in pairs
                for later in ((0.5, 0.0) if own == 2 else (0.0,))
            ]
            self.recorded += self.choice.of_service(given_, at)
            decoded = polar.decode_frame(frame)
            if decoded is not None and int(end_s) not in lost:
                self.recorded += self.choice.of_frame(decoded, at)
        self.recorded += self.choice.rest()


def test_each_beat_of_a_strap_is_recorded_once() -> None:
    beats = rhythm(4, 90)
    strap = Strap()
    strap.run(beats, 90, lost=range(30, 50))
    ends = [one.ended.boot_ms - START.boot_ms for one in strap.recorded]
    assert ends == sorted(ends)
    lengths = [b - a for a, b in pairwise(beats) if b < 88]
    recorded = [one.seconds for one in strap.recorded]
    assert recorded[: len(lengths)] == pytest.approx(lengths, abs=0.003)
    from_service = [
        end / 1000
        for end, one in zip(ends, strap.recorded, strict=True)
        if one.error_s is None and 10 < end / 1000 < 85
    ]
    assert from_service
    # The first three seconds after a loss are needed to begin anew.
    assert min(from_service) > 28
    assert max(from_service) < 56


@pytest.mark.parametrize(
    ("own", "doubtful"), [(1.0, False), (1.2, False), (2.0, True), (0.5, True)]
)
def test_beats_beside_twice_the_own_rate_of_the_strap_are_in_doubt(
    own: float, doubtful: bool
) -> None:
    strap = Strap()
    strap.run(rhythm(7, 60), 60, own=own)
    found = [one for one in strap.recorded if one.error_s is not None]
    assert len(found) > 55
    assert {VitalFlag.POOR_SIGNAL in one.flags for one in found[3:]} == {doubtful}


def test_beats_of_a_strap_are_at_their_true_times() -> None:
    beats = rhythm(5, 60)
    strap = Strap()
    strap.run(beats, 60)
    exact = [one for one in strap.recorded if one.error_s is not None]
    assert len(exact) > 50
    for one in exact:
        # A frame arrives 50 ms after the end of its last sample, whose time is its beginning.
        ended_s = one.ended.seconds_since(START) - 0.05 - 1 / ECG_HZ
        assert min(abs(beat - ended_s) for beat in beats) < 0.005


def test_clock_of_a_sensor_is_placed_by_the_frame_that_was_least_late() -> None:
    clock = SensorClock()
    for second, late_s in ((0, 0.3), (1, 0.05), (2, 0.9)):
        clock.hear(SINCE_2000_S + second, START.shift(second + late_s))
    at = clock.instant(SINCE_2000_S + 2, START.shift(2.9))
    assert at.seconds_since(START) == pytest.approx(2.05, abs=0.002)


def test_intervals_of_the_service_wait_no_longer_than_they_must() -> None:
    choice = BeatChoice()
    one = BeatInterval(START, 0.8)
    assert choice.of_service([one], START.shift(1)) == []
    assert choice.of_service([], START.shift(4)) == [one]
    assert choice.rest() == []


def test_pulses_of_an_armband_end_on_arrival() -> None:
    frame = polar.decode_frame(ppi_frame([(800, 5, 6), (900, 8, 6)]))
    assert frame is not None
    recorded = BeatChoice().of_frame(frame, START)
    assert [one.ended.seconds_since(START) for one in recorded] == [-0.9, 0.0]
    assert [one.error_s for one in recorded] == [0.005, 0.008]


def test_clock_of_a_sensor_that_is_set_back_ends_nothing() -> None:
    choice = BeatChoice()
    signal = ecg_of(rhythm(6, 20), 20)
    for start_s in (SINCE_2000_S, 5.0, 1e10):
        for frame in frames_of(signal, start_s):
            decoded = polar.decode_frame(frame)
            assert decoded is not None
            for one in choice.of_frame(decoded, START.shift(30)):
                assert 0.5 < one.seconds < 1.2
    empty = polar.decode_frame(ecg_frame([], 7.0))
    assert empty is not None
    assert choice.of_frame(empty, START) == []
