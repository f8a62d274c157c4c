"""Sensitivity of a result to how readings came to their state: to window and lag with observed
emotions, else to the settling time.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from dashboard.analysis.choices import MatchingChoice, SettlingChoice
from dashboard.analysis.conclusions import Conclusion, conclude
from dashboard.analysis.inference.comparison import Decision, adjusted_p
from dashboard.analysis.inference.mixed import VitalPair
from dashboard.analysis.query import Correction
from dashboard.analysis.results import (
    DecisionModel,
    PlainLabelsModel,
    SensitivityModel,
    SettlingSensitivityModel,
    SettlingVariantModel,
    VariantModel,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_

C = TypeVar("C", MatchingChoice, SettlingChoice)
S = TypeVar("S", SensitivityModel, SettlingSensitivityModel)


def sensitivity(
    table: type[S],
    pairs: Sequence[VitalPair],
    chosen: C,
    choices: Iterable[C],
    family: Callable[[C], Sequence[Decision]],
    correction: Correction = Correction.HOLM,
) -> tuple[S, ...]:
    """Repeat a family of comparisons under other choices; without sentences.

    Nothing is tested anew; the table shows whether the conclusion depends on a choice that the
    data do not make (Steegen, Tuerlinckx, Gelman & Vanpaemel 2016, Perspectives on Psychological
    Science 11:702–712). The declared choice stays the result;
    picking the choice with the smallest p would be a false positive.

    Args:
        table: the model of such choices.
        pairs: vital and states of each comparison.
        chosen: the setting that was declared.
        choices: those to be tried; ``chosen`` may be among them.
        family: gives the comparisons under a choice, always those of ``pairs``, adjusted as a
            family; of computed variants ``variants.__getitem__``.
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
    tables = []
    for place, ((kind, first, second), own) in enumerate(zip(pairs, base, strict=True)):
        conclusion = conclude(own.difference, adjusted_p(own, correction))
        variants = tuple(
            _variant(choice, kind, _decision_model(decided[place], conclusion, correction))
            for choice, decided in tried
        )
        tables.append(
            table(
                vital=kind,
                first=first,
                second=second,
                conclusion=conclusion,
                changed=sum(variant.changes for variant in variants),
                sentence="",
                variants=variants,
            )
        )
    return tuple(tables)


def without_own_neutral(
    pairs: Sequence[VitalPair],
    shifted: Sequence[Decision],
    plain: Sequence[Decision],
    correction: Correction = Correction.HOLM,
) -> tuple[PlainLabelsModel, ...]:
    """Return each comparison as decided by the labels that were read, not shifted; no sentences.

    Args:
        pairs: vital and states of each comparison.
        shifted: the decisions by the labels that were recorded, some of them shifted.
        plain: those by labels without a shift.
        correction: whose adjusted p decides.
    """
    return tuple(
        PlainLabelsModel(
            **dict(
                _decision_model(
                    read, conclude(own.difference, adjusted_p(own, correction)), correction
                )
            ),
            vital=kind,
            first=first,
            second=second,
            sentence="",
        )
        for (kind, first, second), own, read in zip(pairs, shifted, plain, strict=True)
    )


def _decision_model(
    decision: Decision, declared: Conclusion, correction: Correction
) -> DecisionModel:
    """Return what a decision comes to, and whether the declared choice concludes otherwise."""
    p = adjusted_p(decision, correction)
    conclusion = conclude(decision.difference, p)
    return DecisionModel(
        n_first=decision.n_first,
        n_second=decision.n_second,
        difference=decision.difference,
        interval=decision.interval,
        p=decision.p,
        holm_p=decision.holm_p,
        adjusted_p=p,
        conclusion=conclusion,
        changes=conclusion is not declared,
    )


def _variant(choice: C, kind: Measure, decided: DecisionModel) -> DecisionModel:
    """Add the setting, as the compared vital has it."""
    if isinstance(choice, SettlingChoice):
        return SettlingVariantModel(**dict(decided), settling=choice.settling_s(kind))
    return VariantModel(
        **dict(decided),
        window=choice.window_s,
        lag=choice.lag_s(kind),
        lag_heart_rate=choice.lag_heart_rate_s,
        lag_pressure=choice.lag_pressure_s,
    )
