"""Share of right answers of the whole chain on photographs that three people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.datasets import EXPRESSIONS
from training.data.readings import AgreedPhotographs
from training.report.chain import ChainAnswers

FIVE = EXPRESSIONS[:5]
"""The categories of which the mean recall is taken: the three rare ones have a few photographs."""
ALL_THREE = "all three agree"
TWO = "two of three"
_HAPPINESS = EXPRESSIONS.index("happiness")
_SADNESS = EXPRESSIONS.index("sadness")


@dataclass(frozen=True, slots=True)
class PhotographFigures:
    """The figures of one group of photographs. A face that is not found is read wrongly.

    Attributes:
        n: photographs.
        with_face: those with a face.
        right: share read as people read them, 0…1.
        recall: of each of the five common categories that has photographs, 0…1.
        named: share that gets a name: a face that can be read, and is not uncertain.
        right_of_named: share right of these; 1 where none is named.
        sad_named: sad faces that get a name.
        sad_as_happiness: those of them that are named happiness.
    """

    n: int
    with_face: int
    right: float
    recall: Mapping[str, float]
    named: float
    right_of_named: float
    sad_named: int
    sad_as_happiness: int

    @property
    def mean_recall(self) -> float:
        """Mean recall of the five common categories, 0…1; 0 where none has a photograph."""
        return float(np.mean([*self.recall.values()] or [0.0]))

    def as_json(self) -> dict[str, object]:
        """Return the same as plain values, shares with four digits."""
        return {**self.headline(), "recall": {k: round(v, 4) for k, v in self.recall.items()}}

    def headline(self) -> dict[str, int | float]:
        """Return everything but the recall of each category, shares with four digits."""
        return {
            "n": self.n,
            "found": self.with_face,
            "accuracy": round(self.right, 4),
            "mean_recall": round(self.mean_recall, 4),
            "named": round(self.named, 4),
            "named_accuracy": round(self.right_of_named, 4),
            "sad_named": self.sad_named,
            "sad_as_happiness": self.sad_as_happiness,
        }


def photograph_figures(answers: ChainAnswers, uncertain_below: float) -> PhotographFigures:
    """Compare the answers of a chain with what people say of the same photographs, one or more."""
    named = answers.usable & (answers.shares.max(axis=1) >= uncertain_below)
    sad = named & (answers.truth == _SADNESS)
    recall = {
        name: float(answers.right[answers.truth == k].mean())
        for k, name in enumerate(FIVE)
        if (answers.truth == k).any()
    }
    return PhotographFigures(
        n=len(answers.truth),
        with_face=int(answers.has_face.sum()),
        right=float(answers.right.mean()),
        recall=recall,
        named=float(named.mean()),
        right_of_named=float(answers.right[named].mean()) if named.any() else 1.0,
        sad_named=int(sad.sum()),
        sad_as_happiness=int((sad & (answers.predicted == _HAPPINESS)).sum()),
    )


def figures_by_agreement(
    answers: ChainAnswers,
    files: Sequence[str],
    agreement: AgreedPhotographs,
    uncertain_below: float,
) -> dict[str, PhotographFigures]:
    """Return the figures of the photographs of ``agreement``, by how many readers agree.

    Args:
        answers: of the chain, for ``files``.
        files: names of the photographs.
        agreement: says which of them count; a group without any is left out.
        uncertain_below: probability below which a face is uncertain.
    """
    chosen = {ALL_THREE: agreement.unanimous, TWO: agreement.labels.keys()}
    figures = {}
    for name, group in chosen.items():
        part = np.array([file in group for file in files])
        if part.any():
            figures[name] = photograph_figures(answers.take(part), uncertain_below)
    return figures


def agreement_text(figures: Mapping[str, PhotographFigures]) -> str:
    """Return a line for each group of photographs."""
    heads = "".join(f" {name[:9]:>9}" for name in FIVE)
    lines = [
        f"{'readers':<16} {'n':>5} {'right':>6} {'evenly':>6} {'named':>6} {'right':>6}{heads}  sad"
    ]
    for name, one in figures.items():
        shares = (one.right, one.mean_recall, one.named, one.right_of_named)
        cells = " ".join(f"{share:>6.1%}" for share in shares)
        recalls = "".join(f" {one.recall.get(label, float('nan')):>9.3f}" for label in FIVE)
        sad = f"{one.sad_as_happiness} of {one.sad_named} named happiness"
        lines.append(f"{name:<16} {one.n:>5} {cells}{recalls}  {sad}")
    return "\n".join(lines)
