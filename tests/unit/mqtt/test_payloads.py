"""Payloads of what is said over MQTT."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from edge_agent.alerts.watch import HERE
from edge_agent.core.expression import FACE_STATES
from edge_agent.core.movements import MOVEMENTS, WITHDRAWN
from edge_agent.core.readings import VitalFlag
from edge_agent.mqtt.payloads import (
    AlertsPayload,
    EmotionPayload,
    StatusPayload,
    emotion_payload,
    movements_payload,
    status_payload,
    vital_payload,
)
from tests.support.timeline import instant, movements, observation, reading, recognition

AT = instant(0.25)
ISO = "2026-09-21T14:20:00.250Z"


def test_the_emotion_of_the_primary_face_is_reported_with_its_probability() -> None:
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


def test_movements_pose_and_look_of_the_primary_face_are_published() -> None:
    face = observation(track=4, movements=movements(smile=1.0, yaw=-12.34, look_x=-0.4))
    said = movements_payload(recognition(0.25, face), simulated=True)
    assert said is not None
    message = json.loads(said.encode())
    strengths = message.pop("movements")
    assert (set(strengths), strengths["smile"]) == (set(MOVEMENTS) - WITHDRAWN, 1.0)
    assert message == {
        "schema": 1,
        "at": ISO,
        "track": 4,
        "pose": {"yaw": -12.3, "pitch": 0.0, "roll": 0.0},
        "look": {"look_x": -0.4, "look_y": 0.0},
        "simulated": True,
    }
    beside = replace(face, primary=False)
    away = observation(movements=replace(movements(yaw=50.0), only_pose=True))
    for faces in ((), (beside,), (observation(),), (away,)):
        assert movements_payload(recognition(0, *faces), simulated=True) is None


def test_a_reading_is_reported_with_unit_source_and_flags() -> None:
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


@pytest.mark.parametrize("kind", sorted(HERE))
def test_open_alert_of_each_kind_that_the_agent_watches_is_published(kind: str) -> None:
    alert = {"rule": "one", "kind": kind, "text": "x", "since": ISO, "acknowledged": False}
    said = AlertsPayload.model_validate({"at": ISO, "open": [alert]})
    assert json.loads(said.encode())["open"] == [alert]
