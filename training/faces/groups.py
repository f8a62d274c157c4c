"""Does it work equally well for every skin and in every light? What the photographs can tell.

Skin: bare faces of held-out portraits that YuNet finds in frames of 640 × 480 (the largest of each,
of 32 pixels or more), by the individual typology angle of forehead and cheeks, degrees(atan((L* −
50) / b*)) in CIELAB (Chardon, Cretois & Hourseau 1991). It is measured on the photograph as it is:
light and camera change it, so that it sorts pictures by how the skin looks in them, and says little
about people. Whether an expression is read rightly cannot be told: these photographs have no label.

Light: labelled photographs, a third each by the brightness of forehead and cheeks and by their
contrast, and how many are read as labelled. They are grey, so that skin and light are one there.

Neither age nor glasses is recorded in any of these data.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from edge_agent.config.vision import VisionSettings
from edge_agent.core.expression import Face
from edge_agent.vision.align import crop_face
from edge_agent.vision.faces.finder import FaceFinder, YuNet
from edge_agent.vision.recognizer import FaceReading, Recognizer, open_recognizer
from edge_agent.vision.worker import skin_colour
from training.data.datasets import EXPRESSIONS
from training.data.photographs import LabelledPhotograph, LabelledPhotographs
from training.faces.labelling import Picture, overlaps, read_shares
from training.faces.photographs import PhotographArchive
from training.faces.trial import FOUND_OVERLAP, SMALLEST, frame_of
from training.faces.trial_report import PORTRAITS, SURE, percent

CROP = 48
BARE = "without_mask"
SKIN = (
    (41.0, "light (above 41°)"),
    (10.0, "between (10° to 41°)"),
    (-math.inf, "dark (below 10°)"),
)
"""Least angle → group; two each of Chardon's six."""
SHARES = ("found", "refused", "named", "right", "evenly")
ENOUGH = 20
"""Faces of a category in a group that a mean is taken over."""
THIRDS = ("lowest third", "middle third", "highest third")
NOT_TOLD = "not told (bluish light)"
"""Where b* is not above 0, the angle says nothing."""


@dataclass(frozen=True, slots=True)
class SeenFace:
    """The outcome for one face.

    Attributes:
        detected: whether the agent's detector finds it.
        named: whether it gets a category: no flaw, and sure enough.
        flawed: whether it is found and refused.
        right: whether its likeliest category is its label; ``None`` where there is no label.
        label: the category; ``None`` where there is none.
    """

    detected: bool
    named: bool
    flawed: bool
    right: bool | None = None
    label: str | None = None


def typology_angle(red: float, green: float, blue: float) -> float | None:
    """Return the individual typology angle, degrees.

    Args:
        red: 0…255, sRGB.
        green: the same.
        blue: the same.

    Returns:
        ``None`` where b* is not above 0: no skin looks so in white light.
    """
    # Of 0…1, for which OpenCV gives L* and b* in their own units, unscaled.
    colour = np.array([[[red, green, blue]]], dtype=np.float32) / 255
    lightness, _, b = cv2.cvtColor(colour, cv2.COLOR_RGB2LAB)[0, 0].tolist()
    if b <= 0:
        return None
    return math.degrees(math.atan((lightness - 50) / b))


def skin_group(angle: float | None) -> str:
    """Return the group of an angle."""
    if angle is None:
        return NOT_TOLD
    return next(name for least, name in SKIN if angle >= least)


def by_skin(
    recognizer: Recognizer, yunet: FaceFinder, pictures: Iterable[tuple[str, Picture]]
) -> dict[str, list[SeenFace]]:
    """Read bare portraits, each with its name; return the outcome of each face by group."""
    groups: dict[str, list[SeenFace]] = defaultdict(list)
    for name, picture in pictures:
        # Portraits with masks lie in the same archive: their skin is half covered.
        if BARE not in PurePosixPath(name).parts[:-1]:
            continue
        frame, _ = frame_of(picture)
        faces = [
            face for face in yunet.detect(frame) if max(face.box.width, face.box.height) >= SMALLEST
        ]
        if faces:
            face = max(faces, key=lambda one: one.box.area)
            group = skin_group(typology_angle(*skin_colour(frame, face)))
            groups[group].append(_find_reading(recognizer.read_picture(frame), face))
    return {name: groups[name] for name in [*(name for _, name in SKIN), NOT_TOLD] if groups[name]}


def by_light(
    recognizer: Recognizer, yunet: FaceFinder, photographs: Iterable[LabelledPhotograph]
) -> dict[str, dict[str, list[SeenFace]]]:
    """Read labelled photographs; return their outcomes by brightness and by contrast.

    Photographs in which YuNet finds no face are passed over.
    """
    brightness: list[float] = []
    contrast: list[float] = []
    became: list[SeenFace] = []
    for photograph in photographs:
        faces = yunet.detect(photograph.image)
        if not faces:
            continue
        face = max(faces, key=lambda one: one.box.area)
        readings = recognizer.read_picture(photograph.image)
        became.append(_find_reading(readings, face, EXPRESSIONS[photograph.label]))
        brightness.append(skin_colour(photograph.image, face)[1])
        contrast.append(float(crop_face(photograph.image, face, CROP).std()))
    return {
        "brightness of the skin": _thirds(brightness, became),
        "contrast of the face": _thirds(contrast, became),
    }


def run_groups(
    faces: Path,
    yunet_file: Path,
    recipe: Path,
    photographs: LabelledPhotographs | None,
    limit: int | None,
) -> dict[str, dict[str, list[SeenFace]]]:
    """Read both kinds of photographs with the agent's own chain.

    Args:
        faces: folder with the archives.
        yunet_file: ONNX file of YuNet.
        recipe: says which photographs are held out.
        photographs: with labels; left out: skin alone.
        limit: most portraits.

    Raises:
        ModelError: YuNet's file cannot be used.
        RecipeError: the recipe does not say what is held out.
        DataError: an archive is missing or cannot be read.
    """
    recognizer = open_recognizer(VisionSettings())
    yunet = YuNet(yunet_file, SURE, max_faces=1000)
    archive = PhotographArchive.find(faces, PORTRAITS, read_shares(recipe)[PORTRAITS])
    told = {"skin": by_skin(recognizer, yunet, archive.held_out(limit=limit))}
    if photographs is not None:
        told |= by_light(recognizer, yunet, photographs)
    return told


def figures_of(
    groups: Mapping[str, Sequence[SeenFace]],
) -> dict[str, dict[str, float | int | None]]:
    """Return the number of faces of each group, and shares of them.

    ``evenly`` is the share read as labelled, the mean of the categories that every group has at
    least `ENOUGH` faces of: groups differ in what people do in them. ``None``: nothing is labelled.
    """
    counts = [Counter(one.label for one in seen) for seen in groups.values()]
    even = [label for label in EXPRESSIONS if all(count[label] >= ENOUGH for count in counts)]
    figures: dict[str, dict[str, float | int | None]] = {}
    for name, seen in groups.items():
        recalls = [share([one.right for one in seen if one.label == label]) for label in even]
        figures[name] = {
            "faces": len(seen),
            "found": share([one.detected for one in seen]),
            "refused": share([one.flawed for one in seen]),
            "named": share([one.named for one in seen]),
            "right": share([one.right for one in seen if one.right is not None]),
            "evenly": mean([recall for recall in recalls if recall is not None]),
        }
    return figures


def groups_text(told: Mapping[str, Mapping[str, Sequence[SeenFace]]]) -> str:
    """Return the tables: a line for each group, shares of its faces."""
    lines = []
    for what, groups in told.items():
        heads = "".join(f" {head:>8}" for head in SHARES)
        lines.append(f"{what:<28} {'faces':>6}{heads}")
        for name, figures in figures_of(groups).items():
            cells = "".join(f" {percent(figures[head]):>8}" for head in SHARES)
            lines.append(f"  {name:<26} {figures['faces']:>6}{cells}")
    return "\n".join(lines)


def _find_reading(
    readings: Sequence[FaceReading], face: Face, label: str | None = None
) -> SeenFace:
    """Return what became of a face: of the reading that lies where it is."""
    box = np.array([face.box.x, face.box.y, face.box.width, face.box.height])
    there = [
        reading
        for reading in readings
        if overlaps(box, np.array([_box_of(reading.face)]))[0] >= FOUND_OVERLAP
    ]
    right = None
    if label is not None:
        right = bool(there) and there[0].expression.dominant.value == label
    if not there:
        return SeenFace(detected=False, named=False, flawed=False, right=right, label=label)
    flawed = there[0].reject_reason is not None
    named = not flawed and there[0].emotion is not None
    return SeenFace(detected=True, named=named, flawed=flawed, right=right, label=label)


def _box_of(face: Face) -> tuple[float, float, float, float]:
    return face.box.x, face.box.y, face.box.width, face.box.height


def _thirds(values: Sequence[float], became: Sequence[SeenFace]) -> dict[str, list[SeenFace]]:
    """Sort faces into three groups of one size by a value of each."""
    groups: dict[str, list[SeenFace]] = {}
    # Equal groups by rank, so that every third has enough faces to tell something.
    parts = np.array_split(np.argsort(values, kind="stable"), len(THIRDS))
    for name, part in zip(THIRDS, parts, strict=True):
        if len(part):
            groups[name] = [became[i] for i in part]
    return groups


def share(those: Sequence[bool | None]) -> float | None:
    """Return the share of true values; ``None`` without values."""
    return mean([float(bool(one)) for one in those])


def mean(numbers: Sequence[float]) -> float | None:
    """Return the mean, four digits; ``None`` without values."""
    if not numbers:
        return None
    return round(sum(numbers) / len(numbers), 4)
