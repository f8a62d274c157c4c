"""The pulse of made-up films: its error by how a film is compressed, and numbers without a pulse.

    python -m benchmarks.recorded.pulse_films [--json] [--seeds N] [--seconds S]

The people of ``camera_pulse.py``, still and moving, are filmed at 15 frames per second, as JPEG
pictures (AVI) and as H.264 (MP4, with constant rate factors of 18, 23 and 28; 23 is the usual one),
and ``analyse-video --pulse`` looks at the films. H.264 needs PyAV (``pip install av``); without it
those films are left out. A number counts as wrong if it is further than 5 /min from the mean of the
true rate over its 20 s.

It is a simulation: real skin and real light are harder, and telephones smooth in other ways.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from affect_edge.video_pulse import PulseOfVideo
from benchmarks._command import benchmark, say
from benchmarks.camera_pulse import FPS, HEIGHT, LEVELS, WIDTH, DisturbanceLevel, PulsingPortrait
from edge_agent.face_reading import VideoReader
from edge_agent.vision.align import Picture
from edge_agent.vision.recognizer import open_recognizer
from edge_agent.vitals.camera_pulse import STEP_S, WINDOW_S

JPEG = "jpeg"
H264 = {"h264_18": 18, "h264_23": 23, "h264_28": 28}
"""Name of a form of H.264 → its constant rate factor; a larger one compresses more."""
WRONG = 5.0


class Actor(PulsingPortrait):
    """A person in a film."""

    def film(self, seconds: float) -> Iterator[Picture]:
        """Yield pictures at even times."""
        phase = 0.0
        for number in range(int(seconds * FPS)):
            at = number / FPS
            phase += 2 * math.pi * self.rate_at(at) / 60 / FPS
            yield self._picture(at, phase)


@dataclass(frozen=True, slots=True)
class Film:
    """A film: its content and its compression."""

    portrait: int
    level: DisturbanceLevel
    pulse: bool
    form: str
    seed: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The windows of a film, and the error of each number, 1/min."""

    film: Film
    windows: int
    errors: tuple[float, ...]


def write_film(path: Path, pictures: Iterator[Picture], form: str) -> None:
    """Write a film."""
    if form == JPEG:
        code = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, FPS, (WIDTH, HEIGHT))
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 90)
        for picture in pictures:
            writer.write(picture)
        writer.release()
        return
    av: Any = importlib.import_module("av")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=int(FPS), options={"crf": str(H264[form])})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())


def listen(film: Film, folder: Path, seconds: float) -> Heard:
    """Make a film, and look for its pulse as ``analyse-video --pulse`` does."""
    cv2.setNumThreads(1)
    actor = Actor(film.portrait, film.level, film.seed, pulse=film.pulse)
    number = f"{film.portrait}-{film.level.name}-{film.pulse}-{film.form}-{film.seed}"
    path = folder / f"{number}.{'avi' if film.form == JPEG else 'mp4'}"
    write_film(path, actor.film(seconds), film.form)
    pulse = PulseOfVideo()
    with closing(VideoReader(path, open_recognizer(), on_frame=pulse.on_frame)) as reader:
        for _ in reader:
            pass
    pulse.finish()
    path.unlink()
    errors = tuple(
        abs(reading.value - _true_rate(actor, reading.at.boot_ms / 1000))
        for reading in pulse.readings
    )
    return Heard(film, int((seconds - WINDOW_S) // STEP_S) + 1, errors)


def _true_rate(actor: Actor, middle_s: float) -> float:
    times = np.linspace(middle_s - WINDOW_S / 2, middle_s + WINDOW_S / 2, 200)
    return float(np.mean([actor.rate_at(at) for at in times]))


def figures_of(clips: list[Heard]) -> dict[str, float]:
    """Return the figures of all films."""
    figures: dict[str, float] = {}
    for form in dict.fromkeys(one.film.form for one in clips):
        beating = [one for one in clips if one.film.form == form and one.film.pulse]
        lifeless = [one for one in clips if one.film.form == form and not one.film.pulse]
        errors = [error for one in beating for error in one.errors] or [math.nan]
        figures[f"pulse_films_{form}_error_largest"] = max(errors)
        figures[f"pulse_films_{form}_wrong"] = sum(error > WRONG for error in errors)
        for level in LEVELS[:2]:
            of = [one for one in beating if one.film.level == level]
            share = sum(len(one.errors) for one in of) / sum(one.windows for one in of)
            figures[f"pulse_films_{form}_speaks_{level.name}"] = share
        told = sum(len(one.errors) for one in lifeless)
        figures[f"pulse_films_{form}_false"] = told / sum(one.windows for one in lifeless)
    return figures


def measure(seeds: int, seconds: float, folder: Path) -> dict[str, float]:
    """Let the command's chain look at every film."""
    forms: tuple[str, ...] = (JPEG,)
    if importlib.util.find_spec("av") is None:
        say("benchmarks.recorded.pulse_films: without PyAV there are no films in H.264")
    else:
        forms += tuple(H264)
    films = [
        Film(*what)
        for what in itertools.product((0, 1), LEVELS[:2], (True, False), forms, range(seeds))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return figures_of(list(pool.map(partial(listen, folder=folder, seconds=seconds), films)))


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        seeds=(2, "films of each portrait, level and form, with and without pulse"),
        seconds=(60.0, "length of a film"),
    )
