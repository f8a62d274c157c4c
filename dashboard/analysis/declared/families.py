"""Families of tests that a question declares: within each of them p is adjusted. Pure.

A family is written as what is tested, and between which states: ``heart_rate``, ``systolic,
diastolic``, ``heart_rate: anger, neutral``, ``all: anger, neutral``. Several such parts, divided by
semicolons, are one family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from dashboard.analysis.states import pairs_of, tested_state
from edge_agent.core.texts import N_, Message

MOST_FAMILIES = 30
ALL = "all"
"""Stands for every vital of the question."""

Test = tuple[str, str, str]
"""Vital or measure of the heartbeat, first state, second state."""


def declared_families(
    texts: Sequence[str], vitals: Sequence[str], measures: Sequence[str], states: Sequence[str]
) -> tuple[str, ...]:
    """Return the families as they are written always, in order of their first tests.

    Args:
        texts: the families as somebody wrote them.
        vitals: which vitals are tested.
        measures: which measures of the heartbeat.
        states: which states are compared.

    Raises:
        ValueError: a family names what is not tested, has no test, mixes vitals with measures of
            the heartbeat, or shares a test with another.
    """
    written: dict[Test, str] = {}
    for text in texts:
        parts = [_part(part, vitals, measures, states) for part in text.split(";")]
        if len({names[0] in measures for names, _ in parts}) > 1:
            raise ValueError(
                Message(N_("{text!r} mixes vitals with measures of the heartbeat"), text=text)
            )
        tests = dict.fromkeys(chain.from_iterable(_tests(*part) for part in parts))
        for name, first, second in tests:
            if (name, first, second) in written:
                raise ValueError(
                    Message(
                        N_("{name}, {first} - {second}, is in two families"),
                        name=name,
                        first=first,
                        second=second,
                    )
                )
        canonical = "; ".join(sorted({_written(*part, states) for part in parts}))
        written.update(dict.fromkeys(tests, canonical))
    order = [(name, *pair) for name in (*vitals, *measures) for pair in pairs_of(states)]
    return tuple(dict.fromkeys(written[test] for test in order if test in written))


@lru_cache(maxsize=64)
def family_numbers(
    families: tuple[str, ...],
    vitals: tuple[str, ...],
    measures: tuple[str, ...],
    states: tuple[str, ...],
) -> Mapping[Test, int]:
    """Return for each test of a declared family the place of that family among them."""
    return {
        test: place
        for place, text in enumerate(families)
        for part in text.split(";")
        for test in _tests(*_part(part, vitals, measures, states))
    }


def _part(
    text: str, vitals: Sequence[str], measures: Sequence[str], states: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return what a part of a family tests, and between which states, both in order."""
    left, _, right = text.partition(":")
    names = [name.strip().casefold() for name in left.split(",")]
    if names == [ALL]:
        names = list(vitals)
    known = (*vitals, *measures)
    for name in names:
        if name not in known:
            raise ValueError(
                Message(
                    N_("{name!r} is not tested; choose from {names}, or {all}"),
                    name=name,
                    names=", ".join(known),
                    all=ALL,
                )
            )
    if len({name in measures for name in names}) > 1:
        raise ValueError(
            Message(N_("{text!r} mixes vitals with measures of the heartbeat"), text=text.strip())
        )
    own = list(states)
    if right.strip():
        own = [_state(label, states) for label in right.split(",")]
    if len(set(own)) < 2:
        raise ValueError(
            Message(
                N_("{text!r} names fewer than two states, so there is no test"), text=text.strip()
            )
        )
    return [name for name in known if name in names], [one for one in states if one in own]


def _state(label: str, states: Sequence[str]) -> str:
    state = tested_state(label, tuple(states))
    if state is None:
        raise ValueError(
            Message(
                N_("{label!r} is not compared; choose from {names}"),
                label=label.strip(),
                names=", ".join(states),
            )
        )
    return state


def _tests(names: Sequence[str], states: Sequence[str]) -> Iterator[Test]:
    for name in names:
        for pair in pairs_of(states):
            yield str(name), str(pair[0]), str(pair[1])


def _written(names: Sequence[str], own: Sequence[str], states: Sequence[str]) -> str:
    """Write a part; without states where all of them are compared."""
    text = ", ".join(names)
    if len(own) == len(states):
        return text
    return f"{text}: {', '.join(own)}"
