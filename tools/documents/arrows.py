"""The arrows of docs/architecture.md, from the imports of the source.

A row of its tables of rooms has a room, what it is for, what it reads and what it writes. Here come
the rooms that it imports and those that import it, and the table of add-ons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from tools.rooms import ADDONS, FLOORS, all_imports, within

HEAD = "| room | for | reads | writes |"
"""How a table of rooms begins."""
WHOLE = ("collector", "training", "affect_edge")
"""Products that are a room each."""
SPLIT = ("edge_agent.timeline", "dashboard")
"""Packages whose rooms are named together, behind the name of the package."""
COMMON = "edge_agent.core"


@cache
def rooms() -> tuple[str, ...]:
    """Return each room as a module's name, in the order of the floors."""

    def of(package: str) -> Iterator[str]:
        for floor in FLOORS[package]:
            for name in sorted(floor - {"__main__"}):
                room = f"{package}.{name}"
                yield from of(room) if room in SPLIT else (room,)

    return (*of("edge_agent"), *of("dashboard"), *WHOLE)


def room_of(module: str) -> str | None:
    """Return the room that a module lies in; none for the start of a product."""
    return next((room for room in rooms() if within(module, room)), None)


@cache
def imports() -> Mapping[str, frozenset[str]]:
    """Return each room and the other rooms that it imports."""
    known: dict[str, set[str]] = {room: set() for room in rooms()}
    for module, others in all_imports().items():
        if room := room_of(module):
            known[room] |= {
                other for name in others if (other := room_of(name)) not in {None, room}
            }
    return {room: frozenset(others) for room, others in known.items()}


def importers(room: str) -> frozenset[str]:
    """Return the rooms that import a room."""
    return frozenset(other for other, known in imports().items() if room in known)


def named(others: Iterable[str]) -> str:
    """Return rooms as a cell: those of one package together behind its name."""
    listed: dict[str, list[str]] = {}
    known = set(others)
    for room in rooms():
        if room in known:
            package, _, name = room.rpartition(".")
            group = package.rpartition(".")[2] if package in SPLIT else ""
            listed.setdefault(group, []).append(name)
    parts = [", ".join(names) for group, names in listed.items() if not group]
    parts += [f"*{group}:* {', '.join(names)}" for group, names in listed.items() if group]
    return "; ".join(parts) or "none"


def cells_of(room: str) -> tuple[str, str]:
    """Return the two last cells of a room's row."""
    if room == COMMON:
        without = set(rooms()) - importers(room) - {room}
        return "none", f"all but {named(without)}" if without else "all"
    return named(imports()[room] - {COMMON}), named(importers(room))


def room_in(line: str) -> str | None:
    """Return the room whose row a line of the page is."""
    first = line.split("|")[1].strip() if line.startswith("| `") else ""
    name = first.strip("`").removesuffix("/").removesuffix(".py").replace("/", ".")
    return name if name in rooms() and line.count("|") == HEAD.count("|") else None


def with_arrows(text: str) -> str:
    """Return a page with the arrows at the end of each row of its tables of rooms."""
    if HEAD not in text:
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line == HEAD:
            lines[number] = f"{line} imports | imported by |"
            lines[number + 1] += "---|---|"
        elif room := room_in(line):
            lines[number] = f"{line} {' | '.join(cells_of(room))} |"
    return "\n".join(lines)


def addons() -> str:
    """Return the table of add-ons."""
    heads = "| add-on | lies in | doors | without it |\n|---|---|---|---|"
    rows = (
        f"| {one.name} | {_listed(one.modules)} | {_listed(one.doors)} | {one.without} |"
        for one in ADDONS
    )
    return "\n".join((heads, *rows))


def _listed(modules: tuple[str, ...]) -> str:
    """Return modules as a cell, the package that they share once."""
    by_package: dict[str, list[str]] = {}
    for module in modules:
        package, _, name = module.rpartition(".")
        by_package.setdefault(package, []).append(name)
    cells = (
        f"`{package}`: {', '.join(names)}" if package else f"`{', '.join(names)}`"
        for package, names in by_package.items()
    )
    return "; ".join(cells) or "none"
