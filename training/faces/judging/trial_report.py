"""What a trial of the detector found, as a table for people and as JSON, with the bars that it
should reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_agent.vision.models.card import read_card
from training.faces.judging.trial import (
    ALL,
    MASK,
    NO_MASK,
    OURS,
    QUARTERED,
    ROLLED,
    SIZES,
    YUNET,
    Count,
    Finding,
    Placing,
    size_row,
)

DETECTORS = (OURS, YUNET)
SIZE_ROWS = tuple(size_row(low, high) for low, high in pairwise(SIZES))
BASE = {**dict.fromkeys((*ROLLED.values(), QUARTERED), ALL), MASK: NO_MASK}
"""With what a row is compared to say what the change costs."""
ROWS = (ALL, *SIZE_ROWS, *ROLLED.values(), QUARTERED, NO_MASK, MASK)

FOUND = {"portraits": 0.96, "scenes": 0.92}
FALSE = 0.03
PLACED = 0.06
LOST = 0.05
HELD_OUT = "held out, as YuNet at 320x240 finds them in frames of 640x480"
"""Name of the bars' figures in a card."""
_WIDTH = 34


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that the detector should reach.

    Attributes:
        name: what.
        bar: the value that must be reached.
        value: the one that the detector has; ``None`` where there was nothing to measure.
        least: whether the bar is the least value, else the largest.
    """

    name: str
    bar: float
    value: float | None
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it is reached."""
        if self.value is None:
            return None
        if self.least:
            return self.value >= self.bar
        return self.value <= self.bar


@dataclass(frozen=True, slots=True)
class Report:
    """A whole trial.

    Attributes:
        model: name and version of the detector.
        threshold: least score of its detections.
        found: by archive.
        placed: by archive with marked points.
    """

    model: str
    threshold: float
    found: Mapping[str, Finding]
    placed: Mapping[str, Placing]

    def bars(self) -> list[Bar]:
        """The bars that the detector should reach."""
        return [*self._found(), self._false(), self._placed(), *self._lost()]

    def _found(self) -> Iterator[Bar]:
        for archive, bar in FOUND.items():
            share = self.found[archive].counts[ALL].share(OURS) if archive in self.found else None
            yield Bar(f"faces found in {archive}", bar, share, least=True)

    def _false(self) -> Bar:
        pictures = sum(found.pictures for found in self.found.values())
        false = sum(found.false[OURS] for found in self.found.values())
        return Bar("false faces a picture", FALSE, false / pictures if pictures else None)

    def _placed(self) -> Bar:
        errors = [error for placed in self.placed.values() for error in placed.errors[OURS][ALL]]
        return Bar(
            "landmark error, eye distances", PLACED, float(np.mean(errors)) if errors else None
        )

    def _lost(self) -> Iterator[Bar]:
        for row in (ROLLED[-30], ROLLED[30], QUARTERED, MASK):
            share, before = (self._pooled(name).share(OURS) for name in (row, BASE[row]))
            yield Bar(
                f"recall lost {row}",
                LOST,
                None if share is None or before is None else before - share,
            )

    def _pooled(self, row: str) -> Count:
        """A row over all archives."""
        whole = Count()
        for found in self.found.values():
            whole.faces += found.counts[row].faces
            whole.found += found.counts[row].found
        return whole


def report_json(report: Report) -> dict[str, object]:
    """All figures."""
    return {
        "model": report.model,
        "threshold": report.threshold,
        "archives": {name: _finding_json(found) for name, found in report.found.items()},
        "landmarks": {name: _placing_json(placed) for name, placed in report.placed.items()},
        "bars": [
            {**asdict(bar), "value": _rounded(bar.value), "met": bar.met} for bar in report.bars()
        ],
    }


def report_text(report: Report) -> str:
    """The table."""
    parts = [
        (
            f"{report.model} at a score of {report.threshold:g}, and YuNet at 320 × 240 and a "
            "score of 0.7"
        )
    ]
    parts += [_finding_text(name, found) for name, found in report.found.items()]
    parts += [_placing_text(name, placed) for name, placed in report.placed.items()]
    return "\n\n".join([*parts, _bars_text(report.bars())])


def note(card_file: Path, report: Report) -> None:
    """Write the figures of the bars into a model's card.

    Raises:
        ModelError: the card cannot be read.
    """
    card = read_card(card_file)
    figures = {bar.name: round(bar.value, 4) for bar in report.bars() if bar.value is not None}
    changed = card.model_copy(update={"metrics": {**card.metrics, HELD_OUT: figures}})
    card_file.write_text(changed.to_json(), encoding="utf-8")


def _finding_json(found: Finding) -> dict[str, object]:
    counts = {row: found.counts[row] for row in ROWS if found.counts[row].faces}
    return {
        "pictures": found.pictures,
        "rows": {
            row: {"faces": count.faces, **{name: _rounded(count.share(name)) for name in DETECTORS}}
            for row, count in counts.items()
        },
        "precision": {name: _rounded(_precision(found, name)) for name in DETECTORS},
        "false_a_picture": {
            name: _rounded(found.false[name] / found.pictures) for name in DETECTORS
        },
    }


def _placing_json(placed: Placing) -> dict[str, object]:
    rows = {
        name: {row: _error(errors) for row, errors in of.items()}
        for name, of in placed.errors.items()
    }
    return {"pictures": placed.pictures, **rows}


def _error(errors: Sequence[float]) -> dict[str, float]:
    mean = float(np.mean(errors))
    median = float(np.median(errors))
    return {"faces": len(errors), "mean": round(mean, 4), "median": round(median, 4)}


def _finding_text(name: str, found: Finding) -> str:
    title = f"{name}: {found.pictures:,} pictures"
    lines = [f"{title:<{_WIDTH}} {'faces':>6} {'ours':>8} {'loses':>6} {'YuNet':>8} {'loses':>6}"]
    for row in (row for row in ROWS if found.counts[row].faces):
        count = found.counts[row]
        before = found.counts[BASE[row]] if row in BASE else None
        cells = "".join(_cells(count, before, detector) for detector in DETECTORS)
        lines.append(f"{'  ' + row:<{_WIDTH}} {count.faces:>6}{cells}")
    lines.append(_line("precision", [_percent(_precision(found, name)) for name in DETECTORS]))
    lines.append(
        _line(
            "false faces a picture",
            [f"{found.false[name] / found.pictures:.3f}" for name in DETECTORS],
        )
    )
    return "\n".join(lines)


def _placing_text(name: str, placed: Placing) -> str:
    title = f"{name}: {placed.pictures:,} pictures with points"
    lines = [f"{title:<{_WIDTH}} {'':>6} {'ours':>8} {'':>6} {'YuNet':>8}"]
    for row in (ALL, ROLLED[-30], ROLLED[30]):
        errors = [placed.errors[detector][row] for detector in DETECTORS]
        if row == ALL:
            what = "error, share of eye distance"
        else:
            what = f"the same {row}"
        lines.append(_line(what, [_percent(float(np.mean(e)) if e else None) for e in errors]))
    lines.append(
        _line("faces found", [str(len(placed.errors[detector][ALL])) for detector in DETECTORS])
    )
    return "\n".join(lines)


def _bars_text(bars: Sequence[Bar]) -> str:
    said = {True: "met", False: "missed", None: "not measured"}
    lines = [f"{'bars':<{_WIDTH}} {'bar':>8} {'ours':>8}"]
    for bar in bars:
        bound = ("≥ " if bar.least else "≤ ") + f"{bar.bar:.3g}"
        value = "" if bar.value is None else f"{bar.value:.3f}"
        lines.append(f"{'  ' + bar.name:<{_WIDTH}} {bound:>8} {value:>8} {said[bar.met]}")
    return "\n".join(lines)


def _cells(count: Count, before: Count | None, detector: str) -> str:
    share = count.share(detector)
    base = before.share(detector) if before else None
    if share is None or base is None:
        lost = ""
    else:
        lost = f"{100 * (base - share):.1f}"
    return f" {_percent(share):>8} {lost:>6}"


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{'  ' + title:<{_WIDTH}} {'':>6} {cells[0]:>8} {'':>6} {cells[1]:>8}"


def _precision(found: Finding, detector: str) -> float | None:
    detections = found.detections[detector]
    if detections:
        return 1 - found.false[detector] / detections
    return None


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.1%}"


def _rounded(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 4)
