"""Report of a trial of a detector file, as a table and as JSON, beside the bars it should reach.

The trial takes every archive of which the recipe holds photographs out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge_agent.config.vision import VisionSettings
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.finder import YuNet
from edge_agent.vision.models.card import find_model, read_card
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import open_recognizer
from training.errors import write_whole
from training.faces.labelling import read_shares
from training.faces.photographs import PhotographArchive
from training.faces.trial import (
    ALL,
    GREY,
    HEIGHT,
    MASK,
    NO_MASK,
    OURS,
    QUARTERED,
    ROLLED,
    SIZES,
    WIDTH,
    YUNET,
    Count,
    DetectorTrial,
    PicturesFinding,
    Placing,
    Reading,
    covered_text,
    read_covered,
    size_row,
)

log = logging.getLogger(__name__)
DETECTORS = (OURS, YUNET)
SIZE_ROWS = tuple(size_row(low, high) for low, high in pairwise(SIZES))
BASE = {**dict.fromkeys((*ROLLED.values(), QUARTERED, GREY), ALL), MASK: NO_MASK}
"""With what a row is compared to say what the change costs."""
ROWS = (ALL, *SIZE_ROWS, *ROLLED.values(), QUARTERED, GREY, NO_MASK, MASK)
RECALL_BARS = {"portraits": 0.96, "scenes": 0.92}
FALSE_BAR = 0.03
FALSE_NAMED_BAR = 4 / 300
NAMED_BAR = 0.08
REFUSED_BAR = 0.03
LANDMARK_BAR = 0.06
LOST_BAR = 0.05
HELD_OUT = "held out, as YuNet at 320x240 finds them in frames of 640x480"
"""Name of the bars' figures in a card."""
READ = "held-out portraits, as the agent reads them"
"""The same in the card of the network for covered faces."""
_WIDTH = 34
SURE = 0.7
PERHAPS = 0.5
PORTRAITS = "portraits"
"""The archive whose folders say who wears a mask."""
MIN_FACE = 24.0
"""Smaller faces are left out, as the agent does by default; longer side, pixels of the frame."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that the detector should reach.

    Attributes:
        name: name of the figure.
        bar: the value that must be reached.
        value: the figure of the detector; ``None`` where there was nothing to measure.
        least: whether the bar is the least value, else the largest.
    """

    name: str
    bar: float
    value: float | None
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Tell whether the bar is met; ``None`` where there is no value."""
        if self.value is None:
            return None
        if self.least:
            return self.value >= self.bar
        return self.value <= self.bar


@dataclass(frozen=True, slots=True)
class TrialReport:
    """A whole trial.

    Attributes:
        model: name and version of the detector.
        threshold: least score of its detections.
        findings: by archive.
        placings: by archive with marked points.
        covered: what the whole chain reads of portraits, with and without a mask.
    """

    model: str
    threshold: float
    findings: Mapping[str, PicturesFinding]
    placings: Mapping[str, Placing]
    covered: Mapping[str, Reading] = field(default_factory=dict)

    def bars(self) -> list[Bar]:
        """Return the bars that the detector should reach."""
        return [*self._recall_bars(), *self._false(), self._landmark_bar(), *self._loss_bars()]

    def cover_bars(self) -> list[Bar]:
        """Return the bars that the network for covers should reach; empty if nothing was read."""
        if not self.covered:
            return []
        masked = self.covered.get(MASK, Reading()).named_share
        bare = self.covered.get(NO_MASK, Reading()).covered_share
        return [
            Bar("masked faces named", NAMED_BAR, masked),
            Bar("bare faces refused as covered", REFUSED_BAR, bare),
        ]

    def _recall_bars(self) -> Iterator[Bar]:
        for archive, bar in RECALL_BARS.items():
            share = (
                self.findings[archive].counts[ALL].share(OURS) if archive in self.findings else None
            )
            yield Bar(f"faces found in {archive}", bar, share, least=True)

    def _false(self) -> Iterator[Bar]:
        pictures = sum(one.pictures for one in self.findings.values())
        false = sum(one.false[OURS] for one in self.findings.values())
        named = sum(one.named for one in self.findings.values())
        for name, bar, count in (
            ("false faces a picture", FALSE_BAR, false),
            ("false faces named a picture", FALSE_NAMED_BAR, named),
        ):
            yield Bar(name, bar, count / pictures if pictures else None)

    def _landmark_bar(self) -> Bar:
        errors = [error for one in self.placings.values() for error in one.errors[OURS][ALL]]
        return Bar(
            "landmark error, eye distances",
            LANDMARK_BAR,
            float(np.mean(errors)) if errors else None,
        )

    def _loss_bars(self) -> Iterator[Bar]:
        for row in (ROLLED[-30], ROLLED[30], QUARTERED, MASK):
            share, before = (self._pool(name).share(OURS) for name in (row, BASE[row]))
            yield Bar(
                f"recall lost {row}",
                LOST_BAR,
                None if share is None or before is None else before - share,
            )

    def _pool(self, row: str) -> Count:
        """Return a row over all archives."""
        whole = Count()
        for finding in self.findings.values():
            whole.faces += finding.counts[row].faces
            whole.hits += finding.counts[row].hits
        return whole


def report_json(report: TrialReport) -> dict[str, object]:
    """Return all figures."""
    return {
        "model": report.model,
        "threshold": report.threshold,
        "archives": {name: _finding_json(one) for name, one in report.findings.items()},
        "landmarks": {name: _placing_json(one) for name, one in report.placings.items()},
        "bars": [
            {**asdict(bar), "value": _four_decimals(bar.value), "met": bar.met}
            for bar in [*report.bars(), *report.cover_bars()]
        ],
        "covered": {row: asdict(one) for row, one in report.covered.items()},
    }


def report_text(report: TrialReport) -> str:
    """Return the table."""
    parts = [
        (
            f"{report.model} at a score of {report.threshold:g}, and YuNet at 320 × 240 and a "
            "score of 0.7"
        )
    ]
    parts += [_finding_text(name, one) for name, one in report.findings.items()]
    parts += [_placing_text(name, one) for name, one in report.placings.items()]
    if report.covered:
        parts.append(covered_text(report.covered, _WIDTH))
    return "\n\n".join([*parts, _bars_text([*report.bars(), *report.cover_bars()])])


def write_figures(card_file: Path, report: TrialReport, cover_file: Path | None = None) -> None:
    """Write the figures of the bars into the detector's card, and into that for covered faces.

    Raises:
        ModelError: a card cannot be read.
    """
    _write_card(card_file, HELD_OUT, report.bars())
    if cover_file is not None and report.covered:
        _write_card(cover_file, READ, report.cover_bars())


def _write_card(card_file: Path, name: str, bars: Sequence[Bar]) -> None:
    card = read_card(card_file)
    figures = {bar.name: round(bar.value, 4) for bar in bars if bar.value is not None}
    changed = card.model_copy(update={"metrics": {**card.metrics, name: figures}})
    write_whole(card_file, changed.to_json().encode())


def _finding_json(finding: PicturesFinding) -> dict[str, object]:
    counts = {row: finding.counts[row] for row in ROWS if finding.counts[row].faces}
    return {
        "pictures": finding.pictures,
        "rows": {
            row: {
                "faces": count.faces,
                **{name: _four_decimals(count.share(name)) for name in DETECTORS},
            }
            for row, count in counts.items()
        },
        "precision": {name: _four_decimals(_precision(finding, name)) for name in DETECTORS},
        "false_a_picture": {
            name: _four_decimals(finding.false[name] / finding.pictures) for name in DETECTORS
        },
    }


def _placing_json(placing: Placing) -> dict[str, object]:
    rows = {
        name: {row: _error(errors) for row, errors in of.items()}
        for name, of in placing.errors.items()
    }
    return {"pictures": placing.pictures, **rows}


def _error(errors: Sequence[float]) -> dict[str, float]:
    mean = float(np.mean(errors))
    median = float(np.median(errors))
    return {"faces": len(errors), "mean": round(mean, 4), "median": round(median, 4)}


def _finding_text(name: str, finding: PicturesFinding) -> str:
    title = f"{name}: {finding.pictures:,} pictures"
    lines = [f"{title:<{_WIDTH}} {'faces':>6} {'ours':>8} {'loses':>6} {'YuNet':>8} {'loses':>6}"]
    for row in (row for row in ROWS if finding.counts[row].faces):
        count = finding.counts[row]
        before = finding.counts[BASE[row]] if row in BASE else None
        cells = "".join(_cells(count, before, detector) for detector in DETECTORS)
        lines.append(f"{'  ' + row:<{_WIDTH}} {count.faces:>6}{cells}")
    lines.append(_line("precision", [percent(_precision(finding, name)) for name in DETECTORS]))
    lines.append(
        _line(
            "false faces a picture",
            [f"{finding.false[name] / finding.pictures:.3f}" for name in DETECTORS],
        )
    )
    return "\n".join(lines)


def _placing_text(name: str, placing: Placing) -> str:
    title = f"{name}: {placing.pictures:,} pictures with points"
    lines = [f"{title:<{_WIDTH}} {'':>6} {'ours':>8} {'':>6} {'YuNet':>8}"]
    for row in (ALL, ROLLED[-30], ROLLED[30]):
        errors = [placing.errors[detector][row] for detector in DETECTORS]
        if row == ALL:
            what = "error, share of eye distance"
        else:
            what = f"the same {row}"
        lines.append(_line(what, [percent(float(np.mean(e)) if e else None) for e in errors]))
    lines.append(
        _line("faces found", [str(len(placing.errors[detector][ALL])) for detector in DETECTORS])
    )
    return "\n".join(lines)


def _bars_text(bars: Sequence[Bar]) -> str:
    answers = {True: "met", False: "missed", None: "not measured"}
    lines = [f"{'bars':<{_WIDTH}} {'bar':>8} {'ours':>8}"]
    for bar in bars:
        bound = ("≥ " if bar.least else "≤ ") + f"{bar.bar:.3g}"
        value = "" if bar.value is None else f"{bar.value:.3f}"
        lines.append(f"{'  ' + bar.name:<{_WIDTH}} {bound:>8} {value:>8} {answers[bar.met]}")
    return "\n".join(lines)


def _cells(count: Count, before: Count | None, detector: str) -> str:
    share = count.share(detector)
    base = before.share(detector) if before else None
    if share is None or base is None:
        lost = ""
    else:
        lost = f"{100 * (base - share):.1f}"
    return f" {percent(share):>8} {lost:>6}"


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{'  ' + title:<{_WIDTH}} {'':>6} {cells[0]:>8} {'':>6} {cells[1]:>8}"


def _precision(finding: PicturesFinding, detector: str) -> float | None:
    detections = finding.detections[detector]
    if detections:
        return 1 - finding.false[detector] / detections
    return None


def percent(share: float | None) -> str:
    """Return a share for people; nothing where there is none."""
    if share is None:
        return ""
    return f"{share:.1%}"


def _four_decimals(value: float | None) -> float | None:
    if value is None:
        return None
    return round(value, 4)


def run_trial(
    model: str | Path,
    faces: Path,
    yunet: Path,
    recipe: Path,
    *,
    score: float | None = None,
    limit: int | None = None,
) -> TrialReport:
    """Evaluate a detector beside YuNet.

    Args:
        model: name of a shipped model, or path of a card or TFLite file.
        faces: folder with the archives.
        yunet: ONNX file of YuNet.
        recipe: says which photographs are held out.
        score: least score of a face; the card's if left out.
        limit: most photographs of an archive.

    Raises:
        ModelError: the detector's or YuNet's file cannot be used.
        RecipeError: the recipe does not say what is held out.
        DataError: an archive is missing or cannot be read.
    """
    archives = {
        name: PhotographArchive.find(faces, name, shares)
        for name, shares in read_shares(recipe).items()
        if shares.test
    }
    detector = FaceDetector(
        load_model(find_model(model), kind="face-detector"), score, MIN_FACE, max_faces=1000
    )
    large = YuNet(yunet, PERHAPS, max_faces=1000, size=(WIDTH, HEIGHT))
    options = VisionSettings(detector_model=str(find_model(model)), face_score=score)
    recognizer = open_recognizer(options)
    trial = DetectorTrial(detector, YuNet(yunet, SURE, max_faces=1000), large, recognizer)
    findings: dict[str, PicturesFinding] = {}
    placings: dict[str, Placing] = {}
    for name, archive in archives.items():
        if marked := archive.read_marked_points():
            placings[name] = trial.place(archive.held_out(marked, limit), marked)
        else:
            findings[name] = trial.find(archive.held_out(limit=limit))
        log.info("%s: done", name)
    card = detector.card
    threshold = card.score_threshold if score is None else score
    portraits = archives.get(PORTRAITS)
    covered = {} if portraits is None else read_covered(recognizer, portraits.held_out(limit=limit))
    name = f"{card.name} {card.version}"
    return TrialReport(name, threshold or 0.0, findings, placings, covered)
