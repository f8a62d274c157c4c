"""What the Raspberry Pi's firmware says about power and heat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.alerts.figures import (
    THROTTLING_GIVE_UP_SECONDS,
    THROTTLING_SECONDS,
    Throttling,
    ThrottlingProbe,
    parse_throttled,
)
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import Seconds
from tests.support.firmware import POWER_GOOD, answer_of, firmware


def test_the_firmwares_bits_are_read_as_documented() -> None:
    assert parse_throttled("throttled=0x0\n") == POWER_GOOD
    assert parse_throttled("throttled=0x50005\n") == Throttling(
        under_voltage=True,
        frequency_capped=False,
        throttled=True,
        soft_temperature_limit=False,
        under_voltage_since_start=True,
        throttled_since_start=True,
    )
    assert parse_throttled("throttled=0xa\n") == replace(
        POWER_GOOD, frequency_capped=True, soft_temperature_limit=True
    )


@pytest.mark.parametrize(
    "text", ["", 'error=1 error_msg="Command not registered"', "temp=48.3'C", "throttled="]
)
def test_an_answer_that_is_none_is_not_read_as_one(text: str) -> None:
    assert parse_throttled(text) is None


def test_the_firmware_is_asked_once_in_a_while_and_never_waited_for(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    seconds = Seconds()
    script = f"echo x >> {asked}; echo throttled=0x1"
    probe = ThrottlingProbe(firmware(tmp_path, script), seconds)
    assert probe.latest() is None
    assert answer_of(probe) == replace(POWER_GOOD, under_voltage=True)
    seconds.now += THROTTLING_SECONDS - 1
    for _ in range(5):
        probe.latest()
    assert asked.read_text(encoding="ascii") == "x\n"
    seconds.now += 1
    probe.latest()
    wait_until(lambda: asked.read_text(encoding="ascii") == "x\nx\n", "the next question", 60)
    probe.close()


def test_a_firmware_that_hangs_is_given_up(tmp_path: Path) -> None:
    seconds = Seconds()
    marker = tmp_path / "again"
    probe = ThrottlingProbe(
        firmware(
            tmp_path,
            f"[ -e {marker} ] && {{ echo throttled=0x0; exit; }}; touch {marker}; exec sleep 600",
        ),
        seconds,
    )
    assert probe.latest() is None
    wait_until(marker.exists, "the first question", 60)
    seconds.now += THROTTLING_GIVE_UP_SECONDS + 0.1
    assert probe.latest() is None
    seconds.now += THROTTLING_SECONDS
    assert answer_of(probe) == POWER_GOOD
    probe.close()


def test_a_machine_without_that_firmware_or_without_leave_to_ask_has_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ThrottlingProbe().latest() is None
    probe = ThrottlingProbe(tmp_path / "not there")
    assert probe.latest() is None
    assert probe.latest() is None
