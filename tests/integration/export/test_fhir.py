"""FHIR holds what a session holds, in resources that keep their profiles."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import PRESSURES, VitalKind
from edge_agent.timeline.export.appliance import Appliance
from edge_agent.timeline.export.fhir import FHIR, quantity, vitals
from edge_agent.timeline.export.rows import ExportChoice, Row
from tests.support.datasets.fhir_profile import check_bundle
from tests.support.own_neutral import calibrate_session
from tests.support.timeline import query, reading, row, session_row, timeline

SYSTOLIC = VitalKind.SYSTOLIC
PROFILES = "http://hl7.org/fhir/StructureDefinition/"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The first of two sessions, with odd readings, a second face, and rows outside of them."""
    folder = tmp_path_factory.mktemp("fhir")
    rows = [row(s, Emotion.ANGER if s < 150 else None) for s in range(90, 220, 10)]
    rows.append(row(155, Emotion.FEAR, primary=False))
    readings = [reading(s + 0.5, 60 + s / 7) for s in range(90, 220, 10)]
    readings += [
        reading(130, 300, SYSTOLIC, "cuff", [VitalFlag.OUT_OF_RANGE, VitalFlag.MANUAL]),
        reading(130, 80, VitalKind.DIASTOLIC, "cuff", [VitalFlag.MANUAL]),
        reading(130, 153, VitalKind.MEAN_ARTERIAL, "cuff", [VitalFlag.ESTIMATED]),
        reading(140, 121, SYSTOLIC, "cuff"),
        reading(141, 12, source="strap", flags=[VitalFlag.OUT_OF_RANGE, VitalFlag.CONTACT_LOST]),
        reading(142, 0.8, VitalKind.RR_INTERVAL),
        reading(143, math.inf, source="=broken"),
        reading(320, 70),
    ]
    made = timeline(
        folder / "data",
        expression=rows,
        vital=readings,
        session=[session_row(100, 200, (120, 199, "anger"), name="films"), session_row(300, 400)],
        self_report=[
            {"session": 1, "at": 160, "scale": "emotion", "value": "anger"},
            {"session": 1, "at": 161, "value": 2},
        ],
        model=[{}],
    )
    return exported(made, folder)


def exported(path: Path, folder: Path, sessions: tuple[int, ...] = (1,)) -> dict[str, Any]:
    (file,) = FHIR.export(path, folder / "s.json", ExportChoice(sessions), Appliance("pi"))
    read: dict[str, Any] = json.loads(file.read_bytes())
    return read


def resources(bundle: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    found = (entry["resource"] for entry in bundle["entry"])
    return [one for one in found if one["resourceType"] in kinds]


def observations(bundle: dict[str, Any], code: str) -> list[dict[str, Any]]:
    """The observations with a code, in order of time."""
    return [one for one in resources(bundle, "Observation") if code_of(one["code"]) == code]


def code_of(concept: dict[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def notes(observation: dict[str, Any]) -> list[str]:
    return [note["text"] for note in observation.get("note", ())]


def test_resources_are_valid_and_only_those_of_the_session(bundle: dict[str, Any]) -> None:
    from fhir.resources.R4B.bundle import Bundle  # slow to load, for every worker at the top

    assert len(Bundle.model_validate_json(json.dumps(bundle)).entry or ()) == len(bundle["entry"])
    check_bundle(bundle)
    assert len(resources(bundle, "Patient")) == 1 and "P02" not in json.dumps(bundle)
    times = [one["effectiveDateTime"] for one in observations(bundle, "8867-4")]
    assert min(times) >= "2026-09-21T14:21:40" and max(times) < "2026-09-21T14:23:20"


def test_a_pressure_is_a_panel_and_a_reading_out_of_range_says_so(bundle: dict[str, Any]) -> None:
    full, alone = observations(bundle, "85354-9")
    values = [part.get("valueQuantity", {}).get("value") for part in full["component"]]
    assert values == [300.0, 80.0, 153.0]
    assert [code_of(part["code"]) for part in alone["component"]] == ["8480-6", "8462-4"]
    assert code_of(alone["component"][1]["dataAbsentReason"]) == "unknown"
    assert code_of(full["component"][0]["interpretation"][0]) == "H"
    assert "interpretation" not in full["component"][1]
    assert notes(full) == [
        "Condition: anger",
        "Systolic 300.0 lies outside the plausible range of 50 to 250 mmHg.",
        "Estimated, not measured.",
        "Flags: manual.",
    ]
    rates = observations(bundle, "8867-4")
    (low,) = [one for one in rates if one.get("valueQuantity", {}).get("value") == 12.0]
    assert code_of(low["interpretation"][0]) == "L"
    assert "The sensor had no contact with the skin." in notes(low)


def test_fhir_value_that_is_no_number_has_a_reason(bundle: dict[str, Any]) -> None:
    (endless,) = [one for one in observations(bundle, "8867-4") if "dataAbsentReason" in one]
    assert code_of(endless["dataAbsentReason"]) == "positive-infinity"
    codes = {math.nan: "not-a-number", -math.inf: "negative-infinity", None: "unknown"}
    for value, code in codes.items():
        absent = quantity(value, VitalKind.HEART_RATE)
        assert list(absent) == ["dataAbsentReason"]
        assert code_of(absent["dataAbsentReason"]) == code


def test_an_expression_names_the_model_and_probabilities(bundle: dict[str, Any]) -> None:
    faces = observations(bundle, "facial-expression")
    shown = {code_of(face["valueCodeableConcept"]) for face in faces}
    assert (len(faces), shown) == (10, {"anger", "uncertain"}), "the participant's face alone"
    face = faces[0]
    devices = {
        entry["fullUrl"]: entry["resource"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Device"
    }
    model = devices[face["device"]["reference"]]
    assert model["identifier"][0]["value"] == "ab" * 32 and model["version"][0]["value"] == "1.0.0"
    assert devices[model["parent"]["reference"]]["deviceName"][0]["name"] == "pi"
    assert [code_of(part["code"]) for part in face["component"]] == list(EMOTIONS)
    total = sum(part["valueQuantity"]["value"] for part in face["component"])
    assert total == pytest.approx(1, abs=0.005)
    (emotion,) = observations(bundle, "reported-emotion")
    (valence,) = observations(bundle, "reported-valence")
    assert code_of(emotion["valueCodeableConcept"]) == "anger" and valence["valueInteger"] == 2


def test_fhir_part_left_out_of_the_analysis_says_why(tmp_path: Path) -> None:
    recorded = (110, 120, 130, 310)
    said = {"condition": None, "value": 2}
    made = timeline(
        tmp_path / "data",
        expression=recorded,
        vital=recorded,
        session=[session_row(100, 200), session_row(300, 400)],
        self_report=[{"session": 1, "at": 120, **said}, {"session": 2, "at": 310, **said}],
        exclusion=[
            {"session": 1, "from_ms": 20_000, "to_ms": 30_000, "reason": "<b>coughed</b>"},
            {"session": 2, "reason": "misunderstood"},
        ],
    )
    bundle = exported(made, tmp_path, (1, 2))
    check_bundle(bundle)
    stretch = ["Left out of the analysis: <b>coughed</b>"]
    whole = ["Left out of the analysis: misunderstood"]
    expected = {
        "8867-4": [[], stretch, [], whole],
        "facial-expression": [[], stretch, [], whole],
        # The analysis counts what was reported within a stretch.
        "reported-valence": [[], whole],
    }
    for code, told in expected.items():
        found = observations(bundle, code)
        assert [notes(one) for one in found] == told, code
        assert not any("dataAbsentReason" in one for one in found)


def test_fhir_shifted_expression_has_the_values_before_the_shift(tmp_path: Path) -> None:
    made = timeline(tmp_path / "data", expression=[110, 141], session=[session_row(100, 200)])
    calibrate_session(made, 1, 10.0, 40.0)
    bundle = exported(made, tmp_path)
    check_bundle(bundle)
    before, after = observations(bundle, "facial-expression")
    assert notes(before) == []
    (told,) = notes(after)
    assert "smoothed probabilities -1.500 is added to the logit of neutral" in told
    assert len(before["component"]) == 8
    plain = {code_of(part["code"]): part["valueQuantity"]["value"] for part in after["component"]}
    assert list(plain)[8:] == [f"mean-{emotion}" for emotion in EMOTIONS]
    sql = f"SELECT {', '.join(EMOTIONS)} FROM expression WHERE id = 2"
    assert [round(1000 * value) for value in list(plain.values())[8:]] == [*query(made, sql)[0]]


def test_fhir_simulated_session_is_marked_as_test_data(tmp_path: Path) -> None:
    made = timeline(
        tmp_path / "data",
        expression=[row(10, simulated=1)],
        vital=[reading(10, flags=[VitalFlag.SIMULATED])],
        session=[session_row(0, 60, simulated=1, purpose="demonstration")],
    )
    bundle = exported(made, tmp_path)
    check_bundle(bundle)
    found = resources(bundle, "Patient", "Observation")
    assert len(found) == 3 and all(r["meta"]["security"][0]["code"] == "HTEST" for r in found)


@pytest.mark.parametrize("kind", [kind for kind in VitalKind if kind not in PRESSURES])
def test_kind_observation_has_its_codes_unit_and_profile(kind: VitalKind) -> None:
    one: Row = {
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
    (observation,) = vitals([one])
    codes = [coding["code"] for coding in observation["code"]["coding"]]
    spec = kind.spec
    assert codes == ([loinc.code for loinc in spec.loinc] or [kind.value.replace("_", "-")])
    assert observation["valueQuantity"]["code"] == spec.unit
    named = observation.get("meta", {}).get("profile", [])
    assert named == ([f"{PROFILES}{spec.fhir_profile}"] if spec.fhir_profile else [])
