"""Short lists of documents, from the registers that hold their members."""

from __future__ import annotations

from importlib import resources

from dashboard.protocols.experiments import FORBIDDEN
from dashboard.questions.register import QUESTIONS
from edge_agent.timeline.export.bids import BIDS_VERSION
from edge_agent.timeline.export.table_schemas import COMPUTED_TITLES, TITLES


def frame_forbids() -> str:
    """Return what the frame of an experiment forbids it, in docs/protocols.md."""
    return "\n".join(f"- {one}" for one in FORBIDDEN.values())


def tables_of_a_bundle() -> str:
    """Return a row for each table of a bundle about which no question says more."""
    told = {table.name for one in QUESTIONS for table in one.tables if table.about}
    titles = TITLES | COMPUTED_TITLES
    return "\n".join(f"| `{name}.csv` | {titles[name]} |" for name in titles if name not in told)


def files_of(readme: str) -> str:
    """Return the table of files of an export, as the text that lies beside them has it.

    Args:
        readme: name of that text.
    """
    text = resources.files("edge_agent.timeline.export").joinpath("scripts", readme)
    rows = [one for one in text.read_text(encoding="utf-8").split("\n") if one.startswith("|")]
    return "\n".join(rows).replace("{bids}", BIDS_VERSION)
