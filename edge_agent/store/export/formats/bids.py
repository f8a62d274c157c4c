"""Sessions as a data set after the Brain Imaging Data Structure."""

from __future__ import annotations

from edge_agent.store.export.bids.dataset import write_dataset
from edge_agent.store.export.format import TreeFormat

FORMAT = TreeFormat(
    name="bids",
    label="BIDS (zip)",
    summary="a data set after the Brain Imaging Data Structure",
    description="BIDS is for archives such as OpenNeuro and for programs that read it; it holds "
    "sessions only.",
    suffix=".bids.zip",
    media_type="application/zip",
    position=45,
    write_tree=write_dataset,
)
