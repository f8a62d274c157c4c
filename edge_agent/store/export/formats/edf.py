"""Sessions as EDF+ files, where edfio is installed."""

from __future__ import annotations

from edge_agent.store.export.edf.folder import write_folder
from edge_agent.store.export.format import TreeFormat

FORMAT = TreeFormat(
    name="edf",
    label="EDF+ (zip)",
    summary="an EDF+ file for each session, for programs of sleep and heart research",
    description="EDF+ is a file for each session with vital signs as signals, and beats, markers "
    "and gaps as annotations; it needs edfio on this device. Times are in UTC.",
    suffix=".edf.zip",
    media_type="application/zip",
    position=57,
    library="edfio",
    extra="edf",
    write_tree=write_folder,
)
