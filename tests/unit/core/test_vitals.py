"""What is special about a kind of vital: units, ranges, headers."""

from __future__ import annotations

import re

import pytest

from edge_agent.core.errors import ReadingError
from edge_agent.core.given_readings import Origin, reading_of
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.fhir import vitals as observations
from edge_agent.store.export.rows import Row
from tests.support.timeline import instant


def given(kind: VitalKind, value: float, unit: str = "") -> VitalReading:
    return reading_of({"kind": kind, "value": value, "unit": unit}, instant(0), Origin("watch"))


def test_a_temperature_may_be_in_fahrenheit() -> None:
    assert given(VitalKind.SKIN_TEMPERATURE, 90.5, "°F").value == pytest.approx(32.5)
    assert given(VitalKind.SKIN_TEMPERATURE, 32.5, "Cel").value == 32.5
    assert given(VitalKind.BODY_TEMPERATURE, 98.6, "[degF]").value == pytest.approx(37.0)


@pytest.mark.parametrize(
    ("kind", "value", "flagged"),
    [
        (VitalKind.OXYGEN_SATURATION, 97, False),
        (VitalKind.OXYGEN_SATURATION, 55, True),
        (VitalKind.SKIN_TEMPERATURE, 10, True),
        (VitalKind.RESPIRATION_RATE, 16, False),
        (VitalKind.RESPIRATION_RATE, 90, True),
        (VitalKind.BODY_TEMPERATURE, 28.0, False),
        (VitalKind.BODY_TEMPERATURE, 27.9, True),
        (VitalKind.BODY_TEMPERATURE, 43.0, False),
        (VitalKind.BODY_TEMPERATURE, 43.1, True),
    ],
)
def test_what_is_implausible_is_kept_and_flagged(
    kind: VitalKind, value: float, flagged: bool
) -> None:
    reading = given(kind, value)
    assert (reading.value, VitalFlag.OUT_OF_RANGE in reading.flags) == (value, flagged)


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (VitalKind.OXYGEN_SATURATION, 127, "value: 127 % cannot be oxygen saturation. Possible: 0"),
        (VitalKind.SKIN_TEMPERATURE, 310, "cannot be skin temperature. Possible: 0 to 60 °C."),
        (VitalKind.RESPIRATION_RATE, -1, "cannot be respiration rate. Possible: 0 to 200 /min."),
        (VitalKind.BODY_TEMPERATURE, 98.6, "cannot be body temperature. Possible: 10 to 50 °C."),
    ],
)
def test_what_cannot_be_a_measurement_is_refused(kind: VitalKind, value: float, said: str) -> None:
    with pytest.raises(ReadingError) as caught:
        given(kind, value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("spo2", VitalKind.OXYGEN_SATURATION),
        ("oxygen saturation", VitalKind.OXYGEN_SATURATION),
        ("hauttemperatur", VitalKind.SKIN_TEMPERATURE),
        ("respiratory rate", VitalKind.RESPIRATION_RATE),
        ("atemfrequenz", VitalKind.RESPIRATION_RATE),
        ("body temp", VitalKind.BODY_TEMPERATURE),
        ("temperature oral", VitalKind.BODY_TEMPERATURE),
        ("körpertemperatur", VitalKind.BODY_TEMPERATURE),
        ("frecuencia respiratoria", VitalKind.RESPIRATION_RATE),
        ("fréquence respiratoire", VitalKind.RESPIRATION_RATE),
        ("frequência respiratória", VitalKind.RESPIRATION_RATE),
        ("呼吸数", VitalKind.RESPIRATION_RATE),
        ("temperatura corporea", VitalKind.BODY_TEMPERATURE),
        ("température de la peau", VitalKind.SKIN_TEMPERATURE),
        ("saturazione", VitalKind.OXYGEN_SATURATION),
        ("血氧饱和度", VitalKind.OXYGEN_SATURATION),
        ("frequenza cardiaca", VitalKind.HEART_RATE),
        ("脉搏", VitalKind.HEART_RATE),
        ("pression systolique", VitalKind.SYSTOLIC),
        ("高压", VitalKind.SYSTOLIC),
        ("最低血圧", VitalKind.DIASTOLIC),
    ],
)
def test_a_header_of_another_program_means_one_kind(header: str, kind: VitalKind) -> None:
    assert [one for one in VitalKind if re.fullmatch(one.spec.headers, header)] == [kind]


@pytest.mark.parametrize(
    ("kind", "codes", "unit", "profile"),
    [
        (VitalKind.OXYGEN_SATURATION, ["2708-6", "59408-5"], "%", "oxygensat"),
        (VitalKind.SKIN_TEMPERATURE, ["61008-9"], "Cel", None),
        (VitalKind.RESPIRATION_RATE, ["9279-1"], "/min", "resprate"),
        (VitalKind.BODY_TEMPERATURE, ["8310-5"], "Cel", "bodytemp"),
    ],
)
def test_an_observation_has_the_codes_unit_and_profile_of_its_kind(
    kind: VitalKind, codes: list[str], unit: str, profile: str | None
) -> None:
    row: Row = {
        "condition": "",
        "flags": "",
        "session": 1,
        "at": "2026-11-20T08:15:00.000Z",
        "at_ms": 1_795_162_500_000,
        "participant": "P-01",
        "kind": kind.value,
        "value": 20.0,
        "source": "ble:x",
        "simulated": 0,
    }
    (observation,) = observations([row])
    assert [coding["code"] for coding in observation["code"]["coding"]] == codes
    assert observation["valueQuantity"]["code"] == unit
    named = observation.get("meta", {}).get("profile", [])
    wanted = [f"http://hl7.org/fhir/StructureDefinition/{profile}"] if profile else []
    assert named == wanted


def test_the_pressures_of_a_cuff_share_a_tile_and_a_panel() -> None:
    titles = {kind.value: (kind.spec.tile, kind.spec.panel) for kind in VitalKind}
    pressure = ("Blood pressure", "Blood pressure")
    alone = ("heart_rate", "oxygen_saturation", "skin_temperature", "respiration_rate")
    assert titles == {
        **{name: (VitalKind(name).spec.label,) * 2 for name in (*alone, "body_temperature")},
        "systolic": pressure,
        "diastolic": pressure,
        "mean_arterial": ("Mean arterial pressure", ""),
        "rr_interval": ("RR interval", ""),
    }
