"""Each person's own neutral: what it does to closed smiles, and what it costs a frame.

    python -m benchmarks.own_neutral [--json] [--faces london.zip] [--groups CSV]
        [--photographs ZIP] [--half A|B] [--rounds N]

The faces are those of the Face Research Lab London Set (DeBruine and Jones 2017): a picture of each
person with a neutral face and one with a posed, mostly closed smile, in the same order, with
``labels.csv``. The neutral picture calibrates, the smile is judged. They show false alarms only:
smiles that would be taken for a baseline, and smiles that are named neutral. The smiles are also
counted by apparent sex and dark skin (`training/data/apparent.py`).

Photographs of the web on which two of three people agree (`training/data/readings.py`) tell how
many expressions would be taken for a baseline (`…_accepted`, of those that can be read). Nobody
rests in them, so *neutral* tells the least that is accepted.

Where a file is missing, the rest is measured: last, the cost, by frames of one real face with the
shift and without it, in turns.
"""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import skimage.data

from benchmarks._command import benchmark
from benchmarks._photographs import largest_face, read_photographs
from benchmarks._shared import LONDON, PHOTOGRAPHS
from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import EMOTIONS, Emotion, Expression, Frame
from edge_agent.core.own_neutral import (
    LEAST_SECONDS,
    MOST_SHIFT,
    BaselineRefusal,
    Calibration,
    NeutralShift,
    SeenSecond,
    calibrate,
    logits_of,
)
from edge_agent.vision.align import Picture
from edge_agent.vision.recognizer import FaceReading, Recognizer, open_recognizer
from edge_agent.vision.smoother import label_of
from training.data import apparent
from training.data.apparent import read_coding

CODED = Path(apparent.__file__).with_name("apparent_london.csv")
GROUPS = {"women": ("sex", "woman"), "men": ("sex", "man"), "dark_skin": ("skin", "dark")}
"""Group → what is coded, and its code."""


def measure(
    faces: Path, groups: Path, photographs: Path, half: str, rounds: int
) -> dict[str, float]:
    """Return shares of the faces, and the processor time of a frame."""
    figures = _cost(rounds)
    if faces.is_file():
        figures |= _shares(faces, groups)
    if photographs.is_file():
        figures |= _accepted(photographs, half)
    return figures


def _accepted(photographs: Path, half: str) -> dict[str, float]:
    """Return how many photographs of each expression are accepted as a baseline, in percent."""
    recognizer = open_recognizer(VisionSettings())
    accepted: dict[str, list[bool]] = {}
    for label, image in read_photographs(photographs, half):
        reading = largest_face(recognizer, image)
        if reading is not None and reading.reject_reason is None:
            calibration = _calibrated(reading, recognizer.temperature)
            accepted.setdefault(EMOTIONS[label], []).append(calibration.refusal is None)
    return {
        f"baselines_{name}_accepted": 100 * fmean(those) for name, those in accepted.items()
    } | {f"baselines_{name}_faces": len(those) for name, those in accepted.items()}


def _shares(faces: Path, groups: Path) -> dict[str, float]:
    recognizer = open_recognizer(VisionSettings(), covers=False)
    names, *pictures = _pictures(faces)
    calm, smiling = ([_read(recognizer, one) for one in of] for of in pictures)
    temperature = recognizer.temperature
    rested = [_calibrated(one, temperature) for one in calm]
    smiled = [_calibrated(one, temperature) for one in smiling]
    smiles = [one.expression for one in smiling]
    shown = [
        NeutralShift(one.shift, temperature).applied(smile)
        for one, smile in zip(rested, smiles, strict=True)
    ]
    coding = read_coding(groups)
    by_group: dict[str, float] = {}
    for group, (subject, code) in GROUPS.items():
        those = coding.find_files(subject, code)
        for end, every in (("", smiles), ("_own_neutral", shown)):
            chosen = [one for name, one in zip(names, every, strict=True) if name in those]
            named = _named(recognizer, chosen, Emotion.HAPPINESS)
            by_group |= {group: len(chosen), f"{group}_smiles_named_happiness{end}": named}
    return by_group | {
        "people": len(calm),
        "neutral_refused": _refused(rested),
        "smiles_refused_as_baseline": _refused(smiled),
        "shift_cut": sum(one.shift <= -MOST_SHIFT for one in rested),
        "smiles_named_happiness": _named(recognizer, smiles, Emotion.HAPPINESS),
        "smiles_named_happiness_own_neutral": _named(recognizer, shown, Emotion.HAPPINESS),
        "smiles_named_neutral": _named(recognizer, smiles, Emotion.NEUTRAL),
        "smiles_named_neutral_own_neutral": _named(recognizer, shown, Emotion.NEUTRAL),
    }


def _pictures(faces: Path) -> tuple[list[str], list[bytes], list[bytes]]:
    """Return the names of the neutral pictures, these, and the smiles of the same people."""
    with zipfile.ZipFile(faces) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        neutral, smiles = (
            [row["file"] for row in rows if row["emotion"] == emotion]
            for emotion in (Emotion.NEUTRAL, Emotion.HAPPINESS)
        )
        return (
            neutral,
            [archive.read(one) for one in neutral],
            [archive.read(one) for one in smiles],
        )


def _read(recognizer: Recognizer, picture: bytes) -> FaceReading:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a picture of the faces cannot be read")
    return recognizer.read_picture(np.asarray(image, np.uint8))[0]


def _calibrated(reading: FaceReading, temperature: float) -> Calibration:
    logits = logits_of(reading.expression, temperature)
    smile = None if reading.movements is None else reading.movements.movements.get("smile")
    seen = [SeenSecond(at, logits, smile=smile) for at in range(LEAST_SECONDS)]
    return calibrate(seen, LEAST_SECONDS)


def _refused(calibrations: list[Calibration]) -> int:
    return sum(
        one.refusal in (BaselineRefusal.SMILING, BaselineRefusal.NOT_NEUTRAL)
        for one in calibrations
    )


def _named(recognizer: Recognizer, every: list[Expression], emotion: Emotion) -> int:
    return sum(label_of(one, recognizer.uncertain_below) is emotion for one in every)


def _cost(rounds: int) -> dict[str, float]:
    """Return the processor time of a frame in milliseconds, the least of the rounds."""
    rgb: Picture = skimage.data.astronaut()
    image = np.ascontiguousarray(rgb[:, :, ::-1])
    recognizer = open_recognizer(VisionSettings())
    shifts = {
        "plain_frame_ms": None,
        "own_neutral_frame_ms": NeutralShift(-1.5, recognizer.temperature),
    }
    best = dict.fromkeys(shifts, float("inf"))
    number = 0
    for _ in range(rounds):
        for name, shift in shifts.items():
            recognizer.neutral_shift = shift
            begun_s = clock.thread_cpu_seconds()
            for _ in range(30):
                number += 1
                at = Instant(1_000_000 + number * 66, number * 66)
                recognizer.recognize(Frame(image, at, number))
            best[name] = min(best[name], (clock.thread_cpu_seconds() - begun_s) / 30 * 1000)
    return best | {"own_neutral_ratio": best["own_neutral_frame_ms"] / best["plain_frame_ms"]}


if __name__ == "__main__":
    benchmark(
        __doc__,
        measure,
        faces=(LONDON, "zip of the London set"),
        groups=(CODED, "apparent sex and skin of its people"),
        photographs=(PHOTOGRAPHS, "zip of the photographs, its tables beside it"),
        half=("B", "half of the photographs: A chose the limits, B judges"),
        rounds=(15, "rounds of 30 frames each"),
    )
