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
    gone = {path: leaf for path, leaf in before.items() if _is_missing(path, leaf, now)}
    new = {path: leaf for path, leaf in now.items() if _is_missing(path, leaf, before)}
    demanded = {path: leaf for path, leaf in new.items() if _is_demanded(path, leaf, before)}
    added = {path: leaf for path, leaf in new.items() if path not in demanded}
    changed = [path for path in before if path in now and before[path] != now[path]]
    broken = [*_told("-", gone, now), *_told("+", demanded, before)]
    broken += [f"! {path}: {now[path]}; it was: {before[path]}" for path in sorted(changed)]
    broken += _moved(dict(_lists(stored, "")), dict(_lists(present, "")))
    return Differences(tuple(broken), tuple(_told("+", added, before)))


def _told(sign: str, leaves: Mapping[str, str], others: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each of these leaves, and one alone for what is wholly on one side."""
    known = {part for path in others for part in _parts(path)}
    groups: dict[str, list[str]] = {}
    for path in sorted(leaves):
        top = next((part for part in _parts(path) if part not in known), path)
        groups.setdefault(top, []).append(path)
    for top, paths in groups.items():
        if len(paths) == 1:
            yield f"{sign} {_line(paths[0], leaves[paths[0]])}"
        else:
            yield f"{sign} {top}, with {len(paths)} entries"


def _parts(path: str) -> Iterator[str]:
    names = path.split(BETWEEN)
    for length in range(1, len(names) + 1):
        yield BETWEEN.join(names[:length])


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        if not value and path:
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


def _is_missing(path: str, leaf: str, leaves: Mapping[str, str]) -> bool:
    """Tell whether a leaf has no counterpart; of something empty, what fills it is one."""
    return path not in leaves and not (leaf == EMPTY and _is_filled(path, leaves))


def _is_filled(path: str, leaves: Mapping[str, str]) -> bool:
    return any(other.startswith((f"{path}{BETWEEN}", f"{path}[")) for other in leaves)


def _is_demanded(path: str, leaf: str, before: Mapping[str, str]) -> bool:
    """Tell whether something new must be given, by those who used what was there before."""
    holder, request, field = path.partition(f"{BETWEEN}request{BETWEEN}")
    if request:
        must = "?" not in field and leaf != LISTED
    else:
        holder = path.partition(BETWEEN)[0]
        must = ", required" in leaf
    return must and _is_filled(holder, before)


def _line(path: str, leaf: str) -> str:
    return path if leaf == LISTED else f"{path}: {leaf}"
