"""From a recipe and photographs to a face detector: train, quantize, choose the threshold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.faces.detector import Candidates, decode, letterbox, merge
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.errors import DataError, write_whole
from training.faces.detector import (
    LOW,
    OFFSET,
    SCALE,
    DetectorNetwork,
    DetectorRecipe,
    DetectorTask,
    in_picture,
    predict,
)
from training.faces.labelling import LabelledPicture, Picture, read_labels
from training.faces.photographs import Photographs
from training.faces.scenes import Composer
from training.faces.trial import evaluate_detections
from training.learning.checkpoint import averaged_weights, save_weights
from training.learning.kinds import SMALL_EPOCHS, SMALL_PICTURES, FitRequest, TrainingPlan
from training.learning.loop import Fitted
from training.learning.recipe import load_recipe
from training.networks.face import OUTPUTS
from training.networks.quantize import PixelInput, in_few_steps, write_model

log = logging.getLogger(__name__)

CALIBRATION_PICTURES = 400


def plan_detector(request: FitRequest) -> TrainingPlan:
    """Make ready what ``request.recipe`` describes.

    Publishing writes model and card into ``request.out``.

    Raises:
        RecipeError: when the recipe cannot be used, or the run that it learns on from.
        DataError: when the labels or pictures cannot.
    """
    recipe = load_recipe(request.recipe, DetectorRecipe)
    labelled = read_labels(request.data)
    _refuse_held_out(labelled, recipe, request)
    if request.small:
        recipe, labelled = _small(recipe, labelled)
    parts = {
        part: Photographs.load(request.data, chosen, recipe.data.weights)
        for part in ("train", "valid", "test")
        # A part `test` may be missing; the others may not, and `load` says so.
        if (chosen := [p for p in labelled if p.part == part]) or part != "test"
    }
    log.info("learning from %d photographs, %d held back", len(parts["train"]), len(parts["valid"]))
    # Scenes are small: more threads of OpenCV would only take cores from PyTorch.
    cv2.setNumThreads(1)

    def publish(fitted: Fitted) -> Path:
        save_weights(fitted.module, request.out)
        card = _write(fitted, recipe, request, parts["train"])
        return finish_card(
            card, fitted, recipe, {part: parts[part] for part in parts if part != "train"}
        )

    start = None
    # A finished run has its weights already.
    if recipe.start is not None and not request.finished:
        start = averaged_weights(request.run_folder(recipe.start))
    return TrainingPlan(
        DetectorTask(recipe, parts["train"], parts["valid"], start),
        recipe.schedule,
        recipe.seed,
        publish,
    )


def pixel_input(network: DetectorNetwork) -> PixelInput:
    """Geometry and normalisation of the input as the model card says them."""
    return PixelInput(network.width, network.height, 3, scale=SCALE, offset=OFFSET)


def run_model(model: TFLiteModel, pictures: Sequence[Picture]) -> list[Candidates]:
    """Detections of a model file at a low threshold in whole photographs (BGR), in their pixels."""
    detections = []
    for picture in pictures:
        pixels, scale = letterbox(picture, model.card.input.width, model.card.input.height)
        detections.append(in_picture(merge(decode(model.run(pixels), LOW)), scale))
    return detections


def finish_card(
    path: Path, fitted: Fitted, recipe: DetectorRecipe, parts: Mapping[str, Photographs]
) -> Path:
    """Add the score threshold and the figures of each part, int8 and float, to a card.

    The threshold is chosen on the part ``valid``.
    """
    model = load_model(path, kind="face-detector")
    evaluations = {
        part: evaluate_detections(run_model(model, held.pictures), held.faces)
        for part, held in parts.items()
    }
    # On int8, for that is what will be used.
    threshold = evaluations["valid"].threshold(recipe.false_share)
    metrics: dict[str, dict[str, float]] = {}
    for part, held in parts.items():
        result = evaluations[part].at(threshold)
        metrics[part] = {**result.figures(), "faces": result.faces}
        answers = predict(fitted.module, held.pictures, recipe.network)
        floating = evaluate_detections(answers, held.faces).at(threshold).figures()
        metrics[f"{part}, float"] = floating
        log.info("%s at %.2f: int8 %s; float %s", part, threshold, metrics[part], floating)
    card = model.card.model_copy(update={"score_threshold": threshold, "metrics": metrics})
    write_whole(path, card.to_json().encode())
    return path


def calibration_pictures(learn: Photographs, recipe: DetectorRecipe) -> NDArray[np.uint8]:
    """Half whole photographs as the agent will see them, half scenes as they were learned; RGB."""
    network = recipe.network
    random = np.random.default_rng(recipe.seed)
    composer = Composer(learn, network.width, network.height, recipe.composition)
    count = min(CALIBRATION_PICTURES, len(learn))
    numbers = random.choice(len(learn), count, p=learn.weights)
    half = count // 2
    whole = [
        letterbox(learn.pictures[int(n)], network.width, network.height)[0] for n in numbers[:half]
    ]
    scenes = [composer.scene(int(n), random)[0][:, :, ::-1] for n in numbers[half:]]
    return np.stack([*whole, *scenes])


def _write(fitted: Fitted, recipe: DetectorRecipe, request: FitRequest, learn: Photographs) -> Path:
    card = request.card(recipe, fitted, recipe.data.names, teacher=recipe.teacher)
    pixels = pixel_input(recipe.network)
    seen = calibration_pictures(learn, recipe)
    return write_model(
        in_few_steps(fitted.module, pixels, seen, recipe.filter_step),
        pixels,
        dict.fromkeys(OUTPUTS, ()),
        calibration=seen,
        card={**card, "score_threshold": 0.5},
        folder=request.out,
    )


def _refuse_held_out(
    labelled: Sequence[LabelledPicture], recipe: DetectorRecipe, request: FitRequest
) -> None:
    """Make sure that nothing is learned from the photographs that the recipe holds out.

    Raises:
        DataError: a picture that is held out is labelled for another part.
    """
    for picture in labelled:
        folder, _, name = picture.file.partition("/")
        shares = recipe.data.shares.get(folder)
        # A chained comparison: it is held out, and is labelled for another part.
        if shares is not None and shares.part(name) == "test" != picture.part:
            raise DataError(
                f"{request.data}: {picture.file} is labelled for {picture.part}, but "
                f"{request.recipe} holds it out (data.shares); label the photographs again with "
                "the shares of the recipe"
            )


def _small(
    recipe: DetectorRecipe, labelled: Sequence[LabelledPicture]
) -> tuple[DetectorRecipe, list[LabelledPicture]]:
    """Few pictures of each part and few steps, for trying whether everything works."""
    parts = [
        [p for p in labelled if p.part == part][:SMALL_PICTURES]
        for part in ("train", "valid", "test")
    ]
    batch = min(recipe.schedule.batch, 8)
    schedule = recipe.schedule.model_copy(update={"epochs": SMALL_EPOCHS, "batch": batch})
    data = recipe.data.model_copy(update={"scenes": 2 * batch})
    return recipe.model_copy(update={"schedule": schedule, "data": data}), [
        p for part in parts for p in part
    ]
