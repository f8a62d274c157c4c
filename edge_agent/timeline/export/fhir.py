"""Sessions as one FHIR R4 Bundle, written resource by resource (hl7.org/fhir/R4).

Vital signs follow the profiles that ``VitalSpec.fhir_profile`` names
(hl7.org/fhir/R4/observation-vitalsigns.html). A value that is no number is left out with its reason
(``dataAbsentReason``); one out of the plausible range stays, with an interpretation and a note.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import IO, Any

from edge_agent import __version__
from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.texts import N_
from edge_agent.core.vitals import PRESSURES, VitalKind
from edge_agent.timeline.export.format import Audience, FileFormat
from edge_agent.timeline.export.rows import Row, Value, whole
from edge_agent.timeline.export.source import ExportSource

EXPRESSIONS = "urn:affect-edge:expression"
OBSERVATIONS = "urn:affect-edge:observation"
# A namespace of our own: the same row has the same id in every export, so that systems recognise
# it.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:affect-edge")
_TEST_DATA = {
    "security": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
            "code": "HTEST",
            "display": "test health data",
        }
    ]
}
"""The ``meta`` of a resource that is made up."""
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
    VitalFlag.ARTEFACT: "Far from the readings before and after it: probably an artefact.",
    VitalFlag.SIMULATED: "Simulated: made up for a demonstration.",
    VitalFlag.ESTIMATED: "Estimated, not measured.",
}
_SHIFTED = "The participant's own neutral: in label and smoothed probabilities"
_WITHOUT_SHIFT = "The mean probabilities are without it."
_NO_NUMBERS = {
    "nan": ("not-a-number", "Not a Number (NaN)"),
    "inf": ("positive-infinity", "Positive Infinity (PINF)"),
    "-inf": ("negative-infinity", "Negative Infinity (NINF)"),
}


def own_code(kind: VitalKind) -> str:
    """Return our own code of a kind of vital that LOINC has none for."""
    return kind.value.replace("_", "-")


OWN_CODES = {
    "facial-expression": "Emotional expression of the face as a model classified it; components: "
    "probabilities",
    **{
        f"mean-{emotion}": f"Mean probability of {emotion} over the interval, before smoothing and "
        "the shift by the participant's own neutral"
        for emotion in EMOTIONS
    },
    **{own_code(kind): kind.spec.definition for kind in VitalKind if not kind.spec.loinc},
    "reported-emotion": "Emotion that the participant reported",
    "reported-valence": "Reported valence, 1 unpleasant to 9 pleasant",
    "reported-arousal": "Reported arousal, 1 calm to 9 excited",
}


def identity(*parts: Value) -> str:
    """Return the id of a resource: the same parts always give the same."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def reference(*parts: Value) -> dict[str, str]:
    """Return a reference to the resource with the id of these parts."""
    return {"reference": f"urn:uuid:{identity(*parts)}"}


def patient(row: Row) -> dict[str, Any]:
    """Return a participant: a code and nothing else."""
    code = row["participant"]
    resource = {
        "resourceType": "Patient",
        "id": identity("participant", code),
        "identifier": [{"system": "urn:affect-edge:participant", "value": code}],
    }
    return resource | ({"meta": _TEST_DATA} if row["simulated"] else {})


def _device(name: Value, name_is: str, *parts: Value, system: str = "") -> dict[str, Any]:
    """Return a device; its parts make its id, and the last one identifies it in a system."""
    resource: dict[str, Any] = {"resourceType": "Device", "id": identity(*parts)}
    if system:
        resource["identifier"] = [{"system": f"urn:affect-edge:{system}", "value": parts[-1]}]
    return resource | {"deviceName": [{"name": name, "type": name_is}]}


def appliance_device(name: str) -> dict[str, Any]:
    """Return the appliance."""
    about = {"modelNumber": "Affect Edge", "version": [{"value": __version__}]}
    return _device(name, "user-friendly-name", "device", name) | about


def model_device(row: Row, appliance: str) -> dict[str, Any]:
    """Return the model that reads faces: software on the appliance, known by its hash."""
    about = {"version": [{"value": row["version"]}], "parent": reference("device", appliance)}
    return _device(row["name"], "model-name", "model", row["sha256"], system="model-sha256") | about


def source_device(source: str) -> dict[str, Any]:
    """Return the device of a source of readings: a strap, a cuff, a file."""
    return _device(source, "user-friendly-name", "source", source, system="source")


def code_systems() -> Iterator[dict[str, Any]]:
    """Yield our own code systems.

    LOINC has no code for an emotion that was classified from a face, or that was reported.
    """
    faces = {
        emotion.value: f"The face looks like {emotion}, one of the categories of FER+"
        for emotion in EMOTIONS
    }
    faces |= {
        "uncertain": "No category is certain enough",
        "none": "The participant reported none of the categories",
    }
    yield _code_system(
        EXPRESSIONS,
        "AffectEdgeExpression",
        "Emotional expression of a face as a classifier reads it. It says what a face looks like, "
        "not what a person feels, and is no diagnosis.",
        faces,
    )
    about = "What Affect Edge observes and LOINC has no code for."
    yield _code_system(OBSERVATIONS, "AffectEdgeObservation", about, OWN_CODES)


def _code_system(url: str, name: str, about: str, concepts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "id": identity("code system", url),
        "url": url,
        "version": "1",
        "name": name,
        "status": "active",
        "experimental": True,
        "description": about,
        "content": "complete",
        "concept": [
            {"code": code, "display": code, "definition": meaning}
            for code, meaning in concepts.items()
        ],
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
    if not math.isfinite(number):
        # JSON holds no such number: the reason stands in place of the value.
        return _absent(*_NO_NUMBERS[str(number)])
    unit = {"unit": kind.spec.unit_shown, "system": UCUM, "code": kind.unit}
    return {"valueQuantity": {"value": number, **unit}} | _interpretation(number, kind)


def expression(row: Row, device: str, shift: float | None = None) -> dict[str, Any]:
    """Return the observation of the participant's expression over one recording interval.

    Args:
        row: of ``expression.csv``.
        device: id of the model that read the face.
        shift: of the logit of neutral, by the participant's own neutral; ``None``: none.
    """
    at = int(row["at_ms"] or 0)
    # A row is stamped with the end of its interval.
    label = str(row["emotion"])
    start = iso_utc(at - int(row["interval_ms"] or 0))
    share = {"unit": "1", "system": UCUM, "code": "1"}
    probabilities = [
        {
            "code": {
                "coding": [_coding(EXPRESSIONS, emotion.value, emotion.value)],
                "text": f"Probability of {emotion}",
            },
            "valueQuantity": {"value": int(row[f"smoothed_{emotion}"] or 0) / 1000, **share},
        }
        for emotion in EMOTIONS
    ]
    name = identity("expression", row["session"], at, row["track"])
    observation = _observation(row, name, "exam", _own("facial-expression"))
    if shift is not None:
        probabilities += [
            {
                "code": {"coding": [_coding(*_own(f"mean-{emotion}"))]},
                "valueQuantity": {"value": int(row[emotion.value] or 0) / 1000, **share},
            }
            for emotion in EMOTIONS
        ]
        told = f"{_SHIFTED} {shift:+.3f} is added to the logit of neutral. {_WITHOUT_SHIFT}"
        observation["note"] = [*observation.get("note", ()), {"text": told}]
    # An interval has a period and no instant.
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
    told = row | {"simulated": simulated}
    observation = _observation(told, name, "survey", _own(f"reported-{scale}"))
    if scale == "emotion":
        coding = [_coding(EXPRESSIONS, value, value)]
        return observation | {"valueCodeableConcept": {"coding": coding}}
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
    # The mean is optional in the panel, and mostly missing: it needs no reason then.
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
    """Return the fields that all observations of vital signs share."""
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
    # Flags without a sentence of their own are named plainly.
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
        observation["meta"] = _TEST_DATA
    about = {"Condition": row["condition"], "Left out of the analysis": row.get("left_out")}
    if notes := [{"text": f"{what}: {told}"} for what, told in about.items() if told]:
        observation["note"] = notes
    return observation


def _own(code: str) -> tuple[str, str, str]:
    return OBSERVATIONS, code, OWN_CODES[code]


def _coding(system: str, code: str, display: str | None) -> dict[str, str]:
    return {"system": system, "code": code} | ({"display": display} if display else {})


def _absent(code: str, display: str) -> dict[str, Any]:
    return {"dataAbsentReason": {"coding": [_coding(_ABSENT, code, display)]}}


def _interpretation(value: float, kind: VitalKind) -> dict[str, Any]:
    low, high = kind.plausible
    if low <= value <= high:
        return {}
    code, display = ("L", "Low") if value < low else ("H", "High")
    coding = [_coding(_INTERPRETATION, code, display)]
    return {"interpretation": [{"coding": coding, "text": "Out of the plausible range"}]}


def _range_note(row: Row) -> str:
    """Return a sentence if the value is outside the plausible range; else an empty text."""
    kind = VitalKind(str(row["kind"]))
    value = row["value"]
    low, high = kind.plausible
    if value is not None and low <= float(value) <= high:
        return ""
    reading = f"{kind.value.replace('_', ' ')} {value}".capitalize()
    return (
        f"{reading} lies outside the plausible range of {low:g} to {high:g} {kind.spec.unit_shown}."
    )


Resource = dict[str, Any]


def _write(source: ExportSource, out: IO[bytes]) -> None:
    """Write a Bundle of the type ``collection``.

    It holds a Patient for each participant, by code alone; a Device for the appliance, each of its
    models and each source of readings; a CodeSystem for expressions; Observations for heart rate,
    blood pressure, intervals between beats, what the participant's face showed, and what the
    participant reported. Faces of others, and whatever lies outside the sessions, are left out.
    """
    head = {"resourceType": "Bundle", "type": "collection", "timestamp": source.created}
    out.write(f'{json.dumps(head)[:-1]}, "entry": ['.encode())
    for number, resource in enumerate(_resources(source)):
        entry = {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
        out.write(f"{',' if number else ''}\n{json.dumps(entry, ensure_ascii=False)}".encode())
    out.write(b"\n]}\n")


def _resources(source: ExportSource) -> Iterator[Resource]:
    """Yield the resources of the bundle."""
    table = source.rows
    left_out = source.of_sessions("exclusion")
    own_neutral = source.of_sessions("own_neutral")

    def rows_with_exclusions(name: str) -> Iterator[Row]:
        for row in table(name):
            exclusions = left_out.get(int(row["session"] or 0), ())
            yield row | {"left_out": _why_left_out(row, exclusions)}

    appliance = source.appliance
    yield from code_systems()
    yield appliance_device(appliance.device)
    # Models that came into use after the exported time read none of its faces.
    last_ms = max((end for _, end in source.chosen.ranges), default=0)
    models = [
        row
        for row in table("model")
        if row["kind"] == "expression" and int(row["since_ms"] or 0) < last_ms
    ]
    for row in models:
        yield model_device(row, appliance.device)
    simulated = {int(row["session"] or 0) for row in table("session") if row["simulated"]}
    for row in table("participant"):
        yield patient(row)
    for row in rows_with_exclusions("self_report"):
        yield self_report(row, simulated=row["session"] in simulated)
    for row in rows_with_exclusions("expression"):
        if row["is_primary"]:
            # Without a known model, the appliance itself is the device.
            reader = _reader_of(models, row) or identity("device", appliance.device)
            shift = _shift_at(row, own_neutral.get(int(row["session"] or 0), ()))
            yield expression(row, reader, shift)
    sensors: set[str] = set()
    for _, together in groupby(
        rows_with_exclusions("vital"), key=lambda row: (row["at_ms"], row["source"])
    ):
        rows = list(together)
        sensors.add(str(rows[0]["source"]))
        yield from vitals(rows)
    # Sources are known only after all readings have passed; the order in a bundle has no meaning.
    for sensor in sorted(sensors):
        yield source_device(sensor)


def _why_left_out(row: Row, exclusions: Sequence[Row]) -> Value:
    """Return why the analysis leaves out a row, by the exclusions of its session; else ``None``."""
    for one in exclusions:
        if one["start_ms"] is None:
            return one["reason"]
        # Within a stretch no reading and no face counts; a self-report does.
        within = whole(one["start_ms"]) <= whole(row["at_ms"]) < whole(one["end_ms"])
        if within and "scale" not in row:
            return one["reason"]
    return None


def _shift_at(row: Row, own_neutral: Sequence[Row]) -> float | None:
    """Return by how much the own neutral of its session shifts a face; ``None``: not at all."""
    at_ms = whole(row["at_ms"])
    for one in own_neutral:
        is_over = one["until_ms"] is not None and whole(one["until_ms"]) <= at_ms
        if one["shift"] is not None and whole(one["applied_ms"]) <= at_ms and not is_over:
            return float(one["shift"])
    return None


def _reader_of(models: list[Row], row: Row) -> str | None:
    """Return the id of the model that classified a face: the last one in use before it."""
    before = [model for model in models if int(model["since_ms"] or 0) <= int(row["at_ms"] or 0)]
    if before:
        return identity("model", before[-1]["sha256"])
    return None


FHIR = FileFormat(
    name="fhir",
    label="FHIR R4",
    summary="an R4 bundle of sessions",
    description=N_("Sessions for clinical systems: Patient by code, Device and Observations."),
    audience=Audience.ARCHIVES,
    suffix=".fhir.json",
    media_type="application/fhir+json",
    position=40,
    needs_sessions=True,
    write=_write,
)
