"""Changes of a protocol's text: a step more, less, elsewhere or with other values.

The file stays as people wrote it: what is not changed keeps its place and its comments. A text is
cut where its tables begin; the comments above a table belong to it. Each change is read again and
compared with what was meant, so that a text that looks like a table is never cut apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from dashboard.protocols.file import ProtocolError
from dashboard.protocols.steps import ABOUT_STIMULI
from edge_agent.core.brought_values import ValuesError, parse_toml
from edge_agent.core.texts import N_

BELONGS = "with_stimulus"
"""The key of a step that belongs to the stimulus before it."""
HEAD = ("title", "order", "blocks")
"""The keys above all tables that the browser changes."""
_HEADER = re.compile(r"\s*\[\[?\s*(\w+)")
_STEP = "step"


@dataclass(frozen=True, slots=True)
class _Part:
    """A table of a text with the comments above it; what stands above all tables has no name."""

    name: str
    text: str


def with_head(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with other values above all tables; ``None`` takes a key out."""
    head, *tables = _parts(text)

    def change(content: dict[str, Any]) -> None:
        _merge(content, values)

    changed = [_Part(head.name, _edit_table(head.text, lambda document: document, values)), *tables]
    return _join_parts(text, changed, change)


def with_step(text: str, place: int, values: Mapping[str, Any]) -> str:
    """Return a text with other values of a step; ``None`` takes a key out.

    Args:
        text: of a valid file.
        place: of the step, from 0.
        values: by key.
    """
    parts = _parts(text)
    at = _step_places(parts)[place]
    edited = _edit_table(parts[at].text, lambda document: document[_STEP][0], values)
    parts[at] = _Part(_STEP, edited)

    def change(content: dict[str, Any]) -> None:
        _merge(content[_STEP][place], values)

    return _join_parts(text, parts, change)


def with_new_step(text: str, place: int, values: Mapping[str, Any]) -> str:
    """Return a text with one more step, before the step of a place or behind the last."""
    parts = _parts(text)
    places = _step_places(parts)
    at = places[place] if place < len(places) else (places[-1] + 1 if places else len(parts))
    _insert(parts, at, [values])

    def change(content: dict[str, Any]) -> None:
        table: dict[str, Any] = {}
        _merge(table, values)
        content.setdefault(_STEP, []).insert(place, table)

    return _join_parts(text, parts, change)


def with_step_at(text: str, place: int, values: Mapping[str, Any]) -> tuple[str, int]:
    """Return a text with one more step, and its place. Among what belongs to a stimulus it belongs
    to it, too; what cannot comes behind that.
    """
    steps = _steps_of(text)
    place = min(place, len(steps))
    if _can_belong(values):
        values = {**values, BELONGS: True} if _would_part(steps, place) else values
    else:
        place = _beyond(steps, place, 1)
    return with_new_step(text, place, values), place


def with_copies(text: str, copies: Mapping[int, Sequence[int]]) -> str:
    """Return a text with copies of steps.

    A copy has the values of its step without its comments, which speak of that step, and the block
    of the step that it stands behind; it belongs to the stimulus that this belongs to. Names stay:
    answers to one question have one name.

    Args:
        text: of a valid file.
        copies: places of the steps to copy, by the place of the step that they come behind.
    """
    parts = _parts(text)
    places = _step_places(parts)
    steps = _steps_of(text)
    new = {
        behind: [_copy_of(steps[place], steps[behind : behind + 2]) for place in copies[behind]]
        # From the end, so that what comes before keeps its place.
        for behind in sorted(copies, reverse=True)
    }
    for behind, added in new.items():
        at = places[behind] + 1 if behind < len(places) else len(parts)
        _insert(parts, at, added)

    def change(content: dict[str, Any]) -> None:
        for behind, added in new.items():
            content[_STEP][behind + 1 : behind + 1] = added

    return _join_parts(text, parts, change)


def behind_each_stimulus(text: str, chosen: Sequence[int]) -> dict[int, list[int]]:
    """Return the copies that give each stimulus the chosen steps that it does not have yet.

    They come behind the stimulus and the blood pressure that is taken of it. A stimulus has the
    steps up to the next one; practice gets none.

    Raises:
        ProtocolError: there is no stimulus, or every one has them.
    """
    steps = _steps_of(text)
    stimuli = [at for at, step in enumerate(steps) if step.get("kind") == "stimulus"]
    if all(steps[at].get("practice") for at in stimuli):
        raise ProtocolError(N_("There is no stimulus to copy them behind. Add one first."))
    copies: dict[int, list[int]] = {}
    for at, end in pairwise([*stimuli, len(steps)]):
        has = [_values_in(step, None) for step in steps[at:end]]
        missing = [place for place in chosen if _values_in(steps[place], None) not in has]
        if missing and not steps[at].get("practice"):
            behind = at
            while behind + 1 < end and steps[behind + 1].get("kind") == "pressure":
                behind += 1
            copies[behind] = missing
    if not copies:
        raise ProtocolError(N_("Every stimulus has these steps already."))
    return copies


def belonging(text: str, chosen: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Return a text in which what is behind each stimulus belongs to it.

    Args:
        text: of a valid file.
        chosen: steps: behind each stimulus what is there up to the last with their values.
            ``None``: all that asks or measures, but for what is behind the last stimulus alone.
    """
    steps = _steps_of(text)
    plain = [_values_in(step, None) for step in steps]
    wanted = plain if chosen is None else [_values_in(step, None) for step in chosen]
    stimuli = [at for at, step in enumerate(steps) if _is_stimulus(step)]
    for at in stimuli:
        end = at + 1
        while end < len(steps) and _may_belong(steps[end], steps[at]):
            end += 1
        alone = at == stimuli[-1] and chosen is None
        others = [one for place, one in enumerate(plain) if not at < place < end]
        while end > at + 1 and plain[end - 1] not in (others if alone else wanted):
            end -= 1
        for place in range(at + 1, end):
            text = with_step(text, place, {BELONGS: True})
    return text


def place_of_new(text: str, kind: str, place: int | None = None) -> dict[str, Any]:
    """Return what a new step of a kind has at a place: what asks or measures belongs to the
    stimulus before it, and is in its block.
    """
    last = (_steps_of(text)[:place] or [{}])[-1]
    if kind not in ABOUT_STIMULI or not (_is_stimulus(last) or last.get(BELONGS)):
        return {}
    return {BELONGS: True} | ({"block": last["block"]} if last.get("block") else {})


def free_strays(text: str) -> str:
    """Return a text in which a step belongs to a stimulus only where one is before it."""
    for place, step in enumerate(_steps_of(text)):
        if step.get(BELONGS) and not _is_behind_one(_steps_of(text), place):
            text = with_step(text, place, {BELONGS: None})
    return text


def _is_behind_one(steps: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Tell whether what is right before a step, in its block, is a stimulus or belongs to one."""
    if not place:
        return False
    before = steps[place - 1]
    is_one = before.get("kind") == "stimulus" or bool(before.get(BELONGS))
    return is_one and before.get("block") == steps[place].get("block")


def _is_within(steps: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Tell whether a step is between a stimulus and what belongs to it."""
    follows = steps[place + 1] if place + 1 < len(steps) else {}
    return bool(follows.get(BELONGS)) and _is_behind_one(steps, place)


def _would_part(steps: Sequence[Mapping[str, Any]], place: int) -> bool:
    """Tell whether a step put at a place would stand between a stimulus and what belongs to it."""
    return place < len(steps) and bool(steps[place].get(BELONGS)) and _is_behind_one(steps, place)


def _beyond(steps: Sequence[Mapping[str, Any]], place: int, way: int) -> int:
    """Return the next place, up (-1) or down (1), where nothing is parted."""
    while _would_part(steps, place):
        place += way
    return place


def landing(steps: Sequence[Mapping[str, Any]], place: int, target: int) -> int:
    """Return the place where a step comes to stand that is moved to another; a stimulus and a
    baseline do not part another stimulus from what belongs to it.
    """
    many = run_of(steps, place)
    rest = [*steps[:place], *steps[place + many :]]
    target = min(target, len(rest))
    if _can_belong(steps[place]):
        return target
    return _beyond(rest, target, 1 if target > place else -1)


def _is_stimulus(step: Mapping[str, Any]) -> bool:
    return step.get("kind") == "stimulus" and not step.get("practice")


def _can_belong(step: Mapping[str, Any]) -> bool:
    return step.get("kind") not in {"stimulus", "baseline"}


def _may_belong(step: Mapping[str, Any], stimulus: Mapping[str, Any]) -> bool:
    """Tell whether a step right behind a stimulus is about it."""
    about = step.get(BELONGS) or step.get("kind") in ABOUT_STIMULI
    return bool(about) and step.get("block") == stimulus.get("block")


def without_step(text: str, place: int) -> str:
    """Return a text without a step; the last one stays. A stimulus goes with what belongs to it.

    Raises:
        ProtocolError: it is the only one.
    """
    parts = _parts(text)
    places = _step_places(parts)
    if len(places) < 2:
        raise ProtocolError(N_("A protocol needs a step. Add another before you remove this one."))
    many = run_of(_steps_of(text), place)
    if len(places) == many:
        raise ProtocolError(N_("A protocol needs a step. Add another before you remove this one."))
    del parts[places[place] : places[place + many - 1] + 1]

    def change(content: dict[str, Any]) -> None:
        del content[_STEP][place : place + many]

    return _join_parts(text, parts, change)


def moved_step(text: str, place: int, target: int) -> str:
    """Return a text in which a step stands at another place (``landing``) among the others; a
    stimulus moves with what belongs to it.
    """
    parts = _parts(text)
    places = _step_places(parts)
    many = run_of(_steps_of(text), place)
    target = landing(_steps_of(text), place, target)
    steps = [parts[at] for at in places]
    moved = steps[place : place + many]
    del steps[place : place + many]
    steps[target:target] = moved
    for at, step in zip(places, steps, strict=True):
        parts[at] = step

    def change(content: dict[str, Any]) -> None:
        every = content[_STEP]
        gone = every[place : place + many]
        del every[place : place + many]
        every[target:target] = gone

    moved_text = _join_parts(text, parts, change)
    after = _steps_of(moved_text)
    if _can_belong(after[target]) and _is_within(after, target):
        moved_text = with_step(moved_text, target, {BELONGS: True})
    return free_strays(moved_text)


def run_of(steps: Sequence[Mapping[str, Any]], place: int) -> int:
    """Return how many steps move together with the one at a place: a stimulus has those that belong
    to it.
    """
    many = 1
    if place < len(steps) and steps[place].get("kind") == "stimulus":
        while place + many < len(steps) and steps[place + many].get(BELONGS):
            many += 1
    return many


def _parts(text: str) -> list[_Part]:
    """Cut a text where tables begin, in front of the comments above them."""
    parts = [("", [])]  # type: list[tuple[str, list[str]]]
    for line in text.splitlines(keepends=True):
        if header := _HEADER.match(line):
            above = parts[-1][1]
            start = len(above)
            while start and above[start - 1].lstrip().startswith("#"):
                start -= 1
            comments = above[start:]
            # A comment that opens the file is of the file, not of its first step.
            if len(parts) == 1 and start == 0:
                comments = []
            del above[len(above) - len(comments) :]
            parts.append((header[1], [*comments, line]))
        else:
            parts[-1][1].append(line)
    return [_Part(name, "".join(lines)) for name, lines in parts]


def _steps_of(text: str) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = parse_toml(text).get(_STEP, [])
    return steps


def _values_in(step: Mapping[str, Any], block: str | None) -> dict[str, Any]:
    """Return the values of a step in a block, or in none."""
    values = {key: value for key, value in step.items() if key not in {"block", BELONGS}}
    return values if block is None else values | {"block": block}


def _copy_of(step: Mapping[str, Any], around: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of the copy of a step between one step and the next."""
    values = _values_in(step, around[0].get("block"))
    bound = any(one.get(BELONGS) for one in around)
    return values | {BELONGS: True} if bound and _can_belong(step) else values


def _insert(parts: list[_Part], at: int, steps: Sequence[Mapping[str, Any]]) -> None:
    """Put steps of these values among the parts, an empty line between one and the next."""
    written = "\n".join(_toml_of(values) for values in steps)
    above = "" if parts[at - 1].text.endswith("\n\n") else "\n"
    below = "\n" if at < len(parts) else ""
    parts.insert(at, _Part(_STEP, above + written + below))


def _toml_of(values: Mapping[str, Any]) -> str:
    """Return a step as a file has it."""
    import tomlkit

    document = tomlkit.document()
    table = tomlkit.table()
    for key, value in values.items():
        if value is not None:
            table[key] = _toml_value(value)
    steps = tomlkit.aot()
    steps.append(table)
    document[_STEP] = steps
    return f"{tomlkit.dumps(document).strip()}\n"


def _step_places(parts: list[_Part]) -> list[int]:
    return [at for at, part in enumerate(parts) if part.name == _STEP]


def _edit_table(text: str, find: Callable[[Any], Any], values: Mapping[str, Any]) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    table = find(document)
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        elif key not in table or table[key] != value:
            table[key] = _toml_value(value)
    return tomlkit.dumps(document)


def _toml_value(value: object) -> object:
    """Return a value as people write it: texts of several lines in three quotes."""
    import tomlkit

    if isinstance(value, str) and "\n" in value:
        return tomlkit.string(value, multiline=True)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _merge(table: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = list(value) if isinstance(value, tuple) else value


def _join_parts(text: str, parts: list[_Part], change: Callable[[dict[str, Any]], None]) -> str:
    """Return the parts as a text that says what was meant.

    Raises:
        ProtocolError: it says something else.
    """
    whole = "".join(
        # A table that stood last may end without a line break.
        part.text if part.text.endswith("\n") or part is parts[-1] else f"{part.text}\n"
        for part in parts
    )
    try:
        meant = parse_toml(text)
        change(meant)
        is_meant = parse_toml(whole) == meant
    except (ValuesError, LookupError):
        is_meant = False
    if not is_meant:
        raise ProtocolError(
            N_("This file is written in a way that the form cannot change. Change its text below.")
        )
    return whole
