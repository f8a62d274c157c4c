"""The run of each recipe: loaded where it is finished, gone on with where it is not."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.vision.models.model import TFLiteModel, load_model
from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe
from training.learning.curves import CURVES
from training.learning.kinds import FitRequest
from training.learning.recipe import RECIPE, load_recipe
from training.learning.run import train

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class System:
    """A finished run.

    Attributes:
        recipe: that it was made by, as its run folder keeps it.
        model: its int8 file, loaded as the agent does.
        curves: a row for each epoch, as ``curves.csv`` holds them; empty where it is missing.
        base: what the network began with, or None.
    """

    recipe: ExpressionRecipe
    model: TFLiteModel
    curves: tuple[dict[str, float], ...]
    base: str | None


def recipe_files(given: Sequence[Path]) -> list[Path]:
    """The recipes of files and folders, each once, in their order; those of a folder by name.

    Raises:
        RecipeError: when there are not two at least, or two have one name.
    """
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            files += sorted(path.glob("*.toml"))
        else:
            files.append(path)
    chosen = list(dict.fromkeys(files))
    if len(chosen) < 2:
        raise RecipeError(
            f"--recipes: {len(chosen)} recipes cannot be compared; give two or more, or a folder"
        )
    names = [path.stem for path in chosen]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"--recipes: two files are called {double[0]}.toml; rename one")
    return chosen


def gather(recipes: Sequence[Path], runs: Path, request: FitRequest) -> list[System]:
    """The finished run of each recipe, in ``runs``/NAME; what is not finished is trained.

    A run that was interrupted goes on after its last epoch, so that the command can be given again.

    Args:
        recipes: TOML files of kind ``expression``.
        runs: folder of the run folders.
        request: data and device of a run that has to learn; its ``weights`` are the file that the
            recipes begin with, or a folder that holds what each of them names.

    Raises:
        RecipeError: when a recipe cannot be used, or is not the one that its run was made by.
        DataError: when the data cannot be used.
        ModelError: when a finished model cannot be used.
    """
    forms = [load_recipe(path, ExpressionRecipe) for path in recipes]  # all, before anything learns
    systems: list[System] = []
    for number, (path, form) in enumerate(zip(recipes, forms, strict=True), start=1):
        folder = runs / path.stem
        card = folder / f"{form.name}.json"
        if card.exists():
            log.info("%d of %d: %s is finished", number, len(recipes), path.stem)
            refuse_another(folder, path, form)
        else:
            log.info("%d of %d: %s learns", number, len(recipes), path.stem)
            base = _base_of(form, request.weights)
            card = train(
                replace(request, recipe=path, out=folder, weights=base, resume=not request.small)
            )
        systems.append(_load(form, card))
    return systems


def _base_of(form: ExpressionRecipe, weights: Path | None) -> Path | None:
    """The file that a recipe begins with; None where it needs none, or none is given."""
    needed = form.weights_needed
    if needed is None or weights is None:
        return None
    inside = weights / needed
    if inside.exists():
        return inside
    return weights


def refuse_another(folder: Path, path: Path, form: ExpressionRecipe) -> None:
    """Make sure that a finished run was made by the recipe as it is now.

    Raises:
        RecipeError: it was not.
    """
    kept = folder / RECIPE
    if kept.exists() and load_recipe(kept, ExpressionRecipe) != form:
        raise RecipeError(
            f"{folder}: its run was made by another recipe than {path} is now; train it again into "
            "another folder, or move this one away"
        )


def _load(form: ExpressionRecipe, card: Path) -> System:
    model = load_model(card, kind="expression")
    return System(form, model, _curves(card.parent / CURVES), form.weights_needed)


def _curves(path: Path) -> tuple[dict[str, float], ...]:
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
        )
