"""The description of a table that a question adds to a bundle, and columns that several have."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.timeline.export.column import Column

OF_VITAL = Column("vital", "string", "What was measured: a kind of vital_kind.csv")
OF_STATE = Column("state", "string", "Condition or emotion")
OF_SESSION = Column("session", "integer", "Number of the session")
WHOSE = Column("participant", "string", "Code; empty: of all together")


@dataclass(frozen=True, slots=True)
class BundleTable:
    """A table in a bundle.

    Attributes:
        name: of the file without its ending.
        title: what it is, for README, codebook and data package.
        columns: in their order.
        about: its row in ``docs/export.md``; empty: the row is written by hand.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    about: str = ""
