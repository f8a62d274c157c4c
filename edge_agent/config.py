"""The configuration: pydantic models of ``affect-edge.toml`` and its environment overrides.

Every key has a default, so that no file at all is a valid configuration. ``load_settings`` reads
the file, lays the environment (``AFFECT_EDGE_CAMERA__SOURCE=demo``) over it, and turns whatever is
wrong into one ``ConfigError`` that names key, value, what is allowed, and the line.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from edge_agent.core.errors import ConfigError
from edge_agent.core.sensors import SensorKind
from edge_agent.core.study import Purpose

ENV_PREFIX = "AFFECT_EDGE_"
ENV_DELIMITER = "__"
SYSTEM_FILE = Path("/etc/affect-edge/affect-edge.toml")

TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")]


def at_home(path: Path) -> Path:
    """Return a path with ``~`` and ``~user`` resolved.

    Raises:
        ConfigError: nobody knows that home folder.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: there is no such home folder. Write the whole path.") from error


def _has_home(value: str | Path) -> str | Path:
    try:
        at_home(Path(value))
    except ConfigError as error:
        raise ValueError(str(error).removesuffix(".")) from error
    return value


HomePath = Annotated[Path, AfterValidator(_has_home)]
HomeText = Annotated[str, Field(min_length=1), AfterValidator(_has_home)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_zero_byte(cls, value: Any) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise ValueError("a text may not hold a zero byte")
        return value


class DeviceSettings(Section):
    """Which appliance this is."""

    name: str = Field(
        "affect-edge",
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Name in MQTT topics and on pages",
    )


class DataSettings(Section):
    """Where things are kept."""

    folder: HomePath = Field(
        Path("~/.local/share/affect-edge"), description="Folder of the database; `--data` wins"
    )


class CameraSettings(Section):
    """Where frames come from."""

    source: Literal["auto", "picamera2", "opencv", "pictures", "demo"] = Field(
        "auto", description="Kind of camera"
    )
    device: HomeText = Field(
        "0", description="opencv: device number or path, video file, rtsp:// or http://"
    )
    folder: HomePath = Field(
        Path("pictures"), description="pictures: folder whose pictures are shown in name order"
    )
    width: int = Field(640, ge=160, le=4096, description="Width asked of the camera, pixels")
    height: int = Field(480, ge=120, le=3072, description="Height asked of the camera, pixels")
    fps: float = Field(
        15.0, gt=0, le=120, description="Frames per second asked of the camera, and of files"
    )
    loop: bool = Field(
        False, description="Start video files and picture folders again at their end"
    )
    rotate: Literal[0, 90, 180, 270] = Field(
        0, description="Clockwise rotation of every frame, degrees"
    )
    stall_seconds: float = Field(
        5.0, ge=1, le=60, description="Without a frame for this long the camera is reopened"
    )


class VisionSettings(Section):
    """How faces are found and read."""

    expression_model: HomeText = Field(
        "expression-accurate", description="Name of a shipped model, or path of a card"
    )
    detector: Literal["tflite", "yunet"] = Field(
        "tflite", description="Kind of face detector; yunet runs in OpenCV"
    )
    detector_model: HomeText = Field(
        "face-detector",
        description="Name of a shipped model, or path of a card; yunet: path of its ONNX file",
    )
    threads: int = Field(1, ge=1, le=8, description="Threads of one inference")
    cpu_budget: float = Field(
        0.4, ge=0.01, le=8, description="Cores that reading may use; above, fewer frames are read"
    )
    face_score: float | None = Field(
        None, gt=0, lt=1, description="Least detector score; left out: the model card's"
    )
    min_face: int = Field(
        24, ge=8, le=1000, description="Smallest face read, longer side in pixels of the frame"
    )
    max_faces: int = Field(8, ge=1, le=50, description="Most faces read in a frame")
    uncertain_below: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Below this probability a face is uncertain; left out: the model card's",
    )
    smoothing_seconds: float = Field(
        0.6, ge=0, le=10, description="Time constant of the smoothing; 0 is none"
    )
    hysteresis: float = Field(
        0.08, ge=0, le=0.5, description="Lead a new label needs over the present one"
    )
    dwell_seconds: float = Field(
        0.5, ge=0, le=10, description="Least time between two changes of a label"
    )
    confirm_frames: int = Field(
        3, ge=1, le=30, description="Frames in a row, or two 0.3 s apart, that a new face needs"
    )
    memory_seconds: float = Field(
        1.5, ge=0.1, le=10, description="A hidden face keeps its track for this long"
    )
    gate: bool = Field(
        True,
        description="Only count faces cut off, too small, turned away, badly lit or blurred "
        "to be read",
    )

    @model_validator(mode="after")
    def _file_of_its_kind(self) -> VisionSettings:
        onnx = self.detector_model.lower().endswith(".onnx")
        if self.detector == "yunet" and not onnx:
            raise ValueError(
                'detector = "yunet" needs the path of YuNet\'s ONNX file in detector_model, '
                f"not {self.detector_model!r}"
            )
        if self.detector == "tflite" and onnx:
            raise ValueError(
                f'detector_model {self.detector_model!r} is an ONNX file; say detector = "yunet" with it'
            )
        return self


class RecordSettings(Section):
    """What is written to the timeline, and how long it is kept."""

    interval: float = Field(
        1.0, ge=0, le=60, description="Seconds in one expression row; 0 records every frame"
    )
    batch_rows: int = Field(60, ge=1, le=10_000, description="Rows in one transaction at the most")
    batch_seconds: float = Field(
        10.0, ge=0.1, le=60, description="Seconds between transactions at the most"
    )
    keep_days: int = Field(
        90, ge=1, le=36_500, description="Days that expression rows are kept; rollups stay"
    )
    budget_mb: int = Field(
        10_000,
        ge=300,
        le=100_000_000,
        description="MB that the database and its copies may take; the oldest rows go",
    )


class CaptureSettings(Section):
    """When the camera is read."""

    mode: Literal["continuous", "sessions"] = Field(
        "continuous", description="Always, or only in an open session"
    )


class SimulatedSettings(Section):
    """A made-up person for demonstrations; every row says `simulated`."""

    enabled: bool = Field(False, description="Whether simulated readings are recorded")
    seed: int = Field(1, ge=0, description="Seed of the made-up person")
    heart_rate_seconds: float = Field(
        1.0, gt=0, le=600, description="Seconds between heart-rate readings"
    )
    pressure_seconds: float = Field(
        30.0, gt=0, le=3600, description="Seconds between blood-pressure readings"
    )


class SensorSettings(Section):
    """A Bluetooth strap or cuff."""

    address: Annotated[
        str, Field(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"), AfterValidator(str.upper)
    ] = Field(
        description="Its Bluetooth address, such as A0:9E:1A:00:00:01; `affect-edge vitals scan` "
        "shows it"
    )
    kind: SensorKind = Field(
        description="What it is: heart_rate (a strap), blood_pressure (a cuff), pulse_oximeter "
        "or thermometer (of the skin)"
    )


class BluetoothSettings(Section):
    """Straps and cuffs that speak Bluetooth."""

    adapter: str | None = Field(
        None, pattern=r"^hci\d+$", description="Adapter; left out: the first switched on"
    )
    devices: tuple[SensorSettings, ...] = Field(
        (), max_length=20, description="Straps and cuffs to be connected"
    )

    @model_validator(mode="after")
    def _each_once(self) -> BluetoothSettings:
        addresses = [device.address for device in self.devices]
        twice = next((address for address in addresses if addresses.count(address) > 1), None)
        if twice is not None:
            raise ValueError(f"devices name {twice} more than once; name each device once")
        return self


class MqttVitalsSettings(Section):
    """Readings that other devices hand in over MQTT."""

    enabled: bool = Field(
        False, description="Whether ingest/vitals is listened to; needs mqtt.username"
    )


class ReplaySettings(Section):
    """A recording whose readings are played again; every one says `replayed` and `simulated`."""

    file: HomePath | None = Field(
        None, description="vital.csv of an export, or an affect-edge.db; left out: none"
    )
    speed: float = Field(
        1.0, ge=0.1, le=100, description="Seconds of the recording that pass in one"
    )
    loop: bool = Field(False, description="Begin again at its end")


class CameraPulseSettings(Section):
    """Heart rate estimated from the colour of the participant's face.

    Experimental, every reading says `estimated`.
    """

    enabled: bool = Field(
        False, description="Whether it is estimated; silent where the signal is not clear"
    )


class VitalsSettings(Section):
    """Where heart rate and blood pressure come from."""

    simulated: SimulatedSettings = SimulatedSettings()
    bluetooth: BluetoothSettings = BluetoothSettings()
    mqtt: MqttVitalsSettings = MqttVitalsSettings()
    replay: ReplaySettings = ReplaySettings()
    camera_pulse: CameraPulseSettings = CameraPulseSettings()


class MqttSettings(Section):
    """The broker that summaries go to."""

    enabled: bool = Field(
        True, description="Whether anything is published; an unreachable broker is no error"
    )
    host: str = Field("127.0.0.1", min_length=1, description="Name or address of the broker")
    port: int = Field(1883, ge=1, le=65535, description="Its port; 8883 is usual with TLS")
    username: str | None = Field(None, min_length=1, description="Account at the broker")
    password: SecretStr | None = Field(
        None, description="Its password; better given by password_file"
    )
    password_file: Path | None = Field(None, description="File whose first line is the password")
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate")
    ca_file: Path | None = Field(
        None, description="Certificate authority of the broker; left out: the system's"
    )
    root: TopicName = Field("affect-edge", description="First part of every topic")
    protocol: Literal["3.1.1", "5"] = Field("5", description="Version of MQTT")
    keepalive: int = Field(30, ge=5, le=3600, description="Seconds between signs of life")
    outbox_rows: int = Field(
        50_000, ge=100, le=10_000_000, description="Messages kept while the broker is away"
    )
    commands: bool = Field(
        False, description="Whether command/… may run sessions and set markers; needs a username"
    )

    @model_validator(mode="after")
    def _one_password(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give either password or password_file, not both")
        return self


class SummarySettings(Section):
    """The windows that are published."""

    window: float = Field(10.0, ge=1, le=3600, description="Seconds in one summary")


class DashboardSettings(Section):
    """The web dashboard."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 is the whole network"
    )
    port: int = Field(8080, ge=1, le=65535, description="Port to listen on")
    certificate: Path | None = Field(
        None, description="TLS certificate (PEM); needed beyond this machine"
    )
    key: Path | None = Field(None, description="Private key of the certificate (PEM)")
    session_hours: int = Field(12, ge=1, le=720, description="Hours until a login ends")
    purposes: tuple[Purpose, ...] = Field(
        tuple(Purpose), min_length=1, description="Purposes offered for sessions"
    )
    protocols: HomePath | None = Field(
        None, description="Folder of protocol files; left out: the shipped examples"
    )

    @model_validator(mode="after")
    def _certificate_with_key(self) -> DashboardSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both or neither")
        return self


class Settings(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        env_parse_none_str="none",
    )
    file: ClassVar[Path | None] = None

    device: DeviceSettings = DeviceSettings()
    data: DataSettings = DataSettings()
    camera: CameraSettings = CameraSettings()
    capture: CaptureSettings = CaptureSettings()
    vision: VisionSettings = VisionSettings()
    record: RecordSettings = RecordSettings()
    vitals: VitalsSettings = VitalsSettings()
    summary: SummarySettings = SummarySettings()
    mqtt: MqttSettings = MqttSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @model_validator(mode="after")
    def _only_known_senders(self) -> Settings:
        if self.vitals.mqtt.enabled and not (self.mqtt.enabled and self.mqtt.username):
            raise ValueError(
                "vitals.mqtt.enabled takes readings from the broker, which must know who sends "
                "them: set mqtt.username and its password, and let the broker refuse visitors "
                "without a name"
            )
        if self.mqtt.commands and not (self.mqtt.enabled and self.mqtt.username):
            raise ValueError(
                "mqtt.commands lets the broker's users run sessions, and it must know who they "
                "are: set mqtt.username and its password, and let the broker refuse visitors "
                "without a name"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic names it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: values given by a command, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, cls.file)


def load_settings(
    file: Path | None = None, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Settings:
    """Read the configuration.

    Args:
        file: the TOML file; ``None`` takes ``/etc/affect-edge/affect-edge.toml`` where that exists,
            else the defaults.
        changes: section → key → value, laid over file and environment (what a command's options
            say).

    Raises:
        ConfigError: the file cannot be read, a key is unknown or a value is not allowed.
    """
    path = file or (SYSTEM_FILE if SYSTEM_FILE.exists() else None)
    text = _read_toml(path)
    _refuse_unknown_environment()
    source = type("FileSettings", (Settings,), {"file": path, "__module__": __name__})
    try:
        loaded: Settings = source(
            **{section: dict(values) for section, values in (changes or {}).items()}
        )
    except ValidationError as error:
        raise ConfigError(
            "\n".join(_describe(detail, path, text, changes or {}) for detail in error.errors())
        ) from error
    except ValueError as error:  # an environment value that should be JSON and is not
        raise ConfigError(_describe_environment(str(error))) from error
    return loaded


def _read_toml(path: Path | None) -> str:
    """Return the file's text after checking that it is TOML; empty without a file."""
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith("\ufeff"):
            raise ConfigError(
                f"{path}: begins with a byte order mark. Save it as UTF-8 without one."
            )
        tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file. Copy config/affect-edge.toml there, or leave --config out."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Give a TOML file that this user may read."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: is not UTF-8 text (byte {error.start}). Save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: is not valid TOML: {error}. Text values stand in quotes."
        ) from error
    return text


def _refuse_unknown_environment() -> None:
    """Raise for ``AFFECT_EDGE_…`` variables that name no section, which pydantic-settings would
    pass over.
    """
    for name in os.environ:
        if not name.startswith(ENV_PREFIX):
            continue
        section = name.removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)[0]
        if section not in Settings.model_fields:
            raise ConfigError(
                f"environment {name}: there is no section {section!r}. Sections: "
                f"{', '.join(Settings.model_fields)}; write {ENV_PREFIX}SECTION{ENV_DELIMITER}KEY."
            )


def _describe_environment(said: str) -> str:
    """Name the variables of the section whose value pydantic-settings could not take apart."""
    section = re.search(r'field "(\w+)"', said)
    start = ENV_PREFIX + (section[1].upper() if section else "")
    names = sorted(name for name in os.environ if name.upper().startswith(start))
    return f'environment {", ".join(names)}: a list or table is not valid JSON. Write it like ["research"].'


def _describe(
    detail: ErrorDetails, path: Path | None, text: str, changes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Say where an error lies, which key and value it is about, and what is allowed."""
    keys = [str(part) for part in detail["loc"] if part != "function-after"]
    known, allowed = _known_keys(keys)
    where = _where(keys, path, text, changes)
    name = ".".join(keys)
    if detail["type"] == "extra_forbidden":
        return f"{where}{name}: unknown key. Known here: {', '.join(known)}."
    shown = "…" if "password" in name else repr(detail["input"])
    value = "" if detail["type"] == "value_error" else f" = {shown}"
    said = f"{detail['msg'][0].lower()}{detail['msg'][1:]}{allowed}."
    if name:
        return f"{where}{name}{value}: {said}"
    return f"{where}{said.removeprefix('value error, ')}"


def _known_keys(keys: list[str]) -> tuple[list[str], str]:
    """Return the keys of the table that ``keys`` lies in, and the description of the key itself."""
    fields = Settings.model_fields
    for key in keys:
        if key.isdecimal():  # the place in a list of tables
            continue
        if key not in fields:
            break
        annotation = fields[key].annotation
        inner = next((part for part in get_args(annotation) if part is not Ellipsis), annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return list(fields), f" ({fields[key].description})"
        fields = inner.model_fields
    return list(fields), ""


def _where(
    keys: list[str], path: Path | None, text: str, changes: Mapping[str, Mapping[str, Any]]
) -> str:
    """Say which source the value came from: the command, the environment, or a line of the file."""
    if len(keys) > 1 and keys[1] in changes.get(keys[0], {}):
        return "command line: "
    for depth in range(len(keys), 0, -1):
        variable = ENV_PREFIX + ENV_DELIMITER.join(keys[:depth]).upper()
        found = next((name for name in os.environ if name.upper() == variable), None)
        if found:
            return f"environment {found}: "
    line = line_of_key(text, keys)
    if line:
        return f"{path}, line {line}: "
    if path:
        return f"{path}: "
    return ""


def line_of_key(text: str, keys: list[str]) -> int | None:
    """Return the 1-based line on which ``keys`` (section, …, key) stands in a TOML text, or the
    nearest table above.
    """
    table: list[str] = []
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            here = table
        else:
            assignment = re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line)
            if not assignment:
                continue
            here = table + [part.strip("\"'") for part in assignment[1].split(".")]
        if here == keys[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    if best:
        return best[1]
    return None
