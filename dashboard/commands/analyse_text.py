"""What ``affect-edge analyse`` prints for people: warnings, sentences and the table of tests."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from dashboard.analysis.present.schemas import AnalysisModel, VariabilityModel

if TYPE_CHECKING:
    from dashboard.analysis.present.parts.rows_of_tests import TestRow

_WIDTH = 100
_COLUMNS = (
    ("comparison", "comparison"),
    ("test", "test"),
    ("n", "n"),
    ("difference", "difference"),
    ("interval", "95 % CI"),
    ("t", "t"),
    ("df", "df"),
    ("p", "p"),
    ("adjusted_p", "adj. p"),
    ("g", "g"),
    ("g_interval", "95 % CI"),
    ("shapiro", "Shapiro p"),
    ("rank", "rank p"),
    ("equivalence", "equiv. p"),
)


def report(response: AnalysisModel) -> str:
    """Return the answer for people: warnings, each result in a sentence, the table of tests, and
    the supplement.
    """
    from dashboard.analysis.present.study.group_text import group_lines
    from dashboard.analysis.present.table import groups_of

    results = [row.main_sentence for group in groups_of(response) for row in group.rows]
    supplement = [states.sentence for states in response.all_states]
    supplement += [agreement.sentence for agreement in response.agreements]
    supplement += [sensitivity.sentence for sensitivity in response.sensitivity]
    supplement += [sensitivity.sentence for sensitivity in response.settling_sensitivity]
    supplement += [test.sentence for test in response.heart_tests]
    supplement += [drift.sentence for drift in response.drifts]
    supplement += [period.sentence for period in response.periods]
    groups = [text for one in response.groups for text in group_lines(one)]
    parts = (
        [_wrapped(f"! {text}", "  ") for text in response.warnings],
        [_wrapped(response.main_reason, "")] if response.tests_computed else [],
        [_wrapped(one.sentence, "") for one in response.families],
        [_wrapped(f"- {sentence}", "  ") for sentence in results],
        _tests(response),
        [_wrapped(f"- {text}", "  ") for text in _beside(response)],
        [_wrapped(f"- {text}", "  ") for text in supplement],
        [_wrapped(f"- {text}", "  ") for text in groups],
        _flow(response),
        _left_out(response),
        _variability(response),
        [_wrapped(f"* {text}", "  ") for text in (*response.cautions, *response.assumptions)],
        [_wrapped(text, "") for text in response.method],
    )
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _beside(response: AnalysisModel) -> list[str]:
    """Say what stands beside the main analysis: the other one where it differs, the models, the
    evidence.
    """
    if not response.tests_computed:
        return []
    if response.main == "mixed_model":
        others = [test.sentence for test in response.comparisons]
    else:
        tests = [test.by_model for test in response.comparisons if test.by_model is not None]
        others = [test.sentence for test in tests if test.differs]
    evidence = [test.bayes_factor.sentence for test in response.comparisons if test.bayes_factor]
    return [*others, *(model.sentence for model in response.models), *evidence]


def _flow(response: AnalysisModel) -> list[str]:
    """Lay out where people and readings were lost."""
    flow = response.flow
    if flow is None or not response.participants:
        return []
    lines = ["From consent to the tests"]
    for stage in flow.stages:
        lines += [f"    - {loss.sentence}" for loss in stage.lost if not loss.state]
        readings = "" if stage.readings is None else f", {stage.readings:,} readings"
        lines.append(f"  {stage.title}: {stage.people:,} people{readings}")
    return lines + [f"  {one.sentence}" for one in flow.missing]


def _left_out(response: AnalysisModel) -> list[str]:
    """Say what was left out by flag and state, and where it would change a conclusion."""
    from dashboard.analysis.present.left_out_table import left_out_table

    table = left_out_table(response)
    states = response.question.states
    lines = [
        f"{row.name}: "
        + ", ".join(f"{count} in {state}" for state, count in zip(states, row.counts, strict=True))
        for row in table.flags
    ]
    lines += [
        f"{row.comparison} {row.difference} (adj. p {row.adjusted_p}); with every reading "
        f"{row.all_difference} (adj. p {row.all_adjusted_p})"
        f"{', another conclusion' if row.changes else ''}"
        for row in table.tests
    ]
    lines += [f"until settled: {text}" for text in table.settling]
    if lines:
        lines.insert(0, "Readings left out")
    return lines


def _variability(response: AnalysisModel) -> list[str]:
    """Lay the variability of the heart rate out, a participant's state a line."""
    if not response.variability:
        return []
    return ["Variability of the heart rate, ms"] + [
        f"{one.participant}  {one.state:10}  {one.reason or _measures(one)}"
        for one in response.variability
    ]


def _measures(one: VariabilityModel) -> str:
    """Write the measures with the share of beats that were corrected."""
    share = 100 * (one.rejected or 0.0)
    return f"RMSSD {one.rmssd_ms:.1f}  SDNN {one.sdnn_ms:.1f}  {share:.0f} % of the beats corrected"


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _tests(response: AnalysisModel) -> list[str]:
    """Lay the tests out in columns, under the vital that they are about."""
    from dashboard.analysis.present.table import groups_of

    groups = [(group.title, [_cells(row) for row in group.rows]) for group in groups_of(response)]
    heads = [head for _, head in _COLUMNS]
    every = [heads, *(cells for _, rows in groups for cells in rows)]
    widths = [max(len(cells[column]) for cells in every) for column in range(len(heads))]
    lines = [_aligned(heads, widths)]
    for title, rows in groups:
        lines += ["", title, *(_aligned(cells, widths) for cells in rows)]
    return lines


def _cells(row: TestRow) -> list[str]:
    return [getattr(row, name) for name, _ in _COLUMNS]


def _aligned(cells: list[str], widths: list[int]) -> str:
    """Join the cells: names to the left, numbers to the right."""
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(
        cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in pairs
    ).rstrip()
