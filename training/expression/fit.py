"""From a recipe and faces to an expression model: train, quantize, calibrate, evaluate."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_agent.vision.align import EXPRESSION_CROP
from edge_agent.vision.models.model import load_model
from training.data.crops import aligned_faces
from training.data.datasets import (
    EXPRESSIONS,
    FER2013,
    NO_LABEL,
    USAGES,
    Faces,
    load_without,
    split_held_back,
    split_tested,
)
from training.data.fer import clean
from training.data.lessons import Lessons, divide, lessons, majority, soft_targets
from training.errors import DataError, RecipeError, write_whole
from training.expression.face_features import (
    FaceFeaturesTask,
    first_stage_seconds,
    learn_face_features,
)
from training.expression.recipe import ExpressionRecipe
from training.expression.task import ExpressionTask, Views, draw_weights, load_run, predict
from training.learning.checkpoint import CHECKPOINT, save_weights, seconds_spent
from training.learning.kinds import SMALL_EPOCHS, SMALL_PICTURES, FitRequest, TrainingPlan
from training.learning.loop import Fitted
from training.learning.recipe import load_recipe
from training.networks.base import EVIDENCE, ExpressionNetwork, RegionNetwork, WithEvidence
from training.networks.quantize import PixelInput, in_few_steps, write_model
from training.report.calibration import (
    best_temperature,
    bias_corrected_temperature,
    in_half_a,
    probabilities,
    proven_threshold,
)
from training.report.evaluate import answers_by_protocol, enlarge, evaluate_logits, run_model

log = logging.getLogger(__name__)

CALIBRATION_PICTURES = 400
FILTER_PICTURES = 2000
"""For filters in few steps; of 36 regions each, four hundred are too few for wide filters."""
HELD_BACK = "held-back"
WITHOUT_VOTES = (
    "without --votes the FER+ head learns FER2013's labels, of which many are wrong and none is "
    "contempt, and nothing is measured by the FER+ majority"
)
UNPROVEN = (
    "the recipe's, since the held-back faces do not show that fewer than 5 % of the names are wrong"
)
TESTED = "tested"
"""As a card calls the pictures that fitted nothing and chose nothing."""


def plan_expression(request: FitRequest) -> TrainingPlan:
    """Make ready what ``request.recipe`` describes.

    Publishing writes model and card into ``request.out``.

    Raises:
        RecipeError: when the recipe, or one of its teachers, cannot be used.
        DataError: when the data cannot.
    """
    recipe = load_recipe(request.recipe, ExpressionRecipe)
    faces = load_without(request.data, request.votes, request.cache, request.without)
    if request.small:
        recipe, faces = _small(recipe, faces)
    if request.finished:
        # A start or a teacher may be missing where only figures are made.
        recipe = recipe.model_copy(update={"start": None, "distillation": None})
    if not faces.votes.any():
        log.warning("%s", WITHOUT_VOTES)
    others = _other_splits(faces)
    if request.fold is not None:
        faces, others = divide(faces, request.fold)
    if recipe.data.cleaned:
        faces, others = _clean_splits(faces, others)
    # Set aside before anything else looks at the faces.
    known_ones, tested = split_tested(
        faces.of_usage(recipe.data.usage).without_blank(), recipe.data.tested
    )
    if len(tested) > 0:
        others[TESTED] = tested
    learn, held_back = split_held_back(known_ones, recipe.data.held_back)
    if len(held_back) == 0:
        raise DataError(
            f"{request.data}: data.held_back = {recipe.data.held_back} of {len(learn)} "
            "pictures is none"
        )
    known = lessons(learn)
    if request.unlabelled:
        known = _with_unlabelled(known, recipe, request)
    recipe = with_fitting_batch(recipe, len(known))
    log.info(
        "learning from %d faces, %d of them different; %d held back",
        len(learn),
        len(known),
        len(held_back),
    )

    def publish(fitted: Fitted) -> Path:
        assert isinstance(fitted.module, ExpressionNetwork)  # as the recipe builds it
        splits = {HELD_BACK: held_back, **others}
        # Before the weights are saved: what others learn on from has aligned heads.
        align_heads(fitted.module, _to_calibrate_on(splits), recipe)
        save_weights(fitted.module, request.out)
        seen = _to_quantize_with(recipe, learn)
        network = _coarse(fitted.module, recipe, seen, _to_calibrate_on(splits))
        shares = label_shares(known, recipe.data.rare)
        card = _write(fitted, network, recipe, request, seen[:CALIBRATION_PICTURES], shares)
        return finish_card(card, fitted.module, recipe, splits)

    task = ExpressionTask(
        recipe, known, held_back, _views(recipe, request, known), _start(recipe, request)
    )
    base = _base(recipe, request)
    first_stage = None
    if base is not None and recipe.face_features is not None:
        first_stage = partial(_face_features_first, task, recipe, known, held_back, request)
    elif base is not None:
        task.begin_with(base)
    return TrainingPlan(task, recipe.schedule, recipe.seed, publish, first_stage)


def with_fitting_batch(recipe: ExpressionRecipe, pictures: int) -> ExpressionRecipe:
    """Return the recipe with a batch of which these pictures fill two, where they fill none.

    It is a power of two, at least 2.
    """
    if pictures >= recipe.schedule.batch:
        return recipe
    batch = max(2, 1 << max(0, (pictures // 2).bit_length() - 1))
    log.warning(
        "%d faces fill no batch of schedule.batch = %d: they are learnt in batches of %d",
        pictures,
        recipe.schedule.batch,
        batch,
    )
    return recipe.model_copy(
        update={"schedule": recipe.schedule.model_copy(update={"batch": batch})}
    )


def _face_features_first(
    task: ExpressionTask,
    recipe: ExpressionRecipe,
    known: Lessons,
    held_back: Faces,
    request: FitRequest,
    device: torch.device,
) -> None:
    """Do the first stage of ``face_features``; the task begins with what it learnt."""
    assert request.weights is not None
    stage = FaceFeaturesTask(task.module, recipe, known, held_back.pictures, request.weights)
    learnt = learn_face_features(stage, recipe, request.out, resume=request.resume, device=device)
    task.module.load_state_dict(learnt)


def _with_unlabelled(known: Lessons, recipe: ExpressionRecipe, request: FitRequest) -> Lessons:
    """Add the faces of the request's photographs, cut out as the agent does."""
    if recipe.distillation is None:
        raise RecipeError(
            f"--unlabelled {request.unlabelled[0]}: {request.recipe} names no teachers, and nobody "
            "else labels these faces; add [distillation] or leave it out"
        )
    faces, left_out = aligned_faces(request.unlabelled, aligned=False)
    if not faces:
        raise DataError(f"--unlabelled {request.unlabelled[0]}: holds no photograph with a face")
    log.info("%d faces without a label; %d photographs left out", len(faces), len(left_out))
    for sentence in left_out:
        log.debug(sentence)
    return known.with_unlabelled(np.stack([face for _, face in faces]))


def label_shares(known: Lessons, rare: float = 0.0) -> tuple[float, ...]:
    """Return the share of each category among what is learnt, as often as each is drawn.

    Args:
        known: the lessons; those that nobody labelled do not count.
        rare: as ``data.rare`` of the recipe.

    Returns:
        shares of the eight categories, which sum to 1, to four places.
    """
    shares = torch.from_numpy(known.expression)
    weights = draw_weights(shares, rare).unsqueeze(1)
    labelled = shares.sum(dim=1, keepdim=True) > 0
    total = (shares * weights * labelled).sum(dim=0)
    return tuple(round(share, 4) for share in (total / total.sum()).tolist())


def _views(recipe: ExpressionRecipe, request: FitRequest, known: Lessons) -> Views | None:
    """Return the answers of the recipe's teachers; their runs lie beside this run."""
    how = recipe.distillation
    if how is None:
        return None
    teachers = [request.run_folder(name) for name in how.teachers]
    count = 1 if request.small else how.views
    return Views(
        known, teachers, recipe.augmentation, count=count, seed=recipe.seed, folder=request.cache
    )


def _base(recipe: ExpressionRecipe, request: FitRequest) -> Path | None:
    """Return the file that the network begins with; None where a checkpoint is gone on from."""
    given = request.weights
    wanted = recipe.weights_needed
    goes_on = request.resume and (request.out / CHECKPOINT).exists()
    if given is None:
        if wanted is None or goes_on:
            return None
        raise RecipeError(
            f"{request.recipe}: the network begins with {wanted}; say where it lies with --weights"
        )
    if given.name != wanted:
        raise RecipeError(
            f"--weights {given}: the recipe names base = {wanted!r}; write "
            f'base = "{given.name}" in {request.recipe}, so that the run says what it began with'
        )
    if recipe.start is not None:
        raise RecipeError(
            f"{request.recipe}: start and base both say what the network begins with; keep one"
        )
    if not given.exists():
        raise RecipeError(f"--weights {given}: does not exist")
    if goes_on and recipe.face_features is not None:
        return None  # the checkpoint has its first stage behind it
    return given


def _start(recipe: ExpressionRecipe, request: FitRequest) -> nn.Module | None:
    """Return the network of the run that the recipe learns on; it lies beside this one."""
    if recipe.start is None:
        return None
    network, other = load_run(request.run_folder(recipe.start))
    if not recipe.network.can_learn_on(other.network):
        there, here = other.network.model_dump(), recipe.network.model_dump()
        unlike = ", ".join(
            f"{key} = {here.get(key)} here and {there.get(key)} there"
            for key in sorted(here.keys() | there.keys())
            if here.get(key) != there.get(key)
        )
        raise RecipeError(
            f"{request.recipe}: start = {recipe.start!r} is a run of another network than this "
            f"recipe describes: {unlike}"
        )
    return network


def pixel_input(recipe: ExpressionRecipe) -> PixelInput:
    """Size and normalisation of the input as the model card says them."""
    edge = recipe.network.edge
    data = recipe.data
    return PixelInput(
        edge,
        edge,
        1,
        scale=1 / 255 / data.deviation,
        offset=-data.mean / data.deviation,
        prepare=recipe.preparation.steps,
    )


def finish_card(
    path: Path, module: nn.Module, recipe: ExpressionRecipe, splits: Mapping[str, Faces]
) -> Path:
    """Add temperature, threshold and the figures of each split, int8 and float, to a card.

    The temperature is fitted on the held-back faces, and so is the threshold, where they are enough
    to show its promise; else it is the recipe's. The int8 figures go through the agent.
    """
    model = load_model(path, kind="expression")
    # Asked as the agent asks, so that the figures are those of the device.
    logits = {name: run_model(model, faces.pictures) for name, faces in splits.items()}
    metrics: dict[str, dict[str, float]] = {}
    for name, faces in splits.items():
        metrics[name] = evaluate_logits(logits[name], faces).headline()
        expression, fer2013 = predict(module, faces.pictures, recipe)
        metrics[f"{name}, float"] = evaluate_logits(
            {"expression": expression, "fer2013": fer2013}, faces
        ).headline()
        log.info("%s: int8 %s; float %s", name, metrics[name], metrics[f"{name}, float"])
    # On held-back faces: those that were learnt are too sure.
    temperature = best_temperature(logits[HELD_BACK]["expression"], soft_targets(splits[HELD_BACK]))
    temperature = round(temperature, 4)
    held_back = answers_by_protocol(logits[HELD_BACK], splits[HELD_BACK]).get("ferplus")
    fitted = None
    if held_back is not None:
        fitted = proven_threshold(probabilities(held_back.logits, temperature), held_back.truth)
    threshold = recipe.uncertain_below if fitted is None else fitted
    log.info(
        "uncertain below %.2f: %s",
        threshold,
        UNPROVEN if fitted is None else "fitted on the held-back faces",
    )
    card = model.card.model_copy(
        update={"temperature": temperature, "uncertain_below": threshold, "metrics": metrics}
    )
    write_whole(path, card.to_json().encode())
    return path


def align_heads(network: ExpressionNetwork, faces: Faces, recipe: ExpressionRecipe) -> None:
    """Calibrate the second head, and scale it to the one temperature of the card.

    That temperature is the first head's.

    The classes are weighed while it learns (``loss.balance``), so that it says the rare ones too
    often: its biases are corrected
    (:func:`training.report.calibration.bias_corrected_temperature`). softmax((logits / T₂ +
    bias) · T₁ / T₁) is then what the card's temperature makes of it. The first head learns from
    people's votes, unweighed, and stays as it is.

    Args:
        network: changed in place.
        faces: what to fit temperatures and biases on; nothing happens when they lack one kind of
            label.
        recipe: of the network.
    """
    first, second = predict(network, faces.pictures, recipe)
    clear = majority(faces.votes)
    known = faces.fer2013
    voted = clear != NO_LABEL
    labelled = known != NO_LABEL
    if not voted.any() or not labelled.any():
        return
    shared = best_temperature(
        first[voted], np.eye(len(EXPRESSIONS), dtype=np.float32)[clear[voted]]
    )
    own, bias = bias_corrected_temperature(second[labelled], known[labelled])
    head = network.heads["fer2013"]
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        # The scale takes the head's own temperature out, and the shared one in.
        head.weight.mul_(shared / own)
        head.bias.mul_(shared / own).add_(torch.from_numpy(bias * shared))
    shown = ", ".join(f"{name} {value:+.2f}" for name, value in zip(FER2013, bias, strict=True))
    log.info("the FER2013 head: logits scaled by %.3f, biases corrected by %s", shared / own, shown)


def _coarse(
    network: ExpressionNetwork,
    recipe: ExpressionRecipe,
    seen: NDArray[np.uint8],
    to_align_on: Faces,
) -> ExpressionNetwork:
    """Return the network with filters in few steps and its second head calibrated again.

    The same network where the recipe names no ``filter_step``.
    """
    if recipe.filter_step is None:
        return network
    coarse = in_few_steps(network, pixel_input(recipe), seen, recipe.filter_step)
    assert isinstance(coarse, ExpressionNetwork)  # a copy
    align_heads(coarse, to_align_on, recipe)
    return coarse


def _write(
    fitted: Fitted,
    network: ExpressionNetwork,
    recipe: ExpressionRecipe,
    request: FitRequest,
    calibration: NDArray[np.uint8],
    shares: tuple[float, ...],
) -> Path:
    """Quantize the trained network and write the model with its card; returns the card's path."""
    outputs = {"expression": EXPRESSIONS, "fer2013": FER2013}
    module: nn.Module = network
    if isinstance(network, RegionNetwork):
        module = WithEvidence(network)
        outputs[EVIDENCE] = EXPRESSIONS
    else:
        log.info("%s: its model cannot explain itself", recipe.network.architecture)
    return write_model(
        module,
        pixel_input(recipe),
        outputs,
        calibration=calibration,
        card={**_card(fitted, recipe, request, unseen_limit(shares)), "label_shares": shares},
        folder=request.out,
    )


def unseen_limit(shares: Sequence[float]) -> tuple[str, ...]:
    """Return the limit of a card that names the categories without a lesson; empty: all have some.

    Args:
        shares: of the eight categories, as :func:`label_shares` gives them.
    """
    names = [name for name, share in zip(EXPRESSIONS, shares, strict=True) if share == 0]
    if not names:
        return ()
    return (f"It never saw {', '.join(names)}: it reads such faces worse. Add pictures of them.",)


def _to_quantize_with(recipe: ExpressionRecipe, learn: Faces) -> NDArray[np.uint8]:
    """Some thousand pictures as the network sees them, in an order by chance."""
    order = np.random.default_rng(recipe.seed).permutation(len(learn))[:FILTER_PICTURES]
    return enlarge(learn.pictures[order], recipe.network.edge)


def _card(
    fitted: Fitted, recipe: ExpressionRecipe, request: FitRequest, limits: Sequence[str]
) -> dict[str, object]:
    """Return the fields of the model card that recipe and run fill."""
    teachers: tuple[str, ...] = ()
    if recipe.distillation:
        teachers = recipe.distillation.teachers
    data = [f"pictures of {request.data.name}"]
    if request.data.is_file():
        data = [f"FER2013 {recipe.data.usage}"]
    if recipe.data.cleaned:
        data = [f"{data[0]}, cleaned"]
    if request.fold is not None:
        data.append(request.fold.left_out)
    if request.without:
        data.append(f"without those of {request.without.name}")
    if request.votes:
        data.append("FER+ votes")
    if recipe.base:
        data.append(f"weights of {recipe.base}")
    if recipe.face_features:
        data.append(f"features of {recipe.face_features.network}")
    card = request.card(
        recipe,
        fitted,
        data,
        limits,
        teacher=", ".join(teachers) or None,
        hours=round((fitted.seconds + first_stage_seconds(request.out)) / 3600, 2),
        teacher_hours=_hours([seconds_spent(request.run_folder(name)) for name in teachers]),
        watts=request.watts,
    )
    return {
        **card,
        "temperature": 1.0,
        "uncertain_below": recipe.uncertain_below,
        "crop": EXPRESSION_CROP,
    }


def _hours(seconds: Sequence[float | None]) -> float | None:
    """Return the sum in hours; None where there is none, or one is not known."""
    known = [one for one in seconds if one is not None]
    if known and len(known) == len(seconds):
        return round(sum(known) / 3600, 2)
    return None


def _to_calibrate_on(splits: Mapping[str, Faces]) -> Faces:
    """Half A of PublicTest, as for the temperature in the card's report.

    The held-back faces where there is none.
    """
    public = splits.get("PublicTest")
    half = public.take(in_half_a(public.pictures)) if public is not None else None
    if half is not None and len(half) > 0:
        return half
    return splits[HELD_BACK]


def _other_splits(faces: Faces) -> dict[str, Faces]:
    """Return the splits that were not learnt from and that the data hold."""
    present = {
        usage: faces.take(faces.usage == number)
        for number, usage in enumerate(USAGES)
        if usage != "Training"
    }
    return {usage: split for usage, split in present.items() if len(split) > 0}


def _clean_splits(faces: Faces, others: Mapping[str, Faces]) -> tuple[Faces, dict[str, Faces]]:
    """Return the cleaned faces, and the other splits as they are and, beside them, cleaned."""
    result = clean(faces)
    log.info("cleaned: %s", result.as_text().replace("\n", "; "))
    named = {f"{name}, cleaned": split for name, split in _other_splits(result.faces).items()}
    return result.faces, {**others, **named}


def _small(recipe: ExpressionRecipe, faces: Faces) -> tuple[ExpressionRecipe, Faces]:
    """Few pictures of each split and few steps, for trying whether everything works."""
    parts = [
        _of_all_classes(faces, np.flatnonzero(faces.usage == number))
        for number in range(len(USAGES))
    ]
    schedule = recipe.schedule.model_copy(
        update={"epochs": SMALL_EPOCHS, "batch": min(recipe.schedule.batch, 16)}
    )
    update: dict[str, object] = {
        "schedule": schedule,
        "data": recipe.data.model_copy(update={"held_back": 0.25}),
    }
    if recipe.face_features is not None:
        update["face_features"] = recipe.face_features.model_copy(update={"epochs": 1})
    return recipe.model_copy(update=update), faces.take(np.concatenate(parts))


def _of_all_classes(faces: Faces, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first ``SMALL_PICTURES`` of some faces, class by class in turn."""
    # The first of each class, then the second of each, until there are enough.
    classes = faces.fer2013[chosen]
    turn = np.zeros(len(chosen), dtype=np.intp)  # how many of its class come before a face
    for label in np.unique(classes):
        turn[classes == label] = np.arange(np.count_nonzero(classes == label))
    return np.sort(chosen[np.argsort(turn, kind="stable")[:SMALL_PICTURES]])
