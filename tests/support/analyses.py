"""What is asked of a made study."""

from __future__ import annotations

from pathlib import Path

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.results import AnalysisModel
from edge_agent.timeline.read.reader import Reader


def analysed(path: Path, **asked: object) -> Analysis:
    """Return the analysis of a timeline."""
    return analyse(Reader(path), AnalysisQuery.model_validate(asked))


def answered(path: Path, **asked: object) -> AnalysisModel:
    """Return what programs get of its heart rates, without other choices."""
    return response_of(analysed(path, **{"vital": ("heart_rate",), "sensitivity": False} | asked))
