"""Blinks of made-up closures: how many are found, how long they are, and what is counted falsely.

    python -m benchmarks.blinks [--json] [--seeds N] [--seconds S] [--faces ZIP] [--people N]

The two portraits of the demonstration sit before the made-up camera of ``camera_pulse.py``, which
moves their heads at three levels, changes the light, adds noise and compresses. Lids are drawn over
their eyes with the colour of the skin beside them and a line of lashes, and close for 80, 150 and
300 ms (by more than half; 60 ms to close, 90 ms to open), every 1.5 to 5 seconds, at 15 and 30
uneven frames per second. The frames go through the real chain: faces by need, eyes in each frame,
blinks, windows. A blink is found where one is reported within 100 ms of its begin; all others are
false, as are those of clips without a closure, or with closures of 0.8 to 2 s only. In bursts the
lids close eleven times for 80 ms, two to five times a second, half of them behind a closure of 0.8
to 2 s.

With ``--faces`` (the Face Research Lab London Set) as many other people sit there.

It is a simulation: drawn lids have no wrinkle and no shadow, and people blink in more ways.
"""

from __future__ import annotations

import itertools
import math
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks._command import benchmark
from benchmarks.camera_pulse import LEVELS, DisturbanceLevel, PulsingPortrait, Values, seat_face
from edge_agent.core.expression import Face
from edge_agent.core.readings import Gap, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vision.align import Picture
from edge_agent.vision.eyes import EyeWatch
from edge_agent.vision.movements import open_movements
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vitals.camera_blinks import CameraBlinks

RATES = (15.0, 30.0)
LASTING_MS = (80, 150, 300)
NONE_MS = 0
LONG_MS = 1400
"""Clips without a closure, and with closures that are no blinks."""
BURST_MS = 81
"""Clips with bursts of closures of 80 ms."""
BURST = 11
CLOSING_S, OPENING_S = 0.06, 0.09
NEAR_S = 0.1
SHORT_S = 0.5
STEPS = 8
"""Drawn positions of the lids from open to closed."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A closure of the lids: seconds at which it is half closed, and for which it is more."""

    begin_s: float
    lasting_s: float

    def at(self, seconds: float) -> float:
        """Return how far the lids are closed, 0…1."""
        closing = (seconds - self.begin_s) / CLOSING_S + 0.5
        opening = (self.begin_s + self.lasting_s - seconds) / OPENING_S + 0.5
        return min(max(min(closing, opening), 0.0), 1.0)


def closures(chance: np.random.Generator, lasting_ms: int, seconds: float) -> list[Closure]:
    """Return closures of a clip, the first after four seconds."""
    made: list[Closure] = []
    at = 4.0
    if lasting_ms == BURST_MS:
        return list(_bursts(chance, seconds))
    while lasting_ms and at < seconds - 3:
        lasting_s = chance.uniform(0.8, 2.0) if lasting_ms == LONG_MS else lasting_ms / 1000
        made.append(Closure(at, float(lasting_s)))
        at += lasting_s + chance.uniform(1.5, 5.0)
    return made


def _bursts(chance: np.random.Generator, seconds: float) -> Iterator[Closure]:
    """Yield bursts, half of them behind a long closure, which is no blink."""
    at = 4.0
    for number in itertools.count():
        if at + BURST / 2 + 3 > seconds:
            return
        if number % 2:
            long_s = float(chance.uniform(0.8, 2.0))
            yield Closure(at, long_s)
            at += long_s + 0.4
        each_s = 1 / float(chance.uniform(2, 5))
        for _ in range(BURST):
            yield Closure(at, 0.08)
            at += each_s
        at += float(chance.uniform(3, 6))


def draw_lids(scene: Values, face: Face, closed: float) -> Values:
    """Return a picture with lids drawn over the eyes of a face.

    Args:
        scene: float32, height × width × 3, BGR, 0…255.
        face: in its pixels.
        closed: 0 (open) … 1.
    """
    right, left = np.array(face.landmarks[:2], np.float64)
    across = left - right
    apart = float(np.linalg.norm(across))
    across /= apart
    down = np.array([-across[1], across[0]])
    y, x = np.mgrid[0 : scene.shape[0], 0 : scene.shape[1]].astype(np.float64)
    drawn = scene.copy()
    # An eye opens 30 mm by 10 mm, and pupils are 63 mm apart.
    half_width, half_height = 0.25 * apart, 0.1 * apart
    for eye in (right, left):
        u = ((x - eye[0]) * across[0] + (y - eye[1]) * across[1]) / half_width
        v = ((x - eye[0]) * down[0] + (y - eye[1]) * down[1]) / half_height
        bow = np.sqrt(np.clip(1 - u**2, 0, 1))
        edge = bow * (2 * closed - 1)
        inside = np.clip((1 - u**2 - v**2) * half_height / 1.5 + 0.5, 0, 1)
        lid = inside * np.clip((edge - v) * half_height + 0.5, 0, 1)
        lashes = np.clip(1 - np.abs(v - edge) * half_height / max(1.0, 0.02 * apart), 0, 1)
        lashes *= 0.7 * (np.abs(u) < 1) * min(1.0, 3 * closed)
        skin = 0.9 * _skin_below(scene, eye + 0.26 * apart * down, apart)
        drawn = drawn * (1 - lid[..., np.newaxis]) + skin * lid[..., np.newaxis]
        drawn = drawn * (1 - lashes[..., np.newaxis]) + 30.0 * lashes[..., np.newaxis]
    return np.asarray(drawn, np.float32)


def _skin_below(scene: Values, place: Values, apart: float) -> Values:
    """Return the colour of the cheek below an eye."""
    reach = max(1, round(0.06 * apart))
    column, row = np.clip(np.rint(place).astype(int), reach, np.array(scene.shape[1::-1]) - reach)
    patch = scene[row - reach : row + reach, column - reach : column + reach]
    return np.asarray(np.median(patch.reshape(-1, 3), axis=0), np.float32)


class Blinker(PulsingPortrait):
    """A person who blinks.

    Args:
        who: 0 or 1: a portrait; a picture: of another person.
        clip: what is shown.
        seconds: how long.
    """

    def __init__(self, who: int | Picture, clip: Clip, seconds: float) -> None:
        self._other = None if isinstance(who, int) else who
        number = who if isinstance(who, int) else 0
        seed = clip.seed + 1000 * clip.person
        super().__init__(number, clip.level, seed, pulse=True, fps=clip.fps)
        chance = np.random.default_rng([seed, clip.lasting_ms, round(clip.fps)])
        self.closures = closures(chance, clip.lasting_ms, seconds)
        face = _largest(_recognizer(), np.clip(self._base, 0, 255).astype(np.uint8))
        levels = np.linspace(0, 1, STEPS + 1)[1:]
        lids = [draw_lids(self._base, face, level) for level in levels]
        self._lids = [self._base, *lids]

    def _scene(self, portrait: int, face: float) -> tuple[Values, Values]:
        if self._other is None:
            return super()._scene(portrait, face)
        box = _largest(_recognizer(), self._other).box
        middle = (box.x + box.width / 2, box.y + box.height / 2)
        return seat_face(self._other, middle, face / box.height)

    def _person_at(self, at: float, beat: float) -> Values:
        closed = max((closure.at(at) for closure in self.closures), default=0.0)
        shown = self._lids[round(STEPS * closed)]
        return np.asarray(shown + np.float32(beat) * self._beat, np.float32)


@cache
def _recognizer() -> Recognizer:
    return open_recognizer()


def _largest(recognizer: Recognizer, image: Picture) -> Face:
    readings = recognizer.read_picture(image)
    return max((reading.face for reading in readings), key=lambda face: face.box.height)


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip: person, level of movement, duration of the closures, frames per second."""

    person: int
    level: DisturbanceLevel
    lasting_ms: int
    fps: float
    seed: int


@dataclass(frozen=True, slots=True)
class SeenBlinks:
    """The blinks reported of a clip.

    Attributes:
        shown: closures within windows that have a count.
        hits: those that were found.
        false: blinks that were none.
        errors_ms: reported less true duration of those found.
        watched_s: seconds of the windows that have a count.
        gaps: windows without one.
        cpu_s: processor time of the eyes.
    """

    clip: Clip
    shown: int
    hits: int
    false: int
    errors_ms: tuple[float, ...]
    watched_s: float
    gaps: tuple[Gap, ...]
    cpu_s: float


def watch(who: int | Picture, clip: Clip, seconds: float) -> SeenBlinks:
    """Let the chain of the agent look at a person."""
    readings: list[VitalReading] = []
    gaps: list[Gap] = []
    blinks = CameraBlinks(readings.append, gaps.append)
    recognizer = open_recognizer(by_need=True)
    eyes = EyeWatch(open_movements(1), blinks.add_frame)
    person = Blinker(who, clip, seconds)
    cpu_s = 0.0
    for frame in person.frames(seconds):
        seen = recognizer.recognize(frame) if recognizer.is_due(frame) else None
        begun = time.process_time()
        eyes.add(frame, seen)
        cpu_s += time.process_time() - begun
    blinks.close()
    return _compare(clip, person.closures, readings, tuple(gaps), cpu_s)


def _compare(
    clip: Clip,
    shown: list[Closure],
    readings: list[VitalReading],
    gaps: tuple[Gap, ...],
    cpu_s: float,
) -> SeenBlinks:
    ends = [r.at.boot_ms / 1000 for r in readings if r.kind is VitalKind.BLINK_RATE]
    told = [r for r in readings if r.kind is VitalKind.BLINK_DURATION]
    # A closure at the border of two windows belongs to that in which it ends.
    counted = [c for c in shown if any(end - 10 < c.begin_s + c.lasting_s < end for end in ends)]
    if clip.lasting_ms == BURST_MS:
        counted = [one for one in counted if one.lasting_s < SHORT_S]
    errors: list[float] = []
    for closure in counted:
        near = [r for r in told if abs(r.at.boot_ms / 1000 - closure.begin_s) <= NEAR_S]
        if near and clip.lasting_ms != LONG_MS:
            errors.append(near[0].value - 1000 * closure.lasting_s)
            told.remove(near[0])
    return SeenBlinks(
        clip, len(counted), len(errors), len(told), tuple(errors), 10.0 * len(ends), gaps, cpu_s
    )


def figures_of(seen: list[SeenBlinks], seconds: float) -> dict[str, float]:
    """Return the figures of all clips."""
    figures: dict[str, float] = {}
    for lasting, fps in itertools.product(LASTING_MS, RATES):
        of = [s for s in seen if (s.clip.lasting_ms, s.clip.fps) == (lasting, fps)]
        name = f"{lasting}_ms_at_{fps:.0f}"
        figures[f"blinks_found_{name}"] = sum(s.hits for s in of) / sum(s.shown for s in of)
        errors = [error for s in of for error in s.errors_ms] or [math.nan]
        figures[f"blinks_duration_error_{name}"] = float(np.median(np.abs(errors)))
    for fps in RATES:
        of = [s for s in seen if (s.clip.lasting_ms, s.clip.fps) == (BURST_MS, fps)]
        figures[f"blinks_bursts_found_at_{fps:.0f}"] = sum(s.hits for s in of) / sum(
            s.shown for s in of
        )
    figures["blinks_false_a_minute_bursts"] = _false_a_minute(
        [s for s in seen if s.clip.lasting_ms == BURST_MS]
    )
    for level in LEVELS:
        of = [s for s in seen if s.clip.level == level and s.clip.lasting_ms != BURST_MS]
        figures[f"blinks_false_a_minute_{level.name}"] = _false_a_minute(of)
        figures[f"blinks_found_{level.name}"] = sum(
            s.hits for s in of if s.clip.lasting_ms != LONG_MS
        ) / sum(s.shown for s in of if s.clip.lasting_ms != LONG_MS)
        figures[f"blinks_counted_time_{level.name}"] = sum(s.watched_s for s in of) / (
            len(of) * seconds
        )
    for name, lasting in (("without_closures", NONE_MS), ("long_closures", LONG_MS)):
        of = [s for s in seen if s.clip.lasting_ms == lasting]
        figures[f"blinks_false_a_minute_{name}"] = _false_a_minute(of)
    figures["blinks_false_a_minute"] = _false_a_minute(seen)
    for fps in RATES:
        of = [s for s in seen if s.clip.fps == fps]
        share = 100 * sum(s.cpu_s for s in of) / (len(of) * seconds)
        figures[f"blinks_core_percent_at_{fps:.0f}"] = share
    return {name: round(value, 4) for name, value in figures.items()}


def _false_a_minute(seen: list[SeenBlinks]) -> float:
    return sum(s.false for s in seen) / max(sum(s.watched_s for s in seen) / 60, 1e-9)


def _clip(clip: Clip, people: list[Picture], seconds: float) -> SeenBlinks:
    cv2.setNumThreads(1)
    who = people[clip.person] if people else clip.person
    return watch(who, clip, seconds)


def read_people(faces: Path, people: int) -> list[Picture]:
    """Return pictures of people at rest out of the London Set."""
    with zipfile.ZipFile(faces) as archive:
        names = sorted(n for n in archive.namelist() if n.startswith("neutral/"))
        pictures = []
        for name in names[:people]:
            raw = np.frombuffer(archive.read(name), np.uint8)
            pictures.append(np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR), np.uint8))
    return pictures


def measure(seeds: int, seconds: float, faces: Path | None, people: int) -> dict[str, float]:
    """Let the chain look at every clip."""
    pictures = read_people(faces, people) if faces is not None else []
    persons = range(len(pictures) or 2)
    lasting = (*LASTING_MS, NONE_MS, LONG_MS, BURST_MS)
    clips = [
        Clip(*what) for what in itertools.product(persons, LEVELS, lasting, RATES, range(seeds))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        look = partial(_clip, people=pictures, seconds=seconds)
        return figures_of(list(pool.map(look, clips)), seconds)


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        seeds=(1, "clips of each person, level, duration and rate"),
        seconds=(64.0, "length of a clip"),
        faces=(None, "archive of the London Set; left out: the two portraits"),
        people=(12, "people of the archive"),
    )
