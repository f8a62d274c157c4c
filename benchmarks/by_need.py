"""Whether the rows of an agent that reads by need are those of one that reads every frame.

    python -m benchmarks.by_need [--json] [--walks N] [--seed N] [--half a|b] [--photographs ZIP]
        [--prior data|balanced|fitted] [--no-movements] [--sparing]

Read are made-up walks of half a minute: a photograph of a face drifts, tilts and is lit as a
hand-held one would be, under noise, and every two to six seconds another one takes its place. Half
a of the photographs (every second one) served to choose the numbers of
`edge_agent/vision/reading_by_need.py`, half b judges. Both chains see the same frames, 15 a second.
Compared are the labels of each row of one second.

Rows near the border of a label are decided by chance, whoever reads: so a third chain reads every
frame, too, of the same walk, filmed half a frame later. How often its rows have the label of the
first tells what can be reached.

A face that is lost for a moment may get a new number in one chain and keep the old one in another.
From then on no row of it has a row of the same number, whatever its label. So rows are also
compared with those of the same second, in order of their numbers (`whatever_number`), which tells
of the labels alone. With ``--sparing`` another chain reads as under load or heat.

Where two photographs fade into each other, or noise is strong, a face may be taken for a speaking
one, whose label is held: which, a moment decides. With ``--no-movements`` no label is held.

The photographs are looked for in the shared data (`benchmarks/_shared.py`).
"""

from __future__ import annotations

import math
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks._command import command, show
from benchmarks._shared import PHOTOGRAPHS
from benchmarks.vision import FPS, costs_of_models, counts_of
from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion, ExpressionRow, Frame, Prior
from edge_agent.timeline.write.recorder import Intervals
from edge_agent.vision.align import Picture
from edge_agent.vision.reading_by_need import Effort
from edge_agent.vision.recognizer import open_recognizer

START = Instant(boot_ms=60_000, wall_ms=1_800_000_000_000)
SECONDS = 30
SIZE = 320, 240
Labels = dict[tuple[int, int], Emotion | None]
"""Second and track → label."""
FIRST_SEED = 41000
"""Of the first of the walks that judged."""
WALKS = 14
LATER = 0.5
"""How much later the third chain films, frames."""


class Walk:
    """One made-up video.

    Args:
        archive: photographs.
        names: those of them that may come.
        seed: of everything that is left to chance.
    """

    def __init__(self, archive: zipfile.ZipFile, names: list[str], seed: int) -> None:
        self._archive = archive
        self._names = names
        self._seed = seed
        self._random = random.Random(seed)
        noise = np.random.default_rng(seed).normal(size=(8, SIZE[1], SIZE[0], 3))
        self._noise = self._random.uniform(1, 5) * noise.astype(np.float32)
        self._side = self._random.uniform(100, 220)
        self._drift = self._random.uniform(1, 5)
        self._phase = self._random.uniform(0, 6)

    def frames(self, phase: float = 0.0) -> Iterator[Picture]:
        """Give the frames, the same each time; each ``phase`` of a frame later."""
        self._random = random.Random(self._seed)
        present = self._next()
        coming = self._next()
        change_at = self._random.uniform(2, 6)
        fade_s = 0.5
        for number in range(SECONDS * FPS):
            seconds = (number + phase) / FPS
            if seconds > change_at + fade_s:
                present = coming
                coming = self._next()
                change_at = seconds + self._random.uniform(2, 6)
                fade_s = self._random.choice((0.3, 0.6, 1.0))
            share = min(max((seconds - change_at) / fade_s, 0.0), 1.0)
            frame = (1 - share) * self._placed(present, seconds)
            if share > 0:
                frame += share * self._placed(coming, seconds)
            frame *= 1 + 0.1 * math.sin(0.3 * seconds + self._phase)
            yield np.clip(frame + self._noise[number % 8], 0, 255).astype(np.uint8)

    def _next(self) -> Picture:
        content = self._archive.read(self._random.choice(self._names))
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(picture, np.uint8)

    def _placed(self, picture: Picture, seconds: float) -> npt.NDArray[np.float32]:
        height, width = picture.shape[:2]
        wave = math.sin(0.9 * seconds + self._phase)
        scale = self._side / max(height, width) * (1 + 0.04 * wave)
        matrix = cv2.getRotationMatrix2D(
            (width / 2, height / 2), 2 * math.sin(0.5 * seconds), scale
        )
        matrix[:, 2] += (
            SIZE[0] / 2 - width / 2 + 2 * self._drift * wave,
            SIZE[1] / 2 - height / 2 + self._drift * math.sin(1.3 * seconds),
        )
        placed = cv2.warpAffine(picture, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
        return placed.astype(np.float32)


def labels(
    frames: Iterator[Picture], effort: Effort, settings: VisionSettings, phase: float = 0.0
) -> tuple[Labels, float, int]:
    """Return the labels of the rows, million multiply-adds in all, and the number of frames."""
    by_need = effort is not Effort.EVERY_FRAME
    recognizer = open_recognizer(settings, by_need=by_need)
    recognizer.effort = effort
    intervals = Intervals(1.0)
    rows = []
    number = -1
    for number, image in enumerate(frames):
        frame = Frame(image, START.shift((number + phase) / FPS), number)
        if recognizer.is_due(frame):
            rows += intervals.add(recognizer.recognize(frame))
    rows += intervals.finish()
    million = sum(
        n * each for n, each in zip(counts_of(recognizer), costs_of_models(), strict=True)
    )
    # the last row is dated by its last frame, the others by their end
    labelled = {
        (math.ceil(row.at.boot_ms / 1000), row.track): row.emotion
        for row in rows
        if isinstance(row, ExpressionRow)
    }
    return labelled, million, number + 1


def measure(sources: list[Walk], settings: VisionSettings) -> dict[str, float]:
    """Read everything in both ways, and half a frame later."""
    same = itself = same_second = itself_second = rows = frames = 0
    million = 0.0
    for source in sources:
        full, _cost, _count = labels(source.frames(), Effort.EVERY_FRAME, settings)
        needed, cost, count = labels(source.frames(), Effort.BY_NEED, settings)
        later, _cost, _count = labels(source.frames(LATER), Effort.EVERY_FRAME, settings, LATER)
        same += agreeing(full, needed)
        itself += agreeing(full, later)
        same_second += agreeing(in_order(full), in_order(needed))
        itself_second += agreeing(in_order(full), in_order(later))
        rows += len(full)
        million += cost
        frames += count
    return {
        "by_need_rows": rows,
        "by_need_same_label": round(same / rows, 4),
        "by_need_same_label_whatever_number": round(same_second / rows, 4),
        "by_need_every_frame_later_same_label": round(itself / rows, 4),
        "by_need_every_frame_later_same_label_whatever_number": round(itself_second / rows, 4),
        "by_need_million_multiply_adds": round(million / frames, 1),
    }


def measure_sparing(sources: list[Walk], settings: VisionSettings) -> dict[str, float]:
    """Read every frame, and sparingly; tell how often the rows have the same label, or another."""
    same = another = rows = frames = 0
    million = 0.0
    for source in sources:
        full = in_order(labels(source.frames(), Effort.EVERY_FRAME, settings)[0])
        spared, cost, count = labels(source.frames(), Effort.SPARING, settings)
        spared = in_order(spared)
        same += agreeing(full, spared)
        another += sum(
            None not in {one, spared.get(key)} and spared[key] is not one
            for key, one in full.items()
        )
        rows += len(full)
        million += cost
        frames += count
    return {
        "by_need_sparing_same_label_whatever_number": round(same / rows, 4),
        "by_need_sparing_another_emotion": round(another / rows, 4),
        "by_need_sparing_million_multiply_adds": round(million / frames, 1),
    }


def agreeing(full: Labels, other: Labels) -> int:
    """Return how many rows have the same label in both."""
    return sum(key in other and other[key] is label for key, label in full.items())


def in_order(labelled: Labels) -> Labels:
    """Number the tracks of each second anew, from 0, in order of their numbers."""
    seconds: dict[int, int] = {}
    anew: Labels = {}
    for second, track in sorted(labelled):
        place = seconds.get(second, 0)
        seconds[second] = place + 1
        anew[second, place] = labelled[second, track]
    return anew


def main() -> None:
    """Measure and print."""
    parser = command(__doc__)
    parser.add_argument("--walks", type=int, default=WALKS, help="how many")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first walk")
    parser.add_argument("--half", choices=("a", "b"), default="b", help="of the photographs")
    parser.add_argument("--photographs", type=Path, default=PHOTOGRAPHS, help="a ZIP of JPEGs")
    parser.add_argument("--prior", choices=get_args(Prior), default="fitted", help="vision.prior")
    parser.add_argument("--no-movements", action="store_true", help="nobody is known to speak")
    parser.add_argument("--sparing", action="store_true", help="and read as under load or heat")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with zipfile.ZipFile(options.photographs) as archive:
        every = [name for name in archive.namelist() if name.endswith(".jpg")]
        names = every["ab".index(options.half) :: 2]
        seeds = range(options.seed, options.seed + options.walks)
        walks = [Walk(archive, names, seed) for seed in seeds]
        settings = VisionSettings(prior=options.prior, movements=not options.no_movements)
        figures = measure(walks, settings)
        if options.sparing:
            figures |= measure_sparing(walks, settings)
    show(figures, as_json=options.json)


if __name__ == "__main__":
    main()
