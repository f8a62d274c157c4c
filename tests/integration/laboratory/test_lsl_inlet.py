"""Numeric streams of the Lab Streaming Layer become readings: rate, unit, times, gaps, errors."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.appliance.doctor import diagnose
from edge_agent.appliance.findings import Verdict
from edge_agent.config.loading import load_settings
from edge_agent.config.vitals import StreamSettings
from edge_agent.core import clock
from edge_agent.core.errors import VitalsError
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.lsl.inlet import OfferedStream, check_streams, configured_lsl
from tests.support.timeline import wait_for

pylsl: Any = pytest.importorskip("pylsl", reason="pylsl is not installed", exc_type=ImportError)

RATE_HZ = 128
WITHIN_MS = 5
BRIDGE = OfferedStream("Bridge", "Physio", 100.0, False, (("EDA", "uS"), ("skin", "furlong")))


def outlet(name: str, rate_hz: float, *channels: tuple[str, str], source_id: str = "") -> Any:
    """A stream as a laboratory's program offers it."""
    info = pylsl.StreamInfo(name, "Physio", len(channels), rate_hz, pylsl.cf_float32, source_id)
    described = info.desc().append_child("channels")
    for label, unit in channels:
        described.append_child("channel").append_child_value("label", label).append_child_value(
            "unit", unit
        )
    return pylsl.StreamOutlet(info)


class Heard:
    """What the sources of these streams have sent."""

    def __init__(self, *chosen: dict[str, Any]) -> None:
        self.readings: list[VitalReading] = []
        self.gaps: list[Gap] = []
        streams = [StreamSettings.model_validate(one) for one in chosen]
        self.sources = configured_lsl(streams, self.readings.append, self.gaps.append)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen until the block ends."""
        for source in self.sources:
            source.start()
        try:
            yield
        finally:
            for source in self.sources:
                source.stop()
            for source in self.sources:
                assert source.join(60)
                assert source.error is None

    def of(self, kind: VitalKind) -> list[VitalReading]:
        """The readings of a kind."""
        return [reading for reading in self.readings if reading.kind is kind]


def test_stream_of_high_rate_is_a_mean_each_second_and_irregular_one_stays(tmp_path: Path) -> None:
    name = f"Bridge {tmp_path.stat().st_ino}"
    fast = outlet(name, RATE_HZ, ("skin", "K"), ("HR", "Hz"), ("EDA", "uS"))
    beats = outlet(f"{name} RR", pylsl.IRREGULAR_RATE, ("", ""))
    heard = Heard(
        {"name": name, "type": "Physio", "channel": "skin", "kind": "skin_temperature"},
        {"name": name, "type": "Physio", "channel": 1, "kind": "heart_rate"},
        {"name": name, "type": "Physio", "channel": "EDA", "kind": "skin_conductance"},
        {"name": f"{name} RR", "unit": "ms", "kind": "rr_interval"},
    )
    assert len(heard.sources) == 2
    with heard.running():
        wait_for(fast.have_consumers)
        wait_for(beats.have_consumers)
        begin = int(pylsl.local_clock()) - 10
        shift_s = pylsl.local_clock() - clock.boot_seconds()
        stamps = [begin + number / RATE_HZ for number in range(3 * RATE_HZ + 1)]
        for number, stamp in enumerate(stamps):
            # 0.5 K up and down, and a gap in the sensor's second channel
            pulse = float("nan") if RATE_HZ <= number < 2 * RATE_HZ else 1.25
            kelvin = 306.15 + (0.5 if number % 2 else -0.5)
            fast.push_sample([kelvin, pulse, 4 + number // (RATE_HZ / 4)], stamp)
        beats.push_sample([810.0], begin + 0.2)
        beats.push_sample([790.0], begin + 0.99)
        wait_for(lambda: len(heard.of(VitalKind.SKIN_TEMPERATURE)) >= 3)
        wait_for(lambda: len(heard.of(VitalKind.RR_INTERVAL)) >= 2)
    skin = heard.of(VitalKind.SKIN_TEMPERATURE)[:3]
    assert [reading.value for reading in skin] == pytest.approx([33.0] * 3, abs=1e-4)
    middles = [1000 * (begin + second + 0.5 - 0.5 / RATE_HZ - shift_s) for second in range(3)]
    assert [reading.at.boot_ms for reading in skin] == pytest.approx(middles, abs=WITHIN_MS)
    # of skin conductance each quarter of a second, for its single responses
    conductance = heard.of(VitalKind.SKIN_CONDUCTANCE)
    assert [reading.value for reading in conductance] == list(range(4, 17))
    distances = np.diff([reading.at.boot_ms for reading in conductance[:12]])
    assert distances == pytest.approx(250, abs=WITHIN_MS)
    rates = heard.of(VitalKind.HEART_RATE)
    assert [reading.value for reading in rates] == [75.0] * 3  # the last as it ended
    intervals = heard.of(VitalKind.RR_INTERVAL)
    assert [reading.value for reading in intervals] == [0.81, 0.79]
    expected = [1000 * (begin + after_s - shift_s) for after_s in (0.2, 0.99)]
    assert [reading.at.boot_ms for reading in intervals] == pytest.approx(expected, abs=WITHIN_MS)
    assert {reading.source for reading in heard.readings} == {f"lsl:{name}", f"lsl:{name} RR"}
    assert not any(reading.flags for reading in heard.readings)


def test_many_beats_at_once_do_not_lie_before_their_stream(tmp_path: Path) -> None:
    name = f"Beats {tmp_path.stat().st_ino}"
    heard = Heard({"name": name, "unit": "ms", "kind": "rr_interval"})
    with heard.running():
        made = clock.now()
        beats = outlet(name, pylsl.IRREGULAR_RATE, ("RR", "ms"))
        wait_for(beats.have_consumers)
        beats.push_chunk([[800.0 + number] for number in range(100)])
        wait_for(lambda: len(heard.readings) == 100)
    assert [round(1000 * one.value) for one in heard.readings] == list(range(800, 900))
    assert min(one.at.wall_ms for one in heard.readings) >= made.wall_ms - WITHIN_MS
    assert heard.readings[0].flags == frozenset({VitalFlag.CLOCK_DIFFERS})
    assert heard.readings[-1].flags == frozenset()


def test_stream_that_goes_away_is_a_gap_and_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edge_agent.vitals.sensor.SILENCE_S", 0.2)
    name = f"Watch {tmp_path.stat().st_ino}"
    heard = Heard({"name": name, "kind": "heart_rate", "unit": "bpm"})
    with heard.running():
        stream = outlet(name, pylsl.IRREGULAR_RATE, ("HR", ""))
        wait_for(stream.have_consumers)
        stream.push_sample([71.0])
        wait_for(lambda: len(heard.readings) == 1)
        del stream
        wait_for(lambda: "is lost" in caplog.text)
        # the program comes back, and stamps by its own clock, since 1970
        stream = outlet(name, pylsl.IRREGULAR_RATE, ("HR", ""))
        wait_for(stream.have_consumers)
        for number in range(30):
            stream.push_sample([72.0], 1.7e9 + number / 100)
        wait_for(lambda: len(heard.readings) >= 12)
    first, *others = heard.readings
    assert first.flags == frozenset()
    assert {reading.flags for reading in others} == {frozenset({VitalFlag.CLOCK_DIFFERS})}
    # of this run, and not years away as the stamps are
    assert all(abs(one.at.seconds_since(first.at)) < 1e6 for one in others)
    assert "such readings get the time of their arrival" in caplog.text
    # far more than a stream without a rate may send: from then on one reading a second
    assert 12 <= len(others) <= 13
    assert caplog.text.count("more than 10 samples in a second") == 1
    assert {gap.reason for gap in heard.gaps} == {"disconnected"}
    assert (heard.gaps[1].source, heard.gaps[1].end > first.at) == (f"lsl:{name}", True)


def test_stream_that_sends_faster_than_it_says_becomes_means(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"Slow {tmp_path.stat().st_ino}"
    # of a chunk, the library gives each sample a time one period after the one before
    stream = outlet(name, 1.0, ("HR", "bpm"))
    heard = Heard({"name": name, "kind": "heart_rate"})
    begun_s = clock.boot_seconds()
    with heard.running():
        wait_for(stream.have_consumers)
        for _ in range(5):
            stream.push_chunk([[72.0]] * 2000)
            wait_for(lambda: bool(heard.readings))
        wait_for(lambda: "its time" in caplog.text or "from now" in caplog.text)
    bound = 10 + 302 + 2 * (clock.boot_seconds() - begun_s + 2)
    assert 1 <= len(heard.readings) <= bound
    assert {reading.value for reading in heard.readings} == {72.0}


def test_sample_without_a_time_is_stored_with_its_arrival_and_flagged(tmp_path: Path) -> None:
    name = f"Odd {tmp_path.stat().st_ino}"
    stream = outlet(name, pylsl.IRREGULAR_RATE, ("HR", "bpm"))
    heard = Heard({"name": name, "kind": "heart_rate"})
    with heard.running():
        wait_for(stream.have_consumers)
        for stamp in (float("nan"), float("inf"), 1e308):
            stream.push_sample([72.0], stamp)
        stream.push_sample([73.0])
        wait_for(lambda: len(heard.readings) == 4)
    flags = [reading.flags for reading in heard.readings]
    assert flags == [frozenset({VitalFlag.CLOCK_DIFFERS})] * 3 + [frozenset()]
    assert len({reading.at for reading in heard.readings}) == 4


def test_sample_that_comes_again_with_its_old_time_is_no_reading(tmp_path: Path) -> None:
    name = f"Oximeter {tmp_path.stat().st_ino}"
    heard = Heard({"name": name, "kind": "oxygen_saturation", "unit": "%"})
    with heard.running():
        stream = outlet(name, pylsl.IRREGULAR_RATE, ("SpO2", "%"))
        wait_for(stream.have_consumers)
        old = pylsl.local_clock()
        stream.push_sample([98.0], old)
        wait_for(lambda: len(heard.readings) == 1)
        time.sleep(0.8)  # longer than the samples of one packet take
        stream.push_sample([98.0], old)
        stream.push_sample([98.0], old + 0.9)  # steady
        wait_for(lambda: len(heard.readings) == 2)
    assert [one.value for one in heard.readings] == [98.0, 98.0]
    assert heard.readings[1].at.seconds_since(heard.readings[0].at) == pytest.approx(0.9, abs=0.05)


def test_stream_that_says_too_many_samples_takes_no_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = f"Huge {tmp_path.stat().st_ino}"
    stream = outlet(name, 100_000.0, ("HR", "bpm"))
    heard = Heard({"name": name, "kind": "heart_rate"})
    with heard.running():
        wait_for(lambda: "it says 1 channels at 100000 Hz; at most" in caplog.text)
    assert heard.readings == []
    assert not stream.have_consumers()


@pytest.mark.parametrize(
    ("chosen", "offered", "said"),
    [
        ({"channel": "GSR"}, BRIDGE, "no channel 'GSR'. Write .*: 0 EDA (uS), 1 skin (furlong)."),
        ({"channel": 2}, BRIDGE, "no channel 2."),
        ({}, BRIDGE, "has 2 channels, and none is chosen"),
        ({"channel": 1}, BRIDGE, "Channel skin of the stream Bridge has the unit 'furlong', which"),
        (
            {"channel": 0},
            OfferedStream("Bridge", "Physio", 0, False, (("", ""),)),
            "Channel 0 of the stream Bridge has no unit. Write the unit of its values: cel",
        ),
        ({}, OfferedStream("Bridge", "Physio", 0, True, (("", ""),)), "gives texts"),
        (
            {"kind": "rr_interval", "unit": "ms"},
            OfferedStream("Bridge", "Physio", 4, False, (("", ""),)),
            "RR intervals 4 times a second, so they are resampled",
        ),
    ],
)
def test_stream_without_the_channel_or_unit_is_refused_with_what_it_offers(
    chosen: dict[str, Any], offered: OfferedStream, said: str
) -> None:
    given = {"name": "Bridge", "kind": "skin_temperature", **chosen}
    with pytest.raises(VitalsError) as refused:
        check_streams([StreamSettings.model_validate(given)], [offered])
    for part in said.split(".*"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "heart_rate"}, "neither name nor type is given"),
        ({"name": "A", "kind": "heart_rate", "unit": "mV"}, "'mV' is no unit of heart_rate.*hz"),
        ({"name": "AffectEdge markers", "kind": "heart_rate"}, "a stream of Affect Edge"),
        ({"name": 'A"B', "kind": "heart_rate"}, "pattern"),
    ],
)
def test_stream_in_the_configuration_that_cannot_be_right_is_refused(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        StreamSettings.model_validate(given)


def test_channel_without_a_label_is_taken_for_content_type_of_its_stream() -> None:
    single = OfferedStream("Strap", "HR", 0.0, False, (("", ""),))
    assert single.config_lines() == [
        '{ name = "Strap", channel = 0, unit = "", kind = "heart_rate" },'
    ]
    double = OfferedStream("Strap", "HR", 0.0, False, (("", ""), ("", "")))
    assert all('kind = ""' in line for line in double.config_lines())


def test_scan_and_doctor_list_streams_and_the_lines_of_their_channels(tmp_path: Path) -> None:
    name = f"Listed {tmp_path.stat().st_ino}"
    stream = outlet(name, 4.0, ("Heart Rate", "bpm"), ("TEMP", "K"))
    listed = CliRunner().invoke(
        cli, ["vitals", "scan", "--lsl", "--seconds", "1", "--data", str(tmp_path)]
    )
    assert listed.exit_code == 0
    lines = listed.stdout.split(f"{name} ")[1].splitlines()
    assert lines[0] == "(type Physio, 4 Hz): 0 Heart Rate (bpm), 1 TEMP (K)"
    assert f'{{ name = "{name}", channel = "TEMP", unit = "K", kind = "" }},' in lines[2]
    first, away = tomllib.loads(f"one = {lines[1].strip(' ,')}")["one"], "Somewhere else"
    assert StreamSettings.model_validate(first).kind is VitalKind.HEART_RATE
    chosen = {"streams": [first, {**first, "name": away}]}
    settings = load_settings(None, {"vitals": {"lsl": chosen}})
    finding = next(one for one in diagnose(settings, tmp_path) if one.check == "streams")
    assert finding.verdict is Verdict.WARNING
    assert finding.found.startswith(f"not offered now: {away}; offered in this network: ")
    assert lines[0] in finding.found
    del stream
