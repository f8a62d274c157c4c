"""Sensitivity of a result to how readings came to their state: to window and lag with observed
emotions, else to the settling time.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dashboard.analysis.inference.comparison import Decision, adjusted_p
from dashboard.analysis.question import Correction
from dashboard.analysis.results import Conclusion, conclude
from edge_agent.core.errors import StatisticsError
from edge_agent.core.texts import N_

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Variant(Generic[C]):
    """One comparison under one choice.

    Attributes:
        choice: window and lags, or settling times.
        decision: what it comes to in numbers.
        adjusted_p: of the correction that was asked for, for the family under this choice.
        conclusion: what it comes to.
        changes: whether that differs from the conclusion under the chosen choice.
    """

    choice: C
    decision: Decision
    adjusted_p: float | None
    conclusion: Conclusion
    changes: bool


@dataclass(frozen=True, slots=True)
class Sensitivity(Generic[C]):
    """One comparison of the family under all settings; ``chosen`` is the one that was declared."""

    chosen: Variant[C]
    variants: tuple[Variant[C], ...]

    @property
    def changed(self) -> int:
        """Under how many settings the conclusion is another."""
        return sum(variant.changes for variant in self.variants)


def sensitivity(
    chosen: C,
    choices: Iterable[C],
    family: Callable[[C], Sequence[Decision]],
    correction: Correction = Correction.HOLM,
) -> tuple[Sensitivity[C], ...]:
    """Repeat a family of comparisons under other choices.

    Nothing is tested anew; the table shows whether the conclusion depends on a choice that the
    data do not make (Steegen, Tuerlinckx, Gelman & Vanpaemel 2016, Perspectives on Psychological
    Science 11:702–712). The declared choice stays the result;
    picking the choice with the smallest p would be a false positive.

    Args:
        chosen: the setting that was declared.
        choices: those to be tried; ``chosen`` may be among them.
        family: gives the comparisons under a choice, always the same ones in the same order,
            adjusted as a family; of computed variants ``variants.__getitem__``.
        correction: whose adjusted p decides.

    Returns:
        For each comparison of the family its table, in order of ``choices``.

    Raises:
        StatisticsError: a family has another size than that of the chosen choice.
    """
    base = family(chosen)
    tried = [(choice, base if choice == chosen else family(choice)) for choice in choices]
    for choice, decisions in tried:
        if len(decisions) != len(base):
            raise StatisticsError(
                N_("{choice} gives {n} comparisons, and {chosen} gives {n_2}"),
                choice=choice,
                n=len(decisions),
                chosen=chosen,
                n_2=len(base),
            )
    return tuple(
        Sensitivity(
            chosen=_variant(chosen, own, own, correction),
            variants=tuple(
                _variant(choice, decided[place], own, correction) for choice, decided in tried
            ),
        )
        for place, own in enumerate(base)
    )


def _variant(choice: C, decision: Decision, chosen: Decision, correction: Correction) -> Variant[C]:
    p = adjusted_p(decision, correction)
    conclusion = conclude(decision.difference, p)
    declared = conclude(chosen.difference, adjusted_p(chosen, correction))
    return Variant(choice, decision, p, conclusion, changes=conclusion is not declared)
