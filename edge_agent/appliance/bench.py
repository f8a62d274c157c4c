"""Measures the speed of the vision chain on this machine, stage by stage.

Frames come from a video, a picture or the demonstration, as fast as they can be read. The models
compute with eight-bit integers. A processor with an instruction for their dot product is several
times as fast, so each figure of time needs the kind of the processor beside it.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from edge_agent import __version__
from edge_agent.agent.building import configured_recognizer
from edge_agent.camera.decoding import decode_file, quiet_opencv
from edge_agent.camera.demo import DemoCamera
from edge_agent.camera.video_files import VideoFile, file_error, is_picture
from edge_agent.core import clock
from edge_agent.core.errors import CameraError, CameraReason
from edge_agent.core.expression import Frame

if TYPE_CHECKING:
    from edge_agent.config.settings import Settings
    from edge_agent.core.expression import Image
    from edge_agent.vision.recognizer import Recognizer


log = logging.getLogger(__name__)

_CURE = "Give a picture or a video; without one the demonstration is measured."
_CPUINFO = Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")
_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""x86-64 with AVX-512 VNNI or AVX-VNNI; Arm with the dot products of version 8.2."""
WARM_UP = 10
"""Frames at the beginning that are not counted: libraries load, and the first face is confirmed."""
STAGES = {
    "decode": "get the frame",
    "find": "find faces",
    "follow": "follow them",
    "cut": "cut the face out, measure it",
    "read": "read its expression",
    "judge": "look for what covers it",
    "move": "measure its movements",
    "steady": "steady the label",
    "frame": "one frame, from picture to label",
}
"""Stages in the order of the chain, with their titles; ``frame`` is all of them but ``decode``."""


def demo_frames(width: int, height: int, fps: float) -> Iterator[Image]:
    """Yield the frames of the demonstration camera without end."""
    with DemoCamera(width=width, height=height, fps=fps) as camera:
        for number in count():
            # The number over the rate, not the clock: the demonstration moves the same on slow
            # machines.
            yield camera.picture_at(number / fps)


def file_frames(path: Path) -> Iterator[Image]:
    """Yield the frames of a video once, or a picture again and again.

    Raises:
        CameraError: the file cannot be read, is broken, or is neither.
    """
    quiet_opencv()
    picture = _picture(path)
    return _video_frames(path) if picture is None else repeat(picture)


def _picture(path: Path) -> Image | None:
    """Return the picture that a file holds.

    ``None`` if it does not begin like one: a video is not read into memory.
    """
    try:
        # Opened first, to have the error of the system where it cannot be read.
        path.open("rb").close()
        if not path.is_file():
            raise CameraError(
                CameraReason.UNREADABLE, f"{path}: is a pipe or a device, not a file.", _CURE
            )
        if not is_picture(path):
            return None
        picture = decode_file(path)
    except OSError as error:
        raise CameraError(
            file_error(path, error).reason, f"{path}: cannot be read ({error.strerror}).", _CURE
        ) from error
    if picture is None:
        raise CameraError(
            CameraReason.UNREADABLE, f"{path}: the picture is broken or cannot be read.", _CURE
        )
    return picture


def _video_frames(path: Path) -> Iterator[Image]:
    video = VideoFile(path)
    try:
        if not video.grab():
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{path}: is neither a picture nor a video that can be read.",
                "JPEG, PNG, MP4, AVI, MKV and WebM are understood.",
            )
        while (image := video.image()) is not None:
            yield image
            if not video.grab():
                break
    finally:
        if video.damaged:
            log.warning("%s: damaged frames skipped in the video: %d", path, video.damaged)
        video.release()


@dataclass(frozen=True, slots=True)
class Processor:
    """The processor of a machine.

    Attributes:
        name: as the system reports it; on Arm that of the board, or the architecture.
        int8_dot: whether it has an instruction for the dot product of eight-bit integers; ``None``:
            not known.
    """

    name: str
    int8_dot: bool | None

    def describe(self) -> str:
        """Return the name and whether there are int8 dot products, in words."""
        if self.int8_dot is None:
            return f"{self.name}, not known whether with int8 dot products"
        return f"{self.name}, {'with' if self.int8_dot else 'without'} int8 dot products"


def this_processor(cpuinfo: Path = _CPUINFO, board: Path = _BOARD) -> Processor:
    """Return the processor of this machine.

    Args:
        cpuinfo: the file in which Linux describes its processors.
        board: the file with the name of the board, on Arm.
    """
    text = _text(cpuinfo)
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    # On Arm, /proc/cpuinfo names no model.
    name = named.group(1) if named else _text(board).strip("\0\n ")
    int8_dot = None
    if flags:
        int8_dot = not _DOT_PRODUCTS.isdisjoint(flags.group(1).split())
    return Processor(name or platform.machine(), int8_dot)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Laps:
    """Sums the times of the stages of one frame after the other, milliseconds."""

    def __init__(self) -> None:
        self.frames: list[dict[str, float]] = []
        self._last_ns = 0

    def begin(self) -> None:
        """Begin a frame."""
        self.frames.append({})
        self._last_ns = clock.boot_ns()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage of the frame."""
        present = clock.boot_ns()
        times = self.frames[-1]
        times[stage] = times.get(stage, 0.0) + (present - self._last_ns) / 1e6
        # Read the clock again, so that no stage includes the time of this call itself.
        self._last_ns = clock.boot_ns()


@dataclass(frozen=True, slots=True)
class BenchFigures:
    """The measurements of the benchmark.

    Attributes:
        laps: milliseconds of each stage of each frame.
        cpu_ms: processor time of each frame, without decoding.
        faces: number of faces read.
        searches: number of frames that were searched as a whole.
        size: width and height of the frames, pixels.
    """

    laps: list[dict[str, float]]
    cpu_ms: list[float]
    faces: int
    searches: int
    size: tuple[int, int]


def measure(settings: Settings, source: Path | None, frames: int) -> dict[str, Any]:
    """Run the configured chain over frames without pauses, and return the figures as JSON values.

    The frames get times at ``camera.fps``, so that the whole frame is searched as often as in the
    agent.

    Args:
        settings: the configuration: models, rate, size of the demonstration's frames.
        source: a picture or a video; ``None``: the demonstration.
        frames: the most frames that are measured.

    Raises:
        CameraError: the source cannot be read.
        ModelError: a model is missing or damaged.
    """
    recognizer = configured_recognizer(settings)
    fps = settings.camera.fps
    done = run(recognizer, islice(_images(settings, source), WARM_UP + frames), fps)
    # A second chain: the first one has tracks already, and would begin warm.
    agent = configured_recognizer(settings, by_need=True)
    by_need = run_by_need(agent, islice(_images(settings, source), WARM_UP + frames), fps)
    times = {stage: [lap[stage] for lap in done.laps if stage in lap] for stage in STAGES}
    cpu_ms = _percentile(done.cpu_ms, 50)
    memory = psutil.Process().memory_info().rss
    return {
        "version": __version__,
        "machine": platform.machine(),
        "processor": this_processor().name,
        "int8_dot_products": this_processor().int8_dot,
        "cores": os.cpu_count(),
        "source": "demo" if source is None else str(source),
        "frames": len(done.laps),
        "width": done.size[0],
        "height": done.size[1],
        "faces": done.faces,
        "whole_searches": done.searches,
        "models": [f"{model.name} {model.version}" for model in recognizer.models],
        "stages": {
            stage: {
                "median_ms": round(_percentile(values, 50), 3),
                "p95_ms": round(_percentile(values, 95), 3),
            }
            for stage, values in times.items()
            if values
        },
        "frames_per_second": round(1000 / _percentile(times["frame"], 50), 1),
        "processor_ms": round(cpu_ms, 3),
        "fps": fps,
        "cpu_percent": round(cpu_ms * fps / 10, 2),
        "by_need": by_need,
        "cpu_budget_percent": round(100 * settings.vision.cpu_budget, 1),
        "memory_mb": round(memory / 1e6, 1),
        "memory_peak_mb": round(max(memory, _peak_bytes()) / 1e6, 1),
    }


def _images(settings: Settings, source: Path | None) -> Iterator[Image]:
    if source is not None:
        return file_frames(source)
    return demo_frames(settings.camera.width, settings.camera.height, settings.camera.fps)


def run_by_need(recognizer: Recognizer, images: Iterator[Image], fps: float) -> dict[str, float]:
    """Process frames as the agent does, and return the mean cost over all frames.

    Most frames are skipped, so a median would say nothing.
    """
    start = clock.now()
    spent_s = []
    read = []
    for number, image in enumerate(images):
        frame = Frame(image, start.shift(number / fps), number)
        cpu_s = clock.process_cpu_seconds()
        due = recognizer.is_due(frame)
        if due:
            recognizer.recognize(frame)
        spent_s.append(clock.process_cpu_seconds() - cpu_s)
        read.append(due)
    # Of fewer frames than the warm-up the last one counts.
    first = min(WARM_UP, len(read) - 1)
    mean_s = sum(spent_s[first:]) / len(spent_s[first:])
    return {
        "processor_ms": round(1000 * mean_s, 3),
        "cpu_percent": round(100 * mean_s * fps, 2),
        "readings_per_second": round(fps * sum(read[first:]) / len(read[first:]), 2),
    }


def run(recognizer: Recognizer, images: Iterator[Image], fps: float) -> BenchFigures:
    """Recognize frames as if they came at ``fps``, taking the time of each stage."""
    laps = Laps()
    cpu_ms = []
    faces = []
    searches = []
    start = clock.now()
    recognizer.on_stage = laps.lap
    laps.begin()
    for number, image in enumerate(images):
        laps.lap("decode")
        frame = Frame(image, start.shift(number / fps), number)
        begun_s = clock.boot_ns()
        cpu_s = clock.process_cpu_seconds()
        searched = recognizer.searches
        seen = recognizer.recognize(frame)
        cpu_ms.append(1000 * (clock.process_cpu_seconds() - cpu_s))
        laps.frames[-1]["frame"] = (clock.boot_ns() - begun_s) / 1e6
        faces.append(len(seen.observations))
        searches.append(recognizer.searches - searched)
        laps.begin()
    # The last was begun for a frame that did not come.
    laps.frames.pop()
    # of a very short video, the last frame is better than none
    first = min(WARM_UP, len(cpu_ms) - 1)
    height, width = image.shape[:2]
    return BenchFigures(
        laps.frames[first:],
        cpu_ms[first:],
        sum(faces[first:]),
        sum(searches[first:]),
        (width, height),
    )


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _peak_bytes() -> int:
    """Return the most memory that this process has had; Linux counts in kilobytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def table(figures: dict[str, Any]) -> str:
    """Write the figures for people."""
    each = f"{figures['faces'] / figures['frames']:.2g}"
    frames = "frame" if figures["frames"] == 1 else "frames"
    faces = "face" if each == "1" else "faces"
    lines = [
        (
            f"{figures['source']}: {figures['frames']} {frames} of {figures['width']} × "
            f"{figures['height']}"
        ),
        f"{each} {faces} in each; {', '.join(figures['models'])}; {figures['machine']}",
        this_processor().describe(),
        "",
        f"{'':34}{'median':>10}{'95 %':>10}",
    ]
    for stage, name in STAGES.items():
        if stage in figures["stages"]:
            times = figures["stages"][stage]
            lines.append(f"{name:34}{times['median_ms']:7.2f} ms{times['p95_ms']:7.2f} ms")
    by_need = figures["by_need"]
    at_pace = f"processor at {figures['fps']:g} frames/s"
    lines += [
        "",
        f"{'frames per second at the most':34}{figures['frames_per_second']:7.0f}",
        (
            f"{at_pace:34}{figures['cpu_percent']:7.1f} % of one core; "
            f"{figures['cpu_budget_percent']:.0f} % are allowed"
        ),
        (
            f"{'read by need, as the agent does':34}{by_need['cpu_percent']:7.1f} % of one core; "
            f"{by_need['readings_per_second']:.1f} readings/s"
        ),
        (
            f"{'memory':34}{figures['memory_mb']:7.0f} MB, "
            f"{figures['memory_peak_mb']:.0f} MB at the most"
        ),
        f"{'whole frames searched':34}{figures['whole_searches']:7d}",
    ]
    return "\n".join(lines)
