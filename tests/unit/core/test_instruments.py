"""The instruments of a session: reading what is stated, and saying it of its sensor."""

from __future__ import annotations

import pytest

from edge_agent.core.instruments import (
    INSTRUMENTS,
    NAMES,
    InstrumentName,
    instruments_text,
    method_of,
    read_instruments,
)


def test_instruments_of_the_register_come_back_from_their_text() -> None:
    stated = {name: f"as {name}" for name in NAMES} | {"other": "dry room"}
    assert read_instruments(instruments_text(stated)) == stated
    assert {*INSTRUMENTS} == {*InstrumentName} - {InstrumentName.OTHER}


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("", {}),
        (" ; ;", {}),
        ("SKIN_SITE: left", {"other": "SKIN_SITE: left"}),
        ("skin_site:", {"other": "skin_site:"}),
        ("skin_site: left: palm", {"skin_site": "left: palm"}),
        ("skin_site: a; skin_site: b", {"skin_site": "a", "other": "skin_site: b"}),
        ("Polar H10", {"other": "Polar H10"}),
    ],
)
def test_instruments_text_that_is_odd_loses_nothing(text: str, stated: dict[str, str]) -> None:
    assert read_instruments(text) == stated


def test_instruments_in_the_method_name_the_sensor_that_they_are_of() -> None:
    text = "heart_sensor: Polar H10; heart_rate: 130 Hz; skin_gel: 0.5 % NaCl; hot day"
    assert list(method_of(text)) == [
        "Skin conductance by a sensor that is not stated: gel or paste 0.5 % NaCl.",
        "The heart by Polar H10: sampling rate of the sensor 130 Hz.",
        "Also stated: hot day.",
    ]
