"""What was left out as people read it: by flag and state, by settling time, and whether it matters.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.analysis.present.flags import flag_name
from dashboard.analysis.present.parts.exclusion_schemas import WithAllModel
from dashboard.analysis.present.schemas import AnalysisModel, ComparisonModel
from dashboard.analysis.present.text import number, p_text, vital_name
from dashboard.languages.current import ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import state_name


@dataclass(frozen=True, slots=True)
class FlagRow:
    """How many readings a flag keeps out; ``counts`` are in order of the states of the question."""

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
    """What was left out.

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
                vital=vital_name(one.vital),
                seconds=general(one.seconds),
                n=thousands(one.readings),
            )
            for one in response.settling
            if one.readings
        ),
    )


def _with_all(test: ComparisonModel, every: WithAllModel) -> WithAllRow:
    return WithAllRow(
        f"{vital_name(test.vital)}: {state_name(test.first)} − {state_name(test.second)}",
        _number(test.difference),
        _p(test.adjusted_p),
        _number(every.difference),
        _p(every.adjusted_p),
        every.changes,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _p(value: float | None) -> str:
    return "–" if value is None else p_text(value)
