"""From a recipe and crops to the cover model: train, quantize, choose the threshold, measure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.core import clock
from edge_agent.vision.align import CROP_NAME
from edge_agent.vision.cover import CoverDetector
from edge_agent.vision.models.card import COVER_LABELS
from edge_agent.vision.models.model import load_model
from training.covers.crops import PARTS, Crops, load_crops
from training.covers.recipe import OFFSET, SCALE, CoverRecipe
from training.covers.task import CoverTask, cover_probability, predict
from training.data.drawn import THINGS
from training.errors import DataError
from training.learning.checkpoint import averaged_weights, save_weights
from training.learning.kinds import SMALL_EPOCHS, SMALL_PICTURES, FitRequest, Plan
from training.learning.loop import Fitted
from training.learning.recipe import load_recipe
from training.models.quantize import PixelInput, in_few_steps, write_model

log = logging.getLogger(__name__)

CALIBRATION_PICTURES = 400
MOST_DRAWN_ON = 300
"""Most faces of a part that each thing is drawn over for the card's figures."""

Probabilities = NDArray[np.float64]


def plan_cover(request: FitRequest) -> Plan:
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
    cv2.setNumThreads(1)

    def publish(fitted: Fitted) -> Path:
        save_weights(fitted.module, request.out)
        card = _write(fitted, recipe, request, parts["train"])
        return finish_card(card, fitted, recipe, parts)

    start = None if recipe.start is None else averaged_weights(request.run_folder(recipe.start))
    task = CoverTask(recipe, parts["train"], _checked(parts["valid"]), start)
    return Plan(task, recipe.schedule, recipe.seed, publish)


def finish_card(
    path: Path, fitted: Fitted, recipe: CoverRecipe, parts: Mapping[str, Crops]
) -> Path:
    """Add the threshold, chosen on ``valid``, and the figures of ``valid`` and ``test`` to a card.

    The threshold is the lowest at which no more than the share ``refused`` of the faces without a
    mask are refused, in the source where that is worst.
    """
    detector = CoverDetector(load_model(path, kind="face-cover"))
    answers = {part: Asked.of(detector, parts[part], recipe.seed) for part in ("valid", "test")}
    threshold = answers["valid"].threshold(recipe.refused)
    metrics = {part: answers[part].figures(threshold) for part in answers}
    floating = cover_probability(predict(fitted.module, parts["test"].pixels))
    metrics["test, float"] = _refused(parts["test"], floating, threshold)
    # what is held out stands in the card alone: whoever tries recipes shall not choose by it
    log.info("valid from %.2f: %s", threshold, metrics["valid"])
    card = detector.card.model_copy(update={"covered_from": threshold, "metrics": metrics})
    path.write_text(card.to_json(), encoding="utf-8")
    return path


class Asked:
    """What a model said of the faces of a part.

    Args:
        faces: of the part.
        plain: its probability that each is covered.
        drawn: name of a thing → its probabilities for faces without a mask, with it drawn on them.
    """

    def __init__(
        self, faces: Crops, plain: Probabilities, drawn: Mapping[str, Probabilities]
    ) -> None:
        self._faces = faces
        self._plain = plain
        self._drawn = drawn

    @classmethod
    def of(cls, detector: CoverDetector, faces: Crops, seed: int) -> Asked:
        """Ask a model, as the agent asks it."""
        bare = faces.take(faces.masked == 0)
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
        steps = [round(step / 100, 2) for step in range(5, 96)]
        for step in steps:
            worst = max(
                value
                for name, value in _refused(self._faces, self._plain, step).items()
                if name.endswith("without a mask")
            )
            if worst <= refused:
                return step
        return steps[-1]

    def figures(self, threshold: float) -> dict[str, float]:
        """Return the share that is refused: of each source and mask, and under each thing."""
        figures = _refused(self._faces, self._plain, threshold)
        for name, values in self._drawn.items():
            figures[f"refused with drawn {name}"] = _share(values >= threshold)
        return figures


def _refused(faces: Crops, covered: NDArray[np.floating], threshold: float) -> dict[str, float]:
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
    card = {
        "name": recipe.name,
        "version": recipe.version,
        "kind": recipe.kind,
        "license": recipe.license,
        "description": recipe.description,
        "covered_from": 0.5,
        "crop": CROP_NAME,
        "training": {
            "recipe": request.recipe.name,
            "seed": recipe.seed,
            "epochs": fitted.epochs,
            "data": recipe.data.names,
            "date": clock.utc_now().date().isoformat(),
            "hours": round(fitted.seconds / 3600, 2),
            "watts": request.watts,
        },
        "metrics": {},
        "limits": recipe.limits,
    }
    pixels = pixel_input(recipe)
    seen = learn.pixels[order]
    return write_model(
        in_few_steps(fitted.module, pixels, seen, recipe.filter_step),
        pixels,
        {"cover": COVER_LABELS},
        calibration=seen,
        card=card,
        folder=request.out,
    )


def _checked(valid: Crops) -> Crops:
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
