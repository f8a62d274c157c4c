"""Train on one's own photographs and say whether that was worth it.

Everything lies in one folder: ``faces`` that were cut out, ``run`` with model and card, and the
report. Given again, it goes on where it stopped.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from training.data.crops import FaceCutter, Tally, cut_one, plan_cuts
from training.data.datasets import EDGE, EXPRESSIONS, FolderOfFaces, split_tested
from training.data.left_out import folder_without
from training.errors import DataError
from training.expression.recipe import ExpressionRecipe
from training.learning.kinds import FitRequest
from training.learning.recipe import load_recipe
from training.learning.run import train
from training.measuring.calibration import probabilities
from training.measuring.compare import Comparison, compare_files
from training.measuring.evaluate import run_model
from training.own.problems import categories_of, problems_of

log = logging.getLogger(__name__)

SHIPPED = "expression-accurate"
"""The model that an own one has to be better than."""
SURE = 0.8
"""Both models have to be so sure of another category for a label to be doubted."""
SHOWN = 12
"""Doubted labels that are shown, at most."""


@dataclass(frozen=True, slots=True)
class Doubted:
    """A picture whose label two models contradict, saying the same.

    Attributes:
        file: the cut-out face.
        labelled: the category that its folder says.
        answer: the category that both models see.
        probability: that the less sure of the two gives it.
        index: its place among the faces.
    """

    file: Path
    labelled: str
    answer: str
    probability: float
    index: int


@dataclass(frozen=True, slots=True)
class OwnModel:
    """What came out.

    Attributes:
        card: of the new model.
        folder: the faces.
        cut: how the photographs became faces, in words; empty where they were cut out before.
        problems: of the faces, a sentence each.
        comparison: the shipped model and the new one on the tested faces, which fitted nothing.
        doubted: labels to look at, the most doubtful first.
    """

    card: Path
    folder: FolderOfFaces
    cut: str
    problems: tuple[str, ...]
    comparison: Comparison
    doubted: tuple[Doubted, ...]

    @property
    def verdict(self) -> str:
        """Whether the new model is better, in a sentence."""
        protocol, test = next(iter(self.comparison.tests.items()))
        before = self.comparison.first.accuracy[protocol]
        after = self.comparison.second.accuracy[protocol]
        points = 100 * (after - before)
        if test.only_first == test.only_second:
            what = "as good as the shipped one"
        else:
            what = f"{'better' if points > 0 else 'worse'} by {abs(points):.1f} points"
        if test.p < 0.05:
            certainty = f"significant, p = {test.p:.2g} by McNemar's exact test"
        else:
            certainty = (
                f"not significant, p = {test.p:.2g} by McNemar's exact test: more faces would tell"
            )
        return (
            f"The new model is {what}: right in {after:.1%} of {test.n} faces that it never saw, "
            f"the shipped one in {before:.1%} ({certainty})."
        )


def train_own(photographs: Path, request: FitRequest, labels: Path | None = None) -> OwnModel:
    """Cut faces out of photographs, learn from them, and compare with the shipped model.

    Args:
        photographs: a folder with a subfolder a category, or with ``labels`` any folder.
        request: its ``out`` is the folder of everything; its ``data`` is not used; its ``without``
            names faces.
        labels: table with the columns ``file`` and ``emotion``.

    Raises:
        DataError: the photographs cannot be used, or hold too few faces to test with.
        RecipeError: the recipe cannot be used.
    """
    recipe = load_recipe(request.recipe, ExpressionRecipe)
    faces = request.out / "faces"
    cut = cut_out(photographs, faces, labels)
    folder = folder_without(faces, request.without)
    problems = problems_of(folder)
    for sentence in problems:
        log.warning("%s", sentence)
    _, tested = split_tested(folder.faces.without_blank(), recipe.data.tested)
    if len(tested) == 0:
        raise DataError(
            f"{faces}: none of {len(folder.files)} faces is set aside for the last judgement "
            f"(data.tested = {recipe.data.tested}); add photographs"
        )
    run = replace(request, data=faces, votes=None, out=request.out / "run", resume=True)
    card = run.out / f"{recipe.name}.json"
    if not card.exists():
        card = train(run)
    shipped = find_model(SHIPPED)
    models = [path.with_suffix(".tflite") for path in (shipped, card)]
    comparison = compare_files(models[0], models[1], tested)
    doubted = _doubted(folder, [_answers(path, folder.faces.pictures) for path in (shipped, card)])
    return OwnModel(card, folder, cut, tuple(problems), comparison, doubted)


def cut_out(
    photographs: Path, faces: Path, labels: Path | None, classes: Sequence[str] = ()
) -> str:
    """Cut the faces out, all or none, unless they lie there already; return what to say of it."""
    if faces.exists():
        log.info("%s: the faces were cut out before", faces)
        return ""
    part = faces.with_name("faces.part")
    shutil.rmtree(part, ignore_errors=True)  # of a start that was stopped
    cuts = plan_cuts(photographs, part, labels, classes)
    cutter = FaceCutter(EDGE)
    tally = Tally()
    for cut in cuts:
        cut_one(cut, part, cutter, tally)
    if not tally.faces:
        raise DataError(f"{photographs}: no face was found in any of {len(cuts)} photographs")
    part.rename(faces)
    return tally.as_text(faces)


def _answers(card: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Probabilities of the eight categories, N × 8, as the agent computes them."""
    model = load_model(card, kind="expression")
    logits = run_model(model, pictures)["expression"]
    return probabilities(logits, model.card.temperature or 1.0)


def _doubted(folder: FolderOfFaces, answers: Sequence[NDArray[np.float64]]) -> tuple[Doubted, ...]:
    """The labels that all answers contradict, saying the same."""
    labelled = categories_of(folder.faces)
    first = answers[0].argmax(axis=1)
    sure = np.minimum.reduce([each.max(axis=1) for each in answers])
    alike = np.logical_and.reduce([each.argmax(axis=1) == first for each in answers])
    chosen = np.flatnonzero(alike & (first != labelled) & (sure >= SURE))
    ordered = chosen[np.argsort(-sure[chosen], kind="stable")][:SHOWN]
    return tuple(
        Doubted(
            folder.files[at],
            EXPRESSIONS[labelled[at]],
            EXPRESSIONS[first[at]],
            float(sure[at]),
            int(at),
        )
        for at in ordered
    )
