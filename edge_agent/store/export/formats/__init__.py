"""The formats of an export: each module of this folder is one, and its entry is ``FORMAT``.

Command line, dashboard and OpenAPI offer what lies here; no other list is kept. CONTRIBUTING.md
says how to add a format.

Example:
    >>> [each.name for each in all_formats() if each.needs_sessions]
    ['fhir']
    >>> format_named("csv").export(database, Path("tables"))
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from edge_agent.store.export.format import ExportFormat


@cache
def all_formats() -> tuple[ExportFormat, ...]:
    """Return every format, in the order in which people see them."""
    modules = (
        import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)
    )
    formats: list[ExportFormat] = [module.FORMAT for module in modules]
    return tuple(sorted(formats, key=lambda each: (each.position, each.name)))


def format_named(name: str) -> ExportFormat:
    """Return the format with a name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in all_formats()}[name]
