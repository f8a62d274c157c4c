"""The app for Home Assistant: its folder, and its start.

The schema is that of Home Assistant's developer documentation, "App configuration" and "App
translations" (2026: apps were add-ons before). ``make test-container`` runs the image.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

import edge_agent
from container.home_assistant import start
from edge_agent.config.loading import load_settings
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ConfigError
from edge_agent.core.process import StopRequest
from tests.support.home.supervisor import FORBIDDEN, MOSQUITTO, NONE, TOKEN, supervisor
from tools.build_release import ROOT, build_home_assistant, image_name

IMAGE = "registry.example/somebody/affect-edge"
LANGUAGES = {"en", "de", "es"}
KIND = (
    r"(str|password|int|float)(\((\d+)?,(\d+)?\))?|bool|email|url|port|match\(.*\)|list\(.+\)"
    r"|device(\(subsystem=[a-z]+\))?"
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AppConfig(Strict):
    """The keys that we use, with their documented types; the first five are required."""

    name: str
    version: str
    slug: str = Field(pattern=r"^[-_.A-Za-z0-9]+$")
    description: str
    arch: list[Literal["aarch64", "amd64"]]
    image: str
    stage: Literal["stable", "experimental", "deprecated"]
    ports: dict[str, int | None]
    webui: str = Field(pattern=r"^(https?|\[PROTO:\w+\])://\[HOST\]:\[PORT:\d+\].*$")
    watchdog: str = Field(pattern=r"^(https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(\[PORT:\d+\]|\d+).*$")
    timeout: int = Field(ge=10, le=300)
    tmpfs: bool
    video: bool
    services: list[Literal["mqtt:provide", "mqtt:want", "mqtt:need"]]
    backup: Literal["hot", "cold"]
    backup_exclude: list[str]
    options: dict[str, Any]
    schema_: dict[str, str | list[str]] = Field(alias="schema")


class Said(Strict):
    name: str
    description: str


class Translations(Strict):
    configuration: dict[str, Said]
    network: dict[str, str]


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_home_assistant(ROOT, tmp_path_factory.mktemp("dist") / "home-assistant", IMAGE)


@pytest.fixture
def config(repository: Path) -> AppConfig:
    return AppConfig.model_validate(read(repository / "affect-edge/config.yaml"))


def started(options: dict[str, Any], host: str, folder: Path) -> Settings:
    """Return the settings that the app would run with."""
    file = folder / "affect-edge.toml"
    file.write_text(start.configuration(options, host, TOKEN), encoding="utf-8")
    return load_settings(file)


def test_the_folder_is_a_repository_with_one_app(repository: Path) -> None:
    about = read(repository / "repository.yaml")
    assert about.keys() == {"name", "maintainer"}
    files = {path.relative_to(repository / "affect-edge").as_posix() for path in
             (repository / "affect-edge").rglob("*") if path.is_file()}  # fmt: skip
    pages = {"README.md", "DOCS.md", "CHANGELOG.md"}
    languages = {f"translations/{language}.yaml" for language in LANGUAGES}
    assert files == {"config.yaml", "icon.png"} | pages | languages
    for name in pages:
        text = (repository / "affect-edge" / name).read_text(encoding="utf-8")
        assert text.startswith("# ") and len(text) > 100, name
    assert "setup code" in (repository / "affect-edge/DOCS.md").read_text(encoding="utf-8")


def test_the_configuration_is_of_this_version_and_of_documented_keys(config: AppConfig) -> None:
    assert (config.version, config.image) == (edge_agent.__version__, IMAGE)
    assert sorted(config.arch) == ["aarch64", "amd64"]
    assert config.ports == {"8080/tcp": Settings().dashboard.port}
    assert config.webui == "https://[HOST]:[PORT:8080]"
    assert config.timeout > start.STOP_S
    for kinds in config.schema_.values():
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            assert re.fullmatch(rf"({KIND})\??", kind), kind


def test_every_option_has_a_default_of_its_kind_or_may_be_left_out(config: AppConfig) -> None:
    kinds = {"str": str, "bool": bool, "int": int, "float": float}
    for name, kind in config.schema_.items():
        if name not in config.options:
            assert str(kind).endswith("?"), name
        elif isinstance(kind, list):
            TypeAdapter(list[str]).validate_python(config.options[name], strict=True)
        elif kind.startswith("list("):
            assert config.options[name] in kind[5:-1].split("|")
        else:
            assert type(config.options[name]) is kinds[kind], name
    assert config.options.keys() <= config.schema_.keys()


def test_every_option_is_a_key_of_the_configuration(config: AppConfig) -> None:
    assert config.schema_.keys() == {*start.KEYS, start.MORE}
    for key in start.KEYS.values():
        fields = Settings.model_fields
        for part in key.split("."):
            fields = getattr(fields[part].annotation, "model_fields", {})


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_option_and_port_has_its_text(
    repository: Path, config: AppConfig, language: str
) -> None:
    file = repository / f"affect-edge/translations/{language}.yaml"
    said = Translations.model_validate(read(file))
    assert said.configuration.keys() == config.schema_.keys()
    assert said.network.keys() == config.ports.keys()


@pytest.mark.parametrize(
    "name", ["affect-edge", "registry.example/affect-edge", f"{IMAGE}:0.1.0", ""]
)
def test_a_name_that_home_assistant_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Exception, match=re.escape(repr(name))):
        image_name(name)


def test_an_unknown_key_would_fail_here(repository: Path) -> None:
    wrong = read(repository / "affect-edge/config.yaml") | {"webiu": "https://[HOST]:[PORT:80]"}
    with pytest.raises(ValidationError, match="webiu"):
        AppConfig.model_validate(wrong)


def test_the_defaults_are_settings_with_the_broker_of_home_assistant(
    config: AppConfig, tmp_path: Path
) -> None:
    with supervisor() as host:
        settings = started(config.options, host, tmp_path)
    mqtt = settings.mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls) == ("core-mosquitto", 1883, False)
    assert (mqtt.username, mqtt.password_text) == ("addons", MOSQUITTO["password"])
    assert (mqtt.protocol, mqtt.home_assistant) == ("3.1.1", True)
    assert settings.camera.source == "auto"
    assert settings.dashboard.names == ("homeassistant.local",)
    assert (settings.dashboard.host, str(settings.dashboard.key)) == (
        "0.0.0.0",
        "/data/tls/key.pem",
    )


def test_options_chosen_in_home_assistant_are_set(tmp_path: Path) -> None:
    chosen = {
        "device_name": "kitchen",
        "camera_source": "snapshot",
        "camera_device": "http://camera.local/picture.jpg",
        "simulated_vitals": True,
        "home_assistant": False,
        "host_names": ["ha.example.org", "Größe"],
        "more": ["record.keep_days = 30", 'mqtt.root = "home"'],
    }
    with supervisor() as host:
        settings = started(chosen, host, tmp_path)
    assert settings.device.name == "kitchen"
    assert settings.camera.source == "snapshot"
    assert settings.camera.device.reveal() == chosen["camera_device"]
    assert settings.vitals.simulated.enabled
    assert not settings.mqtt.home_assistant
    assert settings.dashboard.names == ("ha.example.org", "Größe")
    assert (settings.record.keep_days, settings.mqtt.root) == (30, "home")


@pytest.mark.parametrize(
    ("camera", "source", "device"),
    [
        ({"camera_source": "auto"}, "auto", "0"),
        ({"camera_source": "auto", "camera_device": ""}, "auto", "0"),
        ({"camera_source": "auto", "camera_device": "/dev/video2"}, "opencv", "/dev/video2"),
        ({"camera_source": "demo", "camera_device": "/dev/video2"}, "demo", "/dev/video2"),
    ],
)
def test_a_chosen_device_is_taken_unless_another_kind_is(
    camera: dict[str, str], source: str, device: str, tmp_path: Path
) -> None:
    with supervisor() as host:
        settings = started(camera, host, tmp_path)
    assert (settings.camera.source, settings.camera.device.reveal()) == (source, device)


def test_without_a_broker_it_records_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with supervisor(NONE) as host:
        assert not started({"home_assistant": True}, host, tmp_path).mqtt.enabled
    assert "no MQTT broker (Service not enabled)" in capsys.readouterr().err


def test_another_broker_is_taken_without_asking(tmp_path: Path) -> None:
    more = ['mqtt.host = "broker.example"', "mqtt.tls = true"]
    mqtt = started({"more": more}, "nobody.invalid", tmp_path).mqtt
    assert (mqtt.host, mqtt.tls, mqtt.username) == ("broker.example", True, None)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"camera": "auto"}, r"options camera: unknown\. Known: device_name, .*, more\."),
        ({"camera_source": "film"}, r"line 4: camera\.source = 'film'"),
        ({"device_name": "two words"}, r"device\.name = 'two words'"),
        ({"home_assistant": "perhaps"}, r"mqtt\.home_assistant = 'perhaps'"),
        ({"more": ["mqtt.comands = true"]}, r"mqtt\.comands: unknown key"),
        ({"more": ["keep thirty days"]}, r"option more, 'keep thirty days': Expected '='"),
        ({"more": ["dashboard.host = ''"]}, "more, .dashboard.host = ''.: Cannot overwrite"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(
    options: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with supervisor() as host, pytest.raises(ConfigError, match=named):
        started(options, host, tmp_path)


def test_home_assistant_that_refuses_or_is_silent_is_an_error(tmp_path: Path) -> None:
    with supervisor(FORBIDDEN) as host, pytest.raises(ConfigError, match="No access.*status 403"):
        started({}, host, tmp_path)
    with supervisor((200, {"result": "ok"})) as host, pytest.raises(ConfigError, match="no host"):
        started({}, host, tmp_path)
    with pytest.raises(ConfigError, match=rf"http://{host}/services/mqtt: no answer"):
        started({}, host, tmp_path)


def test_a_part_that_ends_ends_the_app_so_that_it_is_started_again(
    capfd: pytest.CaptureFixture[str],
) -> None:
    sleep = shutil.which("sleep") or "sleep"
    assert start.run([(sleep, "600"), (sys.executable, "-c", "exit(3)")], StopRequest()) == 1
    assert "ended (3)" in capfd.readouterr().err


def test_asked_to_stop_it_ends_everything_in_order(tmp_path: Path) -> None:
    stop = StopRequest()
    stop.set()
    assert start.run([("sh", "-c", "sleep 600")], stop) == 0


def test_the_parts_are_those_of_the_composition() -> None:
    services = read(ROOT / "container/compose.yaml")["services"]
    composed = [
        tuple(service.get("entrypoint") or ["affect-edge", *service["command"]])
        for name, service in services.items()
        if name != "broker"
    ]
    assert list(start.PARTS) == composed
