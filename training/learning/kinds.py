"""The kinds of model that ``python -m training`` can train, and what each is asked to do.

A kind is one function ``(FitRequest) -> Plan``: it reads recipe and data, builds its
:class:`training.learning.loop.TrainingTask`, and says how a trained network is published
(:func:`training.networks.quantize.write_model`). It is imported only when a recipe asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.core import clock
from training.errors import RecipeError
from training.learning.recipe import Recipe, TrainingSchedule, recipe_kind

if TYPE_CHECKING:
    import torch

    from training.learning.loop import Fitted, TrainingTask

PLANNERS = {
    "expression": "training.expression.fit:plan_expression",
    "face-detector": "training.faces.detector_fit:plan_detector",
    "face-cover": "training.expression.covers:plan_cover",
    "face-movements": "training.expression.movements:plan_movements",
}
"""``kind`` of a recipe → ``module:function``."""

PUBLISHED = Path(__file__).parents[1] / "weights"
"""Recipes and weights of the published models, for those who learn on from them."""

SMALL_EPOCHS = 2
"""Epochs of a run with ``--limit small``: enough to pass through every line of the code, not to
learn.
"""
SMALL_PICTURES = 64
"""Most pictures (of each split) of a run with ``--limit small``."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One of several parts of Training, which is evaluated and not learnt.

    Attributes:
        number: which, 1 … ``count``.
        count: how many there are.
    """

    number: int
    count: int

    @property
    def name(self) -> str:
        """Name of the fold, for a model card."""
        return f"fold {self.number} of {self.count}"

    @property
    def left_out(self) -> str:
        """Text of a card about what was learnt: all without this fold."""
        return f"without {self.name}"


@dataclass(frozen=True, slots=True)
class FitRequest:
    """The training that the command line requests of a kind of model.

    Attributes:
        recipe: the TOML file.
        data: the data of that kind: a table or folder of expressions, a folder of photographs.
        votes: FER+ votes beside an expression table, or None.
        out: folder for checkpoint, curves, model and card; it is also where a run resumes.
        cache: folder for parsed data.
        weights: what was learnt elsewhere and the network begins with, or None.
        without: table of pictures to leave out (:mod:`training.data.datasets`), or None.
        small: train on at most SMALL_PICTURES pictures for SMALL_EPOCHS epochs.
        resume: go on from the checkpoint in ``out``.
        device: what to learn on, as for :func:`training.learning.loop.device_of`.
        watts: what the machine is taken to draw while it learns; the card estimates the energy with
            it.
        fold: the part of Training that is evaluated and not learnt; None: the data's own split.
        finished: nothing is to be learnt: what only learning needs (teachers, the run that it began
            from) may be missing.
        unlabelled: photographs and folders of them whose faces the teachers alone label.
    """

    recipe: Path
    data: Path
    votes: Path | None
    out: Path
    cache: Path
    weights: Path | None = None
    without: Path | None = None
    small: bool = False
    resume: bool = False
    device: str = "cpu"
    watts: float | None = None
    fold: Fold | None = None
    finished: bool = False
    unlabelled: tuple[Path, ...] = ()

    def card(
        self,
        recipe: Recipe,
        fitted: Fitted,
        data: Sequence[str],
        limits: Sequence[str] = (),
        **training: object,
    ) -> dict[str, object]:
        """Return the fields of a model card that recipe and run fill.

        Args:
            recipe: of the model.
            fitted: the trained network.
            data: what was learnt from.
            limits: of this run, beside those of the recipe.
            training: more about how it was learnt.
        """
        about = recipe.model_dump(include={"name", "version", "kind", "license", "description"})
        about["limits"] = (*recipe.limits, *limits)
        if self.small:
            trial = (
                f"Learned from at most {SMALL_PICTURES} pictures to try the recipe out: do not use."
            )
            about["limits"] += (trial,)
        how = {
            "recipe": self.recipe.name,
            "seed": recipe.seed,
            "epochs": fitted.epochs,
            "data": data,
            "date": clock.utc_now().date().isoformat(),
        }
        return {**about, "training": how | training, "metrics": {}}

    def run_folder(self, name: str) -> Path:
        """Another run's folder: it lies beside this run's, or is that of a published model.

        Raises:
            RecipeError: there is neither.
        """
        beside = self.out.parent / name
        for folder in (beside, PUBLISHED / name):
            if folder.is_dir():
                return folder
        raise RecipeError(
            f"there is no run {name!r} in {beside.parent}: train it there first. The weights of "
            "published models come with the repository (training/weights), not with the wheel."
        )


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training that is ready to begin.

    Attributes:
        task: what is learnt.
        schedule: how long and how fast.
        seed: of every random choice.
        publish: writes the int8 model and its card from the trained network, and returns the path
            of the card.
        first_stage: learns on a device what the task begins with, before the loop; None: nothing.
    """

    task: TrainingTask
    schedule: TrainingSchedule
    seed: int
    publish: Callable[[Fitted], Path]
    first_stage: Callable[[torch.device], None] | None = None


def plan(request: FitRequest) -> TrainingPlan:
    """Read recipe and data of a request and make everything ready.

    Raises:
        RecipeError: when the recipe cannot be used; when there is no such kind.
        DataError: when the data cannot be used.
    """
    kind = recipe_kind(request.recipe)
    if kind not in PLANNERS:
        raise RecipeError(f"kind {kind!r} is not one of {', '.join(PLANNERS)}")
    if request.weights is not None and kind != "expression":
        raise RecipeError(f"--weights {request.weights}: a recipe of kind {kind} takes no base")
    if request.without is not None and kind != "expression":
        raise RecipeError(
            f"--without {request.without}: names labelled faces, which a recipe of kind {kind} "
            "does not learn; leave it out"
        )
    if request.unlabelled and kind != "expression":
        raise RecipeError(
            f"--unlabelled {request.unlabelled[0]}: a recipe of kind {kind} has no teachers that "
            "could label faces; leave it out"
        )
    # Imported only now: each kind brings libraries that the others do not need.
    module, function = PLANNERS[kind].split(":")
    made: TrainingPlan = getattr(import_module(module), function)(request)
    return made
