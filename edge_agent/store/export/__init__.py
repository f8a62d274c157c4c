"""The timeline as files for others: tidy CSV, a bundle that explains and recomputes itself, JSON,
Parquet, FHIR.
"""

from edge_agent.store.export.formats.folder import export_csv
from edge_agent.store.export.rows.selection import Choice

__all__ = ["Choice", "export_csv"]
