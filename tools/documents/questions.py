"""Rows of tables in ``docs`` from the register of questions."""

from __future__ import annotations

from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS


def page_rows() -> str:
    """Return a row for the page of each question."""
    return "\n".join(
        f"| {one.documented.page} | {one.documented.shows} |"
        for one in QUESTIONS
        if one.has(Way.PAGE)
    )


def table_rows() -> str:
    """Return a row for each table that a question adds to a bundle."""
    return "\n".join(
        f"| `{table.name}.csv` | {table.about} |"
        for one in QUESTIONS
        for table in one.tables
        if table.about
    )
