"""`affect-edge bench`: each stage of the chain measured on the demonstration, a picture or a
video.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.appliance.bench import STAGES, file_frames
from tests.support.vision.cameras import damage_frames, write_video
from tests.support.vision.portraits import smiling


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AFFECT_EDGE_VISION__EXPRESSION_MODEL", "expression-fast")
    return lambda *words: CliRunner().invoke(cli, ["bench", "--data", str(tmp_path), *words])


def figures(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def video(path: Path, frames: int) -> Path:
    code = cv2.VideoWriter.fourcc(*"MJPG")
    # not by FFmpeg, which is silenced before the first use in a process or never
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, 15, (320, 240))
    for number in range(frames):
        writer.write(np.ascontiguousarray(smiling()[number : number + 240, 60:380]))
    writer.release()
    return path


def test_a_picture_gives_every_stage_with_median_and_95th_percentile(
    bench: Any, tmp_path: Path
) -> None:
    picture = tmp_path / "face.png"
    cv2.imwrite(str(picture), smiling())
    found = figures(bench(str(picture), "--frames", "20", "--json"))
    assert (found["frames"], found["width"], found["height"]) == (20, 512, 512)
    assert found["faces"] == 20
    assert list(found["stages"]) == list(STAGES)
    for times in found["stages"].values():
        assert 0 <= times["median_ms"] <= times["p95_ms"]
    assert found["cpu_percent"] == pytest.approx(
        found["processor_ms"] * found["fps"] / 10, abs=0.02
    )
    assert found["processor"]
    assert 3 <= found["by_need"]["readings_per_second"] < found["fps"]
    assert found["by_need"]["cpu_percent"] > 0
    assert 2 <= found["whole_searches"] <= 5  # of 20 frames at 15 a second, one each half second
    assert 30 < found["memory_mb"] <= found["memory_peak_mb"]


def test_a_video_is_measured_to_its_end(bench: Any, tmp_path: Path) -> None:
    found = figures(bench(str(video(tmp_path / "short.avi", 16)), "--json"))
    assert (found["frames"], found["width"]) == (6, 320)  # after ten that only warm up


def test_a_short_video_is_counted_in_the_frame_that_is_measured(bench: Any, tmp_path: Path) -> None:
    path = str(video(tmp_path / "short.avi", 5))
    done = bench(path, "--json")
    found = figures(done)
    assert (found["frames"], found["faces"]) == (1, 1)
    assert "read" in found["stages"]
    assert "no face was found" not in done.stderr
    table = bench(path).stdout
    assert "short.avi: 1 frame of 320 × 240" in table
    assert "\n1 face in each; " in table


def test_a_large_video_is_not_read_into_memory(tmp_path: Path) -> None:
    path = video(tmp_path / "long.avi", 3)
    with path.open("ab") as file:
        file.truncate(4_000_000_000)  # a hole behind the frames: no room on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    frames = file_frames(path)
    assert next(frames).shape == (240, 320, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kilobytes


def test_bench_of_a_video_with_damaged_frames_passes_over_and_names_them(
    bench: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = damage_frames(write_video(tmp_path / "clip.avi", frames=20, fps=15), 3, 12)
    done = bench(str(path), "--json")
    assert figures(done)["frames"] == 8
    assert f"{path}: damaged frames skipped in the video: 2" in caplog.text


def test_a_video_with_a_colon_in_its_name_is_measured(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video(tmp_path / "clip:1.avi", 3)
    monkeypatch.chdir(tmp_path)
    assert figures(bench("clip:1.avi", "--json"))["source"] == "clip:1.avi"


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "webp", "bmp", "tif"])
def test_a_broken_picture_is_refused_not_guessed(bench: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"face.{suffix}"
    cv2.imwrite(str(path), smiling())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = bench(str(path))
    assert done.exit_code == 1
    assert f"{path}: the picture is broken or cannot be read." in str(done.exception)


def test_without_a_source_demonstration_is_measured_and_shown_as_a_table(bench: Any) -> None:
    done = bench("--frames", "3")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("demo: 3 frames of 640 × 480")
    for words in (
        "find faces",
        "read its expression",
        "of one core; 40 % are allowed",
        "MB at the most",
    ):
        assert words in done.stdout


def test_a_picture_without_a_face_says_so_and_still_measures(bench: Any, tmp_path: Path) -> None:
    plain = tmp_path / "plain.png"
    cv2.imwrite(str(plain), np.full((240, 320, 3), 127, np.uint8))
    done = bench(str(plain), "--frames", "3", "--json")
    assert "no face was found" in done.stderr
    assert "read" not in figures(done)["stages"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing.mp4", None, "No such file"),
        ("text.mp4", b"no video at all", "is neither a picture nor a video"),
        ("empty.jpg", b"", "is neither a picture nor a video"),
        ("", None, "Is a directory"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_its_name(
    name: str, content: bytes | None, said: str, bench: Any, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = bench(str(tmp_path / name))
    assert done.exit_code == 1
    assert str(tmp_path / name) in str(done.exception)
    assert said in str(done.exception)
