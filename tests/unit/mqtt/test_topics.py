"""What is said over MQTT: topics, payloads, and the documents that describe them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.core.expression import FACE_STATES
from edge_agent.core.given_readings import Origin, parse_payload, reading_of
from edge_agent.core.movements import MOVEMENTS
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt import asyncapi
from edge_agent.mqtt.asyncapi import CHANNELS, COMMANDS, INGEST, Channel
from edge_agent.mqtt.payloads import (
    EmotionPayload,
    StatusPayload,
    emotion_payload,
    movements_payload,
    status_payload,
    vital_payload,
)
from tests.support.timeline import instant, movements, observation, reading, recognition

DOCS = Path(__file__).resolve().parents[3] / "docs"
AT = instant(0.25)
ISO = "2026-09-21T14:20:00.250Z"


def test_the_emotion_of_the_primary_face_is_said_with_its_probability() -> None:
    seen = recognition(0.25, observation(track=4))
    assert json.loads(emotion_payload(seen, simulated=True).encode()) == {
        "schema": 1,
        "at": ISO,
        "emotion": "happiness",
        "probability": 0.86,
        "track": 4,
        "valence": 0.76,
        "simulated": True,
    }


def test_no_clear_emotion_is_uncertain_and_nobody_is_no_face() -> None:
    unsure = recognition(0, observation(None))
    assert emotion_payload(unsure, simulated=False).emotion == "uncertain"
    for held, label in ((None, "no_face"), ("anger", "anger")):
        said = emotion_payload(replace(recognition(0), held=held), simulated=False)
        assert (said.emotion, said.probability, said.track, said.valence) == (
            label,
            None,
            None,
            None,
        )


def test_movements_pose_and_look_of_the_primary_face_are_said_once_they_are_read() -> None:
    face = observation(track=4, movements=movements(smile=1.0, yaw=-12.34, look_x=-0.4))
    said = movements_payload(recognition(0.25, face), simulated=True)
    assert said is not None
    message = json.loads(said.encode())
    strengths = message.pop("movements")
    assert (set(strengths), strengths["smile"]) == (set(MOVEMENTS), 1.0)
    assert message == {
        "schema": 1,
        "at": ISO,
        "track": 4,
        "pose": {"yaw": -12.3, "pitch": 0.0, "roll": 0.0},
        "look": {"look_x": -0.4, "look_y": 0.0},
        "simulated": True,
    }
    beside = replace(face, primary=False)
    for nothing in (recognition(0), recognition(0, beside), recognition(0, observation())):
        assert movements_payload(nothing, simulated=True) is None


def test_a_reading_is_said_with_unit_source_and_flags() -> None:
    flags = (VitalFlag.SIMULATED, VitalFlag.OUT_OF_RANGE)
    assert json.loads(vital_payload(reading(0.25, 300, flags=flags)).encode()) == {
        "schema": 1,
        "at": ISO,
        "kind": "heart_rate",
        "value": 300.0,
        "unit": "/min",
        "source": "strap",
        "flags": ["out_of_range", "simulated"],
    }
    with pytest.raises(ValidationError):
        vital_payload(reading(0, float("nan")))


def test_the_last_will_has_no_time() -> None:
    will = {"schema": 1, "state": "offline", "at": None}
    assert json.loads(status_payload("offline", None).encode()) == will
    assert status_payload("online", AT.wall_ms).at == ISO


@pytest.mark.parametrize(
    "wrong",
    [{"state": "away"}, {"schema": 2}, {"at": "yesterday"}, {"extra": 1}],
    ids=lambda w: next(iter(w)),
)
def test_a_payload_of_another_form_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StatusPayload.model_validate({"schema": 1, "state": "online", "at": None, **wrong})


def test_labels_are_the_same_in_payloads_and_summaries() -> None:
    schema = EmotionPayload.model_json_schema()["properties"]["emotion"]
    assert tuple(schema["enum"]) == FACE_STATES


def schema_of(channel: Channel, document: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema of one channel's payload out of the document, with what it refers to."""
    message = document["channels"][channel.key]["messages"][channel.key]["$ref"].rsplit("/", 1)[1]
    return {
        **document["components"]["messages"][message]["payload"],
        "components": document["components"],
    }


def test_the_document_is_printed_as_it_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    asyncapi.main()
    assert capsys.readouterr().out == (DOCS / "asyncapi.json").read_text(encoding="utf-8")


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = asyncapi.document()
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        part: Any = document
        for key in reference.removeprefix("#/").split("/"):
            part = part[key]
        assert part


def fits(value: object, schema: dict[str, Any]) -> bool:
    """Whether a value is what a JSON schema describes."""
    import jsonschema  # loads for seconds, which every worker would do while it looks for tests

    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.suffix)
def test_examples_fit_model_and_document_and_a_changed_one_does_not(channel: Channel) -> None:
    schema = schema_of(channel, asyncapi.document())
    encoded = json.loads(
        channel.payload.model_validate(channel.example).model_dump_json(by_alias=True)
    )
    assert encoded == channel.example
    assert fits(encoded, schema)
    for broken in ({**encoded, "unknown": 1}, {k: v for k, v in encoded.items() if k != "schema"}):
        assert not fits(broken, schema)


def test_what_may_be_sent_is_what_the_validation_takes() -> None:
    schema = schema_of(INGEST, asyncapi.document())
    for given in (INGEST.example, [INGEST.example, {"kind": "systolic", "value": 120}]):
        assert fits(given, schema)
        for item in parse_payload(json.dumps(given).encode()):
            assert reading_of(item, AT, Origin("mqtt")).kind in VitalKind
    for broken in (
        {**INGEST.example, "unknown": 1},
        {"kind": "pulse", "value": 1},
        [],
        [{"kind": "systolic"}],
    ):
        assert not fits(broken, schema)


def test_the_guide_shows_every_topic_with_examples_that_fit() -> None:
    guide = (DOCS / "mqtt.md").read_text(encoding="utf-8")
    examples = dict(re.findall(r"### `([\w/]+)`.*?```json\n(.*?)```", guide, flags=re.DOTALL))
    assert set(examples) == {channel.suffix for channel in (*CHANNELS, INGEST, *COMMANDS)}
    for channel in (*CHANNELS, INGEST, *COMMANDS):
        assert json.loads(examples[channel.suffix]) == channel.example, channel.suffix
