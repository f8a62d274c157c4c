"""A run from a request to a published model, in a folder that holds everything about it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from edge_agent.vision.models.card import read_card, shipped_models
from training.errors import RecipeError, write_whole
from training.learning.checkpoint import CHECKPOINT, WEIGHTS, averaged_weights
from training.learning.kinds import PUBLISHED, FitRequest, plan
from training.learning.loop import Fitted, device_of, fit
from training.learning.recipe import RECIPE


def train(request: FitRequest) -> Path:
    """Train what a request describes, or continue, and write model and card.

    Everything is written into ``request.out``. A run that is there is never written over: with
    ``request.resume`` it goes on, otherwise it is refused.

    Returns:
        the path of the card.

    Raises:
        RecipeError: when the recipe, the device, or the checkpoint to resume from cannot be used;
            when ``request.out`` holds a run and nobody said to go on with it.
        DataError: when the data cannot be used, or the loss is not finite.
    """
    # Before anything is read or learnt, which may take minutes.
    refuse_to_write_over(request)
    device = device_of(request.device)
    prepared = plan(request)
    resumes = request.resume and (request.out / RECIPE).exists()
    if not resumes:
        _keep_recipe(request)
    if prepared.first_stage is not None:
        prepared.first_stage(device)
    fitted = fit(
        prepared.task,
        prepared.schedule,
        request.out,
        seed=prepared.seed,
        resume=request.resume,
        device=device,
    )
    if resumes:  # only now is it certain that the checkpoint belongs to this recipe
        _keep_recipe(request)
    return prepared.publish(fitted)


def quantize_weights(request: FitRequest, weights: Path) -> Path:
    """Write model and card of weights that have no checkpoint, as the published ones.

    How published weights were learnt the card takes from the shipped card of the same name; its
    figures are measured anew.

    Args:
        request: ``out`` is a folder without a run.
        weights: folder with ``weights.pt``.

    Returns:
        the path of the card.

    Raises:
        RecipeError: the recipe or the weights cannot be used, or belong to different networks; the
            folder holds a run.
        DataError: when the data cannot be used.
    """
    refuse_to_write_over(request)
    if not (weights / WEIGHTS).is_file():
        raise RecipeError(f"--from {weights}: there is no {WEIGHTS}; name the folder that holds it")
    # Nothing is learnt, so that teachers and bases need not be there.
    prepared = plan(replace(request, finished=True))
    module = prepared.task.module
    try:
        module.load_state_dict(averaged_weights(weights))
    except RuntimeError as error:
        raise RecipeError(
            f"{weights}: its weights belong to another network than {request.recipe} describes"
        ) from error
    _keep_recipe(request)
    path = prepared.publish(Fitted(module.eval(), {}, prepared.schedule.epochs, 0.0))
    card = read_card(path)
    shipped = shipped_models().get(card.name)
    # Only of weights that are published: those of somebody else were learnt in another way.
    if shipped is not None and weights.resolve().parent == PUBLISHED.resolve():
        card = card.model_copy(update={"training": read_card(shipped).training})
        write_whole(path, card.to_json().encode())
    return path


def refuse_to_write_over(request: FitRequest) -> None:
    """Make sure that no run is lost: hours of learning lie in its folder.

    Raises:
        RecipeError: the folder holds a checkpoint, and the run is not to go on.
    """
    if (request.out / CHECKPOINT).exists() and not request.resume:
        raise RecipeError(
            f"{request.out}: holds a run already; go on with it by --resume, name another folder "
            "with --out, or move it away"
        )


def _keep_recipe(request: FitRequest) -> None:
    try:
        request.out.mkdir(parents=True, exist_ok=True)
        kept = request.out / RECIPE
        # Learning again by the copy in the folder must not copy it onto itself.
        if not (kept.exists() and kept.samefile(request.recipe)):
            shutil.copyfile(request.recipe, kept)
    except OSError as error:
        raise RecipeError(
            f"{request.out}: cannot be written ({error.strerror}); choose another --out"
        ) from error
