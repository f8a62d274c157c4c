"""The registry of pages: every module below ``routes/`` is one, and says itself where it belongs.

A module holds ``router``, and ``NAVIGATION`` when the page has an entry in the navigation. Nothing
else lists the pages: the application, its tests and the browser's walk ask ``find_pages``.

    >>> from dashboard.web import routes
    >>> [entry.title for entry in navigation_of(find_pages(routes))][:3]
    ['Live', 'Fleet', 'Trends']
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A link that every page shows.

    Attributes:
        title: its text, which is the heading of the page as well.
        path: where it leads.
        position: entries stand in this order; leave gaps for pages that come later.
        icon: the ``d`` of an SVG path on a grid of 24 by 24, drawn as a line.
        by_device: whether a fleet has the page for one device; the device goes along.
        of: which dashboards show it: that of an ``appliance``, of a ``fleet``, or ``both``.
    """

    title: str
    path: str
    position: int
    icon: str
    by_device: bool = False
    of: Literal["appliance", "fleet", "both"] = "both"


@dataclass(frozen=True, slots=True)
class Page:
    """A module of routes.

    ``navigation`` is ``None`` for a page that others lead to.
    """

    module: str
    router: APIRouter
    navigation: NavigationEntry | None


def find_pages(package: ModuleType) -> tuple[Page, ...]:
    """Return the page of every module in a package and in its folders, by name of the module.

    Raises:
        TypeError: a module has no ``router``, or a ``NAVIGATION`` that is no entry.
    """
    modules = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return tuple(_page_of(module.name) for module in modules if not module.ispkg)


def navigation_of(pages: Iterable[Page]) -> tuple[NavigationEntry, ...]:
    """Return the entries of the navigation in their order."""
    entries = (page.navigation for page in pages if page.navigation is not None)
    return tuple(sorted(entries, key=lambda entry: entry.position))


def _page_of(name: str) -> Page:
    module = importlib.import_module(name)
    router = getattr(module, "router", None)
    navigation = getattr(module, "NAVIGATION", None)
    if not isinstance(router, APIRouter):
        raise TypeError(f"{name}: a module of routes needs an APIRouter named 'router'")
    if not isinstance(navigation, NavigationEntry | None):
        raise TypeError(f"{name}: NAVIGATION is not a NavigationEntry")
    return Page(name, router, navigation)
