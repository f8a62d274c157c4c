"""Which form the files of a study have."""

from __future__ import annotations

from pathlib import Path

from edge_agent.store.intake.bids.files import opened_root
from edge_agent.store.intake.bids.source import BidsSource
from edge_agent.store.intake.tidy import StudySource, TidySource


def opened_study(path: Path, first_ms: int | None = None) -> StudySource:
    """Open the files of a study: a BIDS data set where there is its description, else tables.

    Args:
        path: the folder or zip.
        first_ms: when the first session of a data set that tells no times began.

    Raises:
        DataFileError: it cannot be read, is neither, or tells no times.
    """
    root = opened_root(path)
    if root is None:
        return TidySource(path)
    return BidsSource(path, root, first_ms)
