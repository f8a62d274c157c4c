"""What the Raspberry Pi's firmware says about power and heat."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.runtime.health import throttling
from edge_agent.runtime.health.throttling import Throttling, ThrottlingProbe, parse_throttled
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
    probe = ThrottlingProbe(firmware(tmp_path, f"echo x >> {asked}; echo throttled=0x1"))
    assert probe.latest() is None
    assert answer_of(probe) == replace(POWER_GOOD, under_voltage=True)
    for _ in range(5):
        probe.latest()
    assert asked.read_text(encoding="ascii") == "x\n"


def test_a_firmware_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "THROTTLING_GIVE_UP_SECONDS", 0.0)
    monkeypatch.setattr(throttling, "THROTTLING_SECONDS", 0.0)
    marker = tmp_path / "again"
    probe = ThrottlingProbe(
        firmware(
            tmp_path,
            f"[ -e {marker} ] && {{ echo throttled=0x0; exit; }}; touch {marker}; exec sleep 60",
        )
    )
    started = time.monotonic()
    assert probe.latest() is None
    while not marker.exists():
        assert time.monotonic() - started < 10
        time.sleep(0.01)
    monkeypatch.setattr(throttling, "THROTTLING_GIVE_UP_SECONDS", -1.0)
    assert probe.latest() is None
    monkeypatch.setattr(throttling, "THROTTLING_GIVE_UP_SECONDS", 10.0)
    assert answer_of(probe) == POWER_GOOD
    assert time.monotonic() - started < 30
    probe.close()


def test_a_machine_without_that_firmware_or_without_leave_to_ask_has_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ThrottlingProbe().latest() is None
    probe = ThrottlingProbe(tmp_path / "not there")
    assert probe.latest() is None
    assert probe.latest() is None
