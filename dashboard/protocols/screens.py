"""A protocol and a run's place in the orders become the list of screens that are shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from random import Random
from typing import TypeVar

from pydantic import TypeAdapter

from dashboard.protocols.file import Order, StudyProtocol, belongs
from dashboard.protocols.steps import ABOUT_STIMULI, KIND_OF, Practised, Screen, Step, Stimulus
from dashboard.protocols.texts import Texts

T = TypeVar("T")
SEEDS = 100
"""Random orders that :func:`find_parted` looks at."""
_SCREENS = TypeAdapter(tuple[Screen, ...])


@dataclass(frozen=True, slots=True)
class RunOrder:
    """The order of one run.

    Attributes:
        row: which of the counterbalanced orders, 0 to ``order_rows`` − 1.
        seed: of which a random order is made; ``None``: nothing is random.
    """

    row: int = 0
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step with its number in the file, from 1."""

    number: int
    step: Step

    @property
    def changes_place(self) -> bool:
        """True for a stimulus that is no practice."""
        return isinstance(self.step, Stimulus) and not self.step.practice


_Unit = tuple[_Placed, ...]
"""A step, or a stimulus with the steps that belong to it."""


@dataclass(frozen=True, slots=True)
class PartingOrders:
    """The orders that part a stimulus from what is asked of it.

    Attributes:
        orders: how many do.
        of: how many were looked at.
        stimuli: labels of what then lacks something, in the order of the file.
    """

    orders: int
    of: int
    stimuli: tuple[str, ...]


def williams(count: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a Williams design: Latin squares in which each follows each other equally
    often.

    ``count`` rows where it is even, twice as many where it is odd. Williams 1949, Australian
    Journal of Scientific Research A 2:149–168: the first row goes 0, 1, n−1, 2, n−2, …; each
    further one adds 1 modulo n; an odd n needs the mirrored square as well.
    """
    first = [0]
    for step in range(1, count):
        first.append((step + 1) // 2 if step % 2 else count - step // 2)
    square = [tuple((item + row) % count for item in first) for row in range(count)]
    if count % 2 and count > 1:
        square += [row[::-1] for row in square]
    return tuple(square)


def order_rows(protocol: StudyProtocol) -> int:
    """Return how many counterbalanced orders a protocol has."""
    placed = _number_steps(protocol)
    if protocol.blocks is Order.COUNTERBALANCED:
        return len(williams(sum(name is not None for name, _ in _groups(placed))))
    stimuli = sum(one.changes_place for one in placed)
    if protocol.order is Order.COUNTERBALANCED and stimuli:
        return len(williams(stimuli))
    return 1


def screens_of(protocol: StudyProtocol, order: RunOrder = RunOrder()) -> tuple[Screen, ...]:
    """Return the screens of a protocol in one of its orders.

    The same order gives the same screens, always.
    """
    return tuple(_screens(_steps_in(protocol, order), protocol.texts))


def find_parted(protocol: StudyProtocol) -> PartingOrders | None:
    """Return in how many orders a stimulus lacks what is behind it in the file: every
    counterbalanced order, ``SEEDS`` random ones. ``None``: nothing changes places, or nothing is
    asked of what does.

    Behind a stimulus stand the steps that belong to it, and the questions and readings right after
    it in its block. Those after the last stimulus alone are of the end.
    """
    placed = _number_steps(protocol)
    wanted = _asked_of(placed)
    rows = order_rows(protocol)
    if not any(wanted.values()) or (rows == 1 and not protocol.is_random):
        return None
    every = [RunOrder(row) for row in range(rows)]
    if protocol.is_random:
        every = [RunOrder(seed % rows, seed) for seed in range(SEEDS)]
    lacking = [_lacking(_steps_in(protocol, order), wanted) for order in every]
    stimuli = [one.step for one in placed if any(one.number in own for own in lacking)]
    labels = tuple(one.label for one in stimuli if isinstance(one, Stimulus))
    return PartingOrders(sum(map(bool, lacking)), len(every), labels)


def _lacking(shown: Sequence[_Placed], wanted: Mapping[int, list[object]]) -> set[int]:
    """Return the numbers of the stimuli that lack what is asked of them in an order."""
    lacking = set()
    for place, one in enumerate(shown, start=1):
        asked = wanted.get(one.number, [])
        if [_plain(other) for other in shown[place : place + len(asked)]] != asked:
            lacking.add(one.number)
    return lacking


def _asked_of(placed: Sequence[_Placed]) -> dict[int, list[object]]:
    """Return what is behind each stimulus that changes places, by its number."""
    behind: dict[int, list[_Placed]] = {}
    stimulus = placed[0]
    for one in placed:
        if one.changes_place:
            stimulus = one
            behind[one.number] = []
        own = behind.get(stimulus.number, [])
        is_next = one.number == stimulus.number + len(own) + 1
        about = belongs(one.step) or KIND_OF[type(one.step)].name in ABOUT_STIMULI
        if stimulus.changes_place and is_next and about and one.step.block == stimulus.step.block:
            own.append(one)
    last = {placed[number - 1].step.block: number for number in behind}
    others = [_plain(one) for n, own in behind.items() if n not in last.values() for one in own]
    for number in last.values():
        own = behind[number]
        while own and not belongs(own[-1].step) and _plain(own[-1]) not in others:
            own.pop()
    return {number: [_plain(one) for one in own] for number, own in behind.items()}


def _plain(one: _Placed) -> object:
    """Return the values of a step, whichever stimulus it is behind."""
    return type(one.step), one.step.model_dump(exclude={"block", "with_stimulus"})


def _steps_in(protocol: StudyProtocol, order: RunOrder) -> list[_Placed]:
    """Return the steps in one of the orders.

    Blocks change places among themselves, then the stimuli of a block, or those outside of blocks,
    each with what belongs to it; all else stays where the file has it.
    """
    # ``random`` of a seed stays the same in every version of Python; ``shuffle`` need not.
    draw = Random(order.seed).random  # noqa: S311 - no secret
    groups = [(name, _units(steps)) for name, steps in _groups(_number_steps(protocol))]
    in_blocks = _exchange(
        groups, lambda one: one[0] is not None, _arranger(protocol.blocks, order.row, draw)
    )
    arrange = _arranger(protocol.order, order.row, draw)
    loose = _exchange(
        [one for name, units in in_blocks if name is None for one in units], _changes_place, arrange
    )
    coming = iter(loose)
    shown: list[_Unit] = []
    for name, units in in_blocks:
        if name is None:
            shown += (next(coming) for _ in units)
        else:
            shown += _exchange(units, _changes_place, arrange)
    return [one for unit in shown for one in unit]


def _changes_place(unit: _Unit) -> bool:
    return unit[0].changes_place


def _units(placed: Sequence[_Placed]) -> list[_Unit]:
    """Return steps with what belongs to them."""
    units: list[_Unit] = []
    for one in placed:
        if belongs(one.step) and units:
            units[-1] = (*units[-1], one)
        else:
            units.append((one,))
    return units


def to_json(screens: tuple[Screen, ...], texts: Texts, seed: int | None = None) -> str:
    """Write screens and what the page says by itself as JSON, as they are kept with a session."""
    plan: dict[str, object] = {
        "screens": [asdict(screen) for screen in screens],
        "texts": texts.model_dump(exclude_defaults=True),
    }
    if seed is not None:
        plan["seed"] = seed
    return json.dumps(plan, ensure_ascii=False)


def from_json(text: str) -> tuple[tuple[Screen, ...], Texts]:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError, LookupError, TypeError, RecursionError: it is something else.
    """
    plan = json.loads(text)
    screens = _SCREENS.validate_python(plan["screens"])
    if not screens:
        raise ValueError("it has no screens")
    return screens, Texts.model_validate(plan["texts"])


def _number_steps(protocol: StudyProtocol) -> list[_Placed]:
    return [_Placed(number, step) for number, step in enumerate(protocol.steps, start=1)]


def _groups(placed: Sequence[_Placed]) -> Iterator[tuple[str | None, list[_Placed]]]:
    """Yield each block with its steps, and under ``None`` what stands outside of blocks."""
    for name, steps in groupby(placed, lambda one: one.step.block):
        yield name, list(steps)


def _arranger(order: Order, row: int, draw: Callable[[], float]) -> Callable[[list[T]], list[T]]:
    """Return what brings things into an order."""

    def arrange(things: list[T]) -> list[T]:
        if order is Order.RANDOM:
            return _shuffle(things, draw)
        if order is Order.COUNTERBALANCED and things:
            return [things[place] for place in williams(len(things))[row]]
        return things

    return arrange


def _shuffle(things: list[T], draw: Callable[[], float]) -> list[T]:
    """Return things in an order of which each is equally likely (Fisher and Yates)."""
    drawn = list(things)
    for last in range(len(drawn) - 1, 0, -1):
        other = int(draw() * (last + 1))
        drawn[last], drawn[other] = drawn[other], drawn[last]
    return drawn


def _exchange(
    things: Sequence[T], is_moved: Callable[[T], bool], arrange: Callable[[list[T]], list[T]]
) -> list[T]:
    """Return things of which some change places among themselves."""
    coming = iter(arrange([one for one in things if is_moved(one)]))
    return [next(coming) if is_moved(one) else one for one in things]


def _screens(shown: Sequence[_Placed], texts: Texts) -> Iterator[Screen]:
    # A screen that opens nothing, such as the cuff's, belongs to the condition before it.
    before: str | None = None
    for one in shown:
        practice = isinstance(one.step, Practised) and one.step.practice
        for screen in KIND_OF[type(one.step)].screens(one.step, texts, before):
            yield replace(screen, practice=practice, step=one.number)
            before = screen.condition
