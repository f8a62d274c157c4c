"""What FHIR's vital-sign profiles ask, which the library that checks resources does not.

R4: hl7.org/fhir/R4/observation-vitalsigns.html, heartrate.html, bp.html; rules obs-6 and obs-7 of
Observation.
"""

from __future__ import annotations

import re
from typing import Any

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
REASONS = {"unknown", "not-a-number", "positive-infinity", "negative-infinity"}
ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
PROFILES = {
    "http://hl7.org/fhir/StructureDefinition/heartrate": "8867-4",
    "http://hl7.org/fhir/StructureDefinition/bp": "85354-9",
}


def check_bundle(bundle: dict[str, Any]) -> None:
    """Fail unless the bundle holds together and each observation keeps its profile."""
    assert bundle["type"] == "collection" and ZONED.fullmatch(bundle["timestamp"])
    resources = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
    assert len(resources) == len(bundle["entry"]), "every resource once"
    codes = {
        (system["url"], concept["code"])
        for system in resources.values()
        if system["resourceType"] == "CodeSystem"
        for concept in system["concept"]
    }
    for address, resource in resources.items():
        assert address == f"urn:uuid:{resource['id']}"
        match resource["resourceType"]:
            case "Observation":
                check_observation(resource, resources, codes)
            case "Patient":
                assert set(resource) <= {"resourceType", "id", "identifier", "meta"}, (
                    "a code and nothing else"
                )
            case "Device" if "parent" in resource:
                assert resources[resource["parent"]["reference"]]["resourceType"] == "Device"


def check_observation(
    found: dict[str, Any], resources: dict[str, Any], codes: set[tuple[str, str]]
) -> None:
    """Fail unless one observation keeps the rules of all and those of its profile."""
    assert found["status"] == "final"
    assert resources[found["subject"]["reference"]]["resourceType"] == "Patient"
    assert (
        resources[found["device"]["reference"]]["resourceType"] == "Device"
        if "device" in found
        else True
    )
    times = (
        [found["effectiveDateTime"]]
        if "effectiveDateTime" in found
        else list(found["effectivePeriod"].values())
    )
    assert times and all(ZONED.fullmatch(time) for time in times)
    for part in (found, *found.get("component", ())):
        valued = [key for key in part if key.startswith("value")]
        assert len(valued) + ("dataAbsentReason" in part) <= 1, (
            "obs-6: a reason only where there is no value"
        )
        for coding in [
            *part["code"]["coding"],
            *part.get("valueCodeableConcept", {}).get("coding", ()),
        ]:
            assert coding["system"] == LOINC or (coding["system"], coding["code"]) in codes
    if is_vital_sign(found):
        check_vital_sign(found)
    else:
        assert any(key.startswith("value") for key in found) or "dataAbsentReason" in found


def is_vital_sign(found: dict[str, Any]) -> bool:
    return any(
        c["system"] == CATEGORY and c["code"] == "vital-signs"
        for one in found["category"]
        for c in one["coding"]
    )


def check_vital_sign(found: dict[str, Any]) -> None:
    """Fail unless a vital sign has the code and units of its profile, or a reason for no value."""
    for profile in found.get("meta", {}).get("profile", ()):
        assert (LOINC, PROFILES[profile]) in {
            (c["system"], c["code"]) for c in found["code"]["coding"]
        }
        if profile.endswith("/bp"):
            parts = {part["code"]["coding"][0]["code"]: part for part in found["component"]}
            assert {"8480-6", "8462-4"} <= set(parts) <= {"8480-6", "8462-4", "8478-0"}
            for part in parts.values():
                check_quantity(part, "mm[Hg]")
            assert not any(key.startswith("value") for key in found), (
                "a panel has no value of its own"
            )
        else:
            check_quantity(found, "/min")
            assert "component" not in found


def check_quantity(part: dict[str, Any], unit: str) -> None:
    """Fail unless there is a number in a UCUM unit, or the reason why there is none."""
    if "dataAbsentReason" in part:
        (coding,) = part["dataAbsentReason"]["coding"]
        assert coding["system"] == ABSENT and coding["code"] in REASONS
        return
    quantity = part["valueQuantity"]
    assert isinstance(quantity["value"], float) and (quantity["system"], quantity["code"]) == (
        UCUM,
        unit,
    )
