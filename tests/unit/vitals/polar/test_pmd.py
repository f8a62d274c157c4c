"""Polar's frames and answers, by examples that Polar and owners of its sensors published."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.core.errors import GattError
from edge_agent.vitals.polar.pmd import (
    ACCELERATION,
    decode_acceleration,
    decode_answer,
    settings_command,
    start_command,
)

TIME = "00 94 35 77 00 00 00 00"
# Of the tests of Polar's SDK (AccDataTest): uncompressed, 16 bits; compressed of type 1.
PLAIN = f"02 {TIME} 01 f7 ff ff ff e7 03 f8 ff fe ff e5 03 f9 ff ff ff e5 03"
COMPRESSED = "02 65 00 00 00 00 00 00 00 81 f1 ff 14 00 f0 03 06 01 7b 0f 08"
# The first block of the same tests' compressed frame of type 0: its 2 samples of 10 bits.
FACTORED = f"02 {TIME} 80 71 07 f0 6a 9e 8d 0a 01 be 5c be 3a"
FACTOR = 2.44e-4


def test_a_plain_frame_has_samples_of_three_axes() -> None:
    assert decode_acceleration(bytes.fromhex(PLAIN)) == [
        (-9, -1, 999),
        (-8, -2, 997),
        (-7, -1, 997),
    ]


def test_a_compressed_frame_has_a_whole_sample_and_what_differs_from_it() -> None:
    assert decode_acceleration(bytes.fromhex(COMPRESSED)) == [(-15, 20, 1008), (-20, 17, 1008)]


def test_a_compressed_frame_of_whole_numbers_is_scaled_by_the_sensors_factor() -> None:
    first, second = decode_acceleration(bytes.fromhex(FACTORED), FACTOR)
    assert first == pytest.approx([0.244 * number for number in (1905, 27376, -29282)])
    assert second == pytest.approx(
        [0.244 * number for number in (1905 + 190, 27376 - 105, -29282 - 85)]
    )


def test_a_plain_frame_may_have_one_or_three_octets_for_each_axis() -> None:
    assert decode_acceleration(bytes.fromhex(f"02 {TIME} 00 ff 01 40")) == [(-1, 1, 64)]
    wide = bytes.fromhex(f"02 {TIME} 02 ff ff ff 01 00 00 00 10 00")
    assert decode_acceleration(wide) == [(-1, 1, 4096)]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ("", "too short for a frame"),
        (f"00 {TIME} 00 02 80 ff", "measurement 0, not of acceleration"),
        (f"02 {TIME} 01 f7 ff ff ff e7", "ends within a sample"),
        (f"02 {TIME} 07", "frame type 7"),
        (f"02 {TIME} 81 f1 ff 14", "ends within its first sample"),
        (f"02 {TIME} 81 f1 ff 14 00 f0 03 06", "head of a block"),
        (f"02 {TIME} 81 f1 ff 14 00 f0 03 06 02 7b 0f 08", "damaged block of 2 samples of 6 bits"),
        (f"02 {TIME} 81 f1 ff 14 00 f0 03 00 02 7b 0f 08", "damaged block of 2 samples of 0 bits"),
    ],
)
def test_a_damaged_frame_is_refused(frame: str, problem: str) -> None:
    with pytest.raises(GattError) as caught:
        decode_acceleration(bytes.fromhex(frame))
    assert problem in caught.value.problem


def test_the_answer_to_a_question_lists_what_is_offered_and_the_start_chooses() -> None:
    assert settings_command(ACCELERATION).hex() == "0102"
    # What an H10 offers: 25 to 200 Hz, 16 bits, 2 to 8 g.
    offered = decode_answer(
        bytes.fromhex(
            "f0 01 02 00 00 00 04 19 00 32 00 64 00 c8 00 01 01 10 00 02 03 02 00 04 00 08 00"
        )
    )
    assert offered is not None and offered.status == 0
    assert offered.settings == {0: (25, 50, 100, 200), 1: (16,), 2: (2, 4, 8)}
    start = start_command(ACCELERATION, offered.settings)
    assert start.hex(" ") == "02 02 00 01 19 00 01 01 10 00 02 01 08 00"


def test_an_arm_band_is_started_as_its_owner_published_it() -> None:
    offered = {0: (52,), 1: (16,), 2: (8,), 4: (3,)}
    start = start_command(ACCELERATION, offered)
    assert start.hex(" ") == "02 02 00 01 34 00 01 01 10 00 02 01 08 00 04 01 03"


def test_the_answer_to_a_start_carries_the_factor() -> None:
    answer = decode_answer(bytes.fromhex("f0 02 02 00 00 05 01 5c da 7f 39"))
    assert answer is not None
    assert answer.factor == pytest.approx(FACTOR, rel=1e-4)
    plain = decode_answer(bytes.fromhex("f0 02 02 00 00"))
    assert plain is not None and plain.factor == 1.0


@pytest.mark.parametrize(
    ("status", "problem"),
    [(0, ""), (6, "already in this state"), (13, "charging"), (99, "status 99")],
)
def test_a_refusal_says_why(status: int, problem: str) -> None:
    answer = decode_answer(bytes([0xF0, 2, 2, status]))
    assert answer is not None and answer.problem == problem


def test_what_is_no_answer_is_none_and_a_damaged_one_is_refused() -> None:
    assert decode_answer(b"") is None
    assert decode_answer(b"\x01\x02") is None
    for damaged in ("f0", "f0 01 02 00 00 00 04 19", "f0 01 02 00 00 77 01 00"):
        if damaged == "f0":
            with pytest.raises(GattError, match="too short"):
                decode_answer(bytes.fromhex(damaged))
            continue
        with pytest.raises(GattError, match="setting"):
            decode_answer(bytes.fromhex(damaged))


@given(st.binary(max_size=240), st.booleans())
@settings(max_examples=2_000, deadline=1000)
def test_any_bytes_are_read_or_refused_by_our_error(noise: bytes, framed: bool) -> None:
    payload = bytes.fromhex(f"02 {TIME} 81 f1 ff 14 00 f0 03") + noise if framed else noise
    with suppress(GattError):
        assert all(len(sample) == 3 for sample in decode_acceleration(payload))
    with suppress(GattError):
        answer = decode_answer(b"\xf0" + noise)
        assert answer is None or answer.factor > 0
        if answer is not None:
            start_command(ACCELERATION, answer.settings)
