"""The list of export formats that the command line, the dashboard and OpenAPI offer.

CONTRIBUTING.md says how to add a format.

Example:
    >>> [each.name for each in all_formats() if each.needs_sessions]
    ['fhir']
    >>> format_named("csv").export(database, Path("tables"))
"""

from __future__ import annotations

from edge_agent.core.texts import N_
from edge_agent.timeline.export.bids import BIDS
from edge_agent.timeline.export.bundle import BUNDLE
from edge_agent.timeline.export.deposit import write_deposit
from edge_agent.timeline.export.edf import EDF
from edge_agent.timeline.export.fhir import FHIR
from edge_agent.timeline.export.format import Audience, Computed, ExportFormat, TreeFormat
from edge_agent.timeline.export.sqlite import SQLITE
from edge_agent.timeline.export.table_formats import PARQUET, SAV, XLSX
from edge_agent.timeline.export.text_formats import CSV, JSON, NDJSON

DEPOSIT = TreeFormat(
    name="deposit",
    label=N_("Deposit (zip)"),
    summary="BIDS, the bundle's tables and scripts, and an RO-Crate that says what measured what",
    description=N_(
        "A BIDS data set, the tables and scripts of the bundle, the method as text, and a "
        "description of devices, models, settings, consent and terms that a reviewer can check."
    ),
    audience=Audience.ARCHIVES,
    suffix=".deposit.zip",
    media_type="application/zip",
    position=47,
    computed=frozenset({Computed.ANALYSIS, Computed.SKIN_RESPONSES}),
    write_tree=write_deposit,
)


def all_formats() -> tuple[ExportFormat, ...]:
    """Return every format, in the order in which people see them."""
    formats = (BIDS, BUNDLE, CSV, DEPOSIT, EDF, FHIR, JSON, NDJSON, PARQUET, SAV, SQLITE, XLSX)
    return tuple(sorted(formats, key=lambda each: (each.position, each.name)))


def format_named(name: str) -> ExportFormat:
    """Return the format with a name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in all_formats()}[name]
