"""K folds of one recipe beside its run on the fixed split: the mean of the folds, and their spread.

Example::

    finished = fold_runs(recipe, request, count=5)
    print(folds_text(finished, fixed=None))
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.model import load_model
from training.data.datasets import Faces
from training.expression.recipe import ExpressionRecipe
from training.learning.kinds import FitRequest, Fold
from training.learning.recipe import load_recipe
from training.learning.run import train
from training.measuring.calibration import in_half_a
from training.measuring.evaluate import PROTOCOLS, evaluate_logits, run_model
from training.systems.gather import refuse_another

log = logging.getLogger(__name__)

_WIDTH = 22


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """How a run did on its fold.

    Attributes:
        name: of the fold, or of what else was evaluated.
        figures: as a card keeps them (``fer2013_accuracy``, ``fer2013_n``, …).
    """

    name: str
    figures: dict[str, float]


def fold_runs(recipe: Path, request: FitRequest, count: int) -> list[FoldFigures]:
    """Train the recipe once for each fold, in ``request.out``/fold-1 and so on, and evaluate it.

    A finished fold is loaded, an interrupted one goes on.

    Raises:
        RecipeError: when the recipe cannot be used, or a fold's run was made by another one.
        DataError: when the data cannot be used.
        ModelError: when a finished model cannot be used.
    """
    form = load_recipe(recipe, ExpressionRecipe)
    done = []
    for number in range(1, count + 1):
        fold = Fold(number, count)
        folder = request.out / f"fold-{number}-of-{count}"
        card = folder / f"{form.name}.json"
        if card.exists():
            log.info("%s is finished", fold.name)
            refuse_another(folder, recipe, form)
        else:
            log.info("%s learns", fold.name)
            resume = not request.small
            card = train(replace(request, recipe=recipe, out=folder, fold=fold, resume=resume))
        figures = _card_of(card).metrics[fold.name]
        done.append(FoldFigures(fold.name, dict(figures)))
    return done


def fixed_split(card: Path, faces: Faces) -> FoldFigures:
    """How the run on the fixed split does on half A of PublicTest.

    Raises:
        ModelError: when its model cannot be used.
        DataError: when there is no PublicTest.
    """
    public = faces.of_usage("PublicTest")
    half = public.take(in_half_a(public.pictures))
    model = load_model(card, kind="expression")
    figures = evaluate_logits(run_model(model, half.pictures), half).headline()
    return FoldFigures("fixed split, half A", figures)


def folds_text(folds: Sequence[FoldFigures], fixed: FoldFigures | None) -> str:
    """Each fold, their mean and standard deviation, and the fixed split where there is one.

    The folds share most of what they learn from, so the deviation is no standard error of the mean.
    """
    protocols = [name for name in PROTOCOLS if f"{name}_accuracy" in folds[0].figures]
    head = "".join(f" {PROTOCOLS[name]:>14} {'n':>6} {'macro F1':>9}" for name in protocols)
    lines = [f"{'':<{_WIDTH}}{head}"]
    lines += [_line(one, protocols) for one in folds]
    for title, summarise in (("mean", mean), ("standard deviation", stdev)):
        cells = ""
        for name in protocols:
            accuracy = summarise([one.figures[f"{name}_accuracy"] for one in folds])
            f1 = summarise([one.figures[f"{name}_macro_f1"] for one in folds])
            cells += f" {accuracy:>14.2%} {'':>6} {f1:>9.3f}"
        lines.append(f"{title:<{_WIDTH}}{cells}")
    if fixed is not None:
        lines.append(_line(fixed, protocols))
    return "\n".join(lines)


def _line(one: FoldFigures, protocols: Sequence[str]) -> str:
    cells = ""
    for name in protocols:
        accuracy = one.figures[f"{name}_accuracy"]
        f1 = one.figures[f"{name}_macro_f1"]
        cells += f" {accuracy:>14.2%} {one.figures[f'{name}_n']:>6.0f} {f1:>9.3f}"
    return f"{one.name:<{_WIDTH}}{cells}"


def _card_of(path: Path) -> ModelCard:
    return load_model(path, kind="expression").card
