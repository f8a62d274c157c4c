"""Does it read people alike? Photographs by apparent sex and skin (`training.data.apparent`).

Groups differ in what people do in them, so only faces that people read as one category are
compared: the share of one group that is read rightly less that of the other, within each category,
and the mean of these differences, in which each category counts alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.core.expression import Prior
from training.data.apparent import Coding
from training.data.photographs import LabelledPhotographs
from training.data.readings import AgreedPhotographs
from training.report.chain import CHAIN, ChainAnswers, measure_chain
from training.report.photographs import FIVE

COMPARED = {
    "women − men": ("sex", ("woman",), ("man",)),
    "dark skin − others": ("skin", ("dark",), ("light", "other")),
}
"""Comparison → what is coded, codes of the first group, codes of the second."""
LEAST = 5
"""Faces of a category in each of two groups that they are compared by."""
OVER = {"all compared": FIVE, FIVE[0]: FIVE[:1], "the expressions": FIVE[1:]}
"""Mean → the categories that it is taken over, as far as they can be compared."""
HALVES = {"both": "all", "B": "half B"}
MODELS = ("expression-accurate", "expression-fast")
PRIORS: tuple[Prior, ...] = ("data", "fitted")
DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Recalls:
    """The faces of one category in two groups.

    Attributes:
        first_n, second_n: how many there are.
        first, second: share of them that is read as people read them, 0…1.
    """

    first_n: int
    second_n: int
    first: float
    second: float

    def as_text(self) -> str:
        """Return both shares and numbers in words."""
        return f"{self.first:.2f} of {self.first_n}, {self.second:.2f} of {self.second_n}"


@dataclass(frozen=True, slots=True)
class GroupDifference:
    """A difference of two groups, with the interval that holds it with 95 % confidence; shares."""

    difference: float
    low: float
    high: float

    def as_text(self) -> str:
        """Return it in points."""
        points = (f"{100 * one:+.1f}" for one in (self.difference, self.low, self.high))
        return "{} ({} to {})".format(*points).replace("-", "−")


@dataclass(frozen=True, slots=True)
class Difference:
    """Two groups of faces compared within categories.

    Attributes:
        first, second: faces in each group, those of all categories.
        recalls: category → what is read of it; those that both groups have `LEAST` faces of.
        over: `OVER` → the mean difference; left out where no category can be compared.
    """

    first: int
    second: int
    recalls: Mapping[str, Recalls]
    over: Mapping[str, GroupDifference]


def compare_groups(
    answers: ChainAnswers, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> Difference:
    """Compare two groups of photographs within the categories that people read in them.

    The interval is a bootstrap of photographs, drawn within each category of each group. Whether a
    face is read rightly is 0 or 1, so that the number of right ones among n drawn is binomial with
    the share of right ones: they are drawn so. A group that is read always or never rightly does
    not vary. A person who is on several photographs counts as several.

    Args:
        answers: of the chain.
        first: bool, n: the photographs of the first group.
        second: likewise.
    """
    draw = np.random.default_rng(1)
    recalls: dict[str, Recalls] = {}
    drawn: dict[str, NDArray[np.float64]] = {}
    for category, name in enumerate(FIVE):
        of_category = answers.truth == category
        one, other = answers.right[of_category & first], answers.right[of_category & second]
        if min(len(one), len(other)) < LEAST:
            continue
        recalls[name] = Recalls(len(one), len(other), float(one.mean()), float(other.mean()))
        draws = [draw.binomial(len(part), part.mean(), DRAWS) / len(part) for part in (one, other)]
        drawn[name] = draws[0] - draws[1]
    over = {}
    for title, names in OVER.items():
        there = [name for name in names if name in recalls]
        if there:
            low, high = np.quantile(
                np.mean([drawn[name] for name in there], axis=0), (0.025, 0.975)
            )
            differences = [recalls[name].first - recalls[name].second for name in there]
            over[title] = GroupDifference(float(np.mean(differences)), float(low), float(high))
    return Difference(int(first.sum()), int(second.sum()), recalls, over)


def half_differences(
    answers: ChainAnswers,
    files: Sequence[str],
    agreement: AgreedPhotographs,
    half: str,
    coding: Coding,
) -> dict[str, Difference]:
    """Return the differences of `COMPARED`.

    Args:
        answers: of the chain, for ``files``.
        files: names of the photographs.
        agreement: says which of them count, and in which half they lie.
        half: as for `Agreement.of_half`.
        coding: of the people; a photograph counts where both codings agree.
    """
    judged = agreement.of_half(half).labels.keys()
    told = {}
    for title, (subject, *groups) in COMPARED.items():
        members = [coding.find_files(subject, *codes) & judged for codes in groups]
        first, second = (np.array([file in group for file in files]) for group in members)
        told[title] = compare_groups(answers, first, second)
    return told


def run_apparent(
    photographs: LabelledPhotographs, agreement: AgreedPhotographs, coding: Coding
) -> dict[str, dict[str, Difference]]:
    """Let both models read photographs with both priors; return the differences of each half.

    Args:
        photographs: those that ``agreement`` tells the category of.
        agreement: says which of them lie in half B.
        coding: of the people in them.

    Raises:
        ModelError: a model cannot be used.
        DataError, PictureError: a photograph cannot be read.
    """
    told = {}
    for model in MODELS:
        for prior in PRIORS:
            report = measure_chain(model, photographs, prior=prior)
            for half, title in HALVES.items():
                told[f"{model}, {prior}, {title}"] = half_differences(
                    report.answers[CHAIN], report.files, agreement, half, coding
                )
    return told


def apparent_text(told: Mapping[str, Mapping[str, Difference]], coding: Coding) -> str:
    """Return the agreement of the codings, and a line for each difference."""
    kappas = ", ".join(
        f"{subject}: Cohen's kappa {'not defined' if kappa is None else f'{kappa:.2f}'}"
        for subject, kappa in coding.kappa.items()
    )
    lines = [
        f"apparent sex and skin, {coding.coded} photographs coded twice; {kappas}",
        "difference of the shares read as people read them, within categories, in points",
    ]
    for title, differences in told.items():
        for comparison, one in differences.items():
            lines.append(f"{title}: {comparison} ({one.first} and {one.second} faces)")
            lines += [f"  {over:<16} {interval.as_text()}" for over, interval in one.over.items()]
            lines += [f"    {name}: {part.as_text()}" for name, part in one.recalls.items()]
    return "\n".join(lines)
