"""Sensitivity of a result to how readings came to their state: to window and lag with observed
emotions, else to the settling time.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from dashboard.analysis.choices import MatchingChoice, SettlingChoice
from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.inference.mixed import VitalPair
from dashboard.analysis.results import (
    DecisionModel,
    PlainLabelsModel,
    ResultModel,
    SensitivityModel,
    SettlingSensitivityModel,
    SettlingVariantModel,
    VariantModel,
)
from edge_agent.core.measures import Measure

C = TypeVar("C", MatchingChoice, SettlingChoice)
S = TypeVar("S", SensitivityModel, SettlingSensitivityModel)


class ChosenResult(NamedTuple):
    """The result of a comparison under one choice.

    Attributes:
        result: as it was decided.
        holm_p: its p adjusted by Holm's method; ``None`` without a test.
    """

    result: ResultModel
    holm_p: float | None


def sensitivity(
    table: type[S], pairs: Sequence[VitalPair], chosen: C, tried: Mapping[C, Sequence[ChosenResult]]
) -> tuple[S, ...]:
    """Put the results of a family beside those under other choices; without sentences.

    The table shows whether the conclusion depends on a choice that the data do not make (Steegen,
    Tuerlinckx, Gelman & Vanpaemel 2016, Perspectives on Psychological Science 11:702–712). The
    declared choice stays the result: picking the one with the smallest p would be a false positive.

    Args:
        table: the model of such choices.
        pairs: vital and states of each comparison.
        chosen: the setting that was declared, which is among those that were tried.
        tried: of each setting the result of each comparison, in the order of ``pairs``.

    Returns:
        For each comparison of the family its table, in the order of ``tried``.
    """
    tables = []
    for place, (kind, first, second) in enumerate(pairs):
        conclusion = tried[chosen][place].result.conclusion
        variants = tuple(
            _variant(choice, kind, _decision_model(decided[place], conclusion))
            for choice, decided in tried.items()
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
    pairs: Sequence[VitalPair], shifted: Sequence[ResultModel], plain: Sequence[ChosenResult]
) -> tuple[PlainLabelsModel, ...]:
    """Return each comparison as decided by the labels that were read, not shifted; no sentences.

    Args:
        pairs: vital and states of each comparison.
        shifted: the results by the labels that were recorded, some of them shifted.
        plain: those by labels without a shift.
    """
    return tuple(
        PlainLabelsModel(
            **dict(_decision_model(decided, own.conclusion)),
            vital=kind,
            first=first,
            second=second,
            sentence="",
        )
        for (kind, first, second), own, decided in zip(pairs, shifted, plain, strict=True)
    )


def _decision_model(one: ChosenResult, declared: Conclusion) -> DecisionModel:
    """Return the row of a result, with whether the declared choice concludes otherwise."""
    result = one.result
    return DecisionModel(
        n_first=result.n_first,
        n_second=result.n_second,
        difference=result.difference,
        interval=result.interval,
        p=result.p,
        holm_p=one.holm_p,
        adjusted_p=result.adjusted_p,
        conclusion=result.conclusion,
        changes=result.conclusion is not declared,
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
