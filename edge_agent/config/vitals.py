"""The section ``[vitals]``: one table for each source of vitals."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.section import Editable, HomePath, Section
from edge_agent.core.vitals import SensorKind, VitalKind

StreamText = Annotated[
    str,
    # in the question for the stream it stands between quotation marks
    Field(min_length=1, max_length=190, pattern=r'^[^"\x00-\x1f]*$'),
]
SourceName = Annotated[str, Field(min_length=1, max_length=200)]


class SimulatedSettings(Section):
    """A simulated person for demonstrations; every row is marked `simulated`."""

    enabled: Editable[bool] = Field(
        False, title="Simulated readings", description="Whether simulated readings are recorded"
    )
    seed: Editable[int] = Field(
        1, ge=0, title="Seed of the simulated person", description="Seed of the simulated person"
    )
    heart_rate_seconds: Editable[float] = Field(
        1.0,
        gt=0,
        le=600,
        title="Time between simulated heart rates, seconds",
        description="Seconds between heart-rate readings",
    )
    pressure_seconds: Editable[float] = Field(
        30.0,
        gt=0,
        le=3600,
        title="Time between simulated pressures, seconds",
        description="Seconds between blood-pressure readings",
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
        "or thermometer"
    )
    keep_ecg: bool = Field(
        False,
        description="Whether the electrocardiogram of a Polar H10 is recorded, and not only its "
        "beats: 0.4 to 0.5 MB an hour",
    )
    body_motion: bool = Field(
        False,
        description="Whether the acceleration of a Polar H10, Verity Sense or OH1 is measured: how "
        "much its wearer moves, one value in five seconds, 50 kB an hour",
    )

    @model_validator(mode="after")
    def _has_what_is_asked_of_it(self) -> SensorSettings:
        options = [name for name in ("keep_ecg", "body_motion") if getattr(self, name)]
        if options and self.kind is not SensorKind.HEART_RATE:
            raise ValueError(
                f'{self.address}: {options[0]} goes with kind = "heart_rate"; it is '
                f"{self.kind.value!r}"
            )
        return self


class BluetoothSettings(Section):
    """Bluetooth sensors: straps and cuffs."""

    adapter: str | None = Field(
        None,
        pattern=r"^hci\d+$",
        description="Bluetooth adapter; left out: the first that is switched on",
    )
    devices: tuple[SensorSettings, ...] = Field(
        (), max_length=20, description="Sensors to connect to"
    )

    @model_validator(mode="after")
    def _each_once(self) -> BluetoothSettings:
        addresses = [device.address for device in self.devices]
        twice = next((address for address in addresses if addresses.count(address) > 1), None)
        if twice is not None:
            raise ValueError(f"devices name {twice} more than once; name each device once")
        return self


class StreamSettings(Section):
    """One channel of a numeric stream of the Lab Streaming Layer."""

    name: StreamText | None = Field(None, description="Name of the stream")
    type: StreamText | None = Field(
        None, description="Content type of the stream, such as EDA; with name, both must fit"
    )
    channel: Annotated[int, Field(ge=0)] | SourceName | None = Field(
        None,
        description="Label of the channel, or its number, the first is 0; left out: the only one",
    )
    unit: str | None = Field(
        None, max_length=40, description="Unit of its values; left out: the one that the stream has"
    )
    kind: VitalKind = Field(description="What it measures")

    @model_validator(mode="after")
    def _fits_together(self) -> StreamSettings:
        if self.name is None and self.type is None:
            raise ValueError("neither name nor type is given; give one, so that it is found")
        if self.name is not None and self.name.startswith("AffectEdge "):
            raise ValueError(
                f"name: {self.name!r} is a stream of Affect Edge; its readings are recorded there"
            )
        spec = self.kind.spec
        if self.unit is not None and spec.scale_of_stream(self.unit) is None:
            raise ValueError(
                f"unit: {self.unit!r} is no unit of {self.kind}; write one of "
                f"{', '.join(spec.stream_units)}"
            )
        return self


class LslVitalsSettings(Section):
    """Readings from streams of the Lab Streaming Layer."""

    streams: tuple[StreamSettings, ...] = Field(
        (), max_length=20, description="Channels of streams to record; needs install.sh --with lsl"
    )


class MqttVitalsSettings(Section):
    """Readings received from other devices over MQTT."""

    enabled: bool = Field(
        False, description="Whether to subscribe to ingest/vitals; needs mqtt.username"
    )


class ReplaySettings(Section):
    """A recording whose readings are played again; every one says `replayed` and `simulated`."""

    file: HomePath | None = Field(
        None, description="vital.csv of an export, or an affect-edge.db; left out: none"
    )
    speed: float = Field(
        1.0, ge=0.1, le=100, description="Seconds of the recording that are played in one second"
    )
    loop: bool = Field(False, description="Start again at the end")


class CameraPulseSettings(Section):
    """Heart rate estimated from the colour of the participant's face.

    Experimental, every reading says `estimated`.
    """

    enabled: Editable[bool] = Field(
        False,
        title="Estimate the pulse from the picture",
        description="Whether it is estimated; no reading where the signal is not clear",
    )


class VitalsSettings(Section):
    """The sources of readings of heart rate, blood pressure and the like."""

    simulated: SimulatedSettings = SimulatedSettings()
    bluetooth: BluetoothSettings = BluetoothSettings()
    lsl: LslVitalsSettings = LslVitalsSettings()
    mqtt: MqttVitalsSettings = MqttVitalsSettings()
    replay: ReplaySettings = ReplaySettings()
    camera_pulse: CameraPulseSettings = CameraPulseSettings()
    prefer_sources: Editable[tuple[SourceName, ...]] = Field(
        (),
        max_length=20,
        title="Preferred sources, the best first",
        description="Names of sources, the best first: where several measured the same in a "
        "session, an analysis takes the first of them that did. Left out: the one with the most "
        "readings without doubt",
    )
