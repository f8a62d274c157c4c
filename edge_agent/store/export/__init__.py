"""The timeline as files for others: tidy CSV, a bundle that explains and recomputes itself, JSON, Parquet, FHIR."""

from edge_agent.store.export.choice import Choice
from edge_agent.store.export.folder import export_csv

__all__ = ["Choice", "export_csv"]
