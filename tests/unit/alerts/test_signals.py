"""How things stand, from the messages of the live feed; what is too old is not known."""

from __future__ import annotations

from typing import Any

import pytest

from edge_agent.alerts.rules import Zone, rule_title
from edge_agent.alerts.signals import FeedSignals
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import vital_message
from tests.support.timeline import reading

HEART = RuleSettings(
    name="hr", when=AlertKind.VITAL, vital=VitalKind.HEART_RATE, above=120, margin=5
)
PRESSURE = RuleSettings(name="bp", when=AlertKind.VITAL, vital=VitalKind.SYSTOLIC, above=180)
STRAP = RuleSettings(name="strap", when=AlertKind.SENSOR, vital=VitalKind.HEART_RATE)


def vital(value: float, *flags: VitalFlag, kind: VitalKind = VitalKind.HEART_RATE) -> Any:
    return vital_message(reading(0, value, kind, flags=flags))


def state(camera: str = "open", broker: str = "connected", reason: str | None = None) -> Any:
    return {
        "type": "state",
        "camera": {"state": camera, "reason": reason},
        "broker": {"state": broker, "reason": reason},
    }


def health(
    free: float | None = 9e9, age_s: float | None = 60.0, alarms: dict[str, str] | None = None
) -> Any:
    return {
        "type": "health",
        "disk": None if free is None else {"free_bytes": free},
        "copies": {"last_good_age_seconds": age_s},
        "alarms": [{"name": name, "text": text} for name, text in (alarms or {}).items()],
    }


def zone(rule: RuleSettings, message: Any = None, age_s: float = 0.0) -> Zone:
    signals = FeedSignals(100.0)
    if message is not None:
        signals.store(message, 100.0)
    return signals.signal(rule, 100.0 + age_s).zone


@pytest.mark.parametrize(
    ("value", "expected"),
    [(120.1, Zone.BEYOND), (120, Zone.BETWEEN), (115.5, Zone.BETWEEN), (115, Zone.WELL)],
)
def test_a_reading_lies_beyond_between_or_within(value: float, expected: Zone) -> None:
    assert zone(HEART, vital(value)) is expected


def test_a_reading_grows_old_and_one_of_a_cuff_later() -> None:
    assert zone(HEART, vital(130), 10) is Zone.BEYOND
    assert zone(HEART, vital(130), 11) is Zone.UNKNOWN
    cuff = vital(190, kind=VitalKind.SYSTOLIC)
    assert zone(PRESSURE, cuff, 3600) is Zone.BEYOND
    assert zone(PRESSURE, cuff, 3601) is Zone.UNKNOWN
    assert zone(HEART) is Zone.UNKNOWN


def test_readings_in_doubt_say_nothing() -> None:
    assert zone(HEART, vital(240, VitalFlag.CONTACT_LOST)) is Zone.UNKNOWN
    assert zone(HEART, vital(130, VitalFlag.ESTIMATED)) is Zone.UNKNOWN
    signals = FeedSignals(0.0)
    signals.store(vital(130, VitalFlag.SIMULATED), 1.0)
    assert signals.signal(HEART, 1.0).reason == "The readings are simulated."


def test_a_sensor_is_silent_from_its_last_usable_reading_or_from_the_start() -> None:
    assert zone(STRAP, vital(70), 3) is Zone.WELL
    assert zone(STRAP, vital(70), 4) is Zone.BEYOND
    assert zone(STRAP, None, 3) is Zone.WELL
    assert zone(STRAP, None, 4) is Zone.BEYOND
    assert zone(STRAP, vital(70, VitalFlag.CONTACT_LOST), 4) is Zone.BEYOND


@pytest.mark.parametrize(
    ("part", "name", "expected"),
    [
        ("camera", "open", Zone.WELL),
        ("camera", "closed", Zone.WELL),
        ("camera", "ended", Zone.WELL),
        ("camera", "silent", Zone.BEYOND),
        ("camera", "failed", Zone.BEYOND),
        ("broker", "connected", Zone.WELL),
        ("broker", "disabled", Zone.WELL),
        ("broker", "silent", Zone.BEYOND),
        ("broker", "unreachable", Zone.BEYOND),
    ],
)
def test_a_camera_that_gives_no_pictures_and_a_broker_that_is_away(
    part: str, name: str, expected: Zone
) -> None:
    rule = RuleSettings(name="part", when=AlertKind(part))
    assert zone(rule, state(**{part: name})) is expected
    assert zone(rule, state(**{part: name}), 6) is Zone.UNKNOWN


def test_silent_camera_is_so_since_its_last_picture() -> None:
    signals = FeedSignals(100.0)
    message = state(camera="silent")
    message["camera"]["frame_age_seconds"] = 2.4
    signals.store(message, 200.0)
    signal = signals.signal(RuleSettings(name="camera", when=AlertKind.CAMERA), 200.5)
    assert (signal.zone, signal.since_s) == (Zone.BEYOND, 197.6)


def test_a_face_is_lost_only_while_pictures_come() -> None:
    rule = RuleSettings(name="face", when=AlertKind.FACE)
    nobody = {"type": "expression", "state": "no_face", "blank": False, "faces": []}
    assert zone(rule, nobody) is Zone.BEYOND
    assert zone(rule, nobody | {"state": "uncertain"}) is Zone.WELL
    assert zone(rule, nobody, 6) is Zone.UNKNOWN


def test_an_alert_of_a_face_that_is_not_known_says_so() -> None:
    signals = FeedSignals(100.0)
    seen = {"type": "expression", "state": "no_face", "faces": [{"attribution": "unknown"}]}
    signals.store(seen, 100.0)
    signal = signals.signal(RuleSettings(name="face", when=AlertKind.FACE), 100.0)
    assert (signal.zone, signal.reason) == (
        Zone.BEYOND,
        "A face is in view, but it is not known whose it is.",
    )


def test_alert_of_a_face_names_a_covered_lens() -> None:
    signals = FeedSignals(100.0)
    signals.store({"type": "expression", "state": "no_face", "blank": True, "faces": []}, 100.0)
    signal = signals.signal(RuleSettings(name="face", when=AlertKind.FACE), 100.0)
    assert signal.zone is Zone.BEYOND
    assert "the lens is covered" in signal.reason


def test_a_disk_that_is_nearly_full_or_gone() -> None:
    rule = RuleSettings(name="disk", when=AlertKind.DISK, below=500, margin=100)
    assert zone(rule, health(499e6)) is Zone.BEYOND
    assert zone(rule, health(550e6)) is Zone.BETWEEN
    assert zone(rule, health(600e6)) is Zone.WELL
    assert zone(rule, health(None)) is Zone.BEYOND
    assert zone(rule, health(), 21) is Zone.UNKNOWN


def test_copies_that_are_old_by_the_appliances_own_judgement_or_by_a_limit() -> None:
    rule = RuleSettings(name="backup", when=AlertKind.BACKUP)
    assert zone(rule, health(age_s=1e7)) is Zone.WELL
    assert zone(rule, health(alarms={"copy_old": "Old."})) is Zone.BEYOND
    assert zone(rule, health(alarms={"hot": "Hot."})) is Zone.WELL
    strict = RuleSettings(name="backup", when=AlertKind.BACKUP, above=26)
    assert zone(strict, health(age_s=27 * 3600)) is Zone.BEYOND
    assert zone(strict, health(age_s=25 * 3600)) is Zone.WELL
    assert zone(strict, health(age_s=None)) is Zone.WELL


def test_a_low_variability_begins_an_alert_unless_beats_are_too_few() -> None:
    rule = RuleSettings(name="rmssd", when=AlertKind.VARIABILITY, below=20, margin=5)
    now = {"type": "variability", "rmssd_ms": 15.0, "simulated": False}
    assert zone(rule, now) is Zone.BEYOND
    assert zone(rule, now | {"rmssd_ms": 22.0}) is Zone.BETWEEN
    assert zone(rule, now | {"rmssd_ms": 25.0}) is Zone.WELL
    assert zone(rule, now | {"rmssd_ms": None}) is Zone.UNKNOWN
    assert zone(rule, now, 21) is Zone.UNKNOWN
    assert str(rule_title(rule)) == ("Heart-rate variability (RMSSD of five minutes) below 20 ms")


def test_a_rule_of_variability_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="variability needs above or below"):
        RuleSettings(name="rmssd", when=AlertKind.VARIABILITY)
