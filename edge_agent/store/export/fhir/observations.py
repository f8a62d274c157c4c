"""Readings, expressions and self-reports as FHIR R4 Observations. Pure.

Vital signs follow the profiles that ``VitalSpec.fhir_profile`` names
(hl7.org/fhir/R4/observation-vitalsigns.html). A value that is no number is left out with its reason
(``dataAbsentReason``); one out of the plausible range stays, with an interpretation and a note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import PRESSURES, VitalKind
from edge_agent.store.export.fhir.resources import (
    EXPRESSIONS,
    OBSERVATIONS,
    OWN_CODES,
    identity,
    marked,
    own_code,
    reference,
)
from edge_agent.store.export.rows.typed import Row, Value

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
_PROFILE = "http://hl7.org/fhir/StructureDefinition/"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_PRESSURE = (LOINC, "85354-9", "Blood pressure panel with all children optional")
_NOTES = {
    VitalFlag.CONTACT_LOST: "The sensor had no contact with the skin.",
    VitalFlag.CLOCK_DIFFERS: "The clock of the device differed; the time is in doubt.",
    VitalFlag.POOR_SIGNAL: "The sensor itself doubts the measurement.",
    VitalFlag.SIMULATED: "Simulated: made up for a demonstration.",
    VitalFlag.ESTIMATED: "Estimated, not measured.",
}


def vitals(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Yield the observations of readings that one source gave at one instant.

    Pressures make one panel.
    """
    pressures = {VitalKind(str(row["kind"])): row for row in rows if row["kind"] in PRESSURES}
    for row in rows:
        if row["kind"] not in PRESSURES:
            yield _single(row)
    if pressures:
        yield _panel(pressures)


def quantity(value: Value, kind: VitalKind) -> dict[str, Any]:
    """Return ``valueQuantity`` of a reading, or ``dataAbsentReason`` where there is no number."""
    if value is None:
        return _absent("unknown", "Unknown")
    number = float(value)
    if math.isnan(number):
        return _absent("not-a-number", "Not a Number (NaN)")
    if math.isinf(number):
        if number > 0:
            return _absent("positive-infinity", "Positive Infinity (PINF)")
        return _BELOW_ALL
    return {
        "valueQuantity": {
            "value": number,
            "unit": kind.spec.unit_shown,
            "system": UCUM,
            "code": kind.unit,
        }
    } | _interpretation(number, kind)


def expression(row: Row, device: str) -> dict[str, Any]:
    """Return what the participant's face showed over one recording interval.

    Args:
        row: of ``expression.csv``.
        device: id of the model that read the face.
    """
    at = int(row["at_ms"] or 0)
    label = str(row["emotion"])
    start = iso_utc(at - int(row["interval_ms"] or 0))
    probabilities = [
        {
            "code": {
                "coding": [_coding(EXPRESSIONS, emotion.value, emotion.value)],
                "text": f"Probability of {emotion}",
            },
            "valueQuantity": {
                "value": int(row[f"smoothed_{emotion}"] or 0) / 1000,
                "unit": "1",
                "system": UCUM,
                "code": "1",
            },
        }
        for emotion in EMOTIONS
    ]
    observation = _observation(
        row,
        identity("expression", row["session"], at, row["track"]),
        "exam",
        _own("facial-expression"),
    )
    del observation["effectiveDateTime"]
    return observation | {
        "effectivePeriod": {"start": start, "end": row["at"]},
        "valueCodeableConcept": {"coding": [_coding(EXPRESSIONS, label, label)]},
        "device": {"reference": f"urn:uuid:{device}"},
        "component": probabilities,
    }


def self_report(row: Row, *, simulated: bool) -> dict[str, Any]:
    """Return the self-report of a participant."""
    scale = str(row["scale"])
    value = str(row["value"])
    name = identity("self report", row["session"], row["at_ms"], scale)
    observation = _observation(
        row | {"simulated": simulated}, name, "survey", _own(f"reported-{scale}")
    )
    if scale == "emotion":
        return observation | {
            "valueCodeableConcept": {"coding": [_coding(EXPRESSIONS, value, value)]}
        }
    return observation | {"valueInteger": int(value)}


def _single(row: Row) -> dict[str, Any]:
    kind = VitalKind(str(row["kind"]))
    codes = _codes(kind)
    observation = _reading(row, [row], codes[0], kind.spec.fhir_profile)
    observation["code"]["coding"] += [_coding(*code) for code in codes[1:]]
    return observation | quantity(row["value"], kind)


def _codes(kind: VitalKind) -> list[tuple[str, str, str]]:
    """Return system, code and name of a kind: those of LOINC, or our own where it has none."""
    if kind.spec.loinc:
        return [(LOINC, *code) for code in kind.spec.loinc]
    return [_own(own_code(kind))]


def _panel(pressures: dict[VitalKind, Row]) -> dict[str, Any]:
    """Return a blood pressure.

    The profile wants systolic and diastolic, the one that is missing with the reason.
    """
    first = next(iter(pressures.values()))
    wanted = [
        kind for kind in PRESSURES if kind in pressures or kind is not VitalKind.MEAN_ARTERIAL
    ]
    components = [
        {"code": {"coding": [_coding(*_codes(kind)[0])]}}
        | quantity(pressures[kind]["value"] if kind in pressures else None, kind)
        for kind in wanted
    ]
    return _reading(first, list(pressures.values()), _PRESSURE, "bp") | {"component": components}


def _reading(
    row: Row, rows: Sequence[Row], code: tuple[str, str, str], profile: str | None
) -> dict[str, Any]:
    """Return what all observations of vital signs share."""
    name = identity("vital", row["at_ms"], code[1], row["source"])
    flags = [
        VitalFlag(flag)
        for flag in dict.fromkeys(" ".join(str(one["flags"] or "") for one in rows).split())
    ]
    simulated = VitalFlag.SIMULATED in flags
    observation = _observation(row | {"simulated": simulated}, name, "vital-signs", code)
    observation["device"] = reference("source", row["source"])
    notes = [_range_note(one) for one in rows] + [_NOTES.get(flag, "") for flag in flags]
    plain = [
        flag.value for flag in flags if flag not in _NOTES and flag is not VitalFlag.OUT_OF_RANGE
    ]
    notes.append(f"Flags: {', '.join(plain)}." if plain else "")
    texts = [{"text": note} for note in notes if note]
    if texts:
        observation["note"] = observation.get("note", []) + texts
    if profile:
        observation["meta"] = observation.get("meta", {}) | {"profile": [_PROFILE + profile]}
    return observation


def _observation(row: Row, name: str, category: str, code: tuple[str, str, str]) -> dict[str, Any]:
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [_coding(_CATEGORY, category, None)]}],
        "code": {"coding": [_coding(*code)], "text": code[2]},
        "subject": reference("participant", row["participant"]),
        "effectiveDateTime": row["at"],
    }
    if row["simulated"]:
        observation["meta"] = marked(True)
    if row["condition"]:
        observation["note"] = [{"text": f"Condition: {row['condition']}"}]
    return observation


def _own(code: str) -> tuple[str, str, str]:
    return OBSERVATIONS, code, OWN_CODES[code]


def _coding(system: str, code: str, display: str | None) -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})


def _absent(code: str, display: str) -> dict[str, Any]:
    return {"dataAbsentReason": {"coding": [_coding(_ABSENT, code, display)]}}


_BELOW_ALL = _absent("negative-infinity", "Negative Infinity (NINF)")


def _interpretation(value: float, kind: VitalKind) -> dict[str, Any]:
    low, high = kind.plausible
    if low <= value <= high:
        return {}
    code, display = ("L", "Low") if value < low else ("H", "High")
    return {
        "interpretation": [
            {
                "coding": [_coding(_INTERPRETATION, code, display)],
                "text": "Out of the plausible range",
            }
        ]
    }


def _range_note(row: Row) -> str:
    """Say that a value is hardly a measurement."""
    kind = VitalKind(str(row["kind"]))
    value = row["value"]
    low, high = kind.plausible
    if value is not None and low <= float(value) <= high:
        return ""
    reading = f"{kind.value.replace('_', ' ')} {value}".capitalize()
    return (
        f"{reading} lies outside the plausible range of {low:g} to {high:g} {kind.spec.unit_shown}."
    )
