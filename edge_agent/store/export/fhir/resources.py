"""FHIR R4 resources that observations refer to: Patient, Device, CodeSystem. Pure.

See hl7.org/fhir/R4.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from edge_agent import __version__
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.vitals import VitalKind
from edge_agent.store.export.rows.typed import Row, Value

EXPRESSIONS = "urn:affect-edge:expression"
OBSERVATIONS = "urn:affect-edge:observation"


def own_code(kind: VitalKind) -> str:
    """Return our own code of a kind of vital that LOINC has none for."""
    return kind.value.replace("_", "-")


OWN_CODES = {
    "facial-expression": "Emotional expression of the face as a model classified it; components: "
    "probabilities",
    **{own_code(kind): kind.spec.definition for kind in VitalKind if not kind.spec.loinc},
    "reported-emotion": "Emotion that the participant reported",
    "reported-valence": "Reported valence, 1 unpleasant to 9 pleasant",
    "reported-arousal": "Reported arousal, 1 calm to 9 excited",
}
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:affect-edge")
_TEST_DATA = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HTEST",
    "display": "test health data",
}


def identity(*parts: Value) -> str:
    """Return the id of a resource: the same parts always give the same."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts))))


def reference(*parts: Value) -> dict[str, str]:
    """Return a reference to the resource with the id of these parts."""
    return {"reference": f"urn:uuid:{identity(*parts)}"}


def marked(simulated: object) -> dict[str, Any]:
    """Return the part of ``meta`` that says that a resource is made up; empty for real ones."""
    if simulated:
        return {"security": [_TEST_DATA]}
    return {}


def patient(row: Row) -> dict[str, Any]:
    """Return a participant: a code and nothing else."""
    code = row["participant"]
    resource = {
        "resourceType": "Patient",
        "id": identity("participant", code),
        "identifier": [{"system": "urn:affect-edge:participant", "value": code}],
    }
    return resource | ({"meta": marked(True)} if row["simulated"] else {})


def appliance_device(name: str) -> dict[str, Any]:
    """Return the appliance."""
    return {
        "resourceType": "Device",
        "id": identity("device", name),
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "modelNumber": "Affect Edge",
        "version": [{"value": __version__}],
    }


def model_device(row: Row, appliance: str) -> dict[str, Any]:
    """Return the model that reads faces: software on the appliance, known by its hash."""
    return {
        "resourceType": "Device",
        "id": identity("model", row["sha256"]),
        "identifier": [{"system": "urn:affect-edge:model-sha256", "value": row["sha256"]}],
        "deviceName": [{"name": row["name"], "type": "model-name"}],
        "version": [{"value": row["version"]}],
        "parent": reference("device", appliance),
    }


def source_device(source: str) -> dict[str, Any]:
    """Return what gave readings: a strap, a cuff, a file."""
    return {
        "resourceType": "Device",
        "id": identity("source", source),
        "identifier": [{"system": "urn:affect-edge:source", "value": source}],
        "deviceName": [{"name": source, "type": "user-friendly-name"}],
    }


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
