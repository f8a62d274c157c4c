"""What is different between two shapes, in lines that a person can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BETWEEN = " › "
EMPTY = "(nothing)"
LISTED = "(listed)"


@dataclass(frozen=True, slots=True)
class Differences:
    """What changed between the stored shape and the present one.

    Attributes:
        broken: lines about what disappeared, changed, or is now demanded: others may rely on it.
        added: lines about what is new.
    """

    broken: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.broken or self.added)

    def lines(self, most: int = 40) -> list[str]:
        """Return a line for each difference, the broken ones first, ``most`` at the most."""
        found = [*self.broken, *self.added]
        more = len(found) - most
        return [*found[:most], f"… and {more} more"] if more > 0 else found


def differences(stored: Any, present: Any) -> Differences:
    """Compare two shapes; the order within an object does not matter, that of a list does."""
    before = dict(_leaves(stored, ""))
    now = dict(_leaves(present, ""))
    broken, added = [], []
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            if before[path] != EMPTY or not _is_filled(path, now):
                broken.append(f"- {_line(path, before[path])}")
        elif path not in before:
            if now[path] == EMPTY and _is_filled(path, before):
                continue
            demanded = _is_demanded(path, now[path], before)
            (broken if demanded else added).append(f"+ {_line(path, now[path])}")
        elif before[path] != now[path]:
            broken += [f"- {_line(path, before[path])}", f"+ {_line(path, now[path])}"]
    broken += _moved(dict(_lists(stored, "")), dict(_lists(present, "")))
    return Differences(tuple(broken), tuple(added))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield path → text of everything that is not a list or an object."""
    if isinstance(value, Mapping):
        if not value:
            yield path, EMPTY
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}{BETWEEN}{name}" if path else str(name))
    elif isinstance(value, list):
        if not value:
            yield path, EMPTY
        for number, inner in enumerate(value):
            if isinstance(inner, Mapping | list):
                yield from _leaves(inner, f"{path}[{number if len(value) > 1 else ''}]")
            else:
                yield f"{path}{BETWEEN}{inner}", LISTED
    else:
        yield path, str(value)


def _lists(value: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield path → texts of every list of simple values."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _lists(inner, f"{path}{BETWEEN}{name}" if path else str(name))
    elif isinstance(value, list):
        yield path, [str(inner) for inner in value if not isinstance(inner, Mapping | list)]
        for number, inner in enumerate(value):
            yield from _lists(inner, f"{path}[{number if len(value) > 1 else ''}]")


def _moved(before: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield a line for each list whose common entries stand in another order."""
    for path in sorted(before.keys() & now.keys()):
        old = [entry for entry in before[path] if entry in now[path]]
        new = [entry for entry in now[path] if entry in before[path]]
        if old != new:
            yield f"! {path}: another order: {', '.join(new)}; it was: {', '.join(old)}"


def _is_filled(path: str, leaves: Mapping[str, str]) -> bool:
    return any(other.startswith((f"{path}{BETWEEN}", f"{path}[")) for other in leaves)


def _is_demanded(path: str, leaf: str, before: Mapping[str, str]) -> bool:
    """Tell whether something new must be given by those who use what was there before, and do not know of it yet."""
    holder, request, field = path.partition(f"{BETWEEN}request{BETWEEN}")
    if request:
        must = "?" not in field and leaf != LISTED
    else:
        holder = path.partition(BETWEEN)[0]
        must = ", required" in leaf
    return must and _is_filled(holder, before)


def _line(path: str, leaf: str) -> str:
    return path if leaf == LISTED else f"{path}: {leaf}"
