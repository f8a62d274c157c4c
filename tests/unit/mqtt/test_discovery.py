"""What Home Assistant is told: words that it knows, and templates that say None for no value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined

from edge_agent.core.expression import FACE_STATES
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.discovery import Component, Device, discovery_payload
from edge_agent.mqtt.incoming import CaptureCommand
from edge_agent.mqtt.payloads import StatePayload

# From Home Assistant 2025.1.4: DEVICE_CLASS_UNITS and DEVICE_CLASS_STATE_CLASSES in
# homeassistant/components/sensor/const.py. A class that is missing here is used by no entity.
UNITS: dict[str, set[str | None]] = {
    "duration": {"d", "h", "min", "s", "ms"},
    "enum": {None},
    "pressure": {*("Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi")},
    "temperature": {"°C", "°F", "K"},
}
STATE_CLASSES: dict[str, set[str | None]] = {
    "duration": {"measurement", "total", "total_increasing"},
    "enum": {None},
    "pressure": {"measurement"},
    "temperature": {"measurement"},
}
BINARY_CLASSES = {None, "running", "problem"}
"""Of BinarySensorDeviceClass in homeassistant/components/binary_sensor/__init__.py."""
COMMON = (
    "platform name unique_id availability availability_mode icon entity_category enabled_by_default"
)
STATE = "state_topic value_template device_class"
READ = f"{STATE} expire_after json_attributes_topic json_attributes_template"
KEYS = {
    "sensor": f"{READ} state_class unit_of_measurement suggested_display_precision options",
    "binary_sensor": f"{READ} payload_on payload_off",
    "button": "command_topic payload_press qos",
    "switch": f"{STATE} state_on state_off command_topic payload_on payload_off qos",
}
"""Of homeassistant/components/mqtt/{sensor,binary_sensor,button,switch,schemas}.py."""

LAB = Device("lab", root="home/affect", prefix="ha", version="1.2", commands=True, movements=True)
COMPONENTS = discovery_payload(LAB).components
SENSORS = {key: one for key, one in COMPONENTS.items() if one.platform == "sensor"}
READERS = {key: one for key, one in COMPONENTS.items() if one.platform != "button"}


def full_state() -> dict[str, Any]:
    """A message in which everything is known."""
    schema = StatePayload.model_config["json_schema_extra"]
    assert isinstance(schema, dict)
    example: Any = json.loads(json.dumps(schema["examples"]))[0]
    reading = example["vitals"]["heart_rate"]
    example["vitals"] = {kind.value: reading for kind in VitalKind}
    return dict(example)


def empty_state() -> dict[str, Any]:
    """A message in which nothing is known."""
    nothing = dict.fromkeys(full_state())
    return nothing | {"vitals": dict.fromkeys(map(str, VitalKind))}


def render(template: str, state: dict[str, Any]) -> str:
    environment = Environment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string(template).render(value_json=state)


def test_the_device_has_its_topics_and_is_known_again_by_root_and_name() -> None:
    payload = discovery_payload(LAB)
    assert (LAB.topic, LAB.birth_topic) == ("ha/device/home-affect-lab/config", "ha/status")
    assert (payload.device.identifiers, payload.device.name) == (["home-affect-lab"], "lab")
    assert payload.origin.sw_version == payload.device.sw_version == "1.2"
    for component in READERS.values():
        assert component.state_topic == "home/affect/lab/state"
        assert component.availability[0].topic == "home/affect/lab/status"


def test_each_entity_is_there_with_an_identifier_of_its_own() -> None:
    assert {f"share_{label}" for label in FACE_STATES} <= set(COMPONENTS)
    assert {str(kind) for kind in VitalKind} <= set(COMPONENTS)
    assert COMPONENTS["expression"].options == list(FACE_STATES)
    identifiers = [component.unique_id for component in COMPONENTS.values()]
    assert len(set(identifiers)) == len(identifiers)
    other = discovery_payload(Device("den", root="home/affect", prefix="ha", version="1.2"))
    assert not {one.unique_id for one in other.components.values()} & set(identifiers)


def test_home_assistant_knows_every_key_and_class() -> None:
    encoded = json.loads(discovery_payload(LAB).encode())["components"]
    for key, component in COMPONENTS.items():
        assert set(encoded[key]) <= set(f"{COMMON} {KEYS[component.platform]}".split()), key
    binary = [one for one in COMPONENTS.values() if one.platform == "binary_sensor"]
    assert {one.device_class for one in binary} <= BINARY_CLASSES


@pytest.mark.parametrize("kind", ["systolic", "diastolic", "mean_arterial"])
def test_blood_pressure_stays_in_mmhg_whatever_the_unit_system(kind: str) -> None:
    # Home Assistant converts what has a device class: 126 mmHg would be 4.96 inHg.
    assert SENSORS[kind].unit_of_measurement == "mmHg"
    assert SENSORS[kind].device_class is None


@pytest.mark.parametrize("key", sorted(SENSORS))
def test_unit_and_state_class_are_those_of_the_device_class(key: str) -> None:
    sensor = SENSORS[key]
    if sensor.device_class is not None:
        assert sensor.unit_of_measurement in UNITS[sensor.device_class]
        assert sensor.state_class in STATE_CLASSES[sensor.device_class]
    else:
        assert sensor.state_class == "measurement"
    # options and numbers exclude each other: sensor.validate_sensor_state_and_device_class_config
    assert (sensor.options is not None) == (sensor.device_class == "enum")


def state_of(component: Component, state: dict[str, Any]) -> str:
    assert component.value_template is not None
    return render(component.value_template, state)


@pytest.mark.parametrize("key", sorted(READERS))
def test_unknown_value_is_announced_as_none(key: str) -> None:
    assert state_of(READERS[key], empty_state()) == "None"


@pytest.mark.parametrize("key", sorted(READERS))
def test_what_is_known_has_the_form_that_its_class_wants(key: str) -> None:
    component = READERS[key]
    text = state_of(component, full_state())
    if component.platform == "binary_sensor":
        assert text in {component.payload_on, component.payload_off}
    elif component.platform == "switch":
        assert text in {component.state_on, component.state_off}
    elif component.options is not None:
        assert text in component.options
    else:
        float(text)


@pytest.mark.parametrize("state", [full_state(), empty_state()], ids=["known", "not known"])
def test_attributes_are_objects(state: dict[str, Any]) -> None:
    templates = [
        one.json_attributes_template
        for one in READERS.values()
        if one.json_attributes_template is not None
    ]
    assert len(templates) == len(VitalKind) + 2  # alarm and variability
    for template in templates:
        assert isinstance(json.loads(render(template, state)), dict)


def test_optional_sensor_is_announced_only_where_it_is_on() -> None:
    silent = discovery_payload(Device("lab", root="a", prefix="ha", version="1"))
    assert not {"switch", "button"} & {one.platform for one in silent.components.values()}
    assert "turned_away" not in silent.components  # only where movements are published
    assert COMPONENTS["turned_away"].enabled_by_default is False
    switch = COMPONENTS["capture"]
    assert switch.command_topic == "home/affect/lab/command/capture"
    for payload, action in ((switch.payload_on, "on"), (switch.payload_off, "off")):
        assert payload is not None
        assert CaptureCommand.model_validate_json(payload).action == action
    buttons = {key: one for key, one in COMPONENTS.items() if one.platform == "button"}
    assert set(buttons) == {
        "mark_baseline",
        "mark_stimulus_start",
        "mark_stimulus_end",
        "mark_note",
        "end_session",
    }
    for button in buttons.values():  # usable in a session only
        template = button.availability[1].value_template
        said = [render(template, full_state() | {"session": one}) for one in (True, False, None)]
        assert said == ["online", "offline", "offline"]


def test_values_expire_after_three_windows_and_not_before_half_a_minute() -> None:
    def expiry(window_s: float) -> int | None:
        device = Device("lab", root="a", prefix="ha", version="1", window_s=window_s)
        return discovery_payload(device).components["faces"].expire_after

    assert [expiry(window_s) for window_s in (1.0, 10.0, 60.0)] == [30, 30, 180]
