"""The configuration file: overrides, and what a person reads when something in it is wrong;
`tests/contracts` walks the keys.
"""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from edge_agent.config.environment import read_environment
from edge_agent.config.loading import line_of_key, load_right_part, load_settings, why_removed
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ConfigError
from edge_agent.core.vitals import SensorKind


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("edge_agent.config.loading.SYSTEM_FILE", tmp_path / "absent.toml")


def write(folder: Path, text: str) -> Path:
    file = folder / "affect-edge.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problem(file: Path | None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, strict=True)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[vision]\nwhose = "seat"', "seat"),
        ('[camera]\nsource = "opencv"\ndevice = "rtsp:///live"', "device"),
        ('[camera]\nsource = "snapshot"\ndevice = "http://a:b/c@host/p.jpg"', "device"),
    ],
)
def test_file_of_an_earlier_release_starts_with_a_doubt(
    tmp_path: Path, text: str, key: str
) -> None:
    file = write(tmp_path, text)
    settings = load_settings(file)
    assert (key in settings.doubt, settings.vision.whose) == (True, "leading")
    assert settings.doubt == problem(file)


def test_camera_that_leads_nowhere_stays_the_one_that_is_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path, '[camera]\nsource = "opencv"\ndevice = "rtsp:///live"')
    assert load_settings(file).camera.device.reveal() == "rtsp:///live"


def test_doubt_hides_no_other_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fsp"):
        load_settings(write(tmp_path, '[camera]\nfsp = 3\n[vision]\nwhose = "seat"'))


@pytest.mark.parametrize(("whose", "seat"), [("leading", None), ("seat", (0.15, 0.05, 0.7, 0.9))])
def test_former_default_seat_is_drawn_only_where_it_is_asked_for(
    tmp_path: Path, whose: str, seat: tuple[float, ...] | None
) -> None:
    text = f'[vision]\nwhose = "{whose}"\nseat = [0.15, 0.05, 0.7, 0.9]'
    assert load_settings(write(tmp_path, text)).vision.seat == seat


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[camera]\nsource = 'demo'\nfsp = 3", r"line 3: camera\.fsp: unknown key.*fps"),
        ("[camra]\nsource = 'demo'", "line 1: camra: unknown key.*camera"),
        ("# top\n[camera]\nsource = 'webcam'", "line 3: camera.source = 'webcam'.*or 'demo'"),
        (
            "[vitals.simulated]\nenabled = true\nseed = -3",
            "line 3: vitals.simulated.seed = -3: input should be greater than or equal to 0",
        ),
        ("[mqtt]\npassword = ['hunter2']", "mqtt.password = …"),
        ("[mqtt]\npassword = 'hunter2'\npassword_file = '/p'", "give either password or"),
        ("[mqtt]\ntls = true\nclient_certificate = 'c'", "and client_key, or neither"),
        ("[mqtt]\ntls = true\nclient_key = 'k'", "and client_key, or neither"),
        ("[mqtt]\nclient_certificate = 'c'\nclient_key = 'k'", "set tls = true"),
        ('[mqtt]\nwebsocket_path = "mqtt"', "line 2: mqtt.websocket_path: .*begins with /"),
        ('[mqtt]\nwebsocket_path = "/a b"', "line 2: mqtt.websocket_path: .*begins with /"),
        ('[mqtt]\nwebsocket_path = "/a\\r\\nHost: b"', "mqtt.websocket_path: .*begins with /"),
        ('[mqtt]\nwebsocket_path = "/#mqtt"', "line 2: mqtt.websocket_path: .*begins with /"),
        ("[dashboard]\ncertificate = 'c.pem'", "certificate and key go together"),
        ('[vision]\ndetector = "yunet"', "needs the path of YuNet's ONNX .*not 'face-detector'"),
        ('[vision]\ndetector_model = "y.onnx"', 'is an ONNX file; say detector = "yunet"'),
        ('[vision]\nwhose = "seat"', 'whose = "seat" needs a seat: left, top, width'),
        ("[vision]\nseat = [0.5, 0.1, 0.6, 0.2]", "does not lie in the picture"),
        ('[vision]\ndetector = "haar"', "line 2: vision.detector = 'haar'.*'tflite' or 'yunet'"),
        ('[data]\nfolder = "a\\u0000b"', "line 2: data.folder: .*may not hold a zero byte"),
        ('[mqtt]\nusername = "a\\u0000b"', "line 2: mqtt.username: .*may not hold a zero byte"),
        ("[data]\nfolder = '~nobody-such/x'", "line 2: data.folder: .*~nobody-such/x: there is no"),
        ("[camera]\ndevice = '~nobody-such/x'", "line 2: camera.device: .*~nobody-such/x: there"),
    ],
)
def test_wrong_value_is_named_with_its_line_and_allowed_values(
    tmp_path: Path, text: str, said: str
) -> None:
    told = problem(write(tmp_path, text))
    assert re.search(said, told)
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CAMERA__FPS", "fast", "AFFECT_EDGE_CAMERA__FPS: camera.fps = 'fast'"),
        ("CAMRA__FPS", "5", "AFFECT_EDGE_CAMRA__FPS: there is no section 'camra'.*camera"),
        ("CAMERA__FSP", "5", "AFFECT_EDGE_CAMERA__FSP: camera.fsp: unknown key"),
        ("CAMERA", "demo", "AFFECT_EDGE_CAMERA: a list or table is not valid JSON"),
        (
            "DASHBOARD__PURPOSES",
            "research",
            "environment AFFECT_EDGE_DASHBOARD__PURPOSES: a list or table is not valid JSON",
        ),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"AFFECT_EDGE_{name}", value)
    assert re.search(said, problem(None))


STRAP = {"address": "A0:9E:1A:00:00:01", "kind": "heart_rate"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"mqtt__PORT": "1884", "MQTT__HOST": "b"}, {"mqtt": {"port": "1884", "host": "b"}}),
        ({"MQTT__USERNAME": "none", "CAMERA": "none"},
         {"mqtt": {"username": None}, "camera": None}),
        ({"MQTT__TOPICS_OFF": '["health"]'}, {"mqtt": {"topics_off": ["health"]}}),
        ({"VITALS": '{"Simulated": {"ENABLED": true}}', "VITALS__SIMULATED__SEED": "7"},
         {"vitals": {"simulated": {"enabled": True, "seed": "7"}}}),
        ({"VITALS__SIMULATED": '{"seed": 7}', "VITALS__SIMULATED__ENABLED": "true"},
         {"vitals": {"simulated": {"seed": 7, "enabled": "true"}}}),
        ({"VITALS__BLUETOOTH__DEVICES": f"[{json.dumps(STRAP)}]"},
         {"vitals": {"bluetooth": {"devices": [STRAP]}}}),
        ({"CONTROL__CODES__1": "anger:start", "CONTROL__SERIAL_PORT": "[1"},
         {"control": {"codes": {"1": "anger:start"}, "serial_port": "[1"}}),
        ({"FLEET": "null", "CAMERA__FPS__X": "1", "DATA__FOLDER": ""},
         {"camera": {"fps": {"x": "1"}}, "data": {"folder": ""}}),
        ({"CAMRA__FPS": "1"}, {}),
    ],
)  # fmt: skip
def test_variables_are_read_as_tables_lists_and_texts(
    variables: dict[str, str], expected: dict[str, object]
) -> None:
    named = {f"AFFECT_EDGE_{name}": value for name, value in variables.items()}
    assert read_environment(Settings, named) == expected


def test_the_environment_changes_single_keys_of_the_files_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_VITALS", '{"simulated": {"seed": 7}}')
    monkeypatch.setenv("affect_edge_mqtt__port", "1884")
    file = write(tmp_path, "[mqtt]\nhost = 'b'\n[vitals.simulated]\nenabled = true\nseed = 3\n")
    loaded = load_settings(file, {"mqtt": {"keepalive": 30}})
    assert (loaded.mqtt.host, loaded.mqtt.port, loaded.mqtt.keepalive) == ("b", 1884, 30)
    assert (loaded.vitals.simulated.enabled, loaded.vitals.simulated.seed) == (True, 7)
    assert (loaded.file, loaded.model_fields_set) == (file, {"mqtt", "vitals"})


def devices(folder: Path, *entries: str) -> Path:
    return write(
        folder,
        "[vitals.bluetooth]\ndevices = "
        "[\n" + "".join(f"  {{ {entry} }},\n" for entry in entries) + "]\n",
    )


def test_bluetooth_devices_are_read_from_the_lines_of_the_scan(tmp_path: Path) -> None:
    strap = 'address = "a0:9e:1a:00:00:01", kind = "heart_rate"'
    cuff = 'address = "A4:C1:38:00:00:02", kind = "blood_pressure"'
    found = load_settings(devices(tmp_path, strap, cuff)).vitals.bluetooth.devices
    assert [(device.address, device.kind) for device in found] == [
        ("A0:9E:1A:00:00:01", SensorKind.HEART_RATE),
        ("A4:C1:38:00:00:02", SensorKind.BLOOD_PRESSURE),
    ]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            'address = "A0:9E:1A:00:00:01", kind = "strap"',
            "0.kind = 'strap': input should be 'heart_rate', 'blood_p",
        ),
        (
            'address = "A0-9E-1A-00-00-01", kind = "heart_rate"',
            "0.address = 'A0-9E-1A-00-00-01': is not written as it should be (Its ",
        ),
        (
            'address = "A0:9E:1A:00:00:01"',
            "0.kind = {'address': 'A0:9E:1A:00:00:01'}: field required",
        ),
        (
            'adress = "A0:9E:1A:00:00:01"',
            "0.adress: unknown key. Known here: address, kind, keep_ecg, body_motion.",
        ),
        (
            'address = "A0:9E:1A:00:00:01", kind = "thermometer", keep_ecg = true',
            '0: A0:9E:1A:00:00:01: keep_ecg goes with kind = "heart_rate"',
        ),
        (
            'address = "A0:9E:1A:00:00:01", kind = "thermometer", body_motion = true',
            '0: A0:9E:1A:00:00:01: body_motion goes with kind = "heart_rate"',
        ),
    ],
)
def test_a_wrong_bluetooth_device_is_named_with_its_line(
    tmp_path: Path, entry: str, expected: str
) -> None:
    assert f"line 2: vitals.bluetooth.devices.{expected}" in problem(devices(tmp_path, entry))


def test_a_bluetooth_device_is_named_once(tmp_path: Path) -> None:
    twice = [
        f'address = "{address}", kind = "heart_rate"'
        for address in ("A0:9E:1A:00:00:01", "a0:9e:1a:00:00:01")
    ]
    assert "devices name A0:9E:1A:00:00:01 more than once" in problem(devices(tmp_path, *twice))


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    said = problem(write(tmp_path, "[mqtt]\nport = 0\n[dashboard]\nport = 70000\n"))
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[camera\n", "is not valid TOML"),
        (b"[device]\nname = lab\n", "Correct that line; text values need quotes."),
        (b"[mqtt]\nhome_assistant = yes  # now\n", "Correct that line; a switch is true or false."),
        (b"[device]\nname = 'my lab'\n", "'my lab': letters, digits, - and _, 40 at most (Name"),
        (b"[mqtt]\nroot = 'a b'\n", "'a b': letters, digits, - and _, in parts divided by / (F"),
        (b"[vitals.bluetooth]\nadapter = '0'\n", "'0': write it like hci0 (Bluetooth adapter"),
        (b"\xef\xbb\xbf[camera]\n", "byte order mark. Save it as UTF-8 without one"),
    ],
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    said = problem(file)
    assert str(file) in said
    assert expected in said


def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_CAMERA__FPS", "5")
    monkeypatch.setenv("AFFECT_EDGE_VITALS__SIMULATED__ENABLED", "true")
    loaded = load_settings(write(tmp_path, "[camera]\nfps = 9.0\nsource = 'demo'\n"))
    assert (loaded.camera.fps, loaded.camera.source, loaded.vitals.simulated.enabled) == (
        5.0,
        "demo",
        True,
    )


def test_what_a_command_says_wins_over_environment_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_DASHBOARD__PORT", "8081")
    file = write(tmp_path, "[dashboard]\nport = 8082\nsession_hours = 3\n")
    loaded = load_settings(file, {"dashboard": {"port": 8083}})
    assert (loaded.dashboard.port, loaded.dashboard.session_hours) == (8083, 3)


def test_a_wrong_value_of_a_command_is_reported_to_come_from_there() -> None:
    with pytest.raises(ConfigError, match="command line: dashboard.port = 0"):
        load_settings(None, {"dashboard": {"port": 0}})


def test_without_a_file_the_system_file_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "[device]\nname = 'kitchen'\n")
    monkeypatch.setattr("edge_agent.config.loading.SYSTEM_FILE", file)
    assert load_settings().device.name == "kitchen"
    assert stat.S_ISREG(file.stat().st_mode)


def test_the_line_of_a_dotted_key_is_found() -> None:
    assert line_of_key("a = 1\nvitals.simulated.seed = 2\n", ["vitals", "simulated", "seed"]) == 2
    assert line_of_key("[camera]\n", ["mqtt", "port"]) is None


@pytest.mark.parametrize(
    ("text", "fps", "name"),
    [
        ("[camera]\nfpss = 3\nfps = 7.0\n[device]\nname = 'lab'", 7.0, "lab"),
        ("[camera]\nfps = 'many'\n[device]\nname = 'lab'", 15.0, "lab"),
        ("[cam]\nfps = 3\n[device]\nname = 'lab'", 15.0, "lab"),
        ("camera = 3\n[device]\nname = 'lab'", 15.0, "lab"),
        ("[mqtt]\ncommands = true\n[device]\nname = 'lab'", 15.0, "affect-edge"),
        ("[camera\nfps = 3", 15.0, "affect-edge"),
    ],
)
def test_what_is_right_is_read_for_the_doctor_beside_what_is_wrong(
    tmp_path: Path, text: str, fps: float, name: str
) -> None:
    settings, error = load_right_part(write(tmp_path, text))
    assert error is not None
    assert (settings.camera.fps, settings.device.name) == (fps, name)


def test_a_right_file_has_no_error_and_a_wrong_variable_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path, "[camera]\nfps = 7.0")
    settings, error = load_right_part(file)
    assert (settings.model_dump(), error) == (load_settings(file).model_dump(), None)
    monkeypatch.setenv("AFFECT_EDGE_RECORD__KEEP_DAYS", "many")
    settings, error = load_right_part(file)
    assert "AFFECT_EDGE_RECORD__KEEP_DAYS" in str(error)
    assert settings.camera.fps == 7.0


def test_the_longest_name_decides() -> None:
    removed = {"updates": "Use update FILE.", "updates.url": "Download it."}
    assert why_removed("updates.url", removed) == "Download it."
    assert why_removed("updates.at", removed) == "Use update FILE."
    assert why_removed("camera.fps", removed) is None
