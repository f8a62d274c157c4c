"""The table of faults: what each kind came to."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

from tests.faults.outcome import Outcome
from tools.write_figures import slug

BAR = 1_000
"""Faults in all, half of them during another."""
_HEAD = (
    "kind", "trials", "during another", "rows expected", "rows lost", "destroyed", "duplicates",
    "copies lost", "unexplained", "left to doctor", "check finds", "doctor finds", "s median",
    "s worst", "s by the wall clock, worst",
    "bad",
)  # fmt: skip


def print_table(outcomes: Sequence[Outcome], seconds: float, machine: str) -> None:
    """Print a row for each kind, one for all, and how many faults of the bar these were."""
    rows = [_row(kind, [one for one in outcomes if one.kind == kind]) for kind in _kinds(outcomes)]
    rows.append(_row("all", outcomes))
    print("| " + " | ".join(_HEAD) + " |")
    print("|---" * len(_HEAD) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    faults = len(outcomes) + sum(bool(one.other) for one in outcomes)
    print(
        f"{len(outcomes)} trials with {faults} faults of the {BAR:,} of the bar, in {seconds:.0f} "
        f"s on {os.cpu_count()} processor cores ({machine})"
    )


def figures_of(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the table as figures: ``faults_KIND_COLUMN``, ``all`` for all kinds together."""
    parts = {kind: [one for one in outcomes if one.kind == kind] for kind in _kinds(outcomes)}
    return {
        f"faults_{slug(kind)}_{slug(column)}": float(cell.replace(",", ""))
        for kind, some in {**parts, "all": outcomes}.items()
        for column, cell in zip(_HEAD[1:], _row(kind, some)[1:], strict=True)
    }


def _kinds(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.kind for outcome in outcomes))


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    seconds = [one.own_seconds for one in outcomes] or [0.0]
    by_the_wall = max((one.seconds for one in outcomes), default=0.0)
    counts = (
        len(outcomes),
        sum(bool(one.other) for one in outcomes),
        sum(one.expected for one in outcomes),
        sum(one.lost for one in outcomes),
        sum(one.destroyed for one in outcomes),
        sum(one.duplicates for one in outcomes),
        sum(one.copies_lost for one in outcomes),
        sum(one.unexplained for one in outcomes),
        sum(one.left_to_doctor for one in outcomes),
        sum(one.check_finds for one in outcomes),
        sum(one.doctor_finds for one in outcomes),
    )
    times = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}", f"{by_the_wall:.2f}")
    bad = str(sum(not one.is_good for one in outcomes))
    return name, *(f"{count:,}" for count in counts), *times, bad
