"""Files and messages that a stranger can send, damaged in every way: each parser reads them or
refuses them by an error of ours.

``make fuzz`` gives 10,000 to each parser, every other test run 40. The slowest one is printed.
"""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")
pytest.importorskip("pyxdf", reason="pip install -e '.[xdf]'")


from affect_edge.markers import MarkerColumns, read_markers
from collector.messages import StateMessage, read_state
from collector.values import check_values
from dashboard.protocols.file import load_protocol
from edge_agent.config.loading import load_settings
from edge_agent.core.clock import Instant
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.core.readings import LocalTimes
from edge_agent.face_reading import creation_ms
from edge_agent.fleet.chunks import TimelineMessage, decode, encode, read_confirmation
from edge_agent.mqtt.incoming import IncomingCommands
from edge_agent.vision.face_tables import FaceChoice, read_face_table
from edge_agent.vision.models.card import MODELS_FOLDER, read_card
from edge_agent.vision.stills import load_picture
from edge_agent.vitals import gatt
from edge_agent.vitals.column_map import ColumnMap
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.csv_readings import all_readings
from edge_agent.vitals.guessed_columns import guess_map
from edge_agent.vitals.health.exports import FORMATS, open_export
from edge_agent.vitals.health.files import RowValidator, member_at
from edge_agent.vitals.health.xdf.recording import open_recording
from edge_agent.vitals.health.xdf.streams import StreamRole
from edge_agent.vitals.ingest import VitalIngest
from edge_agent.vitals.recordings import FORMATS as RECORDINGS
from edge_agent.vitals.untimed import read_untimed
from tests.support.face_tables import FACEREADER, OPENFACE
from tests.support.fleet.health_example import health_example
from tests.support.fuzz.damage import Change, Costs, changed, give_changes
from tests.support.laboratory.xdf import laboratory
from tests.support.vitals.health_exports import (
    apple_export,
    apple_pressure,
    apple_record,
    archive,
    fitbit_day,
    garmin_day,
)

ROOT = Path(__file__).resolve().parents[3]
WANTED = int(os.environ.get("FUZZ_PAYLOADS", "40"))
NOW = Instant(0, 1_800_000_000_000)


def read_export(path: Path) -> None:
    with open_export(path) as export:
        for _ in export.rows(RowValidator(NOW, LocalTimes(UTC))) if export else ():
            pass


def read_lab(path: Path) -> None:
    validator = RowValidator(NOW, LocalTimes(UTC))
    with open_recording(member_at(path), validator) as recording:
        recording.heads()
        found = (recording.readings(validator), recording.markers({}), recording.sessions())
        for rows in (
            *found,
            recording.faces(StreamRole.EXPRESSION),
            recording.faces(StreamRole.MOVEMENTS),
        ):
            for _ in rows:
                pass


def read_table(path: Path) -> None:
    file = CsvFile.parse(path.name, path.read_bytes())
    for _ in all_readings(file, guess_map(file), LocalTimes(UTC), NOW):
        pass


def read_recording(path: Path) -> None:
    file = CsvFile.parse(path.name, path.read_bytes())
    columns = guess_map(file)
    if "AcqKnowledge" in path.name or "Kubios" in path.name:
        columns = columns.from_start(str(NOW.wall_ms - 600_000))
    for _ in all_readings(file, columns, LocalTimes(UTC), NOW):
        pass


def read_dates(path: Path) -> None:
    file = CsvFile.parse(path.name, path.read_bytes())
    columns = ColumnMap({"at": "t", "rr_interval": "rr (ms)"}, dates="dmy")
    for _ in all_readings(file, columns, LocalTimes(UTC), NOW):
        pass


def read_log(path: Path) -> None:
    names = {"at": "image.started", "end": "image.stopped", "label": "film"}
    how = MarkerColumns(UTC, names, start_ms=1_790_000_000_000)
    read_markers(path, how, (), lambda _: ())


def read_faces(path: Path) -> None:
    read_face_table(path, FaceChoice()).timeline(0, 1.0)


def decoded(decode: Callable[[bytes], object]) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        decode(path.read_bytes())

    return read


def picture(form: str) -> bytes:
    drawn = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).convert("RGB").save(drawn, form)
    return drawn.getvalue()


def read_fleet(packed: bytes) -> None:
    check_values(decode(zlib.compress(packed, 0)))  # within: its checksum would refuse all damage


def read_state_of(suffix: str) -> Callable[[bytes], object]:
    return lambda payload: read_state(StateMessage("lab", suffix, payload, False, 0.0))


def video_header() -> bytes:
    numbers = struct.pack(">IIII", 3_900_000_000, 3_900_000_000, 1000, 60_000)
    header = struct.pack(">I4s", 28, b"mvhd") + bytes(4) + numbers
    return struct.pack(">I4s", 16, b"ftyp") + bytes(8) + struct.pack(">I4s", 36, b"moov") + header


COMMANDS = IncomingCommands(lambda *_: None, lambda: None, lambda *_: None, lambda _on: None)
INGEST = VitalIngest(lambda _: None, ReadingOrigin("mqtt", prefix="mqtt:"))
VITAL = [7, "vital", "row", [1_789_000_000_000, "heart_rate", "strap", 61.5, "", 9, 1, None, None]]
LOST = [8, "", "gap", {"first": 8}]
FLEET = zlib.decompress(
    encode(TimelineMessage("lab", "5f2c9a0d1e3b4c67", 7, 9, 9, True, 0, (VITAL, LOST)))
)
APPLE = apple_export(apple_record("HeartRate", 61, "count/min"), apple_pressure(120, 80))
GARMIN = garmin_day(datetime(2026, 1, 5, 8, tzinfo=UTC))
FITBIT = fitbit_day(("01/05/26 08:00:05", 61, 2), ("01/05/26 08:00:10", 62, 0))
WITHINGS = b'Date,"Heart rate",Systolic,Diastolic,Comments\n"2026-01-05 08:15:00",61,121,79,x\n'
MONITOR = (
    "# of Ada\n\nFecha,Hora,PA,Temp. (celsius),RR,SpO2,\n2026-01-05,08:00,121/79,NA,812,0.97,\n"
)
EMOTIBIT = (
    b"LocalTimestamp,EmotiBitTimestamp,PacketNumber,TypeTag,DataReliability,EA\n"
    b"1767600000.25,531473.0,17305,EA,100,0.61\n"
)
SHIMMER = (
    b"sep=;\nA_Timestamp_FormattedUnix_CAL;A_GSR_Skin_Conductance_CAL\n"
    b"yyyy/mm/dd hh:mm:ss.000;uS\n2026/01/05 08:00:00.250;2.5\n"
)
RECORDING_FILES = {
    "OpenSignals": b'# OpenSignals Text File Format\n# {"20:16": {"device": "bitalino_rev", '
    b'"sampling rate": 100, "resolution": [4, 1, 10], "date": "2026-01-05", "time": "8:0:0.120", '
    b'"sensor": ["EDA"], "label": ["A3"], "column": ["nSeq", "I1", "A3"]}}\n# EndOfHeader\n'
    + b"0\t0\t512\t\n"
    * 50,
    "AcqKnowledge": b"P04.acq\n2 msec/sample\n1 channels\nEDA100C\nmicrosiemens\nsec\tCH1\n"
    b"\t3\n0.000\t4.1\n0.002\t4.2\n0.004\t4.3\n",
    "Kubios HRV": b"Kubios HRV Scientific (ver 4.1.2)\n\n"
    b"RR INTERVAL SAMPLES SELECTED FOR ANALYSIS\n"
    b"RR Time,RR interval\n(s),(s)\n0.800,0.800\n1.610,0.810\n",
    "Polar PPI": b"Polar Device ID: ABCD1234\n"
    b"PPI Recording Start Date and Time: 2026-01-05 08:00:00\n"
    b"hr,ppi,blockerBit,skinContactStatus\n70,850,0,1\n71,867,1,1\n",
}
"""Program → a file of it with a table."""
LAB = laboratory().content
CARD = (MODELS_FOLDER / "face-cover.json").read_bytes()
PROTOCOL = (ROOT / "dashboard/protocols/examples/three-conditions.toml").read_bytes()
PARSERS: dict[str, tuple[Callable[[Path], object], bytes]] = {
    **{
        one.example[0]: (read_export, one.example[1].encode())
        for one in FORMATS
        if one.example is not None
    },
    **{f"{name}.txt": (read_recording, file) for name, file in RECORDING_FILES.items()},
    "export.xml": (read_export, APPLE),
    "export.zip": (read_export, archive({"e/export.xml": APPLE, "e/day.fit": GARMIN})),
    "day.fit": (read_export, GARMIN),
    "heart_rate-2026-01-05.json": (read_export, FITBIT),
    "bp.csv": (read_export, WITHINGS),
    "openface.csv": (read_faces, OPENFACE.read_bytes()),
    "facereader.txt": (read_faces, FACEREADER.read_bytes()),
    "cuff.csv": (read_table, b"at,kind,value\n2026-01-05T08:00:00Z,systolic,121\n"),
    "watch.csv": (read_table, b"Date;Puls\n2026-01-05 08:00;61,5\n"),
    "monitor.csv": (read_table, MONITOR.encode()),
    "EDA.csv": (read_export, b"1767600000.0\n4.0\n0.61\n0.62\n"),
    "IBI.csv": (read_export, b"1767600000.0, IBI\n1.5,0.9375\n"),
    "emotibit_EA.csv": (read_export, EMOTIBIT),
    "shimmer.csv": (read_export, SHIMMER),
    "lab.xdf": (read_lab, LAB),
    "dates.csv": (
        read_dates,
        b"t;rr (ms)\nMon Sep 21 2026 16:20:00 GMT+0200 (Summer);812\n21.09.26 04:20:01 PM;799\n",
    ),
    "beats.txt": (lambda path: read_untimed(path, NOW.wall_ms, NOW), b"RR\n0,812\n0,799\n0,805\n"),
    "log.csv": (
        read_log,
        b"image.started,image.stopped,film\n12.5,42.51,anger\n1:00.1,1:30.1,happy\n",
    ),
    "affect-edge.toml": (load_settings, (ROOT / "config/affect-edge.toml").read_bytes()),
    "protocol.toml": (load_protocol, PROTOCOL),
    "card.json": (read_card, CARD),
    "face.png": (load_picture, picture("PNG")),
    "face.jpg": (load_picture, picture("JPEG")),
    "face.webp": (load_picture, picture("WEBP")),
    "strap.gatt": (decoded(gatt.decode_heart_rate), bytes.fromhex("1648ff01ff010c01")),
    "cuff.gatt": (
        decoded(gatt.decode_blood_pressure),
        bytes.fromhex("1678005000ff07e807010203040548000000"),
    ),
    "thermometer.gatt": (decoded(gatt.decode_temperature), bytes.fromhex("04450100ff04")),
    "oximeter.gatt": (decoded(gatt.decode_continuous), bytes.fromhex("0861004800000800")),
    "spot.gatt": (decoded(gatt.decode_spot_check), bytes.fromhex("0061004800")),
    "battery.gatt": (decoded(gatt.decode_battery_level), b"\x40"),
    "session.command": (
        decoded(lambda payload: COMMANDS.session(payload, False)),
        b'{"action": "start", "participant": "P7", "purpose": "research", "name": "films"}',
    ),
    "marker.command": (
        decoded(lambda payload: COMMANDS.marker(payload, False)),
        b'{"kind": "stimulus_start", "label": "anger", "sent_ms": 12.5, "sender": "stimuli"}',
    ),
    "capture.command": (
        decoded(lambda payload: COMMANDS.capture(payload, False)),
        b'{"action": "off"}',
    ),
    "reading.mqtt": (
        decoded(lambda payload: INGEST.accept(payload, retained=False)),
        b'[{"kind": "systolic", "value": 121, "unit": "mmHg", "at": "2026-09-21T14:20:00Z"}]',
    ),
    "timeline.mqtt": (decoded(read_fleet), FLEET),
    "confirmation.mqtt": (
        decoded(read_confirmation),
        b'{"epoch": "5f2c9a0d1e3b4c67", "position": 9, "erased": [{"position": 7, "rows": 3}]}',
    ),
    "health.mqtt": (
        decoded(read_state_of("health")),
        json.dumps(health_example() | {"device": "lab"}).encode(),
    ),
    "status.mqtt": (
        decoded(read_state_of("status")),
        b'{"schema": 1, "state": "online", "at": "2026-11-20T08:12:10.250Z"}',
    ),
    "video.mp4": (creation_ms, video_header()),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_of_a_stranger_are_read_or_refused_by_an_error_of_ours(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    read, whole = PARSERS[name]
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(whole)
    read(path)  # what is whole is read
    costs = Costs()

    def take(change: Change, _: int) -> None:
        path.write_bytes(changed(whole, change))
        begun = time.process_time()
        outcome = list(problems_of(read, path))
        costs.count(begun)
        assert all(isinstance(problem, AffectEdgeError) for problem in outcome), outcome

    give_changes(take, WANTED)
    costs.tell(name)


def problems_of(read: Callable[[Path], object], path: Path) -> Iterator[Exception]:
    """Yield what a parser raises."""
    try:
        read(path)
    except Exception as error:  # noqa: BLE001 - any other than ours is what is looked for
        yield error


def test_every_recording_of_a_program_has_a_file_that_is_changed() -> None:
    assert RECORDING_FILES.keys() == {one.program for one in RECORDINGS if one.read is not None}
    for name, content in RECORDING_FILES.items():
        lines = content.decode().splitlines()[:5]
        known = [one.program for one in RECORDINGS if any(map(one.begins.match, lines))]
        assert known == [name]
