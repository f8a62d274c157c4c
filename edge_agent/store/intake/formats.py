"""Which kind of study lies in a file or folder."""

from __future__ import annotations

from pathlib import Path

from edge_agent.store.intake.tidy import StudySource, TidySource


def open_study(path: Path) -> StudySource:
    """Return the study of a file or folder.

    Raises:
        DataFileError: it is not there, or is no study.
    """
    return TidySource(path)
