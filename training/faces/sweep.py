"""Sweep of a detector over several least scores: the faces found, and the false ones.

To be found are the faces that `trial` counts; a detection is false when YuNet sees nothing there at
320 × 240 nor at 640 × 480, both with a score of 0.3. A score is chosen on the part ``valid``; the
part ``test`` then evaluates the chosen one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.finder import FaceFinder, YuNet
from edge_agent.vision.models.card import find_model, read_card
from edge_agent.vision.models.model import load_model
from training.errors import DataError, write_whole
from training.faces.labelling import Picture, Shares
from training.faces.photographs import PhotographArchive
from training.faces.trial import (
    HEIGHT,
    WIDTH,
    candidates,
    expected_faces,
    frame_of,
    hit,
    touch_others,
)
from training.faces.trial_report import MIN_FACE, SURE

SCORES = (0.45, 0.5, 0.55, 0.6, 0.63)
JUDGED = 0.3
"""Score of the two detectors that check ours."""
STILL_BARS = {"portraits": 0.98, "scenes": 0.95}
SWEEP_FALSE_BAR = 0.05
STILLS = "held out, still pictures at their own score"
"""Name of the figures of the score that was chosen in a card."""


@dataclass(slots=True)
class Sweep:
    """The findings in the pictures of one archive, by least score.

    Attributes:
        pictures: how many there were.
        faces: how many were to be found.
        hits: how many of these faces were found.
        false: detections that no checker confirms.
    """

    pictures: int = 0
    faces: int = 0
    hits: Counter[float] = field(default_factory=Counter)
    false: Counter[float] = field(default_factory=Counter)


def sweep(
    pictures: Iterable[tuple[str, Picture]],
    ours: Mapping[float, FaceFinder],
    yunet: FaceFinder,
    checkers: Sequence[FaceFinder],
) -> Sweep:
    """Count what detectors of several scores find in pictures.

    Args:
        pictures: each with its name.
        ours: least score → the detector that asks for it.
        yunet: says which faces are to be found.
        checkers: a detection that none of them touches is false.
    """
    result = Sweep()
    for _name, picture in pictures:
        frame = frame_of(picture)[0]
        expected = expected_faces(candidates(yunet.detect(frame)))
        seen = [candidates(other.detect(frame)) for other in checkers]
        result.pictures += 1
        result.faces += len(expected)
        for score, detector in ours.items():
            detected = candidates(detector.detect(frame))
            result.hits[score] += int(hit(detected, expected).sum())
            false = ~touch_others(detected, seen[0])
            for other in seen[1:]:
                false &= ~touch_others(detected, other)
            result.false[score] += int(false.sum())
    return result


def run_sweep(
    model: str | Path, faces: Path, yunet: Path, shares: Mapping[str, Shares], part: str
) -> dict[str, Sweep]:
    """Sweep over the photographs of a part, by archive.

    Raises:
        ModelError: the detector's or YuNet's file cannot be used.
        DataError: an archive is missing or cannot be read.
    """
    loaded = load_model(find_model(model), kind="face-detector")
    ours = {score: FaceDetector(loaded, score, MIN_FACE, max_faces=1000) for score in SCORES}
    checkers = (
        YuNet(yunet, JUDGED, max_faces=1000),
        YuNet(yunet, JUDGED, max_faces=1000, size=(WIDTH, HEIGHT)),
    )
    sure = YuNet(yunet, SURE, max_faces=1000)
    swept = {}
    for name, share in shares.items():
        archive = PhotographArchive.find(faces, name, share)
        if not archive.read_marked_points():
            swept[name] = sweep(archive.pictures_of(part), ours, sure, checkers)
    return swept


def figures_at(swept: Mapping[str, Sweep], score: float) -> dict[str, float]:
    """Return the figures that have a bar, at one of ``SCORES``."""
    pictures = sum(one.pictures for one in swept.values())
    figures = {
        f"faces found in {name}": round(one.hits[score] / max(one.faces, 1), 4)
        for name, one in swept.items()
    }
    false = sum(one.false[score] for one in swept.values())
    return figures | {"false faces a picture": round(false / max(pictures, 1), 4)}


def note_stills(card_file: Path, swept: Mapping[str, Sweep]) -> None:
    """Write the figures of the score for still pictures into a detector's card.

    Raises:
        ModelError: the card cannot be read.
        DataError: it has no such score, or one that was not tried.
    """
    card = read_card(card_file)
    score = card.still_score_threshold
    if score not in SCORES:
        raise DataError(
            f"{card_file}: still_score_threshold is {score}; one of {SCORES} was tried. Set it."
        )
    noted = {**card.metrics, STILLS: {"score": score, **figures_at(swept, score)}}
    changed = card.model_copy(update={"metrics": noted})
    write_whole(card_file, changed.to_json().encode())


def sweep_text(swept: Mapping[str, Sweep]) -> str:
    """Return the table: a line for each score."""
    lines = [f"frames of {WIDTH} × {HEIGHT}; false: neither YuNet at 320 nor at 640 sees it at 0.3"]
    titles = "".join(f"{name:>12}" for name in swept)
    lines.append(f"{'score':>8}{titles}{'false a picture':>18}")
    for score in SCORES:
        *recalls, false = figures_at(swept, score).values()
        shares = "".join(f"{share:>12.1%}" for share in recalls)
        lines.append(f"{score:>8.2f}{shares}{false:>18.3f}")
    bars = "".join(f"{'≥ ' + format(STILL_BARS.get(name, 0), '.0%'):>12}" for name in swept)
    lines.append(f"{'bar':>8}{bars}{'≤ ' + format(SWEEP_FALSE_BAR, '.2f'):>18}")
    return "\n".join(lines)
