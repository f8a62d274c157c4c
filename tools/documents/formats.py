"""The formats of exports, in docs/export.md, from their register."""

from __future__ import annotations

from edge_agent.timeline.export.format_register import all_formats


def table() -> str:
    """Return the table in Markdown, one row a format."""
    rows = []
    for one in all_formats():
        cells = (f"`{one.name}`", one.description.removesuffix("."), one.audience, one.extra)
        rows.append(f"| {' | '.join(cells)} |")
    head = "| format | what it is | | [optional part](#optional-parts) |"
    return "\n".join([head, "|---|---|---|---|", *rows])
