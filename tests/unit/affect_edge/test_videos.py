"""``analyse-video``: every frame in a table, a folder that is gone on with, and the timeline."""

from __future__ import annotations

import csv
import json
import sqlite3
import struct
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from affect_edge import cli
from affect_edge.pictures import SUFFIXES, find_videos
from edge_agent import read_video
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError
from edge_agent.core.expression import Expression, ExpressionRow, RejectedFrames, RejectReason
from edge_agent.core.movements import NAMES, MovementRow
from edge_agent.core.study import NewSession, Purpose
from edge_agent.face_reading import creation_ms
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.intake.video import VideoImport, store_video
from edge_agent.timeline.study.past import PastSession
from tests.support.vision.portraits import smiling

FRAMES = 45
START = "2026-11-20T08:15:00Z"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of a smile at 15 frames/s, the last of them without a face."""
    file = tmp_path_factory.mktemp("clip") / "talk.avi"
    code = cv2.VideoWriter.fourcc(*"MJPG")
    # not by FFmpeg, which is silenced before the first use in a process or never
    writer = cv2.VideoWriter(str(file), cv2.CAP_OPENCV_MJPEG, code, 15, (512, 512))
    for number in range(FRAMES):
        writer.write(smiling() if number < 30 else np.full((512, 512, 3), 127, np.uint8))
    writer.release()
    return file


def command(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["analyse-video", *map(str, words)])


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_frame_has_a_row_at_the_time_at_which_it_is_shown(clip: Path) -> None:
    rows = list(read_video(clip, start=datetime(2026, 11, 20, 8, 15, tzinfo=UTC)))
    assert [row.frame for row in rows] == list(range(FRAMES))
    assert [row.seconds for row in rows] == pytest.approx([n / 15 for n in range(FRAMES)], abs=1e-3)
    assert rows[15].at == "2026-11-20T08:15:01.000Z"
    assert {row.emotion for row in rows[3:30]} == {"happiness"}
    assert {row.track for row in rows[3:30]} == {1}
    assert {row.track for row in rows[30:]} == {None}
    assert list(read_video(clip))[10] == list(read_video(clip))[10]


def test_video_of_a_camera_on_its_side_is_turned(tmp_path: Path) -> None:
    file = tmp_path / "side.avi"
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(file), cv2.CAP_OPENCV_MJPEG, code, 15, (512, 512))
    for _ in range(15):
        writer.write(np.rot90(smiling()).copy())
    writer.release()
    rolls = {}
    for degrees in (0, 90, 270):
        words = (file, "--data", tmp_path / "data", "--out", tmp_path / str(degrees))
        assert command(*words, "--rotate", degrees).exit_code == 0
        rows = rows_of(tmp_path / str(degrees) / "side.faces.csv")
        rolls[degrees] = [abs(float(row["roll"])) for row in rows if row["roll"]]
    assert max(rolls[90]) < 15
    assert min(rolls[0]) > 45
    assert not rolls[270], "it stands on its head"


def test_what_cannot_be_read_is_refused(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(CameraError, match="no such file"):
        next(read_video(tmp_path / "none.mp4"))
    with pytest.raises(ValueError, match="has no time zone"):
        next(read_video(clip, start=datetime(2026, 11, 20)))  # noqa: DTZ001 - that is the mistake


def test_a_folder_is_read_to_its_end_and_gone_on_with(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "b.avi").write_bytes(clip.read_bytes())
    (tmp_path / "a.mp4").write_bytes(b"no video at all")
    done = command(tmp_path, "--json", "--data", tmp_path / "data")
    assert done.exit_code == 1
    bad, good = map(json.loads, done.stdout.splitlines())
    assert "a.mp4: is no video" in bad["error"]
    assert (good["frames"], good["with_face"], good["damaged"]) == (FRAMES, 28, 0)
    table = rows_of(tmp_path / "b.faces.csv")
    assert len(table) == FRAMES
    assert (table[20]["emotion"], table[20]["at"], table[40]["track"]) == ("happiness", "", "")
    assert sorted(path.name for path in tmp_path.glob("*.faces*")) == ["b.faces.csv"]
    (tmp_path / "a.mp4").unlink()
    again = command(tmp_path, "--data", tmp_path / "data")
    assert again.exit_code == 0
    assert "b.faces.csv exists already; --again reads it again" in again.stdout


def test_parquet_holds_what_csv_holds_with_its_types(tmp_path: Path, clip: Path) -> None:
    where = ("--out", tmp_path, "--data", tmp_path / "data", "--start", START)
    for form in ("csv", "parquet"):
        assert command(clip, "--format", form, *where).exit_code == 0
    typed = parquet.read_table(tmp_path / "talk.faces.parquet")
    texts = rows_of(tmp_path / "talk.faces.csv")
    assert typed.column_names == list(texts[0])
    rows = typed.to_pylist()
    assert rows[15]["at"] == datetime(2026, 11, 20, 8, 15, 1, tzinfo=UTC)
    assert [row["frame"] for row in rows] == [int(row["frame"]) for row in texts]
    assert [row["emotion"] or "" for row in rows] == [row["emotion"] for row in texts]
    assert rows[20]["happiness"] == pytest.approx(float(texts[20]["happiness"]), abs=1e-6)
    assert rows[40]["happiness"] is None


def test_without_pyarrow_nothing_is_read(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    done = command(clip, "--format", "parquet", "--out", tmp_path)
    assert done.exit_code == 2
    assert "install.sh --with parquet" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_without_videos_and_odd_requests_are_refused(tmp_path: Path, clip: Path) -> None:
    refused = {
        (tmp_path,): "is a folder without videos",
        (clip, clip, "--start", START): "--start is the time of one video",
        (clip, "--purpose", "research"): "either --into-session ID or --participant CODE",
        (clip, "--into-session", "1", "--participant", "P-01"): "either --into-session ID",
        (clip, clip, "--into-session", "1"): "One video goes into one session",
        (clip, "--into-session", "1"): "contains no time of recording",
    }
    for words, text in refused.items():
        done = command(*words, "--data", tmp_path / "data")
        assert done.exit_code == 2
        assert text in " ".join(done.stderr.split()), words
    assert find_videos((clip.parent,)) == [clip]
    assert clip.suffix in SUFFIXES


def test_two_videos_of_one_name_do_not_share_a_table(tmp_path: Path, clip: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "talk.avi").write_bytes(clip.read_bytes())
    done = command(tmp_path, "--out", tmp_path / "out", "--data", tmp_path / "data")
    assert done.exit_code == 2
    assert "would both become" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def study(folder: Path) -> sqlite3.Connection:
    """A participant who has agreed, in a data folder."""
    for words in (
        ["participant", "add", "P-01"],
        ["participant", "consent", "P-01", "--text", "1", "--on", "2026-11-01T00:00:00Z"],
    ):
        done = CliRunner().invoke(cli, [*words, "--data", str(folder)])
        assert done.exit_code == 0, done.output
    return sqlite3.connect(folder / DATABASE_NAME)


def test_a_video_becomes_a_session_of_the_timeline_once(tmp_path: Path, clip: Path) -> None:
    markers = tmp_path / "markers.csv"
    markers.write_text(
        "at,kind,label\n2026-11-20T08:15:00.500Z,stimulus_start,happiness\n"
        "2026-11-20T08:15:02Z,stimulus_end,\n"
    )
    config = tmp_path / "settings.toml"
    config.write_text("[record]\nkeep_days = 1\n")
    words = (clip, "--start", START, "--participant", "P-01", "--purpose", "research")
    with closing(study(tmp_path)) as connection:
        given = ("--markers", markers, "--config", config, "--data", tmp_path)
        done = command(*words, *given, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["in"] == "session 1"
        assert "seconds of the video are older than record.keep_days (1)" in done.stderr
        rows = connection.execute(
            "SELECT at, interval_ms, emotion, simulated FROM expression ORDER BY at"
        ).fetchall()
        start = int(datetime.fromisoformat(START).timestamp() * 1000)
        assert rows == [(start + 1000, 1000, "happiness", 0), (start + 2000, 1000, "happiness", 0)]
        assert connection.execute("SELECT started, name FROM session").fetchall() == [
            (start, "talk")
        ]
        assert connection.execute("SELECT count(*) FROM marker").fetchone() == (2,)
        (detail,) = connection.execute(
            "SELECT detail FROM audit WHERE action = 'video_import'"
        ).fetchone()
        assert detail == "session 1, 2 rows: talk.avi"

        twice = command(*words, "--data", tmp_path)
        assert "Sessions must not overlap" in str(twice.exception)
        into = command(clip, "--start", START, "--into-session", 1, "--data", tmp_path)
        assert "2 rows of emotions lie in the time of the video already" in str(into.exception)
        beyond = command(
            clip, "--start", "2026-11-20T09:00:00Z", "--into-session", 1, "--data", tmp_path
        )
        assert "reaches beyond session 1" in str(beyond.exception)
        assert connection.execute("SELECT count(*) FROM expression").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM session").fetchone() == (1,)


def test_rows_at_the_very_end_of_a_video_lie_in_its_session(tmp_path: Path) -> None:
    start = int(datetime.fromisoformat(START).timestamp() * 1000)
    even = Expression((0.125,) * 8)
    at = Instant(3000, start + 3000)
    rows = (
        ExpressionRow(at, 1, 9, even, even, None, 90.0, 1.0, True),
        MovementRow(at, 1, 9, (0.5,) * len(NAMES), True),
        RejectedFrames(at, 1, RejectReason.BLURRED, 3, True),
    )
    new = PastSession(
        about=NewSession("P-01", Purpose.RESEARCH), start_ms=start, end_ms=start + 3000
    )
    video = VideoImport(start, start + 3000, new, (), "talk.avi")
    with closing(study(tmp_path)) as connection:
        path = tmp_path / DATABASE_NAME
        store_video(path, video, rows, 1000, purposes=[Purpose.RESEARCH], actor="test")
        for table in ("expression", "movement", "unfit"):
            inside = f"SELECT ended - at FROM {table}, session WHERE at >= started AND at < ended"
            assert connection.execute(inside).fetchall() == [(1,)], table
    undone = CliRunner().invoke(cli, ["imports", "--undo", "1", "--data", str(tmp_path)])
    assert (
        "1 session, 1 count of unreadable frames, 1 row of movements, 1 expression row removed"
        in undone.stdout
    )


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


@pytest.mark.parametrize("version", [0, 1])
def test_the_time_that_a_file_names_is_read(tmp_path: Path, version: int) -> None:
    moment = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
    seconds = int(moment.timestamp()) + 2_082_844_800
    numbers = struct.pack(">QQ" if version else ">II", seconds, seconds)
    header = box(b"mvhd", bytes([version, 0, 0, 0]) + numbers)
    file = tmp_path / "a.mp4"
    file.write_bytes(box(b"ftyp", b"isom") + box(b"moov", box(b"free", b"") + header))
    assert creation_ms(file) == int(moment.timestamp() * 1000)
    file.write_bytes(file.read_bytes()[:-12])
    assert creation_ms(file) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        box(b"moov", box(b"mvhd", bytes(20))),
        struct.pack(">I4sQ", 1, b"free", 2**64 - 1) + box(b"moov", b""),
        box(b"moov", box(b"mvhd", b"\1\0\0\0" + struct.pack(">QQ", 0, 2**63))),
    ],
)
def test_a_file_that_names_no_time_has_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(content)
    assert creation_ms(file) is None
    assert creation_ms(tmp_path / "none.mp4") is None


def test_a_video_that_ends_early_is_read_and_its_missing_rest_reported(
    tmp_path: Path, clip: Path
) -> None:
    content = clip.read_bytes()
    (tmp_path / "cut.avi").write_bytes(content[: len(content) // 2])
    done = command(tmp_path / "cut.avi", "--json", "--data", tmp_path / "data")
    said = json.loads(done.stdout)
    assert 0 < said["frames"] < FRAMES
    assert said["seconds"] + said["missing_seconds"] == pytest.approx(FRAMES / 15, abs=0.1)
    again = command(tmp_path / "cut.avi", "--again", "--data", tmp_path / "data")
    assert "s of the 3 s that the file says it has cannot be read" in again.output


# The pulse in a video


@pytest.fixture(scope="module")
def beating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smile for 21 seconds at 15 frames/s, whose skin changes with 72 beats a minute."""
    file = tmp_path_factory.mktemp("beating") / "film.avi"
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(file), cv2.CAP_OPENCV_MJPEG, code, 15, (256, 256))
    face = cv2.resize(smiling(), (256, 256), interpolation=cv2.INTER_AREA).astype(np.float32)
    # how strongly blue, green and red change: de Haan & Jeanne 2013, under white light
    strength = np.array([0.53, 0.77, 0.33], np.float32) / 0.77
    noise = np.random.default_rng(1)

    for number in range(21 * 15):
        beat = np.float32(0.02 * np.sin(2 * np.pi * 1.2 * number / 15))
        grain = np.asarray(noise.normal(0, 2, face.shape), np.float32)
        shown = np.asarray(face * (1 + beat * strength) + grain)
        writer.write(np.asarray(np.clip(shown, 0, 255), np.uint8))
    writer.release()
    return file


def test_pulse_of_a_video_is_a_table_beside_that_of_its_faces(
    tmp_path: Path, beating: Path
) -> None:
    done = command(beating, "--pulse", "--out", tmp_path, "--start", START, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["pulse_readings"] == 1
    table = tmp_path / "film.pulse.csv"
    rows = rows_of(table)
    assert [(row["begin"], row["end"], row["at"], row["reason"]) for row in rows] == [
        ("0.0", "20.0", "2026-11-20T08:15:10.000Z", "")
    ]
    assert float(rows[0]["heart_rate"]) == pytest.approx(72, abs=1)
    # A folder that was read without the pulse is gone on with; one that has both is left alone.
    assert "exists already" in command(beating, "--pulse", "--out", tmp_path).stdout
    table.unlink()
    faces = (tmp_path / "film.faces.csv").read_bytes()
    assert command(beating, "--pulse", "--out", tmp_path).exit_code == 0
    assert [row["at"] for row in rows_of(table)] == [""], "nobody said when it was recorded"
    assert (tmp_path / "film.faces.csv").read_bytes() == faces


def test_pulse_that_a_video_has_not_is_no_number(tmp_path: Path, clip: Path) -> None:
    done = command(clip, "--pulse", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "the pulse at 0 times" in done.stdout
    assert rows_of(tmp_path / "talk.pulse.csv") == []
    assert not list(tmp_path.glob("*.partial"))


def test_pulse_that_is_there_is_replaced_by_again_alone(tmp_path: Path, clip: Path) -> None:
    table = tmp_path / "talk.pulse.csv"
    table.write_text("corrected by hand", encoding="utf-8")
    assert command(clip, "--pulse", "--out", tmp_path).exit_code == 0
    assert table.read_text(encoding="utf-8") == "corrected by hand"
    assert command(clip, "--pulse", "--out", tmp_path, "--again").exit_code == 0
    assert rows_of(table) == []


def test_pulse_of_a_video_becomes_readings_of_its_session(tmp_path: Path, beating: Path) -> None:
    words = (beating, "--start", START, "--participant", "P-01", "--purpose", "research")
    start = int(datetime.fromisoformat(START).timestamp() * 1000)
    with closing(study(tmp_path)) as connection:
        done = command(*words, "--pulse", "--data", tmp_path)
        assert done.exit_code == 0, done.output
        rows = connection.execute("SELECT at, kind, source, flags, import FROM vital").fetchall()
        assert rows == [(start + 10_000, "heart_rate", "camera_pulse", "estimated imported", 1)]
        audited = "SELECT detail FROM audit WHERE action = 'video_import'"
        assert connection.execute(audited).fetchone() == (
            "session 1, 21 rows, readings of the pulse: 1: film.avi",
        )
        undone = CliRunner().invoke(cli, ["imports", "--undo", "1", "--data", str(tmp_path)])
        assert "1 reading" in undone.stdout
        assert connection.execute("SELECT count(*) FROM vital").fetchone() == (0,)
