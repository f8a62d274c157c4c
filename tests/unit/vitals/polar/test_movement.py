"""A strap says whether its wearer moves, and goes on without where it cannot."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable

import pytest

from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals.polar import pmd
from edge_agent.vitals.polar.movement import Movement
from edge_agent.vitals.polar.service import PolarService
from tests.support.clocks.simulated_time import START, in_simulated_time, simulated_now
from tests.support.vitals.near_sensors import POLAR_OFFERS
from tests.support.vitals.straps import steps

OFFERED = POLAR_OFFERS.hex()
STARTED = "f0 02 02 00 00"
NO_SERVICE = VitalsError(VitalsReason.UNSUPPORTED, "It has none.", "")


@pytest.mark.parametrize(
    ("swing_mg", "strong"),
    [(0, False), (20, False), (130, False), (160, True), (600, True)],
)
def test_movement_as_in_walking_is_strong_and_breath_is_not(swing_mg: float, strong: bool) -> None:
    movement = Movement()
    for second, payload in enumerate([steps(swing_mg)] * 6):
        movement.take(payload, START.shifted(second))
    # The mean distance of a sine from its mean is 2 / pi of its height.
    assert movement.deviation_mg == pytest.approx(swing_mg * 2 / math.pi, rel=0.05, abs=1)
    assert movement.is_strong(START.shifted(6)) is strong


def test_what_was_is_forgotten_after_five_seconds_and_after_a_silence() -> None:
    movement = Movement()
    for second, payload in enumerate([steps(600)] * 5):
        movement.take(payload, START.shifted(second))
    assert movement.is_strong(START.shifted(5))
    assert not movement.is_strong(START.shifted(11))
    movement.take(steps(0), START.shifted(30))
    assert not movement.is_strong(START.shifted(30)), "too little is known yet"
    for second in range(31, 36):
        movement.take(steps(0), START.shifted(second))
    assert movement.deviation_mg == 0


def test_a_damaged_frame_is_said_once_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    movement = Movement()
    service = PolarService("strap", [movement])
    for _ in range(3):
        service.take(b"\x02" * 11, START)
    assert len(caplog.records) == 1
    assert movement.deviation_mg == 0


class Polar:
    """A strap's control point that answers as scripted; a ``Link``."""

    def __init__(self, *answers: str, lacking: bool = False) -> None:
        self.answers = list(answers)
        self.lacking = lacking
        self.written: list[str] = []
        self.listeners: dict[str, Callable[[bytes], None]] = {}

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        if self.lacking:
            raise NO_SERVICE
        self.listeners[characteristic] = on_value

    async def read(self, characteristic: str) -> bytes:
        raise NO_SERVICE

    async def write(self, characteristic: str, value: bytes) -> None:
        assert characteristic == pmd.CONTROL_POINT
        self.written.append(value.hex(" "))
        if self.answers:
            self.listeners[characteristic](bytes.fromhex(self.answers.pop(0)))

    async def closed_within(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False


def started(polar: Polar) -> Movement:
    movement = Movement()
    in_simulated_time(PolarService("strap", [movement]).start(polar, simulated_now))
    return movement


def test_a_strap_is_asked_what_it_offers_and_started() -> None:
    polar = Polar(OFFERED, STARTED)
    movement = Movement()
    in_simulated_time(PolarService("strap", [movement]).start(polar, lambda: START))
    assert polar.written == ["01 02", "02 02 00 01 19 00 01 01 10 00 02 01 08 00"]
    for payload in [steps(600)] * 6:
        polar.listeners[pmd.DATA](payload)
    assert movement.deviation_mg > 300


@pytest.mark.parametrize(
    ("polar", "said"),
    [
        (Polar(lacking=True), "has no accelerometer that is known"),
        (Polar(), "does not answer"),
        (Polar("f0 01 02 0d"), r"refuses \(charging\)"),
        (Polar(OFFERED, "f0 02 02 08"), r"refuses \(invalid rate\)"),
    ],
)
def test_a_strap_that_cannot_tell_goes_on_without(
    polar: Polar, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        movement = started(polar)
    assert len(caplog.records) == 1
    assert re.search(said, caplog.text)
    assert not movement.is_strong(START)


def test_a_measurement_that_runs_already_is_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    started(Polar(OFFERED, "f0 02 02 06"))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_connection_that_fails_is_an_error_of_the_connection() -> None:
    class Gone(Polar):
        async def write(self, characteristic: str, value: bytes) -> None:
            raise VitalsError(VitalsReason.CONNECTION_FAILED, "Gone.", "")

    with pytest.raises(VitalsError, match="Gone"):
        started(Gone())
