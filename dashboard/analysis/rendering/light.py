"""The table of what was left out, which loads without SciPy."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.analysis.rendering.numbers import comparison_text, flag_name
from dashboard.analysis.results import AnalysisModel, ComparisonModel, WithAllModel
from dashboard.languages.current import ngettext
from dashboard.languages.figures import general, number, p_text, thousands
from dashboard.languages.names import vital_label


@dataclass(frozen=True, slots=True)
class FlagRow:
    """Number of readings excluded for a flag; ``counts`` has one for each state, in order."""

    name: str
    counts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WithAllRow:
    """One test as it stands, and as it would be with every reading.

    Attributes:
        comparison: vital and states.
        difference: mean difference.
        adjusted_p: the p that decides.
        all_difference: mean difference with every reading.
        all_adjusted_p: the p that would decide then.
        changes: whether the conclusion would be another.
    """

    comparison: str
    difference: str
    adjusted_p: str
    all_difference: str
    all_adjusted_p: str
    changes: bool


@dataclass(frozen=True, slots=True)
class LeftOutTable:
    """The table of what was left out.

    Attributes:
        flags: by flag and state; empty where nothing is left out for its flags.
        tests: each test with and without those readings; empty as ``flags``.
        settling: a sentence for each vital of which the start of stimuli was left out.
    """

    flags: tuple[FlagRow, ...]
    tests: tuple[WithAllRow, ...]
    settling: tuple[str, ...]


def left_out_table(response: AnalysisModel) -> LeftOutTable:
    """Write what was left out."""
    counts = {(one.flag, one.state): one.readings for one in response.left_out}
    return LeftOutTable(
        flags=tuple(
            FlagRow(
                flag_name(flag),
                tuple(
                    thousands(counts.get((flag, state), 0)) for state in response.question.states
                ),
            )
            for flag in dict.fromkeys(one.flag for one in response.left_out)
        ),
        tests=tuple(
            _with_all(test, test.with_all)
            for test in response.comparisons
            if test.with_all is not None
        ),
        settling=tuple(
            ngettext(
                "{vital}: the first {seconds} s of each stimulus, {n} reading.",
                "{vital}: the first {seconds} s of each stimulus, {n} readings.",
                one.readings,
            ).format(
                vital=vital_label(one.vital),
                seconds=general(one.seconds),
                n=thousands(one.readings),
            )
            for one in response.settling
            if one.readings
        ),
    )


def _with_all(test: ComparisonModel, every: WithAllModel) -> WithAllRow:
    return WithAllRow(
        comparison_text(test.vital, test.first, test.second),
        _number(test.result.difference),
        _p(test.result.adjusted_p),
        _number(every.difference),
        _p(every.adjusted_p),
        every.changes,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _p(value: float | None) -> str:
    return "–" if value is None else p_text(value)
