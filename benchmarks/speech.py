"""How steady the label of a speaking face is, and how soon it follows a smile.

    python -m benchmarks.speech [--json] [--photographs ZIP] [--half A|B] [--people N]

Made-up speech: a photograph of a neutral face rests for a second and speaks for nine. Its lower lip
and jaw are drawn down by syllables, its lips to the sides or forward, with teeth and pauses. Then
it fades, within 0.4 s, into the photograph of another, smiling person, which in every second
sequence speaks on. The head moves a little, under noise. The photographs are of the web, two of
three people agree on them (`training/data/readings.py`), and each alone is named neutral or
happiness: what is counted is lost by speech. Half A chose the numbers of
`edge_agent/vision/speech.py` and `smoother.py`, half B judges.

The chain reads by need, as the agent does. Told are: the share of the time that a speaking face is
*uncertain*, changes of its label a minute, runs of a label below half a second, and the share of
smiles that are named within 1.5 s; `unwatched_…`: the same of a chain that reads no movements, and
so does not know who speaks. Drawn mouths seldom look like smiles: in videos of people labels change
more often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks._command import benchmark
from benchmarks._photographs import largest_face, read_photographs
from benchmarks._shared import PHOTOGRAPHS
from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion, Frame
from edge_agent.vision.align import Picture, similarity
from edge_agent.vision.recognizer import Recognizer, open_recognizer

FPS = 15
REST_S = 1.0
SPEAKS_S = 9.0
SMILES_S = 2.5
FADES_S = 0.4
FOLLOWS_S = 1.5
SHORT_S = 0.5
SIZE = 320, 240
FACE = 100
"""Height of a face, pixels."""
_START = Instant(10_000, 1_800_000_000_000)
Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FramedFace:
    """A face in the middle of a frame.

    Attributes:
        image: uint8, height × width, gray.
        landmarks: as of `Face.landmarks`.
    """

    image: Picture
    landmarks: Points

    def speaking(self, opening: float, width: float) -> Picture:
        """Return the picture with another mouth.

        Args:
            opening: of the jaw, 0…1.
            width: of the lips, −1 (forward) … 1 (to the sides).
        """
        # In mouth coordinates: half of its width is 1, u to the left corner, v down.
        right, left = self.landmarks[3], self.landmarks[4]
        half = float(np.linalg.norm(left - right)) / 2
        across = (left - right) / (2 * half)
        down = np.array([-across[1], across[0]])
        middle = (left + right) / 2
        rows, columns = np.indices(self.image.shape)
        x, y = columns - middle[0], rows - middle[1]
        u, v = (x * across[0] + y * across[1]) / half, (x * down[0] + y * down[1]) / half
        lips = 1 + 0.3 * width
        gap = 0.9 * opening * np.clip(1 - (u / lips) ** 2, 0, None)
        jaw = 0.9 * opening * np.exp(-((u / 1.8) ** 2)) * np.clip(1 - (v - gap) / 2.2, 0, 1)
        near = np.exp(-np.clip(v - gap, 0, None) / 0.5)
        shift = np.minimum(gap * near + jaw * (1 - near), np.maximum(v, 0))
        from_u = u / (1 + 0.3 * width * np.exp(-(u**2 / 2 + v**2 / 1.2)))
        from_v = np.where(v > gap, v - shift, v)
        # Lips that go to the sides raise their corners a little.
        from_v += 0.12 * max(width, 0.0) * np.exp(-((np.abs(u) - 1) ** 2 / 0.25 + v**2 / 0.4))
        moved = cv2.remap(
            self.image,
            (middle[0] + half * (from_u * across[0] + from_v * down[0])).astype(np.float32),
            (middle[1] + half * (from_u * across[1] + from_v * down[1])).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        level = float(np.median(self.image))
        bared = np.clip((width - 0.1) / 0.5, 0, 1) * np.clip((0.75 - opening) / 0.3, 0, 1)
        teeth = v < np.maximum(np.minimum(0.45 * gap, 0.2), gap * bared)
        inside = np.where(teeth, min(1.25 * level, 235.0), 0.18 * level)
        share = np.clip(np.minimum(v, gap - v) * half / 1.5 + 0.5, 0, 1) * (gap > 0.02)
        blended = np.clip(moved * (1 - share) + inside * share, 0, 255)
        return np.asarray(blended, np.uint8)


@dataclass(slots=True)
class Counts:
    """Figures of the labels of all sequences."""

    frames: int = 0
    uncertain: int = 0
    changes: int = 0
    short: int = 0
    smiles: dict[bool, list[bool]] = field(default_factory=lambda: {False: [], True: []})

    def add(self, labels: list[Emotion | None], *, speaks_on: bool) -> None:
        """Add the labels of a sequence, one a frame."""
        ends = round((REST_S + SPEAKS_S) * FPS)
        spoken = labels[round((REST_S + 0.5) * FPS) : ends]
        self.frames += len(spoken)
        self.uncertain += spoken.count(None)
        self.changes += sum(one is not other for one, other in pairwise(spoken))
        runs = [sum(1 for _ in those) for _, those in groupby(spoken)]
        self.short += sum(run < SHORT_S * FPS for run in runs[1:-1])
        smiling = labels[ends : ends + round(FOLLOWS_S * FPS) + 1]
        self.smiles[speaks_on].append(Emotion.HAPPINESS in smiling)

    def figures(self) -> dict[str, float]:
        """Return the figures."""
        smiles = [*self.smiles[False], *self.smiles[True]]
        return {
            "speech_uncertain_percent": 100 * self.uncertain / self.frames,
            "speech_changes_per_minute": 60 * FPS * self.changes / self.frames,
            "speech_short_runs": self.short,
            "speech_smiles_followed_percent": 100 * sum(smiles) / len(smiles),
            "speech_smiles_while_speaking_followed_percent": (
                100 * sum(self.smiles[True]) / max(len(self.smiles[True]), 1)
            ),
        }


def measure(photographs: Path, half: str, people: int) -> dict[str, float]:
    """Return the figures of a chain that knows who speaks, and of one that does not."""
    watched, unwatched = Counts(), Counts()
    sequences = 0
    for calm, smiling in _pairs(photographs, half, people):
        speaks_on = sequences % 2 == 1
        frames = list(_frames(calm, smiling, sequences, speaks_on=speaks_on))
        for counts, movements in ((watched, True), (unwatched, False)):
            recognizer = open_recognizer(VisionSettings(movements=movements), by_need=True)
            counts.add(list(_labels(recognizer, frames)), speaks_on=speaks_on)
        sequences += 1
    if not sequences:
        raise SystemExit(
            f"{photographs}: no photograph of half {half} is named; give --half A or B"
        )
    without = {f"unwatched_{name}": value for name, value in unwatched.figures().items()}
    return {"speech_sequences": sequences, **watched.figures(), **without}


def _pairs(photographs: Path, half: str, people: int) -> Iterator[tuple[FramedFace, FramedFace]]:
    recognizer = open_recognizer(VisionSettings(movements=False))
    named: dict[Emotion, list[FramedFace]] = {Emotion.NEUTRAL: [], Emotion.HAPPINESS: []}
    for label, image in read_photographs(photographs, half):
        emotion = EMOTIONS[label]
        if emotion in named and len(named[emotion]) < people:
            portrait = _portrait(recognizer, image)
            reading = None if portrait is None else largest_face(recognizer, portrait.image)
            if portrait and reading and (reading.emotion, reading.reject_reason) == (emotion, None):
                named[emotion].append(portrait)
    yield from zip(named[Emotion.NEUTRAL], named[Emotion.HAPPINESS], strict=False)


def _portrait(recognizer: Recognizer, image: Picture) -> FramedFace | None:
    """Return a frame with the face in its middle; ``None``: no face was found."""
    reading = largest_face(recognizer, image)
    if reading is None:
        return None
    scale = FACE / reading.face.box.height
    points = np.array(reading.face.landmarks) * scale
    matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    matrix[:, 2] = np.array(SIZE) / 2 - points.mean(axis=0)
    return FramedFace(_warped(image, matrix), points + matrix[:, 2])


def _warped(image: Picture, matrix: Floats) -> Picture:
    warped = cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _frames(
    calm: FramedFace, smiling: FramedFace, number: int, *, speaks_on: bool
) -> Iterator[Picture]:
    random = np.random.default_rng(number)
    fit = similarity(smiling.landmarks, calm.landmarks)
    smile = FramedFace(_warped(smiling.image, fit), smiling.landmarks @ fit[:, :2].T + fit[:, 2])
    ends_s = REST_S + SPEAKS_S
    openings, widths = _syllables(ends_s + SMILES_S, random)
    phases = random.uniform(0, 2 * np.pi, 4)
    for frame in range(len(openings)):
        at_s = frame / FPS
        mouth = (openings[frame], widths[frame]) if at_s < ends_s or speaks_on else (0.0, 0.0)
        fade = float(np.clip((at_s - ends_s) / FADES_S, 0, 1))
        picture = calm.speaking(*mouth)
        if fade > 0:
            other = smile.speaking(0.7 * mouth[0], 0.5 * mouth[1])
            picture = np.asarray(cv2.addWeighted(picture, 1 - fade, other, fade, 0), np.uint8)
        sway = np.sin(np.array([0.7, 0.5, 0.6, 0.9]) * at_s + phases)
        center = (SIZE[0] / 2, SIZE[1] / 2)
        turned = cv2.getRotationMatrix2D(center, 3 * sway[0], 1 + 0.03 * sway[1])
        head = np.asarray(turned, np.float64)
        head[:, 2] += (6 * sway[2], 4 * sway[3])
        noisy = _warped(picture, head) + random.normal(0, 2, SIZE[::-1])
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def _syllables(length_s: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return opening and width of the mouth in each frame."""
    keys = [(0.0, 0.0, 0.0), (REST_S, 0.0, 0.0)]
    at_s = REST_S
    while at_s < length_s:
        for _ in range(random.integers(4, 12)):
            opening = (
                random.uniform(0.5, 0.85) if random.random() < 0.3 else random.uniform(0.15, 0.5)
            )
            width, takes_s = random.uniform(-1, 0.9), random.uniform(0.14, 0.28)
            keys.append((at_s + takes_s / 2, opening, width))
            at_s += takes_s
            keys.append((at_s, random.uniform(0, 0.12), width / 2))
        at_s += random.uniform(0.25, 0.7)
        keys.append((at_s - 0.05, 0.0, 0.0))
    times, openings, widths = np.array(keys).T
    frames = np.arange(round(length_s * FPS)) / FPS
    return np.interp(frames, times, openings), np.interp(frames, times, widths)


def _labels(recognizer: Recognizer, frames: list[Picture]) -> Iterator[Emotion | None]:
    """Yield the label that stands at each frame."""
    label = None
    for number, gray in enumerate(frames):
        since_ms = round(1000 * number / FPS)
        at = Instant(_START.boot_ms + since_ms, _START.wall_ms + since_ms)
        frame = Frame(np.dstack([gray] * 3), at, number)
        if recognizer.is_due(frame):
            face = recognizer.recognize(frame).primary
            label = label if face is None else face.emotion
        yield label


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        photographs=(PHOTOGRAPHS, "zip of the photographs, its tables beside it"),
        half=("B", "half of the photographs: A chose the numbers, B judges"),
        people=(40, "at most so many sequences"),
    )
