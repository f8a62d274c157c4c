"""The ECG of a strap: frames in, samples at our time out."""

from __future__ import annotations

import pytest

from edge_agent.core.errors import GattError
from edge_agent.core.sensors import ECG_HZ, EcgBlock
from edge_agent.vitals.polar import pmd
from edge_agent.vitals.polar.ecg import Ecg
from edge_agent.vitals.polar.service import PolarService
from tests.support.clocks.simulated_time import START
from tests.support.vitals.straps import ecg_frame

FRAME_S = 73 / ECG_HZ


def test_a_frame_holds_microvolts_of_three_octets_and_the_time_of_its_last() -> None:
    frame = bytes.fromhex("00 15 cd 5b 07 00 00 00 00 00 02fdff feffff 000000 ffff7f 000080")
    assert pmd.decode_ecg(frame) == (123_456_789, (-766, -2, 0, 8_388_607, -8_388_608))


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        ("00 01", "too short"),
        ("02" + "00" * 9, "measurement 2, not of an ECG"),
        ("00" + "00" * 8 + "01 000000", "frame type 1"),
        ("00" + "00" * 9 + "0000", "ends within a sample"),
    ],
)
def test_a_frame_that_is_none_is_refused(frame: str, problem: str) -> None:
    with pytest.raises(GattError, match=problem):
        pmd.decode_ecg(bytes.fromhex(frame))


def test_the_start_asks_for_what_an_h10_offers() -> None:
    start = pmd.start_command(pmd.ECG, {0: (130,), 1: (14,)})
    assert start.hex(" ") == "02 00 00 01 82 00 01 01 0e 00"


def test_frames_that_come_late_keep_the_times_of_the_strap() -> None:
    blocks: list[EcgBlock] = []
    ecg = Ecg("strap", blocks.append)
    ecg.begin({0: (130,)}, 1.0)
    for number, late_s in enumerate((0.0, 0.3, 0.0, 0.9, 0.1)):
        sent_s = number * FRAME_S
        ecg.take(ecg_frame(1e9 + sent_s, [number] * 73), START.shifted(sent_s + late_s))
    for number, block in enumerate(blocks):
        assert block.microvolts == (number,) * 73
        assert block.ended.seconds_since(START) == pytest.approx(number * FRAME_S, abs=0.0011)
        assert block.period_s == pytest.approx(1 / ECG_HZ, rel=1e-4)


def test_the_period_is_that_of_the_strap_and_not_that_of_a_frame_that_was_lost() -> None:
    blocks: list[EcgBlock] = []
    ecg = Ecg("strap", blocks.append)
    for at_s in (0.0, 1.002, 3.006):  # 0.2 % slow; the third came after one that was lost
        ecg.take(ecg_frame(5 + at_s, [0] * 130), START.shifted(at_s))
    assert [block.period_s * 130 for block in blocks] == pytest.approx([1, 1.002, 1.002], rel=1e-6)


def test_a_strap_that_was_set_anew_begins_anew_and_an_empty_frame_says_nothing() -> None:
    blocks: list[EcgBlock] = []
    ecg = Ecg("strap", blocks.append)
    service = PolarService("strap", [ecg])
    service.take(ecg_frame(1e9, [1]), START)
    ecg.begin({}, 1.0)
    service.take(ecg_frame(7.0, [2]), START.shifted(60))
    service.take(ecg_frame(8.0, []), START.shifted(61))
    service.take(b"", START.shifted(61))
    assert [(block.microvolts, block.ended) for block in blocks] == [
        ((1,), START),
        ((2,), START.shifted(60)),
    ]
