"""The cover network.

Cut the faces of photographs with and without masks as the agent does, for the cover network.

    python -m training.expression.covers ARCHIVES --fer2013 FILE --out FOLDER

ARCHIVES is the folder with ``portraits.zip`` (photographs in ``with_mask/`` and ``without_mask/``)
and ``scenes.zip`` (``boxes.csv`` with such labels). Each photograph belongs to one part by a hash
of its name, in the shares that the recipe of the face detector holds out: what that detector did
not see is not seen here either. FER2013's Training pictures are crops already; one in twenty is for
choices (``valid``), and PublicTest is for the last judgement (``test``).

From a recipe and crops to the cover model: train, quantize, choose the threshold, measure.

What a recipe of kind ``face-cover`` says, and the network that it describes.

Learn whether mouth or eyes are covered (:class:`training.learning.loop.TrainingTask`).
"""

from __future__ import annotations

import argparse
import csv
import io
import logging
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from edge_agent.core.expression import Box, Face
from edge_agent.vision.align import CROP_NAME, crop_face
from edge_agent.vision.cover import CoverDetector
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.card import COVER_LABELS, find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.stills import SUFFIXES, load_picture
from training.data.datasets import EDGE, checksum_fraction, load_faces
from training.data.drawn import THINGS
from training.errors import DataError, write_arrays, write_whole
from training.expression.augment import Augmentation, augment
from training.faces.labelling import NEARLY, Shares, difference_hash, read_shares
from training.learning.checkpoint import averaged_weights, save_weights
from training.learning.kinds import SMALL_EPOCHS, SMALL_PICTURES, FitRequest, TrainingPlan
from training.learning.loop import Fitted
from training.learning.precision import place_of
from training.learning.recipe import Recipe, RecipeSection, load_recipe
from training.networks.face import FaceCoverNet
from training.networks.quantize import PixelInput, in_few_steps, write_model

log = logging.getLogger(__name__)

SCALE = 2 / 255
OFFSET = -1.0
"""The network sees pixel × scale + offset."""

Positive = Annotated[int, Field(ge=1, le=256)]
_CHUNK = 512
CALIBRATION_PICTURES = 400
MOST_DRAWN_ON = 300
"""Most faces of a part that each thing is drawn over for the card's figures."""
RECIPE = Path(__file__).parents[1] / "recipes" / "face-detector.toml"
FILE = "crops.npz"
PARTS = ("train", "valid", "test")
MASKED = {"with_mask": 1, "without_mask": 0}
UNKNOWN = -1
SCORE = 0.4
"""Least score of a face: below what the agent asks for, for masked faces are often doubtful."""
LEAST_PIXELS = 20.0
SAME_FACE = 0.4
"""Least intersection over union of a face with a labelled box."""
VALID_SHARE = 0.05


class CoverNetwork(RecipeSection):
    """The shape of :class:`training.networks.face.FaceCoverNet`."""

    edge: Annotated[int, Field(ge=16, le=128, description="of the crop, pixels")] = 48
    widths: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)]
    strides: tuple[Literal[1, 2], ...]
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _as_many_strides_as_widths(self) -> CoverNetwork:
        if len(self.widths) != len(self.strides):
            raise ValueError(f"{len(self.widths)} widths need as many strides")
        return self

    def build(self) -> FaceCoverNet:
        """Return the network, untrained."""
        return FaceCoverNet(self.edge, self.widths, self.strides, self.dropout)


class CoverData(RecipeSection):
    """The faces of an epoch: how many there are, and what is drawn over them."""

    names: Annotated[
        list[str], Field(min_length=1, description="what is learnt from, for the model card")
    ]
    faces: Annotated[int, Field(ge=2, description="faces in an epoch")]
    drawn: Annotated[float, Field(ge=0, le=1, description="share with a thing drawn over them")]
    weights: Annotated[
        dict[str, float], Field(description="source → how often its faces are drawn, together")
    ]


class CoverRecipe(Recipe):
    """A recipe of kind ``face-cover``."""

    kind: Literal["face-cover"]
    refused: Annotated[
        float, Field(gt=0, lt=1, description="largest share of uncovered faces refused, on valid")
    ]
    network: CoverNetwork
    data: CoverData
    augmentation: Augmentation = Augmentation()
    start: Annotated[
        str | None, Field(description="run folder beside this run's whose weights are learnt on")
    ] = None


def as_input(crops: Tensor) -> Tensor:
    """N × 1 × H × W, 0…1 → what the network sees."""
    return crops * (255 * SCALE) + OFFSET


Values = NDArray[np.float32]


class CoverTask:
    """Learn from photographs with and without masks, and from things drawn over faces.

    Args:
        recipe: the recipe.
        learn: the training set.
        held_back: the validation set, checked after each epoch.
        start: weights of a network of the recipe's shape to learn on; left out: random ones.
    """

    def __init__(
        self,
        recipe: CoverRecipe,
        learn: Crops,
        held_back: Crops,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._recipe = recipe
        self._learn = learn
        self._weights = face_weights(learn, recipe.data.weights)
        self._checked, self._labels = with_things(held_back, np.random.default_rng(recipe.seed))
        torch.manual_seed(recipe.seed)  # of the first weights; every epoch has a seed of its own
        self.module: nn.Module = recipe.network.build()
        if start is not None:
            self.module.load_state_dict(dict(start))
        self.steps_per_epoch = recipe.data.faces // recipe.schedule.batch

    def batches(self, epoch: int, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Crops (float32 N × 1 × 48 × 48) and what is covered (float32 N × 2, −1: not known)."""
        # NumPy draws the things; its seed comes from the one generator, so that a run can be
        # repeated.
        random = np.random.default_rng(
            [int(torch.randint(2**31, (1,), generator=generator, device=generator.device)), epoch]
        )
        size = self._recipe.schedule.batch
        for _ in range(self.steps_per_epoch):
            chosen = random.choice(len(self._learn), size, p=self._weights)
            pairs = [self._example(int(number), random) for number in chosen]
            pixels = torch.from_numpy(np.stack([crop for crop, _ in pairs])).unsqueeze(1)
            pixels = pixels.to(generator.device).float() / 255
            changed = augment(pixels, self._recipe.augmentation, generator)
            yield as_input(changed), torch.tensor([label for _, label in pairs])

    def loss(
        self, module: nn.Module, batch: Sequence[Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Cross-entropy of both answers; what is not known does not count."""
        crops, labels = batch
        (logits,) = module(crops)
        # An eye behind a mask is −1: nobody looked at it.
        known = labels >= 0
        each = functional.binary_cross_entropy_with_logits(
            logits.float(), labels.clamp(min=0), reduction="none"
        )
        right = ((logits > 0) == (labels > 0.5)) & known
        agreement = (right.sum() / known.sum().clamp(min=1)).detach()
        return (each * known).sum() / known.sum().clamp(min=1), {"agreement": agreement}

    def validate(self, module: nn.Module) -> Mapping[str, float]:
        """Return the shares of covered and of uncovered faces told rightly, at a half."""
        covered = cover_probability(predict(module, self._checked)) >= 0.5
        truth = self._labels.max(axis=1) > 0
        return {
            "covered_told": float(covered[truth].mean()) if truth.any() else 0.0,
            "uncovered_refused": float(covered[~truth].mean()) if not truth.all() else 0.0,
        }

    def _example(
        self, number: int, random: np.random.Generator
    ) -> tuple[NDArray[np.uint8], list[float]]:
        """Return one crop, perhaps with something drawn over it, and what is covered."""
        crop = self._learn.pixels[number]
        label = known_label(int(self._learn.masked[number]))
        if random.random() >= self._recipe.data.drawn:
            return crop, label
        thing = THINGS[int(random.integers(len(THINGS)))]
        return thing.draw(crop, random), over(label, thing.mouth, thing.eyes)


def known_label(masked: int) -> list[float]:
    """Return whether mouth and eyes are covered; with a mask the eyes are not known."""
    # The label of a photograph with a mask tells only of the mouth.
    if masked:
        return [1.0, float(UNKNOWN)]
    return [0.0, 0.0]


def over(label: Sequence[float], mouth: bool, eyes: bool) -> list[float]:
    """Return whether mouth and eyes are covered after a thing is drawn over the face."""
    return [1.0 if more else before for before, more in zip(label, (mouth, eyes), strict=True)]


def face_weights(faces: Crops, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return how often each face is drawn: its source's weight, shared out evenly; sums to 1.

    Within a source, faces with and without a mask have half of it each where there are both.
    """
    chance = np.zeros(len(faces))
    for source, weight in weights.items():
        # Masked faces are rare in some sources; half of the draws are theirs.
        groups = [(faces.source == source) & (faces.masked == masked) for masked in (0, 1)]
        present = [group for group in groups if group.any()]
        for group in present:
            chance[group] = weight / len(present) / group.sum()
    weights_of_all: NDArray[np.float64] = chance / chance.sum()
    return weights_of_all


def with_things(faces: Crops, random: np.random.Generator) -> tuple[NDArray[np.uint8], Values]:
    """Return faces as they are, then those without a mask once more, each with a thing drawn on it.

    Returns:
        uint8 N × 48 × 48, and float32 N × 2: what is covered.
    """
    pixels = list(faces.pixels)
    labels = [known_label(int(masked)) for masked in faces.masked]
    # Things in turn, so that each is drawn on as many faces.
    for number, crop in enumerate(faces.take(faces.masked == 0).pixels):
        thing = THINGS[number % len(THINGS)]
        pixels.append(thing.draw(crop, random))
        labels.append(over([0.0, 0.0], thing.mouth, thing.eyes))
    return np.stack(pixels), np.array(labels, dtype=np.float32)


def predict(module: nn.Module, crops: NDArray[np.uint8]) -> Values:
    """Return the logits for uint8 N × 48 × 48 crops: float32 N × 2."""
    module.eval()
    answers = []
    with torch.no_grad():
        for chunk in torch.split(torch.from_numpy(crops).unsqueeze(1), _CHUNK):
            pixels = chunk.to(place_of(module)).float() / 255
            answers.append(module(as_input(pixels))[0].cpu().numpy())
    return np.concatenate(answers)


def cover_probability(logits: Values) -> Values:
    """Return, for N × 2 logits, the probability that what is surest to be covered is covered."""
    return np.asarray(1 / (1 + np.exp(-logits.max(axis=1))), dtype=np.float32)


Probabilities = NDArray[np.float64]


def plan_cover(request: FitRequest) -> TrainingPlan:
    """Make ready what ``request.recipe`` describes.

    Publishing writes model and card into ``request.out``.

    Raises:
        RecipeError: when the recipe cannot be used.
        DataError: when the crops cannot.
    """
    recipe = load_recipe(request.recipe, CoverRecipe)
    crops = load_crops(request.data)
    if request.small:
        recipe, crops = _small(recipe, crops)
    parts = {part: crops.of_part(part) for part in PARTS}
    for part, faces in parts.items():
        if not (faces.masked == 1).any() or not (faces.masked == 0).any():
            raise DataError(
                f"{request.data}: the part {part} needs faces with and without a mask; it has "
                f"{int((faces.masked == 1).sum())} and {int((faces.masked == 0).sum())}"
            )
    log.info("learning from %d faces, %d held back", len(parts["train"]), len(parts["valid"]))
    # OpenCV's own threads would fight with PyTorch's for the cores.
    cv2.setNumThreads(1)

    def publish(fitted: Fitted) -> Path:
        save_weights(fitted.module, request.out)
        card = _write(fitted, recipe, request, parts["train"])
        return finish_card(card, fitted, recipe, parts)

    start = None if recipe.start is None else averaged_weights(request.run_folder(recipe.start))
    task = CoverTask(recipe, parts["train"], _choose_checked(parts["valid"]), start)
    return TrainingPlan(task, recipe.schedule, recipe.seed, publish)


def finish_card(
    path: Path, fitted: Fitted, recipe: CoverRecipe, parts: Mapping[str, Crops]
) -> Path:
    """Add the threshold, chosen on ``valid``, and the figures of ``valid`` and ``test`` to a card.

    The threshold is the lowest at which no more than the share ``refused`` of the faces without a
    mask are refused, in the source where that is worst.
    """
    detector = CoverDetector(load_model(path, kind="face-cover"))
    answers = {
        part: CoverAnswers.of(detector, parts[part], recipe.seed) for part in ("valid", "test")
    }
    threshold = answers["valid"].threshold(recipe.refused)
    metrics = {part: answers[part].figures(threshold) for part in answers}
    floating = cover_probability(predict(fitted.module, parts["test"].pixels))
    metrics["test, float"] = _refused_shares(parts["test"], floating, threshold)
    # what is held out stands in the card alone: whoever tries recipes shall not choose by it
    log.info("valid from %.2f: %s", threshold, metrics["valid"])
    card = detector.card.model_copy(update={"covered_from": threshold, "metrics": metrics})
    write_whole(path, card.to_json().encode())
    return path


class CoverAnswers:
    """A model's answers for the faces of a part.

    Args:
        faces: faces of the part.
        plain: the model's probability that each face is covered.
        drawn: name of each thing → the model's probabilities for the faces without a mask, after
            that thing was drawn on them.
    """

    def __init__(
        self, faces: Crops, plain: Probabilities, drawn: Mapping[str, Probabilities]
    ) -> None:
        self._faces = faces
        self._plain = plain
        self._drawn = drawn

    @classmethod
    def of(cls, detector: CoverDetector, faces: Crops, seed: int) -> CoverAnswers:
        """Ask a model, as the agent asks it."""
        bare = faces.take(faces.masked == 0)
        # The same faces for each thing, so that the figures can be compared.
        bare = bare.take(np.random.default_rng(seed).permutation(len(bare))[:MOST_DRAWN_ON])
        drawn = {}
        for thing in THINGS:
            random = np.random.default_rng(seed)
            changed = (thing.draw(crop, random) for crop in bare.pixels)
            drawn[thing.name] = np.array([detector.probability(crop) for crop in changed])
        plain = np.array([detector.probability(crop) for crop in faces.pixels])
        return cls(faces, plain, drawn)

    def threshold(self, refused: float) -> float:
        """Return the lowest of 0.05, 0.06 … 0.95 at which few enough bare faces are refused."""
        # In hundredths: a card with more digits would pretend to know them.
        steps = [round(step / 100, 2) for step in range(5, 96)]
        for step in steps:
            worst = max(
                value
                for name, value in _refused_shares(self._faces, self._plain, step).items()
                if name.endswith("without a mask")
            )
            if worst <= refused:
                return step
        return steps[-1]

    def figures(self, threshold: float) -> dict[str, float]:
        """Return the share that is refused: of each source and mask, and under each thing."""
        figures = _refused_shares(self._faces, self._plain, threshold)
        for name, values in self._drawn.items():
            figures[f"refused with drawn {name}"] = _share(values >= threshold)
        return figures


def _refused_shares(
    faces: Crops, covered: NDArray[np.floating], threshold: float
) -> dict[str, float]:
    figures = {}
    for source in sorted(set(faces.source.tolist())):
        for masked, words in ((1, "with a mask"), (0, "without a mask")):
            chosen = (faces.source == source) & (faces.masked == masked)
            if chosen.any():
                figures[f"refused of {source} {words}"] = _share(covered[chosen] >= threshold)
    return figures


def _share(mask: NDArray[np.bool_]) -> float:
    return round(float(mask.mean()), 4)


def pixel_input(recipe: CoverRecipe) -> PixelInput:
    """Geometry and normalisation of the input as the model card says them."""
    return PixelInput(recipe.network.edge, recipe.network.edge, 1, scale=SCALE, offset=OFFSET)


def _write(fitted: Fitted, recipe: CoverRecipe, request: FitRequest, learn: Crops) -> Path:
    order = np.random.default_rng(recipe.seed).permutation(len(learn))[:CALIBRATION_PICTURES]
    hours = round(fitted.seconds / 3600, 2)
    card = request.card(recipe, fitted, recipe.data.names, hours=hours, watts=request.watts)
    pixels = pixel_input(recipe)
    seen = learn.pixels[order]
    return write_model(
        in_few_steps(fitted.module, pixels, seen, recipe.filter_step),
        pixels,
        {"cover": COVER_LABELS},
        calibration=seen,
        card={**card, "covered_from": 0.5, "crop": CROP_NAME},
        folder=request.out,
    )


def _choose_checked(valid: Crops) -> Crops:
    """Return at most about 500 faces, evenly taken: what is checked after each epoch."""
    return valid.take(np.arange(len(valid))[:: max(len(valid) // 500, 1)])


def _small(recipe: CoverRecipe, crops: Crops) -> tuple[CoverRecipe, Crops]:
    """Few faces of each part and kind and few steps, for trying whether everything works."""
    chosen = [
        np.flatnonzero((crops.part == part) & (crops.masked == masked))[: SMALL_PICTURES // 2]
        for part in range(len(PARTS))
        for masked in (0, 1)
    ]
    batch = min(recipe.schedule.batch, 16)
    schedule = recipe.schedule.model_copy(update={"epochs": SMALL_EPOCHS, "batch": batch})
    data = recipe.data.model_copy(update={"faces": 2 * batch})
    small = recipe.model_copy(update={"schedule": schedule, "data": data})
    return small, crops.take(np.concatenate(chosen))


Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Crops:
    """Faces as the expression models see them.

    Attributes:
        pixels: uint8, N × 48 × 48, gray.
        masked: int8, N: 1 with a mask, 0 without.
        part: int8, N: index into ``PARTS``.
        source: text, N: ``portraits``, ``scenes`` or ``fer2013``.
    """

    pixels: Pixels
    masked: NDArray[np.int8]
    part: NDArray[np.int8]
    source: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Crops:
        """Return the faces at a mask or at indices."""
        return Crops(*(getattr(self, name)[chosen] for name in Crops.__slots__))

    def of_part(self, part: str) -> Crops:
        """Return the faces of one part."""
        return self.take(self.part == PARTS.index(part))

    @classmethod
    def join(cls, pieces: Sequence[Crops]) -> Crops:
        """Return all faces of several pieces."""
        each = ([getattr(piece, name) for piece in pieces] for name in cls.__slots__)
        return cls(*map(np.concatenate, each))


def load_crops(folder: Path) -> Crops:
    """Read the crops that `main` wrote.

    Raises:
        DataError: the file is missing or is none of that form.
    """
    path = folder / FILE
    try:
        with np.load(path) as arrays:
            return Crops(arrays["pixels"], arrays["masked"], arrays["part"], arrays["source"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: holds no crops that can be read ({error}); cut them with: python -m "
            "training.expression.covers ARCHIVES --fer2013 FILE --out FOLDER"
        ) from error


def save_crops(folder: Path, crops: Crops) -> None:
    """Write crops where `load_crops` reads them."""
    write_arrays(
        folder / FILE,
        pixels=crops.pixels,
        masked=crops.masked,
        part=crops.part,
        source=crops.source,
    )


def portraits(archive: Path, shares: Shares, detector: FaceDetector) -> Crops:
    """Return the largest face of each photograph, labelled by its folder."""
    rows: list[tuple[Pixels, int, str]] = []
    with zipfile.ZipFile(archive) as packed:
        for name in sorted(packed.namelist()):
            label = name.partition("/")[0]
            if label not in MASKED or not name.lower().endswith(SUFFIXES):
                continue
            picture = load_picture(zipfile.Path(packed, name))
            faces = detector.detect(picture)
            if faces:
                face = max(faces, key=lambda face: face.box.area)
                rows.append((crop_face(picture, face, EDGE), MASKED[label], shares.part(name)))
    return _crops(rows, "portraits")


def scenes(archive: Path, shares: Shares, detector: FaceDetector) -> Crops:
    """Return the faces that lie on a labelled box, labelled by it."""
    rows: list[tuple[Pixels, int, str]] = []
    with zipfile.ZipFile(archive) as packed:
        boxes = _boxes(packed.read("boxes.csv").decode())
        for name, labelled in sorted(boxes.items()):
            picture = load_picture(zipfile.Path(packed, name))
            for face, masked in _match_labels(detector.detect(picture), labelled):
                rows.append((crop_face(picture, face, EDGE), masked, shares.part(name)))
    return _crops(rows, "scenes")


def fer2013(table: Path, cache: Path) -> Crops:
    """Return the pictures of FER2013: faces without a mask."""
    faces = load_faces(table, cache=cache).without_blank()
    part = np.full(len(faces), PARTS.index("test"), dtype=np.int8)
    training = faces.usage == 0
    part[training] = PARTS.index("train")
    part[training & (checksum_fraction(faces.pictures) < VALID_SHARE)] = PARTS.index("valid")
    none = np.zeros(len(faces), dtype=np.int8)
    return Crops(faces.pictures, none, part, np.full(len(faces), "fer2013"))


def without_copies(photographs: Crops) -> Crops:
    """Return the faces without those that look nearly like one of a part that is kept longer.

    Web collections hold many copies: nothing that is learned from, or chosen by, may be in the part
    ``test`` as well.
    """
    hashes = [
        difference_hash(np.asarray(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), np.uint8))
        for crop in photographs.pixels
    ]
    kept: list[int] = []
    # The parts that judge are filled first: a copy stays where it matters most.
    for part in reversed(range(len(PARTS))):
        apart = np.array([hashes[number] for number in kept], dtype=np.uint8).reshape(-1, 32)
        kept += [
            int(number)
            for number in np.flatnonzero(photographs.part == part)
            if np.unpackbits(apart ^ hashes[number], axis=1).sum(axis=1).min(initial=NEARLY + 1)
            > NEARLY
        ]
    return photographs.take(np.array(sorted(kept), dtype=np.intp))


def _crops(rows: Sequence[tuple[Pixels, int, str]], source: str) -> Crops:
    if not rows:
        raise DataError(f"{source}: no face was found; are these the right photographs?")
    pixels, masked, parts = zip(*rows, strict=True)
    return Crops(
        np.stack(pixels),
        np.array(masked, dtype=np.int8),
        np.array([PARTS.index(part) for part in parts], dtype=np.int8),
        np.full(len(rows), source),
    )


def _boxes(table: str) -> dict[str, list[tuple[Box, int]]]:
    """Return the boxes of faces with a known label by photograph."""
    boxes: dict[str, list[tuple[Box, int]]] = {}
    for row in csv.DictReader(io.StringIO(table)):
        left, top, right, bottom = (float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
        if row["label"] in MASKED and right > left and bottom > top:
            box = Box(left, top, right - left, bottom - top)
            boxes.setdefault(row["file"], []).append((box, MASKED[row["label"]]))
    return boxes


def _match_labels(
    faces: Sequence[Face], labelled: Sequence[tuple[Box, int]]
) -> Iterator[tuple[Face, int]]:
    for face in faces:
        # The box that it overlaps most may be of somebody else; then the face has no label.
        box, masked = max(labelled, key=lambda entry: face.box.overlap(entry[0]))
        if face.box.overlap(box) >= SAME_FACE:
            yield face, masked


def main() -> None:
    """Cut all faces and write them into a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", type=Path, help="folder with portraits.zip and scenes.zip")
    parser.add_argument("--fer2013", type=Path, required=True, help="table of FER2013")
    parser.add_argument("--out", type=Path, required=True, help="folder for the crops")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="says what is held out")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    model = load_model(find_model("face-detector"), kind="face-detector")
    detector = FaceDetector(model, SCORE, LEAST_PIXELS, max_faces=1000)
    shares = read_shares(arguments.recipe)
    pieces = []
    for name, cutter in (("portraits", portraits), ("scenes", scenes)):
        pieces.append(cutter(arguments.archives / f"{name}.zip", shares[name], detector))
        log.info("%s: %d faces", name, len(pieces[-1]))
        # Saved after each source: cutting takes long, and may be stopped.
        save_crops(arguments.out, Crops.join(pieces))
    # Before FER2013 is added, whose parts are fixed by its makers.
    apart = without_copies(Crops.join(pieces))
    log.info("%d of them are copies", sum(map(len, pieces)) - len(apart))
    pieces = [apart]
    pieces.append(fer2013(arguments.fer2013, arguments.out))
    save_crops(arguments.out, Crops.join(pieces))
    log.info("%d faces in %s", sum(map(len, pieces)), arguments.out / FILE)


if __name__ == "__main__":
    main()
